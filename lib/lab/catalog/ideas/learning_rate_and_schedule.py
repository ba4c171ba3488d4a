"""Ideas: learning rate and schedule."""

from functools import partial

from lab.catalog.ideas.snippets import ADAMW_LR, LINEAR_DECAY, MUON_SIZE
from lab.catalog.structure import Idea

idea = partial(Idea, "learning rate and schedule")

IDEAS = (
    idea(
        name="cosine",
        chance=0.1,
        chance_full=0.03,
        description="warm down along a cosine instead of a line",
        snippets=(
            (
                LINEAR_DECAY,
                "(1 - FINAL_LR_FRAC) * (1 - math.cos(math.pi * (1 - progress) / WARMDOWN_RATIO)) / 2",
            ),
        ),
    ),
    idea(
        name="root",
        chance=0.05,
        description="warm down as 1 - sqrt(share of the warm-down) instead of along a line",
        snippets=((LINEAR_DECAY, "(1 - FINAL_LR_FRAC) * (1 - (1 - (1 - progress) / WARMDOWN_RATIO) ** 0.5)"),),
    ),
    idea(
        name="square",
        chance=0.05,
        description="warm down along the square of a line",
        snippets=((LINEAR_DECAY, "(1 - FINAL_LR_FRAC) * ((1 - progress) / WARMDOWN_RATIO) ** 2"),),
    ),
    idea(
        name="adamw-square",
        chance=0.15,
        description="warm AdamW's learning rates down along the square of the multiplier",
        snippets=((ADAMW_LR, ADAMW_LR.replace("multiplier", "multiplier**2")),),
    ),
    idea(
        name="adamw-root",
        chance=0.3,
        chance_full=0.15,
        description="warm AdamW's learning rates down along the root of the multiplier",
        snippets=((ADAMW_LR, ADAMW_LR.replace("multiplier", "multiplier**0.5")),),
    ),
    idea(
        name="adamw-warm-up",
        chance=0.1,
        chance_full=0.05,
        description="warm AdamW's learning rates up over its first 20 steps",
        snippets=((ADAMW_LR, ADAMW_LR.replace("multiplier", "multiplier * min(1, (self.steps + 1) / 20)")),),
    ),
    idea(
        name="rates-fall-with-depth",
        chance=0.15,
        description="let Muon's updates fall with depth, from 1.3 to 0.7 of their size",
        snippets=(
            (
                MUON_SIZE,
                f"{MUON_SIZE}        update *= torch.linspace(1.3, 0.7, len(update), device=DEVICE)[:, None, None]\n",
            ),
        ),
    ),
    idea(
        name="value-rate",
        chance=0.15,
        chance_full=0.1,
        description="give the value embeddings a learning rate of their own, higher by a half",
        snippets=(
            (
                "  # AdamW, token and value embeddings\n",
                "  # AdamW, token embeddings\nVALUE_LR = 0.9 if SMALL else 1.5  # AdamW, value embeddings\n",
            ),
            (
                "AdamW(model.value_embeddings.parameters(), EMBEDDING_LR",
                "AdamW(model.value_embeddings.parameters(), VALUE_LR",
            ),
        ),
    ),
)
