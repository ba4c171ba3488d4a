"""
Train a GPT for the time budget and print its val_bpb. An experiment edits only this file: architecture, optimizer,
hyperparameters, anything that runs.

    uv run train.py    (SEED, PROFILE and TIME_BUDGET come from the environment)
"""

import ctypes
import gc
import math
import os
import resource
import sys
import time

os.environ.setdefault("PYTORCH_ALLOC_CONF", "expandable_segments:True")  # avoids fragmentation of a GPU's memory

import torch
import torch.nn as nn
import torch.nn.functional as F

from prepare import MAX_SEQ_LEN, PROFILE, TIME_BUDGET, Clock, Tokenizer, best_device, evaluate_bpb, make_dataloader

STARTED = time.time()
DEVICE = best_device()
SMALL = PROFILE == "small"
COMPILED = DEVICE == "cuda"  # on a CPU torch.compile takes longer than a short budget; MPS is untested
if COMPILED:  # takes two seconds
    from torch.nn.attention.flex_attention import create_block_mask, flex_attention
# The type of activations; weights are float32. GPUs before Ampere have no bfloat16.
DTYPE = torch.bfloat16 if DEVICE == "cuda" and torch.cuda.is_bf16_supported(False) else torch.float32

# ---------------------------------------------------------------------------
# Hyperparameters. If the profiles differ, the first value is for `small` and the second for `full`. The values for
# `full` are the result of 126 published experiments on an H100 (docs/log.md).
# ---------------------------------------------------------------------------

# Model
DEPTH = 2 if SMALL else 9  # transformer blocks
WIDTH = 64 if SMALL else 640  # channels of the residual stream, a multiple of HEAD_DIM
HEAD_DIM = 32 if SMALL else 128  # channels of an attention head
MLP_RATIO = 4  # hidden channels of the MLP / WIDTH
WINDOW_PATTERN = "SL" if SMALL else "SSSSL"  # attention by block, repeated: S sees SHORT_WINDOW, L everything
SHORT_WINDOW = 128 if SMALL else 256  # tokens
ROPE_BASE = 10000 if SMALL else 200000  # the slowest rotary channel turns by one radian in this many tokens
SOFTCAP = 15  # logits differ by less than twice this
X0_LAMBDA = 0.1 if SMALL else 0.05  # initial weight of the embedding in each block's input
EMBEDDING_INIT = 1.0  # standard deviation
VALUE_INIT = 0.1 if SMALL else 0.027  # standard deviation, value embeddings
UNEMBEDDING_INIT = 0.001  # standard deviation
MATRIX_INIT = 1.0 if SMALL else 0.68  # standard deviation x sqrt(WIDTH); weights into the residual stream start at 0

# Optimization
TOTAL_BATCH_SIZE = 2**11 if SMALL else 2**18  # tokens per step
DEVICE_BATCH_SIZE = 8 if SMALL else 128  # most rows in a forward pass; gradients are accumulated over passes
EMBEDDING_LR = 0.6 if SMALL else 0.99  # AdamW, token and value embeddings
UNEMBEDDING_LR = 0.015 if SMALL else 0.0055  # AdamW
SCALAR_LR = 0.01 if SMALL else 0.5  # AdamW, x0 lambdas
MATRIX_LR = 0.04  # Muon
ADAM_BETAS = (0.8, 0.95)  # decay of the mean and of the mean square of a gradient, per step
MOMENTUM = 0.95  # Muon, Nesterov
MOMENTUM_START = 0.85  # Muon, momentum at the first step
MOMENTUM_WARMUP = 100 if SMALL else 200  # Muon, steps until MOMENTUM is reached
NEURON_MOMENTUM = 0.95  # Muon, decay of the mean square that scales each neuron's updates
NEWTON_SCHULZ_STEPS = 5  # Muon, iterations of the orthogonalization
WEIGHT_DECAY = 0.2  # Muon, times the learning rate; falls to 0; only where the update shrinks the weight too
EMBEDDING_WEIGHT_DECAY = 0.001  # AdamW, times the learning rate
VALUE_WEIGHT_DECAY = 0.001 if SMALL else 0.003  # AdamW, times the learning rate
UNEMBEDDING_WEIGHT_DECAY = 0.001 if SMALL else 0.01  # AdamW, times the learning rate
WARMUP_RATIO = 0.0  # share of the budget
WARMDOWN_RATIO = 0.5 if SMALL else 0.75  # share of the budget
FINAL_LR_FRAC = 0.0 if SMALL else 0.05  # share of the learning rate at the end of the warm-down

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
    """The keys that a query sees: its own and those of the window - 1 tokens before it.

    Compiled, a block mask, so that keys outside of the window are not computed; else (T, T) booleans, query by key.
    """

    def sees(batch, head, query, key):
        return (key <= query) & (query - key < window)

    if COMPILED:
        return create_block_mask(sees, None, None, MAX_SEQ_LEN, MAX_SEQ_LEN, device=DEVICE)
    positions = torch.arange(MAX_SEQ_LEN, device=DEVICE)
    return sees(None, None, positions[:, None], positions)


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


