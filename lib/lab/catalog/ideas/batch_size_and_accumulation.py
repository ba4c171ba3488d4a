"""Ideas: batch size and accumulation. The clock is the budget: a smaller batch means more steps."""

from functools import partial

from lab.catalog.ideas.snippets import LOSS, batches
from lab.catalog.structure import Idea, Snippets

idea = partial(Idea, "batch size and accumulation")

TWO_PASSES: Snippets = (
    ("TOTAL_BATCH_SIZE // MAX_SEQ_LEN)\n", "TOTAL_BATCH_SIZE // MAX_SEQ_LEN // 2)  # two passes at least\n"),
)

IDEAS = (
    idea(
        name="half-a-batch-at-first",
        chance=0.1,
        chance_full=0.2,
        description="take half the batch during the first third of the run",
        snippets=(*TWO_PASSES, *batches("passes // 2 if progress < 1 / 3 else passes")),
    ),
    idea(
        name="growing-batch",
        chance=0.05,
        chance_full=0.15,
        description="let the batch grow from half of its size to one and a half times, in three steps",
        snippets=(*TWO_PASSES, *batches("passes // 2 * (1 + int(3 * progress))")),
    ),
    idea(
        name="two-batches-at-last",
        chance=0.15,
        chance_full=0.15,
        description="take twice the batch during the last fifth of the run",
        snippets=batches("2 * passes if progress > 0.8 else passes"),
    ),
    idea(
        name="adamw-every-other-step",
        chance=0.05,
        chance_full=0.2,
        description="let AdamW act every other step, on the gradients of two batches",
        snippets=(
            (
                "        optimizer.step(multiplier, progress)\n    model.zero_grad()\n",
                "        if step % 2 or isinstance(optimizer, Muon):\n"
                "            optimizer.step(multiplier, progress)\n"
                "    (model if step % 2 else model.blocks).zero_grad()\n",
            ),
        ),
    ),
    idea(
        name="no-loss-of-bos",
        chance=0.1,
        description="leave the targets that val_bpb does not count, BOS, out of the loss",
        snippets=(
            (
                LOSS,
                "    return F.cross_entropy(model(x).flatten(0, 1), y.flatten(), "
                "ignore_index=tokenizer.get_bos_token_id())\n",
            ),
        ),
    ),
)
