"""The texts that a person can meet are plain modern English: none has a word of a short list.

WORDS holds patterns, each with what to write instead. A text is a message of bash or Python, a help text, a page, a
skill, a description in a schema, or text of the report. Code in pages is left out.
"""

import ast
import json
import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest
from house import ROOT

pytestmark = pytest.mark.xdist_group("words")  # one reading, one worker

# Pattern -> what to write instead.
WORDS = {
    r"\bplease\b": "say what to do",
    r"[A-Za-z]!(?=\s|$)": "a full stop, or none",
    r"\b(lest|albeit|ere|nay|oft|henceforth|hitherto|heretofore|betwixt|whilst|unto)\b": "a word of today",
    r"\b(there|where|here)(of|in|upon|unto|with)\b": "of it, in it, with it",
    r"\bto be had\b": "available",
    r"\banew\b": "again",
    r"\bthe same again\b": "name the command",
    r"\bnobody knows\b": "unknown",
    r"\bwanted still\b": "still wanted",
    r"\bmay only be the same\b": "cannot change",
    r"\bput by\b": "stash",
    r"\bnone is (begun|made|done)\b": "name what does not happen",
    r"\bis of (ours|theirs|yours)\b": "belongs to",
}
# The same for messages of a verb: what only a reader of the code knows.
INTERNAL = {
    r"\blib/(lab|experiment|run|child|core)\b": "a file of the toolkit's code",
    r"\b\w+\.sh\b": "a script of the toolkit",
    r"\b(RUN_DIR|FLIGHT)\b": "a variable of the toolkit's code",
}
PAGES = [
    "README.md",
    "CONTRIBUTING.md",
    "AGENTS.md",
    "program.md",
    *ROOT.glob("docs/*.md"),
    *ROOT.glob("skills/**/*.md"),
]
CODE = re.compile(r"^(```|~~~).*?^\1|^ {4,}.*?$|`[^`]*`|<!--.*?-->", re.MULTILINE | re.DOTALL)
STRING = re.compile(r"""'([^']*)'|"((?:[^"\\]|\\.)*)\"""")
PAGE_TEXT = re.compile(r">([^<>{}]+)<|[`'\"]([^`'\"\n]* [^`'\"\n]*)[`'\"]")  # between tags, and strings of words
SAYS = re.compile(r"\b(say|tell|die|trouble \w+)\s+['\"$].*|\bFOUND=.*|printf '(ok|warning|problem|hint).*")
EXPANDED = re.compile(r"\$\{[^}]*\}|\$\(.*?\)|\$\w+")


def bash_files() -> Iterator[Path]:
    for folder in ("bin", "lib"):
        for path in sorted((ROOT / folder).rglob("*")):
            if (
                path.is_file()
                and path.read_bytes().startswith((b"#!/usr/bin/env bash", b"#"))
                and path.suffix in ("", ".sh")
            ):
                yield path


def bash_messages() -> Iterator[tuple[str, str]]:
    """The strings of the commands that say something, and of the lines that continue one."""
    for path in bash_files():
        goes_on = False
        for number, line in enumerate(path.read_text().splitlines(), start=1):
            says = SAYS.search(line)
            if says or goes_on:
                strings = STRING.findall(EXPANDED.sub("", says[0] if says else line))
                yield f"{path.relative_to(ROOT)}:{number}", " ".join("".join(one) for one in strings)
            goes_on = (goes_on or says is not None) and line.endswith("\\")


def python_messages() -> Iterator[tuple[str, str]]:
    """The strings of several words in the core, without docstrings; of an f-string, the fixed parts."""
    for path in sorted((ROOT / "lib/lab").rglob("*.py")):
        tree = ast.parse(path.read_text())
        docs = {id(node.value) for node in ast.walk(tree) if isinstance(node, ast.Expr)}
        for node in ast.walk(tree):
            if (
                isinstance(node, ast.Constant)
                and isinstance(node.value, str)
                and id(node) not in docs
                and " " in node.value
            ):
                yield f"{path.relative_to(ROOT)}:{node.lineno}", node.value


def descriptions(node: object) -> Iterator[str]:
    if isinstance(node, dict):
        yield from (str(node[key]) for key in ("description", "title") if key in node)
        for one in node.values():
            yield from descriptions(one)
    elif isinstance(node, list):
        for one in node:
            yield from descriptions(one)


def other_texts() -> Iterator[tuple[str, str]]:
    for page in PAGES:
        path = ROOT / page
        text = CODE.sub(lambda found: "\n" * found[0].count("\n"), path.read_text())
        yield from (
            (f"{path.relative_to(ROOT)}:{number}", line) for number, line in enumerate(text.splitlines(), start=1)
        )
    for path in sorted((ROOT / "tests/golden").glob("*.help")):
        yield path.name, path.read_text()
    for path in sorted((ROOT / "schemas").glob("*.json")):
        yield from ((path.name, text) for text in descriptions(json.loads(path.read_text())))
    yield "Makefile", "\n".join(re.findall(r"## (.*)", (ROOT / "Makefile").read_text()))
    for path in sorted((ROOT / "lib/lab/views/report").glob("page.*")):
        if path.suffix != ".css":
            text = re.sub(r"<!.*?>|//.*", "", path.read_text())
            yield path.name, " ".join("".join(one) for one in PAGE_TEXT.findall(text))


@cache
def messages() -> list[tuple[str, str]]:
    """All messages, as places and texts: read when a test runs, since each worker of xdist imports this file."""
    return [*bash_messages(), *python_messages()]


@cache
def texts() -> list[tuple[str, str]]:
    return [*messages(), *other_texts()]


def having(found: list[tuple[str, str]], pattern: str) -> str:
    return "\n".join(f"{where}: {text.strip()[:160]}" for where, text in found if re.search(pattern, text))


def test_there_are_texts() -> None:
    assert len(messages()) > 400
    assert len(texts()) > 1000
    assert any("hint" in where for where, _ in texts())


@pytest.mark.parametrize("pattern", WORDS)
def test_no_text_has(pattern: str) -> None:
    assert having(texts(), f"(?i){pattern}") == "", f"write instead: {WORDS[pattern]}"


@pytest.mark.parametrize("pattern", INTERNAL)
def test_no_message_names(pattern: str) -> None:
    assert having(messages(), pattern) == "", f"a person does not know {INTERNAL[pattern]}"
