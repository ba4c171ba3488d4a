"""What an experiment adds to train.py is read before it runs: the rules, by their examples, and what they let pass."""

import ast
import re

import pytest
from house import ROOT
from house import TRAIN as STRANGER
from lab.catalog.hyperparameters import find, replaced
from lab.catalog.ideas import IDEAS
from lab.catalog.structure import Idea
from lab.proposal.rule_check import Violation, offences, violations
from lab.proposal.rules import RULES
from test_catalog_ideas import base, edited

EXAMPLES = ROOT / "tests/examples"
TRAIN = (ROOT / "train.py").read_text()
HEAD = TRAIN.split("STARTED =")[0]  # its imports
END = len(TRAIN.splitlines())
WITHOUT_EXAMPLES = {"budget", "unreadable"}


def texts(name: str) -> list[str]:
    """Examples. They are added to the end of train.py; what is refused of a cheat is in its last line."""
    return (EXAMPLES / "rules" / name).read_text().removesuffix("\n").split("\n# ---\n")


CHEATS = [
    pytest.param(rule, text, id=f"{rule}: {text.splitlines()[-1][:60]}")
    for rule in RULES
    if rule not in WITHOUT_EXAMPLES
    for text in texts(f"{rule}.cheats")
]


def after(text: str) -> str:
    return f"{TRAIN}{text}\n"


def change(*pairs: tuple[str, str]) -> str:
    """train.py with each first text, which stands there once, replaced by the second."""
    text = TRAIN
    for old, new in pairs:
        assert text.count(old) == 1, old
        text = text.replace(old, new)
    ast.parse(text)
    return text


def broken(before: str, after: str) -> list[tuple[str, int]]:
    return [(one.rule, one.line) for one in violations(before, after)]


# ---------------------------------------------------------------------------
# The rules, by their examples
# ---------------------------------------------------------------------------


@pytest.mark.parametrize(("rule", "text"), CHEATS)
def test_a_cheat_is_refused_where_it_stands(rule: str, text: str) -> None:
    found = broken(TRAIN, after(text))
    assert (rule, END + len(text.splitlines())) in found
    assert min(line for _, line in found) > END, "and nothing else is"


@pytest.mark.parametrize(("rule", "text"), CHEATS)
def test_what_was_there_is_not_judged(rule: str, text: str) -> None:
    there = f"{HEAD}{text}\n"
    assert offences(there)
    assert violations(there, there) == []
    assert violations(there, f"# A comment.\n\n{there}x = 1  # Another.\n") == []


@pytest.mark.parametrize("text", texts("innocents.txt"))
def test_what_looks_like_it_is_innocent(text: str) -> None:
    ast.parse(text)
    assert violations(TRAIN, after(text)) == []


def test_each_rule_has_examples() -> None:
    named = {path.stem for path in (EXAMPLES / "rules").glob("*.cheats")}
    assert named == {*RULES} - WITHOUT_EXAMPLES


# ---------------------------------------------------------------------------
# Cheats that change a line of train.py
# ---------------------------------------------------------------------------

SEEDED = 'torch.manual_seed(int(os.environ.get("SEED") or 42))\n'
EVALUATED = "val_bpb = evaluate_bpb(compiled(model), tokenizer, rows)"
PRINTED = 'print(f"val_bpb:          {val_bpb:.6f}")'
MEMORY = "{peak_memory / 2**20:.1f}"
LOOP = "while (progress := clock.progress()) < 1:"
PUBLISHED_SEED = "random seed 42 to 137"  # a discarded experiment of the published night


@pytest.mark.parametrize(
    ("rule", "old", "new"),
    [
        ("seed", SEEDED, SEEDED.replace("42", "137")),
        ("seed", SEEDED, ""),
        ("seed", SEEDED, "torch.manual_seed(137)\n"),
        ("seed", SEEDED, f"torch.manual_seed(int(os.environ.get('S' + 'EED') or 42) + 1)\n{SEEDED}"),
        ("seed", SEEDED, f"{SEEDED}{SEEDED}"),
        ("metric", EVALUATED, f"{EVALUATED} * 0.9"),
        ("metric", EVALUATED, f"{EVALUATED}\nval_bpb = round(val_bpb, 1)"),
        ("metric", EVALUATED, f"val_bpb = min({EVALUATED[10:]}, 1.0)"),
        ("metric", EVALUATED, f"{EVALUATED[:-1]}) if SMALL else 0.5"),
        ("metric", EVALUATED, f"other = {EVALUATED[10:]}\nval_bpb = other"),
        ("metric", PRINTED, PRINTED.replace("val_bpb:.6f", "val_bpb * 0.9:.6f")),
        ("metric", PRINTED, f'{PRINTED}\nprint("val_bpb: 0.5")'),
        ("metric", PRINTED, 'report = "val_bpb"\nprint(f"{report}: {0.5}")'),
        ("metric", MEMORY, "{1.0}"),
        ("budget", LOOP, "while step < 10000:\n    progress = step / 10000"),
        ("validation", 'MAX_SEQ_LEN, "train")', 'MAX_SEQ_LEN, os.environ.get("SPLIT", "train"))'),
    ],
)
def test_a_line_that_is_changed_is_refused(rule: str, old: str, new: str) -> None:
    text = change((old, new))
    first = next(
        number for number, (a, b) in enumerate(zip(TRAIN.splitlines(), text.splitlines(), strict=False), 1) if a != b
    )
    found = broken(TRAIN, text)
    assert rule in dict(found)
    assert all(first <= line <= first + new.count("\n") + 1 for _, line in found), found


