"""What an interactive agent is reminded of: before it uses a tool, and before it stops."""

import fcntl
import json
from pathlib import Path

import pytest
from house import ROOT, House, Result
from lab.agents import tool_hook as rules
from lab.agents.tool_hook import Place, against

TREE = Path("/tree")
READS_LOG = rules.READS_LOG.format(rules.VERDICT)


def fixed(path: str) -> str:
    return rules.WRITES_FIXED.format(path)


BLOCKED = {
    "git add results.tsv": rules.NOT_TRACKED,
    "git add -f results.tsv": rules.NOT_TRACKED,
    "git add --force -- ./results.tsv runs/mar14/results.tsv": rules.NOT_TRACKED,
    "git -c core.pager=cat add 'results.tsv' && git commit -m x": rules.NOT_TRACKED,
    "git add -Af .": rules.NOT_TRACKED,
    "cd runs/mar14; git add -f results.tsv": rules.NOT_TRACKED,
    "printf 'a\\tb\\n' >> results.tsv": rules.NOT_TRACKED,
    "git add train.py": rules.COMMITS,
    "git commit -am 'experiment: raise LR'": rules.COMMITS,
    "git commit train.py -m x": rules.COMMITS,
    "git reset --hard HEAD~1": rules.MOVES,
    "echo done && git reset --hard": rules.MOVES,
    "cd lib && git reset HEAD~1": rules.MOVES,
    "git -C . --no-pager reset --soft HEAD~1": rules.MOVES,
    "if true; then git reset; fi": rules.MOVES,
    "bash -lc 'git reset --hard'": rules.MOVES,
    'echo "$(git reset --hard)"': rules.MOVES,
    "X=1 sudo -u me env Y=2 git reset": rules.MOVES,
    "timeout 5 git revert HEAD": rules.MOVES,
    "true\ngit reset --hard\n": rules.MOVES,
    "true # it's a comment\ngit pull": rules.MOVES,
    "cat <<EOF | git merge --stdin\nx\nEOF": rules.MOVES,
    "git checkout -- train.py": rules.UNDOES,
    "git checkout HEAD train.py": rules.UNDOES,
    "git checkout .": rules.UNDOES,
    "git checkout -f main": rules.UNDOES,
    "git restore train.py": rules.UNDOES,
    "git clean -fdx": rules.CLEANS,
    "git -C lib clean -f": rules.CLEANS,
    "git rm prepare.py": fixed("prepare.py"),
    "sed -i 's/a/b/' prepare.py": fixed("prepare.py"),
    "echo x >prepare.py": fixed("prepare.py"),
    "echo x 2>/dev/null >> ./lib/lab/verdict/criterion.py": fixed("lib/lab/verdict/criterion.py"),
    "cat new | tee prepare.py": fixed("prepare.py"),
    "cp /tmp/x prepare.py": fixed("prepare.py"),
    "rm -rf lib/experiment/steps": fixed("lib/experiment/steps"),
    "cd lib && rm common.sh": fixed("lib/common.sh"),
    "mv /tree/bin/setup /tmp": fixed("bin/setup"),
    "cat run.log": READS_LOG,
    "tail -n 50 run.log": READS_LOG,
    "tail -f runs/mar14/run.log": READS_LOG,
    "less <run.log": READS_LOG,
    "tail -c 99999 run.log": READS_LOG,
    "cd runs/mar14 && sed -n '1,20p' run.log": READS_LOG,
    "zcat runs/mar14/logs/abc1234-1.log.gz | tail": READS_LOG,
    "pip install numpy": rules.INSTALLS,
    "pip3.12 install -U torch": rules.INSTALLS,
    "python3 -m pip install einops": rules.INSTALLS,
    ".venv/bin/python -m pip uninstall -y torch": rules.INSTALLS,
    "uv add einops": rules.INSTALLS,
    "uv pip install einops": rules.INSTALLS,
    "uv sync --upgrade": rules.INSTALLS,
    "uv run --with einops python -c 'import einops'": rules.INSTALLS,
    "conda install -y pytorch": rules.INSTALLS,
    "sudo apt-get install -y nvtop": rules.INSTALLS,
    "npm i -g something": rules.INSTALLS,
    "python train.py": rules.TRAINS,
    ".venv/bin/python3 -u ./train.py > out.txt 2>&1 &": rules.TRAINS,
    "uv run train.py > run.log 2>&1": rules.TRAINS,
    "uv run --no-sync python train.py": rules.TRAINS,
    "nohup uv run --python 3.12 train.py": rules.TRAINS,
    "SEED=1 timeout -k 5 600 python train.py": rules.TRAINS,
    "./train.py": rules.TRAINS,
}

