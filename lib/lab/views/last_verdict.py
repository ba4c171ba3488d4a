"""The last experiment -> its verdict for the proposer: a few lines, and after a crash the end of its log."""

from pathlib import Path

from lab.runs import failures
from lab.store import experiments, manifest, metric
from lab.verdict import index
from lab.verdict.record import summary


def text(run: Path) -> str:
    """The verdict on the last experiment of the run: under 6 KB, whatever its log holds."""
    last, incumbent = experiments.last(run, 1)[-1], index.read(run).incumbent
    kept, commit = last["status"] == "keep", last["commit"][:7]
    if last["rule"] == "baseline":
        return summary(last)
    lines = [summary(last), f"reason     {last['reason']}"]
    if incumbent:
        value = metric.named(incumbent).text(incumbent["val_bpb"])
        lines.append(f"incumbent  #{incumbent['n']} {value}  {incumbent['description']}")
    files = manifest.editable(run)
    lines.append(f"{files:<9}  {'is this one' if kept else 'is as before'}; the change: git show {commit}")
    log = run / "run.log"
    if last["failure"] not in (None, "rejected") and log.exists():
        lines += ["", f"The end of its log. {failures.UNTRUSTED}", "", failures.quoted(log)]
    return "\n".join(lines)
