"""
Trains a GPT for the time budget and prints its val_bpb. The one file that an experiment edits: architecture, optimizer,
hyperparameters, anything, as long as it runs.

    uv run train.py    (SEED, PROFILE and TIME_BUDGET come from the environment)
"""

import ctypes
import math
import os
import resource
import sys
import time

import torch
import torch.nn as nn
import torch.nn.functional as F

from prepare import MAX_SEQ_LEN, PROFILE, TIME_BUDGET, Clock, Tokenizer, best_device, evaluate_bpb, make_dataloader

STARTED = time.time()
DEVICE = best_device()
SMALL = PROFILE == "small"

# ---------------------------------------------------------------------------
# Hyperparameters. Where the profiles differ, the first value is that of `small`, the second that of `full`.
# ---------------------------------------------------------------------------

# Model
DEPTH = 2 if SMALL else 8  # transformer blocks
WIDTH = 64 if SMALL else 512  # channels of the residual stream, a multiple of HEAD_DIM
HEAD_DIM = 32 if SMALL else 128  # channels of an attention head
MLP_RATIO = 4  # hidden channels of the MLP / WIDTH
WINDOW_PATTERN = "SL" if SMALL else "SSSL"  # attention by block, repeated: S sees SHORT_WINDOW, L everything
SHORT_WINDOW = 128 if SMALL else 1024  # tokens
ROPE_BASE = 10000  # the slowest rotary channel turns by one radian in so many tokens
SOFTCAP = 15  # logits differ by less than twice this
X0_LAMBDA = 0.1  # initial weight of the embedding that each block gets added to its input
EMBEDDING_INIT = 1.0  # standard deviation
VALUE_INIT = 0.1  # standard deviation, value embeddings
UNEMBEDDING_INIT = 0.001  # standard deviation
MATRIX_INIT = 1.0  # standard deviation x sqrt(WIDTH); the matrices that write to the residual stream start at zero

# Optimization
TOTAL_BATCH_SIZE = 2**11 if SMALL else 2**19  # tokens a step
DEVICE_BATCH_SIZE = 8 if SMALL else 128  # rows a forward pass, at most; gradients are accumulated over the passes
EMBEDDING_LR = 0.6  # AdamW, token and value embeddings
UNEMBEDDING_LR = 0.015 if SMALL else 0.004  # AdamW
SCALAR_LR = 0.01  # AdamW, x0 lambdas
MATRIX_LR = 0.04  # Muon
ADAM_BETAS = (0.8, 0.95)  # decay of the mean and of the mean square of a gradient, a step
MOMENTUM = 0.95  # Muon, Nesterov
NEWTON_SCHULZ_STEPS = 5  # Muon, iterations of the orthogonalization
WEIGHT_DECAY = 0.1  # Muon, times the learning rate
ADAM_WEIGHT_DECAY = 0.001  # AdamW, times the learning rate
WARMUP_RATIO = 0.0  # share of the budget
WARMDOWN_RATIO = 0.5  # share of the budget
FINAL_LR_FRAC = 0.0  # of the learning rate, at the end of the warm-down

# ---------------------------------------------------------------------------
# Model
# ---------------------------------------------------------------------------


def norm(x):
    return F.rms_norm(x, (x.size(-1),))


def rotate(x, cos, sin):
    """Rotary position embedding of x (B, heads, T, HEAD_DIM), given cos and sin (T, HEAD_DIM / 2)."""
    x1, x2 = x.chunk(2, dim=-1)
    return torch.cat([x1 * cos + x2 * sin, x2 * cos - x1 * sin], dim=-1)


