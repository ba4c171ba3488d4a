"""The keeps that a person takes onto another branch -> their commits, and the messages of the copies."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lab.errors import Fault
from lab.store import code, durable, experiments, manifest, metric, schemas
from lab.store.experiments import Experiment
from lab.verdict import index, trailers, trust
from lab.verdict.index import Index
from lab.verdict.trust import Trust
from lab.views.find_experiment import find

SQUASH = "squash"  # the name of the file with the message for all keeps in one commit
Audit = dict[str, Any]


@dataclass(frozen=True)
class Night:
    """The facts that a message is made from."""

    tag: str
    editable: str
    keeps: Sequence[Experiment]
    known: Index
    trust: dict[str, Trust]
    audit: Audit | None


def keeps(run: Path, wanted: str) -> list[Experiment]:
    """The keeps that `wanted` names (`4 #9`), or all except the baseline, oldest first.

    Raises Fault if `wanted` names an experiment that was not kept.
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
        what = "is the baseline and has no change" if found.n == 1 else "was not kept"
        some = " ".join(str(n) for n in kept) or "none"
        hint = (
            f"the keeps are: {some}"
            if found.n == 1
            else f"to try it again: make retry N={found.n}; the keeps are: {some}"
        )
        raise Fault(f"experiment #{found.n} {what}", hint)
    return found.n


def listed(run: Path, wanted: str) -> list[str]:
    """Number, commit and parent of these keeps, for a shell."""
    return [f"{one['n']} {one['commit']} {one['parent']}" for one in keeps(run, wanted)]


def write_messages(run: Path, numbers: Sequence[int], folder: Path, *, squash: bool) -> None:
    """Write the message of each keep into a file named after its number, or one message for all (`squash`)."""
    chain = experiments.keeps(run)
    known = index.read(run)
    sure = trust.of_keeps(run, chain, known.spread_on)
    night = Night(run.name, manifest.editable(run), chain, known, sure, audit_of(run))
    chosen = [one for one in chain if one["n"] in set(numbers)]
    texts = {SQUASH: of_all(night, chosen)} if squash else {str(one["n"]): of_one(night, one) for one in chosen}
    for name, text in texts.items():
        durable.write_atomically(folder / name, text, durable=False)


def of_one(night: Night, keep: Experiment) -> str:
    """The message of one keep."""
    own = trailers.of_keep(night.tag, keep, night.trust.get(keep["commit"]))
    lines = [*own, *_proposer([keep]), f"audit: {audit_in_words(night.audit, keep)}", trailers.copied_from(keep)]
    return trailers.message(keep["description"], [], lines)


def of_all(night: Night, chosen: Sequence[Experiment]) -> str:
    """The message for all keeps in one commit: a line for each, and the total numbers."""
    last = chosen[-1]
    measures = metric.named(last)
    claimed = measures.gain_text(night.known.claimed(last), last["val_bpb"])
    words = [(night.trust.get(one["commit"]) or Trust(None)).word or "noise not measured" for one in chosen]
    body = [
        f"#{one['n']} {measures.text(one['val_bpb'])} ({measures.gain_text(one['gain'], one['val_bpb'])}, {word})"
        f"  {one['description']}"
        for one, word in zip(chosen, words, strict=True)
    ]
    lines = [
        f"{measures.name}: {measures.text(last['val_bpb'])}",
        *([f"gain: {claimed}"] if len(chosen) == len(night.keeps) - 1 else []),
        *(f"experiment: #{one['n']}" for one in chosen),
        f"run: {night.tag}",
        *_proposer(chosen),
        f"audit: {audit_in_words(night.audit, last)}",
        *map(trailers.copied_from, chosen),
    ]
    many = f"{len(chosen)} improvements" if len(chosen) > 1 else "an improvement"
    where = f"{code.ONE}: " if night.editable == code.ONE else ""
    subject = f"{where}{many} of run {night.tag}, {measures.name} {measures.text(last['val_bpb'])}"
    return trailers.message(subject, body, lines)


def _proposer(chosen: Sequence[Experiment]) -> list[str]:
    names = dict.fromkeys(one["agent"] for one in chosen if one["agent"])
    return [f"proposer: {', '.join(names)}"] if names else []


def audit_of(run: Path) -> Audit | None:
    """The run's audit; None if there is none or it cannot be read."""
    return schemas.read_valid("audit", run / "audit.json")


def audit_in_words(audit: Audit | None, keep: Experiment) -> str:
    """`up to #31, +0.0091 of the claimed +0.0123 reproduced (95 %: ...)`, with the decimals of the keep's value."""
    if audit is None:
        return "not audited"
    names = ("reproduced_gain", "claimed_gain", "reproduced_low", "reproduced_high", "holdout_gain")
    known = {name: audit[name] for name in names if audit[name] is not None}
    told = {name: metric.named(keep).gain_text(gain, keep["val_bpb"]) for name, gain in known.items()}
    ends = [told.get(name) for name in names[2:4]]
    between = "" if None in ends else f" (95 %: {ends[0]} to {ends[1]})"
    holdout = f", on the holdout {told['holdout_gain']}" if "holdout_gain" in told else ""
    again = f"{told['reproduced_gain']} of the claimed {told['claimed_gain']} reproduced"
    return f"up to #{audit['incumbent']['n']}, {again}{between}{holdout}"
