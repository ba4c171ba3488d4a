"""A model's answer with search/replace blocks -> other texts of train.py. All blocks fit, or nothing is changed.

    <<<<<<< SEARCH
    lines as they are, whole ones
    =======
    lines as they are to be
    >>>>>>> REPLACE

A block is found by its lines: as they are, else without the white space at their ends. A line `candidates/NAME.py`
above it says that it is one of a further candidate. Errors: Fault, naming the block.
"""

import re
from collections.abc import Callable
from dataclasses import dataclass

from lab.errors import Fault

BLOCK = re.compile(
    r"^<{5,9} ?SEARCH *\n(?P<search>.*?)^={5,9} *\n(?P<replace>.*?)^>{5,9} ?REPLACE *$\n?", re.MULTILINE | re.DOTALL
)
NAME = re.compile(r"[\w./-]+\.\w+")  # the line above a block, which may name its file
OWN = "train.py"
CANDIDATE = re.compile(r"candidates/[\w-]+\.py")
FENCE = "```"
HINT = "the SEARCH lines must be whole lines of train.py, and there once"


@dataclass(frozen=True)
class Block:
    """`search` and `replace` are lines; `file` is the name that stands above, if any."""

    number: int
    file: str | None
    search: list[str]
    replace: list[str]


def apply(text: str, answer: str) -> dict[str, str]:
    """The new texts, by the names of their files. Raises Fault where a block does not fit."""
    texts: dict[str, list[str]] = {}
    for block in blocks(answer.replace("\r\n", "\n")):
        lines = texts.setdefault(file_of(block), text.split("\n"))
        at = place(block, lines)
        lines[at : at + len(block.search)] = block.replace
    return {name: "\n".join(lines) for name, lines in texts.items()}


def file_of(block: Block) -> str:
    """train.py, or a candidate's."""
    name = (block.file or OWN).removeprefix("./")
    if not is_named(name):
        raise Fault(f"block {block.number} is for '{block.file}'", "train.py is the one file to edit")
    return name


def is_named(line: str) -> bool:
    """Whether a line names a file that a block may be for."""
    name = line.strip(" `*:").removeprefix("./")
    return name == OWN or bool(CANDIDATE.fullmatch(name))


def blocks(answer: str) -> list[Block]:
    """Those of the answer, in its order. Raises Fault on what looks like half of one."""
    found = [
        Block(
            number,
            file_above(answer[: match.start()]),
            match["search"].split("\n")[:-1],
            match["replace"].split("\n")[:-1],
        )
        for number, match in enumerate(BLOCK.finditer(answer), 1)
    ]
    if re.search(r"^(<{5,9} ?SEARCH|>{5,9} ?REPLACE)", BLOCK.sub("", answer), re.MULTILINE):
        raise Fault(f"block {len(found) + 1} is not whole", "SEARCH, =======, REPLACE: each on a line of its own")
    return found


def file_above(before: str) -> str | None:
    """The name of a file in the last line that is no fence."""
    lines = [line.strip(" `*:") for line in before.rstrip("\n").split("\n") if not line.startswith(FENCE)]
    return lines[-1] if lines and NAME.fullmatch(lines[-1]) else None


def place(block: Block, lines: list[str]) -> int:
    """The index of the first line that is replaced."""
    if not any(line.strip() for line in block.search):
        raise Fault(f"block {block.number} searches for nothing", HINT)
    found = matches(block.search, lines, str) or matches(block.search, lines, str.rstrip)
    if len(found) != 1:
        times = f"{len(found)} times" if found else "nowhere"
        raise Fault(f"block {block.number} is {times} in train.py: '{block.search[0].strip()}'", HINT)
    return found[0]


def matches(search: list[str], lines: list[str], form: Callable[[str], str]) -> list[int]:
    """Where the lines are, each as `form` has it."""
    wanted, there = [form(line) for line in search], [form(line) for line in lines]
    return [at for at in range(len(there) - len(wanted) + 1) if there[at : at + len(wanted)] == wanted]


def said(answer: str) -> str:
    """The answer without its blocks, their fences and the names above them."""
    rest = BLOCK.sub("", answer.replace("\r\n", "\n"))
    kept = [line for line in rest.split("\n") if not line.startswith(FENCE)]
    return "\n".join(line for line in kept if not is_named(line)).strip()
