"""Ideas: attention patterns."""

from functools import partial

from lab.catalog import structure
from lab.catalog.ideas.snippets import LAYER_FOR_BLOCK, OUT, QKV, RETURN, ZEROS, attention_matrix, hyperparameter

idea = partial(structure.idea, "attention patterns")

IDEAS = (
    idea(
        "sharper-attention",
        "sharpen attention: multiply queries by 1.5",
        (0.3, 0.3),
        *hyperparameter("QK_GAIN = 1.5 if SMALL else 1.3  # multiplies queries after their norm"),
        ("y = attend(q, ", "y = attend(QK_GAIN * q, "),
    ),
    idea(
        "learned-sharpness",
        "let each token set the sharpness of attention in each head (twice a sigmoid)",
        (0.2, 0.2),
        *attention_matrix("sharpness", "WIDTH // HEAD_DIM"),
        (
            "        q, k = norm(q), norm(k)\n",
            "        q, k = norm(q), norm(k)\n        q = q * 2 * torch.sigmoid(self.sharpness(x)).mT.unsqueeze(-1)\n",
        ),
    ),
    idea(
        "head-gates",
        "gate each attention head by a sigmoid of the block's input",
        (0.15, 0.2),
        *attention_matrix("head_gate", "WIDTH // HEAD_DIM"),
        (RETURN, f"        y = y * 2 * torch.sigmoid(self.head_gate(x)).mT.unsqueeze(-1)\n{RETURN}"),
    ),
    idea(
        "channel-gates",
        "gate each channel of attention's output by a sigmoid of the block's input",
        (0.15, 0.1),
        *attention_matrix("channel_gate", "WIDTH"),
        (
            f"{RETURN}.reshape(B, T, C))\n",
            "        y = y.transpose(1, 2).reshape(B, T, C)\n"
            "        return self.out(y * 2 * torch.sigmoid(self.channel_gate(x)))\n",
        ),
    ),
    idea(
        "gated-value-embeddings",
        "gate the value embedding of each head by a sigmoid of the block's input",
        (0.25, 0.4),
        *LAYER_FOR_BLOCK,
        ("        self.attention = Attention()\n", "        self.attention = Attention(layer)\n"),
        (
            "class Attention(nn.Module):\n    def __init__(self):\n",
            "class Attention(nn.Module):\n    def __init__(self, layer):\n",
        ),
        (
            OUT,
            f"{OUT}        self.gate = Linear(WIDTH, WIDTH // HEAD_DIM) if has_value_embedding(layer) else None\n",
        ),
        (
            "            v = v + value_embedding.to(v.dtype)\n",
            "            gate = 2 * torch.sigmoid(self.gate(x)).repeat_interleave(HEAD_DIM, dim=-1)\n"
            "            v = v + gate * value_embedding.to(v.dtype)\n",
        ),
        (
            f"for linear in ({ZEROS}",
            "for linear in filter(None, (block.attention.gate, block.attention.out, block.mlp.down)):\n",
        ),
    ),
    idea(
        "value-embedding-everywhere",
        "give every block a value embedding",
        (0.15, 0.3),
        (
            "    return layer % 2 == (DEPTH - 1) % 2  # every other block, including the last\n",
            "    return True  # every block\n",
        ),
    ),
    idea(
        "value-residual",
        "add the values of the first block to those of all (value residual)",
        (0.15, 0.2),
        ("        x0 = x\n", "        x0 = x\n        first = self.blocks[0].attention.value(x0)\n"),
        (
            "self.value_embeddings[str(layer)](tokens) if has_value_embedding(layer) else None\n",
            "self.value_embeddings[str(layer)](tokens) + first if has_value_embedding(layer) else first\n",
        ),
    ),
    idea(
        "key-shift",
        "compute half of the channels of keys and values from the previous token",
        (0.2, 0.2),
        (
            QKV,
            "        mixed = torch.cat([x[..., : C // 2], F.pad(x[..., C // 2 :], (0, 0, 1, -1))], dim=-1)\n"
            "        q, k, v = self.query(x), self.key(mixed), self.value(mixed)\n",
        ),
    ),
    idea(
        "convolution",
        "add the three previous tokens to the input of attention, weighted by channel (Canon)",
        (0.35, 0.35),
        (OUT, f"{OUT}        self.taps = nn.Parameter(torch.zeros(3, WIDTH))\n"),
        (
            QKV,
            "        x = x + sum(F.pad(x, (0, 0, i, -i)) * tap.to(x.dtype) for i, tap in enumerate(self.taps, 1))\n"
            f"{QKV}",
        ),
    ),
    idea(
        "multi-query",
        "share one key and value head among all query heads (multi-query attention)",
        (0.05, 0.01),
        ("self.key = Linear(WIDTH, WIDTH)", "self.key = Linear(WIDTH, HEAD_DIM)"),
        ("self.value = Linear(WIDTH, WIDTH)", "self.value = Linear(WIDTH, HEAD_DIM)"),
        ("nn.Embedding(vocab_size, WIDTH) for layer", "nn.Embedding(vocab_size, HEAD_DIM) for layer"),
        ("z.view(B, T, C // HEAD_DIM, HEAD_DIM)", "z.view(B, T, -1, HEAD_DIM)"),
        (
            "        q, k = rotate(q, cos, sin), rotate(k, cos, sin)\n",
            "        q, k, v = rotate(q, cos, sin), rotate(k, cos, sin).expand_as(q), v.expand_as(q)\n",
        ),
    ),
    idea(
        "differential-attention",
        "split each head in two and subtract 0.3 of the second half's attention (differential)",
        (0.05, 0.05),
        (
            "        y = attend(q, k, v, mask)\n",
            "        (q1, q2), (k1, k2) = ((z[..., ::2].contiguous(), z[..., 1::2].contiguous()) for z in (q, k))\n"
            "        y = attend(q1, k1, v, mask) - 0.3 * attend(q2, k2, v, mask)\n",
        ),
    ),
    idea(
        "partial-rotary",
        "rotate only the faster half of the channels of queries and keys",
        (0.15, 0.25),
        (
            "    angles = torch.outer(",
            "    frequencies[HEAD_DIM // 4 :] = 0  # the other half of the channels is not rotated\n"
            "    angles = torch.outer(",
        ),
    ),
    idea(
        "no-rotary-in-long-blocks",
        "leave out the rotary embedding in blocks without a window",
        (0.1, 0.15),
        (
            "        q, k = rotate(q, cos, sin), rotate(k, cos, sin)\n",
            "        if mask is not None:\n            q, k = rotate(q, cos, sin), rotate(k, cos, sin)\n",
        ),
        ("cos, sin, mask):\n        B, T", "cos, sin, mask):\n        B, T"),
    ),
    idea(
        "halved-windows-early",
        "halve the short window in the first half of the blocks",
        (0.1, 0.15),
        (
            "def has_value_embedding(",
            "def window_of(layer):\n    return SHORT_WINDOW // 2 if layer < DEPTH // 2 else SHORT_WINDOW\n\n\n"
            "def has_value_embedding(",
        ),
        (
            "        self.short_mask = window_mask(SHORT_WINDOW)\n",
            "        self.masks = [window_mask(window_of(layer)) if is_short(layer) else None "
            "for layer in range(DEPTH)]\n",
        ),
        ("self.short_mask if is_short(layer) else None)", "self.masks[layer])"),
        ("sum(SHORT_WINDOW if", "sum(window_of(layer) if"),
    ),
    idea(
        "windows-by-head",
        "let the short windows shrink from head to head: to a half, a third, ...",
        (0.15, 0.15),
        ("(query - key < window)", "((query - key) * (1 + head) < window)"),
        ("create_block_mask(sees, None, None, ", "create_block_mask(sees, None, WIDTH // HEAD_DIM, "),
        (
            "    return sees(None, None, positions[:, None], positions)\n",
            "    heads = torch.arange(WIDTH // HEAD_DIM, device=DEVICE)[:, None, None]\n"
            "    return sees(None, heads, positions[:, None], positions)\n",
        ),
    ),
    idea(
        "windows-see-the-first",
        "let the short windows also see the first token of the row (attention sink)",
        (0.1, 0.1),
        ("tokens before it.\n", "tokens before it, and the first of the row.\n"),
        ("(query - key < window)", "((query - key < window) | (key == 0))"),
    ),
)
