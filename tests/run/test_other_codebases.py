"""Training code of other people, as it is: another metric, another direction, several files, another command."""

import json
import os
import signal
import time
from pathlib import Path

import pytest
from house import ROOT, House
from lab.store import schemas
from test_own_pair import OWN, own

ACCURACY = """\
LAYERS = 2
WIDTH = 64
print("epoch 1 accuracy: 0.5")
print(f"accuracy: {0.9 + 0.01 * LAYERS + WIDTH / 100000:.4f}")
print(f"step_ms: {5 * LAYERS + WIDTH / 100:.2f}")
"""

RMSE = """\
import os
DEPTH = 6
print(f"val_rmse: {25000 - 100 * DEPTH + 10 * (int(os.environ['SEED']) % 3)}")
"""

PACKAGE = {
    "forest/__init__.py": "",
    "forest/model.py": "SCALE = 2.0\n\ndef predict(x):\n    return SCALE * x\n",
    "forest/train.py": """\
import argparse, os
from forest.model import predict

arguments = argparse.ArgumentParser()
arguments.add_argument("--config")
path = arguments.parse_args().config
config = dict(line.split(": ") for line in open(path).read().splitlines() if not line.startswith("#"))
error = abs(predict(float(config["rate"])) - 3)
os.makedirs("out", exist_ok=True)
open("out/metrics.log", "w").write(f"loss: {1 + error:.5f}\\n")
print("done")
""",
    "configs/base.yaml": "# what is tuned\nrate: 1.0\nbatch: 32\n",
    ".gitignore": "__pycache__/\nresults.tsv\nrun.log\nruns/\nmemory/\n.venv/\nout/\n",
}


def house_of(folder: Path, files: dict[str, str], **settings: str) -> House:
    """A tree with a person's files in place of the pair, set up as they say."""
    house = House(folder)
    for name in ("train.py", "prepare.py"):
        (house.tree / name).unlink()
    for name, text in files.items():
        (house.tree / name).parent.mkdir(parents=True, exist_ok=True)
        (house.tree / name).write_text(text)
    house.commit("my code")
    house.environment |= {"BASELINE_RUNS": settings.get("BASELINE_RUNS", "2")}
    house.setup(**settings)
    return house


def check(house: House, metric: str) -> None:
    """The ledger is one of that metric, and all that is on record is valid."""
    header = (house.run_folder / "results.tsv").read_text().splitlines()[0]
    assert header == f"commit\t{metric}\tmemory_gb\tstatus\tdescription"
    assert house.call("bin/validate").status == 0
    assert [schemas.problems("experiment", one) for one in house.experiments()] == [[]] * len(house.experiments())
    assert {one["metric"] for one in house.experiments()} == {metric}


@pytest.mark.slow
def test_an_accuracy_that_is_to_rise_and_a_guard(tmp_path: Path) -> None:
    files = {"train.py": ACCURACY, "prepare.py": ""}
    house = house_of(tmp_path, files, METRIC="accuracy", METRIC_GOAL="max", METRIC_RANGE="0,1",
                     METRIC_GUARD="step_ms<=1.2x, accuracy>=0.9")  # fmt: skip
    agent = house.in_turn(
        "sed -i 's/^WIDTH = .*/WIDTH = 128/' train.py; echo wider",
        "sed -i 's/^LAYERS = .*/LAYERS = 3/' train.py; echo deeper",
        "sed -i 's/^WIDTH = .*/WIDTH = 32/' train.py; echo narrower",
    )
    assert house.loop(3, agent).status == 0
    assert house.statuses() == ["keep", "keep", "discard", "discard"]
    assert [row[1] for row in house.rows()] == ["0.920600", "0.921300", "0.931300", "0.920300"]
    baseline, wider, deeper, narrower = house.experiments()
    assert wider["gain"] == pytest.approx(0.0007)
    assert [wider["rule"], deeper["rule"], narrower["rule"]] == ["large-gain", "guard", "worse"]
    assert str(deeper["reason"]).startswith("guard: step_ms<=1.2x: the value is 16.28, the incumbent's 11.28")
    assert baseline["guards"] == {"step_ms": 10.64, "accuracy": 0.9206}
    status = json.loads(house.call("bin/status", "--json").out)
    assert status["best"]["val_bpb"] == 0.9213
    assert status["gain"] == pytest.approx(0.0007)
    check(house, "accuracy")
    house.check_invariants()


