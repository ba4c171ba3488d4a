"""A hint is a command that works in the very state in which it is printed.

STATES is a table: what somebody has done, and the verb that they call then. Its hint is run, and the same problem must
not come again. Those about git, packages and other tools are in the tests of these.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from house import ROOT, House

# The first command in a hint; behind it there may be words in brackets, or another way out.
COMMAND = re.compile(
    r"(?:^|: |\bor:? )((?:[A-Z_]+=\S+ )*(?:make|git|uv|chmod|cd|bin/\w+|\.venv/bin/lab)\b.*?)(?: \(|\)|, or |; |$)"
)
NEEDS_DATA = """\
import os, sys
if "--check" in sys.argv:
    sys.exit(0 if os.path.exists("data.bin") else 3)
open("data.bin", "w").write("x")
"""
NOT_TRACKED = "echo data.bin >>.git/info/exclude"
NO_BRANCH = "git checkout -q main && git branch -qD autoresearch/mar14"


@dataclass(frozen=True)
class State:
    """What was done, by shell; the verb; the settings that it is called with; and whether it works after the hint."""

    done: str
    verb: str
    settings: dict[str, str] = field(default_factory=dict)
    works: bool = True


OF_A_NEW_TREE = {
    "no run": State("", "bin/status"),
    "no commit": State("rm -rf .git && git init -q", "bin/setup"),
    "no repository": State("rm -rf .git", "bin/setup"),
    "no branch": State("git checkout -q --detach", "bin/setup"),
    "changes": State("echo '# x' >>train.py", "bin/setup"),
    "a ledger that git tracks": State("echo x >results.tsv && git add -f results.tsv && git commit -qm x", "bin/setup"),
    "a bad tag": State("", "bin/setup", {"TAG": "a b"}, works=False),
    "a start that is none": State("", "bin/setup", {"FROM": "nowhere"}, works=False),
    "no data": State(f"cat >prepare.py <<'E'\n{NEEDS_DATA}E\n{NOT_TRACKED}; git commit -qam x", "bin/setup"),
    "keys for all to read": State("echo A_KEY=1 >.env && chmod 644 .env && TAG=mar14 bin/setup", "bin/experiment"),
    "an unknown argument": State("", "bin/setup --bogus", works=False),
    "a set-up that was broken off": State("git checkout -qb autoresearch/mar14", "bin/status"),
}  # fmt: skip
OF_A_RUN = {
    "a mistyped tag": State("", "bin/status", {"TAG": "mar41"}, works=False),
    "another branch": State("git checkout -q main", "bin/status", works=False),
    "a renamed branch": State("git branch -qm autoresearch/mine", "bin/status"),
    "the tag of a run": State("", "bin/setup", works=False),
    "the tag of a run without its branch": State(NO_BRANCH, "bin/setup", works=False),
    "the tag of a run that was deleted": State(f"rm -rf runs; {NO_BRANCH}", "bin/setup", works=False),
    "runs deleted": State("rm -rf runs", "bin/status"),
    "runs and records deleted": State("rm -rf runs; git update-ref -d refs/experiments/_records/mar14", "bin/status"),
    "no ledger, and validate": State("rm runs/mar14/results.tsv", "bin/validate"),
    "no ledger, and a loop": State("rm runs/mar14/results.tsv", "bin/loop", {"MAX_EXPERIMENTS": "1"}),
    "a damaged ledger": State("echo mine >>runs/mar14/results.tsv", "bin/loop", {"MAX_EXPERIMENTS": "1"}),
    "no experiments": State("rm runs/mar14/experiments.jsonl", "bin/loop", {"MAX_EXPERIMENTS": "1"}),
    "damaged experiments": State("sed -i 's/{/[/' runs/mar14/experiments.jsonl", "bin/loop", {"MAX_EXPERIMENTS": "1"}),
    "no experiment is named": State("", "bin/show", works=False),
    "a setting that is fixed": State("", "bin/loop", {"TIME_BUDGET": "7"}),
    "a seed that is fixed": State("", "bin/loop", {"SEED": "7"}),
    "a start that is fixed": State("git commit -q --allow-empty -m x", "bin/loop", {"FROM": "HEAD"}),
    "an agent that is not to be run": State(
        "printf '#!/usr/bin/env nosuch\\n' >~/agent && chmod +x ~/agent", "bin/loop", {"AGENT": "~/agent"}, works=False
    ),
    "a branch to take it onto that is none": State("", "bin/take", {"ONTO": "nosuch"}),
    "a branch of a run to take it onto": State("", "bin/take", {"ONTO": "autoresearch/mar14"}, works=False),
    "a changed train.py": State("git checkout -q main; echo '# x' >>train.py", "bin/take", {"TAG": "mar14"}),
    "a drop of what is checked out": State("", "bin/drop", {"TAG": "mar14"}, works=False),
    "a drop without a yes": State("git checkout -q main", "bin/drop", {"TAG": "mar14"}, works=False),
    "a bad number of days": State("", "bin/prune", {"DAYS": "x"}, works=False),
    "a bad count": State("", "bin/noise", {"N": "-3"}, works=False),
    "a bad number": State("", "bin/replay", {"SD": "abc"}, works=False),
}  # fmt: skip


def follow(house: House, state: State) -> None:
    house.environment |= {name: value for name in ("AUTHOR", "COMMITTER") for name, value in identity(name).items()}
    assert house.call("bash", "-c", state.done).status == 0
    settings = {"TAG": "mar14"} if state.verb.startswith("bin/setup") else {}
    settings |= {name: value.replace("~", str(house.outside / "home")) for name, value in state.settings.items()}
    first = house.call("bash", "-c", state.verb, **settings)
    assert first.status == 2, first
    problem, hint = (first.err or first.out).splitlines()[-2:]
    assert hint.startswith("hint: "), first
    found = COMMAND.search(hint.removeprefix("hint: "))
    assert found, hint
    done = house.call("bash", "-c", found[1], **settings_but(settings))
    assert done.status == 0, f"{hint}: {done}"
    if state.works:
        again = house.call("bash", "-c", state.verb, **{"MAX_EXPERIMENTS": "1", **settings, **tag_in(found[1], state)})
        assert again.status == 0, again
        assert problem not in again.err


def identity(name: str) -> dict[str, str]:
    return {f"GIT_{name}_NAME": "me", f"GIT_{name}_EMAIL": "me@localhost"}


def settings_but(settings: dict[str, str]) -> dict[str, str]:
    """Without those that name the wrong thing, which the hint says anew."""
    left = {name: value for name, value in settings.items() if name not in ("TAG", "N", "SD", "AGENT", "FROM")}
    return {"MAX_EXPERIMENTS": "1", **left}


def tag_in(command: str, state: State) -> dict[str, str]:
    """After another run was begun, the verb is called for that."""
    begun = re.search(r"make setup TAG=(\S+)", command)
    return {"TAG": begun[1]} if begun and "FROM" not in state.settings else {}


@pytest.mark.first_case
@pytest.mark.parametrize("name", OF_A_NEW_TREE)
def test_of_a_new_tree(name: str, house: House) -> None:
    follow(house, OF_A_NEW_TREE[name])


@pytest.mark.first_case
@pytest.mark.parametrize("name", OF_A_RUN)
def test_of_a_run(name: str, based: House) -> None:
    follow(based, OF_A_RUN[name])


# --- What is not there is not named ---


def texts() -> Iterator[tuple[Path, str]]:
    for folder in ("bin", "lib"):
        for path in sorted((ROOT / folder).rglob("*")):
            if path.is_file() and "__pycache__" not in path.parts and path.suffix not in (".css", ".js", ".html"):
                yield path, path.read_text(errors="replace")


def test_every_target_that_is_named_is_there() -> None:
    targets = set(re.findall(r"^([a-z-]+):.*##", (ROOT / "Makefile").read_text(), re.MULTILINE))
    named = {
        (word, path.name) for path, text in texts() for word in re.findall(r"\bmake ([a-z][a-z-]+) (?=[A-Z]+=)", text)
    }
    named |= {
        (word, path.name) for path, text in texts() for word in re.findall(r"[:'\"] ?make ([a-z][a-z-]+)['\"]", text)
    }
    assert len(named) > 10
    assert {one for one in named if one[0] not in targets} == set()


def test_a_hint_of_an_agent_says_how_to_get_it(run: House) -> None:
    for name, words in (("claude", "npm install"), ("llm", "uv tool install")):
        result = run.loop(1, name)
        assert result.status == 2
        assert result.err.startswith(f"{name}: '{name}' is not on PATH\nhint: install it: {words}")
        assert not (run.run_folder / "wanted").exists()
    assert run.experiments() == []
