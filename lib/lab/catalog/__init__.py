"""The built-in proposer: train.py and the run's past -> train.py with one idea in it that was never tried on this code.

scales           what a step up or down is, for each kind of value
hyperparameters  where the values stand in train.py
beliefs          what is held of moving them, before the first experiment
moves            which value of one of them comes next
structure        how an edit of several places is applied, whole or not at all
ideas            those edits, as data, in a module for each category
past             what the experiments of the run have yielded
choose           which of all of these comes first
"""

import hashlib
from collections.abc import Container
from contextlib import suppress
from pathlib import Path

from lab.catalog.choose import Proposal, proposals
from lab.catalog.hyperparameters import fits
from lab.catalog.past import outcomes
from lab.store import durable, experiments, manifest


def catalog(run: Path, train: Path, tried: Container[str]) -> Proposal | None:
    """Edit `train` by the best proposal for the run whose folder is `run`; None, and nothing changed, without one.

    `tried` has git's ids of all texts of train.py that experiments have had: none of them is proposed again, whoever
    was the first to.
    """
    source = train.read_bytes().decode()
    small = manifest.read(run)["settings"].get("PROFILE") in ("small", "auto")
    past = outcomes(experiments.last(run, experiments.WINDOW))
    with suppress(SyntaxError):  # a train.py that is no Python: no idea
        for proposal in proposals(source, small, past):
            if blob_id(proposal.source) not in tried and fits(proposal.source, source, small):
                durable.write_atomically(train, proposal.source)
                return proposal
    return None


def blob_id(text: str) -> str:
    """The id that git gives to a file of this text (in a repository of the ordinary, 40-digit kind)."""
    data = text.encode()
    return hashlib.sha1(b"blob %d\0%b" % (len(data), data)).hexdigest()
