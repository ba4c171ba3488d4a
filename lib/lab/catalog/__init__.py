"""The built-in proposer: train.py and the run's past -> train.py with one new idea.

scales           the length of a step, for each kind of value
hyperparameters  the places of the values in train.py
priors           the chances of moving them, before the first experiment
next_values      the next value of a hyperparameter
structure        edits of several places, applied whole or not at all
ideas            those edits, as data, in a module for each category
keep_probability the results of the run's experiments
choose           the order of all proposals
apart            the first of them that touches nothing of what is in the air
"""

import hashlib
from collections.abc import Container
from contextlib import suppress
from pathlib import Path

from lab.catalog.apart import first_apart
from lab.catalog.choose import Proposal, proposals
from lab.catalog.hyperparameters import fits
from lab.catalog.keep_probability import outcomes
from lab.store import durable, experiments, manifest


def catalog(run: Path, train: Path, tried: Container[str]) -> Proposal | None:
    """Apply the best proposal to `train`; return None, and change nothing, without one.

    `tried` has git's ids of all earlier texts of train.py: none of them is proposed again, whoever proposed it first.
    One that can be kept beside what is in the air comes first.
    """
    source = train.read_bytes().decode()
    small = manifest.read(run)["settings"].get("PROFILE") in ("small", "auto")
    past = outcomes(experiments.last(run, experiments.WINDOW))
    with suppress(SyntaxError):  # no idea for a train.py that is not Python
        new = (
            proposal
            for proposal in proposals(source, small, past)
            if blob_id(proposal.source) not in tried and fits(proposal.source, source, small)
        )
        if proposal := first_apart(source, new, run):
            durable.write_atomically(train, proposal.source)
            return proposal
    return None


def blob_id(text: str) -> str:
    """The id that git gives to a file of this text (in a repository of the ordinary, 40-digit kind)."""
    data = text.encode()
    return hashlib.sha1(b"blob %d\0%b" % (len(data), data)).hexdigest()
