"""The structural ideas of the built-in proposer, each on the real train.py: as text, and trained for a few steps."""

import ast
import json
import math
import os
import re
import subprocess
import sys
from itertools import combinations, permutations, product
from pathlib import Path
from typing import Any

import pytest
from lab.catalog import ideas as package
from lab.catalog.hyperparameters import find, replaced
from lab.catalog.ideas import IDEAS
from lab.catalog.priors import CATEGORIES
from lab.catalog.structure import Idea
from test_catalog import ROOT, TRAIN, changed_lines, named

WORDS = """learning rate and schedule; depth against width; attention patterns; optimizer; normalization;
activation functions; batch size and accumulation; simplification; combining two near misses; radical changes"""
EACH_IDEA = pytest.mark.parametrize("idea", IDEAS, ids=lambda idea: idea.name)


def base(idea: Idea) -> str:
    """What the idea stands on: train.py, or train.py with the one idea without which it does not apply."""
    texts = (TRAIN, *(other.applied(TRAIN) for other in IDEAS))
    return next(text for text in texts if text and idea.applied(text))


def edited(idea: Idea) -> str:
    return idea.applied(base(idea)) or ""


def idea_named(name: str) -> Idea:
    return next(idea for idea in IDEAS if idea.name == name)


# ---------------------------------------------------------------------------
# As text
# ---------------------------------------------------------------------------


@EACH_IDEA
def test_an_idea_applies_once(idea: Idea) -> None:
    after = edited(idea)
    ast.parse(after)
    assert any(changed_lines(base(idea), after))
    assert all(new in after for _, new in idea.snippets), "each of its snippets is in"
    assert max(map(len, after.splitlines())) <= 120
    assert idea.applied(after) is None, "it applies twice"


@EACH_IDEA
def test_an_idea_is_small(idea: Idea) -> None:
    removed, added = changed_lines(base(idea), edited(idea))
    net = len(added) - len(removed)
    assert net < 0 if idea.category == "simplification" and idea.without else net < 20


@EACH_IDEA
def test_an_idea_leaves_no_hyperparameter_without_a_use(idea: Idea) -> None:
    after = edited(idea)
    for small in (True, False):
        for found in find(after, small):
            assert len(re.findall(rf"\b{found.name.split('[')[0]}\b", after)) > 1, found.name


@EACH_IDEA
def test_an_idea_is_whole_or_not_at_all(idea: Idea) -> None:
    """Where any one of its snippets is gone, or stands there twice, it does not apply."""
    text = base(idea)
    for old, _ in idea.snippets:
        assert idea.applied(text.replace(old, "")) is None
        assert idea.applied(text + old) is None
    for name in idea.without:
        assert idea.applied(text.replace(f"\n{name} = ", f"\n{name}: float = ")) is None


@EACH_IDEA
def test_an_idea_is_honest(idea: Idea) -> None:
    """The evaluation, the clock, the seed, the imports and what is told stay as they are."""
    removed, added = changed_lines(base(idea), edited(idea))
    for words in (r"^\s*(import|from) ", "evaluate_bpb", r"[cC]lock\b.*progress", "SEED", "TIME_BUDGET"):
        assert [line for line in removed + added if re.search(words, line) and "flex_attention" not in line] == []
    told = [re.findall(r'print\(f?"(\w+):', text) for text in (base(idea), edited(idea))]
    assert told[0] == told[1]


def test_ideas_are_distinct_and_speak_the_protocols_words() -> None:
    assert list(CATEGORIES) == " ".join(WORDS.split()).split("; ")
    assert len({idea.name for idea in IDEAS}) == len({idea.description for idea in IDEAS}) == len(IDEAS)
    assert sum(base(idea) == TRAIN for idea in IDEAS) >= 60
    assert len({edited(idea) for idea in IDEAS}) == len(IDEAS)
    assert {idea.category for idea in IDEAS} == set(CATEGORIES) - {"combining two near misses"}, "that is made of two"
    assert all(idea.description.isascii() and len(idea.description) <= 95 for idea in IDEAS), "two fit into a row"
    assert not [pair for pair in combinations(IDEAS, 2) if pair[0].description in pair[1].description]
    assert all(0 < idea.chance(small) < 1 for idea in IDEAS for small in (True, False))