ALLOWED = [
    "",
    "bin/experiment --from-tree 'git reset --hard is not what I do'",
    'LAB_AGENT=me bin/experiment --from-tree "pip install; cat run.log"',
    "nohup bin/experiment --from-tree 'raise LR' >runs/verdict.txt 2>&1 &",
    "make status; bin/status",
    "git status --short",
    "git log --oneline -5 && git diff HEAD -- train.py prepare.py",
    "git show HEAD:train.py >train.py",
    "git show abc1234:train.py | head -50",
    "git add program.md && git commit -m 'git reset train.py: steer'",
    "git restore --staged train.py",
    "git checkout main",
    "git stash list",
    "git -C /elsewhere reset --hard",
    "cd /elsewhere && git clean -fdx && python train.py",
    "echo 'git reset --hard'",
    "cat prepare.py train.py results.tsv",
    "cp prepare.py /tmp/x && sed -n 1,40p prepare.py",
    "grep '^val_bpb:' run.log",
    "tail -c 2000 run.log",
    "ls -l run.log; wc -c run.log",
    "cat <<'EOF' >/tmp/notes.md\ngit reset --hard\npip install x\nEOF",
    "pip list; uv pip list; pip show torch",
    "python -m py_compile train.py",
    "python -c 'print(1)' # train.py",
    "uv run --no-sync python -c 'import torch'",
    "uv run prepare.py --check",
    "rg -n 'git reset' .",
    "sed -i 's/0.04/0.06/' train.py",
    "python - <<'EOF'\nprint('cat run.log')\nEOF",
    "echo 'never closed",
    "jq . runs/mar14/experiments.jsonl | tail -20",
]


@pytest.mark.parametrize("command", BLOCKED)
def test_a_command_is_blocked_with_what_to_do_instead(command: str) -> None:
    says = against(Place(TREE, in_run=True), "Bash", {"command": command}, str(TREE))
    assert says == BLOCKED[command]
    assert "\n" not in says


@pytest.mark.parametrize("command", ALLOWED)
def test_a_command_is_none_of_our_business(command: str) -> None:
    assert against(Place(TREE, in_run=True), "Bash", {"command": command}, str(TREE)) is None


@pytest.mark.parametrize("command", BLOCKED)
def test_who_works_on_the_toolkit_is_left_alone(command: str) -> None:
    """Where no run is checked out; but the ledger is never tracked."""
    says = against(Place(TREE, in_run=False), "Bash", {"command": command}, str(TREE))
    assert says in (None, rules.NOT_TRACKED)
    assert (says is None) != ("git" in command and "results.tsv" in command)


@pytest.mark.parametrize(
    ("tool", "path", "says"),
    [
        ("Edit", "/tree/prepare.py", fixed("prepare.py")),
        ("Write", "prepare.py", fixed("prepare.py")),
        ("MultiEdit", "/tree/lib/../lib/experiment/steps/80-settle", fixed("lib/experiment/steps/80-settle")),
        ("Write", "/tree/results.tsv", rules.NOT_TRACKED),
        ("Read", "/tree/run.log", READS_LOG),
        ("Read", "/tree/prepare.py", None),
        ("Edit", "/tree/train.py", None),
        ("Write", "/tree/program.md", None),
        ("Edit", "/elsewhere/prepare.py", None),
        ("Edit", "/treehouse/prepare.py", None),
        ("NotebookEdit", "", None),
    ],
)
def test_files(tool: str, path: str, says: str | None) -> None:
    key = "notebook_path" if tool == "NotebookEdit" else "file_path"
    assert against(Place(TREE, in_run=True), tool, {key: path}, str(TREE)) == says
    assert against(Place(TREE, in_run=False), tool, {key: path}, str(TREE)) is None