def test_the_published_change_of_the_seed_is_refused() -> None:
    assert PUBLISHED_SEED in (EXAMPLES / "ledger/wild/h100-mar8.tsv").read_text()
    line = 1 + TRAIN.split(SEEDED)[0].count("\n")
    found = violations(TRAIN, change((SEEDED, SEEDED.replace("42", "137"))))
    assert [one.text() for one in found] == [
        f"rule 'seed' at line {line}: torch.manual_seed(int(os.environ.get('SEED') or 137))",
        f"rule 'seed' at line {line}: no torch.manual_seed(int(os.environ.get('SEED') or 42))",
    ]


# ---------------------------------------------------------------------------
# What is compared
# ---------------------------------------------------------------------------


def test_what_is_added_is_counted() -> None:
    once = "x = 1\nos.popen('a')\n"
    assert violations(once, f"os.popen('a')\n{once.splitlines()[0]}\n") == [], "it may move"
    assert violations(once, '# above\n\ndef f():\n    return [os.popen( "a" )]\n') == [], (
        "and be written in another way"
    )
    assert violations(f"{once}os.popen('a')\n", once) == []
    assert violations(once, f"{once}os.popen('a')\n") == [Violation("system", 3, "os.popen('a')")]
    assert violations(once, once.replace("'a'", "'b'")) == [Violation("system", 2, "os.popen('b')")]
    assert len(violations(once, f"{once}os.popen('a')\n" * 3)) == 5


def test_violations_are_in_the_order_of_the_lines() -> None:
    text = "import socket\nos.popen('a')\nx = 1; os.kill(x, 9)\nimport subprocess\n"
    assert broken("", text) == [("system", 1), ("system", 2), ("system", 3), ("system", 4)]
    assert broken(text, "x = 1\n") == []


def test_one_line_tells_a_violation() -> None:
    assert Violation("files", 12, "open").text() == "rule 'files' at line 12: open"
    told = Violation("files", 12, "open(\n" + "x" * 999).text()
    assert told.startswith("rule 'files' at line 12: open( xxx")
    assert told.endswith("x...")
    assert len(told) < 140


def test_a_text_that_is_no_python_is_not_judged() -> None:
    assert violations(TRAIN, "os.popen('x') +") == []
    assert violations("", "import socket\nx = (\n") == []
    assert broken("x = (", "import socket\n") == [("system", 1)], "before it, nothing was there"
    assert offences("x = (") is None
    assert offences("") == violations("", "") == []


@pytest.mark.parametrize(
    "text",
    ["x = " + "-" * 200000 + "1", "x = " + "+".join(["1"] * 20000), "x" + ".x" * 20000, "x = '\ud800'"],
    ids=["signs", "sum", "attributes", "surrogate"],
)
def test_what_cannot_be_read_is_refused(text: str) -> None:
    assert broken("", text) == broken(TRAIN, text) == [("unreadable", 1)]
    assert broken(text, text) == []


def test_a_null_byte_is_refused_or_is_no_python() -> None:
    assert broken("", "x = 1\0\n") in ([("unreadable", 1)], [])


def test_a_comment_about_the_encoding_hides_nothing() -> None:
    hidden = "# coding: utf-7\n# +AAo-import socket\n"
    assert [rule for rule, _ in broken("", hidden)] == ["system"]


def test_a_large_text_is_read() -> None:
    """There is no limit of time, machines are shared: it takes seconds, or minutes where it is looked at again."""
    many = "".join(f"x{i} = F.relu(model.blocks[{i}].weight + {i}) + os.popen('a')\n" for i in range(4000))
    wide = "x = [" + "torch.relu, " * 1000 + "]\n" + "a." * 300 + "b = " + "'a' + " * 90 + "'b'\n"
    assert len(violations(TRAIN, TRAIN + many + wide)) == 4000
    assert violations(TRAIN + many + wide, TRAIN + wide + many) == []


def test_a_stranger_may_go_on_as_before() -> None:
    assert violations(STRANGER, STRANGER.replace("VALUE = 1.0", "VALUE = 0.9")) == []
    assert broken(STRANGER, STRANGER.replace("{VALUE:.6f}", "{0.5}")) == [("metric", 4)]


# ---------------------------------------------------------------------------
# Honest edits
# ---------------------------------------------------------------------------


@pytest.mark.parametrize("idea", IDEAS, ids=lambda idea: idea.name)
def test_the_ideas_of_the_catalog_are_honest(idea: Idea) -> None:
    assert violations(base(idea), edited(idea)) == []


def test_two_ideas_together_are() -> None:
    text = TRAIN
    for idea in IDEAS:
        text = idea.applied(text) or text
    assert violations(TRAIN, text) == []


@pytest.mark.parametrize("small", [True, False])
def test_another_value_of_a_hyperparameter_is_honest(small: bool) -> None:
    found = find(TRAIN, small)
    assert len(found) > 25
    for one in found:
        text = replaced(TRAIN, one, repr(f"{one.value}S") if isinstance(one.value, str) else "7")
        assert violations(TRAIN, text) == [], one.name


PAIR = re.compile(r"<<<<\n(.*?)\n====\n(.*?)\n?>>>>", re.DOTALL)
HONEST = dict(block.split("\n", 1) for block in (EXAMPLES / "rules/honest.txt").read_text().split("\n# ")[1:])


@pytest.mark.parametrize("name", HONEST)
def test_an_honest_edit_is_let_pass(name: str) -> None:
    assert violations(TRAIN, change(*PAIR.findall(HONEST[name]))) == []
