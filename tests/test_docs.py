"""The documents say what is there: targets, settings, verbs, help texts."""

import json
import re
from pathlib import Path

import pytest
from house import ROOT, House

README = (ROOT / "README.md").read_text()
REFERENCE = (ROOT / "docs/reference.md").read_text()
VERBS = sorted(path.name for path in (ROOT / "bin").iterdir())
TARGETS = re.findall(r"^([a-z-]+):.*##", (ROOT / "Makefile").read_text(), re.MULTILINE)
GOLDEN = ROOT / "tests/golden"
DOCS = sorted((ROOT / "docs").glob("*.md"))


def test_every_target_is_in_the_reference_and_calls_its_verb() -> None:
    table = REFERENCE.split("## Commands")[1].split("## Settings")[0]
    for target in set(TARGETS) - {"help"}:
        assert f"`{target}`" in table
    makefile = (ROOT / "Makefile").read_text()
    for verb in set(VERBS) - {"keepalive", "wait"}:  # which cron calls, and an agent
        assert re.search(rf"^\t@bin/{verb}$", makefile, re.MULTILINE), f"no target calls bin/{verb}"


def test_every_setting_is_in_the_reference_and_the_other_way_round() -> None:
    table = REFERENCE.split("## Settings")[1]
    schema = json.loads((ROOT / "schemas/settings.schema.json").read_text())["properties"]
    documented = set(re.findall(r"^\| `([A-Z_]+)`", table, re.MULTILINE))
    assert documented == {*schema, "TAG", "FROM", "AGENT", "ENGINE", "HF_ENDPOINT"}
    for name, one in schema.items():
        default = one.get("default")
        if default is not None:
            row = next(line for line in table.splitlines() if line.startswith(f"| `{name}`"))
            assert default in row


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
    for verb in set(VERBS) - {"loop", "take"}:
        text = (GOLDEN / f"{verb}.help").read_text()
        example = re.search(r"^Example: (?:make ([a-z-]+)((?: [A-Z_]+=.+)?)|bin/([a-z-]+).*)$", text, re.MULTILINE)
        assert example, verb
        assert (example[1] or example[3]).replace("once", "experiment") == verb
        for name in re.findall(r"\b([A-Z_]+)=", example[2] or ""):
            assert re.search(rf"^(Settings:.*|[A-Z_ ]*)\b{name}\b", text, re.MULTILINE), f"{verb}: {name}"


def test_make_without_a_target_lists_all(house: House) -> None:
    listed = [line.split()[0] for line in house.call("make").out.splitlines()]
    assert listed == TARGETS


def test_every_link_and_path_in_the_documents_is_there() -> None:
    for document in ("README.md", "CONTRIBUTING.md", "program.md", *(f"docs/{path.name}" for path in DOCS)):
        text = (ROOT / document).read_text()
        for target in re.findall(r"\]\(([^)#:]+)\)", text):
            assert (ROOT / document).parent.joinpath(target).exists(), f"{document}: {target}"
        for path in re.findall(r"`((?:bin|lib|schemas|tests|docs)/[A-Za-z0-9_./-]+)`", text):
            assert (ROOT / path).exists(), f"{document}: {path}"


def test_the_changelog_knows_the_version() -> None:
    version = re.search(r'^version = "(.+)"', (ROOT / "pyproject.toml").read_text(), re.MULTILINE)
    assert version is not None
    assert f"## {version[1]}" in (ROOT / "CHANGELOG.md").read_text()


def test_a_platform_that_is_not_linux_is_told_so(house: House, tmp_path: Path) -> None:
    for verb in VERBS:
        result = house.call("bash", "-c", f"OSTYPE=darwin23; source bin/{verb}")
        assert result.status == 2, verb
        assert "this platform is not supported: 'darwin23'" in result.err