def test_train_py_is_left_alone_while_it_is_measured(tmp_path: Path) -> None:
    (tmp_path / "runs").mkdir()
    ask = (Place(tmp_path, in_run=True), "Edit", {"file_path": str(tmp_path / "train.py")}, str(tmp_path))
    assert against(*ask) is None
    with (tmp_path / "runs/.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        assert against(*ask) == rules.IN_FLIGHT
    assert against(*ask) is None


# --- The hooks themselves --------------------------------------------------------------------------------------------

SETTINGS = json.loads((ROOT / ".claude/settings.json").read_text())["hooks"]


def hook(house: House, event: str, text: str) -> Result:
    """As Claude Code calls it: by a shell, from anywhere, with the project's folder in the environment."""
    command = SETTINGS[event][0]["hooks"][0]["command"]
    (house.outside / "stdin").write_text(text)
    shell = f"cd / && {{ {command}; }} <'{house.outside}/stdin'"
    return house.call("sh", "-c", shell, CLAUDE_PROJECT_DIR=str(house.tree))


def bash(command: str) -> str:
    return json.dumps({"tool_name": "Bash", "tool_input": {"command": command}, "hook_event_name": "PreToolUse"})


def test_the_hook_before_a_tool(run: House) -> None:
    said = hook(run, "PreToolUse", bash("git reset --hard"))
    assert (said.status, said.out, said.err) == (2, "", rules.MOVES + "\n")
    assert hook(run, "PreToolUse", bash("ls")) == Result(0, "", "")
    for broken in ("", "{", "[]", '{"tool_name": "Bash"}', '{"tool_name": "Bash", "tool_input": {"command": 3}}'):
        assert hook(run, "PreToolUse", broken) == Result(0, "", "")
    run.git("checkout", "--quiet", "main")
    assert hook(run, "PreToolUse", bash("git reset --hard")) == Result(0, "", "")
    matcher = SETTINGS["PreToolUse"][0]["matcher"].split("|")
    assert {"Bash", "Read", "Edit", "Write"} <= set(matcher)


def stop(house: House, *, active: bool) -> int:
    said = hook(house, "Stop", json.dumps({"hook_event_name": "Stop", "stop_hook_active": active}))
    assert (said.status == 2) == ("goes on unattended" in said.err)
    return said.status


def test_an_agent_may_stop_where_nobody_has_said_otherwise(run: House) -> None:
    assert stop(run, active=False) == 0


def test_an_unattended_run_goes_on_until_make_stop(run: House) -> None:
    marker = run.run_folder / "unattended"
    marker.touch()
    assert stop(run, active=False) == 2
    for number in range(5):  # as long as there are new experiments
        with (run.run_folder / "experiments.jsonl").open("a") as file:
            file.write(f"{{{number}}}\n")
        assert stop(run, active=True) == 2
    assert run.call("make", "stop").status == 0
    assert not marker.exists()
    assert stop(run, active=True) == 0


def test_nobody_is_trapped(run: House) -> None:
    """An agent that brings no experiment may stop the third time; and there is a limit to all."""
    marker = run.run_folder / "unattended"
    marker.touch()
    assert [stop(run, active=active) for active in (False, True, True, True)] == [2, 2, 2, 0]
    assert stop(run, active=False) == 2, "a person has spoken since"
    marker.write_text("0 0 500\n")
    assert stop(run, active=False) == 0
