"""A model's answer with search/replace blocks -> new texts of files that may change. All blocks fit, or none counts.

    model.py
    <<<<<<< SEARCH
    lines as they are, whole ones
    =======
    lines as they are to be
    >>>>>>> REPLACE

The place of a block is found by its SEARCH lines: exactly, else without the white space at their ends. The line above
names its file; this is optional if only one file may change. Without a SEARCH line, the file is new.
`candidates/NAME.py` is a further candidate, a copy of train.py; if several files may change, it is the folder
`candidates/NAME`. Errors: Fault, naming the block.
"""

import re
from collections.abc import Callable
from dataclasses import dataclass

from lab.errors import Fault
from lab.store.code import ONE, Code

FENCE = r"(?:```[^\n]*\n)"
BLOCK = re.compile(
    rf"(?:^(?!{FENCE})[ `*:]*(?P<file>[\w./-]+\.\w+)[ `*:]*\n(?:{FENCE}|\n)*)?"
    r"^<{5,9} ?SEARCH *\n(?P<search>.*?)^={5,9} *\n(?P<replace>.*?)^>{5,9} ?REPLACE *$\n?",
    re.MULTILINE | re.DOTALL,
)
CANDIDATE = re.compile(r"candidates/[\w-]+\.py")
ONE_OF_SEVERAL = re.compile(r"candidates/[\w-]+(?:\.txt|/(?P<path>.*))")
NEW = re.compile(r"\w[\w.-]*(?:/\w[\w.-]*)*")  # a path that may be new
HINT = "copy whole lines that occur once in the file"


@dataclass(frozen=True)
class Block:
    """`search` and `replace` are lines; `file` is the name above the block, if any."""

    number: int
    file: str | None
    search: list[str]
    replace: list[str]


def apply(files: Code, answer: str) -> Code:
    """The new texts by path. `files`: those that may change. Raises Fault if a block does not fit."""
    texts: dict[str, list[str]] = {}
    for block in blocks(answer.replace("\r\n", "\n")):
        name = (block.file or _searched(block, files)).removeprefix("./")
        lines = texts.setdefault(name, _before(block, name, files).split("\n"))
        at = place(block, lines, name)
        lines[at : at + len(block.search)] = block.replace
    return {name: "\n".join(lines) for name, lines in texts.items()}


def _before(block: Block, name: str, files: Code) -> str:
    """The old text; empty for a new file. Raises Fault if that file may not change."""
    is_one, known = [*files] == [ONE], name
    if candidate := (CANDIDATE if is_one else ONE_OF_SEVERAL).fullmatch(name):
        known = ONE if is_one else candidate["path"] or name
    if known in files:
        return files[known]
    if is_one or any(block.search) or not NEW.fullmatch(known):
        raise Fault(f"block {block.number} changes '{block.file}'", f"change only these files: {' '.join(files)}")
    return ""


def _searched(block: Block, files: Code) -> str:
    """The file of a block without a name: the only one, or the only one that has the lines."""
    found = [name for name, text in files.items() if matches(block.search, text.split("\n"), str.rstrip)]
    if len(files) > 1 and len(found) != 1:
        raise Fault(f"block {block.number} names no file", "write the path of its file on the line above it")
    return found[0] if found else next(iter(files))


def blocks(answer: str) -> list[Block]:
    """The blocks of the answer, in order. Raises Fault for half of one."""
    found = [
        Block(number, match["file"], match["search"].split("\n")[:-1], match["replace"].split("\n")[:-1])
        for number, match in enumerate(BLOCK.finditer(answer), 1)
    ]
    if re.search(r"^(<{5,9} ?SEARCH|>{5,9} ?REPLACE)", BLOCK.sub("", answer), re.MULTILINE):
        raise Fault(f"block {len(found) + 1} is incomplete", "write SEARCH, ======= and REPLACE on separate lines")
    return found


def place(block: Block, lines: list[str], name: str) -> int:
    """The index of the first line that is replaced."""
    if lines == [""]:
        return 0  # a new file
    if not any(line.strip() for line in block.search):
        raise Fault(f"block {block.number} has no SEARCH lines", HINT)
    found = matches(block.search, lines, str) or matches(block.search, lines, str.rstrip)
    if len(found) != 1:
        times = f"{len(found)} times" if found else "not"
        raise Fault(f"block {block.number}: its SEARCH lines are {times} in {name}: '{block.search[0].strip()}'", HINT)
    return found[0]


def matches(search: list[str], lines: list[str], form: Callable[[str], str]) -> list[int]:
    """The indexes at which the lines are found, compared after `form`."""
    wanted, there = [form(line) for line in search], [form(line) for line in lines]
    return [at for at in range(len(there) - len(wanted) + 1) if there[at : at + len(wanted)] == wanted]


def said(answer: str) -> str:
    """The answer without its blocks, their fences and the names above them."""
    return re.sub(rf"^{FENCE}", "", BLOCK.sub("", f"{answer}\n".replace("\r\n", "\n")), flags=re.MULTILINE).strip()
