"""A keep -> its numbers as trailers of a commit message, so that git log shows them without the toolkit.

git allows no `_` in the key of a trailer. It still accepts a block of trailers if one line is git's own. So in a copied
commit the line of `git cherry-pick -x` comes last.
"""

from collections.abc import Sequence

from lab.store import metric
from lab.store.experiments import Experiment
from lab.verdict import noise
from lab.verdict.trust import Trust, interval


def of_keep(tag: str, keep: Experiment, trust: Trust | None) -> list[str]:
    """`val_bpb: 1.985260` and so on, a line each. A baseline has no gain; trust is there if it is known."""
    seeds = [str(run["seed"]) for run in noise.deciding(keep["runs"], is_baseline=keep["rule"] == "baseline")]
    measures = metric.named(keep)
    lines = [f"{measures.name}: {measures.text(keep['val_bpb'])}"]
    if keep["gain"] is not None:
        between = f" ({interval(trust, keep)})" if trust else ""
        lines.append(f"gain: {measures.gain_text(keep['gain'], keep['val_bpb'])}{between}")
    if trust:
        lines.append(f"trust: {trust.word or 'noise not measured'}")
    lines += [f"seeds: {' '.join(seeds)}"] if seeds else []
    return [*lines, f"experiment: #{keep['n']}", f"run: {tag}"]


def copied_from(keep: Experiment) -> str:
    """The line that `git cherry-pick -x` writes."""
    return f"(cherry picked from commit {keep['commit']})"


def message(subject: str, body: Sequence[str], trailers: Sequence[str]) -> str:
    """A commit message."""
    return "\n\n".join("\n".join(part) for part in ([subject], body, trailers) if part) + "\n"