@pytest.mark.slow
def test_an_rmse_of_25000(tmp_path: Path) -> None:
    house = house_of(tmp_path, {"train.py": RMSE, "prepare.py": ""}, METRIC="val_rmse", BASELINE_RUNS="3")
    agent = house.in_turn(
        "sed -i 's/^DEPTH = .*/DEPTH = 12/' train.py; echo deeper",
        "sed -i 's/^DEPTH = .*/DEPTH = 11/' train.py; echo shallower",
    )
    assert house.loop(2, agent).status == 0
    assert house.statuses() == ["keep", "keep", "discard"]
    assert [row[1] for row in house.rows()] == ["24410.000", "23800.000", "23900.000"]
    assert "val_rmse 24407.500 -> 23800.000 (+607.500)" in (house.tree / "memory/learnings.md").read_text()
    check(house, "val_rmse")


def package(folder: Path, editable: str, more: str = "") -> House:
    """A package whose model and settings are edited, and whose numbers are in a log of its own; `more` of its code."""
    files = {**PACKAGE, "forest/train.py": PACKAGE["forest/train.py"] + more}
    command = "python -m forest.train --config configs/base.yaml"
    return house_of(folder, files, METRIC="loss", EDITABLE=editable, RUN_COMMAND=command, RUN_LOG="out/metrics.log")


def rate(value: str) -> str:
    """A proposer's line of shell."""
    return f"sed -i 's/^rate: .*/rate: {value}/' configs/base.yaml"


def scale(value: str) -> str:
    return f"sed -i 's/^SCALE = .*/SCALE = {value}/' forest/model.py"


@pytest.mark.slow
def test_a_package_whose_model_and_yaml_are_edited_together(tmp_path: Path) -> None:
    house = package(tmp_path, "forest/model.py configs/*.yaml")
    agent = house.in_turn(
        f"{rate('1.2')}; {scale('2.4')}; echo both",
        f"{scale('2.6')}; echo '# more' >>forest/train.py; echo another file",
        f"echo 'rate: 9' >configs/other.yaml; {rate('2')}; echo worse",
        "rm configs/base.yaml; echo gone",
    )
    assert house.loop(4, agent).status == 0
    assert house.statuses() == ["keep", "keep", "crash", "discard", "crash"]
    _, both, other, worse, gone = house.experiments()
    assert (both["lines_added"], both["lines_removed"]) == (2, 2)
    assert other["reason"] == "crash: rejected: changed forest/train.py"
    assert gone["reason"] == "crash: rejected: deleted configs/base.yaml"
    files = house.git("show", "--name-only", "--format=", str(both["commit"])).split()
    assert files == ["configs/base.yaml", "forest/model.py"]
    assert "configs/other.yaml" in house.git("ls-tree", "-r", "--name-only", str(worse["commit"])).split()
    assert "rate: 1.2\n" in (house.tree / "configs/base.yaml").read_text(), "it follows"
    assert "SCALE = 2.4" in (house.tree / "forest/model.py").read_text()
    shown = house.call("bin/show", "2").out
    assert "+SCALE = 2.4" in shown
    assert "+rate: 1.2" in shown
    check(house, "loss")
    assert house.git("status", "--porcelain") == ""
    house.git("checkout", "--quiet", "main")
    (house.tree / "forest/train.py").write_text(PACKAGE["forest/train.py"] + "# mine\n")
    house.commit("another file")
    taken = house.call("bin/take", TAG="mar14")
    assert taken.status == 0
    assert house.git("log", "-1", "--format=%s", "--name-only").split() == ["both", *files]
    assert "has not measured" not in taken.err, "what is editable is as it was measured"
    assert house.git("status", "--porcelain") == "", "the files have followed"
    (house.tree / "configs/base.yaml").write_text("rate: 7\n")
    refused = house.call("bin/take", TAG="mar14")
    assert (refused.status, "has uncommitted changes in" in refused.err) == (2, True)
    house.commit("another rate")
    refused = house.call("bin/take", TAG="mar14", N="2")
    assert "#2 cannot be taken: 'main' has changed the same lines of configs/base.yaml, as 'rate: 7'" in refused.err


