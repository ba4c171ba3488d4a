"""The past of a run -> where the next proposal should look, and the keep that it starts from.

While there are keeps, it is the most promising kind of idea. Without a keep the search changes step by step: after
WIDER_AFTER experiments it broadens, after CROSS_AFTER it combines near misses, after RADICAL_AFTER it makes radical
changes. From RESTART_AFTER on, each fourth proposal starts from another keep: some local optima can only be left by
going back.
"""

from collections.abc import Iterator, Mapping, Sequence

from lab.catalog.choose import RADICAL_AFTER, WIDER_AFTER
from lab.errors import Fault
from lab.proposal import lessons
from lab.proposal.lessons import Try
from lab.store import metric
from lab.store.experiments import Experiment

CROSS_AFTER, RESTART_AFTER = 12, 24  # experiments in a row that were not kept
EACH = 4
KEEPS = 5  # the best ones, in turn


def looks(tries: Sequence[Try], misses: Sequence[Try], start: Experiment | None, files: str) -> Iterator[str]:
    """Advice for the next proposal, in lines; `files`: those that may be edited."""
    first, *others = lessons.directions(tries)
    since = lessons.experiments_since_keep(tries)
    if start:
        value = metric.named(start).text(start["val_bpb"])
        yield f"- Start from #{start['n']} ({value}): {files} in this folder is from this keep, not from the incumbent."
        yield "  Go in another direction than the experiments after it. Your change is compared with the incumbent."
    if since >= RADICAL_AFTER:
        yield f"- None of the last {since} experiments was kept: small steps no longer help. Make a radical change."
        yield "- For example: another kind of block, attention, optimizer or embedding; or remove half of the code."
        yield f"- These were tried the longest ago: {'; '.join(others)}."
    elif since >= WIDER_AFTER:
        yield f"- None of the last {since} experiments was kept: try something else."
        yield f"- Look at {first}; or at {'; '.join(others)}."
    elif tries and not since:
        further = "what else can go?" if tries[-1].is_simpler else "go one step further, or build on it."
        yield f"- #{tries[-1].n} was just kept ({tries[-1].text}): {further}"
    if since < WIDER_AFTER:
        yield f"- The most promising kind of idea so far: {first}."
    if both := lessons.pair(misses, tries):
        order = "Make both changes at once" if since >= CROSS_AFTER else "Not combined yet"
        yield f"- {order}: the near misses #{both[0].n} and #{both[1].n}."
    if since >= WIDER_AFTER:
        yield f"- Read {files} again from the top: which code takes time without a gain? Removing it counts, too."


def start(
    past: Sequence[Experiment], incumbent: Experiment | None, settings: Mapping[str, str], *, is_max: bool = False
) -> Experiment | None:
    """The keep that the next proposal starts from, if that is not the incumbent: PARENT, or in turn on a plateau.

    `is_max`: more is better. Raises Fault if PARENT is no keep.
    """
    keeps = [one for one in past if one["status"] == "keep" and (not incumbent or one["commit"] != incumbent["commit"])]
    if asked := settings.get("PARENT", "").lstrip("#"):
        if incumbent and asked == str(incumbent["n"]):
            return None
        if found := next((one for one in keeps if str(one["n"]) == asked), None):
            return found
        there = ", ".join(f"#{one['n']}" for one in past if one["status"] == "keep")
        raise Fault(
            f"PARENT '{settings['PARENT']}' is not a keep of this run", f"choose one of {there}: make loop PARENT=1"
        )
    since = next((count for count, one in enumerate(reversed(past)) if one["status"] == "keep"), 0)
    if since < RESTART_AFTER or (since - RESTART_AFTER) % EACH or not keeps:
        return None
    best = sorted(keeps, key=lambda one: one["val_bpb"], reverse=is_max)[:KEEPS]
    return best[(since - RESTART_AFTER) // EACH % len(best)]
