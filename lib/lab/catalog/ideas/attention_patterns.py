"""Ideas: attention patterns."""

from functools import partial

from lab.catalog.ideas.snippets import LAYER_FOR_BLOCK, OUT, QKV, RETURN, ZEROS, attention_matrix, hyperparameter
from lab.catalog.structure import Idea

idea = partial(Idea, "attention patterns")

IDEAS = (
    idea(
        name="sharper-attention",
        chance=0.3,
        description="sharpen attention: queries times a gain of 1.5",
        snippets=(
            *hyperparameter("QK_GAIN = 1.5 if SMALL else 1.3  # queries are multiplied by it, after their norm"),
            ("y = attend(q, ", "y = attend(QK_GAIN * q, "),
        ),
    ),
    idea(
        name="learned-sharpness",
        chance=0.2,
        description="let each token set how sharp each of its heads' attention is (twice a sigmoid)",
        snippets=(
            *attention_matrix("sharpness", "WIDTH // HEAD_DIM"),
            (
                "        q, k = norm(q), norm(k)\n",
                "        q, k = norm(q), norm(k)\n"
                "        q = q * 2 * torch.sigmoid(self.sharpness(x)).mT.unsqueeze(-1)\n",
            ),
        ),
    ),
    idea(
        name="head-gates",
        chance=0.15,
        chance_full=0.2,
        description="gate each attention head by a sigmoid of the block's input",
        snippets=(
            *attention_matrix("head_gate", "WIDTH // HEAD_DIM"),
            (RETURN, f"        y = y * 2 * torch.sigmoid(self.head_gate(x)).mT.unsqueeze(-1)\n{RETURN}"),
        ),
    ),
    idea(
        name="channel-gates",
        chance=0.15,
        chance_full=0.1,
        description="gate each channel of attention's output by a sigmoid of the block's input",
        snippets=(
            *attention_matrix("channel_gate", "WIDTH"),
            (
                f"{RETURN}.reshape(B, T, C))\n",
                "        y = y.transpose(1, 2).reshape(B, T, C)\n"
                "        return self.out(y * 2 * torch.sigmoid(self.channel_gate(x)))\n",
            ),
        ),
    ),
    idea(
        name="gated-value-embeddings",
        chance=0.25,
        chance_full=0.4,
        description="gate the value embedding of each head by a sigmoid of the block's input",
        snippets=(
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
    ),
    idea(
        name="value-embedding-everywhere",
        chance=0.15,
        chance_full=0.3,
        description="give every block a value embedding",
        snippets=(
            (
                "    return layer % 2 == (DEPTH - 1) % 2  # every other block, the last one among them\n",
                "    return True  # every block\n",
            ),
        ),
    ),
    idea(
        name="value-residual",
        chance=0.15,
        chance_full=0.2,
        description="add the values of the first block to those of all (value residual)",
        snippets=(
            ("        x0 = x\n", "        x0 = x\n        first = self.blocks[0].attention.value(x0)\n"),
            (
                "self.value_embeddings[str(layer)](tokens) if has_value_embedding(layer) else None\n",
                "self.value_embeddings[str(layer)](tokens) + first if has_value_embedding(layer) else first\n",
            ),
        ),
    ),
    idea(
        name="key-shift",
        chance=0.2,
        description="take half of the channels that keys and values are made of from the token before",
        snippets=(
            (
                QKV,
                "        mixed = torch.cat([x[..., : C // 2], F.pad(x[..., C // 2 :], (0, 0, 1, -1))], dim=-1)\n"
                "        q, k, v = self.query(x), self.key(mixed), self.value(mixed)\n",
            ),
        ),
    ),
    idea(
        name="convolution",
        chance=0.35,
        description="add the three tokens before to the input of attention, weighted by channel (Canon)",
        snippets=(
            (OUT, f"{OUT}        self.taps = nn.Parameter(torch.zeros(3, WIDTH))\n"),
            (
                QKV,
                "        x = x + sum(F.pad(x, (0, 0, i, -i)) * tap.to(x.dtype) for i, tap in enumerate(self.taps, 1))\n"
                f"{QKV}",
            ),
        ),
    ),
    idea(
        name="multi-query",
        chance=0.05,
        chance_full=0.01,
        description="share one key and value head among all query heads (multi-query attention)",
        snippets=(
            ("self.key = Linear(WIDTH, WIDTH)", "self.key = Linear(WIDTH, HEAD_DIM)"),
            ("self.value = Linear(WIDTH, WIDTH)", "self.value = Linear(WIDTH, HEAD_DIM)"),
            ("nn.Embedding(vocab_size, WIDTH) for layer", "nn.Embedding(vocab_size, HEAD_DIM) for layer"),
            ("z.view(B, T, C // HEAD_DIM, HEAD_DIM)", "z.view(B, T, -1, HEAD_DIM)"),
            (
                "        q, k = rotate(q, cos, sin), rotate(k, cos, sin)\n",
                "        q, k, v = rotate(q, cos, sin), rotate(k, cos, sin).expand_as(q), v.expand_as(q)\n",
            ),
        ),
    ),
    idea(
        name="differential-attention",
        chance=0.05,
        description="split each head in two and subtract 0.3 of what the second attends to (differential)",
        snippets=(
            (
                "        y = attend(q, k, v, mask)\n",
                "        (q1, q2), (k1, k2) = ((z[..., ::2].contiguous(), z[..., 1::2].contiguous()) for z in (q, k))\n"
                "        y = attend(q1, k1, v, mask) - 0.3 * attend(q2, k2, v, mask)\n",
            ),
        ),
    ),
    idea(
        name="partial-rotary",
        chance=0.15,
        chance_full=0.25,
        description="rotate only half of the channels of queries and keys, the fast ones",
        snippets=(
            (
                "    angles = torch.outer(",
                "    frequencies[HEAD_DIM // 4 :] = 0  # the other half of the channels does not turn\n"
                "    angles = torch.outer(",
            ),
        ),
    ),
    idea(
        name="no-rotary-in-long-blocks",
        chance=0.1,
        chance_full=0.15,
        description="leave the rotary embedding out of the blocks that see everything",
        snippets=(
            (
                "        q, k = rotate(q, cos, sin), rotate(k, cos, sin)\n",
                "        if mask is not None:\n            q, k = rotate(q, cos, sin), rotate(k, cos, sin)\n",
            ),
            ("cos, sin, mask):\n        B, T", "cos, sin, mask):\n        B, T"),
        ),
    ),
    idea(
        name="halved-windows-early",
        chance=0.1,
        chance_full=0.15,
        description="halve the short window in the first half of the blocks",
        snippets=(
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
    ),
    idea(
        name="windows-by-head",
        chance=0.15,
        description="let the short windows shrink from head to head: to a half, a third, ...",
        snippets=(
            ("(query - key < window)", "((query - key) * (1 + head) < window)"),
            ("create_block_mask(sees, None, None, ", "create_block_mask(sees, None, WIDTH // HEAD_DIM, "),
            (
                "    return sees(None, None, positions[:, None], positions)\n",
                "    heads = torch.arange(WIDTH // HEAD_DIM, device=DEVICE)[:, None, None]\n"
                "    return sees(None, heads, positions[:, None], positions)\n",
            ),
        ),
    ),
    idea(
        name="windows-see-the-first",
        chance=0.1,
        description="let the short windows see the first token of the row, too (attention sink)",
        snippets=(
            ("tokens before it.\n", "tokens before it, and the first of the row.\n"),
            ("(query - key < window)", "((query - key < window) | (key == 0))"),
        ),
    ),
)
