"""`lab describe`: what a proposer said and changed -> description, category, and why it is rejected, if it is."""

from pathlib import Path

import pytest
from flights import put_code
from house import lab_step
from lab.proposal.check_edit import LARGEST

BEFORE = """\
import torch

DEPTH = 8  # blocks
MATRIX_LR = 0.04  # Muon


def activation(x):
    return torch.relu(x).square()
"""
AFTER = BEFORE.replace("0.04", "0.06")


def describe(
    folder: Path, said: str | bytes | None, after: str | bytes | None = AFTER, changed: str = "M\ttrain.py\n"
) -> tuple[str, str, str | None]:
    """Description, category and rejection; `after` None: no train.py came back, `said` None: nothing was said."""
    flight = folder / "flights/f1"
    flight.mkdir(parents=True)
    put_code(flight, BEFORE, after)
    (flight / "changed").write_text(changed)
    (flight / "editable").write_text("".join(line for line in changed.splitlines(True) if "\ttrain.py" in line))
    if said is not None:
        (flight / "said").write_bytes(said if isinstance(said, bytes) else said.encode())
    return call(folder)


def call(folder: Path) -> tuple[str, str, str | None]:
    result = lab_step("describe", folder)
    assert result.exit_code == 0, result.output
    texts = []
    for name in ("description", "category", "rejected"):
        path = folder / "flights/f1" / name
        text = path.read_bytes().decode() if path.exists() else None
        assert text is None or (text.endswith("\n") and text.count("\n") == 1), text
        texts.append(text and text[:-1])
    description, category, rejected = texts
    assert description is not None
    assert category is not None
    assert 1 <= len(description) <= 200
    assert description.isprintable()
    return description, category, rejected


# --- What was said --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("said", "description"),
    [
        ("raise MATRIX_LR 0.04 -> 0.06\n", "raise MATRIX_LR 0.04 -> 0.06"),
        ("raise MATRIX_LR", "raise MATRIX_LR"),
        ("I looked around.\n\nraise MATRIX_LR\n\n  \n\t\n", "raise MATRIX_LR"),
        ("one\rtwo\rraise MATRIX_LR\r", "raise MATRIX_LR"),
        ("one\r\nraise MATRIX_LR\r\n", "raise MATRIX_LR"),
        ("raise\tMATRIX_LR\t\tto  0.06", "raise MATRIX_LR to 0.06"),
        ("  raise MATRIX_LR  ", "raise MATRIX_LR"),
        ("- raise MATRIX_LR", "- raise MATRIX_LR"),
        ("--force -m x", "--force -m x"),
        ("$(touch x) `y` \\t %s 'z' \"z\" = #", "$(touch x) `y` \\t %s 'z' \"z\" = #"),
        ("raise\x00 MATRIX_LR\x1b[31m\x07\x7f\x9f", "raise MATRIX_LR [31m"),
        ("raise\x0bMATRIX\x0cLR\x1cto\x850.06", "raise MATRIX LR to 0.06"),
        ("raise \u202eMATRIX_LR\u202c\u2066x\u2069", "raise MATRIX_LR x"),  # bidi
        ("raise\u200b MATRIX_LR\ufeff\u2060", "raise MATRIX_LR"),  # zero width
        ("raise\u2028MATRIX_LR\u2029to\u00a00.06", "raise MATRIX_LR to 0.06"),
        ("relu² → größer 学习率", "relu² → größer 学习率"),
        (b"raise \xff MATRIX_LR \xc3", "raise \ufffd MATRIX_LR \ufffd"),
        ("raise MATRIX_LR\n\x00\x1b\n\u200b\n", "raise MATRIX_LR"),  # lines of nothing that can be seen
    ],
)
def test_the_last_line_that_is_not_empty(tmp_path: Path, said: str | bytes, description: str) -> None:
    assert describe(tmp_path, said) == (description, "", None)


def test_exactly_200_characters_stay(tmp_path: Path) -> None:
    assert describe(tmp_path, "ü" * 200)[0] == "ü" * 200


@pytest.mark.parametrize("length", [201, 5 * 1024, 1_000_000])
def test_a_long_line_is_cut(tmp_path: Path, length: int) -> None:
    assert describe(tmp_path, "first\n" + "ü" * length)[0] == "ü" * 197 + "..."


def test_it_is_cut_between_words_without_a_blank(tmp_path: Path) -> None:
    assert describe(tmp_path, "u" * 196 + " vwxyz")[0] == "u" * 196 + "..."


@pytest.mark.parametrize(
    "said",
    [
        "raise MATRIX_LR\ncategory: schedule\n",
        "category: schedule\nraise MATRIX_LR\n",
        "Category: schedule\nraise MATRIX_LR\n",
        "thinking\n  category:  schedule \n\nraise MATRIX_LR\n\n",
    ],
)
def test_category(tmp_path: Path, said: str) -> None:
    assert describe(tmp_path, said) == ("raise MATRIX_LR", "schedule", None)


def test_category_is_cut_and_clean(tmp_path: Path) -> None:
    assert describe(tmp_path, "raise MATRIX_LR\ncategory: \x1b\t" + "x" * 300)[1] == "x" * 37 + "..."