@pytest.mark.slow
def test_a_change_of_several_files_in_the_tree(tmp_path: Path) -> None:
    house = package(tmp_path, "forest/*.py :!forest/train.py configs").baseline()
    (house.tree / "configs/base.yaml").write_text("rate: 2.0\nbatch: 32\n")
    (house.tree / "forest/extra.py").write_text("EXTRA = 1\n")
    worse = house.call("bin/experiment", "--from-tree", "a worse rate, and a file more")
    assert worse.status == 0
    assert house.statuses() == ["keep", "discard"]
    assert not (house.tree / "forest/extra.py").exists(), "it is undone"
    assert house.git("status", "--porcelain") == ""
    model = "from forest.extra import SCALE\n\ndef predict(x):\n    return SCALE * x\n"
    (house.tree / "forest/model.py").write_text(model)
    (house.tree / "forest/extra.py").write_text("SCALE = 2.5\n")
    assert house.call("bin/experiment", "--from-tree", "a module more").status == 0
    assert house.statuses() == ["keep", "discard", "keep"]
    assert house.git("status", "--porcelain") == ""
    assert "forest/extra.py" in house.git("ls-files", "forest").split()
    (house.tree / "configs/base.yaml").write_text("# what is tuned\nrate: 1.1\nbatch: 32\n")
    house.commit("by hand")
    assert house.once("/bin/false").status == 0, "a commit of a person's is tried"
    assert house.statuses()[-1] == "keep"
    assert house.call("bin/retry", "2").status == 1, "both have changed the rate"


@pytest.mark.slow
def test_changes_of_several_files_are_carried_over_and_mended(tmp_path: Path) -> None:
    house = package(tmp_path, "forest/model.py configs/*.yaml")
    agent = house.proposer(rf"""
first=no
[[ $LAB_MODE == mend ]] || ! mkdir ~/first 2>/dev/null || first=yes
case $LAB_MODE:$first in
  mend:*) sed -i 's/SCALE x/SCALE * x/' forest/model.py ;;
  *:yes) {rate("1.1")} ; echo the rate ;;
  *) {scale("2.2")} ; sed -i 's/SCALE \* x/SCALE x/' forest/model.py; echo the scale ;;
esac""")
    assert house.loop(2, agent, SLOTS="2").status == 0
    assert house.statuses() == ["keep", "keep", "keep"]
    last = house.experiments()[-1]
    assert last["attempts"] == 2 or last["carried_from"], "it was mended, or the other was carried over to it"
    tip = house.git("show", "HEAD:configs/base.yaml", "HEAD:forest/model.py")
    assert "rate: 1.1" in tip
    assert "SCALE = 2.2" in tip
    check(house, "loss")


