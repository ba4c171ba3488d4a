"""Ideas: simplification. They are kept if they cost nothing."""

from functools import partial

from lab.catalog import structure
from lab.catalog.ideas.snippets import LAST_NORM, MUON_SIZE, X0, X0_ADAMW, X0_ADDED, X0_LAMBDAS

idea = partial(structure.idea, "simplification")

LOOP = "        for layer, block in enumerate(self.blocks):\n"
TURNED = "for z in (q, k, v))\n        q, k = rotate("
FORWARD = "    def forward(self, x, value_embedding, "
WINDOW_MASK = '''\
def window_mask(window):
    """The keys that a query sees: its own and those of the window - 1 tokens before it.

    Compiled, a block mask, so that keys outside of the window are not computed; else (T, T) booleans, query by key.
    """

    def sees(batch, head, query, key):
        return (key <= query) & (query - key < window)

    if COMPILED:
        return create_block_mask(sees, None, None, MAX_SEQ_LEN, MAX_SEQ_LEN, device=DEVICE)
    positions = torch.arange(MAX_SEQ_LEN, device=DEVICE)
    return sees(None, None, positions[:, None], positions)


'''
ATTEND = '''\
def attend(q, k, v, mask):
    """Causal attention of q, k and v (B, heads, T, HEAD_DIM), within a window if there is a mask."""
    if mask is None:
        return F.scaled_dot_product_attention(q, k, v, is_causal=True)  # on a GPU, flash attention
    if COMPILED and torch.compiler.is_compiling():
        return flex_attention(q, k, v, block_mask=mask)
    if COMPILED:  # tracing for the evaluator runs uncompiled, with functions of torch only
        positions = torch.arange(MAX_SEQ_LEN, device=DEVICE)
        mask = mask.mask_mod(None, None, positions[:, None], positions)
    return F.scaled_dot_product_attention(q, k, v, attn_mask=mask)


def is_short(layer):
    return WINDOW_PATTERN[layer % len(WINDOW_PATTERN)] == "S" and layer < DEPTH - 1  # the last block sees everything


'''
SOFT_CAP = """\
        # Equal to SOFTCAP * tanh(logits / SOFTCAP) up to a constant, which softmax ignores. On a CPU torch's tanh takes
        # nine times as long as its sigmoid, 7 % of a step.
        logits = 2 * SOFTCAP * torch.sigmoid(logits * (2 / SOFTCAP))
"""
NEURONS = """\
        length = update.norm(dim=(1, 2), keepdim=True)
        self.squares.lerp_(update.square().mean(dim=self.across, keepdim=True), 1 - NEURON_MOMENTUM)
        update /= self.squares.sqrt() + 1e-7
        update *= length / (update.norm(dim=(1, 2), keepdim=True) + 1e-7)
"""

