"""What an interactive agent is reminded of: before it uses a tool, and before it stops."""

import json
from pathlib import Path

import pytest
from agents import equip, needs
from house import ROOT, House, Result
from lab.agents import claude_tool_hook as rules
from lab.agents.claude_tool_hook import against
from standin import StandIn
from standin.answers import Asked, Call, Reply, in_turn

TREE = Path("/tree")
FORBIDDEN = {
    rules.MOVES: [
        "git reset --hard HEAD~1",
        "echo done && git -C . --no-pager -c core.pager=cat reset --soft HEAD~1",
        "true # it's a comment\nX=1 timeout 5 git pull",
        "if true; then git revert HEAD; fi",
        "cd /tree && git merge main",
    ],
    rules.COMMITS: ["git add train.py", "git commit -am 'experiment: raise LR'", "git commit -m x -- train.py"],
    rules.UNDOES: ["git checkout -- train.py", "git checkout .", "git checkout -f main", "git restore train.py"],
    rules.CLEANS: ["git clean -fdx", "(cd lib; git clean -f)"],
    rules.INSTALLS: [
        "pip3.12 install -U torch",
        ".venv/bin/python -m pip install einops",
        "uv pip install einops",
        "uv add einops",
        "uv run --with einops python -c 'import einops'",
        "sudo apt-get install -y nvtop",
    ],
    rules.TRAINS: [
        ".venv/bin/python3 -u ./train.py > out.txt 2>&1 &",
        "uv run --no-sync python train.py",
        "nohup uv run train.py > run.log 2>&1",
        "SEED=1 timeout -k 5 600 python train.py",
        "./train.py",
    ],
    rules.FIXED.format("prepare.py"): [
        "git rm prepare.py",
        "sed -i 's/a/b/' prepare.py",
        "cat >prepare.py <<'EOF'\nx = 1\nEOF",
        "cat new | tee prepare.py",
        "cp /tmp/x prepare.py && echo copied",
    ],
    rules.FIXED.format("lib/experiment/steps"): ["rm -rf lib/experiment/steps", "mv /tree/lib/experiment/steps /tmp"],
}
CASES = [(command, says) for says, commands in FORBIDDEN.items() for command in commands]

ALLOWED = [
    "",
    "bin/experiment --from-tree 'git reset --hard is not what I do; pip install x'",
    "nohup bin/experiment --from-tree 'raise LR' >runs/verdict.txt 2>&1 &",
    "git log --oneline -5 && git diff HEAD -- train.py prepare.py",
    "git show HEAD:train.py >train.py",
    "git add program.md && git commit -m 'git reset train.py: steer' --amend",
    "git restore --staged train.py",
    "git checkout main",
    "git -C /elsewhere reset --hard",
    "cd /elsewhere && git clean -fdx && python train.py",
    "echo git reset --hard",
    "cp prepare.py /tmp/x && sed -n 1,40p prepare.py",
    "cat <<'EOF' >/tmp/notes.md\ngit reset --hard\npip install x\nEOF",
    "python - <<EOF\nimport os # it's fine\nEOF\nls",
    "pip list; uv pip list; pip show torch",
    "uv run --no-sync python -m py_compile train.py",
    "python -c 'print(1)' # train.py",
    "uv run prepare.py --check",
    "sed -i 's/0.04/0.06/' train.py",
    "echo 'never closed; git reset",
    "cat <<EOF\nnever closed; git reset",
]


@pytest.mark.parametrize(("command", "says"), CASES)
def test_a_command_is_blocked_with_what_to_do_instead(command: str, says: str) -> None:
    assert against(TREE, "Bash", {"command": command}, str(TREE)) == says
    assert "\n" not in says


@pytest.mark.parametrize("command", ALLOWED)
def test_a_command_is_none_of_our_business(command: str) -> None:
    assert against(TREE, "Bash", {"command": command}, str(TREE)) is None


