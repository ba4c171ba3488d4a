"""The evaluation: what train.py hands over is measured as it is, and can do nothing but be measured."""

import json
import math
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest
import torch
import torch.nn as nn
from house import ROOT
from models import HONEST, Base, T, V, handed_over
from pair import import_prepare
from torch.nn import functional

Json = Any


@pytest.fixture
def prepare(small_cache: Path, monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    """With each row cut once, and no more."""
    prepare = import_prepare(small_cache, monkeypatch)
    monkeypatch.setattr(prepare, "FURTHER", 0)
    torch.manual_seed(1)
    return prepare


@pytest.fixture
def few(prepare: ModuleType, monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    """With 16 rows instead of 128."""
    monkeypatch.setattr(prepare, "EVAL_TOKENS", 16 * T)
    return prepare


def bpb(prepare: ModuleType, model: nn.Module, rows: int = 4) -> float:
    value: float = prepare.measured(prepare.trace(model, rows, V), "cpu")["val_bpb"]
    return value


# --- Honest models ---


@pytest.mark.first_case
@pytest.mark.parametrize("name", HONEST)
@pytest.mark.filterwarnings("ignore")
def test_any_honest_model_is_handed_over_as_it_is(name: str, few: ModuleType, tmp_path: Path) -> None:
    model = HONEST[name]()
    read = few.read_handover(handed_over(few, model, tmp_path / "handover"))
    tokens = torch.randint(V, (2, T))
    with torch.inference_mode(), torch.compiler.set_stance("force_eager"):
        expected = model.eval()(tokens)
    assert read.graph.run(tokens).allclose(expected, rtol=0, atol=1e-5)
    assert 0 < few.measured(read.graph, "cpu")["val_bpb"] < 20, "and it sees no future"


class Bigram(nn.Module):
    """Logits that depend on the last token alone."""

    def __init__(self, vocab_size: int = V, scale: float = 1.0) -> None:
        super().__init__()
        self.table = nn.Parameter(scale * torch.randn(V, vocab_size, generator=torch.Generator().manual_seed(1)))
        self.modes: set[bool] = set()

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        self.modes.add(self.training)
        return functional.embedding(x, self.table)


def targets(prepare: ModuleType) -> np.ndarray:
    found: np.ndarray = np.fromfile(prepare.JUDGE / "val.bin", dtype=np.uint16).astype(int)[:32768]
    return found


def test_bpb_by_hand_and_whatever_the_batch_size(prepare: ModuleType) -> None:
    tokenizer, model = prepare.Tokenizer.from_directory(), Bigram()
    model.train()
    text = targets(prepare)
    inputs = np.where(np.arange(32768) % T == 0, 1023, np.roll(text, 1))
    table = model.table.detach().double()
    nats = -table.log_softmax(-1)[inputs, text][text != 1023].sum().item()
    text_bytes = len(tokenizer.enc.decode_bytes(text[text != 1023].tolist()))
    for rows in (1, 7, 32):  # 7: the last batch is not full
        assert bpb(prepare, model, rows) == pytest.approx(nats / math.log(2) / text_bytes, 1e-6)
    assert model.modes == {False}  # it is evaluated in eval mode...
    assert model.training  # ...and left as it was


def test_bpb_of_a_uniform_model(prepare: ModuleType) -> None:
    text = targets(prepare)
    text = text[text != 1023].tolist()
    expected = 10 * len(text) / len(prepare.Tokenizer.from_directory().enc.decode_bytes(text))  # 10 bits a token
    assert bpb(prepare, Bigram(scale=0)) == pytest.approx(expected, 1e-6)


def test_each_module_gets_its_mode_back(few: ModuleType) -> None:
    model = HONEST["several heads"]().train()
    model.linear.eval()
    few.trace(model, 2, V)
    assert [model.training, model.linear.training, model.out.training] == [True, False, True]
    assert not few.is_tracing()


def test_a_model_is_told_that_it_is_traced(few: ModuleType) -> None:
    def kernel(hidden: torch.Tensor) -> torch.Tensor:
        return hidden * 2 if few.is_tracing() else torch.from_numpy(2 * hidden.detach().numpy())

    assert bpb(few, Base(kernel)) > 0


def test_tracing_needs_no_compiler(small_cache: Path) -> None:
    """Its import takes three seconds."""
    code = "import sys, torch, prepare; prepare.trace(torch.nn.Embedding(1024, 1024), 2, 1024)"
    code += "; assert 'torch._dynamo' not in sys.modules"
    environment = {**os.environ, "AUTORESEARCH_CACHE": str(small_cache), "PROFILE": "small"}
    subprocess.run([sys.executable, "-c", code], cwd=ROOT, env=environment, check=True)


# --- What is no function of the tokens ---


class Scored(torch.Tensor):
    """Logits that compute a cross-entropy of their own."""


class Broken(Base):
    def __init__(self, how: str) -> None:
        super().__init__()
        self.how = how
        self.count, self.elsewhere, self.calls = torch.zeros(1), torch.zeros(1, device="meta"), 0

    def forward(self, tokens: torch.Tensor) -> Any:
        logits = super().forward(tokens)
        self.calls += 1
        match self.how:
            case "length":
                return logits[:, 1:]
            case "vocabulary":
                return logits[..., 1:]
            case "subclass":
                return logits.as_subclass(Scored)
            case "no tensor":
                return [logits]
            case "random":
                return logits + torch.randn(1)
            case "dropout":
                return functional.dropout(logits, 0.1)
            case "memory":
                self.count += 1
                return logits * self.count
            case "memory in Python":
                return logits * self.calls
            case "its tokens":
                tokens.fill_(300)
                return logits
            case "a value":
                return logits * (2 if (tokens > 500).any() else 1)
            case "a list":
                return logits + sum(tokens[0].tolist())
            case "numpy":
                return logits + torch.from_numpy(tokens.numpy()).float()[..., None]
            case "unwritten memory":
                return logits + torch.empty(V)
            case "by address":
                return logits + torch.as_strided(tokens, (V,), (1,))
            case "nan":
                return logits / 0
            case "two devices":
                return logits + self.elsewhere


@pytest.mark.parametrize(
    ("how", "message"),
    [
        ("length", r"logits are \(4, 255, 1024\) instead of \(4, 256, 1024\)"),
        ("vocabulary", r"logits are \(4, 256, 1023\) instead of \(4, 256, 1024\)"),
        ("subclass", "logits are Scored instead of a plain tensor"),
        ("no tensor", "logits are list instead of a plain tensor"),
        ("random", "'aten.randn.default' is not among .* no random numbers"),
        ("dropout", "train=True: an evaluation has no random numbers"),
        ("memory", r"changes its tokens, weights or buffers .*'aten.add_.Tensor'"),
        ("memory in Python", "not a fixed function of the tokens"),
        ("its tokens", "changes its tokens, weights or buffers"),
        ("a value", "takes a value out of a tensor"),
        ("a list", "not a fixed function of the tokens"),
        ("numpy", "not a fixed function of the tokens"),
        ("unwritten memory", "its memory is uninitialized; use torch.zeros"),
        ("by address", "'aten.as_strided.default' is not among"),
        ("nan", "logits are not finite"),
        ("two devices", "the model is on 'meta' and 'cpu'"),
    ],
)
def test_what_cannot_be_measured_is_refused(how: str, message: str, few: ModuleType) -> None:
    with pytest.raises(ValueError, match=message):
        bpb(few, Broken(how))


# --- What sees more than the tokens before ---


def following(tokens: torch.Tensor) -> torch.Tensor:
    return functional.one_hot(functional.pad(tokens[:, 1:], (0, 1)), V).float()


def every(share: int) -> torch.Tensor:
    return (torch.arange(T) % share == 7)[:, None]


class Leak(Base):
    def __init__(self, leak: Callable[[torch.Tensor, torch.Tensor], torch.Tensor]) -> None:
        super().__init__()
        self.leak = leak

    def forward(self, tokens: torch.Tensor) -> torch.Tensor:
        return self.leak(super().forward(tokens), tokens)


LEAKS: dict[str, Callable[[torch.Tensor, torch.Tensor], torch.Tensor]] = {
    "the next token": lambda logits, tokens: logits + 5 * following(tokens),
    "a little of it": lambda logits, tokens: logits + 0.05 * following(tokens),
    "the token after it": lambda logits, tokens: logits + following(functional.pad(tokens[:, 1:], (0, 1))),
    "at one position of 20": lambda logits, tokens: logits + 5 * following(tokens) * every(20),
    "within blocks": lambda logits, tokens: logits.unflatten(1, (-1, 32)).roll(-1, 2).flatten(1, 2),
    "the mean of the row": lambda logits, tokens: logits + 0.1 * logits.mean(1, keepdim=True),
    "the last token of the row": lambda logits, tokens: logits + functional.one_hot(tokens[:, -1:], V),
    "the row before it in the batch": lambda logits, tokens: logits + 0.1 * logits.roll(1, 0),
    "the mean of the batch": lambda logits, tokens: logits + 0.1 * logits.mean((0, 1), keepdim=True),
    "how often tokens occur in the batch": lambda logits, tokens: (
        logits + 0.01 * functional.one_hot(tokens, V).sum((0, 1))
    ),
    "only where a row begins with BOS": lambda logits, tokens: (
        logits + 5 * following(tokens) * (tokens[:, :1, None] == 1023)
    ),
    "only where it would be a surprise": lambda logits, tokens: (
        logits + 9 * following(tokens) * (logits.log_softmax(-1) < -7)
    ),
    "sharper where the next token is rare": lambda logits, tokens: (
        logits * (1 + functional.pad(tokens[:, 1:], (0, 1)) / V)[..., None]
    ),
}


@pytest.mark.first_case
@pytest.mark.parametrize("name", LEAKS)
def test_a_model_that_sees_more_is_refused(name: str, prepare: ModuleType) -> None:
    with pytest.raises(ValueError, match="the model sees the future or other rows"):
        bpb(prepare, Leak(LEAKS[name]), 16)


def test_each_position_of_a_row_is_cut_as_often_as_any_other(prepare: ModuleType) -> None:
    drawn = prepare.endless(lambda: prepare.SECRET.sample(range(1, T), T - 1))
    assert sorted(next(drawn) for _ in range(2 * (T - 1))) == sorted([*range(1, T)] * 2)


@pytest.mark.parametrize("rows", [16, 64])
def test_a_batch_of_all_rows_has_other_neighbours_all_the_same(rows: int, few: ModuleType) -> None:
    """Rows of the training text; they are not scored. A corpus of one's own may be small."""
    assert few.measured(few.trace(Bigram(), rows, V), "cpu")["tokens"] == 16 * T
    assert bpb(few, Bigram(), rows) == pytest.approx(bpb(few, Bigram(), 4), 1e-6)
    with pytest.raises(ValueError, match="or other rows"):
        bpb(few, Leak(LEAKS["the row before it in the batch"]), rows)


def test_further_cuts_take_their_time(few: ModuleType, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(few, "FURTHER", 0.3)
    began = time.monotonic()
    assert few.measured(few.trace(Base(), 4, V), "cpu")["cuts"] > 32
    assert time.monotonic() - began < 3


# --- Attacks on what is handed over: each changes the files that train.py writes ---


def node(name: str, *arguments: Json, **named: Json) -> Callable[[Json], None]:
    """The logits are the result of this call."""

    def change(graph: Json) -> None:
        graph["nodes"].append([name, list(arguments), named, [999]])
        graph["output"] = 999

    return change


def setting(*path: Json, to: Json) -> Callable[[Json], None]:
    def change(graph: Json) -> None:
        for step in path[:-1]:
            graph = graph[step]
        graph[path[-1]] = to

    return change


def both(*changes: Callable[[Json], None]) -> Callable[[Json], None]:
    def change(graph: Json) -> None:
        for one in changes:
            one(graph)

    return change


TOKENS, WEIGHT, SHAPE = {"tensor": 0}, {"tensor": 1}, [4, T, V]
ON_CPU = {"dtype": {"dtype": "float32"}, "device": {"device": "cpu"}}
GRAPHS: dict[str, tuple[Callable[[Json], None], str]] = {
    "random numbers": (node("aten.rand.default", SHAPE), "not among"),
    "memory that was freed": (node("aten.empty.memory_format", SHAPE), "not among"),
    "the same by resizing": (node("aten.resize_.default", WEIGHT, SHAPE), "not among"),
    "the same by new_empty": (node("aten.new_empty.default", TOKENS, SHAPE), "not among"),
    "memory behind a tensor": (node("aten.as_strided.default", TOKENS, SHAPE, [1, 1, 1], 999999), "not among"),
    "the same by its private name": (node("aten._reshape_alias.default", TOKENS, SHAPE, [1, 1, 1]), "not among"),
    "another tensor's memory": (node("aten.set_.source_Tensor", WEIGHT, TOKENS), "not among"),
    "a file": (node("aten.from_file.default", "/etc/passwd", False, 9), "not among"),
    "another library": (node("prims.add.default", WEIGHT, WEIGHT), "not among"),
    "a registered function": (node("models.relu2.default", WEIGHT), "not among"),
    "a branch": (node("higher_order.cond.default", TOKENS), "not among"),
    "something of Python": (node("aten.add.__class__", TOKENS), "not a function of this version"),
    "something else of Python": (node("aten.add.__call__.__globals__", TOKENS), "not among"),
    "a name that is none": (node(["aten.add.Tensor"], TOKENS), "not among"),  # type: ignore[arg-type]
    "a function that writes elsewhere": (node("aten.add.out", TOKENS, TOKENS, out=WEIGHT), "writes to its arguments"),
    "into the tokens": (node("aten.fill_.Scalar", TOKENS, 5), "writes to the tokens or the weights"),
    "into the weights": (node("aten.mul_.Tensor", WEIGHT, WEIGHT), "writes to the tokens or the weights"),
    "into a view of the weights": (
        both(
            lambda graph: graph["nodes"].append(["aten.t.default", [WEIGHT], {}, [998]]),
            node("aten.zero_.default", {"tensor": 998}),
        ),
        "writes to the tokens or the weights",
    ),
    "into the weights, by name": (node("aten.zero_.default", self=WEIGHT), "writes to the tokens or the weights"),
    "dropout": (node("aten.dropout.default", WEIGHT, 0.5, True), "no random numbers"),
    "dropout in attention": (
        node("aten.scaled_dot_product_attention.default", WEIGHT, WEIGHT, WEIGHT, None, 0.5),
        "no random numbers",
    ),
    "a batch norm that learns": (
        node("aten.batch_norm.default", WEIGHT, None, None, None, None, True, 0.1, 1e-5, False),
        "no random numbers",
    ),
    "a tensor that is not there": (node("aten.relu.default", {"tensor": 77}), "before it exists"),
    "a tensor twice": (setting("nodes", 0, 3, to=[1]), "two tensors have the same number"),
    "the tokens' own number": (setting("nodes", 0, 3, to=[0]), "whole number"),
    "more results than there are": (setting("nodes", 0, 3, to=[900, 901]), "no logits"),
    "no logits": (setting("output", to=0), "no logits"),
    "logits that are a word": (setting("output", to="x"), "no logits"),
    "logits of another shape": (setting("output", to=1), "logits are"),
    "more memory than there is": (node("aten.zeros.default", [2**46], **ON_CPU), "runs out of memory"),
    "a shape that is none": (node("aten.reshape.default", WEIGHT, [7, 7]), "cannot be evaluated"),
    "a kind of argument that is none": (node("aten.relu.default", {"exec": "x"}), "malformed argument"),
    "a dtype that is none": (node("aten.zeros.default", SHAPE, dtype={"dtype": "load"}), "malformed argument"),
    "no rows": (setting("shape", 0, to=0), "whole number"),
    "rows that are true": (setting("shape", 0, to=True), "whole number"),
    "shorter rows": (setting("shape", 1, to=128), "whole number"),
    "a device that is not there": (setting("device", to="cuda:7"), "does not have"),
    "no weights": (setting("weights", to=[]), "before it exists"),
    "weights beyond the file": (setting("weights", 0, "offset", to=2**30), "shorter than"),
    "weights before the file": (setting("weights", 0, "offset", to=-8), "whole number"),
    "weights of a strange kind": (setting("weights", 0, "dtype", to="object"), "weights of unknown type"),
    "the claims are not numbers": (setting("claims", "looks", to="many"), "not numbers"),
    "claims that are not finite": (setting("claims", "probes", to=[math.inf]), "not numbers"),
    "a precision that is none": (setting("settings", "precision", to="__class__"), "KeyError"),
    "more threads than cores": (setting("settings", "threads", to=10**6), "whole number"),
}


@pytest.mark.parametrize("name", GRAPHS)
def test_a_graph_that_attacks_is_refused(name: str, few: ModuleType, tmp_path: Path) -> None:
    change, message = GRAPHS[name]
    folder = handed_over(few, Bigram(), tmp_path / "handover", rows=4)
    graph = json.loads((folder / "graph.json").read_text())
    change(graph)
    (folder / "graph.json").write_text(json.dumps(graph))
    said = few.told(lambda: few.evaluated(folder))
    assert "val_bpb" not in said
    assert re.search(message, said["error"]), said


def replace_by(make: Callable[[Path], object], name: str = "graph.json") -> Callable[[Path], None]:
    def change(folder: Path) -> None:
        (folder / name).unlink()
        make(folder / name)

    return change


FILES: dict[str, Callable[[Path], None]] = {
    "a link": replace_by(lambda path: path.symlink_to("/etc/passwd")),
    "a link for the weights": replace_by(lambda path: path.symlink_to("/etc/passwd"), "weights.bin"),
    "a pipe": replace_by(os.mkfifo),
    "a pipe for the weights": replace_by(os.mkfifo, "weights.bin"),
    "a folder": replace_by(Path.mkdir),
    "a device": replace_by(lambda path: path.symlink_to("/dev/zero"), "weights.bin"),
    "a file without end": lambda folder: os.truncate(folder / "weights.bin", 2**40),
    "a text without end": lambda folder: os.truncate(folder / "graph.json", 2**34),
    "weights that are cut off": lambda folder: os.truncate(folder / "weights.bin", 100),
    "no weights": replace_by(lambda _: None, "weights.bin"),
    "no JSON": lambda folder: (folder / "graph.json").write_text("{"),  # type: ignore[dict-item,return-value]
    "no object": lambda folder: (folder / "graph.json").write_text("[1]"),  # type: ignore[dict-item,return-value]
    "no UTF-8": lambda folder: (folder / "graph.json").write_bytes(b"\xff"),  # type: ignore[dict-item,return-value]
    "what is nested too deep": lambda folder: (folder / "graph.json").write_text("[" * 10**6),  # type: ignore[dict-item,return-value]
    "a pickle": lambda folder: torch.save({"x": 1}, folder / "weights.bin"),
}


@pytest.mark.parametrize("name", FILES)
def test_files_that_attack_are_refused(name: str, few: ModuleType, tmp_path: Path) -> None:
    folder = handed_over(few, Bigram(), tmp_path / "handover", rows=4)
    FILES[name](folder)
    began = time.monotonic()
    said = few.told(lambda: few.evaluated(folder))
    assert "val_bpb" not in said
    assert said["error"]
    assert time.monotonic() - began < 5


def test_arguments_come_back_as_they_were(prepare: ModuleType) -> None:
    there = [1, 2.5, None, True, "x", math.inf, -math.inf, 1j, torch.float8_e4m3fn, torch.device("cpu"), [[3]]]
    there += [torch.contiguous_format, prepare.Place(3)]
    text = json.dumps(prepare.encoded(there))
    assert prepare.decoded(json.loads(text), "cpu") == there
    with pytest.raises(ValueError, match="type 'object'"):
        prepare.encoded(object())


def test_all_functions_of_the_list_are_there_and_none_is_random(prepare: ModuleType) -> None:
    random = {"seed", "generator"}
    for base in prepare.PURE:
        found = getattr(torch.ops.aten, base, None) or getattr(torch.ops.aten, f"{base}_")
        tags = [tag for one in found.overloads() for tag in getattr(found, one).tags]
        named = {argument.name for one in found.overloads() for argument in getattr(found, one)._schema.arguments}
        if torch.Tag.nondeterministic_seeded in tags or named & random:
            assert named & set(prepare.OFF), base


# --- The process ---


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A RUN_DIR, as far as the evaluator knows it."""
    for name in ("handover", "reply", "record"):
        (tmp_path / "run" / name).mkdir(parents=True)
    return tmp_path / "run"


def answer(prepare: ModuleType, folder: Path, **env: str) -> Json:
    """Of `prepare.py --evaluate`, on what is handed over there."""
    environment = {**os.environ, "PROFILE": "small", "AUTORESEARCH_CACHE": str(prepare.CACHE), **env}
    command = [sys.executable, "-I", ROOT / "prepare.py", "--evaluate", folder]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False, timeout=100)
    print(done.stdout, done.stderr)
    assert done.returncode == 0
    return json.loads((folder / "reply/reply.json").read_text())


@pytest.mark.slow
def test_the_evaluator_answers_and_leaves_a_record(prepare: ModuleType, folder: Path) -> None:
    model = Bigram()
    clock = prepare.Clock()
    clock.progress()
    time.sleep(0.2)
    clock.progress()
    handed_over(prepare, model, folder / "handover", rows=16)
    said = answer(prepare, folder)
    assert said == {"val_bpb": pytest.approx(bpb(prepare, model, 16), 1e-9)}
    record = json.loads((folder / "record/evaluation.json").read_text())
    facts = prepare.comparable_facts()
    assert (record["val_bpb"], record["device"], record["bytes"]) == (said["val_bpb"], "cpu", 86479)
    assert record["tokens"] == facts["eval_tokens"]
    assert (record["data"], record["tokenizer"]) == (facts["data"], facts["tokenizer"])
    assert record["prepare.py"] == prepare.sha256(ROOT / "prepare.py")
    assert record["cuts"] >= 128
    assert record["longest_wait"] >= 0.2 > record["training_seconds"]
    assert (len(record["probes"]), record["evaluation_seconds"] > 0, record["evaluator_start_seconds"] > 0) == (
        1,
        True,
        True,
    )


@pytest.mark.slow
def test_the_holdout_is_other_text_and_no_part_of_the_record(prepare: ModuleType, folder: Path) -> None:
    """As many rows as are pinned, none of them one of those; the same model, evaluated by a process of its own."""
    tokenizer = prepare.Tokenizer.from_directory()
    pinned = [row.tobytes() for row in prepare.eval_rows(tokenizer)]
    apart = [row.tobytes() for row in prepare.holdout_rows(tokenizer)]
    assert len(pinned) == len(apart) == 128
    assert not {*pinned} & {*apart}
    graph = prepare.trace(Bigram(), 16, V)
    prepare.hand_over(graph, folder / "handover")
    environment = {**os.environ, "PROFILE": "small", "AUTORESEARCH_CACHE": str(prepare.CACHE)}
    command = [sys.executable, "-I", ROOT / "prepare.py", "--holdout"]
    for more in ([], ["--evaluate", folder]):
        done = subprocess.run([*command, *more], env=environment, capture_output=True, text=True, check=False)
        assert (done.returncode, done.stdout) == (0, "" if more else "the holdout: 32,768 tokens\n"), done.stderr
    said = json.loads((folder / "record/holdout.json").read_text())
    assert said["tokens"] == 32768
    assert said["holdout_bpb"] == pytest.approx(
        prepare.on_holdout(prepare.Handover(graph, "cpu", {}))["holdout_bpb"], 1e-9
    )
    assert not (folder / "record/evaluation.json").exists()
    assert list((folder / "reply").iterdir()) == []


def test_a_model_that_cannot_be_measured_leaves_no_record(prepare: ModuleType, folder: Path) -> None:
    handed_over(prepare, Leak(LEAKS["the next token"]), folder / "handover", rows=16)
    assert "sees the future" in answer(prepare, folder)["error"]
    assert not list((folder / "record").iterdir())


def test_what_ends_the_evaluation_ends_it_twice_and_is_told(few: ModuleType, folder: Path) -> None:
    """A graph that finds a fault of torch ends a child, and the child of a child."""
    attempts = folder / "attempts"

    def dies() -> Json:
        with attempts.open("a") as file:
            file.write("x")
        os.kill(os.getpid(), signal.SIGUSR1)

    assert few.in_child(dies) == {"died": "died with status -10"}
    assert few.in_child(lambda: os.kill(os.getpid(), signal.SIGKILL)) == {"died": few.KILLED}
    assert few.in_child(few.works) == {"works": True}
    handed_over(few, Bigram(), folder / "handover")
    few.evaluated = lambda _: dies()
    attempts.unlink()
    few.serve(folder)
    assert attempts.read_text() == "xx"
    said = json.loads((folder / "reply/reply.json").read_text())
    assert said["error"] == "the evaluator died with status -10 on this model, twice"
    few.works = dies
    with pytest.raises(SystemExit, match="does not work on this machine"):
        few.serve(folder)


def test_an_evaluation_has_a_limit(few: ModuleType, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(few, "LIMIT", 0.3)
    assert few.in_child(lambda: time.sleep(60) or {}) == {"error": "the evaluation takes more than 0.3 s"}


@pytest.mark.slow
def test_by_hand_the_same_evaluator_is_started_once(prepare: ModuleType) -> None:
    model, tokenizer = Bigram(), prepare.Tokenizer.from_directory()
    tokenizer.token_bytes[:] = [9] * V  # the table of bytes is not train.py's
    assert prepare.evaluate_bpb(model, tokenizer, 999) == pytest.approx(bpb(prepare, model, 32), 1e-9)
    with pytest.raises(ValueError, match="evaluate_bpb was called twice"):
        prepare.evaluate_bpb(model, tokenizer, 16)


@pytest.mark.parametrize(
    ("said", "error", "message"),
    [
        ({"val_bpb": 1.5}, None, ""),
        ({"error": "the model sees"}, ValueError, "the model sees"),
        ({"error": "runs out", "memory": True}, MemoryError, "runs out"),
        (None, RuntimeError, "the evaluator has ended without a number"),
    ],
)
def test_in_a_loop_it_waits_for_the_answer(
    said: Json, error: type[Exception] | None, message: str, few: ModuleType, folder: Path
) -> None:
    few.EVALUATION = str(folder)
    (folder / "reply" / ("reply.json" if said else "ended")).write_text(json.dumps(said))
    if error is None:
        assert few.evaluate_bpb(Bigram(), few.Tokenizer.from_directory(), 4) == 1.5
    else:
        with pytest.raises(error, match=message):
            few.evaluate_bpb(Bigram(), few.Tokenizer.from_directory(), 4)
    assert sorted(path.name for path in (folder / "handover").iterdir()) == ["graph.json", "weights.bin"]


def test_where_the_gpu_admits_one_process_the_training_ends_first(few: ModuleType, folder: Path) -> None:
    few.EVALUATION = str(folder)
    (folder / "reply/later").touch()
    with pytest.raises(SystemExit) as ended:
        few.evaluate_bpb(Bigram(), few.Tokenizer.from_directory(), 4)
    assert ended.value.code == 0


def test_train_py_has_no_validation_text(prepare: ModuleType) -> None:
    with pytest.raises(ValueError, match=r"train\.py has no split .val."):
        prepare.make_dataloader(prepare.Tokenizer.from_directory(), 8, T, "val")