def test_each_category_has_a_module_of_its_name() -> None:
    for category in {idea.category for idea in IDEAS}:
        module = getattr(package, category.replace(" ", "_"))
        assert set(module.IDEAS) == {idea for idea in IDEAS if idea.category == category}


def test_a_tuned_number_does_not_stand_in_the_way_of_an_idea() -> None:
    tuned = TRAIN
    for name in {found.name for found in find(TRAIN, True)}:
        if named(name, tuned).text.replace(".", "").isdigit():
            tuned = replaced(tuned, named(name, tuned), "7")
    assert [idea.name for idea in IDEAS if base(idea) == TRAIN and not idea.applied(tuned)] == []


def test_two_ideas_can_add_to_the_same_place() -> None:
    text = TRAIN
    for name in ("bigrams", "skip-bigrams", "trigrams", "final-gain", "learned-smear", "head-gates", "convolution"):
        text = idea_named(name).applied(text) or ""
    assert text.count("nn.init.zeros_(self.") == 3


@pytest.mark.slow
def test_any_two_ideas_together_use_no_name_that_is_gone(tmp_path: Path) -> None:
    pairs = 0
    for first, second in permutations(IDEAS, 2):
        text = second.applied(first.applied(TRAIN) or "")
        if text:
            (tmp_path / f"{first.name}+{second.name}.py").write_text(text)
            pairs += 1
    assert pairs > len(IDEAS) * 60
    ruff = Path(sys.executable).with_name("ruff")
    checked = subprocess.run(
        [ruff, "check", "--isolated", "--no-cache", "--select=F", "--output-format=concise", tmp_path],
        capture_output=True,
        text=True,
        check=False,
    )
    assert checked.returncode == 0, checked.stdout


# ---------------------------------------------------------------------------
# Trained for a few steps
# ---------------------------------------------------------------------------

# Runs each text that comes in for four steps and a short evaluation, which traces the model and looks whether it sees
# the future, and prints what val_bpb became, and what is wrong.
DRIVER = """
import contextlib, gc, io, json, sys, prepare, torch

names, before, drawn, found = {}, {}, [], []

class FourSteps:
    def __init__(self):
        self.seconds = 0.0
    def progress(self):
        self.seconds += 1.0
        if names.get("clock") is self and self.seconds == 1:
            before.update({name: weights.clone() for name, weights in names["model"].state_dict().items()})
            names["kept"] = names["optimizers"]  # train.py drops them before it is evaluated
        return (0.0, 0.4, 0.96, 0.999, 1.0)[min(int(self.seconds), 5) - 1]

def counted(*args, of=prepare.make_dataloader):
    for batch in of(*args):
        drawn.append(batch[0].numel())
        yield batch

def problems():
    model, optimizers = names["model"], names["kept"]
    trained = [weights for each in optimizers for weights in (getattr(each, "parameters", 0) or each.matrices)]
    if sorted(map(id, trained)) != sorted(map(id, model.parameters())):
        yield "not every parameter is in exactly one optimizer"
    for name, weights in model.named_parameters():
        if torch.equal(weights, before[name]):
            yield f"{name} is not changed by training"

def miscounted():
    if names["tokens"] != sum(drawn[:-1]):
        yield f"{names['tokens']} tokens are told, {sum(drawn[:-1])} were used"

def evaluated(model, tokenizer, batch_size):
    found.extend(problems())
    return prepare.measured(prepare.trace(model, 1, tokenizer.get_vocab_size()), "cpu")["val_bpb"]

def result(source):
    for each in (names, before, drawn, found):
        each.clear()
    gc.collect()
    names["__name__"] = "__main__"
    try:
        with contextlib.redirect_stdout(io.StringIO()):
            exec(compile(source.replace("(512, 10)", "(16, 1)"), "train.py", "exec"), names)  # a faster mfu_percent
        model = names["model"]
        weights = sum(each.double().abs().sum().item() for each in model.parameters())
        return {"val_bpb": names["val_bpb"], "weights": weights, "problems": found + list(miscounted())}
    except (Exception, SystemExit) as error:
        return {"val_bpb": 0, "problems": [f"{type(error).__name__}: {error}"]}

prepare.Clock, prepare.EVAL_TOKENS, prepare.make_dataloader = FourSteps, 4 * prepare.MAX_SEQ_LEN, counted
prepare.FURTHER, prepare.evaluate_bpb = 0, evaluated
print(json.dumps({name: result(source) for name, source in json.load(sys.stdin).items()}))
"""

