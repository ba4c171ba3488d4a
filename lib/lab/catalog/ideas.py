"""The structural ideas, as data. To add one is to add an entry: the tests try each one on the real train.py.

A snippet is as short as it can be and still stand in train.py once, so that other changes around it do no harm; what
it needs elsewhere is a snippet, too, so that it does not apply where that is gone. `chance` is what the first
experiments go by: figures in docs/decisions.md.
"""

from lab.catalog.structure import Idea

RELU = "F.relu(x).square()"
LINEAR_DECAY = "(1 - FINAL_LR_FRAC) * (1 - progress) / WARMDOWN_RATIO"
FORWARD = "    def forward(self, x, value_embedding, "

IDEAS: tuple[Idea, ...] = (
    # Activation functions
    Idea(
        name="gelu",
        category="activation functions",
        chance=0.1,
        description="replace squared ReLU by GELU in the MLP",
        snippets=((RELU, "F.gelu(x)"),),
    ),
    Idea(
        name="silu",
        category="activation functions",
        chance=0.1,
        description="replace squared ReLU by SiLU in the MLP",
        snippets=((RELU, "F.silu(x)"),),
    ),
    Idea(
        name="swiglu",
        category="activation functions",
        chance=0.15,
        description="gate half of the MLP's channels by SiLU of the other half (SwiGLU)",
        snippets=(
            ("nn.Linear(MLP_RATIO * WIDTH, WIDTH, ", "nn.Linear(MLP_RATIO * WIDTH // 2, WIDTH, "),
            ("        x = self.up(x)\n", "        x, gate = self.up(x).chunk(2, dim=-1)\n"),
            (RELU, "x * F.silu(gate)"),
        ),
    ),
    # Attention patterns
    Idea(
        name="sharper-attention",
        category="attention patterns",
        chance=0.35,
        description="sharpen attention: queries times 1.5",
        snippets=(("F.scaled_dot_product_attention(q, k, v, ", "F.scaled_dot_product_attention(1.5 * q, k, v, "),),
    ),
    Idea(
        name="head-gates",
        category="attention patterns",
        chance=0.15,
        description="gate each attention head by a sigmoid of the block's input",
        snippets=(
            (
                "        self.out = nn.Linear(WIDTH, WIDTH, bias=False)\n\n",
                "        self.out = nn.Linear(WIDTH, WIDTH, bias=False)\n"
                "        self.gate = nn.Linear(WIDTH, WIDTH // HEAD_DIM, bias=False)\n\n",
            ),
            (
                "        return self.out(y.transpose(1, 2).reshape(B, T, C))\n",
                "        y = y.transpose(1, 2) * 2 * torch.sigmoid(self.gate(x)).unsqueeze(-1)\n"
                "        return self.out(y.reshape(B, T, C))\n",
            ),
            (
                "            for linear in (block.attention.out, block.mlp.down):\n",
                "            for linear in (block.attention.out, block.attention.gate, block.mlp.down):\n",
            ),
        ),
    ),
    Idea(
        name="key-shift",
        category="attention patterns",
        chance=0.2,
        description="take half of the channels that keys and values are made of from the token before",
        snippets=(
            (
                "        q, k, v = self.query(x), self.key(x), self.value(x)\n",
                "        shifted = F.pad(x, (0, 0, 1, -1))\n"
                "        mixed = torch.cat([x[..., : C // 2], shifted[..., C // 2 :]], dim=-1)\n"
                "        q, k, v = self.query(x), self.key(mixed), self.value(mixed)\n",
            ),
        ),
    ),
    Idea(
        name="multi-query",
        category="attention patterns",
        chance=0.05,
        description="share one key and value head among all query heads (multi-query attention)",
        snippets=(
            ("self.key = nn.Linear(WIDTH, WIDTH, ", "self.key = nn.Linear(WIDTH, HEAD_DIM, "),
            ("self.value = nn.Linear(WIDTH, WIDTH, ", "self.value = nn.Linear(WIDTH, HEAD_DIM, "),
            ("nn.Embedding(vocab_size, WIDTH) for layer", "nn.Embedding(vocab_size, HEAD_DIM) for layer"),
            ("z.view(B, T, C // HEAD_DIM, HEAD_DIM)", "z.view(B, T, -1, HEAD_DIM)"),
            (
                "        q, k = rotate(q, cos, sin), rotate(k, cos, sin)\n",
                "        q, k, v = rotate(q, cos, sin), rotate(k, cos, sin).expand_as(q), v.expand_as(q)\n",
            ),
        ),
    ),
    Idea(
        name="value-embedding-everywhere",
        category="attention patterns",
        chance=0.4,
        description="give every block a value embedding",
        snippets=(
            (
                "    return layer % 2 == (DEPTH - 1) % 2  # every other block, the last one among them\n",
                "    return True\n",
            ),
        ),
    ),
    # Normalization
    Idea(
        name="layer-norm",
        category="normalization",
        chance=0.05,
        description="replace RMSNorm by LayerNorm",
        snippets=(("F.rms_norm(x, (x.size(-1),))", "F.layer_norm(x, (x.size(-1),))"),),
    ),
    Idea(
        name="final-gain",
        category="normalization",
        chance=0.3,
        description="add a learned gain for each channel to the last norm",
        snippets=(
            (
                "        self.x0_lambdas = nn.Parameter(torch.empty(DEPTH))\n",
                "        self.x0_lambdas = nn.Parameter(torch.empty(DEPTH))\n"
                "        self.gain = nn.Parameter(torch.ones(WIDTH))\n",
            ),
            ("        x = norm(x)\n        logits = ", "        x = self.gain * norm(x)\n        logits = "),
            ("[model.x0_lambdas]", "[model.x0_lambdas, model.gain]"),
        ),
    ),
    Idea(
        name="z-loss",
        category="normalization",
        chance=0.1,
        description="add a z-loss: 1e-4 times the squared log of the softmax's denominator",
        snippets=(
            (
                "    return F.cross_entropy(model(x).flatten(0, 1), y.flatten())\n",
                "    logits = model(x).flatten(0, 1)\n"
                "    return F.cross_entropy(logits, y.flatten()) + 1e-4 * logits.logsumexp(dim=-1).square().mean()\n",
            ),
        ),
    ),
    # Optimizer
    Idea(
        name="gradient-clipping",
        category="optimizer",
        chance=0.1,
        description="clip the norm of the gradient to 0.2",
        snippets=(
            (
                "    multiplier = lr_multiplier(progress)\n    for optimizer",
                "    multiplier = lr_multiplier(progress)\n"
                "    nn.utils.clip_grad_norm_(model.parameters(), 0.2)\n    for optimizer",
            ),
        ),
    ),
    Idea(
        name="cautious-decay",
        category="optimizer",
        chance=0.15,
        description="decay only weights that the update shrinks, too (cautious weight decay)",
        snippets=(("lr * WEIGHT_DECAY)", "lr * WEIGHT_DECAY * (change * matrix > 0))"),),
    ),
    Idea(
        name="row-normalized-muon",
        category="optimizer",
        chance=0.25,
        description="divide each row of Muon's updates by its running RMS (NorMuon)",
        snippets=(
            (
                "        self.mean = torch.zeros_like(torch.stack(self.matrices))\n\n",
                "        self.mean = torch.zeros_like(torch.stack(self.matrices))\n"
                "        self.squares = torch.zeros_like(self.mean[:, :, :1])\n\n",
            ),
            (
                "        for matrix, change in zip(self.matrices, update):\n            matrix.mul_(",
                "        length = update.norm()\n"
                "        self.squares.lerp_(update.square().mean(dim=2, keepdim=True), 1 - MOMENTUM)\n"
                "        update /= self.squares.sqrt() + 1e-7\n"
                "        update *= length / (update.norm() + 1e-7)\n"
                "        for matrix, change in zip(self.matrices, update):\n            matrix.mul_(",
            ),
        ),
    ),
    Idea(
        name="no-nesterov",
        category="optimizer",
        chance=0.1,
        description="orthogonalize the plain momentum instead of Nesterov's in Muon",
        snippets=(("orthogonalize(gradient.lerp(self.mean, MOMENTUM))", "orthogonalize(self.mean)"),),
    ),
    Idea(
        name="momentum-warmup",
        category="optimizer",
        chance=0.2,
        description="warm Muon's momentum up from 0.85 over the first 100 steps",
        snippets=(
            (
                "        self.mean = torch.zeros_like(torch.stack(self.matrices))\n\n",
                "        self.mean = torch.zeros_like(torch.stack(self.matrices))\n        self.steps = 0\n\n",
            ),
            (
                "        self.mean.lerp_(gradient, 1 - MOMENTUM)\n",
                "        self.steps += 1\n"
                "        momentum = 0.85 + (MOMENTUM - 0.85) * min(1, self.steps / 100)\n"
                "        self.mean.lerp_(gradient, 1 - momentum)\n",
            ),
            ("gradient.lerp(self.mean, MOMENTUM)", "gradient.lerp(self.mean, momentum)"),
        ),
    ),
    # Learning rate and schedule
    Idea(
        name="cosine",
        category="learning rate and schedule",
        chance=0.1,
        description="warm down along a cosine instead of a line",
        snippets=(
            (
                LINEAR_DECAY,
                "(1 - FINAL_LR_FRAC) * (1 - math.cos(math.pi * (1 - progress) / WARMDOWN_RATIO)) / 2",
            ),
        ),
    ),
    Idea(
        name="root",
        category="learning rate and schedule",
        chance=0.05,
        description="warm down as 1 - sqrt(share of the warm-down) instead of along a line",
        snippets=((LINEAR_DECAY, "(1 - FINAL_LR_FRAC) * (1 - (1 - (1 - progress) / WARMDOWN_RATIO) ** 0.5)"),),
    ),
    # Simplification
    Idea(
        name="no-soft-cap",
        category="simplification",
        chance=0.25,
        description="remove the soft cap of the logits",
        snippets=(
            (
                "        # The same as SOFTCAP * tanh(logits / SOFTCAP), but for a constant, which softmax ignores: "
                "on a CPU torch's tanh\n        # takes nine times as long as its sigmoid, 7 % of a step.\n"
                "        logits = 2 * SOFTCAP * torch.sigmoid(logits * (2 / SOFTCAP))\n",
                "",
            ),
        ),
        without=("SOFTCAP",),
    ),
    Idea(
        name="no-qk-norm",
        category="simplification",
        chance=0.35,
        description="remove the norm of queries and keys",
        snippets=(("        q, k = norm(q), norm(k)\n", ""),),
    ),
    Idea(
        name="no-embedding-norm",
        category="simplification",
        chance=0.15,
        description="remove the norm of the embedding",
        snippets=(("        x = norm(x)\n        x0 = x\n", "        x0 = x\n"),),
    ),
    Idea(
        name="no-x0",
        category="simplification",
        chance=0.1,
        description="remove the x0 lambdas: blocks no longer get the embedding added to their input",
        snippets=(
            ("        self.x0_lambdas = nn.Parameter(torch.empty(DEPTH))\n", ""),
            ("        self.x0_lambdas.fill_(X0_LAMBDA)\n", ""),
            ("        x0 = x\n", ""),
            ("            x = x + self.x0_lambdas[layer] * x0\n", ""),
            ("        AdamW([model.x0_lambdas], SCALAR_LR),\n", ""),
        ),
        without=("X0_LAMBDA", "SCALAR_LR"),
    ),
    Idea(
        name="no-value-embeddings",
        category="simplification",
        chance=0.05,
        description="remove the value embeddings",
        snippets=(
            (
                "def has_value_embedding(layer):\n"
                "    return layer % 2 == (DEPTH - 1) % 2  # every other block, the last one among them\n\n\n",
                "",
            ),
            (f"bias=False)\n\n{FORWARD}", "bias=False)\n\n    def forward(self, x, "),
            ("        if value_embedding is not None:\n            v = v + value_embedding\n", ""),
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
            (", *model.value_embeddings.parameters()]", "]"),
        ),
        without=("VALUE_INIT",),
    ),
    Idea(
        name="no-windows",
        category="simplification",
        chance=0.2,
        description="remove the sliding windows: every block sees the whole row",
        snippets=(
            (
                "def window_mask(window):\n"
                '    """(T, T), true where a query (row) sees a key (column): '
                'itself and the window - 1 tokens before it."""\n'
                "    return torch.ones(MAX_SEQ_LEN, MAX_SEQ_LEN, dtype=torch.bool).tril().triu(1 - window)\n\n\n",
                "",
            ),
            (
                "def is_short(layer):\n    return WINDOW_PATTERN[layer % len(WINDOW_PATTERN)] == "
                '"S" and layer < DEPTH - 1  # the last block sees everything\n\n\n',
                "",
            ),
            ("cos, sin, mask):\n        B, T, C", "cos, sin):\n        B, T, C"),
            ("attn_mask=mask, is_causal=mask is None)", "is_causal=True)"),
            ("cos, sin, mask):\n        x = x + self.attention(", "cos, sin):\n        x = x + self.attention("),
            ("cos, sin, mask)\n        x = x + self.mlp(", "cos, sin)\n        x = x + self.mlp("),
            ("        self.short_mask = window_mask(SHORT_WINDOW).to(DEVICE)\n", ""),
            (", self.short_mask if is_short(layer) else None)", ")"),
            (
                "        keys = sum(SHORT_WINDOW if is_short(layer) else MAX_SEQ_LEN for layer in range(DEPTH))\n",
                "        keys = DEPTH * MAX_SEQ_LEN\n",
            ),
        ),
        without=("WINDOW_PATTERN", "SHORT_WINDOW"),
    ),
    Idea(
        name="no-weight-decay",
        category="simplification",
        chance=0.15,
        description="remove the weight decay of Muon",
        snippets=(("            matrix.mul_(1 - lr * WEIGHT_DECAY)\n", ""),),
        without=("WEIGHT_DECAY",),
    ),
    Idea(
        name="no-adam-weight-decay",
        category="simplification",
        chance=0.15,
        description="remove the weight decay of AdamW",
        snippets=(("            parameter.mul_(1 - lr * ADAM_WEIGHT_DECAY)\n", ""),),
        without=("ADAM_WEIGHT_DECAY",),
    ),
    Idea(
        name="tied",
        category="simplification",
        chance=0.05,
        description="tie the unembedding to the normed embedding",
        snippets=(
            ("        self.unembedding = nn.Linear(WIDTH, vocab_size, bias=False)\n", ""),
            ("        nn.init.normal_(self.unembedding.weight, std=UNEMBEDDING_INIT)\n", ""),
            ("self.unembedding(x)", "F.linear(x, norm(self.embedding.weight) * WIDTH**-0.5)"),
            ("self.unembedding.weight.numel()", "self.embedding.weight.numel()"),
            ("        AdamW([model.unembedding.weight], UNEMBEDDING_LR),\n", ""),
        ),
        without=("UNEMBEDDING_INIT", "UNEMBEDDING_LR"),
    ),
    # Radical changes
    Idea(
        name="bigrams",
        category="radical changes",
        chance=0.6,
        description="add an embedding of each pair of tokens, hashed into a table, to that of the token",
        snippets=(
            (
                "\n# Optimization\n",
                "BIGRAM_ROWS = 2**15 if SMALL else 2**16  # of the table that pairs of tokens are hashed into\n"
                "\n# Optimization\n",
            ),
            (
                "        self.x0_lambdas = nn.Parameter(",
                "        self.bigrams = nn.Embedding(BIGRAM_ROWS, WIDTH)\n        self.x0_lambdas = nn.Parameter(",
            ),
            (
                "        nn.init.normal_(self.embedding.weight, std=EMBEDDING_INIT)\n",
                "        nn.init.normal_(self.embedding.weight, std=EMBEDDING_INIT)\n"
                "        nn.init.zeros_(self.bigrams.weight)\n",
            ),
            (
                "        x = self.embedding(tokens)\n",
                "        pairs = F.pad(tokens, (1, -1)) * 36313 ^ tokens * 27191\n"
                "        x = self.embedding(tokens) + self.bigrams(pairs % BIGRAM_ROWS)\n",
            ),
            ("[model.embedding.weight, ", "[model.embedding.weight, model.bigrams.weight, "),
        ),
    ),
    Idea(
        name="smear",
        category="radical changes",
        chance=0.5,
        description="add half of the embedding of the token before to that of each token",
        snippets=(
            (
                "        x = norm(x)\n        x0 = x\n",
                "        x = norm(x)\n        x = norm(x + 0.5 * F.pad(x, (0, 0, 1, -1)))\n        x0 = x\n",
            ),
        ),
    ),
    Idea(
        name="parallel",
        category="radical changes",
        chance=0.05,
        description="run attention and MLP of a block side by side, on the same input",
        snippets=(
            (
                "        x = x + self.attention(norm(x), ",
                "        z = norm(x)\n        x = x + self.mlp(z) + self.attention(z, ",
            ),
            ("        x = x + self.mlp(norm(x))\n", ""),
        ),
    ),
    Idea(
        name="adamw-only",
        category="radical changes",
        chance=0.05,
        description="train the matrices of the blocks by AdamW, at an eighth of MATRIX_LR, instead of by Muon",
        snippets=(
            ("    shapes = sorted({matrix.shape for matrix in matrices})\n", ""),
            (
                "        *(Muon([matrix for matrix in matrices if matrix.shape == shape], MATRIX_LR) "
                "for shape in shapes),\n",
                "        AdamW(matrices, MATRIX_LR / 8),\n",
            ),
        ),
    ),
)
