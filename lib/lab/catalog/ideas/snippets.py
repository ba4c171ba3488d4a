"""Snippets that several ideas share: places in train.py, and edits at several places."""

from lab.catalog.structure import Snippets

RELU = "F.relu(x).square()"
LINEAR_DECAY = "(1 - FINAL_LR_FRAC) * (1 - progress) / WARMDOWN_RATIO"
ADAMW_LR = "        lr = self.lr * multiplier\n        self.steps += 1\n        beta1"
MUON_SIZE = "        update *= max(1, update.size(1) / update.size(2)) ** 0.5\n"
OUT = "        self.out = Linear(WIDTH, WIDTH)\n"
QKV = "        q, k, v = self.query(x), self.key(x), self.value(x)\n"
ZEROS = "block.attention.out, block.mlp.down):\n"
RETURN = "        return self.out(y.transpose(1, 2)"
EMBEDDED = "        x = self.embedding(tokens).to(DTYPE)\n"
X0 = "        x0 = x\n"
X0_LAMBDAS = "        self.x0_lambdas = nn.Parameter(torch.empty(DEPTH))\n"
X0_ADDED = "            x = x + self.x0_lambdas[layer] * x0\n"
X0_ADAMW = "        AdamW([model.x0_lambdas], SCALAR_LR, 0),\n"
LOSS = "    return F.cross_entropy(model(x).flatten(0, 1), y.flatten())\n"
LAST_NORM = "        x = norm(x)\n        logits = "

LAYER_FOR_BLOCK: Snippets = (
    ("class Block(nn.Module):\n    def __init__(self):\n", "class Block(nn.Module):\n    def __init__(self, layer):\n"),
    ("Block() for _ in range(DEPTH)", "Block(layer) for layer in range(DEPTH)"),
)


def hyperparameter(line: str) -> Snippets:
    """Add a hyperparameter of the model."""
    return (("\n# Optimization\n", f"{line}\n\n# Optimization\n"),)


def vector(name: str, value: str) -> Snippets:
    """Add a parameter of the model that is not a matrix, with a rate for weights of about 1 (not SCALAR_LR)."""
    return (
        (X0_LAMBDAS, f"{X0_LAMBDAS}        self.{name} = nn.Parameter({value})\n"),
        (X0_ADAMW, f"        AdamW([model.{name}], 0.01, 0),\n{X0_ADAMW}"),
    )


def table(name: str, rows: str) -> Snippets:
    """Add an embedding that is trained like the token embedding, but starts at 0."""
    normal = "        nn.init.normal_(self.unembedding.weight"
    return (
        (X0_LAMBDAS, f"        self.{name} = nn.Embedding({rows}, WIDTH)\n{X0_LAMBDAS}"),
        (normal, f"        nn.init.zeros_(self.{name}.weight)\n{normal}"),
        (X0_ADAMW, f"        AdamW([model.{name}.weight], EMBEDDING_LR, EMBEDDING_WEIGHT_DECAY),\n{X0_ADAMW}"),
    )


def attention_matrix(name: str, outputs: str) -> Snippets:
    """Add a matrix, starting at 0, that reads the input of attention."""
    return (
        (OUT, f"{OUT}        self.{name} = Linear(WIDTH, {outputs})\n"),
        (ZEROS, f"block.attention.{name}, {ZEROS}"),
    )


def gated_by(function: str) -> Snippets:
    """Gate half of the MLP's channels by the other half."""
    return (
        ("        self.down = Linear(MLP_RATIO * WIDTH, ", "        self.down = Linear(MLP_RATIO * WIDTH // 2, "),
        ("        x = self.up(x)\n", "        x, gate = self.up(x).chunk(2, dim=-1)\n"),
        (RELU, f"x * {function}"),
    )


def batches(passes: str) -> Snippets:
    """Vary the number of passes over the run, and count the tokens as they are used."""
    return (
        (' tokens a step")', ' tokens a step in the middle of the run")'),
        ("tokens_per_step = passes * rows * MAX_SEQ_LEN\n", ""),
        ("clock = Clock()\nstep = 0\n", "clock = Clock()\nstep = tokens = 0\n"),
        (
            "    for _ in range(passes):\n        pass_loss = training_loss(x, y) / passes\n",
            f"    passes_now = {passes}\n"
            "    for _ in range(passes_now):\n        pass_loss = training_loss(x, y) / passes_now\n",
        ),
        ("(step - 1) * tokens_per_step / max", "tokens / max"),
        ("    )\nprint()\n", "    )\n    tokens += passes_now * rows * MAX_SEQ_LEN\nprint()\n"),
        ("tokens = step * tokens_per_step\n", ""),
    )
