"""Ideas: batch size and accumulation. Time is the budget, so a smaller batch means more steps."""

from functools import partial

from lab.catalog import structure
from lab.catalog.ideas.snippets import LOSS, batches
from lab.catalog.structure import Snippets

idea = partial(structure.idea, "batch size and accumulation")

TWO_PASSES: Snippets = (
    ("TOTAL_BATCH_SIZE // MAX_SEQ_LEN)\n", "TOTAL_BATCH_SIZE // MAX_SEQ_LEN // 2)  # at least two passes\n"),
)

IDEAS = (
    idea(
        "half-a-batch-at-first",
        "take half the batch during the first third of the run",
        (0.1, 0.2),
        *TWO_PASSES,
        *batches("passes // 2 if progress < 1 / 3 else passes"),
    ),
    idea(
        "growing-batch",
        "grow the batch from half of its size to one and a half times, in three steps",
        (0.05, 0.15),
        *TWO_PASSES,
        *batches("passes // 2 * (1 + int(3 * progress))"),
    ),
    idea(
        "two-batches-at-last",
        "take twice the batch during the last fifth of the run",
        (0.15, 0.15),
        *batches("2 * passes if progress > 0.8 else passes"),
    ),
    idea(
        "adamw-every-other-step",
        "run AdamW every other step, on the gradients of two batches",
        (0.05, 0.2),
        (
            "        optimizer.step(multiplier, progress)\n    model.zero_grad()\n",
            "        if step % 2 or isinstance(optimizer, Muon):\n"
            "            optimizer.step(multiplier, progress)\n"
            "    (model if step % 2 else model.blocks).zero_grad()\n",
        ),
    ),
    idea(
        "no-loss-of-bos",
        "leave BOS targets, which val_bpb does not count, out of the loss",
        (0.1, 0.1),
        (
            LOSS,
            "    return F.cross_entropy(model(x).flatten(0, 1), y.flatten(), "
            "ignore_index=tokenizer.get_bos_token_id())\n",
        ),
    ),
)
