"""The past of a run -> its lessons: near misses, dead ends, the gain of each kind of idea, where to look next.

Experiments that moved the same constant or touched the same line belong together (changes.py).
"""

from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from decimal import Decimal
from itertools import combinations

from lab.catalog.choose import RADICAL_AFTER, WIDER_AFTER
from lab.catalog.priors import BELIEFS, CATEGORIES, Category
from lab.one_line import LONGEST, clean
from lab.proposal.changes import BEHIND, Change, move
from lab.store.experiments import NEAR_MISSES, Experiment, outcome

LONGEST_OF_MANY = 120  # characters of a description, where many stand in a line
KNOWN = {category.casefold(): category for category in CATEGORIES}
NOTE = 300  # characters
BELIEF = 6  # tries that an untried category starts with; one of them is a keep


@dataclass(frozen=True)
class Try:
    """One experiment after the baseline.

    `category`: that of its proposer, in any case, else that of the first known constant that it moved; None: neither.
    """

    n: int
    text: str
    outcome: str
    is_keep: bool
    is_simpler: bool  # kept for its fewer lines: its gain is noise
    is_crash: bool
    is_near: bool
    gain: Decimal | None
    lines: str
    category: Category | None
    change: Change
    notes: tuple[str, ...] = ()

    def what(self, place: str) -> str:
        """The change at the place: the move of its constant, else the description."""
        values = self.change.constants.get(place)
        return move(*values) if values else clean(self.text, LONGEST_OF_MANY)


def tries(past: Iterable[Experiment], changes: Iterable[Change]) -> list[Try]:
    """The experiments, oldest first, without the baseline."""
    pairs = zip(past, changes, strict=True)
    return [_try(experiment, change) for experiment, change in pairs if experiment["rule"] != "baseline"]


def _try(one: Experiment, change: Change) -> Try:
    of_constant = next((BELIEFS[name].category for name in change.constants if name in BELIEFS), None)
    return Try(
        n=one["n"],
        text=clean(one["description"], LONGEST),
        outcome=outcome(one),
        is_keep=one["status"] == "keep",
        is_simpler=one["rule"] == "simplification",
        is_crash=one["status"] == "crash",
        is_near=one["rule"] in NEAR_MISSES and (one["gain"] or 0) > 0,
        gain=one["gain"],
        lines=lines_of(one),
        category=KNOWN.get((one["category"] or "").casefold()) or of_constant,
        change=change,
        notes=tuple(clean(note, NOTE) for note in one.get("notes") or ()),
    )


def lines_of(one: Experiment) -> str:
    """`+3 -1`: code lines added and removed."""
    return "unknown" if one["lines_added"] is None else f"+{one['lines_added']} -{one['lines_removed']}"


def experiments_since_keep(past: Sequence[Try]) -> int:
    """The number of experiments since the last keep, or since the baseline."""
    return next((count for count, one in enumerate(reversed(past)) if one.is_keep), len(past))


def near_misses(past: Iterable[Try]) -> list[Try]:
    """Experiments that gained, but not enough, the largest gain first; repeated ones count once, by their mean.

    A later keep at the same place ends a near miss.
    """
    found: dict[str, list[Try]] = {}
    for one in past:
        if one.is_keep:
            won = set(one.change.places)
            found = {key: alike for key, alike in found.items() if not won & set(alike[0].change.places)}
        elif one.gain is not None:
            found.setdefault(_meaning(one), []).append(one)
    nearest = [(_mean(alike), near[-1]) for alike in found.values() if (near := [one for one in alike if one.is_near])]
    return [one for gain, one in sorted(nearest, key=lambda pair: (pair[0], pair[1].n), reverse=True) if gain > 0]


def _mean(alike: Sequence[Try]) -> Decimal:
    return sum((one.gain or Decimal(0) for one in alike), Decimal(0)) / len(alike)


def _meaning(one: Try) -> str:
    """Equal for experiments that do the same."""
    return " ".join(sorted(one.change.moves())) or one.change.diff or one.text


def pair(misses: Sequence[Try], past: Iterable[Try]) -> tuple[Try, Try] | None:
    """The two best near misses at different places that no experiment has combined yet."""
    told = [one.text for one in past if one.category == "combining two near misses"]
    for one, other in combinations(misses[:6], 2):
        is_apart = not set(one.change.places) & set(other.change.places)
        if is_apart and not any(one.text[:50] in text and other.text[:50] in text for text in told):
            return one, other
    return None


def dead_ends(past: Sequence[Try]) -> list[tuple[str, list[Try]]]:
    """The places where something failed, those with the most tries first, each with all its tries, oldest first.

    An experiment with several places counts at the one that most others share; a place where it only adds lines counts
    least. What was kept later did not fail.
    """
    won = {meant: one.n for one in past if one.is_keep for meant in (_meaning(one), one.text)}
    past = [one for one in past if one.n >= max(won.get(_meaning(one), 0), won.get(one.text, 0))]
    count = Counter(place for one in past for place in one.change.places or [one.text])
    groups: dict[str, list[Try]] = defaultdict(list)
    for one in past:
        places = one.change.places or [one.text]
        groups[max(places, key=lambda place: (not place.startswith(BEHIND), count[place]))].append(one)
    failed = [(place, group) for place, group in groups.items() if not all(one.is_keep for one in group)]
    return sorted(failed, key=lambda pair: (len(pair[1]), pair[1][-1].n), reverse=True)


@dataclass(frozen=True)
class Result:
    """The results of a category so far; `last`: the number of its last experiment, 0: none."""

    category: Category | None
    tries: int
    keeps: int
    crashes: int
    gain: Decimal
    last: int

    @property
    def chance(self) -> float:
        """The estimated chance of a keep."""
        return (self.keeps + 1) / (self.tries + BELIEF)


def results(past: Sequence[Try]) -> list[Result]:
    """The results of each category, the largest gain first; last, those of unknown category, if there are any."""
    found = [_result(category, past) for category in (*CATEGORIES, None)]
    found.sort(key=lambda one: (one.category is not None, one.gain, one.keeps, -one.tries), reverse=True)
    return found if found[-1].tries else found[:-1]


def _result(category: Category | None, past: Iterable[Try]) -> Result:
    group = [one for one in past if one.category == category]
    keeps = [one for one in group if one.is_keep]
    return Result(
        category,
        tries=len(group),
        keeps=len(keeps),
        crashes=sum(one.is_crash for one in group),
        gain=sum((one.gain or Decimal(0) for one in keeps if not one.is_simpler), Decimal(0)),
        last=group[-1].n if group else 0,
    )


def directions(past: Sequence[Try]) -> list[Category]:
    """The categories to try next, the first choice first.

    As long as there are keeps, the most promising category; after WIDER_AFTER experiments without a keep, those that
    were tried the longest ago, more of them the longer it lasts; after RADICAL_AFTER, radical changes first. Tries of
    unknown category also rotate the order.
    """
    since = experiments_since_keep(past)
    known = {one.category: one for one in results(past) if one.category}
    if since < WIDER_AFTER:
        return [max(CATEGORIES, key=lambda name: known[name].chance)]
    names = [name for name in CATEGORIES if name not in ("combining two near misses", "radical changes")]
    ranked = sorted(names, key=lambda name: known[name].last)
    turn = sum(one.category is None for one in past[-since:]) % len(ranked)
    ranked = [*ranked[turn:], *ranked[:turn]]
    if since >= RADICAL_AFTER:
        return ["radical changes", *ranked[:3]]
    return ranked[: 2 + (since - WIDER_AFTER) // 3]