def has_value_embedding(layer):
    return layer % 2 == (DEPTH - 1) % 2  # every other block, including the last


class Linear(nn.Linear):
    """A linear layer without a bias. The weight is converted to the type of the input."""

    def __init__(self, inputs, outputs):
        super().__init__(inputs, outputs, bias=False)

    def forward(self, x):
        return F.linear(x, self.weight.to(x.dtype))


class Attention(nn.Module):
    def __init__(self):
        super().__init__()
        self.query = Linear(WIDTH, WIDTH)
        self.key = Linear(WIDTH, WIDTH)
        self.value = Linear(WIDTH, WIDTH)
        self.out = Linear(WIDTH, WIDTH)

    def forward(self, x, value_embedding, cos, sin, mask):
        B, T, C = x.shape
        q, k, v = self.query(x), self.key(x), self.value(x)
        if value_embedding is not None:
            v = v + value_embedding.to(v.dtype)
        q, k, v = (z.view(B, T, C // HEAD_DIM, HEAD_DIM).transpose(1, 2) for z in (q, k, v))
        q, k = rotate(q, cos, sin), rotate(k, cos, sin)
        q, k = norm(q), norm(k)
        y = attend(q, k, v, mask)
        return self.out(y.transpose(1, 2).reshape(B, T, C))


class MLP(nn.Module):
    def __init__(self):
        super().__init__()
        self.up = Linear(WIDTH, MLP_RATIO * WIDTH)
        self.down = Linear(MLP_RATIO * WIDTH, WIDTH)

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
        self.unembedding = Linear(WIDTH, vocab_size)
        self.cos, self.sin = (angles.to(DEVICE, DTYPE) for angles in rotary_angles())
        self.short_mask = window_mask(SHORT_WINDOW)
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
        """Logits (B, T, vocabulary) of the next token after each of tokens (B, T)."""
        x = self.embedding(tokens).to(DTYPE)
        x = norm(x)
        x0 = x
        for layer, block in enumerate(self.blocks):
            x = x + self.x0_lambdas[layer] * x0
            value_embedding = self.value_embeddings[str(layer)](tokens) if has_value_embedding(layer) else None
            x = block(x, value_embedding, self.cos, self.sin, self.short_mask if is_short(layer) else None)
        x = norm(x)
        logits = self.unembedding(x).float()
        # Equal to SOFTCAP * tanh(logits / SOFTCAP) up to a constant, which softmax ignores. On a CPU torch's tanh takes
        # nine times as long as its sigmoid, 7 % of a step.
        logits = 2 * SOFTCAP * torch.sigmoid(logits * (2 / SOFTCAP))
        return logits

    def flops_per_token(self):
        """FLOPs, forward and backward: 6 per weight of a matrix, 12 per channel of each key in attention."""
        weights = sum(p.numel() for p in self.blocks.parameters()) + self.unembedding.weight.numel()
        keys = sum(SHORT_WINDOW if is_short(layer) else MAX_SEQ_LEN for layer in range(DEPTH))
        return 6 * weights + 12 * WIDTH * keys


# ---------------------------------------------------------------------------
# Optimizers: Muon for the matrices of the blocks, AdamW for everything else. Plain classes, because the first use of
# torch.optim imports torch.compile's machinery, which takes two seconds, a tenth of a short budget.
# ---------------------------------------------------------------------------


class AdamW:
    def __init__(self, parameters, lr, weight_decay):
        self.parameters = list(parameters)
        self.lr = lr
        self.weight_decay = weight_decay
        self.steps = 0
        self.means = [torch.zeros_like(parameter) for parameter in self.parameters]
        self.squares = [torch.zeros_like(parameter) for parameter in self.parameters]

    @torch.no_grad()
    def step(self, multiplier, progress):
        lr = self.lr * multiplier
        self.steps += 1
        beta1, beta2 = ADAM_BETAS
        for parameter, mean, square in zip(self.parameters, self.means, self.squares):
            mean.lerp_(parameter.grad, 1 - beta1)
            square.lerp_(parameter.grad.square(), 1 - beta2)
            scale = (square / (1 - beta2**self.steps)).sqrt_().add_(1e-10)
            parameter.mul_(1 - lr * self.weight_decay)
            parameter.addcdiv_(mean, scale, value=-lr / (1 - beta1**self.steps))


class Muon:
    """Nesterov momentum, orthogonalized, with equal update sizes for all neurons (NorMuon).

    The matrices have one shape, so they are stacked and updated together.
    """

    def __init__(self, matrices, lr):
        self.matrices = list(matrices)
        self.lr = lr
        self.steps = 0
        self.mean = torch.zeros_like(torch.stack(self.matrices))
        self.across = 2 if self.mean.size(1) >= self.mean.size(2) else 1  # the dimension within a neuron
        self.squares = self.mean.mean(dim=self.across, keepdim=True)

    @torch.no_grad()
    def step(self, multiplier, progress):
        lr = self.lr * multiplier
        momentum = MOMENTUM - (MOMENTUM - MOMENTUM_START) * max(0, 1 - self.steps / MOMENTUM_WARMUP)
        self.steps += 1
        gradient = torch.stack([matrix.grad for matrix in self.matrices])
        self.mean.lerp_(gradient, 1 - momentum)
        update = orthogonalize(gradient.lerp(self.mean, momentum))
        length = update.norm(dim=(1, 2), keepdim=True)
        self.squares.lerp_(update.square().mean(dim=self.across, keepdim=True), 1 - NEURON_MOMENTUM)
        update /= self.squares.sqrt() + 1e-7
        update *= length / (update.norm(dim=(1, 2), keepdim=True) + 1e-7)
        update *= max(1, update.size(1) / update.size(2)) ** 0.5
        for matrix, change in zip(self.matrices, update):
            matrix.mul_(1 - lr * WEIGHT_DECAY * (1 - progress) * (change * matrix > 0))
            matrix.sub_(change, alpha=lr)


def orthogonalize(matrices):
    """Bring all singular values of matrices (n, rows, columns) to about 1 by a quintic Newton-Schulz iteration."""
    x = matrices if matrices.size(1) <= matrices.size(2) else matrices.mT
    x = (x / (x.norm(dim=(1, 2), keepdim=True) + 1e-7)).to(DTYPE)
    for _ in range(NEWTON_SCHULZ_STEPS):
        a = x @ x.mT
        x = 3.4445 * x + (2.0315 * a @ a - 4.7750 * a) @ x
    x = x.float()
    return x if matrices.size(1) <= matrices.size(2) else x.mT


def make_optimizers(model):
    matrices = list(model.blocks.parameters())
    shapes = sorted({matrix.shape for matrix in matrices})
    return [
        AdamW([model.embedding.weight], EMBEDDING_LR, EMBEDDING_WEIGHT_DECAY),
        AdamW(model.value_embeddings.parameters(), EMBEDDING_LR, VALUE_WEIGHT_DECAY),
        AdamW([model.unembedding.weight], UNEMBEDDING_LR, UNEMBEDDING_WEIGHT_DECAY),
        AdamW([model.x0_lambdas], SCALAR_LR, 0),
        *(Muon([matrix for matrix in matrices if matrix.shape == shape], MATRIX_LR) for shape in shapes),
    ]


def lr_multiplier(progress):
    """The factor of all learning rates at this share of the budget."""
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
    # Two threads are 1.3 times as fast on a quiet machine, and 20 times as slow on a busy one. The clock counts both.
    torch.set_num_threads(1)
if sys.platform == "linux":
    # Keep freed memory for the next step. Returning it and faulting it in again takes a seventh of the time.
    ctypes.CDLL(None).mallopt(-3, 2**25)  # M_MMAP_THRESHOLD
    ctypes.CDLL(None).mallopt(-1, 2**30)  # M_TRIM_THRESHOLD

torch.set_float32_matmul_precision("high")  # for a GPU or an experiment without bfloat16

tokenizer = Tokenizer.from_directory()
model = GPT(tokenizer.get_vocab_size()).to(DEVICE)
optimizers = make_optimizers(model)


def compiled(function):
    return torch.compile(function, dynamic=False) if COMPILED else function


@compiled
def training_loss(x, y):
    return F.cross_entropy(model(x).flatten(0, 1), y.flatten())


def rows_that_should_fit():
    """Rows of a forward pass: DEVICE_BATCH_SIZE, halved until they should fit into the GPU's free memory."""
    rows = min(DEVICE_BATCH_SIZE, TOTAL_BATCH_SIZE // MAX_SEQ_LEN)
    if DEVICE == "cuda":
        # Two published models took 180 and 246 KB per token; this estimates 229 and 309. Too many rows cost a minute.
        row_bytes = MAX_SEQ_LEN * (48 * DEPTH * WIDTH + 4 * tokenizer.get_vocab_size())
        while rows > 1 and rows * row_bytes > torch.cuda.mem_get_info()[0]:
            rows //= 2
    return rows


def warm_up(rows):
    """Do all one-time work (memory, compilation) before the clock starts. Returns whether the rows fit."""
    x, y = (torch.zeros(rows, MAX_SEQ_LEN, dtype=torch.long, device=DEVICE) for _ in range(2))
    try:
        training_loss(x, y).backward()  # two tensors; with one, compiled code would assume that x is always y
    except torch.OutOfMemoryError:
        if rows == 1:
            raise
        return False
    finally:
        model.zero_grad()
    return True


rows = rows_that_should_fit()
while not warm_up(rows):
    rows //= 2
    torch.cuda.empty_cache()
passes = TOTAL_BATCH_SIZE // (rows * MAX_SEQ_LEN)
tokens_per_step = passes * rows * MAX_SEQ_LEN
print(f"{DEVICE}: {passes} x {rows} rows of {MAX_SEQ_LEN} tokens a step")
batches = make_dataloader(tokenizer, rows, MAX_SEQ_LEN, "train")
x, y, epoch = next(batches)
gc.collect()
gc.disable()  # it would scan millions of objects, for half a second each time

# ---------------------------------------------------------------------------
# Training
# ---------------------------------------------------------------------------

clock = Clock()
step = 0
while (progress := clock.progress()) < 1:
    loss = 0.0
    for _ in range(passes):
        pass_loss = training_loss(x, y) / passes
        pass_loss.backward()
        loss += pass_loss.detach()
        x, y, epoch = next(batches)  # reads while the GPU works
    multiplier = lr_multiplier(progress)
    for optimizer in optimizers:
        optimizer.step(multiplier, progress)
    model.zero_grad()
    step += 1
    loss = loss.item()
    if not math.isfinite(loss):
        print(f"\nFAIL: training loss is {loss} at step {step}", flush=True)
        sys.exit(1)
    print(
        f"\rstep {step:05d} ({100 * progress:.1f}%) | loss: {loss:.6f} | lrm: {multiplier:.2f}"
        f" | tok/sec: {(step - 1) * tokens_per_step / max(clock.seconds, 1e-9):,.0f} | epoch: {epoch}"
        f" | remaining: {TIME_BUDGET - clock.seconds:.0f}s    ",
        end="",
        flush=True,
    )
print()

del optimizers, batches, x, y  # frees memory for the evaluator, another process
val_bpb = evaluate_bpb(compiled(model), tokenizer, rows)

# ---------------------------------------------------------------------------
# Summary
# ---------------------------------------------------------------------------


def matmul_rate():
    """FLOP per second of a large matrix product on this device, measured; this is 100 % of mfu_percent."""
    n, times = (512, 10) if DEVICE == "cpu" else (8192, 10)
    a = torch.randn(n, n, device=DEVICE, dtype=DTYPE)
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
