"""The built-in proposer: its hyperparameters, its choices in nights with made-up verdicts, its command."""

import difflib
import hashlib
import io
import json
import math
import re
import subprocess
import sys
import tokenize
from decimal import Decimal
from itertools import combinations, islice
from pathlib import Path
from typing import Any

import pytest
from flights import put_code
from house import ROOT, House, Result
from lab.catalog import blob_id, catalog
from lab.catalog.choose import RADICAL_AFTER, WIDER_AFTER, Proposal
from lab.catalog.hyperparameters import Hyperparameter, find, fits, replaced
from lab.catalog.ideas import IDEAS
from lab.catalog.keep_probability import Outcome, chance, outcomes
from lab.catalog.next_values import description, values
from lab.catalog.priors import BELIEFS, CATEGORIES, belief
from lab.catalog.scales import scale_of
from lab.catalog.structure import Idea

TRAIN = (ROOT / "train.py").read_text()


class Night:
    """A run of which only the verdicts are made up: `propose`, `judge`, and so on."""

    def __init__(self, folder: Path, source: str, profile: str = "small") -> None:
        self.run, self.train = folder, folder / "train.py"
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "manifest.json").write_text(json.dumps({"settings": {"PROFILE": profile}}))
        self.train.write_bytes(source.encode())
        self.incumbent = source
        self.tried = {blob_id(source)}
        self.descriptions: list[str] = []
        self.record("baseline", "keep", None, rule="baseline")

    def propose(self) -> Proposal:
        proposal = catalog(self.run, self.train, self.tried)
        assert proposal is not None, f"dry after {self.descriptions}"
        assert self.train.read_bytes() == proposal.source.encode(), "train.py is what is proposed"
        assert blob_id(proposal.source) not in self.tried, f"'{proposal.description}' was tried on this code"
        self.tried.add(blob_id(proposal.source))
        return proposal

    def judge(self, proposal: Proposal, gain: float) -> None:
        kept = gain >= 0.001
        self.record(proposal.description, "keep" if kept else "discard", gain, category=proposal.category)
        self.descriptions.append(proposal.description)
        self.incumbent = proposal.source if kept else self.incumbent
        self.train.write_bytes(self.incumbent.encode())

    def step(self, gain: float) -> str:
        proposal = self.propose()
        self.judge(proposal, gain)
        return proposal.description

    def record(self, description: str, status: str, gain: float | None, **more: Any) -> None:
        facts = {"rule": "", "category": None, "description": description, "status": status, "gain": gain, **more}
        with (self.run / "experiments.jsonl").open("a") as file:
            file.write(json.dumps(facts) + "\n")


def git_id(text: str) -> str:
    return (
        subprocess.run(["git", "hash-object", "--stdin"], input=text.encode(), capture_output=True, check=True)
        .stdout.decode()
        .strip()
    )


def changed_lines(before: str, after: str) -> tuple[list[str], list[str]]:
    lines = list(difflib.ndiff(before.splitlines(), after.splitlines()))
    return [line[2:] for line in lines if line[:2] == "- "], [line[2:] for line in lines if line[:2] == "+ "]


def tokens(text: str) -> list[str]:
    return [token.string for token in tokenize.generate_tokens(io.StringIO(text).readline)]


def named(name: str, source: str = TRAIN, small: bool = True) -> Hyperparameter:
    return next(found for found in find(source, small) if found.name == name)


# ---------------------------------------------------------------------------
# Hyperparameters
# ---------------------------------------------------------------------------


@pytest.mark.parametrize("small", [True, False])
def test_every_hyperparameter_of_train_py_is_found(small: bool) -> None:
    block = TRAIN.split("\n# Model\n")[1].split("# -----")[0]
    names = re.findall(r"^([A-Z][A-Z0-9_]*) = ", block, re.MULTILINE)
    assert len(names) > 20
    assert [re.sub(r"\[.\]", "", found.name) for found in find(TRAIN, small) if found.name != "ADAM_BETAS[1]"] == names
    assert set(names) - {"ADAM_BETAS"} <= set(BELIEFS), "something is believed of each"


