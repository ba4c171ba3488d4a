"""Ideas: learning rate and schedule."""

from functools import partial

from lab.catalog import structure
from lab.catalog.ideas.snippets import ADAMW_LR, LINEAR_DECAY, MUON_SIZE

idea = partial(structure.idea, "learning rate and schedule")

IDEAS = (
    idea(
        "cosine",
        "warm down along a cosine instead of a line",
        (0.1, 0.03),
        (
            LINEAR_DECAY,
            "(1 - FINAL_LR_FRAC) * (1 - math.cos(math.pi * (1 - progress) / WARMDOWN_RATIO)) / 2",
        ),
    ),
    idea(
        "root",
        "warm down as 1 - sqrt(share of the warm-down) instead of along a line",
        (0.05, 0.05),
        (LINEAR_DECAY, "(1 - FINAL_LR_FRAC) * (1 - (1 - (1 - progress) / WARMDOWN_RATIO) ** 0.5)"),
    ),
    idea(
        "square",
        "warm down along the square of a line",
        (0.05, 0.05),
        (LINEAR_DECAY, "(1 - FINAL_LR_FRAC) * ((1 - progress) / WARMDOWN_RATIO) ** 2"),
    ),
    idea(
        "adamw-square",
        "warm AdamW's learning rates down along the square of the multiplier",
        (0.15, 0.15),
        (ADAMW_LR, ADAMW_LR.replace("multiplier", "multiplier**2")),
    ),
    idea(
        "adamw-root",
        "warm AdamW's learning rates down along the root of the multiplier",
        (0.3, 0.15),
        (ADAMW_LR, ADAMW_LR.replace("multiplier", "multiplier**0.5")),
    ),
    idea(
        "adamw-warm-up",
        "warm AdamW's learning rates up over its first 20 steps",
        (0.1, 0.05),
        (ADAMW_LR, ADAMW_LR.replace("multiplier", "multiplier * min(1, (self.steps + 1) / 20)")),
    ),
    idea(
        "rates-fall-with-depth",
        "decrease Muon's updates with depth, from 1.3 to 0.7 of their size",
        (0.15, 0.15),
        (
            MUON_SIZE,
            f"{MUON_SIZE}        update *= torch.linspace(1.3, 0.7, len(update), device=DEVICE)[:, None, None]\n",
        ),
    ),
    idea(
        "value-rate",
        "give the value embeddings their own learning rate, 1.5 times as high",
        (0.15, 0.1),
        (
            "  # AdamW, token and value embeddings\n",
            "  # AdamW, token embeddings\nVALUE_LR = 0.9 if SMALL else 1.5  # AdamW, value embeddings\n",
        ),
        (
            "AdamW(model.value_embeddings.parameters(), EMBEDDING_LR",
            "AdamW(model.value_embeddings.parameters(), VALUE_LR",
        ),
    ),
)
