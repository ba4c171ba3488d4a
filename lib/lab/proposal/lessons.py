"""The past of a run -> what it teaches: near misses, dead ends, what each kind of idea has paid, where to look next.

By meaning: experiments belong together that moved the same constant, or touched the same line (changes.py).
"""

from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from decimal import Decimal
from itertools import combinations

from lab.catalog.beliefs import BELIEFS, CATEGORIES, Category
from lab.catalog.choose import RADICAL_AFTER, WIDER_AFTER
from lab.one_line import LONGEST, clean
from lab.proposal.changes import BEHIND, Change, move
from lab.store.experiments import NEAR_MISSES, Experiment, outcome

LONGEST_OF_MANY = 120  # characters of a description, where many stand in a line
KNOWN = {category.casefold(): category for category in CATEGORIES}
BELIEF = 6  # tries that the hope for a category that nobody has tried is worth; one of them is kept


@dataclass(frozen=True)
class Try:
    """One experiment after the baseline. `category` is None where nobody said one, and its constants tell none."""

    n: int
    text: str
    outcome: str
    is_keep: bool
    is_crash: bool
    is_near: bool
    gain: Decimal | None
    lines: str
    category: Category | None
    change: Change

    def what(self, place: str) -> str:
        """What was done at the place: the move of its constant, else the description."""
        values = self.change.constants.get(place)
        return move(*values) if values else clean(self.text, LONGEST_OF_MANY)


def tries(past: Iterable[Experiment], changes: Iterable[Change]) -> list[Try]:
    """The experiments, oldest first, without the baseline."""
    pairs = zip(past, changes, strict=True)
    return [_try(experiment, change) for experiment, change in pairs if experiment["rule"] != "baseline"]


def _try(one: Experiment, change: Change) -> Try:
    return Try(
        n=one["n"],
        text=clean(one["description"], LONGEST),
        outcome=outcome(one),
        is_keep=one["status"] == "keep",
        is_crash=one["status"] == "crash",
        is_near=one["rule"] in NEAR_MISSES and (one["gain"] or 0) > 0,
        gain=one["gain"],
        lines=lines_of(one),
        category=category_of(one["category"], change),
        change=change,
    )


def lines_of(one: Experiment) -> str:
    """`+3 -1`: code lines added and removed."""
    return "not known" if one["lines_added"] is None else f"+{one['lines_added']} -{one['lines_removed']}"


def category_of(said: str | None, change: Change) -> Category | None:
    """The category as it was said, in any case; else that of a constant that was moved, where it is a known one."""
    found = KNOWN.get((said or "").casefold())
    return found or next((BELIEFS[name].category for name in change.constants if name in BELIEFS), None)


def dry(past: Sequence[Try]) -> int:
    """How many experiments there were since the last keep, or the baseline."""
    return next((count for count, one in enumerate(reversed(past)) if one.is_keep), len(past))


def near_misses(past: Iterable[Try]) -> list[Try]:
    """What gained, but not enough, the largest gain first; of what was tried several times the last one, by their mean.

    Where something was kept since at the same place, a near miss is over.
    """
    found: dict[str, list[Try]] = defaultdict(list)
    for one in past:
        if one.is_keep:
            won = set(one.change.places)
            over = [key for key, alike in found.items() if won & set(alike[0].change.places)]
            for key in over:
                del found[key]
        elif one.gain is not None:
            found[_meaning(one)].append(one)
    nearest = [(_mean(alike), one) for alike in found.values() for one in alike if one.is_near]
    last = {_meaning(one): (gain, one) for gain, one in nearest if gain > 0}
    return [one for _, one in sorted(last.values(), key=lambda pair: (pair[0], pair[1].n), reverse=True)]


def _mean(alike: Sequence[Try]) -> Decimal:
    return sum((one.gain or Decimal(0) for one in alike), Decimal(0)) / len(alike)


def _meaning(one: Try) -> str:
    """The same for what does the same."""
    return " ".join(sorted(one.change.moves())) or one.change.diff or one.text


def pair(misses: Sequence[Try], past: Iterable[Try]) -> tuple[Try, Try] | None:
    """The two nearest misses at different places whose descriptions nobody has put together yet."""
    told = [one.text for one in past if one.category == "combining two near misses"]
    for one, other in combinations(misses[:6], 2):
        is_apart = not set(one.change.places) & set(other.change.places)
        if is_apart and not any(one.text[:50] in text and other.text[:50] in text for text in told):
            return one, other
    return None


def dead_ends(past: Sequence[Try]) -> list[tuple[str, list[Try]]]:
    """The places at which something failed, those with the most tries first; and all tries there, oldest first.

    Of the places of an experiment the one that most others share; where it only adds lines says less.
    """
    count = Counter(place for one in past for place in one.change.places or [one.text])
    groups: dict[str, list[Try]] = defaultdict(list)
    for one in past:
        places = one.change.places or [one.text]
        groups[max(places, key=lambda place: (not place.startswith(BEHIND), count[place]))].append(one)
    failed = [(place, group) for place, group in groups.items() if not all(one.is_keep for one in group)]
    return sorted(failed, key=lambda pair: (len(pair[1]), pair[1][-1].n), reverse=True)


@dataclass(frozen=True)
class Paid:
    """What a category has brought so far; `last` is the number of its last experiment, 0 where there is none."""

    category: Category | None
    tries: int
    keeps: int
    crashes: int
    gain: Decimal
    last: int

    @property
    def chance(self) -> float:
        """Of a keep, guessed."""
        return (self.keeps + 1) / (self.tries + BELIEF)


def paid(past: Sequence[Try]) -> list[Paid]:
    """Each category, the one that gained the most first; last, those that are not known, if there are any."""
    by_category: dict[Category | None, list[Try]] = defaultdict(list)
    for one in past:
        by_category[one.category].append(one)
    known = [_paid(category, by_category[category]) for category in CATEGORIES]
    unknown = [_paid(None, by_category[None])] if by_category[None] else []
    return [*sorted(known, key=lambda one: (one.gain, one.keeps, -one.tries), reverse=True), *unknown]


def _paid(category: Category | None, group: Sequence[Try]) -> Paid:
    keeps = [one for one in group if one.is_keep]
    gain = sum((one.gain or Decimal(0) for one in keeps), Decimal(0))
    crashes = sum(one.is_crash for one in group)
    return Paid(category, len(group), len(keeps), crashes, gain, group[-1].n if group else 0)


def directions(past: Sequence[Try]) -> list[Category]:
    """Where to look next, the first choice first.

    While things go well the most promising one; after WIDER_AFTER experiments without a keep those that were tried the
    longest ago, more of them the longer it lasts; after RADICAL_AFTER, radical changes before them. Tries of no known
    category move the turn on, too.
    """
    since = dry(past)
    known = {one.category: one for one in paid(past) if one.category}
    if since < WIDER_AFTER:
        return [max(CATEGORIES, key=lambda name: known[name].chance)]
    names = [name for name in CATEGORIES if name not in ("combining two near misses", "radical changes")]
    ranked = sorted(names, key=lambda name: known[name].last)
    turn = sum(one.category is None for one in past[-since:]) % len(ranked)
    ranked = [*ranked[turn:], *ranked[:turn]]
    if since >= RADICAL_AFTER:
        return ["radical changes", *ranked[:3]]
    return ranked[: 2 + (since - WIDER_AFTER) // 3]