# No share below 0, no pattern over DEPTH; and in profile full, 256 does not divide 640.
AT_THE_EDGE = {"WARMUP_RATIO": -1, "FINAL_LR_FRAC": -1, "WINDOW_PATTERN": 1, "HEAD_DIM": 1}


@pytest.mark.parametrize("small", [True, False])
@pytest.mark.parametrize("name", [found.name for found in find(TRAIN, True)])
def test_both_directions_change_one_token_of_one_line(name: str, small: bool) -> None:
    found = named(name, small=small)
    for direction in (1, -1):
        moved = (value for value in islice(values(found, belief(name), []), 40))
        fitting = (value for value in moved if fits(replaced(TRAIN, found, value), TRAIN, small))
        value = next((value for value in fitting if found.scale.direction(found.text, value) == direction), None)
        if value is None:
            assert AT_THE_EDGE.get(name) == direction
            assert small or name != "WINDOW_PATTERN"
            continue
        edited = replaced(TRAIN, found, value)
        (old,), (new,) = changed_lines(TRAIN, edited)
        assert old.startswith(name.split("[")[0] + " = ")
        assert old.partition("#")[1:] == new.partition("#")[1:], "the comment stays"
        differing = [pair for pair in zip(tokens(old), tokens(new), strict=True) if pair[0] != pair[1]]
        assert len(differing) == 1
        assert named(name, edited, small).text == value


@pytest.mark.parametrize(("small", "line"), [(True, "DEPTH = 3 if SMALL else 8"), (False, "DEPTH = 2 if SMALL else 9")])
def test_the_profile_in_force_is_the_one_that_is_changed(small: bool, line: str) -> None:
    source = "DEPTH = 2 if SMALL else 8  # blocks\n"
    (found,) = find(source, small)
    assert replaced(source, found, next(values(found, belief("DEPTH"), []))) == f"{line}  # blocks\n"


@pytest.mark.parametrize(
    ("name", "text", "up", "down"),
    [
        ("MATRIX_LR", "0.04", "0.06", "0.027"),
        ("TINY_LR", "1e-4", "1.5e-4", "6.7e-5"),
        ("HUGE", "2e5", "3e5", "1.3e5"),
        ("SMALL_LR", "0.0001", "0.00015", "6.7e-5"),
        ("INIT", "1.0", "1.5", "0.67"),
        ("INIT", "2.", "3.0", "1.3"),
        ("UNKNOWN", "0.0", "0.01", None),
        ("WARMDOWN_RATIO", "0.5", "0.6", "0.4"),
        ("DROPOUT", "0.05", "0.15", None),
        ("MLP_RATIO", "4", "5", "3"),
        ("MLP_RATIO", "2.0", "3.0", "1.3"),
        ("ADAM_BETAS[1]", "0.95", "0.975", "0.9"),
        ("BETA2", "0.999", "0.9995", "0.998"),
        ("DEPTH", "1", "2", None),
        ("STEPS", "100", "150", "67"),
        ("BASE", "10_000", "15_000", "6_700"),
        ("SHORT_WINDOW", "128", "256", "64"),
        ("BATCH", "8", "16", "4"),
        ("BATCH_SIZE", "2**11", "2**12", "2**10"),
        ("BATCH_SIZE", "2 ** 11", "2 ** 12", "2 ** 10"),
        ("WINDOW_PATTERN", '"SL"', '"SSL"', '"L"'),
        ("WINDOW_PATTERN", "'L'", "'SL'", None),
    ],
)
def test_values_are_moved_by_their_kind_and_written_as_a_person_would(
    name: str, text: str, up: str, down: str | None
) -> None:
    (found,) = find(f"{name.split('[')[0]} = {text}\n", True)
    scale = scale_of(name, found.text)
    assert scale is not None
    first = next(iter(islice(values(found, belief("?"), []), 1)), None)
    assert [scale.moved(text, direction) for direction in (1, -1)] == [up, down]
    assert first is not None


@pytest.mark.parametrize(
    "line",
    [
        "SEED = 42",
        "TIME_BUDGET = 300",
        "EVAL_BATCHES = 4",
        "PEAK_FLOPS = 989e12",
        "lower = 3",
        "VERBOSE = True",
        "NAME = 'SL'",
        "DEPTH = 2 if fast else 8",
        "MASK = 0xff",
        "FORM = 3j",
        "LIMIT = -1",
        "HALF = 1 / 2",
        "FAST = False",
    ],
)
def test_what_is_no_hyperparameter_is_left_alone(line: str) -> None:
    assert find(f"{line}\n", True) == ()