@pytest.mark.slow
def test_several_candidates_of_several_files_in_one_call(tmp_path: Path) -> None:
    """Folders; one that changes what is locked is none; asked is once."""
    house = package(tmp_path, "forest/model.py configs/*.yaml *.md")
    slower = "mkdir -p candidates/slow/configs; cp configs/base.yaml candidates/slow/configs; "
    slower += "sed -i 's/^rate: .*/rate: 1.2/' candidates/slow/configs/base.yaml; "
    slower += "printf 'note: it overshoots\ncategory: optimizer\nthe rate\n' >candidates/slow.txt"
    locked = "mkdir -p candidates/bad/forest; echo 'VALUE = 1' >candidates/bad/forest/train.py"
    more = "mkdir -p candidates/more/configs; echo 'rate: 9' >candidates/more/configs/new.yaml"
    agent = house.in_turn(f"{slower}; {locked}; {more}; {scale('2.4')}; echo 'idea: another'; echo the scale", "exit 1")
    assert house.loop(3, agent, LAB_WANT="4").status == 0
    found = {str(one["description"]): one for one in house.experiments()[1:]}
    assert [*found] == ["the scale", "rate: 9 (+1 -0 lines)", "the rate"]
    assert found["the rate"]["category"] == "optimizer"
    assert found["the rate"]["notes"] == ["it overshoots"]
    for what, files in (("the scale", "forest/model.py"), ("the rate", "configs/base.yaml")):
        assert house.git("show", "--name-only", "--format=", str(found[what]["commit"])).split() == [files]
    assert "candidates/bad' has a file that an experiment may not change" in (house.run_folder / "loop.log").read_text()
    assert (house.run_folder / "ideas.md").read_text().endswith("\nanother\n")
    assert "\ncandidates/" not in house.git("ls-tree", "-r", "--name-only", "HEAD")
    check(house, "loss")


@pytest.mark.slow
def test_a_proposal_of_several_files_starts_from_another_keep(tmp_path: Path) -> None:
    house = package(tmp_path, "forest/model.py configs/*.yaml")
    agent = house.in_turn(f"{rate('1.1')}; echo first", f"{scale('2.2')}; {rate('1.15')}; echo second")
    assert house.loop(2, agent).status == 0
    assert house.statuses() == ["keep"] * 3
    script = "cat forest/model.py configs/base.yaml >~/seen; sed -i s/32/64/ configs/base.yaml; echo third"
    assert house.loop(1, house.proposer(script), PARENT="2").status == 0
    seen = (house.outside / "home/seen").read_text()
    assert ("SCALE = 2.0" in seen, "rate: 1.1\n" in seen) == (True, True)
    third = house.experiments()[-1]
    text = house.git("show", f"{third['commit']}:forest/model.py", f"{third['commit']}:configs/base.yaml")
    assert ("SCALE = 2.0" in text, "rate: 1.1\nbatch: 64" in text) == (True, True), "all of that keep, and the change"
    assert third["parent"] == house.experiments()[2]["commit"]


@pytest.mark.slow
def test_a_night_that_is_killed_goes_on(tmp_path: Path) -> None:
    house = package(tmp_path, "forest/model.py configs/*.yaml", "import time\ntime.sleep(0.7)\n")
    agent = house.proposer(f"""n=$(sed -n 's/^batch: //p' configs/base.yaml)
{scale("2.$n")}
sed -i "s/^batch: .*/batch: $((n + 1))/" configs/base.yaml
echo more""")
    for _ in range(3):
        with house.running("bin/loop", AGENT=str(agent)) as loop:
            house.wait_for("runs/mar14/flights/f*/run.*/started")
            time.sleep(0.3)
            os.killpg(loop.pid, signal.SIGKILL)
            loop.wait()
    assert house.loop(2, agent).status == 0
    assert house.left_running() == []
    check(house, "loss")
    assert house.git("status", "--porcelain") == ""


# --- What is refused ---


@pytest.mark.parametrize(
    ("settings", "says"),
    [
        ({"METRIC": "val_rmse", "BASELINE_RUNS": "1"}, "no threshold says which gain of 'val_rmse' counts"),
        ({"METRIC_GOAL": "max"}, "lower is better for val_bpb"),
        ({"METRIC_RANGE": "0,1"}, "METRIC_RANGE is set, but val_bpb has a fixed range"),
        ({"METRIC": "a", "METRIC_RANGE": "2,1"}, "METRIC_RANGE '2,1' is empty"),
        ({"METRIC": "a", "METRIC_GUARD": "b=1"}, "'b=1' is not a condition on a printed number"),
        ({"METRIC": "a", "SMALL_GAIN": "2", "LARGE_GAIN": "1"}, "SMALL_GAIN '2' is larger than LARGE_GAIN '1'"),
        ({"EDITABLE": "modle.py"}, "EDITABLE 'modle.py' matches no file"),
        ({"EDITABLE": "*.py"}, "includes prepare.py"),
    ],
)
def test_a_set_up_that_could_not_be_measured_is_refused(house: House, settings: dict[str, str], says: str) -> None:
    result = house.call("bin/setup", TAG="mar14", **{"BASELINE_RUNS": "3", **settings})
    assert result.status == 2
    problem, hint = result.err.splitlines()[-2:]
    assert says in problem
    assert hint.startswith("hint: ")
    assert not (house.run_folder / "manifest.json").exists()


