"""What a person, cron, or a cluster's profile has in the environment: it bends none of ours, and training has it."""

import os
import re
import signal
import subprocess
import time
from pathlib import Path

import pytest
from house import IMPROVE, ROOT, TRAIN, House

# --- what would bend our commands ------------------------------------------------------------------------------------

FOREIGN = "raise RuntimeError('a lab of somebody else')\n"


@pytest.fixture
def profile(house: House) -> dict[str, str]:
    """All of it at once; in a tree whose path is not ASCII."""
    tree = house.outside / "größer 樹"
    house.tree.rename(tree)
    house.tree = tree
    site = house.outside / "site"
    for name in ("lab", "rehearsal"):
        (site / name).mkdir(parents=True)
        (site / name / "__init__.py").write_text(FOREIGN)
    (house.outside / "profile.sh").write_text("echo this is a login shell\n")
    return {
        "CDPATH": f".:{house.outside}:/tmp",
        "PYTHONPATH": str(site),
        "PYTHONHOME": "/nonexistent",
        "PYTHONSAFEPATH": "1",
        "TMPDIR": f"{house.outside}/gone",
        "LC_ALL": "C",
        "BASH_ENV": str(house.outside / "profile.sh"),
        "POSIXLY_CORRECT": "1",
        "GREP_OPTIONS": "--color=always",
        "GZIP": "--verbose",
        "BASH_FUNC_cd%%": '() { builtin cd "$@" && echo in $PWD; }',
        "BASH_FUNC_git%%": "() { echo no git for you; }",
        "GIT_DIR": "/nonexistent",
        "IFS": "/",
    }


def test_an_experiment_in_the_worst_of_environments(house: House, profile: dict[str, str]) -> None:
    house.environment |= profile
    del house.environment["GIT_DIR"]  # for the test's own git
    house.setup(GIT_DIR="/nonexistent")
    result = house.loop(1, house.setting("0.9"), GIT_DIR="/nonexistent")
    assert result.status == 0
    assert house.statuses() == ["keep", "keep"]
    assert house.call("bin/status", GIT_DIR="/nonexistent").status == 0
    assert house.call("make", "stop").status == 0


@pytest.mark.first_case
@pytest.mark.parametrize("locale", ["C", "POSIX", "xx_YY.UTF-8", "de_DE.ISO-8859-1", ""])
def test_any_locale_will_do(house: House, profile: dict[str, str], locale: str) -> None:
    result = house.call("bin/setup", TAG="mar14", LC_ALL=locale)
    assert result.status == 0
    result = house.call("bin/status", LC_ALL=locale, LANG=locale)
    assert result.status == 0
    assert "Traceback" not in result.err


@pytest.mark.parametrize("folder", ["/gone/for/ever", "relative", "/etc/passwd"])
def test_a_tmpdir_that_is_none_is_told_by_the_doctor_and_not_used(house: House, folder: str) -> None:
    result = subprocess.run(
        [house.tree / "lib/doctor/40-disk"],
        env={**house.environment, "TMPDIR": folder},
        capture_output=True,
        text=True,
        check=True,
    )
    assert f"warning\ttmpdir\tTMPDIR '{folder}' is not a writable folder: using /tmp\t" in result.stdout
    assert "\ttmpdir\t" in result.stdout.partition("using /tmp")[2]


@pytest.mark.parametrize("ignored", ["", "trap '' PIPE; "])
def test_who_reads_may_end_first(based: House, ignored: str) -> None:
    """As `| head` does; in a loop, and below some others, SIGPIPE is ignored."""
    verbs = (
        "bin/status",
        "bin/status --json",
        "bin/brief",
        "bin/memory",
        "N=1 bin/show",
        "bin/loop --help",
        "make help",
    )
    script = ignored + "; ".join(f"{{ {verb} || :; }} | true" for verb in verbs)
    result = based.call("bash", "-c", script)
    assert (result.out, result.err) == ("", "")


# --- what training has -----------------------------------------------------------------------------------------------


