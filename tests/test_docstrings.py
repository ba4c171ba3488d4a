"""Comments in bash, and comments, docstrings and strings in Python, are plain sentences. Old texts had PATTERNS."""

import ast
import io
import re
import tokenize
from collections.abc import Iterator
from pathlib import Path

import pytest
from house import ROOT
from test_words import bash_files

PATTERNS = {
    "no relative or verbless opening": r"^(?:What|Whatever|Whoever|Those|That of|Of|Else|But|And|With what|By what)"
    r" (?=(?:\S+\s+){3})",  # a heading may be short
    "'because' or 'if' instead of 'for'": r"[,;:] for (?:it|they|there|nobody|what|who|whoever|he|she) ",
    "plain words": r"\b(?:for ever|nobody knows|not to be had|wanted still|of which [a-z]+|thereof|whence|lest|anew"
    r"|as (?:they|it) (?:do|does) not|in the air)\b",
}


IS_PATTERN = re.compile(r"\\[bdswn]|\(\?")


def python_texts(path: Path) -> Iterator[tuple[int, str]]:
    """The comments, docstrings and other strings of a Python file, with their lines; no regular expressions."""
    source = path.read_text()
    for token in tokenize.generate_tokens(io.StringIO(source).readline):
        if token.type == tokenize.COMMENT:
            yield token.start[0], token.string.strip("# ")
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and not IS_PATTERN.search(node.value):
            yield node.lineno, node.value.strip()


def found(texts: Iterator[tuple[int, str]]) -> list[str]:
    return [
        f"line {number}: {why}: {text.strip()[:100]!r}"
        for number, text in texts
        for why, pattern in PATTERNS.items()
        if re.search(pattern, text)
    ]


PYTHON = [*sorted((ROOT / "lib").rglob("*.py")), ROOT / "prepare.py", ROOT / "train.py"]


@pytest.mark.parametrize("path", PYTHON, ids=lambda path: str(path.relative_to(ROOT)))
def test_a_python_file(path: Path) -> None:
    assert not found(python_texts(path))


FUNCTION = re.compile(r"^[a-z_]+( \S+)*: ")  # `name ARGUMENTS: what it does`


@pytest.mark.parametrize("path", [*bash_files()], ids=lambda path: str(path.relative_to(ROOT)))
def test_a_bash_file(path: Path) -> None:
    lines = enumerate(path.read_text().splitlines(), start=1)
    comments = [(number, match[1]) for number, line in lines if (match := re.search(r"(?:^|\s)# (.*)", line))]
    assert not found((number, FUNCTION.sub("", text)) for number, text in comments)