def test_what_is_measured_is_the_same_for_the_whole_run(run: House) -> None:
    for name, value in (("METRIC", "accuracy"), ("EDITABLE", "*.py"), ("RUN_COMMAND", "make train")):
        result = run.call("bin/experiment", **{name: value, "BASELINE_RUNS": "1"})
        assert result.status == 2
        assert f"{name} is '{value}', but the run was set up with" in result.err


def test_a_baseline_without_the_line_of_a_guard_says_so(tmp_path: Path) -> None:
    house = house_of(tmp_path, {"train.py": RMSE, "prepare.py": ""}, METRIC="val_rmse", METRIC_GUARD="step_ms<=9")
    result = house.call("bin/loop")
    assert result.status == 2
    assert "it printed no number for 'step_ms'" in result.err
    assert house.rows() == []


def test_another_command_prepares_the_data(house: House) -> None:
    done = house.call("bin/data", PREPARE_COMMAND="python -c 'import sys; print(sys.prefix)'")
    assert done.out.strip() == house.environment["UV_PROJECT_ENVIRONMENT"]


# --- In a repository of their own ---


@pytest.mark.slow
def test_another_repository_is_worked_on_where_it_is(house: House) -> None:
    mine = house.outside / "my repo"
    for name, text in PACKAGE.items():
        (mine / name).parent.mkdir(parents=True, exist_ok=True)
        (mine / name).write_text(text)
    (mine / ".gitignore").write_text("__pycache__/\nout/\n")
    (mine / "lib").mkdir()
    (mine / "lib/own.py").write_text("")
    own(house, OWN)
    (mine / "pyproject.toml").write_text(OWN)

    def git(*words: str) -> str:
        identity = ("-c", "user.name=person", "-c", "user.email=person@localhost")
        return house.call_in(mine, "git", *identity, *words).out.strip()

    git("init", "--quiet", "--initial-branch=main")
    git("add", "--all")
    git("commit", "--quiet", "--message", "mine")
    assert house.call("make", "adopt", "DIR=../my repo").status == 0
    command = "RUN_COMMAND=python -m forest.train --config configs/base.yaml"
    settings = ("METRIC=loss", "EDITABLE=forest/model.py configs", command, "RUN_LOG=out/metrics.log")
    assert house.call("make", "setup", "DIR=../my repo", "TAG=mar14", "BASELINE_RUNS=2", *settings).status == 0
    agent = house.proposer(f"ls lib >~/seen; {rate('1.2')}; echo the rate")
    result = house.call("make", "loop", "DIR=../my repo", "MAX_EXPERIMENTS=1", "BASELINE_RUNS=2", f"AGENT={agent}")
    assert result.status == 0, result
    rows = (mine / "results.tsv").read_text().splitlines()
    assert [row.split("\t")[3] for row in rows[1:]] == ["keep", "keep"]
    assert (house.outside / "home/seen").read_text() == "own.py\n", "its lib is none of ours"
    assert git("status", "--porcelain") == ""
    assert git("log", "--format=%s", "-1") == "experiment: the rate"
    assert not (house.tree / "runs").exists()
    assert sorted(path.name for path in mine.iterdir() if not path.name.startswith(".")) == [
        *("configs", "forest", "lib", "memory", "pyproject.toml", "results.tsv", "run.log", "runs", "uv.lock"),
    ]
    refused = house.call("bin/show", "17", AUTORESEARCH_TREE=str(mine))
    assert refused.status == 2
    again = house.call("bin/setup", AUTORESEARCH_TREE=str(mine), TAG="mar14")
    hint = again.err.splitlines()[-1]
    assert hint == f"hint: choose another tag: make -C '{house.tree}' DIR='{mine}' setup TAG=mar14b"