def test_what_the_caller_has_under_a_name_of_ours_is_what_training_and_proposers_have(house: House) -> None:
    names = {"STARTED": "yes", "OUTPUT": "/data/out", "RUN": "7", "ID": "a b", "FOUND": "", "SLOT": "9", "TREE": "oak"}
    script = f"import os\nprint({{name: os.environ.get(name) for name in {sorted(names)}}})\n"
    (house.tree / "train.py").write_text(script + TRAIN)
    house.commit("says what it sees")
    house.setup()
    seen = house.outside / "seen"
    agent = house.proposer(f"env >{seen}\n{IMPROVE}")
    assert house.loop(1, agent, **names).status == 0
    assert str({name: names[name] for name in sorted(names)}) in (house.run_folder / "run.log").read_text()
    environment = seen.read_text().splitlines()
    assert {f"{name}={value}" for name, value in names.items()} <= set(environment)
    assert not [line for line in environment if line.startswith("LAB_CALLER")]


# Of the person's: settings, arguments of verbs, and what other programs read.
THEIRS = re.compile(
    r"(LAB|GIT|UV|PIP|PYTHON|PI|OPENCODE|MSWEA|GEMINI|CLAUDE_CODE|LITELLM|DISABLE|METRIC|ON|HF|AUTORESEARCH)_?\w*"
    r"|LC_ALL|CC|TZ|TERM|PATH|HOME|TMPDIR|IFS|SECONDS|LAB|CUDA_VISIBLE_DEVICES|\w+_API_KEY|BASH\w*"
    r"|OURS|CHECKS|LONGEST_S|SLURM_OPTIONS|PASS_ENV|TAG|TAGS|FROM|ONTO|SQUASH|FORCE|DAYS|WATCH|AGENT|ENGINE|MODEL|PROFILE|SEED|SLOTS|DRAFTS|PROPOSERS|LINKS|RUN_TIMEOUT|TIME_BUDGET|AGENT_TIMEOUT"
    r"|EDITABLE|RUN_COMMAND|RUN_LOG|PREPARE_COMMAND|DIR|BASELINE_RUNS|MAX_EXPERIMENTS|FAULTS|LEDGER|OUT|OWN|DEST|REMOVE|CLEAR|RETRY|MODE|NAME|COMMIT|FOLDER|USAGE|TRANSCRIPT"
)
ASSIGNED = re.compile(
    r"(?:^|[\s;(&|{])(?:read (?:-\w+ )*|local |export |readonly |declare -\w+ )*([A-Z][A-Z0-9_]+)\+?=", re.M
)


def test_every_variable_of_ours_is_kept_apart() -> None:
    code = [path for folder in ("bin", "lib") for path in (ROOT / folder).rglob("*") if path.is_file()]
    bash = [
        text
        for path in code
        if (text := path.read_bytes().decode(errors="replace")).startswith("#!/usr/bin/env bash")
        or "# shellcheck shell=bash" in text[:4000]
    ]
    ours = set(re.search(r"readonly OURS=\((.*?)\)", (ROOT / "lib/environment.sh").read_text(), re.S)[1].split())  # type: ignore[index]
    found = {name for text in bash for name in ASSIGNED.findall(re.sub(r"^ *#.*", "", text, flags=re.M))}
    missing = {name for name in found - ours if not THEIRS.fullmatch(name)}
    assert not missing, "add them to OURS in lib/environment.sh, or make them local and lower case"
    assert not {name for name in ours if THEIRS.fullmatch(name)} - {"COMMIT", "FOLDER"}
    told = "".join(
        line for path in (ROOT / "bin").iterdir() for line in path.read_text().splitlines() if "Settings:" in line
    )
    assert not ours & set(re.findall(r"[A-Z_]+", told)), "a setting that would be taken away"


# --- what a loop that is started again has ---------------------------------------------------------------------------

NEEDS = "import os\nprint(os.environ['MY_DATA_DIR'])\n" + TRAIN
SECRET = "sk-" + "0123456789"


def needy(house: House, **settings: str) -> Path:
    """A run whose train.py needs a variable, with a loop that was killed. Returns its log."""
    house.environment |= {"MY_DATA_DIR": "/data/x y", "MY_TOKEN": SECRET, "LAB_MINUTE": "1"}
    (house.tree / "train.py").write_text(NEEDS)
    house.commit("needs a variable")
    house.setup()
    with house.running("bin/loop", AGENT=str(house.proposer(IMPROVE)), **settings) as process:
        deadline = time.monotonic() + 30
        while len(house.experiments()) < 2:
            assert time.monotonic() < deadline
            time.sleep(0.05)
        os.killpg(process.pid, signal.SIGKILL)
    return house.run_folder / "loop.log"


