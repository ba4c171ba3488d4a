"""What an experiment adds to train.py is read before it runs: the rules, by their examples, and what they let pass."""

import ast
import re
import subprocess
import sys

import pytest
from house import ROOT
from house import TRAIN as STRANGER
from lab.catalog.hyperparameters import find, replaced
from lab.catalog.ideas import IDEAS
from lab.catalog.structure import Idea
from lab.proposal import rules
from lab.proposal.rule_check import Violation, bound, judge, offences, violations
from lab.proposal.rules import MODULES, RULES
from test_catalog_ideas import base, edited

EXAMPLES = ROOT / "tests/examples"
TRAIN = (ROOT / "train.py").read_text()
HEAD = TRAIN.split("STARTED =")[0]  # its imports
END = len(TRAIN.splitlines())


def texts(rule: str, kind: str) -> list[str]:
    """Examples of a rule. They are added to the end of train.py; what is refused of a cheat is in its last line."""
    path = EXAMPLES / f"rules/{rule}.{kind}"
    return path.read_text().removesuffix("\n").split("\n# ---\n") if path.exists() else []


def examples(kind: str) -> list[object]:
    return [
        pytest.param(rule.name, text, id=f"{rule.name}: {text.splitlines()[-1][:60]}")
        for rule in RULES
        for text in texts(rule.name, kind)
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


@pytest.mark.parametrize(("rule", "text"), examples("cheats"))
def test_a_cheat_is_refused_where_it_stands(rule: str, text: str) -> None:
    found = broken(TRAIN, after(text))
    assert (rule, END + len(text.splitlines())) in found
    assert min(line for _, line in found) > END, "and nothing else is"


@pytest.mark.parametrize(("rule", "text"), examples("cheats"))
def test_what_was_there_is_not_judged(rule: str, text: str) -> None:
    there = f"{HEAD}{text}\n"
    assert offences(there)
    assert violations(there, there) == []
    assert violations(there, f"# A comment.\n\n{there}x = 1  # Another.\n") == []


@pytest.mark.parametrize(("rule", "text"), examples("innocents"))
def test_what_looks_like_it_is_innocent(rule: str, text: str) -> None:
    ast.parse(text)
    assert violations(TRAIN, after(text)) == []


def test_rules_are_told_apart_and_say_what_to_do() -> None:
    assert len({rule.name for rule in RULES}) == len(RULES)
    assert all(rule.why and rule.why[0].islower() and len(rule.why) <= 120 for rule in RULES)
    without = [rule.name for rule in RULES if not (texts(rule.name, "cheats") and texts(rule.name, "innocents"))]
    assert without == ["unreadable"]
    named = {path.stem for path in (EXAMPLES / "rules").glob("*.[ci]*s")}
    assert named <= {rule.name for rule in RULES}, "each file of examples is that of a rule"
    known = {*rules.BARE.values(), *rules.HELD.values()}
    assert known <= {rule.name for rule in RULES}


REACHED = """
import sys, types, importlib
for name in sys.argv[1:]:
    module = importlib.import_module(name)
    for inner in dir(module):
        if not inner.startswith("_") and isinstance(getattr(module, inner, None), types.ModuleType):
            print(f"{name}.{inner}")
"""


def test_no_module_is_reached_but_those_that_may_be_imported() -> None:
    """Through the names of another one: `torch.os`. What is private is not, and torch.ops holds no modules."""
    there = [name for name in sorted(MODULES) if not name.startswith(("triton", "einops", "torch._"))]
    command = [sys.executable, "-W", "ignore", "-c", REACHED, *there]
    reached = subprocess.run(command, capture_output=True, text=True, check=True).stdout.split()
    assert {"torch.os", "torch.nn", "typing.sys", "torch.nn.functional.torch"} <= set(reached)
    assert [path for path in reached if not judge(path) and path not in MODULES and ".ops." not in path] == []


def test_what_is_published_is_there() -> None:
    body = ast.parse((ROOT / "prepare.py").read_text()).body
    assert {bound(node) for top in body for node in (top, *getattr(top, "targets", []))} >= rules.PUBLISHED


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
        ("metric", EVALUATED, f"for _ in range(2):\n    {EVALUATED}"),
        ("metric", EVALUATED, EVALUATED.replace("tokenizer", "Bytes(tokenizer)")),
        ("metric", PRINTED, PRINTED.replace("val_bpb:.6f", "val_bpb * 0.9:.6f")),
        ("metric", PRINTED, f'{PRINTED}\nprint("val_bpb: 0.5")'),
        ("metric", PRINTED, 'report = "val_bpb"\nprint(f"{report}: {0.5}")'),
        ("metric", MEMORY, "{1.0}"),
        ("budget", LOOP, "while step < 10000:\n    progress = step / 10000"),
        ("budget", LOOP, LOOP.replace("< 1", "< 2")),
        ("clock", "clock = Clock()\nstep = 0\n" + LOOP, f"step = 0\n{LOOP}\n    clock = Clock()"),
        ("prepare", "from prepare import MAX_SEQ_LEN, ", "MAX_SEQ_LEN = 128\nfrom prepare import "),
        ("metric", "evaluate_bpb, make_dataloader\n", "make_dataloader\n\ndef evaluate_bpb(*_):\n    return 0.5\n"),
        ("validation", 'MAX_SEQ_LEN, "train")', 'MAX_SEQ_LEN, os.environ.get("SPLIT", "train"))'),
        ("imports", "mallopt(-3, 2**25)", "mallopt(-3, 2**26)"),
        ("system", 'os.environ.setdefault("PYTORCH_ALLOC_CONF"', 'os.environ.setdefault("TIME_BUDGET"'),
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
    once = "x = 1\nopen('a')\n"
    assert violations(once, f"open('a')\n{once.splitlines()[0]}\n") == [], "it may move"
    assert violations(once, '# above\n\ndef f():\n    return [open( "a" )]\n') == [], "and be written in another way"
    assert violations(f"{once}open('a')\n", once) == []
    assert violations(once, f"{once}open('a')\n") == [Violation("builtins", 3, "open('a')")]
    assert violations(once, once.replace("'a'", "'b'")) == [Violation("builtins", 2, "open('b')")]
    assert len(violations(once, f"{once}open('a')\n" * 3)) == 5


def test_violations_are_in_the_order_of_the_lines() -> None:
    text = "import socket\nopen('a')\nx = 1; eval('x')\nimport pickle\n"
    assert broken("", text) == [("imports", 1), ("builtins", 2), ("builtins", 3), ("imports", 4)]
    assert broken(text, "x = 1\n") == []


def test_one_line_tells_a_violation() -> None:
    assert Violation("files", 12, "open").text() == "rule 'files' at line 12: open"
    told = Violation("files", 12, "open(\n" + "x" * 999).text()
    assert told.startswith("rule 'files' at line 12: open( xxx")
    assert told.endswith("x...")
    assert len(told) < 140


def test_names_stand_for_their_imports() -> None:
    head = "import torch\nimport torch.nn.functional as G\n"
    head += "from torch import nn, save as keep\nfrom torch.nn import functional\n"
    for line in ("G.relu = 1", "functional.relu = 1", "nn.functional.relu = 1", "torch.nn.functional.relu = 1"):
        assert broken(head, f"{head}{line}\n") == [("patch", 5)]
    assert broken("", head) == [("files", 3)]
    assert broken(head, f"{head}keep(1)\n") == [("files", 5)]
    assert broken(head, f"{head}relu = G.relu\nH = 1\nH.relu = 2\n") == []


def test_a_text_that_is_no_python_is_not_judged() -> None:
    assert violations(TRAIN, "open('x') +") == []
    assert violations("", "import socket\nx = (\n") == []
    assert broken("x = (", "import socket\n") == [("imports", 1)], "before it, nothing was there"
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
    assert [rule for rule, _ in broken("", hidden)] == ["imports"]


def test_a_large_text_is_read() -> None:
    """There is no limit of time, machines are shared: it takes seconds, or minutes where it is looked at again."""
    many = "".join(f"x{i} = F.relu(model.blocks[{i}].weight + {i}) + open('a')\n" for i in range(4000))
    wide = "x = [" + "torch.save, " * 1000 + "]\n" + "a." * 300 + "b = " + "'a' + " * 90 + "'b'\n"
    assert len(violations(TRAIN, TRAIN + many + wide)) > 4000
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
