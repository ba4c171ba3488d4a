"""The brief for the proposer: the run's past -> at most 16 KB of plain text, the rules first, the newest last."""

from pathlib import Path

from lab import experiments, manifest
from lab.experiments import Experiment

LONGEST = 16 * 1024  # bytes
ROWS = 40  # of the newest experiments

RULES = """\
You propose one experiment. Edit train.py in this folder: one focused change that should lower val_bpb
(validation bits per byte, lower is better) within the same time budget. Then stop.
- Edit train.py and nothing else: a change of any other file is rejected. prepare.py is fixed.
- Do not run the training, do not commit, do not install anything, do not ask: nobody is there to answer.
- One idea at a time, in the fewest lines: a gain of 0.001 to 0.005 must cost fewer than 20 lines, and removing
  code at no loss is a win.
- Leave the evaluation, the clock, the seed and the printed lines as they are.
- End with one line, the last of your output, that says what you changed: for example
  raise MATRIX_LR 0.04 -> 0.06
"""


def brief(run: Path) -> str:
    """The brief for the next proposal of the run whose folder is `run`."""
    past = experiments.read(run)
    chosen = manifest.read(run)["settings"]
    lines = [RULES, f"Run {run.name}: profile {chosen['PROFILE']}, {chosen['TIME_BUDGET']} s of training."]
    for name, experiment in (("Incumbent", experiments.incumbent(past)), ("Best", experiments.best(past))):
        if experiment:
            value, title = experiment["val_bpb"], f"#{experiment['n']}, {experiment['description']}"
            lines.append(f"{name}: val_bpb {value:.6f} ({title})")
    shown = min(ROWS, len(past))
    lines.append(f"\nThe last {shown} of {len(past)} experiments, oldest first; do not repeat what did not help:")
    lines += [row(experiment) for experiment in past[-ROWS:]]
    return cut("\n".join(lines) + "\n")


def row(experiment: Experiment) -> str:
    """`#4 discard gain -0.003200 lines +1 -1  raise MATRIX_LR 0.04 -> 0.06`"""
    if experiment["failure"]:
        result = experiment["failure"]
    elif experiment["gain"] is None:
        result = f"val_bpb {experiment['val_bpb']:.6f}"
    else:
        result = f"gain {experiment['gain']:+.6f} lines +{experiment['lines_added']} -{experiment['lines_removed']}"
    return f"#{experiment['n']} {experiment['status']} {result}  {experiment['description']}"


def cut(text: str) -> str:
    """At most 16 KB, whole lines: the rules at the beginning and the newest rows at the end stay."""
    head, rows = text[: len(RULES)], text[len(RULES) :].splitlines(keepends=True)
    while len(head.encode()) + sum(len(row.encode()) for row in rows) > LONGEST:
        del rows[4]  # the oldest experiment: run, incumbent, best and a blank line stand before it
    return head + "".join(rows)
