"""Beliefs: the name of a hyperparameter -> the chance that a change of it is kept, before the first experiment.

The numbers come from the published night of 126 experiments on an H100 (docs/log.md) and from runs of 20 CPU
seconds. They only order the first tries. The run's own experiments soon weigh more (keep_probability.py).
"""

from dataclasses import dataclass
from typing import Literal, get_args

from lab.catalog.scales import words

Category = Literal[
    "learning rate and schedule",
    "depth against width",
    "attention patterns",
    "optimizer",
    "normalization",
    "activation functions",
    "batch size and accumulation",
    "simplification",
    "combining two near misses",
    "radical changes",
]
CATEGORIES: tuple[Category, ...] = get_args(Category)


@dataclass(frozen=True)
class Promise:
    """`chances`: the chance of a keep before any experiment, in profile small and in profile full."""

    category: Category
    chances: tuple[float, float]

    def chance(self, small: bool) -> float:
        """The chance in the current profile."""
        return self.chances[0 if small else 1]


@dataclass(frozen=True)
class Belief(Promise):
    """`first`: the first direction, up (1) or down (-1). `stride`: the size of the first move, in steps."""

    first: int = 1
    stride: int = 1


# The values for `full` reflect the published night: for many hyperparameters both neighbours have already lost.
BELIEFS = {
    "DEPTH": Belief("depth against width", (0.2, 0.05)),
    "WIDTH": Belief("depth against width", (0.2, 0.1)),
    "HEAD_DIM": Belief("depth against width", (0.1, 0.1), first=-1),
    "MLP_RATIO": Belief("depth against width", (0.1, 0.03), first=-1),
    "HEADS": Belief("depth against width", (0.1, 0.1)),  # a name that is not in train.py belongs to an idea
    "WINDOW_PATTERN": Belief("attention patterns", (0.15, 0.02)),
    "SHORT_WINDOW": Belief("attention patterns", (0.2, 0.05), first=-1),
    "ROPE_BASE": Belief("attention patterns", (0.25, 0.02), stride=4),
    "QK_GAIN": Belief("attention patterns", (0.2, 0.2)),
    "SOFTCAP": Belief("normalization", (0.1, 0.03)),
    "X0_LAMBDA": Belief("normalization", (0.2, 0.03), first=-1),
    "EMBEDDING_INIT": Belief("normalization", (0.05, 0.02)),
    "VALUE_INIT": Belief("normalization", (0.1, 0.05)),
    "UNEMBEDDING_INIT": Belief("normalization", (0.05, 0.02)),
    "MATRIX_INIT": Belief("normalization", (0.25, 0.02), first=-1),
    "TOTAL_BATCH_SIZE": Belief("batch size and accumulation", (0.2, 0.15), first=-1),
    "DEVICE_BATCH_SIZE": Belief("batch size and accumulation", (0.01, 0.01)),  # it does not change the training
    "EMBEDDING_LR": Belief("learning rate and schedule", (0.3, 0.05)),
    "VALUE_LR": Belief("learning rate and schedule", (0.15, 0.15)),
    "UNEMBEDDING_LR": Belief("learning rate and schedule", (0.25, 0.05)),
    "SCALAR_LR": Belief("learning rate and schedule", (0.05, 0.02)),
    "MATRIX_LR": Belief("learning rate and schedule", (0.25, 0.05)),
    "WARMUP_RATIO": Belief("learning rate and schedule", (0.05, 0.01)),
    "WARMDOWN_RATIO": Belief("learning rate and schedule", (0.3, 0.05)),
    "FINAL_LR_FRAC": Belief("learning rate and schedule", (0.15, 0.05)),
    "ADAM_BETAS[0]": Belief("optimizer", (0.1, 0.05)),
    "ADAM_BETAS[1]": Belief("optimizer", (0.1, 0.08)),
    "MOMENTUM": Belief("optimizer", (0.15, 0.05), first=-1),
    "MOMENTUM_START": Belief("optimizer", (0.1, 0.03), first=-1),
    "MOMENTUM_WARMUP": Belief("optimizer", (0.1, 0.1), first=-1),
    "NEURON_MOMENTUM": Belief("optimizer", (0.1, 0.03)),
    "NEWTON_SCHULZ_STEPS": Belief("optimizer", (0.1, 0.03), first=-1),
    "WEIGHT_DECAY": Belief("optimizer", (0.2, 0.03)),
    "EMBEDDING_WEIGHT_DECAY": Belief("optimizer", (0.1, 0.03)),
    "VALUE_WEIGHT_DECAY": Belief("optimizer", (0.15, 0.03)),
    "UNEMBEDDING_WEIGHT_DECAY": Belief("optimizer", (0.1, 0.03)),
    "BIGRAM_ROWS": Belief("radical changes", (0.3, 0.3)),
    "SKIP_ROWS": Belief("radical changes", (0.2, 0.2)),
}

# For unknown names: the first category that has a word of the name.
WORDS: tuple[tuple[set[str], Category], ...] = (
    ({"LR", "RATE", "WARMUP", "WARMDOWN", "COOLDOWN", "SCHEDULE"}, "learning rate and schedule"),
    ({"BATCH", "ACCUMULATION"}, "batch size and accumulation"),
    ({"WINDOW", "ROPE", "ROTARY", "ATTENTION", "ATTN"}, "attention patterns"),
    ({"NORM", "INIT", "SOFTCAP", "EPS"}, "normalization"),
    (
        {"DEPTH", "WIDTH", "LAYER", "LAYERS", "HEAD", "HEADS", "DIM", "EMBD", "MLP", "RATIO", "EXPANSION"},
        "depth against width",
    ),
)


def belief(name: str) -> Belief:
    """The belief about a hyperparameter. An unknown number most likely belongs to the optimizer."""
    known = BELIEFS.get(name)
    return known or Belief(next((category for some, category in WORDS if some & words(name)), "optimizer"), (0.1, 0.1))
