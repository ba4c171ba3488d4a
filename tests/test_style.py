"""The house rules (docs/decisions.md, CONTRIBUTING.md), each in a line or two: what no file of ours may do."""

import ast
import os
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from house import ROOT

STEPS = sorted(path for path in (ROOT / "lib/experiment/steps").iterdir())
VERBS = sorted(path for path in (ROOT / "bin").iterdir() if os.access(path, os.X_OK))


def files(*folders: str) -> Iterator[Path]:
    for folder in folders:
        for path in sorted((ROOT / folder).rglob("*")):
            if path.is_file() and "__pycache__" not in path.parts:
                yield path


def is_bash(path: Path) -> bool:
    head = path.read_bytes()[:4096].decode(errors="replace")
    return head.startswith(("#!/usr/bin/env bash", "#!/bin/sh")) or "\n# shellcheck shell=bash" in head


def is_python(path: Path) -> bool:
    return path.suffix == ".py" or path.read_bytes().startswith(b"#!/usr/bin/env python")


BASH = [path for path in files("bin", "lib", ".ci") if is_bash(path)]
PYTHON = [path for path in files("bin", "lib") if is_python(path)]
CORE = [path for path in PYTHON if path.is_relative_to(ROOT / "lib/lab")]


def name(path: Path) -> str:
    return str(path.relative_to(ROOT))


def test_there_is_something_to_rule() -> None:
    assert len(STEPS) >= 7
    assert {"setup", "loop", "experiment", "status", "stop", "test", "check", "bench"} <= {path.name for path in VERBS}
    assert {"lib/common.sh", "lib/child/engines/local", "bin/loop", "lib/experiment/steps/30-run"} <= {
        name(path) for path in BASH
    }
    assert {"lib/lab/verdict/criterion.py", "lib/lab/cli.py"} <= {name(path) for path in CORE}


# --- Bash -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("path", BASH, ids=name)
@pytest.mark.parametrize(
    ("pattern", "why"),
    [
        (r"\b0\.00[15]\b", "a threshold: what a gain means is for lib/lab/verdict/criterion.py"),
        (r"\b(val_bpb|peak_vram_mb)\b.*[<>=]", "a comparison of numbers that mean something is for lib/lab"),
        (r"\becho\s+-\w*e", "`echo -e` corrupts a TSV under sh: printf"),
        (r"(^|[;&|(\s])eval\s", "what a person typed must not run"),
        (r"reset\s+(-\S+\s+)*--hard", "a person's work is never lost: the branch goes back to a recorded commit"),
        (r"\bgit\s+(-\S+\s+)*clean\b", "a person's files are never deleted"),
        (r"HEAD~|HEAD\^", "back to a recorded commit, never to a parent that may be another one"),
        (
            r"\b(command|env|exec|xargs|apart|detach|run_child|capture|start_child)\s+([-A-Z]\S*\s+)*git\s(?!\"\$\{OUR_GIT)",
            "git is called in one way: the function of lib/git.sh",
        ),
    ],
    ids=lambda text: text if "\\" in text else "",
)
def test_no_bash_file_has(path: Path, pattern: str, why: str) -> None:
    for number, line in enumerate(path.read_text().splitlines(), start=1):
        assert not re.search(pattern, line), f"{name(path)}:{number}: {why}"


@pytest.mark.parametrize("path", BASH, ids=name)
def test_no_bash_file_is_longer_than_200_lines(path: Path) -> None:
    assert len(path.read_text().splitlines()) <= 200


@pytest.mark.parametrize("path", STEPS, ids=name)
def test_a_steps_second_line_says_what_it_reads(path: Path) -> None:
    assert re.fullmatch(r"\d\d-[a-z-]+", path.name)
    assert os.access(path, os.X_OK)
    assert path.read_text().splitlines()[1].startswith("# Reads ")


# --- Python ---------------------------------------------------------------------------------------------------------

