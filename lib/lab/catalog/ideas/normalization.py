"""Ideas: normalization, of activations and logits, and what keeps them in size."""

from functools import partial

from lab.catalog.ideas.snippets import LAST_NORM, LOSS, RELU, RETURN, X0_ADDED, vector
from lab.catalog.structure import Idea

idea = partial(Idea, "normalization")

IDEAS = (
    idea(
        name="layer-norm",
        chance=0.05,
        description="replace RMSNorm by LayerNorm",
        snippets=(("F.rms_norm(x, (x.size(-1),))", "F.layer_norm(x, (x.size(-1),))"),),
    ),
    idea(
        name="final-gain",
        chance=0.2,
        chance_full=0.1,
        description="add a learned gain for each channel to the last norm",
        snippets=(
            *vector("gain", "torch.ones(WIDTH)"),
            (LAST_NORM, "        x = norm(x) * self.gain.to(x.dtype)\n        logits = "),
        ),
    ),
    idea(
        name="unembedding-bias",
        chance=0.1,
        description="add a learned bias for each token to the logits",
        snippets=(
            *vector("bias", "torch.zeros(vocab_size)"),
            ("self.unembedding(x).float()", "self.unembedding(x).float() + self.bias"),
        ),
    ),
    idea(
        name="residual-lambdas",
        chance=0.1,
        chance_full=0.2,
        description="scale the residual stream by a learned factor before each block",
        snippets=(
            *vector("residual_lambdas", "torch.ones(DEPTH)"),
            (
                "x = x + self.x0_lambdas[layer] * x0\n",
                "x = self.residual_lambdas[layer] * x + self.x0_lambdas[layer] * x0\n",
            ),
        ),
    ),
    idea(
        name="normed-stream",
        chance=0.1,
        chance_full=0.05,
        description="norm the residual stream itself before each block",
        snippets=((X0_ADDED, "            x = norm(x + self.x0_lambdas[layer] * x0)\n"),),
    ),
    idea(
        name="sandwich-norm",
        chance=0.1,
        description="norm what attention and MLP add to the residual stream, too",
        snippets=(
            (
                "x + self.attention(norm(x), value_embedding, cos, sin, mask)",
                "x + norm(self.attention(norm(x), value_embedding, cos, sin, mask))",
            ),
            ("x + self.mlp(norm(x))", "x + norm(self.mlp(norm(x)))"),
        ),
    ),
    idea(
        name="value-norm",
        chance=0.03,
        chance_full=0.1,
        description="norm values as queries and keys are",
        snippets=(("        q, k = norm(q), norm(k)\n", "        q, k, v = norm(q), norm(k), norm(v)\n"),),
    ),
    idea(
        name="head-norm",
        chance=0.15,
        description="norm the output of each attention head",
        snippets=((RETURN, f"        y = norm(y)\n{RETURN}"),),
    ),
    idea(
        name="hidden-norm",
        chance=0.1,
        description="norm the hidden channels of the MLP",
        snippets=((RELU, f"norm({RELU})"),),
    ),
    idea(
        name="z-loss",
        chance=0.1,
        description="add a z-loss: 1e-4 times the squared log of the softmax's denominator",
        snippets=(
            (
                LOSS,
                "    logits = model(x).flatten(0, 1)\n"
                "    return F.cross_entropy(logits, y.flatten()) + 1e-4 * logits.logsumexp(dim=-1).square().mean()\n",
            ),
        ),
    ),
)