def as_cron(house: House) -> None:
    bare = {"HOME": house.environment["HOME"], "PATH": "/usr/bin:/bin", "SHELL": "/bin/sh"}
    subprocess.run([house.tree / "bin/keepalive"], cwd="/", env=bare, check=True, timeout=30, capture_output=True)


def await_line(log: Path, text: str, seconds: float = 30) -> None:
    deadline = time.monotonic() + seconds
    while text not in log.read_text():
        assert time.monotonic() < deadline, log.read_text()
        time.sleep(0.1)


def test_a_variable_that_is_lost_is_told_and_makes_no_crash(house: House) -> None:
    log = needy(house)
    as_cron(house)
    await_line(log, "checking again in 1 s")
    told = log.read_text()
    assert (
        "these variables were set when the loop first started, but not at this restart: MY_DATA_DIR MY_TOKEN;" in told
    )
    assert "not set since the loop was restarted: MY_DATA_DIR MY_TOKEN: KeyError: 'MY_DATA_DIR'; checking" in told
    assert "MY_DATA_DIR" in house.call("bin/status").out
    assert house.call("bin/stop").status == 0
    deadline = time.monotonic() + 20
    while house.is_held():
        assert time.monotonic() < deadline
        time.sleep(0.2)
    assert "crash" not in house.statuses()
    rows = len(house.rows())
    assert house.loop(1, house.proposer(IMPROVE)).status == 0, "the shell has it"
    assert len(house.rows()) == rows + 1
    assert not (house.run_folder / "lost_variables").exists()
    found = subprocess.run(["grep", "-rlF", SECRET, house.tree], capture_output=True, text=True, check=False).stdout
    assert found == ""


def test_what_pass_env_names_is_there_again(house: House) -> None:
    log = needy(house, PASS_ENV="MY_DATA_DIR")
    rows = len(house.rows())
    as_cron(house)
    await_line(log, "these variables were set when the loop first started, but not at this restart: MY_TOKEN;")
    deadline = time.monotonic() + 30
    while len(house.rows()) < rows + 2:
        assert time.monotonic() < deadline, log.read_text()
        time.sleep(0.1)
    assert house.call("bin/stop").status == 0
    while house.is_held():
        time.sleep(0.2)
    assert "crash" not in house.statuses()
    assert "/data/x y" in (house.run_folder / "run.log").read_text()


@pytest.mark.first_case
@pytest.mark.parametrize(
    ("name", "value", "problem"),
    [
        ("MY_TOKEN", "x", "PASS_ENV names 'MY_TOKEN', a key"),
        ("OPENAI_API_KEY", "x", "PASS_ENV names 'OPENAI_API_KEY', a key"),
        ("db_password", "x", "PASS_ENV names 'db_password', a key"),
        ("MY_URL", f"https://me:{SECRET}@example.org", "PASS_ENV names 'MY_URL', an address with a key"),
        ("MY_DATA", None, "PASS_ENV names 'MY_DATA', which is not set"),
        ("MY_LIST", "a\nb", "PASS_ENV names 'MY_LIST', whose value has more than one line"),
        ("NOT-A-NAME", None, "PASS_ENV: "),
    ],
)
def test_what_pass_env_may_not_name(based: House, name: str, value: str | None, problem: str) -> None:
    more = {} if value is None else {name: value}
    result = based.call("bin/loop", MAX_EXPERIMENTS="1", PASS_ENV=name, **more)
    assert result.status == 2
    assert f": {problem}" in result.err
    assert "\nhint: " in result.err
    assert SECRET not in result.err
    assert not (based.run_folder / "wanted").exists()


def test_addresses_are_saved_but_not_with_a_key_in_them(based: House) -> None:
    kept = {"HTTPS_PROXY": "http://proxy:3128", "OPENAI_BASE_URL": "https://me.example/v1", "NCCL_DEBUG": "WARN"}
    lost = {
        "HTTP_PROXY": f"http://me:{SECRET}@proxy",
        "HF_ENDPOINT": f"https://x/?api_token={SECRET}",
        "HF_TOKEN": SECRET,
    }
    with based.running("bin/loop", AGENT=str(based.proposer("sleep 60")), **kept, **lost):
        based.wait_for("runs/mar14/wanted")
        wanted = (based.run_folder / "wanted").read_text()
    assert {f"{name}={value}" for name, value in kept.items()} <= set(wanted.splitlines())
    assert SECRET not in wanted
    assert SECRET not in (based.run_folder / "variables").read_text()