@pytest.mark.parametrize(
    ("path", "fixed"),
    [
        ("/tree/prepare.py", "prepare.py"),
        ("prepare.py", "prepare.py"),
        ("/tree/lib/../lib/experiment/steps/80-settle", "lib/experiment/steps/80-settle"),
        ("/tree/train.py", None),
        ("program.md", None),
        ("/elsewhere/prepare.py", None),
        ("/treehouse/prepare.py", None),
    ],
)
def test_files(path: str, fixed: str | None) -> None:
    says = against(TREE, "Edit", {"file_path": path}, str(TREE))
    assert says == (fixed and rules.FIXED.format(fixed))


# --- The hooks themselves --------------------------------------------------------------------------------------------

SETTINGS = json.loads((ROOT / ".claude/settings.json").read_text())["hooks"]
assert {"Bash", "Edit", "Write"} <= set(SETTINGS["PreToolUse"][0]["matcher"].split("|"))


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
    edit = json.dumps({"tool_name": "Edit", "tool_input": {"file_path": str(run.tree / "train.py")}})
    with run.running("flock", "runs/.lock", "sleep", "60"):
        assert hook(run, "PreToolUse", edit) == Result(0, "", ""), "nothing trains in this tree"
    for broken in ("", "{", "[]", '{"tool_name": "Bash"}', '{"tool_name": "Bash", "tool_input": {"command": 3}}'):
        assert hook(run, "PreToolUse", broken) == Result(0, "", "")
    run.git("checkout", "--quiet", "main")
    assert hook(run, "PreToolUse", bash("git reset --hard")) == Result(0, "", "")


class Uses:
    """Uses one tool after the other, whatever comes of it."""

    def __init__(self, *uses: tuple[str, dict[str, str]]) -> None:
        self.calls = [Call(tool, arguments) for tool, arguments in uses]
        self.results: tuple[str, ...] = ()

    def reply(self, asked: Asked) -> Reply:
        self.results = asked.results
        return in_turn(self.calls, asked, "done")


@needs("claude")
def test_claude_code_itself_obeys_the_permission_rules_and_the_hook(run: House) -> None:
    """The rules are its own: it alone can say that they fit. With all permissions, as a person in a hurry runs it."""
    log, ledger = str(run.run_folder / "run.log"), str(run.tree / "results.tsv")
    run.run_folder.joinpath("run.log").write_text("a log\n")
    commands = [
        "cat run.log",
        "true && git add -f results.tsv",
        "echo x >>results.tsv",
        "git reset --hard",
        "cat results.tsv",
    ]
    uses = Uses(
        ("Read", {"file_path": log}),
        ("Write", {"file_path": ledger, "content": ""}),
        *[("Bash", {"command": command}) for command in commands],
    )
    with StandIn([uses]) as model:
        equip(run, "claude", model)
        done = run.call("claude", "--print", "--permission-mode", "bypassPermissions", "go", IS_SANDBOX="1")
    assert done.status == 0, done
    *denied, moved, allowed = uses.results
    assert len(denied) == 5
    assert all("denied" in said for said in denied), denied
    assert rules.MOVES in moved
    assert "val_bpb" in allowed


def stop(house: House, *, active: bool) -> int:
    said = hook(house, "Stop", json.dumps({"hook_event_name": "Stop", "stop_hook_active": active}))
    assert (said.status == 2) == ("continues unattended" in said.err)
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
    """An agent that brings no experiment may stop the third time."""
    marker = run.run_folder / "unattended"
    marker.touch()
    assert [stop(run, active=active) for active in (False, True, True, True)] == [2, 2, 2, 0]
    assert stop(run, active=False) == 2, "a person has spoken since"


def test_who_has_an_experiment_in_flight_is_sent_to_wait_for_it(run: House) -> None:
    """However often: it brings a row in the end."""
    (run.run_folder / "unattended").touch()
    (run.run_folder / "flights/f7/edit").mkdir(parents=True)
    for _ in range(5):
        given = json.dumps({"stop_hook_active": True})
        said = run.call("bash", "-c", f"echo '{given}' | lib/run/claude-hook before_stop")
        assert (said.status, "bin/wait f7" in said.err, "sleep" in said.err) == (2, True, False)
