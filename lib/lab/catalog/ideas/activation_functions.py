"""Ideas: activation functions."""

from functools import partial

from lab.catalog import structure
from lab.catalog.ideas.snippets import RELU, gated_by

idea = partial(structure.idea, "activation functions")

IDEAS = (
    idea(
        "gelu",
        "replace squared ReLU by GELU in the MLP",
        (0.1, 0.05),
        (RELU, "F.gelu(x)"),
    ),
    idea(
        "silu",
        "replace squared ReLU by SiLU in the MLP",
        (0.1, 0.05),
        (RELU, "F.silu(x)"),
    ),
    idea(
        "leaky-squares",
        "replace squared ReLU by a squared leaky ReLU with slope 0.5 below 0",
        (0.2, 0.3),
        (RELU, "F.leaky_relu(x, 0.5).square()"),
    ),
    idea(
        "smooth-squares",
        "replace squared ReLU by x times SiLU of x, a smooth version",
        (0.15, 0.15),
        (RELU, "x * F.silu(x)"),
    ),
    idea(
        "lower-power",
        "replace squared ReLU by ReLU to the power of 1.5",
        (0.1, 0.1),
        (RELU, "F.relu(x) * (F.relu(x) + 1e-6).sqrt()"),
    ),
    idea(
        "learned-slope",
        "add a learned linear part for each channel to squared ReLU",
        (0.15, 0.15),
        (
            "        self.down = Linear(MLP_RATIO * WIDTH, WIDTH)\n",
            "        self.down = Linear(MLP_RATIO * WIDTH, WIDTH)\n"
            "        self.slopes = nn.Parameter(torch.zeros(1, MLP_RATIO * WIDTH))\n",
        ),
        (RELU, f"{RELU} + self.slopes.to(x.dtype) * x"),
    ),
    idea(
        "swiglu",
        "gate half of the MLP's channels by SiLU of the other half (SwiGLU)",
        (0.15, 0.1),
        *gated_by("F.silu(gate)"),
    ),
    idea(
        "geglu",
        "gate half of the MLP's channels by GELU of the other half (GeGLU)",
        (0.12, 0.08),
        *gated_by("F.gelu(gate)"),
    ),
    idea(
        "reglu",
        "gate half of the MLP's channels by ReLU of the other half (ReGLU)",
        (0.12, 0.08),
        *gated_by("F.relu(gate)"),
    ),
    idea(
        "gated-squares",
        "gate half of the MLP's channels by squared ReLU of the other half",
        (0.12, 0.08),
        *gated_by("F.relu(gate).square()"),
    ),
)
