"""Ideas: depth against width."""

from functools import partial

from lab.catalog import structure
from lab.catalog.ideas.snippets import LAST_NORM, LAYER_FOR_BLOCK, OUT, RETURN, X0, ZEROS, hyperparameter

idea = partial(structure.idea, "depth against width")

IDEAS = (
    idea(
        "wider-mlps-later",
        "make the MLPs of the first half of the blocks narrower and the others wider",
        (0.15, 0.15),
        *LAYER_FOR_BLOCK,
        ("        self.mlp = MLP()\n", "        self.mlp = MLP(layer)\n"),
        (
            "class MLP(nn.Module):\n    def __init__(self):\n        super().__init__()\n",
            "class MLP(nn.Module):\n    def __init__(self, layer):\n        super().__init__()\n"
            "        hidden = (MLP_RATIO - 1 if layer < DEPTH // 2 else MLP_RATIO + 1) * WIDTH\n",
        ),
        ("Linear(WIDTH, MLP_RATIO * WIDTH)", "Linear(WIDTH, hidden)"),
        ("Linear(MLP_RATIO * WIDTH, WIDTH)", "Linear(hidden, WIDTH)"),
    ),
    idea(
        "macaron",
        "split the MLP of each block into two of half the width, before and after attention",
        (0.1, 0.1),
        ("        self.mlp = MLP()\n", "        self.early_mlp = MLP()\n        self.mlp = MLP()\n"),
        ("Linear(WIDTH, MLP_RATIO * WIDTH)", "Linear(WIDTH, MLP_RATIO * WIDTH // 2)"),
        ("Linear(MLP_RATIO * WIDTH, WIDTH)", "Linear(MLP_RATIO * WIDTH // 2, WIDTH)"),
        (
            "        x = x + self.attention(norm(x), ",
            "        x = x + self.early_mlp(norm(x))\n        x = x + self.attention(norm(x), ",
        ),
        (
            "            for linear in (block.attention.query, ",
            "            nn.init.normal_(block.early_mlp.up.weight, std=MATRIX_INIT * WIDTH**-0.5)\n"
            "            for linear in (block.attention.query, ",
        ),
        (ZEROS, f"block.early_mlp.down, {ZEROS}"),
    ),
    idea(
        "last-block-twice",
        "run the last block twice",
        (0.1, 0.05),
        (
            "        self.unembedding = Linear(",
            "        self.order = (*range(DEPTH), DEPTH - 1)  # blocks in order\n        self.unembedding = Linear(",
        ),
        (
            "        for layer, block in enumerate(self.blocks):\n",
            "        for layer in self.order:\n            block = self.blocks[layer]\n",
        ),
        (
            "        weights = sum(p.numel() for p in self.blocks.parameters())",
            "        blocks = [self.blocks[layer] for layer in self.order]\n"
            "        weights = sum(p.numel() for block in blocks for p in block.parameters())",
        ),
        ("else MAX_SEQ_LEN for layer in range(DEPTH))", "else MAX_SEQ_LEN for layer in self.order)"),
    ),
    idea(
        "one-mlp",
        "share the weights of one MLP among all blocks",
        (0.05, 0.01),
        (
            "        self.unembedding = Linear(",
            "        for block in self.blocks[1:]:\n            block.mlp = self.blocks[0].mlp\n"
            "        self.unembedding = Linear(",
        ),
        (
            "sum(p.numel() for p in self.blocks.parameters())",
            "sum(p.numel() for block in self.blocks for p in block.parameters())",
        ),
    ),
    idea(
        "no-attention-before-the-last",
        "leave out the attention of the block before the last",
        (0.1, 0.1),
        (
            "        self.init_weights()\n",
            "        self.init_weights()\n        self.blocks[DEPTH - 2].attention = None\n",
        ),
        (
            "        x = x + self.attention(norm(x), value_embedding, cos, sin, mask)\n",
            "        if self.attention is not None:\n"
            "            x = x + self.attention(norm(x), value_embedding, cos, sin, mask)\n",
        ),
        (
            "else MAX_SEQ_LEN for layer in range(DEPTH))",
            "else MAX_SEQ_LEN for layer in range(DEPTH) if layer != DEPTH - 2)",
        ),
    ),
    idea(
        "another-head",
        "add an attention head, so that the heads' channels no longer add up to WIDTH",
        (0.1, 0.1),
        *hyperparameter("HEADS = 3 if SMALL else 6  # attention heads"),
        ("self.query = Linear(WIDTH, WIDTH)", "self.query = Linear(WIDTH, HEADS * HEAD_DIM)"),
        ("self.key = Linear(WIDTH, WIDTH)", "self.key = Linear(WIDTH, HEADS * HEAD_DIM)"),
        ("self.value = Linear(WIDTH, WIDTH)", "self.value = Linear(WIDTH, HEADS * HEAD_DIM)"),
        (OUT, "        self.out = Linear(HEADS * HEAD_DIM, WIDTH)\n"),
        ("z.view(B, T, C // HEAD_DIM, HEAD_DIM)", "z.view(B, T, HEADS, HEAD_DIM)"),
        (f"{RETURN}.reshape(B, T, C))\n", f"{RETURN}.reshape(B, T, HEADS * HEAD_DIM))\n"),
        (
            "            {str(layer): nn.Embedding(vocab_size, WIDTH) "
            "for layer in range(DEPTH) if has_value_embedding(layer)}\n",
            "            {\n                str(layer): nn.Embedding(vocab_size, HEADS * HEAD_DIM)\n"
            "                for layer in range(DEPTH)\n"
            "                if has_value_embedding(layer)\n            }\n",
        ),
        ("12 * WIDTH * keys", "12 * HEADS * HEAD_DIM * keys"),
    ),
    idea(
        "wider-unembedding",
        "unembed the token's own embedding together with the last block's output",
        (0.55, 0.2),
        ("self.unembedding = Linear(WIDTH, ", "self.unembedding = Linear(2 * WIDTH, "),
        (X0, X0),
        (LAST_NORM, "        x = torch.cat([norm(x), x0], dim=-1)\n        logits = "),
    ),
    idea(
        "narrower-unembedding",
        "halve the channels before the unembedding (low rank)",
        (0.05, 0.02),
        (
            "        self.unembedding = Linear(WIDTH, vocab_size)\n",
            "        self.narrowing = Linear(WIDTH, WIDTH // 2)\n"
            "        self.unembedding = Linear(WIDTH // 2, vocab_size)\n",
        ),
        ("self.unembedding(x)", "self.unembedding(self.narrowing(x))"),
        ("        keys = sum(", "        weights += self.narrowing.weight.numel()\n        keys = sum("),
        ("model.unembedding.weight]", "model.narrowing.weight, model.unembedding.weight]"),
    ),
)
