"""The text of train.py and the run's past -> proposals, the most promising first.

New proposals (untried ideas, then pairs of near misses) alternate with repeatable ones (moves of hyperparameters, ideas
that failed on other code). A move that has just won is continued first.

WIDER_AFTER experiments without a keep show that the chances were wrong. Then the categories take turns, and the one
that was not tried for longest comes first. After RADICAL_AFTER experiments, radical changes come first, and then pairs
of untried ideas of different categories. Each idea is in at most one such pair, so the pairs end.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import chain, combinations, islice, zip_longest

from lab.catalog import hyperparameters, next_values
from lab.catalog.hyperparameters import Hyperparameter
from lab.catalog.ideas import IDEAS
from lab.catalog.keep_probability import Outcome, chance
from lab.catalog.priors import Category, belief
from lab.catalog.structure import Idea

MOST_NEAR_MISSES = 12  # near misses that are combined with each other: 66 pairs
WIDER_AFTER = 8  # experiments in a row without a keep
RADICAL_AFTER = 16


@dataclass(frozen=True)
class Proposal:
    """A whole new text of train.py. The description names the exact change in one line."""

    source: str
    category: Category
    description: str


@dataclass(frozen=True)
class Topic:
    """A hyperparameter or an idea: its proposals, best first, and the chance that the first one is kept."""

    category: Category
    chance: float
    proposals: Iterable[Proposal]


def proposals(source: str, small: bool, past: Sequence[Outcome]) -> Iterator[Proposal]:
    """All proposals for the source, the most promising first. There is no end if the source has a decimal fraction."""
    dry = next((count for count, outcome in enumerate(reversed(past)) if outcome.won), len(past))
    latest = {outcome.category: index for index, outcome in enumerate(past)} if dry >= WIDER_AFTER else {}

    def ranked(topics: Iterable[Topic]) -> Iterator[Proposal]:
        return _in_turn(sorted(topics, key=lambda topic: (latest.get(topic.category, -1), -topic.chance)))

    descriptions = "\n".join(outcome.description for outcome in past)
    untried = [idea for idea in IDEAS if idea.description not in descriptions]
    failed = [_idea_topic(idea, source, small, past) for idea in IDEAS if idea.description in descriptions]
    numbers = [_move_topic(found, source, small, past) for found in hyperparameters.find(source, small)]
    new = chain(ranked(_idea_topic(idea, source, small, past) for idea in untried), _combined(source, small, past))
    again = ranked(numbers + failed)
    is_new_next = bool(past) and past[-1].is_move and not past[-1].won
    in_turn = chain(new, again) if is_new_next or not past else chain(again, new)
    return chain(_radical(untried, source, small, past), in_turn) if dry >= RADICAL_AFTER else in_turn


def _in_turn(topics: Iterable[Topic]) -> Iterator[Proposal]:
    """The first proposal of each topic, then the second of each, and so on."""
    rounds = zip_longest(*(topic.proposals for topic in topics))
    return (proposal for proposal in chain.from_iterable(rounds) if proposal)


def _radical(untried: Iterable[Idea], source: str, small: bool, past: Sequence[Outcome]) -> Iterator[Proposal]:
    """Radical changes, and pairs of ideas of different categories."""
    ranked = sorted(untried, key=lambda idea: _idea_topic(idea, source, small, past).chance, reverse=True)
    for idea in ranked:
        if idea.category == "radical changes":
            yield from _idea_topic(idea, source, small, past).proposals
    for one, other in combinations(ranked, 2):
        edited = other.applied(one.applied(source) or "")
        if edited and one.category != other.category:
            yield Proposal(edited, "radical changes", f"{one.description} and {other.description}")


def _idea_topic(idea: Idea, source: str, small: bool, past: Sequence[Outcome]) -> Topic:
    edited = idea.applied(source)
    proposal = [Proposal(edited, idea.category, idea.description)] if edited else []
    return Topic(idea.category, chance(idea.chance(small), idea.category, idea.description, past), proposal)


def _move_topic(found: Hyperparameter, source: str, small: bool, past: Sequence[Outcome]) -> Topic:
    believed = belief(found.name)
    proposals = (
        Proposal(
            hyperparameters.replaced(source, found, value), believed.category, next_values.description(found, value)
        )
        for value in next_values.values(found, believed, past)
    )
    return Topic(believed.category, chance(believed.chance(small), believed.category, found.name, past), proposals)


def _combined(source: str, small: bool, past: Sequence[Outcome]) -> Iterator[Proposal]:
    """Pairs of near misses, the nearest pairs first."""
    tried = {outcome.description for outcome in past}
    misses = {outcome.description: outcome for outcome in past if outcome.is_near_miss}
    nearest = sorted(misses.values(), key=lambda outcome: outcome.gain or 0, reverse=True)
    applicable = (outcome for outcome in nearest if _repeated(outcome, source, small))
    for one, other in combinations(islice(applicable, MOST_NEAR_MISSES), 2):
        edited = _repeated(other, _repeated(one, source, small) or "", small)
        description = f"{one.description} and {other.description}"
        if edited and description not in tried:
            yield Proposal(edited, "combining two near misses", description)


def _repeated(outcome: Outcome, source: str, small: bool) -> str | None:
    """The source with an earlier change, or None if it no longer applies."""
    for found in hyperparameters.find(source, small):
        is_same = (found.name, found.text) == (outcome.subject, outcome.old)
        if is_same and found.scale.direction(outcome.old, outcome.new):
            return hyperparameters.replaced(source, found, outcome.new)
    return next((idea.applied(source) for idea in IDEAS if idea.description == outcome.description), None)
