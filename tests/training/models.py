"""Small models of all kinds that a training script may have, each honest, for the evaluation to be tried on."""

import copy
from collections.abc import Callable
from pathlib import Path
from types import ModuleType

import torch
import torch.nn as nn
from torch.func import functional_call, stack_module_state, vmap
from torch.nn import functional
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn
from torch.utils.checkpoint import checkpoint

V, T, C = 1024, 256, 16
Tensor = torch.Tensor


class Base(nn.Module):
    """Logits that depend on the last token alone; `then` is what others add to that."""

    def __init__(self, then: Callable[[Tensor], Tensor] = lambda hidden: hidden) -> None:
        super().__init__()
        self.embedding, self.linear, self.out = nn.Embedding(V, C), nn.Linear(C, C), nn.Linear(C, V, bias=False)
        self.then = then

    def hidden(self, tokens: Tensor) -> Tensor:
        return functional.relu(self.linear(self.embedding(tokens)))

    def forward(self, tokens: Tensor) -> Tensor:
        logits: Tensor = self.out(self.then(self.hidden(tokens)))
        return logits


class Ensemble(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.models = nn.ModuleList(Base() for _ in range(3))

    def forward(self, tokens: Tensor) -> Tensor:
        return torch.stack([model(tokens) for model in self.models]).mean(0)


class Stacked(nn.Module):
    """An ensemble by vmap."""

    def __init__(self) -> None:
        super().__init__()
        models: list[nn.Module] = [Base() for _ in range(3)]
        self.weights, self.buffers_ = stack_module_state(models)
        self.model = [copy.deepcopy(models[0]).to("meta")]

    def forward(self, tokens: Tensor) -> Tensor:
        def one(weights: object, buffers: object) -> Tensor:
            return functional_call(self.model[0], (weights, buffers), (tokens,))  # type: ignore[arg-type,no-any-return]

        found: Tensor = vmap(one)(self.weights, self.buffers_)
        return found.mean(0)


def tied() -> nn.Module:
    model = Base()
    model.out.weight = model.embedding.weight
    return model


def averaged() -> nn.Module:
    model = Base()
    mean = AveragedModel(model, multi_avg_fn=get_ema_multi_avg_fn(0.9))
    mean.update_parameters(model)
    return mean


class TestTime(Base):
    """Of several temperatures, averaged."""

    def forward(self, tokens: Tensor) -> Tensor:
        return torch.logsumexp(torch.stack([self.out(self.hidden(tokens) * gain) for gain in (0.9, 1.0, 1.1)]), 0)


class SeveralHeads(Base):
    def __init__(self) -> None:
        super().__init__()
        self.next_but_one = nn.Linear(C, V)

    def forward(self, tokens: Tensor) -> Tensor:
        hidden = self.hidden(tokens)
        logits = self.out(hidden), self.next_but_one(hidden)
        return logits if self.training else logits[0]  # type: ignore[return-value]


class Autocast(Base):
    def forward(self, tokens: Tensor) -> Tensor:
        with torch.autocast("cpu", torch.bfloat16):
            return super().forward(tokens)


class Straight(torch.autograd.Function):
    @staticmethod
    def forward(ctx: torch.autograd.function.FunctionCtx, x: Tensor) -> Tensor:  # type: ignore[override]
        ctx.save_for_backward(x)
        return x.round()

    @staticmethod
    def backward(ctx: torch.autograd.function.FunctionCtx, grad: Tensor) -> Tensor:  # type: ignore[override]
        return grad


class Buffers(Base):
    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("gain", torch.randn(1, 1, C))
        self.mask = torch.ones(T, T).tril().bool()  # no buffer, and not of one type with the rest
        self.offset = torch.randn(1, C).expand(T, C)

    def forward(self, tokens: Tensor) -> Tensor:
        hidden = self.hidden(tokens) * self.gain + self.offset
        weights = (hidden @ hidden.mT).masked_fill(~self.mask, -1e9).softmax(-1)
        return self.out(weights @ hidden)  # type: ignore[no-any-return]


class CompiledPart(Base):
    def __init__(self) -> None:
        super().__init__(torch.compile(lambda hidden: functional.silu(hidden) * 2))


def compiled_in_place() -> nn.Module:
    model = Base()
    model.compile()
    return model


class Attention(Base):
    """By a layer that comes with torch."""

    def __init__(self) -> None:
        super().__init__()
        layer = nn.TransformerEncoderLayer(C, 4, 32, batch_first=True)
        self.layers = nn.TransformerEncoder(layer, 2, enable_nested_tensor=False)

    def forward(self, tokens: Tensor) -> Tensor:
        mask = torch.ones(T, T).triu(1).bool()
        return self.out(self.layers(self.hidden(tokens), mask=mask, is_causal=True))  # type: ignore[no-any-return]


class Recurrent(Base):
    def __init__(self) -> None:
        super().__init__()
        self.cell = nn.LSTM(C, C, batch_first=True, num_layers=2, dropout=0.1)

    def forward(self, tokens: Tensor) -> Tensor:
        return self.out(self.cell(self.hidden(tokens))[0])  # type: ignore[no-any-return]


class Dropout(Base):
    def forward(self, tokens: Tensor) -> Tensor:
        return self.out(functional.dropout(self.hidden(tokens), 0.2, self.training))  # type: ignore[no-any-return]


def in_place(hidden: Tensor) -> Tensor:
    hidden = hidden.clone()
    hidden += 1
    hidden[:, 1:] += hidden[:, :-1].clone() * 0.1
    other = torch.zeros_like(hidden)
    other[:, ::2] = hidden[:, ::2]
    return other


class Pairs(Base):
    """An embedding of each pair of tokens, hashed into a table."""

    def __init__(self) -> None:
        super().__init__()
        self.pairs = nn.Embedding(4096, C)

    def forward(self, tokens: Tensor) -> Tensor:
        before = functional.pad(tokens[:, :-1], (1, 0))
        return self.out(self.hidden(tokens) + self.pairs((tokens * 31 ^ before * 17) % 4096))  # type: ignore[no-any-return]


class Fourier(Base):
    """A causal convolution over the whole row, by FFT."""

    def __init__(self) -> None:
        super().__init__()
        self.kernel = nn.Parameter(torch.randn(T, C) * 0.1)

    def forward(self, tokens: Tensor) -> Tensor:
        n = 2 * T
        product = torch.fft.rfft(self.hidden(tokens), n=n, dim=1) * torch.fft.rfft(self.kernel, n=n, dim=0)
        return self.out(torch.fft.irfft(product, n=n, dim=1)[:, :T])  # type: ignore[no-any-return]


class Experts(Base):
    def __init__(self) -> None:
        super().__init__()
        self.router, self.experts = nn.Linear(C, 4), nn.Parameter(torch.randn(4, C, C) * 0.1)

    def forward(self, tokens: Tensor) -> Tensor:
        hidden = self.hidden(tokens)
        weights, chosen = self.router(hidden).softmax(-1).topk(2, -1)
        found = torch.einsum("btd,edf->btef", hidden, self.experts)
        found = found.gather(2, chosen[..., None].expand(-1, -1, -1, C))
        return self.out((found * weights[..., None]).sum(2))  # type: ignore[no-any-return]


@torch.library.custom_op("models::relu2", mutates_args=())
def relu2(x: torch.Tensor) -> torch.Tensor:
    return functional.relu(x).square()


def convolved() -> nn.Module:
    kernel = torch.randn(C, 1, 3)
    return Base(lambda hidden: functional.conv1d(functional.pad(hidden.mT, (2, 0)), kernel, groups=C).mT)


def weight_norm() -> nn.Module:
    model = Base()
    nn.utils.parametrizations.weight_norm(model.linear)
    return model


HONEST: dict[str, Callable[[], nn.Module]] = {
    "plain": Base,
    "bfloat16": lambda: Base().bfloat16(),
    "weight tying": tied,
    "an ensemble": Ensemble,
    "an ensemble by vmap": Stacked,
    "a moving average of weights": averaged,
    "several temperatures": TestTime,
    "several heads": SeveralHeads,
    "autocast": Autocast,
    "a gradient of its own": lambda: Base(Straight.apply),
    "buffers": Buffers,
    "compiled": lambda: torch.compile(Base()),  # type: ignore[dict-item]
    "compiled in place": compiled_in_place,
    "a compiled part": CompiledPart,
    "layers of torch": Attention,
    "recurrent": Recurrent,
    "dropout": Dropout,
    "in place": lambda: Base(in_place),
    "pairs of tokens": Pairs,
    "a Fourier transform": Fourier,
    "experts": Experts,
    "a registered function": lambda: Base(relu2),  # type: ignore[arg-type]
    "checkpointing": lambda: Base(lambda hidden: checkpoint(functional.silu, hidden, use_reentrant=False)),  # type: ignore[arg-type,return-value]
    "a convolution": convolved,
    "normed weights": weight_norm,
}


def handed_over(prepare: ModuleType, model: nn.Module, folder: Path, rows: int = 2) -> Path:
    """The folder in which its graph and weights are."""
    folder.mkdir(exist_ok=True)
    prepare.hand_over(prepare.trace(model, rows, V), folder)
    return folder