STARTS_A_PROCESS = re.compile(r"os\.(system|popen|fork\w*|exec\w+|spawn\w+|posix_spawn\w*|startfile|kill\w*)")
PROCESS_MODULES = {"subprocess", "multiprocessing", "pty", "concurrent", "asyncio", "git", "pygit2", "dulwich"}


@pytest.mark.parametrize("path", CORE, ids=name)
def test_the_core_starts_no_process(path: Path) -> None:
    for node in ast.walk(ast.parse(path.read_text())):
        where = f"{name(path)}:{getattr(node, 'lineno', 0)}"
        if isinstance(node, ast.Import):
            assert not {alias.name.split(".")[0] for alias in node.names} & PROCESS_MODULES, where
        elif isinstance(node, ast.ImportFrom):
            assert (node.module or "").split(".")[0] not in PROCESS_MODULES, where
            names = [f"{node.module}.{alias.name}" for alias in node.names]
            assert not any(STARTS_A_PROCESS.fullmatch(text) for text in names), where
        elif isinstance(node, ast.Attribute):
            assert not STARTS_A_PROCESS.fullmatch(ast.unparse(node)), where


@pytest.mark.parametrize("path", PYTHON, ids=name)
def test_no_function_is_longer_than_45_lines(path: Path) -> None:
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            length = (node.end_lineno or 0) - node.lineno + 1
            assert length <= 45, f"{name(path)}:{node.lineno}: {node.name} has {length} lines"


@pytest.mark.parametrize("path", [path for path in CORE if path.name not in ("cli.py", "step_server.py")], ids=name)
def test_only_the_command_line_prints(path: Path) -> None:
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Call):
            assert ast.unparse(node.func) not in ("print", "sys.exit", "click.echo"), f"{name(path)}:{node.lineno}"


# --- What is Linux's own ---------------------------------------------------------------------------------------------

LINUX = re.compile(
    r"/proc/|/sys/|\bprctl\b|\bflock\s|\bsetsid\b|\bstat\s+-|\bdate\s+-d|\bdf\s+--|\bsync\s+\"|-printf|--kill-after|sched_getaffinity"
)
LINUX_FILES = set(
    re.findall(r"`(lib/\S+)`", (ROOT / "CONTRIBUTING.md").read_text().split("depends on Linux")[1].split("\n## ")[0])
)


def test_what_only_linux_has_is_where_contributing_says() -> None:
    """So that another system needs another version of these few files alone."""
    found = {
        name(path)
        for path in {*BASH, *PYTHON}
        if "rehearsal" not in path.parts
        and any(LINUX.search(line.split(" # ")[0]) for line in code_of(path) if not line.lstrip().startswith("#"))
    }
    assert found == LINUX_FILES - {"lib/common.sh"}


def code_of(path: Path) -> list[str]:
    """Its lines, but for docstrings and the words of the rules."""
    return [] if path.name == "rules.py" else path.read_text().splitlines()


# --- Rooms ------------------------------------------------------------------------------------------------------------

ROOMS = ("store", "runs", "verdict", "proposal", "views", "agents", "catalog")
ABOVE = {"store": set(ROOMS) - {"store"}, "runs": set(ROOMS) - {"store", "runs"}}  # what they know nothing of


@pytest.mark.parametrize("room", ABOVE)
def test_a_room_knows_nothing_of_those_above_it(room: str) -> None:
    for path in sorted((ROOT / "lib/lab" / room).glob("*.py")):
        used = set(re.findall(r"^\s*from lab\.(\w+)", path.read_text(), re.MULTILINE))
        assert not used & ABOVE[room], name(path)


def test_few_modules_are_in_no_room() -> None:
    flat = {path.stem for path in (ROOT / "lib/lab").glob("*.py")}
    assert flat == {"__init__", "cli", "step_server", "errors", "one_line", "hardware"}


# --- Help -----------------------------------------------------------------------------------------------------------