@pytest.mark.parametrize("where", ["", ".", "../nowhere", "../tmp"])
def test_what_is_no_other_repository_is_not_adopted(house: House, where: str) -> None:
    result = house.call("bin/adopt", AUTORESEARCH_TREE=where)
    assert result.status == 2
    assert result.err.splitlines()[-1].startswith("hint: ")


# --- Settings in a file ---

FILE = """\
metric = "accuracy"
Metric_Goal = "max"
BASELINE_RUNS = 2
metric_guard = ["step_ms<=1.2x", "accuracy>=0.9"]
agent = "catalog"
time_budget = 12.5
"""


@pytest.mark.parametrize("name", ["autoresearch.toml", "pyproject.toml"])
def test_settings_that_are_committed_hold_below_the_environment(house: House, name: str) -> None:
    path = house.tree / name
    path.write_text(FILE if name == "autoresearch.toml" else f"{path.read_text()}\n[tool.autoresearch]\n{FILE}")
    del house.environment["BASELINE_RUNS"]
    names = "METRIC METRIC_GOAL BASELINE_RUNS METRIC_GUARD TIME_BUDGET"
    code = f'source lib/common.sh; for name in {names}; do echo "${{!name}}"; done'
    said = house.call("bash", "-c", code, "bin/x", TIME_BUDGET="7").out.splitlines()
    assert said == ["accuracy", "max", "2", "step_ms<=1.2x, accuracy>=0.9", "7"]


def test_the_settings_are_told_with_their_sources(run: House) -> None:
    (run.tree / "autoresearch.toml").write_text("max_experiments = 4\n")
    told = dict(line.split(maxsplit=1) for line in run.call("make", "settings", "AGENT_TIMEOUT=5").out.splitlines())
    assert told["MAX_EXPERIMENTS"].split() == ["4", "file"]
    assert told["AGENT_TIMEOUT"].split() == ["5", "environment"]
    assert told["SEED"].split() == ["42", "run", "mar14"]
    assert told["METRIC"].split() == ["val_bpb", "default"]


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("metrik = 'a'\n", "there is no setting 'metrik': did you mean 'metric'?"),
        ("metric = {}\n", "'METRIC' is not a text"),
        ("metric\n", "cannot use"),
        ('metric = "a\\nb"\n', "more than one line"),
    ],
)
def test_a_file_of_settings_that_is_none_is_refused(house: House, text: str, says: str) -> None:
    (house.tree / "autoresearch.toml").write_text(text)
    result = house.call("bin/settings")
    assert result.status == 2
    assert says in result.err
    assert result.err.splitlines()[-1].startswith("hint: ")


# --- The example of the documents ---

EXAMPLE = ROOT / "docs/examples/les-miserables"


@pytest.mark.slow
def test_the_example_learns_something(tmp_path: Path) -> None:
    files = {
        path.name: path.read_text() for path in EXAMPLE.iterdir() if path.is_file() and path.name != "pyproject.toml"
    }
    house = house_of(tmp_path, files, BASELINE_RUNS="5")  # in this environment, which has what its pyproject.toml names
    agent = house.proposer("sed -i 's/^decay: .*/decay: 1.0/' config.yaml; echo decay 1.0")
    assert house.loop(1, agent).status == 0
    assert house.statuses() == ["keep", "keep"]
    baseline, kept = house.experiments()
    assert baseline["val_bpb"] > 0.9 > 0.7 > kept["val_bpb"]
    assert kept["guards"]["fit_seconds"] < 5
    check(house, "val_rmse")