def test_the_width_stays_a_multiple_of_the_heads_and_the_heads_divide_it() -> None:
    source = "WIDTH = 96\nHEAD_DIM = 32\n"
    width, head_dim = find(source, True)
    assert list(islice(values(width, belief("WIDTH"), []), 3)) == ["128", "64", "160"]
    assert next(values(find("WIDTH = 100\nHEAD_DIM = 32\n", True)[0], belief("WIDTH"), [])) == "128"
    assert not fits(replaced(source, head_dim, "64"), source, True)
    assert fits(replaced(source, head_dim, "16"), source, True)
    assert not fits("WIDTH = 1\nHEAD_DIM = 1\n", "WIDTH = 2\nHEAD_DIM = 2\n", True), "rotary embedding needs pairs"
    assert fits("A = 2\nHEAD_DIM = 3\n", "A = 1\nHEAD_DIM = 3\n", True), "a rule that was broken before"


def test_the_window_pattern_is_no_longer_than_the_model_is_deep() -> None:
    pattern = find('WINDOW_PATTERN = "SL"\nDEPTH = 3\n', True)[0]
    assert list(values(pattern, belief("WINDOW_PATTERN"), [])) == ['"SSL"', '"L"']
    assert description(pattern, '"L"') == 'change WINDOW_PATTERN "SL" -> "L"'


def test_all_else_stays_byte_for_byte() -> None:
    source = "# ü\r\nLR = 0.04\t# ä → ö\r\nNAME = 'é'; BIAS: float = 1.0\r\nx = 1"
    learning_rate, bias = find(source, True)
    assert replaced(source, learning_rate, "0.06") == source.replace("0.04", "0.06")
    assert replaced(source, bias, "1.5") == source.replace("1.0", "1.5")


# ---------------------------------------------------------------------------
# The choice
# ---------------------------------------------------------------------------


@pytest.mark.slow
@pytest.mark.parametrize("profile", ["small", "full"])
def test_300_experiments_without_a_repetition(tmp_path: Path, profile: str) -> None:
    """Verdicts as in real life: one in seven is a win. `Night.propose` sees to it that nothing is proposed twice."""
    night = Night(tmp_path, TRAIN, profile)
    categories = set()
    for _ in range(300):
        proposal = night.propose()
        luck = int(hashlib.sha256(proposal.source.encode()).hexdigest(), 16) % 1000
        assert fits(proposal.source, night.incumbent, profile == "small")
        assert len(proposal.description) <= 200
        categories.add(proposal.category)
        night.judge(proposal, gain=(luck - 860) / 10000)
    assert categories == set(CATEGORIES)


def ideas_in(proposal: Proposal) -> list[Idea]:
    said = proposal.description
    return sorted((idea for idea in IDEAS if idea.description in said), key=lambda idea: said.index(idea.description))


@pytest.mark.slow
def test_the_description_says_exactly_what_was_changed(tmp_path: Path) -> None:
    night = Night(tmp_path, TRAIN)
    moved = 0
    for _ in range(160):
        proposal = night.propose()
        move = re.fullmatch(r"(raise|lower|change) (\w+)(\[\d\])? (\S+) -> (\S+)", proposal.description)
        if move:
            moved += 1
            (old,), (new,) = changed_lines(night.incumbent, proposal.source)
            assert old.replace(move[4], move[5], 1) == new
            assert old.startswith(f"{move[2]} = ")
        else:
            expected, parts = night.incumbent, ideas_in(proposal)
            for idea in parts:
                expected = idea.applied(expected) or ""
            assert proposal.source == expected
            assert proposal.description == " and ".join(idea.description for idea in parts)
        night.judge(proposal, gain=-0.1)
    assert moved > 30


def test_it_is_the_same_proposal_for_the_same_past(tmp_path: Path) -> None:
    nights = []
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
        nights.append(Night(tmp_path / name, TRAIN))
    assert [nights[0].step(-0.1) for _ in range(20)] == [nights[1].step(-0.1) for _ in range(20)]


