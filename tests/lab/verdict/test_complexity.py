"""What counts as a code line of a change: the code, not its layout."""

import textwrap

import pytest
from house import ROOT
from lab.verdict.complexity import WIDTH, changes, counts

TRAIN = (ROOT / "train.py").read_text()

BEFORE = textwrap.dedent(
    '''
    """What this is."""
    import math  # for the cosine

    RATES = {"embedding": 0.6, "matrix": 0.04}

    def rate(progress):
        """Of the learning rate."""
        # a straight line
        if progress > 0.5:
            return 2 * (1 - progress)
        return 1.0

    depth = 8
    width = 512
    heads = 4
    '''
)


def changed(old: str, new: str) -> tuple[int, int]:
    assert old in BEFORE
    return counts(BEFORE, BEFORE.replace(old, new))


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("    # a straight line\n", ""),
        ("# a straight line", "# a line\n    # that is straight\n"),
        ("  # for the cosine", ""),
        ('"""Of the learning rate."""', '"""Of the learning rate,\n    by progress.\n    """'),
        ('    """Of the learning rate."""\n', ""),
        ('"""What this is."""', "'nothing'; 7; ..."),
        ("\n\ndef", "\n\n\n\ndef"),
        ('{"embedding": 0.6, "matrix": 0.04}', "{\n    'embedding': 0.6,\n    'matrix': 0.04,\n}"),
        ("2 * (1 - progress)", "2*(1-progress)"),
        ("2 * (1 - progress)", "(\n            2 * (1 - progress)\n        )"),
        ("depth = 8\nwidth = 512\nheads = 4", "depth = 8; width = 512; heads = 4"),
        ("depth = 8\nwidth = 512\nheads = 4", "depth, width, heads = 8, 512, 4"),
        ("0.5:\n        return", "0.5: return"),
        ("    ", "\t"),
        ("0.6", "0.60"),
        ("\n", "\r\n"),
    ],
)
def test_layout_is_no_change(old: str, new: str) -> None:
    assert changed(old, new) == (0, 0)


@pytest.mark.parametrize(
    ("old", "new", "expected"),
    [
        ("depth = 8", "depth = 9", (1, 1)),
        ("depth = 8\n", "", (0, 1)),
        ("depth = 8", "depth = 8\nlayers = depth; rows = 3", (2, 0)),
        ("    if progress > 0.5:\n        return 2 * (1 - progress)\n", "", (0, 2)),
        ("    return 1.0", "    return 1.0 if progress else 0.9", (1, 1)),
        ("depth = 8\nwidth = 512", "depth, width = shape()", (1, 2)),  # another thing
        ("depth = 8\nwidth = 512", "depth, *width = 8, 512", (1, 2)),
        ("progress", "share", (3, 3)),
        ("0.04}", "0.04, " + ", ".join(f'"rate{i}": {i}' for i in range(20)) + "}", (4, 1)),
    ],
)
def test_code_is(old: str, new: str, expected: tuple[int, int]) -> None:
    assert changed(old, new) == expected


def test_one_long_line_is_no_simplification() -> None:
    statements = [f"value_{name} = transform_of_the_{name}_input(value, scale_of_the_{name}_input)" for name in "abc"]
    one = "values = [" + ", ".join(line.split(" = ")[1] for line in statements) + "]"
    assert len(one) > 2 * WIDTH
    added, removed = counts("\n".join(statements), one)
    assert (added, removed) == (3, 3)


def test_a_text_that_is_no_python_is_counted_as_it_stands() -> None:
    assert counts("alpha: 1\n# a comment\n\nbeta: (\n", "alpha: 1\nbeta: (\ngamma: 3\n") == (1, 0)
    assert counts("x = 1\n", "x = (\n") == (1, 1)
    assert counts("", "") == (0, 0)
    assert counts("x = 1\n", "def f():\n    pass\n") == (1, 1), "a body of nothing is none"


def test_reformatting_the_whole_of_train_py_is_nothing() -> None:
    squeezed = "\n".join(line.split("  # ")[0] for line in TRAIN.splitlines() if line.strip())
    assert counts(TRAIN, squeezed) == counts(squeezed, TRAIN) == (0, 0)


def test_a_person_is_shown_the_lines_as_they_are_written() -> None:
    assert changes("a = 1  # one\nb = '2'\n", "a = 1\nb = '2'\n# three\n") == (["a = 1"], ["a = 1  # one"])


def test_what_is_nested_too_deep_for_the_parser_is_counted_as_it_stands() -> None:
    assert counts("x = 1\n", "x = 1\nz = " + "-" * 6000 + "1\n") == (76, 0)
