"""The documents say what is there: commands, settings, messages, links; and they stay short and readable."""

import json
import re
from pathlib import Path

import pytest
from house import ROOT, House

README = (ROOT / "README.md").read_text()
REFERENCE = (ROOT / "docs/reference.md").read_text()
COMMANDS, SETTINGS = REFERENCE.split("## Settings")
SCHEMA = json.loads((ROOT / "schemas/settings.schema.json").read_text())["properties"]
MAKEFILE = (ROOT / "Makefile").read_text()
VERBS = sorted(path.name for path in (ROOT / "bin").iterdir())
TARGETS = re.findall(r"^([a-z-]+):.*##", MAKEFILE, re.MULTILINE)
GOLDEN = ROOT / "tests/golden"
PAGES = [
    *("README.md", "CONTRIBUTING.md", "CHANGELOG.md", "program.md", "AGENTS.md"),
    "skills/ml-experiment-loop/SKILL.md",
]
PAGES += sorted(f"docs/{path.name}" for path in (ROOT / "docs").glob("*.md"))
LINK = re.compile(r"\]\(([^)#:\s]*)(#[^)\s]+)?\)")
COLUMNS, WORDS = 120, 80
OTHER_MAKES = {"CHANGELOG.md", "docs/decisions.md", "docs/your-code.md"}  # mistyped, or of another Makefile


def commands(page: str) -> list[str]:
    """The commands of a page's indented blocks, without their comments."""
    return [line.partition(" #")[0].strip() for line in re.findall(r"^    (?:\$ )?(.*)$", page, re.MULTILINE)]


# --- The reference ---------------------------------------------------------------------------------------------------


def test_every_target_is_in_the_reference_and_calls_its_verb() -> None:
    for target in set(TARGETS) - {"help"}:
        assert re.search(rf"^\| [^|]*`{target}`", COMMANDS, re.MULTILINE), target
    first = "\n".join(re.findall(r"^\|([^|]*)\|", COMMANDS, re.MULTILINE))
    assert {*re.findall(r"`([a-z-]+)`", first)} <= {*TARGETS, "wait", "keepalive"}
    for verb in set(VERBS) - {"keepalive", "wait"}:  # cron calls the one, an agent the other
        assert re.search(rf"^\t@bin/{verb}$", MAKEFILE, re.MULTILINE), f"no target calls bin/{verb}"


def test_every_setting_is_in_the_reference_and_the_other_way_round() -> None:
    rows = {row[1]: row[0] for row in re.finditer(r"^\| `([A-Z_]+)`.*$", SETTINGS, re.MULTILINE)}
    assert {*rows} == {*SCHEMA, "TAG", "FROM", "AGENT", "ENGINE", "HF_ENDPOINT"}
    for name, setting in SCHEMA.items():
        assert setting.get("default", "") in rows[name]
        assert rows[name].startswith(f"| `{name}` * |") == setting.get("fixed", False), (
            f"{name}: a star where it is fixed"
        )


# --- Help ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("verb", VERBS)
def test_help_is_the_golden_text(verb: str, house: House) -> None:
    result = house.call(f"bin/{verb}", "--help")
    assert result.status == 0
    assert result.out == (GOLDEN / f"{verb}.help").read_text()


@pytest.mark.parametrize(
    ("words", "problem", "hint"),
    [
        ("lop", "make: there is no target 'lop': did you mean 'loop'?", "make loop"),
        ("zzz", "make: there is no target 'zzz'", "make help"),
        ("setup TGA=x", "setup: there is no setting 'TGA': did you mean 'TAG'?", "make setup TAG=x"),
        ("once max_experiment=3", "experiment: there is no setting", "make once MAX_EXPERIMENTS=3"),
        (
            "show DEPTH=8 TAG=none",
            "show: there is no run 'none'",
            "start one: make setup TAG=mar14",
        ),  # DEPTH is not ours
    ],
)
def test_a_mistyped_word_of_make_is_told_with_the_nearest(words: str, problem: str, hint: str, house: House) -> None:
    result = house.call("make", *words.split())
    assert result.status == 2
    assert problem in result.err
    assert f"\nhint: {hint}\n" in result.err


def test_every_help_has_an_example_of_what_is_there() -> None:
    """A target of the Makefile with settings of that verb, or the verb itself."""
    for verb in VERBS:
        text = (GOLDEN / f"{verb}.help").read_text()
        example = re.search(r"^Example: (?:make ([a-z-]+)((?: [A-Z_]+=.+)?)|bin/([a-z-]+).*)$", text, re.MULTILINE)
        assert example, verb
        assert (example[1] or example[3]).replace("once", "experiment") == verb
        for name in re.findall(r"\b([A-Z_]+)=", example[2] or ""):
            assert re.search(rf"^(Settings:.*|[A-Z_ ]*)\b{name}\b", text, re.MULTILINE), f"{verb}: {name}"


def test_make_without_a_target_lists_all_in_groups(house: House) -> None:
    lines = house.call("make").out.splitlines()
    assert [line.split()[0] for line in lines if line.startswith("  ")] == TARGETS
    groups = [line for line in lines if line and line[0] != " "][:-1]  # the last line says where there is more
    assert groups == re.findall(r"^### (.*)$", COMMANDS, re.MULTILINE)[: len(groups)]
    assert max(map(len, lines)) <= 80
    assert {line[17] != " " and line[16] == " " for line in lines if line.startswith("  ")} == {True}, "aligned"