STRANGER = "LR = 0.04\n"


def test_a_win_is_gone_on_with_a_loss_turns_around_and_two_narrow_the_step(tmp_path: Path) -> None:
    night = Night(tmp_path, STRANGER)
    assert night.step(gain=0.1) == "raise LR 0.04 -> 0.06"
    assert night.step(gain=0.1) == "raise LR 0.06 -> 0.09"
    assert night.step(gain=-0.1) == "raise LR 0.09 -> 0.13"
    assert night.step(gain=-0.1) == "lower LR 0.09 -> 0.073", "0.06 is where it comes from, so half a step"
    assert night.step(gain=-0.1) == "raise LR 0.09 -> 0.11"
    assert night.step(gain=0.1) == "lower LR 0.09 -> 0.081"
    assert night.step(gain=-0.1) == "lower LR 0.081 -> 0.066", "after a win the step is larger again"


def test_a_loss_turns_around(tmp_path: Path) -> None:
    night = Night(tmp_path, STRANGER)
    assert [night.step(gain=-0.1) for _ in range(6)] == [
        "raise LR 0.04 -> 0.06",
        "lower LR 0.04 -> 0.027",
        "raise LR 0.04 -> 0.049",
        "lower LR 0.04 -> 0.033",
        "raise LR 0.04 -> 0.044",
        "lower LR 0.04 -> 0.036",
    ]
    assert [night.step(gain=-0.1) for _ in range(2)] == ["raise LR 0.04 -> 0.09", "lower LR 0.04 -> 0.018"]


def test_in_train_py_a_winning_move_is_what_comes_next(tmp_path: Path) -> None:
    night = Night(tmp_path, TRAIN)
    while not (proposal := night.propose()).description.startswith("raise EMBEDDING_LR"):
        night.judge(proposal, gain=-0.1)
    night.judge(proposal, gain=0.01)
    assert night.step(gain=0.01).startswith("raise EMBEDDING_LR")
    assert night.step(gain=-0.1).startswith("raise EMBEDDING_LR")
    assert " -> " not in night.step(gain=-0.1), "then it is structure's turn"


@pytest.mark.parametrize("best", [0.0013, 0.04, 0.31])
def test_it_finds_the_bottom_of_a_bowl(tmp_path: Path, best: float) -> None:
    def loss(source: str) -> float:
        return math.log(named("LR", source).value / best) ** 2

    night = Night(tmp_path, STRANGER)
    for _ in range(40):
        proposal = night.propose()
        night.judge(proposal, gain=loss(night.incumbent) - loss(proposal.source))
    assert loss(night.incumbent) < 0.01, night.incumbent


