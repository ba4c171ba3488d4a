"""What agents read is true: every command in the skill is run, in its order, as an agent would."""

import re
from pathlib import Path

import pytest
from house import IMPROVE, ROOT, House

SKILL = ROOT / ".claude/skills/ml-experiment-loop/SKILL.md"
TEXT = SKILL.read_text()
COMMANDS = [
    line.partition("  #")[0].strip()
    for block in re.findall(r"^```bash\n(.*?)^```", TEXT, re.MULTILINE | re.DOTALL)
    for line in block.splitlines()
]


@pytest.mark.slow
def test_every_command_of_the_skill_runs(house: House) -> None:
    """In its order. Only the editing of train.py between the calls is ours, and the proposer that the loop asks."""
    agent = house.tree / "lib/proposers/claude"
    agent.write_text(f"#!/usr/bin/env bash\n{IMPROVE}\n")
    agent.chmod(0o755)
    house.commit("a claude that needs no account")
    house.environment["CLAUDECODE"] = "1"
    assert len(COMMANDS) >= 11
    for number, command in enumerate(COMMANDS, start=1):
        if "--from-tree" in command:
            train = house.tree / "train.py"
            train.write_text(re.sub(r"(?m)^VALUE = \S+", f"VALUE = {1 - number / 100}", train.read_text()))
        result = house.call("bash", "-c", command, MAX_EXPERIMENTS="1", AUTORESEARCH_CACHE=str(house.outside / "cache"))
        assert result.status in ((0, 2) if command == "bin/doctor" else (0,)), command
        assert result.out or result.err or command.startswith("touch"), f"'{command}' says nothing"
        if command == "bin/wait":
            assert result.out.splitlines()[-2].startswith("train.py   has this change now; to see it: git show ")
            assert result.out.splitlines()[-1] == "exit 0"
    said = re.findall(r"--from-tree '(.*?)'", "\n".join(COMMANDS))
    assert [row[3] for row in house.rows()] == ["keep"] * (len(said) + 2)
    assert [row[4] for row in house.rows()][: len(said) + 1] == ["baseline", *said]
    assert [one["agent"] for one in house.experiments()[1:]] == ["claude-code", "claude"]
    assert not (house.run_folder / "unattended").exists(), "make stop takes it away"
    house.check_invariants()


def test_the_skill_is_the_same_for_all() -> None:
    assert (ROOT / ".agents/skills/ml-experiment-loop/SKILL.md").read_text() == TEXT
    assert (ROOT / "CLAUDE.md").read_text() == "@AGENTS.md\n"
    assert (ROOT / "GEMINI.md").read_text() == "@./AGENTS.md\n"
    assert not [path for path in (SKILL, ROOT / "CLAUDE.md") if path.is_symlink()], "installers copy them"


def test_its_front_matter_is_what_agents_need() -> None:
    """name and description are what an agent sees before it reads the rest (agentskills.io)."""
    head = TEXT.split("---\n")[1]
    fields = dict(line.split(": ", 1) for line in head.splitlines())
    assert fields["name"] == SKILL.parent.name
    assert re.fullmatch(r"[a-z0-9-]{1,64}", fields["name"])
    assert 100 < len(fields["description"]) <= 1024
    assert "Use it when" in fields["description"]
    assert fields["license"] == "MIT"
    assert not [value for value in fields.values() if ": " in value or value[0] in "\"'[{&*#"], "plain YAML"


@pytest.mark.parametrize("name", ["AGENTS.md", "program.md", ".claude/skills/ml-experiment-loop/SKILL.md"])
def test_what_an_agent_reads_is_short_and_names_what_is_there(name: str) -> None:
    text = (ROOT / name).read_text()
    assert len(text) < 6000
    for path in set(re.findall(r"\b(?:bin|lib|docs|schemas|tests)/[A-Za-z0-9_./-]*[A-Za-z0-9]", text)):
        assert (ROOT / path).exists(), path
    for target in re.findall(r"`make ([a-z-]+)", text):
        assert re.search(rf"^{target}:", (ROOT / "Makefile").read_text(), re.MULTILINE), target


@pytest.mark.parametrize("name", ["AGENTS.md", ".claude/skills/ml-experiment-loop/SKILL.md"])
def test_one_that_the_loop_has_started_is_told_so_first(name: str) -> None:
    text = (ROOT / name).read_text()
    assert 0 < text.index("LAB_MODE") < text.index("bin/setup")


# --- make install-skill ----------------------------------------------------------------------------------------------


def installed(folder: Path) -> dict[str, str]:
    return {str(path.relative_to(folder)): path.read_text() for path in sorted(folder.rglob("*")) if path.is_file()}


def test_the_skill_is_installed_for_the_person(house: House) -> None:
    home = house.outside / "home"
    done = house.call("make", "install-skill")
    assert done.status == 0
    folders = [f"{kind}/skills/ml-experiment-loop" for kind in (".agents", ".claude")]
    assert all(str(home / folder) in done.err for folder in folders), "it says where"
    for folder in folders:
        assert installed(home / folder) == {"SKILL.md": TEXT, "toolkit": f"{house.tree}\n"}
    before = installed(home)
    assert house.call("make", "install-skill").out == ""
    assert installed(home) == before, "twice is once"


def test_the_skill_is_installed_in_another_repository_and_keeps_what_was_there(house: House) -> None:
    dest = house.outside / "with space"
    mine = dest / ".claude/skills/ml-experiment-loop/SKILL.md"
    mine.parent.mkdir(parents=True)
    for text in ("mine", "mine again"):
        mine.write_text(text)
        assert house.call("make", "install-skill", f"DEST={dest}").status == 0
        assert mine.read_text() == TEXT
    kept = {name: text for name, text in installed(mine.parent).items() if "~" in name}
    assert kept == {"SKILL.md.~1~": "mine", "SKILL.md.~2~": "mine again"}
    assert installed(dest / ".agents")["skills/ml-experiment-loop/SKILL.md"] == TEXT
    assert not (house.outside / "home/.claude").exists()


def test_a_dest_that_is_no_folder_is_refused(house: House) -> None:
    for dest in ("", "/nonexistent"):
        result = house.call("bin/install-skill", DEST=dest)
        assert result.status == 2
        assert "is not a folder" in result.err
    assert house.call("bin/install-skill", DEST=str(house.tree)).status == 0
    assert house.git("status", "--porcelain") == "", "in this tree it is already"