def rotary_angles():
    """Cosines and sines of the angles by position and channel, (T, HEAD_DIM / 2) each."""
    frequencies = ROPE_BASE ** -torch.linspace(0, 1, HEAD_DIM // 2)
    angles = torch.outer(torch.arange(MAX_SEQ_LEN), frequencies)
    return angles.cos(), angles.sin()


def window_mask(window):
    """(T, T), true where a query (row) sees a key (column): itself and the window - 1 tokens before it."""
    return torch.ones(MAX_SEQ_LEN, MAX_SEQ_LEN, dtype=torch.bool).tril().triu(1 - window)


def is_short(layer):
    return WINDOW_PATTERN[layer % len(WINDOW_PATTERN)] == "S" and layer < DEPTH - 1  # the last block sees everything


def has_value_embedding(layer):
    return layer % 2 == (DEPTH - 1) % 2  # every other block, the last one among them


class Attention(nn.Module):
    def __init__(self):
        super().__init__()
        self.query = nn.Linear(WIDTH, WIDTH, bias=False)
        self.key = nn.Linear(WIDTH, WIDTH, bias=False)
        self.value = nn.Linear(WIDTH, WIDTH, bias=False)
        self.out = nn.Linear(WIDTH, WIDTH, bias=False)

    def forward(self, x, value_embedding, cos, sin, mask):
        B, T, C = x.shape
        q, k, v = self.query(x), self.key(x), self.value(x)
        if value_embedding is not None:
            v = v + value_embedding
        q, k, v = (z.view(B, T, C // HEAD_DIM, HEAD_DIM).transpose(1, 2) for z in (q, k, v))
        q, k = rotate(q, cos, sin), rotate(k, cos, sin)
        q, k = norm(q), norm(k)
        y = F.scaled_dot_product_attention(q, k, v, attn_mask=mask, is_causal=mask is None)
        return self.out(y.transpose(1, 2).reshape(B, T, C))


class MLP(nn.Module):
    def __init__(self):
        super().__init__()
        self.up = nn.Linear(WIDTH, MLP_RATIO * WIDTH, bias=False)
        self.down = nn.Linear(MLP_RATIO * WIDTH, WIDTH, bias=False)

    def forward(self, x):
        x = self.up(x)
        x = F.relu(x).square()
        return self.down(x)


class Block(nn.Module):
    def __init__(self):
        super().__init__()
        self.attention = Attention()
        self.mlp = MLP()

    def forward(self, x, value_embedding, cos, sin, mask):
        x = x + self.attention(norm(x), value_embedding, cos, sin, mask)
        x = x + self.mlp(norm(x))
        return x


class GPT(nn.Module):
    def __init__(self, vocab_size):
        super().__init__()
        self.embedding = nn.Embedding(vocab_size, WIDTH)
        self.value_embeddings = nn.ModuleDict(
            {str(layer): nn.Embedding(vocab_size, WIDTH) for layer in range(DEPTH) if has_value_embedding(layer)}
        )
        self.x0_lambdas = nn.Parameter(torch.empty(DEPTH))
        self.blocks = nn.ModuleList(Block() for _ in range(DEPTH))
        self.unembedding = nn.Linear(WIDTH, vocab_size, bias=False)
        self.cos, self.sin = (angles.to(DEVICE) for angles in rotary_angles())
        self.short_mask = window_mask(SHORT_WINDOW).to(DEVICE)
        self.init_weights()

    @torch.no_grad()
    def init_weights(self):
        nn.init.normal_(self.embedding.weight, std=EMBEDDING_INIT)
        nn.init.normal_(self.unembedding.weight, std=UNEMBEDDING_INIT)
        for embedding in self.value_embeddings.values():
            nn.init.normal_(embedding.weight, std=VALUE_INIT)
        self.x0_lambdas.fill_(X0_LAMBDA)
        for block in self.blocks:
            for linear in (block.attention.query, block.attention.key, block.attention.value, block.mlp.up):
                nn.init.normal_(linear.weight, std=MATRIX_INIT * WIDTH**-0.5)
            for linear in (block.attention.out, block.mlp.down):
                nn.init.zeros_(linear.weight)

    def forward(self, tokens):
        """Logits (B, T, vocabulary) of the token that follows each of tokens (B, T)."""
        x = self.embedding(tokens)
        x = norm(x)
        x0 = x
        for layer, block in enumerate(self.blocks):
            x = x + self.x0_lambdas[layer] * x0
            value_embedding = self.value_embeddings[str(layer)](tokens) if has_value_embedding(layer) else None
            x = block(x, value_embedding, self.cos, self.sin, self.short_mask if is_short(layer) else None)
        x = norm(x)
        logits = self.unembedding(x)
        # The same as SOFTCAP * tanh(logits / SOFTCAP), but for a constant, which softmax ignores: on a CPU torch's tanh
        # takes nine times as long as its sigmoid, 7 % of a step.
        logits = 2 * SOFTCAP * torch.sigmoid(logits * (2 / SOFTCAP))
        return logits

    def flops_per_token(self):
        """Forward and backward: 6 for each weight of a matrix, 12 for each channel of each key in attention."""
        weights = sum(p.numel() for p in self.blocks.parameters()) + self.unembedding.weight.numel()
        keys = sum(SHORT_WINDOW if is_short(layer) else MAX_SEQ_LEN for layer in range(DEPTH))
        return 6 * weights + 12 * WIDTH * keys


# ---------------------------------------------------------------------------
# Optimizers: Muon for the matrices of the blocks, AdamW for everything else. Plain classes, because the first use of
# torch.optim imports torch.compile's machinery: two seconds, a tenth of a short budget.
# ---------------------------------------------------------------------------


class AdamW:
    def __init__(self, parameters, lr):
        self.parameters = list(parameters)
        self.lr = lr
        self.steps = 0
        self.means = [torch.zeros_like(parameter) for parameter in self.parameters]
        self.squares = [torch.zeros_like(parameter) for parameter in self.parameters]

    @torch.no_grad()
    def step(self, multiplier):
        lr = self.lr * multiplier
        self.steps += 1
        beta1, beta2 = ADAM_BETAS
        for parameter, mean, square in zip(self.parameters, self.means, self.squares):
            mean.lerp_(parameter.grad, 1 - beta1)
            square.lerp_(parameter.grad.square(), 1 - beta2)
            scale = (square / (1 - beta2**self.steps)).sqrt_().add_(1e-10)
            parameter.mul_(1 - lr * ADAM_WEIGHT_DECAY)
            parameter.addcdiv_(mean, scale, value=-lr / (1 - beta1**self.steps))


class Muon:
    """Nesterov momentum, orthogonalized. The matrices are of one shape: they are stacked and done in one go."""

    def __init__(self, matrices, lr):
        self.matrices = list(matrices)
        self.lr = lr
        self.mean = torch.zeros_like(torch.stack(self.matrices))

    @torch.no_grad()
    def step(self, multiplier):
        lr = self.lr * multiplier
        gradient = torch.stack([matrix.grad for matrix in self.matrices])
        self.mean.lerp_(gradient, 1 - MOMENTUM)
        update = orthogonalize(gradient.lerp(self.mean, MOMENTUM))
        update *= max(1, update.size(1) / update.size(2)) ** 0.5
        for matrix, change in zip(self.matrices, update):
            matrix.mul_(1 - lr * WEIGHT_DECAY)
            matrix.sub_(change, alpha=lr)


def orthogonalize(matrices):
    """Matrices (n, rows, columns) with all singular values brought to about 1 by a quintic Newton-Schulz iteration."""
    x = matrices if matrices.size(1) <= matrices.size(2) else matrices.mT
    x = x / (x.norm(dim=(1, 2), keepdim=True) + 1e-7)
    for _ in range(NEWTON_SCHULZ_STEPS):
        a = x @ x.mT
        x = 3.4445 * x + (2.0315 * a @ a - 4.7750 * a) @ x
    return x if matrices.size(1) <= matrices.size(2) else x.mT


def make_optimizers(model):
    matrices = list(model.blocks.parameters())
    shapes = sorted({matrix.shape for matrix in matrices})
    return [
        AdamW([model.embedding.weight, *model.value_embeddings.parameters()], EMBEDDING_LR),
        AdamW([model.unembedding.weight], UNEMBEDDING_LR),
        AdamW([model.x0_lambdas], SCALAR_LR),
        *(Muon([matrix for matrix in matrices if matrix.shape == shape], MATRIX_LR) for shape in shapes),
    ]


def lr_multiplier(progress):
    """The factor of all learning rates when this share of the budget is used."""
    if progress < WARMUP_RATIO:
        return progress / WARMUP_RATIO
    if progress > 1 - WARMDOWN_RATIO:
        return FINAL_LR_FRAC + (1 - FINAL_LR_FRAC) * (1 - progress) / WARMDOWN_RATIO
    return 1.0


# ---------------------------------------------------------------------------
# Set-up
# ---------------------------------------------------------------------------

torch.manual_seed(int(os.environ.get("SEED") or 42))
if DEVICE == "cpu":
    # Two threads gain a factor of 1.3 on a quiet machine and lose one of 20 on a busy one; the clock counts both.
    torch.set_num_threads(1)
if sys.platform == "linux":
    # Freed memory is kept for the next step instead of being given back and faulted in again: a seventh of the time.
    ctypes.CDLL(None).mallopt(-3, 2**25)  # M_MMAP_THRESHOLD
    ctypes.CDLL(None).mallopt(-1, 2**30)  # M_TRIM_THRESHOLD

tokenizer = Tokenizer.from_directory()
model = GPT(tokenizer.get_vocab_size()).to(DEVICE)
optimizers = make_optimizers(model)

rows = min(DEVICE_BATCH_SIZE, TOTAL_BATCH_SIZE // MAX_SEQ_LEN)  # of a forward pass
passes = TOTAL_BATCH_SIZE // (rows * MAX_SEQ_LEN)
tokens_per_step = passes * rows * MAX_SEQ_LEN
batches = make_dataloader(tokenizer, rows, MAX_SEQ_LEN, "train")


def training_loss(x, y):
    return F.cross_entropy(model(x).flatten(0, 1), y.flatten())


# Whatever is done once (memory, compiled code) is done on a dummy batch, before the clock starts.
dummy = torch.zeros(rows, MAX_SEQ_LEN, dtype=torch.long, device=DEVICE)
training_loss(dummy, dummy).backward()
model.zero_grad()

# ---------------------------------------------------------------------------
# Training
# ---------------------------------------------------------------------------

clock = Clock()
step = 0
while (progress := clock.progress()) < 1:
    loss = 0.0
    for _ in range(passes):
        x, y, epoch = next(batches)
        pass_loss = training_loss(x, y) / passes
        pass_loss.backward()
        loss += pass_loss.item()
    step += 1
    if not math.isfinite(loss):
        print(f"\nFAIL: training loss is {loss} at step {step}", flush=True)
        sys.exit(1)
    multiplier = lr_multiplier(progress)
    for optimizer in optimizers:
        optimizer.step(multiplier)
    model.zero_grad()
    print(
        f"\rstep {step:05d} ({100 * progress:.1f}%) | loss: {loss:.6f} | lrm: {multiplier:.2f}"
        f" | tok/sec: {(step - 1) * tokens_per_step / max(clock.seconds, 1e-9):,.0f} | epoch: {epoch}"
        f" | remaining: {TIME_BUDGET - clock.seconds:.0f}s    ",
        end="",
        flush=True,
    )
print()

val_bpb = evaluate_bpb(model, tokenizer, DEVICE_BATCH_SIZE)

# ---------------------------------------------------------------------------
# Summary
# ---------------------------------------------------------------------------


def matmul_rate():
    """FLOP a second of a large matrix product on this device: the 100 % of mfu_percent."""
    n, times = (512, 10) if DEVICE == "cpu" else (8192, 10)
    a = torch.randn(n, n, device=DEVICE)
    a @ a
    clock = Clock()
    clock.progress()
    for _ in range(times):
        a @ a
    clock.progress()
    return times * 2 * n**3 / clock.seconds


tokens = step * tokens_per_step
mfu = tokens * model.flops_per_token() / clock.seconds / matmul_rate()
peak_memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024)  # bytes
if DEVICE == "cuda":
    peak_memory = torch.cuda.max_memory_allocated()

print("---")
print(f"val_bpb:          {val_bpb:.6f}")
print(f"training_seconds: {clock.seconds:.1f}")
print(f"total_seconds:    {time.time() - STARTED:.1f}")
print(f"peak_vram_mb:     {peak_memory / 2**20:.1f}")
print(f"mfu_percent:      {100 * mfu:.2f}")
print(f"total_tokens_M:   {tokens / 1e6:.2f}")
print(f"num_steps:        {step}")
print(f"num_params_M:     {sum(p.numel() for p in model.parameters()) / 1e6:.2f}")
print(f"depth:            {DEPTH}")
