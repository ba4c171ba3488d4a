"""Ideas: radical changes."""

from functools import partial

from lab.catalog import structure
from lab.catalog.ideas.snippets import (
    EMBEDDED,
    LAST_NORM,
    LOSS,
    X0,
    X0_ADAMW,
    X0_ADDED,
    X0_LAMBDAS,
    hyperparameter,
    table,
    vector,
)

idea = partial(structure.idea, "radical changes")

PAIRS = "F.pad(tokens, (1, -1)) * 36313 ^ tokens * 27191"

IDEAS = (
    idea(
        "bigrams",
        "add an embedding of each pair of tokens, hashed into a table, to that of the token",
        (0.9, 0.35),
        *hyperparameter("BIGRAM_ROWS = 2**15 if SMALL else 2**16  # rows of the hash table of token pairs"),
        *table("bigrams", "BIGRAM_ROWS"),
        (
            EMBEDDED,
            f"{EMBEDDED}        pairs = {PAIRS}\n        x = x + self.bigrams(pairs % BIGRAM_ROWS).to(DTYPE)\n",
        ),
    ),
    idea(
        "trigrams",  # applies after "bigrams"
        "also add an embedding of each three tokens, hashed into a table",
        (0.5, 0.2),
        *table("trigrams", "BIGRAM_ROWS"),
        (
            "        x = x + self.bigrams(pairs % BIGRAM_ROWS).to(DTYPE)\n",
            "        x = x + self.bigrams(pairs % BIGRAM_ROWS).to(DTYPE)\n"
            "        triples = F.pad(tokens, (2, -2)) * 51797 ^ pairs\n"
            "        x = x + self.trigrams(triples % BIGRAM_ROWS).to(DTYPE)\n",
        ),
    ),
    idea(
        "bigram-values",  # applies after "bigrams"
        "add the embedding of the pair to the values of the blocks without a value embedding",
        (0.1, 0.15),
        (
            "        x = x + self.bigrams(pairs % BIGRAM_ROWS).to(DTYPE)\n",
            "        pair = self.bigrams(pairs % BIGRAM_ROWS)\n        x = x + pair.to(DTYPE)\n",
        ),
        ("if has_value_embedding(layer) else None\n", "if has_value_embedding(layer) else pair\n"),
    ),
    idea(
        "skip-bigrams",
        "add an embedding of each token and the one two before it, hashed into a table",
        (0.5, 0.15),
        *hyperparameter("SKIP_ROWS = 2**14 if SMALL else 2**16  # rows of the hash table of tokens two apart"),
        *table("skip_bigrams", "SKIP_ROWS"),
        (
            EMBEDDED,
            f"{EMBEDDED}        apart = F.pad(tokens, (2, -2)) * 51797 ^ tokens * 27191\n"
            "        x = x + self.skip_bigrams(apart % SKIP_ROWS).to(DTYPE)\n",
        ),
    ),
    idea(
        "smear",
        "add half of the previous token's embedding to each token's",
        (0.4, 0.2),
        (X0, f"        x = norm(x + 0.5 * F.pad(x, (0, 0, 1, -1)))\n{X0}"),
    ),
    idea(
        "learned-smear",
        "add a learned share of the previous token's embedding, for each channel",
        (0.35, 0.25),
        *vector("smear", "torch.zeros(WIDTH)"),
        (X0, f"        x = x + self.smear.to(x.dtype) * F.pad(x, (0, 0, 1, -1))\n{X0}"),
    ),
    idea(
        "embeddings-by-block",
        "add a separate token embedding to the input of each block",
        (0.03, 0.15),
        (
            X0_LAMBDAS,
            "        self.embeddings = nn.ModuleList(nn.Embedding(vocab_size, WIDTH) for _ in range(DEPTH))\n"
            f"{X0_LAMBDAS}",
        ),
        (
            "        self.x0_lambdas.fill_(X0_LAMBDA)\n",
            "        for embedding in self.embeddings:\n            nn.init.zeros_(embedding.weight)\n"
            "        self.x0_lambdas.fill_(X0_LAMBDA)\n",
        ),
        (X0_ADDED, f"{X0_ADDED}            x = x + self.embeddings[layer](tokens).to(DTYPE)\n"),
        (
            X0_ADAMW,
            f"        AdamW(model.embeddings.parameters(), EMBEDDING_LR, EMBEDDING_WEIGHT_DECAY),\n{X0_ADAMW}",
        ),
    ),
    idea(
        "token-shift",
        "take a quarter of the channels that the MLP reads from the token before",
        (0.6, 0.2),
        (
            "        x = self.up(x)\n",
            "        shifted = F.pad(x[..., : WIDTH // 4], (0, 0, 1, -1))\n"
            "        x = self.up(torch.cat([shifted, x[..., WIDTH // 4 :]], dim=-1))\n",
        ),
    ),
    idea(
        "skips",
        "add the outputs of the first half of the blocks to the second half's inputs (U-net)",
        (0.05, 0.2),
        *vector("skip_lambdas", "torch.zeros(DEPTH)"),
        (X0, f"{X0}        skips = []\n"),
        (
            X0_ADDED,
            f"{X0_ADDED}            if layer >= (DEPTH + 1) // 2:\n"
            "                x = x + self.skip_lambdas[layer] * skips.pop()\n",
        ),
        (
            "self.short_mask if is_short(layer) else None)\n",
            "self.short_mask if is_short(layer) else None)\n"
            "            if layer < DEPTH // 2:\n                skips.append(x)\n",
        ),
    ),
    idea(
        "backout",
        "subtract a learned share of the middle block's stream before the unembedding (backout)",
        (0.15, 0.25),
        *vector("backout", "torch.zeros(())"),
        (
            "self.short_mask if is_short(layer) else None)\n        x = norm(x)\n",
            "self.short_mask if is_short(layer) else None)\n"
            "            if layer == (DEPTH - 1) // 2:\n                middle = x\n"
            "        x = norm(x - self.backout * middle)\n",
        ),
    ),
    idea(
        "two-tokens-ahead",
        "also train on the token after the next one, with weight 0.2",
        (0.05, 0.15),
        (
            "        self.unembedding = Linear(",
            "        self.ahead = Linear(WIDTH, WIDTH)  # for training only\n        self.unembedding = Linear(",
        ),
        (
            '        """Logits (B, T, vocabulary) of the next token after each of tokens (B, T)."""\n',
            '        """Logits (B, T, vocabulary) of the next token after each of tokens (B, T)."""\n'
            "        return self.logits(self.features(tokens))\n\n    def features(self, tokens):\n",
        ),
        (LAST_NORM, "        return norm(x)\n\n    def logits(self, x):\n        logits = "),
        (X0_ADAMW, f"        AdamW([model.ahead.weight], 0.01, 0),\n{X0_ADAMW}"),
        (
            LOSS,
            "    x = model.features(x)\n"
            "    ahead = model.logits(norm(model.ahead(x[:, :-1])))\n"
            "    ahead_loss = F.cross_entropy(ahead.flatten(0, 1), y[:, 1:].flatten())\n"
            "    return F.cross_entropy(model.logits(x).flatten(0, 1), y.flatten()) + 0.2 * ahead_loss\n",
        ),
    ),
    idea(
        "parallel",
        "run attention and MLP of a block in parallel, on the same input",
        (0.05, 0.01),
        (
            "        x = x + self.attention(norm(x), ",
            "        z = norm(x)\n        x = x + self.mlp(z) + self.attention(z, ",
        ),
        ("        x = x + self.mlp(norm(x))\n", ""),
    ),
)