def test_numbers_and_structure_take_turns(tmp_path: Path) -> None:
    night = Night(tmp_path, TRAIN)
    first = [night.step(gain=-0.1) for _ in range(RADICAL_AFTER)]
    assert [" -> " in description for description in first] == [False, True] * (RADICAL_AFTER // 2)
    names = {description.split()[1] for description in first[1::2]}
    assert len(names) == RADICAL_AFTER // 2, "names that were not tried come first"


def test_after_8_experiments_without_a_keep_the_categories_take_turns(tmp_path: Path) -> None:
    night = Night(tmp_path, TRAIN)
    categories = []
    for count in range(RADICAL_AFTER):
        proposal = night.propose()
        if count >= WIDER_AFTER:
            assert proposal.category not in categories[-4:], "one of those that were tried the longest ago"
        categories.append(proposal.category)
        night.judge(proposal, gain=-0.1)
    assert len(set(categories[WIDER_AFTER:])) > len(set(categories[:WIDER_AFTER]))
    assert set(categories) == set(CATEGORIES) - {"combining two near misses"}


def test_after_16_experiments_without_a_keep_it_turns_to_radical_changes_until_one_is_kept(tmp_path: Path) -> None:
    night = Night(tmp_path, TRAIN)
    for _ in range(RADICAL_AFTER):
        night.step(gain=-0.1)
    numbers: list[int] = []
    tried: set[str] = set()
    for _ in range(30):
        proposal = night.propose()
        parts = ideas_in(proposal)
        assert proposal.category == "radical changes"
        assert len(parts) == 2 or parts[0].category == "radical changes"
        assert len({idea.category for idea in parts}) == len(parts)
        assert not tried & {idea.name for idea in parts}
        tried |= {idea.name for idea in parts}
        numbers.append(len(parts))
        night.judge(proposal, gain=-0.1)
    assert set(numbers) == {1, 2}
    assert numbers == sorted(numbers), "those of the category come first"
    night.record("something else", "keep", 0.1)
    proposal = night.propose()
    assert proposal.category != "radical changes"
    assert len(ideas_in(proposal)) < 2


def test_what_paid_comes_first(tmp_path: Path) -> None:
    night = Night(tmp_path, TRAIN)
    before = night.propose()
    for _ in range(6):
        night.record("something else", "keep", 0.1, category="simplification")
    night.record("raise NOTHING 1 -> 2", "discard", -0.1)
    night.train.write_text(TRAIN)
    after = night.propose()
    assert before.category != "simplification"
    assert after.category == "simplification"


def test_other_proposers_words_count(tmp_path: Path) -> None:
    night = Night(tmp_path, STRANGER)
    night.record("LR 0.04 -> 0.05", "discard", -0.1)
    assert night.step(gain=-0.1) == "lower LR 0.04 -> 0.027"
    night.record("raise LR to the sky -> moon", "discard", -0.1)
    night.record("LR high -> low", "discard", -0.1)
    assert night.step(gain=-0.1) == "raise LR 0.04 -> 0.049"


def near_misses(night: Night) -> None:
    """All ideas were tried and lost, two moves almost not; it is structure's turn."""
    for idea in IDEAS:
        night.record(idea.description, "discard", -0.1, category=idea.category)
    night.record("raise MATRIX_LR 0.04 -> 0.06", "discard", 0.0009)
    night.record("remove the norm of the embedding", "discard", -0.0002)
    night.record("raise ROPE_BASE 1 -> 2", "discard", 0.0)  # its code is not there any more
    night.record("raise SCALAR_LR 0.05 -> 0.075", "discard", -0.0051)  # a plain loss


def test_two_near_misses_are_combined_on_the_code_of_today(tmp_path: Path) -> None:
    night = Night(tmp_path, replaced(TRAIN, named("MATRIX_LR"), "0.04"))
    near_misses(night)
    proposal = night.propose()
    assert proposal.category == "combining two near misses"
    assert proposal.description == "raise MATRIX_LR 0.04 -> 0.06 and remove the norm of the embedding"
    assert "MATRIX_LR = 0.06" in proposal.source
    assert "        x = self.embedding(tokens).to(DTYPE)\n        x0 = x\n" in proposal.source
    night.judge(proposal, gain=-0.1)
    night.record("raise NOTHING 1 -> 2", "discard", -0.1)
    night.train.write_text(replaced(night.incumbent, named("DEPTH"), "3"))  # on other code, it is no news any more
    assert night.propose().category != "combining two near misses", "there is only one pair"


@pytest.mark.slow
def test_an_idea_that_failed_is_tried_again_on_other_code(tmp_path: Path) -> None:
    night = Night(tmp_path, TRAIN)
    while not (proposal := night.propose()).description.startswith("replace"):
        night.judge(proposal, gain=-0.1)
    night.judge(proposal, gain=-0.1)
    night.incumbent = replaced(TRAIN, named("SOFTCAP"), "16")
    night.train.write_text(night.incumbent)
    assert proposal.description in [night.step(gain=-0.1) for _ in range(150)]


def test_what_does_not_go_together_is_not_proposed(tmp_path: Path) -> None:
    night = Night(tmp_path, "WIDTH = 96\nHEAD_DIM = 32\n")
    for _ in range(30):
        proposal = night.propose()
        width, head_dim = (found.value for found in find(proposal.source, True))
        assert width % head_dim == head_dim % 2 == 0
        night.judge(proposal, gain=-0.1)


@pytest.mark.parametrize(
    ("profile", "value"), [("small", "3 if SMALL else 8"), ("auto", "3 if SMALL else 8"), ("full", "2 if SMALL else 9")]
)
def test_the_profile_is_the_run_s_and_line_ends_stay(tmp_path: Path, profile: str, value: str) -> None:
    night = Night(tmp_path, "DEPTH = 2 if SMALL else 8\r\n", profile)
    night.propose()
    assert night.train.read_bytes() == f"DEPTH = {value}\r\n".encode()


def test_a_near_miss_whose_value_was_changed_since_is_not_combined(tmp_path: Path) -> None:
    night = Night(tmp_path, replaced(TRAIN, named("MATRIX_LR"), "0.05"))
    near_misses(night)
    assert night.propose().category != "combining two near misses"


@pytest.mark.parametrize("source", [STRANGER, "SOFTCAP = 15\n", "WEIGHT_DECAY = 0.0\n", "WARMUP_RATIO = 0.5\n"])
def test_a_strangers_train_py_with_one_number_is_enough_for_ever(tmp_path: Path, source: str) -> None:
    night = Night(tmp_path, source)
    for _ in range(120):
        night.step(gain=-0.1)


@pytest.mark.parametrize("source", ["print('val_bpb: 1')\n", "lr = 0.04\n", "", "LR = \n", "LR = 0.04 # é\nx = (\n"])
def test_no_idea_at_all(tmp_path: Path, source: str) -> None:
    night = Night(tmp_path, source)
    assert catalog(tmp_path, night.train, set()) is None
    assert night.train.read_text() == source


def test_an_idea_that_was_put_in_by_hand_is_passed_over(tmp_path: Path) -> None:
    first = Night(tmp_path, TRAIN).propose()
    (tmp_path / "changed").mkdir()
    night = Night(tmp_path / "changed", first.source)
    assert night.propose().description != first.description


def test_the_id_of_a_text_is_git_s() -> None:
    for text in ("", "LR = 0.04\n", TRAIN, "é\r\n"):
        assert blob_id(text) == git_id(text)


def test_a_win_of_long_ago_is_forgotten() -> None:
    def past(*wins: bool) -> list[Outcome]:
        return [Outcome("", None, won, None, "LR") for won in wins]

    lost_since = [chance(0.2, "", "LR", past(True, *[False] * losses)) for losses in range(6)]
    assert lost_since == sorted(lost_since, reverse=True)
    assert lost_since[0] > 0.5
    assert chance(0.2, "", "LR", past(True, True, True, False)) == lost_since[1]
    assert lost_since[4] == pytest.approx(0.2)


def test_no_move_leads_nowhere_or_back_to_where_a_win_came_from() -> None:
    (found,) = find("LR = 0.06\n", True)
    won = Outcome("", None, True, None, "LR", "0.04", "0.06")
    assert list(islice(values(found, belief("LR"), [won]), 3)) == ["0.09", "0.073", "0.049"]
    (whole,) = find("SOFTCAP = 15\n", True)
    assert "15" not in islice(values(whole, belief("SOFTCAP"), []), 100), "a small move of a whole number is none"


def test_the_past_is_read_as_it_is_written() -> None:
    row = {"rule": "worse", "category": None, "status": "crash", "gain": None, "description": "lower DEPTH 3 -> 2"}
    (crash,) = outcomes([{**row, "rule": "baseline"}, row])
    assert (crash.won, crash.gain, crash.is_near_miss, crash.subject) == (False, None, False, "DEPTH")
    (kept,) = outcomes([{**row, "status": "keep", "gain": Decimal("0.001")}])
    assert (kept.won, kept.is_near_miss) == (True, False)


# ---------------------------------------------------------------------------
# The command
# ---------------------------------------------------------------------------


@pytest.mark.slow
def test_the_loop_runs_on_it(run: House) -> None:
    assert run.loop(5).status == 0
    run.check_invariants()
    experiments = run.experiments()
    assert len(experiments) == 6
    descriptions = [str(one["description"]) for one in experiments[1:]]
    assert all(re.fullmatch(r"(raise|lower) (VALUE|MEMORY) \S+ -> \S+", text) for text in descriptions)
    assert all(one["category"] in CATEGORIES and one["agent"] == "catalog" for one in experiments[1:])
    assert "keep" in run.statuses()[1:], "VALUE is the metric: to lower it is a win"
    blobs = [run.git("rev-parse", f"{one['commit']}:train.py") for one in experiments]
    assert len(set(blobs)) == len(blobs)


def called_in_a_copy(run: House, source: str, **settings: str) -> tuple[Result, Path]:
    """Its result in a repository of its own with this train.py, and the folder."""
    copy = run.outside / "copy"
    copy.mkdir()
    (copy / "train.py").write_text(source)
    command = 'cd "$0" && git init -q && git add . && "$1"'
    catalog = str(run.tree / "lib/proposers/catalog")
    return run.call("bash", "-c", command, str(copy), catalog, **{"LAB_TAG": "mar14", **settings}), copy


def test_it_edits_the_copy_in_which_it_is_called(run: House) -> None:
    run.once()
    before = (run.tree / "train.py").read_text()
    result, copy = called_in_a_copy(run, "import lab\nLR = 0.04  # é\n")
    assert result.status == 0
    assert result.out == "category: learning rate and schedule\nraise LR 0.04 -> 0.06\n"
    assert (copy / "train.py").read_text() == "import lab\nLR = 0.06  # é\n"
    assert {path.name for path in copy.iterdir()} == {".git", "train.py"}
    assert (run.tree / "train.py").read_text() == before


def test_it_repeats_nothing_that_anybody_tried(run: House) -> None:
    """`raise VALUE 1.0 -> 1.5` would be first, but another proposer has had that very train.py, in other words."""
    run.once(run.proposer("sed -i 's/^VALUE = 1.0/VALUE = 1.5/' train.py; echo 'a worse metric'"))
    assert run.statuses() == ["keep", "discard"]
    run.once()
    assert run.rows()[-1][4] != "raise VALUE 1.0 -> 1.5"


@pytest.mark.parametrize(
    ("source", "settings", "message"),
    [
        ("print('no number')\n", {}, "catalog: no idea for 'train.py', which has no UPPERCASE number\n"),
        ("LR = 0.04\n", {"LAB_MODE": "mend"}, "catalog: cannot 'mend': it can only propose\n"),
    ],
)
def test_without_an_idea_nothing_is_changed(run: House, source: str, settings: dict[str, str], message: str) -> None:
    result, copy = called_in_a_copy(run, source, **settings)
    assert (result.status, result.out, result.err) == (1, "", message)
    assert (copy / "train.py").read_text() == source


def test_it_imports_nothing_slow() -> None:
    """It has to answer within 0.3 s."""
    script = "import lab.catalog, sys; print({'torch', 'numpy', 'jsonschema', 'filelock'} & set(sys.modules))"
    assert subprocess.run([sys.executable, "-c", script], capture_output=True, text=True).stdout == "set()\n"


# --- what is in the air ----------------------------------------------------------------------------------------------


def test_what_is_proposed_side_by_side_can_be_kept_side_by_side(tmp_path: Path) -> None:
    """Eight at once merge with one another; alone, the catalog proposes what it always did."""
    night = Night(tmp_path / "runs/mar14", TRAIN)
    alone = night.propose().source
    texts: list[str] = []
    for number in range(8):
        night.train.write_text(TRAIN)
        flight = night.run / f"flights/f{number + 2}"
        flight.mkdir(parents=True)
        texts.append(alone if number == 0 else night.propose().source)
        put_code(flight, TRAIN, texts[-1])
    for one, other in combinations(texts, 2):
        assert merges(tmp_path, one, other)
    assert len(set(texts)) == 8


def merges(folder: Path, one: str, other: str) -> bool:
    paths = [folder / name for name in ("one", "before", "other")]
    for path, text in zip(paths, (one, TRAIN, other), strict=True):
        path.write_text(text)
    return subprocess.run(["git", "merge-file", "-p", "-q", *paths], capture_output=True).returncode == 0


def test_where_all_that_is_left_touches_what_is_in_the_air_the_best_is_proposed(tmp_path: Path) -> None:
    night = Night(tmp_path / "runs/mar14", TRAIN)
    flight = night.run / "flights/f2"
    flight.mkdir(parents=True)
    put_code(flight, TRAIN, "".join(f"# {line}\n" for line in TRAIN.splitlines()))
    assert night.propose()