# --- README ----------------------------------------------------------------------------------------------------------


def test_readme_is_short() -> None:
    assert len(README.split()) <= 900


@pytest.mark.parametrize("name", sorted({*PAGES} - OTHER_MAKES))
def test_every_command_of_a_page_has_a_target_and_known_variables(name: str) -> None:
    known = {*SCHEMA, "TAG", "FROM", "AGENT", "ENGINE", "DIR", *re.findall(r"\[?\b([A-Z]+)=", MAKEFILE + COMMANDS)}
    page = (ROOT / name).read_text()
    text = "\n".join([page, *commands(page)])
    found = [call.split() for call in re.findall(r"(?:`|^)(make [^`\n]+)", text, re.MULTILINE)]
    assert len(found) > 15 or name != "README.md"
    for _, target, *variables in found:
        assert target in TARGETS
        assert {variable.partition("=")[0] for variable in variables if "=" in variable} <= known


@pytest.mark.slow
def test_the_commands_of_readme_run_as_printed(house: House) -> None:
    """A night and its morning, in this order. make data and make cron have tests of their own."""
    night = README.split("## A night")[1].split("## Who proposes")[0]
    calls = [call for call in commands(night) if call not in ("make data", "make cron")]
    assert [call.split()[1] for call in calls] == ["setup", "loop", "status", "stop", "audit", "report", "show", "take"]
    for call in calls:
        result = house.call("bash", "-c", call, MAX_EXPERIMENTS="1", AGENT=str(house.setting(0.5)))
        assert result.status == 0, f"{call}: {result.err}"
    assert [row[3] for row in house.rows()] == ["keep", "keep"]


# --- All pages -------------------------------------------------------------------------------------------------------


def anchors(page: Path) -> set[str]:
    """GitHub's anchors of a page's headings."""
    headings = re.findall(r"^#+ (.*)$", page.read_text(), re.MULTILINE)
    return {"#" + re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("name", PAGES)
def test_every_link_anchor_and_path_of_a_page_is_there(name: str) -> None:
    text = (ROOT / name).read_text()
    for target, anchor in LINK.findall(text):
        page = (ROOT / name).parent / target if target else ROOT / name
        assert page.exists(), f"{name}: {target}"
        assert not anchor or anchor in anchors(page), f"{name}: {target}{anchor}"
    for path in re.findall(r"`((?:bin|lib|schemas|tests|docs)/[A-Za-z0-9_./-]+)`", text):
        assert (ROOT / path).exists(), f"{name}: {path}"


@pytest.mark.parametrize("name", PAGES)
def test_a_page_has_short_lines_and_paragraphs(name: str) -> None:
    text = re.sub(r"^```.*?^```$", "", (ROOT / name).read_text(), flags=re.MULTILINE | re.DOTALL)
    for line in text.splitlines():
        assert len(line) <= COLUMNS or line.startswith("description: "), line
    for block in re.split(r"\n\s*\n|\n(?=\s*(?:[-*]|\d+\.) )", text):
        if not block.startswith(("|", "    ", "---")):  # tables, commands, and what a skill says to its installer
            assert len(block.split()) <= WORDS, block


def test_how_it_works_draws_every_step() -> None:
    page = (ROOT / "docs/how-it-works.md").read_text()
    assert [step.name for step in (ROOT / "lib/experiment/steps").iterdir() if f'"{step.name}' not in page] == []


def test_every_decision_has_a_title_of_its_own_and_a_status() -> None:
    page = (ROOT / "docs/decisions.md").read_text()
    titles = re.findall(r"^### .*$", page, re.MULTILINE)
    assert len({*titles}) == len(titles) <= 30, "merge entries that are one decision"
    assert re.findall(r"^### .*\n(?!\*In force since 20\d\d-\d\d-\d\d).*", page, re.MULTILINE) == []


def test_every_message_in_troubleshooting_is_printed_by_the_code() -> None:
    """`...` stands for what differs. A message that is reworded is reworded there, too."""
    page = (ROOT / "docs/troubleshooting.md").read_text()
    messages = re.findall(r"^\| `([^`]+)` \|", page, re.MULTILINE)
    assert len(messages) >= 25
    code = [path for folder in ("bin", "lib") for path in (ROOT / folder).rglob("*") if path.is_file()]
    lines = "\n".join(path.read_text(errors="replace") for path in code if "__pycache__" not in path.parts)
    for message in messages:
        assert re.search(".*".join(map(re.escape, message.split("..."))), lines), f"nothing prints '{message}'"


def test_the_changelog_knows_the_version() -> None:
    version = re.search(r'^version = "(.+)"', (ROOT / "pyproject.toml").read_text(), re.MULTILINE)
    assert version is not None
    assert f"## {version[1]}" in (ROOT / "CHANGELOG.md").read_text()


def test_a_platform_that_is_not_linux_is_told_so(house: House) -> None:
    for verb in VERBS:
        result = house.call("bash", "-c", f"OSTYPE=darwin23; source bin/{verb}")
        assert result.status == 2, verb
        assert "this platform is not supported: 'darwin23'" in result.err
