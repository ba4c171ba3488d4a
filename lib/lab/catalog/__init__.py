"""The built-in proposer: train.py and the run's past -> train.py with one new change.

scales           the length of a step, for each kind of value
hyperparameters  the places of the values in train.py
priors           the chances of their changes before the first experiment
next_values      the next value of a hyperparameter
structure        changes at several places, applied as a whole or not at all
ideas            those changes, as data, one module for each category
keep_probability the chance of a keep, from the results of the run's experiments
choose           the order of all proposals
apart            the first proposal that touches no lines of the changes in flight
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
    """Write the best proposal to `train`. Returns None and changes nothing if there is none.

    `tried` has git's ids of all earlier versions of train.py, from any proposer. None of them is proposed again. A
    proposal that can be kept together with the changes in flight comes first.
    """
    source = train.read_bytes().decode()
    small = manifest.read(run)["settings"].get("PROFILE") in ("small", "auto")
    past = outcomes(experiments.last(run, experiments.WINDOW))
    with suppress(SyntaxError):  # a train.py that is not Python
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
    """git's id of a file with this text, in a repository with 40-digit ids."""
    data = text.encode()
    return hashlib.sha1(b"blob %d\0%b" % (len(data), data)).hexdigest()
