"""Ideas: normalization of activations and logits, and other limits on their size."""

from functools import partial

from lab.catalog import structure
from lab.catalog.ideas.snippets import LAST_NORM, LOSS, RELU, RETURN, X0_ADDED, vector

idea = partial(structure.idea, "normalization")

IDEAS = (
    idea(
        "layer-norm",
        "replace RMSNorm by LayerNorm",
        (0.05, 0.05),
        ("F.rms_norm(x, (x.size(-1),))", "F.layer_norm(x, (x.size(-1),))"),
    ),
    idea(
        "final-gain",
        "add a learned gain for each channel to the last norm",
        (0.2, 0.1),
        *vector("gain", "torch.ones(WIDTH)"),
        (LAST_NORM, "        x = norm(x) * self.gain.to(x.dtype)\n        logits = "),
    ),
    idea(
        "unembedding-bias",
        "add a learned bias for each token to the logits",
        (0.1, 0.1),
        *vector("bias", "torch.zeros(vocab_size)"),
        ("self.unembedding(x).float()", "self.unembedding(x).float() + self.bias"),
    ),
    idea(
        "residual-lambdas",
        "scale the residual stream by a learned factor before each block",
        (0.1, 0.2),
        *vector("residual_lambdas", "torch.ones(DEPTH)"),
        (
            "x = x + self.x0_lambdas[layer] * x0\n",
            "x = self.residual_lambdas[layer] * x + self.x0_lambdas[layer] * x0\n",
        ),
    ),
    idea(
        "normed-stream",
        "norm the residual stream itself before each block",
        (0.1, 0.05),
        (X0_ADDED, "            x = norm(x + self.x0_lambdas[layer] * x0)\n"),
    ),
    idea(
        "sandwich-norm",
        "also norm the outputs of attention and MLP",
        (0.1, 0.1),
        (
            "x + self.attention(norm(x), value_embedding, cos, sin, mask)",
            "x + norm(self.attention(norm(x), value_embedding, cos, sin, mask))",
        ),
        ("x + self.mlp(norm(x))", "x + norm(self.mlp(norm(x)))"),
    ),
    idea(
        "value-norm",
        "norm values as well as queries and keys",
        (0.03, 0.1),
        ("        q, k = norm(q), norm(k)\n", "        q, k, v = norm(q), norm(k), norm(v)\n"),
    ),
    idea(
        "head-norm",
        "norm the output of each attention head",
        (0.15, 0.15),
        (RETURN, f"        y = norm(y)\n{RETURN}"),
    ),
    idea(
        "hidden-norm",
        "norm the hidden channels of the MLP",
        (0.1, 0.1),
        (RELU, f"norm({RELU})"),
    ),
    idea(
        "z-loss",
        "add a z-loss: 1e-4 times the squared log of the softmax's denominator",
        (0.1, 0.1),
        (
            LOSS,
            "    logits = model(x).flatten(0, 1)\n"
            "    return F.cross_entropy(logits, y.flatten()) + 1e-4 * logits.logsumexp(dim=-1).square().mean()\n",
        ),
    ),
)
