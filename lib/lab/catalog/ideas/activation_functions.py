"""Ideas: activation functions."""

from functools import partial

from lab.catalog.ideas.snippets import RELU, gated_by
from lab.catalog.structure import Idea

idea = partial(Idea, "activation functions")

IDEAS = (
    idea(
        name="gelu",
        chance=0.1,
        chance_full=0.05,
        description="replace squared ReLU by GELU in the MLP",
        snippets=((RELU, "F.gelu(x)"),),
    ),
    idea(
        name="silu",
        chance=0.1,
        chance_full=0.05,
        description="replace squared ReLU by SiLU in the MLP",
        snippets=((RELU, "F.silu(x)"),),
    ),
    idea(
        name="leaky-squares",
        chance=0.2,
        chance_full=0.3,
        description="replace squared ReLU by a squared leaky ReLU, of slope 0.5 below 0",
        snippets=((RELU, "F.leaky_relu(x, 0.5).square()"),),
    ),
    idea(
        name="smooth-squares",
        chance=0.15,
        description="replace squared ReLU by x times SiLU of x, its smooth relative",
        snippets=((RELU, "x * F.silu(x)"),),
    ),
    idea(
        name="lower-power",
        chance=0.1,
        description="replace squared ReLU by ReLU to the power of 1.5",
        snippets=((RELU, "F.relu(x) * (F.relu(x) + 1e-6).sqrt()"),),
    ),
    idea(
        name="learned-slope",
        chance=0.15,
        description="add a linear part, learned for each channel, to squared ReLU",
        snippets=(
            (
                "        self.down = Linear(MLP_RATIO * WIDTH, WIDTH)\n",
                "        self.down = Linear(MLP_RATIO * WIDTH, WIDTH)\n"
                "        self.slopes = nn.Parameter(torch.zeros(1, MLP_RATIO * WIDTH))\n",
            ),
            (RELU, f"{RELU} + self.slopes.to(x.dtype) * x"),
        ),
    ),
    idea(
        name="swiglu",
        chance=0.15,
        chance_full=0.1,
        description="gate half of the MLP's channels by SiLU of the other half (SwiGLU)",
        snippets=gated_by("F.silu(gate)"),
    ),
    idea(
        name="geglu",
        chance=0.12,
        chance_full=0.08,
        description="gate half of the MLP's channels by GELU of the other half (GeGLU)",
        snippets=gated_by("F.gelu(gate)"),
    ),
    idea(
        name="reglu",
        chance=0.12,
        chance_full=0.08,
        description="gate half of the MLP's channels by ReLU of the other half (ReGLU)",
        snippets=gated_by("F.relu(gate)"),
    ),
    idea(
        name="gated-squares",
        chance=0.12,
        chance_full=0.08,
        description="gate half of the MLP's channels by squared ReLU of the other half",
        snippets=gated_by("F.relu(gate).square()"),
    ),
)
