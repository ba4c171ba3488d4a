"""`changes.jsonl`: what an experiment changed, by constant and by line of the code before."""

from pathlib import Path

import pytest
from lab.proposal import changes
from lab.store import schemas

COMMIT = "a1" * 20
BEFORE = """\
DEPTH = 8  # blocks
WIDTH = 64 if SMALL else 640
BETAS = (0.8, 0.95)


def mlp(x):
    x = norm(x)
    return x
"""


BOTH = "64 if SMALL else 640"


def of(old: str, new: str) -> changes.Change:
    assert old in BEFORE
    change = changes.made_by(COMMIT, BEFORE, BEFORE.replace(old, new), with_diff=True)
    assert schemas.problems("change", vars(change)) == []
    return change


@pytest.mark.parametrize(
    ("old", "new", "constants", "places"),
    [
        ("8  # blocks", "9  # more", {"DEPTH": ["8", "9"]}, ["DEPTH"]),
        ("8  # blocks", "8  # eight", {}, ["DEPTH"]),
        ("DEPTH = 8  # blocks\n", "", {"DEPTH": ["8", None]}, ["DEPTH"]),
        ("BETAS", "RANK = 3\nBETAS", {"RANK": [None, "3"]}, ["RANK"]),
        ("64 if", "96 if", {"WIDTH": ["64", "96"]}, ["WIDTH"]),
        ("else 640", "else 768", {"WIDTH": ["640", "768"]}, ["WIDTH"]),
        (BOTH, "96 if SMALL else 768", {"WIDTH": [BOTH, "96 if SMALL else 768"]}, ["WIDTH"]),
        (BOTH, "96", {"WIDTH": [BOTH, "96"]}, ["WIDTH"]),
        ("norm(x)", "relu(x)", {}, ["x = norm(x)"]),
        ("    return x", "    x = x * 2\n    return x", {}, ["after x = norm(x)"]),
        ("DEPTH = 8", "import math\nDEPTH = 8", {}, ["after the start of the file"]),
    ],
)  # fmt: skip
def test_constants_and_places(old: str, new: str, constants: dict[str, list[str | None]], places: list[str]) -> None:
    change = of(old, new)
    assert (change.constants, change.places) == (constants, places)


def test_a_diff_has_context_around_code_and_none_around_constants() -> None:
    assert of("8  # blocks", "9").diff == "-DEPTH = 8 # blocks\n+DEPTH = 9"
    assert of("norm(x)", "relu(x)").diff == " def mlp(x):\n-    x = norm(x)\n+    x = relu(x)\n     return x"
    assert "\n...\n" in (of(BEFORE, "A = 1\n" + BEFORE + "B = 2\n").diff or "")


def test_a_train_py_that_is_anything_stays_in_bounds() -> None:
    wild = "".join(f"C{n} = '{'学' * 900}\x1b[2J\u2028'\n" for n in range(400))
    change = changes.made_by(COMMIT, BEFORE, wild, with_diff=True)
    assert schemas.problems("change", vars(change)) == []
    assert len(change.diff or "") <= changes.DIFF + 10
    assert not set(str(vars(change))) & {"\x1b", "\u2028"}


def test_a_change_is_there_once(tmp_path: Path) -> None:
    for _ in range(2):
        changes.append(tmp_path, of("8  # blocks", "9"))
    assert (tmp_path / "changes.jsonl").read_text().count("\n") == 1


def test_what_has_none_on_record_is_told_by_its_description(tmp_path: Path) -> None:
    changes.append(tmp_path, of("8  # blocks", "9"))
    past = [
        {"commit": COMMIT, "description": "x"},
        {"commit": "b2" * 20, "description": "raise LR 0.04 -> 0.06 and B[1]"},
    ]
    first, second = changes.of_experiments(tmp_path, past)
    assert first == of("8  # blocks", "9")
    assert (second.constants, second.places, second.diff) == ({"LR": ["0.04", "0.06"]}, ["LR"], None)