CODE = sorted((ROOT / "lib/lab").rglob("*.py"))  # some text
# Profile full, but for these sizes. Of heads, there is an odd number, as in the real one.
TOY = {"DEPTH": "3", "WIDTH": "24", "HEAD_DIM": "8", "SHORT_WINDOW": "8", "TOTAL_BATCH_SIZE": "2**7"}
TOY |= {"BIGRAM_ROWS": "2**8", "SKIP_ROWS": "2**8"}


def toy(source: str) -> str:
    """The text with small sizes for profile full, and activations in bfloat16, as on a GPU."""
    for name, value in TOY.items():
        source = re.sub(rf"^({name} = .* else )\S+", rf"\g<1>{value}", source, flags=re.MULTILINE)
    return re.sub(r"^DTYPE = .*", "DTYPE = torch.bfloat16", source, flags=re.MULTILINE)


@pytest.fixture(scope="session")
def toy_house(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a prepare.py whose profile full is small, and its data."""
    folder = tmp_path_factory.mktemp("toy")
    text = (ROOT / "prepare.py").read_text()
    assert text.count("Profile(2048, 8192, ") == 1
    (folder / "prepare.py").write_text(text.replace("Profile(2048, 8192, ", "Profile(32, 300, "))
    env = {**os.environ, "AUTORESEARCH_CACHE": str(folder), "PROFILE": "full"}
    texts = folder / "texts"
    texts.mkdir()
    for number, text in enumerate("\n\n".join(path.read_text() for path in CODE).split("\n\n")):
        (texts / f"{number:05}.txt").write_text(text)  # short documents: what is done at their beginning shows
    subprocess.run([sys.executable, folder / "prepare.py", "--corpus", texts], env=env, check=True)
    return folder


def results(sources: dict[str, str], folder: Path, cache: Path, profile: str) -> dict[str, Any]:
    run = subprocess.run(
        [sys.executable, "-c", DRIVER],
        input=json.dumps(sources),
        cwd=folder,
        env={**os.environ, "AUTORESEARCH_CACHE": str(cache), "PROFILE": profile, "SEED": "42"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert run.returncode == 0, run.stderr
    found: dict[str, Any] = json.loads(run.stdout)
    return found


SHARES = 12  # of the ideas, each in one process, so that two cores have work
CHEAP = ("small", 0), ("full", 1)  # the others take minutes


@pytest.mark.parametrize(
    ("profile", "share"),
    [
        pytest.param(*one, marks=pytest.mark.slow if one in CHEAP else pytest.mark.long)
        for one in product(("small", "full"), range(SHARES))
    ],
)
def test_every_idea_runs_and_changes_what_is_learned(request: pytest.FixtureRequest, profile: str, share: int) -> None:
    """The same code gives the same result, so a difference is the idea's."""
    texts = {idea.name: (base(idea), edited(idea)) for idea in IDEAS[share::SHARES]}
    sources = {text: text for pair in texts.values() for text in pair} | {"again": TRAIN}
    folder, cache = ROOT, request.getfixturevalue("small_cache" if profile == "small" else "toy_house")
    if profile == "full":
        folder, sources = cache, {name: toy(source) for name, source in sources.items()}
    found = results(sources, folder, cache, profile)
    problems = {name: found[text]["problems"] for name, (_, text) in texts.items() if found[text]["problems"]}
    assert problems == {}
    assert all(0 < result["val_bpb"] < 20 and math.isfinite(result["val_bpb"]) for result in found.values())
    assert [name for name, (before, after) in texts.items() if found[before] == found[after]] == []
    assert found[TRAIN] == found["again"]
