"""A person's own prepare.py, train.py and pyproject.toml: what is asked of them, and what they are told."""

import os
import re
import subprocess
from pathlib import Path

import pytest
from house import TRAIN, UV, House

COUNTS = "open('prepared.count', 'a').write('x')\n"
OWN = """\
[project]
name = "mine"
version = "0.1.0"
requires-python = ">=3.10"
dependencies = []
"""


def test_a_preparation_that_reads_no_arguments_is_never_run(house: House) -> None:
    (house.tree / "prepare.py").write_text(f"{COUNTS}import subprocess\nsubprocess.run(['true', '--check'])\n")
    house.commit("a pair")
    house.setup()
    assert house.loop(1, house.setting("0.9")).status == 0
    assert not list(house.tree.rglob("prepared.count"))
    assert house.statuses() == ["keep", "keep"]
    assert "prepare.py has no --check" in house.call("lib/doctor/50-data").out


# --- What the baseline did ---


@pytest.mark.first_case
@pytest.mark.parametrize(
    ("train", "says"),
    [
        ("print('val_bpb=1.0')", "only 'val_bpb=1.0'"),
        ("print('val_bpb: 343.88')", "its val_bpb is '343.88'"),
        ("print('val_bpb: nan')", "it ran, but"),
        (f"open('train.py', 'a').write('#')\n{TRAIN}", "it ran, but train.py"),
        ("import einops_of_nobody", "not installed: 'einops_of_nobody'\nhint: uv add einops_of_nobody; "),
    ],
)
def test_a_baseline_that_failed_is_told_by_what_it_did(tmp_path: Path, train: str, says: str) -> None:
    house = House(tmp_path, train + "\n")
    house.setup(CONFINE="no")
    result = house.call("bin/loop", CONFINE="no")
    assert result.status == 2
    assert says in result.err
    assert ("repair train.py" in result.err) == ("nan" in train)
    assert house.rows() == []


def test_a_module_that_lies_untracked_in_the_tree_is_no_package(tmp_path: Path) -> None:
    house = House(tmp_path, "import helper\n")
    (house.tree / "helper.py").write_text("")
    house.setup()
    result = house.call("bin/loop")
    assert "git does not track 'helper.py'" in result.err
    assert "uv add" not in result.err


# --- A pyproject.toml of one's own ---


def own(house: House, text: str | None) -> None:
    """With an environment of its own."""
    path = house.tree / "pyproject.toml"
    path.unlink()
    if text is not None:
        path.write_text(text)
    house.commit("my pyproject.toml")
    cache = subprocess.run([UV, "cache", "dir"], capture_output=True, text=True, check=True).stdout.strip()
    del house.environment["UV_PROJECT_ENVIRONMENT"]
    house.environment |= {"UV_CACHE_DIR": cache}
    house.environment |= {name: os.environ[name] for name in os.environ if re.search("^UV_|^SSL_|(?i:_proxy)$", name)}
    asked = subprocess.run(["pip", "config", "get", "global.find-links"], capture_output=True, text=True, check=False)
    house.environment.setdefault("UV_FIND_LINKS", asked.stdout.strip())
    house.environment.pop("UV_PROJECT_ENVIRONMENT", None)


def test_a_pyproject_of_ones_own_is_synced_and_the_core_comes_beside_it(house: House) -> None:
    own(house, OWN)
    house.setup()
    assert house.loop(1, house.setting("0.9")).status == 0
    assert house.statuses() == ["keep", "keep"]
    assert house.call(".venv/bin/lab", "memory-gb", "45060.2").out == "44.0\n"
    listed = house.call("uv", "pip", "list", "--quiet").out
    assert "click" not in listed, "nothing of ours is among the person's packages"
    assert house.call("uv", "sync", "--quiet").status == 0
    assert house.call("bin/status").status == 0, "what a person syncs takes nothing of ours away"


@pytest.mark.parametrize("text", [None, "[tool.poetry]\nname = 'mine'\n"])
def test_without_a_project_there_is_a_way_out(house: House, text: str | None) -> None:
    own(house, text)
    result = house.call("bin/setup", TAG="mar14")
    assert result.status == 2
    problem, hint = result.err.splitlines()[-2:]
    assert "pyproject.toml" in problem
    assert hint.startswith("hint: ")
    if text is None:
        assert house.call("bash", "-c", hint.removeprefix("hint: create one: ")).status == 0
        assert house.call("bin/setup", TAG="mar14").status == 0


@pytest.mark.parametrize(
    ("train", "needs"),
    [
        (TRAIN, False),
        ("# import torch\nimport torchless\n", False),
        ("import os, torch\n", True),
        ("def f():\n    from torch.nn import functional\n", True),
    ],
)
def test_pytorch_is_brought_to_a_pair_that_imports_it_alone(house: House, train: str, needs: bool) -> None:
    (house.tree / "train.py").write_text(train)
    asked = house.proposer(
        f'echo "$*" >>\'{house.outside}/asked\'; [[ $1 != sync ]] || mkdir -p "$UV_PROJECT_ENVIRONMENT"', "uv"
    )
    code = 'source lib/common.sh; source lib/uv.sh; bring_core() { :; }; bring_env; ls "$VENV"'
    path = f"{asked.parent}:{house.environment['PATH']}"
    result = house.call("bash", "-c", code, "bin/x", PATH=path, UV_PROJECT_ENVIRONMENT=str(house.outside / "env"))
    assert ("without-torch" in result.out) != needs, result
    assert ("--no-group torch" in (house.outside / "asked").read_text()) != needs


@pytest.mark.parametrize("named", [True, False])
def test_the_environment_of_another_tree_is_left_as_it_is(house: House, named: bool) -> None:
    """It is that of the folder that it lies in, or of the tree that has synced it last."""
    asked = house.proposer(f"echo \"$*\" >>'{house.outside}/asked'", "uv")
    other, path = house.outside / "other", f"{asked.parent}:{house.environment['PATH']}"
    env = house.outside / "env" if named else other / ".venv"
    env.mkdir(parents=True)
    other.mkdir(exist_ok=True)
    (other / "pyproject.toml").write_text(OWN)
    if named:
        (env / "synced-by").write_text(f"{other}\n")
    result = house.call("bin/status", PATH=path, UV_PROJECT_ENVIRONMENT=str(env))
    assert result.status == 2
    assert f"the environment '{env}' belongs to '{other}'" in result.err
    assert result.err.endswith("unset UV_PROJECT_ENVIRONMENT\n")
    assert not (house.outside / "asked").exists()
