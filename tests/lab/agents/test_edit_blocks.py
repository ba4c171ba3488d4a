"""Search/replace blocks of a model's answer: all fit, or nothing is changed."""

import pytest
from house import House
from lab.agents import edit_blocks
from lab.errors import Fault

TEXT = "import os\n\nLR = 0.04  # rate\nfor i in range(3):\n    step()  \n    step()\nprint(LR)\n"


def block(search: str, replace: str, above: str = "") -> str:
    return f"{above}<<<<<<< SEARCH\n{search}=======\n{replace}>>>>>>> REPLACE\n"


FITS = {
    "one line": (block("LR = 0.04  # rate\n", "LR = 0.06  # rate\n"), ("LR = 0.04", "LR = 0.06")),
    "lines taken away": (block("print(LR)\n", ""), ("print(LR)\n", "")),
    "an empty line as it is": (
        block("import os\n\nLR = 0.04  # rate\n", "LR = 1\n"),
        ("import os\n\nLR = 0.04  # rate", "LR = 1"),
    ),
    "white space at the ends does not matter": (
        block("for i in range(3):\n    step()\n    step()\n", "step()\n"),
        ("for i in range(3):\n    step()  \n    step()\n", "step()\n"),
    ),
    "exactly first: the other one is there but for its white space": (
        block("    step()\n", "    step(2)\n"),
        ("    step()\n", "    step(2)\n"),
    ),
    "a name and a fence": (
        block("print(LR)\n", "print(1)\n", "`train.py`\n```python\n") + "```\n",
        ("print(LR)", "print(1)"),
    ),
    "CRLF": (block("print(LR)\n", "print(1)\n").replace("\n", "\r\n"), ("print(LR)", "print(1)")),
    "prose that looks like a name is above another line": (
        "I edit prepare.py? No.\n" + block("print(LR)\n", "print(1)\n"),
        ("print(LR)", "print(1)"),
    ),
}


@pytest.mark.parametrize("name", FITS)
def test_what_fits_is_applied(name: str) -> None:
    answer, (old, new) = FITS[name]
    assert edit_blocks.apply({"train.py": TEXT}, answer) == {"train.py": TEXT.replace(old, new)}


def test_an_answer_without_a_block_changes_nothing() -> None:
    assert edit_blocks.apply({"train.py": TEXT}, "Should I continue?") == {}


def test_the_blocks_of_a_candidate_change_the_same_text() -> None:
    answer = block("print(LR)\n", "print(1)\n") + block("print(LR)\n", "print(2)\n", "candidates/two.py\n")
    assert edit_blocks.apply({"train.py": TEXT}, answer) == {
        "train.py": TEXT.replace("print(LR)", "print(1)"),
        "candidates/two.py": TEXT.replace("print(LR)", "print(2)"),
    }
    with pytest.raises(Fault, match=r"block 1 changes 'candidates/\.\./x\.py'"):
        edit_blocks.apply({"train.py": TEXT}, block("print(LR)\n", "", "candidates/../x.py\n"))


SEVERAL = {"a/model.py": "SCALE = 1\nrate = 2\n", "base.yaml": "rate: 2\n"}


def test_blocks_of_several_files_name_them() -> None:
    """But where one file alone has the lines; a block without SEARCH lines is a new file; a candidate is a folder."""
    answer = (
        block("SCALE = 1\n", "SCALE = 3\n")
        + block("rate: 2\n", "rate: 3\n", "base.yaml\n")
        + block("", "NEW = 1\n", "**a/new.py**\n```python\n")
        + block("rate: 2\n", "rate: 9\n", "candidates/two/base.yaml\n")
        + block("", "rate 2 -> 9\n", "candidates/two.txt\n")
        + "\nSCALE 1 -> 3\n"
    )
    assert edit_blocks.apply(SEVERAL, answer) == {
        "a/model.py": "SCALE = 3\nrate = 2\n",
        "base.yaml": "rate: 3\n",
        "a/new.py": "NEW = 1\n",
        "candidates/two/base.yaml": "rate: 9\n",
        "candidates/two.txt": "rate 2 -> 9\n",
    }
    assert edit_blocks.said(answer) == "SCALE 1 -> 3"


@pytest.mark.parametrize(
    ("answer", "problem"),
    [
        (block("x = 1\n", ""), "block 1 names no file"),
        (block("x = 1\n", "", "eval.py\n"), "block 1 changes 'eval.py'"),
        (block("", "x\n", "../x.py\n"), "block 1 changes '../x.py'"),
        (block("", "x\n", "candidates/a/../x.py\n"), "block 1 changes 'candidates/a/../x.py'"),
        (block("", "x\n", "a/.git/x.py\n"), "block 1 changes 'a/.git/x.py'"),
        (block("", "x\n", "base.yaml\n"), "block 1 has no SEARCH lines"),
    ],
)
def test_what_is_none_of_several_files_is_named(answer: str, problem: str) -> None:
    with pytest.raises(Fault) as fault:
        edit_blocks.apply(SEVERAL, answer)
    assert str(fault.value) == problem


def test_a_later_block_sees_what_an_earlier_one_has_made() -> None:
    answer = block("print(LR)\n", "A = 1\nprint(A)\n") + "and\n" + block("A = 1\n", "A = 2\n")
    assert edit_blocks.apply({"train.py": TEXT}, answer)["train.py"].endswith("A = 2\nprint(A)\n")


FAILS = {
    "nowhere": (
        block("print(LR)\n", "") + block("LR = 0.05\n", ""),
        "block 2: its SEARCH lines are not in train.py: 'LR = 0.05'",
    ),
    "twice": (block("x\n", "y\n"), "block 1: its SEARCH lines are 2 times in train.py: 'x'"),
    "part of a line": (block("print(L\n", ""), "block 1: its SEARCH lines are not in train.py: 'print(L'"),
    "another indentation": (block("step()\n", ""), "block 1: its SEARCH lines are not in train.py: 'step()'"),
    "empty": (block("\n", "x\n"), "block 1 has no SEARCH lines"),
    "another file": (block("print(LR)\n", "", "prepare.py\n```\n"), "block 1 changes 'prepare.py'"),
    "half of one": ("<<<<<<< SEARCH\nprint(LR)\n=======\nprint(1)\n", "block 1 is incomplete"),
}


@pytest.mark.parametrize("name", FAILS)
def test_what_does_not_fit_is_named(name: str) -> None:
    answer, problem = FAILS[name]
    with pytest.raises(Fault) as fault:
        edit_blocks.apply({"train.py": TEXT + "x\nx\n"}, answer)
    assert str(fault.value) == problem


def test_what_is_said_beside_the_blocks() -> None:
    answer = (
        "A rate too low.\n\n" + block("a\n", "b\n", "train.py\n```python\n") + "```\n\ncategory: schedule\nraise LR\n"
    )
    assert edit_blocks.said(answer) == "A rate too low.\n\n\ncategory: schedule\nraise LR"


def test_a_block_that_does_not_fit_writes_nothing(house: House) -> None:
    text = (house.tree / "train.py").read_text()
    (house.outside / "answer").write_text(block(text.splitlines()[0] + "\n", "X = 1\n") + block("nowhere\n", ""))
    lab = str(house.environment["UV_PROJECT_ENVIRONMENT"]) + "/bin/lab"
    result = house.call(lab, "apply-blocks", "../answer", "train.py")
    assert (result.status, result.err.splitlines()[0]) == (
        2,
        "lab: block 2: its SEARCH lines are not in train.py: 'nowhere'",
    )
    assert (house.tree / "train.py").read_text() == text