def header(path: Path) -> str:
    """The comment under the first line, as text."""
    lines = []
    for line in path.read_text().splitlines()[1:]:
        if not line.startswith("#"):
            break
        lines.append(line.removeprefix("#").removeprefix(" "))
    return "".join(line + "\n" for line in lines)


def call(folder: Path, *command: str | Path) -> subprocess.CompletedProcess[str]:
    """In an environment without uv, git's configuration, or the project's environment: it must not come to that."""
    environment = {"PATH": "/usr/bin:/bin", "HOME": str(folder), "UV_PROJECT_ENVIRONMENT": str(folder / "none")}
    done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, timeout=20, check=False)
    assert list(folder.iterdir()) == [], "help does nothing else"
    return done


ASKED = [(path, option) for path in VERBS for option in ("--help", "-h") if (path.name, option) != ("test", "-h")]


@pytest.mark.parametrize(("path", "option"), ASKED, ids=lambda value: value if isinstance(value, str) else name(value))
def test_the_header_is_the_help(path: Path, option: str, tmp_path: Path) -> None:
    done = call(tmp_path, path, option)
    assert (done.returncode, done.stdout, done.stderr) == (0, header(path), "")
    assert done.stdout.startswith(f"Usage: {path.name}")
    assert len(done.stdout.splitlines()) >= 3, "a usage, a blank line, and what it does"


TAKE_NOTHING = [path for path in VERBS if header(path).startswith(f"Usage: {path.name}\n")]


@pytest.mark.parametrize("argument", ["--bogus", "bogus"])
@pytest.mark.parametrize("path", TAKE_NOTHING, ids=name)
def test_an_unknown_argument_is_refused(path: Path, argument: str, tmp_path: Path) -> None:
    done = call(tmp_path, path, argument)
    assert (done.returncode, done.stdout) == (2, "")
    problem, hint = done.stderr.splitlines()
    assert problem == f"{path.name}: unknown argument '{argument}'"
    assert hint.startswith("hint: ")


@pytest.mark.parametrize("path", [path for path in VERBS if path.name != "test"], ids=name)
def test_an_unknown_option_is_refused(path: Path, tmp_path: Path) -> None:
    assert call(tmp_path, path, "--bogus").returncode == 2


# --- Everything that is committed -----------------------------------------------------------------------------------

# In parts, so that this file does not hold what it looks for.
REGISTRIES = [
    ".".join(parts)
    for parts in (
        ("pypi", "org"),
        ("pypi", "python", "org"),
        ("pythonhosted", "org"),
        ("download", "pytorch", "org"),
        ("npmjs", "org"),
        ("npmjs", "com"),
        ("anaconda", "org"),
        ("anaconda", "com"),
        ("crates", "io"),
        ("proxy", "golang", "org"),
        ("rubygems", "org"),
        ("deb", "debian", "org"),
        ("archive", "ubuntu", "com"),
    )
]


def committed() -> list[Path]:
    """What git tracks, or would with the next commit."""
    environment = {"PATH": os.environ["PATH"], "HOME": "/nonexistent"}
    command = ["git", "-c", f"safe.directory={ROOT}", "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        pytest.skip("not a git repository")
    paths = [ROOT / line for line in done.stdout.split("\0") if line]
    return [path for path in paths if path.is_file() and not path.is_symlink()]


def test_no_committed_file_names_a_package_registry() -> None:
    paths = committed()
    assert ROOT / "bin/loop" in paths
    found = [
        f"{name(path)}: {host}"
        for path in paths
        for host in REGISTRIES
        if host in path.read_bytes().decode(errors="replace").lower()
    ]
    assert found == []


def test_what_a_run_leaves_is_never_tracked() -> None:
    tracked = [name(path) for path in committed()]
    left = re.compile(r"(results\.tsv|run\.log|uv\.lock|(runs|memory|\.venv|\.uv)/.*)")
    assert [path for path in tracked if left.fullmatch(path)] == []
