"""The brief for the proposer: the run's past -> at most 16 KB of plain text, the rules first, the newest last."""

from pathlib import Path

from lab import experiments, manifest, noise
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
- Leave the evaluation, the clock, the seed and the printed lines as they are. What you add is read before it runs,
  and rejected for files, processes, threads, the network, the environment, the validation text, imports beyond torch,
  numpy and what computes, and changes to what is imported (F.relu = ...). All training is on the clock.
- End with one line, the last of your output, that says what you changed: for example
  raise MATRIX_LR 0.04 -> 0.06
"""


def brief(run: Path) -> str:
    """The brief for the next proposal of the run whose folder is `run`."""
    past = experiments.read(run)
    chosen = manifest.read(run)["settings"]
    head = [RULES, f"Run {run.name}: profile {chosen['PROFILE']}, {chosen['TIME_BUDGET']} s of training."]
    for name, experiment in (("Incumbent", experiments.incumbent(past)), ("Best", experiments.best(past))):
        if experiment:
            value, title = experiment["val_bpb"], f"#{experiment['n']}, {experiment['description']}"
            head.append(f"{name}: val_bpb {value:.6f} ({title})")
    if spread := noise.of(run):
        head.append(f"Noise: another seed moves val_bpb by {spread.sd:.6f} (one standard deviation)")
    rows = [row(experiment) for experiment in past[-ROWS:]]
    while len((text := page(head, rows, len(past))).encode()) > LONGEST:
        del rows[0]  # the oldest
    return text


def page(head: list[str], rows: list[str], total: int) -> str:
    """What stays the same, and the rows with their title."""
    title = f"\nThe last {len(rows)} of {total} experiments, oldest first; do not repeat what did not help:"
    return "\n".join([*head, title, *rows]) + "\n"


def row(experiment: Experiment) -> str:
    """`#4 discard gain -0.003200 lines +1 -1  raise MATRIX_LR 0.04 -> 0.06`"""
    if experiment["failure"]:
        result = experiment["failure"]
    elif experiment["gain"] is None:
        result = f"val_bpb {experiment['val_bpb']:.6f}"
    else:
        result = f"gain {experiment['gain']:+.6f} lines +{experiment['lines_added']} -{experiment['lines_removed']}"
    return f"#{experiment['n']} {experiment['status']} {result}  {experiment['description']}"