IDEAS = (
    idea(
        "no-soft-cap",
        "remove the soft cap of the logits",
        (0.25, 0.1),
        (SOFT_CAP, ""),
        without=("SOFTCAP",),
    ),
    idea(
        "no-qk-norm",
        "remove the norm of queries and keys",
        (0.4, 0.1),
        ("        q, k = norm(q), norm(k)\n", ""),
    ),
    idea(
        "no-embedding-norm",
        "remove the norm of the embedding",
        (0.15, 0.15),
        (f"        x = norm(x)\n{X0}", X0),
    ),
    idea(
        "no-x0",
        "remove the x0 lambdas, so that blocks no longer get the embedding added to their input",
        (0.1, 0.01),
        (X0_LAMBDAS, ""),
        ("        self.x0_lambdas.fill_(X0_LAMBDA)\n", ""),
        (f"{X0}{LOOP}", LOOP),
        (X0_ADDED, ""),
        (X0_ADAMW, ""),
        (LAST_NORM, LAST_NORM),
        without=("X0_LAMBDA", "SCALAR_LR"),
    ),
    idea(
        "no-value-embeddings",
        "remove the value embeddings",
        (0.05, 0.01),
        (
            "def has_value_embedding(layer):\n"
            "    return layer % 2 == (DEPTH - 1) % 2  # every other block, including the last\n\n\n",
            "",
        ),
        (f"{FORWARD}cos, sin, mask):\n        B, T", "    def forward(self, x, cos, sin, mask):\n        B, T"),
        (
            "        if value_embedding is not None:\n            v = v + value_embedding.to(v.dtype)\n",
            "",
        ),
        (f"self.mlp = MLP()\n\n{FORWARD}", "self.mlp = MLP()\n\n    def forward(self, x, "),
        ("self.attention(norm(x), value_embedding, ", "self.attention(norm(x), "),
        (
            "        self.value_embeddings = nn.ModuleDict(\n"
            "            {str(layer): nn.Embedding(vocab_size, WIDTH) "
            "for layer in range(DEPTH) if has_value_embedding(layer)}\n        )\n",
            "",
        ),
        (
            "        for embedding in self.value_embeddings.values():\n"
            "            nn.init.normal_(embedding.weight, std=VALUE_INIT)\n",
            "",
        ),
        (
            "            value_embedding = self.value_embeddings[str(layer)](tokens) "
            "if has_value_embedding(layer) else None\n",
            "",
        ),
        ("block(x, value_embedding, ", "block(x, "),
        ("        AdamW(model.value_embeddings.parameters(), EMBEDDING_LR, VALUE_WEIGHT_DECAY),\n", ""),
        without=("VALUE_INIT", "VALUE_WEIGHT_DECAY"),
    ),
    idea(
        "no-windows",
        "remove the sliding windows, so that every block sees the whole row",
        (0.2, 0.02),
        (
            "if COMPILED:  # takes two seconds\n"
            "    from torch.nn.attention.flex_attention import create_block_mask, flex_attention\n",
            "",
        ),
        (WINDOW_MASK, ""),
        (ATTEND, ""),
        ("cos, sin, mask):\n        B, T, C", "cos, sin):\n        B, T, C"),
        (TURNED, TURNED),
        ("attend(q, k, v, mask)\n", "F.scaled_dot_product_attention(q, k, v, is_causal=True)\n"),
        ("cos, sin, mask):\n        x = x + self.attention(", "cos, sin):\n        x = x + self.attention("),
        ("cos, sin, mask)\n        x = x + self.mlp(", "cos, sin)\n        x = x + self.mlp("),
        ("        self.short_mask = window_mask(SHORT_WINDOW)\n", ""),
        (", self.short_mask if is_short(layer) else None)", ")"),
        (
            "        keys = sum(SHORT_WINDOW if is_short(layer) else MAX_SEQ_LEN for layer in range(DEPTH))\n",
            "        keys = DEPTH * MAX_SEQ_LEN\n",
        ),
        without=("WINDOW_PATTERN", "SHORT_WINDOW"),
    ),
    idea(
        "tied",
        "tie the unembedding to the normed embedding",
        (0.05, 0.01),
        ("        self.unembedding = Linear(WIDTH, vocab_size)\n", ""),
        ("        nn.init.normal_(self.unembedding.weight, std=UNEMBEDDING_INIT)\n", ""),
        ("self.unembedding(x)", "F.linear(x, (norm(self.embedding.weight) * WIDTH**-0.5).to(x.dtype))"),
        ("self.unembedding.weight.numel()", "self.embedding.weight.numel()"),
        ("        AdamW([model.unembedding.weight], UNEMBEDDING_LR, UNEMBEDDING_WEIGHT_DECAY),\n", ""),
        without=("UNEMBEDDING_INIT", "UNEMBEDDING_LR", "UNEMBEDDING_WEIGHT_DECAY"),
    ),
    idea(
        "no-weight-decay",
        "remove the weight decay of Muon",
        (0.15, 0.02),
        ("            matrix.mul_(1 - lr * WEIGHT_DECAY * (1 - progress) * (change * matrix > 0))\n", ""),
        without=("WEIGHT_DECAY",),
    ),
    idea(
        "no-adamw-weight-decay",
        "remove the weight decay of AdamW",
        (0.25, 0.02),
        ("    def __init__(self, parameters, lr, weight_decay):\n", "    def __init__(self, parameters, lr):\n"),
        ("        self.weight_decay = weight_decay\n", ""),
        ("            parameter.mul_(1 - lr * self.weight_decay)\n", ""),
        (", EMBEDDING_LR, EMBEDDING_WEIGHT_DECAY),\n", ", EMBEDDING_LR),\n"),
        (", EMBEDDING_LR, VALUE_WEIGHT_DECAY),\n", ", EMBEDDING_LR),\n"),
        (f", UNEMBEDDING_WEIGHT_DECAY),\n{X0_ADAMW}", f"),\n{X0_ADAMW.replace(', 0)', ')')}"),
        without=("EMBEDDING_WEIGHT_DECAY", "VALUE_WEIGHT_DECAY", "UNEMBEDDING_WEIGHT_DECAY"),
    ),
    idea(
        "no-momentum-warm-up",
        "remove the warm-up of Muon's momentum",
        (0.2, 0.1),
        ("        self.steps = 0\n        self.mean = torch", "        self.mean = torch"),
        (
            "        momentum = MOMENTUM - (MOMENTUM - MOMENTUM_START) * max(0, 1 - self.steps / MOMENTUM_WARMUP)\n"
            "        self.steps += 1\n",
            "",
        ),
        ("self.mean.lerp_(gradient, 1 - momentum)", "self.mean.lerp_(gradient, 1 - MOMENTUM)"),
        ("gradient.lerp(self.mean, momentum)", "gradient.lerp(self.mean, MOMENTUM)"),
        without=("MOMENTUM_START", "MOMENTUM_WARMUP"),
    ),
    idea(
        "no-neurons",
        "remove the equal update size of each neuron in Muon (plain Muon)",
        (0.2, 0.05),
        (", with equal update sizes for all neurons (NorMuon).", "."),
        (
            "        self.across = 2 if self.mean.size(1) >= self.mean.size(2) else 1  "
            "# the dimension within a neuron\n"
            "        self.squares = self.mean.mean(dim=self.across, keepdim=True)\n",
            "",
        ),
        (NEURONS, ""),
        without=("NEURON_MOMENTUM",),
    ),
    idea(
        "no-shape-factor",
        "remove the factor that enlarges Muon's updates of tall matrices",
        (0.15, 0.1),
        (MUON_SIZE, ""),
    ),
    idea(
        "no-bias-correction",
        "remove AdamW's bias correction",
        (0.3, 0.2),
        ("        self.steps = 0\n        self.means", "        self.means"),
        ("        self.steps += 1\n        beta1", "        beta1"),
        ("(square / (1 - beta2**self.steps)).sqrt_()", "square.sqrt()"),
        ("value=-lr / (1 - beta1**self.steps))", "value=-lr)"),
    ),
)