# --- What was not said ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("said", [None, "", "\n \n\t\r\n", "\x00\x1b\n", "category: schedule\n"])
def test_derived_from_the_diff(tmp_path: Path, said: str | None) -> None:
    description, category, rejected = describe(tmp_path, said)
    assert (description, rejected) == ("MATRIX_LR 0.04 -> 0.06", None)
    assert category == ("schedule" if said and "category" in said else "")


RELU = "    return torch.relu(x).square()\n"


@pytest.mark.parametrize(
    ("after", "description"),
    [
        (BEFORE.replace("DEPTH = 8  # blocks", "DEPTH = 9  # more blocks"), "DEPTH 8 -> 9"),
        (BEFORE.replace(RELU, "    return torch.nn.functional.gelu(x)\n"), "return torch.nn.functional.gelu(x)"),
        (BEFORE.replace(RELU, "    x = x.relu()\n    # squared\n\n    return x * x\n"), "x = x.relu() (+2 -1 lines)"),
        (BEFORE.replace("MATRIX_LR = 0.04  # Muon\n", ""), "remove MATRIX_LR = 0.04"),
        (BEFORE.replace("# Muon", "# for Muon"), ""),
        (BEFORE + "\n# the end\n\n", "comments"),
        ("", "remove import torch (-5 lines)"),
        (BEFORE + "x = '" + "y" * 900 + "'\n", "x = 'yyyy"),
        (BEFORE + "x = '\t\u202e\x07'\n", "x = ' '"),
    ],
)
def test_other_diffs(tmp_path: Path, after: str, description: str) -> None:
    described = describe(tmp_path, None, after)
    assert description in described[0]
    assert described[1:] == ("", None)


# --- Rejections -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("changed", "after", "reason"),
    [
        ("M\tprepare.py\n", BEFORE, "changed prepare.py"),
        ("D\tprepare.py\n", BEFORE, "changed prepare.py"),
        ("T\tprepare.py\n", BEFORE, "changed prepare.py"),
        ("M\tlib/lab/verdict/criterion.py\nM\ttrain.py\n", AFTER, "changed lib/lab/verdict/criterion.py"),
        ("D\tREADME.md\nM\tprepare.py\nM\ttrain.py\n", AFTER, "changed README.md, prepare.py"),
        ("M\tprepare.py\nD\ttrain.py\n", None, "changed prepare.py"),
        ('M\t"a\\tb.txt"\n', BEFORE, 'changed "a\\tb.txt"'),
        ("M\tone\u2028two.txt\n", BEFORE, "changed one two.txt"),
        ("D\ttrain.py\n", None, "deleted train.py"),
        ("T\ttrain.py\n", None, "train.py is not a plain file"),
        ("M\ttrain.py\n", b"x = '\xff'\n", "train.py is not UTF-8"),
        ("M\ttrain.py\n", b"#" * (LARGEST + 1), "train.py is over 1 MB"),
    ],
)
def test_rejected(tmp_path: Path, changed: str, after: str | bytes | None, reason: str) -> None:
    described = describe(tmp_path, "raise MATRIX_LR\n", after, changed)
    assert described == (f"raise MATRIX_LR (rejected: {reason})", "", reason)
    assert call(tmp_path) == described, "an interrupted step is done again"


@pytest.mark.parametrize("after", [b"x = '\xff'\n", b"#" * (LARGEST + 1)])
def test_no_train_py_that_cannot_be_read_goes_into_the_commit(tmp_path: Path, after: bytes) -> None:
    describe(tmp_path, "raise MATRIX_LR\n", after)
    assert not (tmp_path / "flights/f1/after/train.py").exists()


@pytest.mark.parametrize("said", ["ü" * 5000, "raise MATRIX_LR " * 12])
@pytest.mark.parametrize("files", [1, 300])
def test_the_reason_stays_whole_in_200_characters(tmp_path: Path, said: str, files: int) -> None:
    changed = "".join(f"M\tdata/{number:03d}.txt\n" for number in range(files))
    description, _, rejected = describe(tmp_path, said, BEFORE, changed)
    assert rejected is not None
    assert rejected.startswith("changed data/000.txt")
    assert description.endswith(f"... (rejected: {rejected})")
    assert len(description) > 190


@pytest.mark.parametrize(
    ("changed", "after"), [("M\tprepare.py\n", BEFORE), ("D\ttrain.py\n", None), ("M\ttrain.py\n", b"\xff")]
)
def test_rejected_without_a_word(tmp_path: Path, changed: str, after: str | bytes | None) -> None:
    description, _, rejected = describe(tmp_path, None, after, changed)
    assert description == f"change train.py (rejected: {rejected})"


def test_the_baseline(tmp_path: Path) -> None:
    """It changes nothing, and says so itself."""
    assert describe(tmp_path, "baseline\n", BEFORE, "") == ("baseline", "", None)


def test_a_missing_fact_is_a_fault_of_the_toolkit(tmp_path: Path) -> None:
    (tmp_path / "flights/f1").mkdir(parents=True)
    result = lab_step("describe", tmp_path)
    assert result.exit_code == 2
    assert result.stderr.startswith("lab: ")
    assert "changed" in result.stderr
