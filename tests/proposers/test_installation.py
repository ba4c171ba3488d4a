"""The skill, as each ecosystem installs it: one text, manifests that agree, each taken by its own command line."""

import json
import re
import subprocess
from pathlib import Path
from typing import Any

import pytest
from agents import BROUGHT, needs
from house import ROOT

SKILL = "ml-experiment-loop/SKILL.md"
MANIFESTS = (
    "skills/.claude-plugin/plugin.json",
    "skills/.codex-plugin/plugin.json",
    "gemini-extension.json",
    "package.json",
)
MARKETPLACES = (".claude-plugin/marketplace.json", ".agents/plugins/marketplace.json")


def read(path: str) -> Any:
    return json.loads((ROOT / path).read_text())


def test_the_skill_is_one_text() -> None:
    """Copies, for installers copy no links."""
    texts = {(ROOT / folder / SKILL).read_text() for folder in ("skills", ".claude/skills", ".agents/skills")}
    assert len(texts) == 1
    assert not [path for path in (ROOT / "skills").rglob("*") if path.is_symlink()]


def test_the_manifests_agree_with_the_project() -> None:
    project = (ROOT / "pyproject.toml").read_text()
    known = dict(re.findall(r'^(name|version|description) = "(.*)"', project, re.MULTILINE)[:3])
    for path in MANIFESTS:
        assert {name: read(path)[name] for name in known} == known, path
    for path in MARKETPLACES:
        (plugin,) = read(path)["plugins"]
        assert (read(path)["name"], plugin["name"]) == (known["name"], known["name"])
        source = plugin["source"]["path"] if isinstance(plugin["source"], dict) else plugin["source"]
        assert source == "./skills", "not the root: Claude Code would put all of bin/ on the PATH"


@pytest.fixture
def call(tmp_path: Path) -> Any:
    """A command line, in an empty repository, with a HOME of its own."""
    home, project = tmp_path / "home", tmp_path / "project"
    home.mkdir()
    project.mkdir()
    environment = {"HOME": str(home), "PATH": "/usr/local/bin:/usr/bin:/bin", "TMPDIR": str(tmp_path)}
    subprocess.run(["git", "init", "--quiet", project], check=True)

    def run(name: str, *arguments: str) -> str:
        done = subprocess.run(
            ["bash", "-c", 'yes | "$@"', "bash", str(BROUGHT / name), *arguments],
            cwd=project, env=environment, capture_output=True, text=True, timeout=60, check=False,
        )  # fmt: skip
        print(name, *arguments, done)
        assert done.returncode == 0
        return done.stdout + done.stderr

    return run


def installed(tmp_path: Path) -> list[str]:
    """The skills in that home, or of the project."""
    return [path.read_text() for path in tmp_path.rglob(SKILL)]


@pytest.mark.slow
@needs("claude")
def test_a_plugin_of_claude_code(call: Any, tmp_path: Path) -> None:
    call("claude", "plugin", "validate", "--strict", str(ROOT))
    call("claude", "plugin", "validate", "--strict", str(ROOT / "skills"))
    call("claude", "plugin", "marketplace", "add", str(ROOT))
    call("claude", "plugin", "install", "ml-experiment-loop@ml-experiment-loop")
    assert (ROOT / "skills" / SKILL).read_text() in installed(tmp_path)


@pytest.mark.slow
@needs("codex")
def test_a_plugin_of_codex_and_its_rules(call: Any, tmp_path: Path) -> None:
    call("codex", "plugin", "marketplace", "add", str(ROOT))
    call("codex", "plugin", "add", "ml-experiment-loop@ml-experiment-loop")
    assert (ROOT / "skills" / SKILL).read_text() in installed(tmp_path)
    rules = ("execpolicy", "check", "--rules", str(ROOT / ".codex/rules/lab.rules"))
    for command in ("bin/experiment --from-tree what --detach", "bin/wait", "bin/setup mar14"):
        assert '"decision":"allow"' in call("codex", *rules, *command.split())
    for command in ("make setup TAG=mar14", "bin/loop", "bash -c bin/wait"):
        assert "allow" not in call("codex", *rules, *command.split())


@pytest.mark.slow
@needs("gemini")
def test_an_extension_of_gemini(call: Any) -> None:
    call("gemini", "extensions", "validate", str(ROOT))
    call("gemini", "extensions", "link", str(ROOT))
    listed = call("gemini", "extensions", "list")
    assert "ml-experiment-loop: Runs autonomous" in listed
    assert "GEMINI.md" not in listed, "it says how to work in this repository"


@pytest.mark.slow
@needs("pi")
def test_a_package_of_pi(call: Any) -> None:
    call("pi", "install", str(ROOT), "-l")
    assert str(ROOT) in call("pi", "list")
