"""The keeps of a run that a person wants on another branch -> which commits, and the messages of their copies."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lab.errors import Fault
from lab.store import durable, experiments, metric, schemas
from lab.store.experiments import Experiment
from lab.verdict import index, trailers, trust
from lab.verdict.index import Index
from lab.verdict.trust import Trust
from lab.views.find_experiment import find

SQUASH = "squash"  # the file of the message of all of them
Audit = dict[str, Any]


@dataclass(frozen=True)
class Night:
    """What a message is made of."""

    tag: str
    keeps: Sequence[Experiment]
    known: Index
    trust: dict[str, Trust]
    audit: Audit | None


def keeps(run: Path, wanted: str) -> list[Experiment]:
    """The keeps that `wanted` names (`4 #9`), or all but the baseline, oldest first.

    Raises Fault where it names what is no keep.
    """
    chain = experiments.keeps(run)[1:]
    names = wanted.replace(",", " ").split()
    if not names:
        return chain
    by_number = {one["n"]: one for one in chain}
    numbers = {_number(run, name, by_number) for name in names}
    return [one for one in chain if one["n"] in numbers]


def _number(run: Path, name: str, kept: dict[int, Experiment]) -> int:
    found = find(run, name)
    if found.n not in kept:
        what = "is the baseline: there is no change in it" if found.n == 1 else "was not kept"
        some = " ".join(str(n) for n in kept) or "none"
        hint = (
            f"the keeps are: {some}" if found.n == 1 else f"try it again: make retry N={found.n}; the keeps are: {some}"
        )
        raise Fault(f"experiment #{found.n} {what}", hint)
    return found.n


def facts(one: Experiment) -> str:
    """For a shell: number, commit and parent."""
    return f"{one['n']} {one['commit']} {one['parent']}"


def write_messages(run: Path, numbers: Sequence[int], folder: Path, *, squash: bool) -> None:
    """The message of each of these keeps, into a file that is called by its number; or one of all of them."""
    chain = experiments.keeps(run)
    known = index.read(run)
    night = Night(run.name, chain, known, trust.of_keeps(run, chain, known.spread_on), audit_of(run))
    chosen = [one for one in chain if one["n"] in set(numbers)]
    texts = {SQUASH: of_all(night, chosen)} if squash else {str(one["n"]): of_one(night, one) for one in chosen}
    for name, text in texts.items():
        durable.write_atomically(folder / name, text, durable=False)


def of_one(night: Night, keep: Experiment) -> str:
    """The message of one keep."""
    own = trailers.of_keep(night.tag, keep, night.trust.get(keep["commit"]))
    lines = [*own, *_proposer([keep]), f"audit: {audit_in_words(night.audit)}", trailers.copied_from(keep)]
    return trailers.message(keep["description"], [], lines)


def of_all(night: Night, chosen: Sequence[Experiment]) -> str:
    """The message of all of them in one commit: a line for each, and the numbers of the whole."""
    last = chosen[-1]
    measures = metric.named(last)
    words = [(night.trust.get(one["commit"]) or Trust(None)).word or "noise not measured" for one in chosen]
    body = [
        f"#{one['n']} {metric.named(one).text(one['val_bpb'])} ({one['gain']:+.6f}, {word})  {one['description']}"
        for one, word in zip(chosen, words, strict=True)
    ]
    lines = [
        f"{measures.name}: {measures.text(last['val_bpb'])}",
        *([f"gain: {night.known.claimed(last):+.6f}"] if len(chosen) == len(night.keeps) - 1 else []),
        *(f"experiment: #{one['n']}" for one in chosen),
        f"run: {night.tag}",
        *_proposer(chosen),
        f"audit: {audit_in_words(night.audit)}",
        *map(trailers.copied_from, chosen),
    ]
    many = f"{len(chosen)} improvements" if len(chosen) > 1 else "an improvement"
    return trailers.message(
        f"train.py: {many} of run {night.tag}, {measures.name} {measures.text(last['val_bpb'])}", body, lines
    )


def _proposer(chosen: Sequence[Experiment]) -> list[str]:
    names = dict.fromkeys(one["agent"] for one in chosen if one["agent"])
    return [f"proposer: {', '.join(names)}"] if names else []


def audit_of(run: Path) -> Audit | None:
    """What the audit of the run has found; None where there is none that can be read."""
    return schemas.read_valid("audit", run / "audit.json")


def audit_in_words(audit: Audit | None) -> str:
    """`up to #31, +0.0091 found again of +0.0123 claimed (95 %: +0.0071 to +0.0111)`; or that there is none."""
    if audit is None:
        return "not audited"
    ends = (audit["reproduced_low"], audit["reproduced_high"])
    between = "" if None in ends else f" (95 %: {ends[0]:+.6f} to {ends[1]:+.6f})"
    holdout = "" if audit["holdout_gain"] is None else f", on the holdout {audit['holdout_gain']:+.6f}"
    again = f"{audit['reproduced_gain']:+.6f} found again of {audit['claimed_gain']:+.6f} claimed"
    return f"up to #{audit['incumbent']['n']}, {again}{between}{holdout}"
