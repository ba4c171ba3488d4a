"""Profile `full`: the data from a hub with faults, the published order of rows, and a run at toy sizes on a CPU."""

import gzip
import json
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
import torch
from filelock import FileLock
from house import ROOT, House, shared_folder
from hub import DATASET, Hub, serving
from pair import EVAL_ROWS, SHARDS, VOCAB, T, import_prepare, toy_prepare, toy_train

LARGE = "shard_00001.parquet"  # of 25 MB: the client writes 10 MB at a time


@pytest.fixture
def hub() -> Iterator[Hub]:
    with serving(dict(SHARDS)) as hub:
        yield hub


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    """A folder with prepare.py and train.py at toy sizes."""
    folder = tmp_path / "tree"
    folder.mkdir()
    (folder / "prepare.py").write_text(toy_prepare())
    (folder / "train.py").write_text(toy_train())
    return folder


@pytest.fixture(scope="module")
def full_cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A cache with the toy data, prepared once for all workers. Read only."""
    folder = shared_folder(tmp_path_factory) / "full"
    with FileLock(f"{folder}.lock"), serving(dict(SHARDS)) as hub:
        (folder / "tree").mkdir(parents=True, exist_ok=True)
        (folder / "tree/prepare.py").write_text(toy_prepare())
        prepare_data(folder / "tree", hub)
    return folder / "cache"


@pytest.fixture
def prepared(full_cache: Path, tree: Path) -> Path:
    """The folder, beside that cache."""
    (tree.parent / "cache").symlink_to(full_cache)
    return tree


def environment(cache: Path, hub: Hub | None = None, **more: str) -> dict[str, str]:
    clean = {key: value for key, value in os.environ.items() if key not in ("PROFILE", "TIME_BUDGET")}
    endpoint = hub.endpoint if hub else "http://127.0.0.1:9"  # nobody listens there
    home = {"HOME": str(cache.parent / "home"), "HF_HUB_DISABLE_PROGRESS_BARS": "1"}
    return {**clean, **home, "AUTORESEARCH_CACHE": str(cache), "PROFILE": "full", "HF_ENDPOINT": endpoint, **more}


def python(*command: object, tree: Path, env: dict[str, str]) -> subprocess.CompletedProcess[str]:
    command = (sys.executable, *map(str, command))
    done = subprocess.run(command, cwd=tree, env=env, capture_output=True, text=True, check=False, timeout=300)
    print(done.stdout[-3000:], done.stderr[-3000:], done.returncode)
    return done


def prepare_data(tree: Path, hub: Hub, shards: int = 2, status: int = 0, **more: str) -> str:
    """prepare.py, with shorter waits; its stderr."""
    code = "import prepare, sys; prepare.WAITS = (0, 0.01, 0.01); prepare.main()"
    env = environment(tree.parent / "cache", hub, **more)
    done = python("-c", code, "--num-shards", shards, tree=tree, env=env)
    assert done.returncode == status
    return done.stderr


def check(tree: Path) -> subprocess.CompletedProcess[str]:
    return python("prepare.py", "--check", tree=tree, env=environment(tree.parent / "cache"))


# --- Download ---


def test_data_from_the_hub(hub: Hub, tree: Path) -> None:
    prepare_data(tree, hub)
    assert sorted(hub.asked) == [(name, None) for name in sorted(SHARDS)]
    facts = json.loads(check(tree).stdout)
    assert (facts["profile"], facts["time_budget"], facts["max_seq_len"]) == ("full", 300, T)
    assert (facts["vocab_size"], facts["eval_tokens"]) == (VOCAB, EVAL_ROWS * T)
    record = json.loads((tree.parent / "cache/full/data.json").read_text())
    assert record["source"] == f"{DATASET}, 2 shards"
    assert not (tree.parent / "cache/full.partial").exists()
    prepare_data(tree, hub)
    assert len(hub.asked) == 3, "it is there already"
    assert "data of another corpus is in" in prepare_data(tree, hub, shards=1, status=2)


def test_the_holdout_is_a_shard_of_its_own_fetched_once(hub: Hub, tree: Path) -> None:
    prepare_data(tree, hub)
    hub.files["shard_06541.parquet"] = SHARDS["shard_00001.parquet"]
    facts, env = check(tree).stdout, environment(tree.parent / "cache", hub)
    for _ in range(2):
        done = python("prepare.py", "--holdout", tree=tree, env=env)
        assert done.stdout == f"the holdout: {EVAL_ROWS * T:,} tokens\n"
    assert [name for name, _ in hub.asked[3:]] == ["shard_06541.parquet"]
    assert sorted(path.name for path in (tree.parent / "cache/full/judge").iterdir()) == ["holdout.bin", "val.bin"]
    assert check(tree).stdout == facts, "what is compared is as it was"


FAULTS = {
    "shard_00000.parquet": [503, 503],
    "shard_00001.parquet": [429],
    "shard_00002.parquet": ["cut"],
    "shard_00003.parquet": ["truncated"],
    "shard_00004.parquet": ["garbage"],
    "shard_06542.parquet": ["garbage", "cut", 503],
}


def test_faults_of_the_hub_are_got_over(hub: Hub, tree: Path) -> None:
    hub.files = {name: SHARDS.get(name) or SHARDS["shard_00000.parquet"] for name in FAULTS}
    hub.faults |= {name: list(faults) for name, faults in FAULTS.items()}
    prepare_data(tree, hub, shards=5)
    assert not any(hub.faults.values()), "each was met with"
    for name, content in hub.files.items():
        assert (tree.parent / "cache/data" / name).read_bytes() == content
    assert check(tree).returncode == 0


@pytest.mark.slow
def test_a_shard_that_does_not_come_is_the_end(hub: Hub, tree: Path) -> None:
    """The published script says `5/6 shards ready`, and exits 0; without the pinned one it validates on another."""
    missing: set[str] = set(SHARDS)
    for fault, name in (
        (503, "shard_00000.parquet"),
        ("truncated", "shard_00001.parquet"),
        ("garbage", "shard_06542.parquet"),
        ("hidden", "shard_06542.parquet"),
    ):
        shard, asked = tree.parent / "cache/data" / name, len(hub.asked)
        shard.unlink(missing_ok=True)
        hub.hidden = {name} if fault == "hidden" else set()
        hub.faults[name] = [fault] * 20
        problem, hint = prepare_data(tree, hub, status=2).splitlines()[-2:]
        assert problem.startswith(f"prepare: 1 of 3 shards missing, such as {name}: ")
        assert problem.endswith(f"; from '{hub.endpoint}'")
        assert hint == "hint: try again, the fetched shards are kept; or name a mirror: HF_ENDPOINT"
        assert not shard.exists(), "what is damaged is not left there"
        assert {one for one, _ in hub.asked[asked:]} <= {*missing, name}, "the rest was kept"
        assert check(tree).returncode == 3
        hub.faults.clear()
        hub.hidden.clear()
        missing = {name}
    asked = len(hub.asked)
    prepare_data(tree, hub)
    assert [one for one, _ in hub.asked[asked:]] == [name], "the rest was kept"


@pytest.mark.first_case
@pytest.mark.parametrize("kind", ["plain", "no HEAD"])
def test_a_mirror_that_tells_no_hash(kind: str, hub: Hub, tree: Path) -> None:
    """What it sends is read before it is taken for a shard."""
    hub.kind = kind
    hub.faults["shard_00000.parquet"] = ["garbage", "cut"]
    hub.faults["shard_06542.parquet"] = ["truncated", 503]
    prepare_data(tree, hub)
    assert not any(hub.faults.values())
    for name, content in SHARDS.items():
        assert (tree.parent / "cache/data" / name).read_bytes() == content
    assert check(tree).returncode == 0
    prepare_data(tree, hub, shards=3, status=2, AUTORESEARCH_CACHE=str(tree.parent / "other"))
    assert not (tree.parent / "other/full").exists()


def test_a_damaged_shard_on_the_disk_is_fetched_again(hub: Hub, tree: Path) -> None:
    """By somebody else, or by the disk; and a good one that karpathy/autoresearch has left there is taken."""
    data = tree.parent / "cache/data"
    data.mkdir(parents=True)
    good, bad, _ = sorted(SHARDS)
    (data / good).write_bytes(SHARDS[good])
    (data / bad).write_bytes(SHARDS[bad][:-1] + b"?")
    prepare_data(tree, hub)
    assert sorted(name for name, _ in hub.asked) == [bad, "shard_06542.parquet"]
    (tree.parent / "cache/full/judge/val.bin").write_bytes(b"")
    damaged = data / "shard_06542.parquet"
    times = damaged.stat()
    damaged.write_bytes(bytes(len(SHARDS[damaged.name])))
    os.utime(damaged, ns=(times.st_atime_ns, times.st_mtime_ns))  # as a disk that forgets does
    prepare_data(tree, hub)
    assert hub.asked[3:] == []
    assert [name for name, _ in hub.asked[2:]] == [damaged.name]
    assert check(tree).returncode == 0


def test_a_download_goes_on_where_it_broke_off(hub: Hub, tree: Path, tmp_path: Path) -> None:
    content = os.urandom(25 * 2**20)
    hub.files[LARGE] = content
    code = f"import prepare; prepare.WAITS = (0,); prepare.fetch(['{LARGE}'], prepare.CACHE / 'data')"
    hub.faults[LARGE] = ["cut"]
    assert python("-c", code, tree=tree, env=environment(tmp_path / "cache", hub)).returncode == 0
    assert hub.asked == [(LARGE, None), (LARGE, "bytes=10485760-")]
    assert (tmp_path / "cache/data" / LARGE).read_bytes() == content

    hub.asked.clear()
    hub.faults[LARGE] = ["stall"]
    killed = subprocess.Popen([sys.executable, "-c", code], cwd=tree, env=environment(tmp_path / "other", hub))
    deadline = time.monotonic() + 60
    while not any(path.stat().st_size >= 10 * 2**20 for path in (tmp_path / "other/data").glob("*.part")):
        assert time.monotonic() < deadline
        time.sleep(0.05)
    killed.send_signal(signal.SIGKILL)
    killed.wait()
    assert not (tmp_path / "other/data" / LARGE).exists(), "a part of a shard is never taken for one"
    assert python("-c", code, tree=tree, env=environment(tmp_path / "other", hub)).returncode == 0
    assert hub.asked == [(LARGE, None), (LARGE, "bytes=10485760-")]
    assert (tmp_path / "other/data" / LARGE).read_bytes() == content


def test_no_hub_in_reach(tree: Path) -> None:
    code = "import prepare; prepare.WAITS = (0,); prepare.main()"
    done = python("-c", code, tree=tree, env=environment(tree.parent / "cache"))
    assert done.returncode == 2
    problem, _ = done.stderr.splitlines()[-2:]
    assert problem.startswith("prepare: 11 of 11 shards missing, such as shard_00000.parquet: ")
    assert problem.endswith("; from 'http://127.0.0.1:9'")


@pytest.mark.parametrize("number", ["0", "-1", "6543"])
def test_a_number_of_shards_that_is_none(number: str, tree: Path) -> None:
    done = python("prepare.py", f"--num-shards={number}", tree=tree, env=environment(tree.parent / "cache"))
    assert done.returncode == 2
    assert done.stderr == f"prepare: not a number of shards '{number}'\nhint: give 1 to 6541\n"


# --- Rows ---


@pytest.fixture
def prepare(full_cache: Path, tree: Path, monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    """The toy prepare.py, imported, with its data there."""
    return import_prepare(full_cache, monkeypatch, tree, "full")


def packed_by_the_book(documents: list[list[int]], rows: int, capacity: int) -> list[list[int]]:
    """What the published packing says, with nothing but lists: the oracle."""
    arriving = (documents[i % len(documents)] for i in range(10**9))
    waiting: list[list[int]] = []
    packed = []
    for _ in range(rows):
        row: list[int] = []
        while len(row) < capacity:
            while len(waiting) < 1000:
                waiting += islice(arriving, 128)
            room = capacity - len(row)
            fitting = [document for document in waiting if len(document) <= room]
            chosen = max(fitting, key=len) if fitting else min(waiting, key=len)
            del waiting[next(i for i, document in enumerate(waiting) if document is chosen)]
            row += chosen[:room]
        packed.append(row)
    return packed


@pytest.mark.parametrize("length", [T, 40, 300])
def test_rows_are_packed_in_the_published_order(length: int, prepare: ModuleType) -> None:
    tokenizer = prepare.Tokenizer.from_directory()
    bos = tokenizer.get_bos_token_id()
    texts = [text for path in sorted(SHARDS)[:2] for text in prepare.parquet_texts(prepare.CACHE / "data" / path)]
    documents = [[bos, *ids] for ids in tokenizer.enc.encode_ordinary_batch(texts)]
    expected = packed_by_the_book(documents, 600, length + 1)
    batches = list(islice(prepare.make_dataloader(tokenizer, 8, length, "train"), 75))
    assert torch.cat([x for x, _, _ in batches]).tolist() == [row[:-1] for row in expected]
    assert torch.cat([y for _, y, _ in batches]).tolist() == [row[1:] for row in expected]
    assert all(x.is_contiguous() and y.is_contiguous() for x, y, _ in batches)
    assert batches[0][2] == 1


def test_epochs_are_counted(prepare: ModuleType) -> None:
    tokens = len(prepare.load_tokens("train"))
    batches = islice(prepare.make_dataloader(prepare.Tokenizer.from_directory(), 8, T, "train"), 2 * tokens // (8 * T))
    epochs = [epoch for _, _, epoch in batches]
    assert epochs == sorted(epochs)
    assert set(epochs) >= {1, 2}


def test_the_evaluation_is_the_same_rows_whatever_the_batch(
    prepare: ModuleType, monkeypatch: pytest.MonkeyPatch
) -> None:
    tokenizer = prepare.Tokenizer.from_directory()
    rows = np.stack(list(prepare.eval_rows(tokenizer)))
    assert rows.shape == (EVAL_ROWS, T + 1)
    x, y, _ = next(prepare.batches(tokenizer, EVAL_ROWS, T, "val"))
    assert x.tolist() == rows[:, :-1].tolist()
    assert y.tolist() == rows[:, 1:].tolist()

    class Uniform(torch.nn.Module):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return torch.zeros(*x.shape, VOCAB, dtype=torch.bfloat16)

    text = [i for i in y.flatten().tolist() if i < tokenizer.get_bos_token_id()]
    expected = len(text) * np.log2(VOCAB) / len(tokenizer.enc.decode_bytes(text))
    monkeypatch.setattr(prepare, "FURTHER", 0)
    for batch_size in (1, 5, 8):
        found = prepare.measured(prepare.trace(Uniform(), batch_size, VOCAB), "cpu")
        assert found["val_bpb"] == pytest.approx(expected, 1e-6)


def test_the_tokenizer_reserves_what_the_published_one_does(prepare: ModuleType) -> None:
    tokenizer = prepare.Tokenizer.from_directory()
    assert tokenizer.get_vocab_size() == VOCAB
    assert tokenizer.get_bos_token_id() == VOCAB - 4
    assert tokenizer.token_bytes[-5:] == [len(tokenizer.tokens[-1]), 0, 0, 0, 0]
    assert tokenizer.decode(tokenizer.encode("héllo <|bos|>")) == "héllo <|bos|>"
    assert max(tokenizer.encode("héllo <|bos|>")) < VOCAB - 4


def test_the_published_constants(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    p = import_prepare(tmp_path / "cache", monkeypatch, profile="full")
    assert (p.MAX_SEQ_LEN, p.VOCAB_SIZE, p.TIME_BUDGET, p.EVAL_TOKENS, p.VAL_SHARD) == (2048, 8192, 300, 20971520, 6542)


@pytest.mark.parametrize(
    ("data", "cuda", "profile"), [(True, True, "full"), (True, False, "small"), (False, True, "small")]
)
def test_auto_is_full_on_a_cuda_machine_with_the_data(
    data: bool, cuda: bool, profile: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    if data:
        (tmp_path / "cache/full").mkdir(parents=True)
        (tmp_path / "cache/full/data.json").touch()
    monkeypatch.setattr(torch.cuda, "is_available", lambda: cuda)
    assert profile == import_prepare(tmp_path / "cache", monkeypatch, profile="auto").PROFILE


# --- Training ---


def metric(name: str, text: str) -> float:
    found = re.search(rf"^{name}: +(\S+)$", text, re.MULTILINE)
    assert found
    return float(found[1])


def train(tree: Path, source: str, **env: str) -> subprocess.CompletedProcess[str]:
    (tree / "train.py").write_text(source)
    done = python("train.py", tree=tree, env=environment(tree.parent / "cache", **env))
    assert done.returncode == 0
    return done


@pytest.mark.long
def test_what_is_compiled_is_compiled_before_the_clock_starts(prepared: Path, tmp_path: Path) -> None:
    """As on a GPU, in bfloat16; but for windows: torch does not train flex attention on a CPU."""
    source = toy_train(COMPILED="True", DTYPE="torch.bfloat16", WINDOW_PATTERN='"L"')
    done = train(
        prepared, source, TIME_BUDGET="4", TORCHINDUCTOR_CACHE_DIR=str(tmp_path / "new"), TORCH_LOGS="recompiles"
    )
    assert metric("num_steps", done.stdout) > 4
    assert metric("training_seconds", done.stdout) < 8
    training = done.stderr.split("evaluate_bpb")[0]
    assert "Recompiling function training_loss" not in training
    assert metric("val_bpb", done.stdout) < 4


WINDOWS = """
import torch, prepare
source = open("train.py").read().split("# Set-up")[0]
names = [{"__name__": "train"} for _ in range(2)]
for name, compiled in zip(names, ("False", "True")):
    exec(source.replace('COMPILED = DEVICE == "cuda"', f"COMPILED = {compiled}"), name)
q, k, v = torch.randn(3, 2, 2, prepare.MAX_SEQ_LEN, 16)
for window in (1, 7, 16, prepare.MAX_SEQ_LEN):
    masks = [name["window_mask"](window) for name in names]
    plain = names[0]["attend"](q, k, v, masks[0])
    blocks = torch.compile(names[1]["attend"])(q, k, v, masks[1])
    assert torch.allclose(plain, blocks, atol=1e-5), window
    assert masks[0].sum(dim=1).tolist() == [min(i + 1, window) for i in range(prepare.MAX_SEQ_LEN)]
names[1]["MAX_SEQ_LEN"] = 2048
print(names[1]["window_mask"](256).sparsity())
"""


@pytest.mark.slow
def test_windows_are_the_same_compiled_and_save_work(prepared: Path) -> None:
    done = python("-c", WINDOWS, tree=prepared, env=environment(prepared.parent / "cache"))
    assert done.returncode == 0, done.stderr
    assert float(done.stdout) > 80, "per cent of the blocks that are not computed"


# train.py's names, as they are where there is a GPU; two words that are given stand for two of its own.
AS_ON_A_GPU = """
import sys, torch, prepare
import torch.nn.attention.flex_attention as flex

source = open("train.py").read().split("# Set-up")[0].replace(*sys.argv[1:])
known, prepare.best_device = torch.cuda.is_available, lambda: "cuda"
torch.cuda.is_available = torch.cuda.is_bf16_supported = lambda *_: True
names = {"__name__": "train"}
exec(source, names)
"""

# The path of a GPU at full size, on tensors that have a device, a type and a shape, but no content.
ON_NOTHING = (
    AS_ON_A_GPU
    + """
import torch.nn.functional as F
assert names["COMPILED"] and names["DTYPE"] == torch.bfloat16
torch.cuda.is_available, names["DEVICE"], prepare.best_device = known, "meta", lambda: "meta"
flex._validate_device = lambda *_: None
with torch.device("cpu"):
    model = names["GPT"](prepare.VOCAB_SIZE).to("meta")
x, y = torch.zeros(2, names["DEVICE_BATCH_SIZE"], prepare.MAX_SEQ_LEN, dtype=torch.long, device="meta")
torch.compiler.is_compiling = lambda: True  # so flex attention it is
F.cross_entropy(model(x).flatten(0, 1), y.flatten()).backward()
for optimizer in names["make_optimizers"](model):
    optimizer.step(1.0, 0.5)
torch.compiler.is_compiling, prepare.check_agreement = lambda: False, lambda *_: None
graph = prepare.trace(model, len(x), prepare.VOCAB_SIZE)
print(sum(weights.numel() for weights in model.parameters()), {one.device.type for one in graph.weights.values()})
"""
)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("old", "new", "problem"),
    [
        ("STARTED =", "STARTED =", ""),
        pytest.param(
            *("angles.to(DEVICE, DTYPE)", "angles.to(DTYPE)", "is not on the expected device meta"),
            marks=pytest.mark.slow,
        ),
    ],
    ids=["as it is", "a wrong device"],
)
def test_the_path_of_a_gpu_at_full_size(old: str, new: str, problem: str, tmp_path: Path) -> None:
    """Model, loss, optimizers, and what is handed over; without a GPU, and without its content, in seconds."""
    done = python("-c", ON_NOTHING, old, new, tree=ROOT, env=environment(tmp_path))
    assert (done.returncode == 0) == (not problem)
    assert problem in done.stderr
    if not problem:
        assert done.stdout == "80936969 {'meta'}\n"


# The forward pass as a GPU does it, flex attention too, on tensors that are said to be on a GPU and have no content. A
# backward pass would need a real one ("hasPrimaryContext"), and so would Module.to.
ON_A_FAKE_GPU = (
    AS_ON_A_GPU
    + """
from torch._subclasses.fake_tensor import FakeTensorMode
torch.cuda.is_available = known
flex._FLEX_ATTENTION_DISABLE_COMPILE_DEBUG = True
torch.compiler.is_compiling = lambda: True  # so flex attention it is
with FakeTensorMode(), torch.no_grad():
    model = names["GPT"](prepare.VOCAB_SIZE)
    for module in model.modules():
        for name, weights in module._parameters.items():
            if weights is not None:
                module._parameters[name] = torch.nn.Parameter(torch.empty_like(weights, device="cuda"))
    x = torch.zeros(names["DEVICE_BATCH_SIZE"], prepare.MAX_SEQ_LEN, dtype=torch.long, device="cuda")
    logits = model(x)
print(logits.device, logits.dtype, *logits.shape)
"""
)


@pytest.mark.skipif(torch.version.cuda is None, reason="this torch is built without CUDA")
@pytest.mark.parametrize(
    ("old", "new", "problem"),
    [
        ("STARTED =", "STARTED =", ""),
        ("angles.to(DEVICE, DTYPE)", "angles.to(DTYPE)", "at least two devices"),
        ("value_embedding.to(v.dtype)", "value_embedding", "Expected query, key, and value to have the same dtype"),
    ],
    ids=["as it is", "a wrong device", "a wrong type"],
)
def test_the_forward_pass_on_a_fake_gpu(old: str, new: str, problem: str, tmp_path: Path) -> None:
    done = python("-c", ON_A_FAKE_GPU, old, new, tree=ROOT, env=environment(tmp_path))
    assert (done.returncode == 0) == (not problem), done.stderr
    assert problem in done.stderr
    if not problem:
        assert done.stdout == "cuda:0 torch.float32 128 2048 8192\n"


@pytest.mark.parametrize(
    ("gigabytes", "rows"), [(3.5, 4), (7.5, 8), (11.5, 16), (23.5, 32), (39, 64), (79, 128), (141, 128)]
)
def test_the_device_batch_follows_the_memory_of_the_gpu(
    gigabytes: float, rows: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    source = (ROOT / "train.py").read_text()
    names = {"torch": torch, "DEVICE": "cuda", "MAX_SEQ_LEN": 2048, "DEPTH": 9, "WIDTH": 640}
    names |= {"TOTAL_BATCH_SIZE": 2**18, "DEVICE_BATCH_SIZE": 128}
    names["tokenizer"] = type("Tokenizer", (), {"get_vocab_size": lambda self: 8192})()
    exec(source[source.index("def rows_that_should_fit") : source.index("def warm_up")], names)
    monkeypatch.setattr(torch.cuda, "mem_get_info", lambda: (int(gigabytes * 2**30), 0))
    assert names["rows_that_should_fit"]() == rows  # type: ignore[operator]


@pytest.mark.slow
def test_what_does_not_fit_is_halved(prepared: Path) -> None:
    """The effective batch and the evaluation stay the same."""
    tight = toy_train().replace(
        "        training_loss(x, y).backward()",
        "        if rows > 2:\n            raise torch.OutOfMemoryError\n        training_loss(x, y).backward()",
    )
    done = train(prepared, tight, TIME_BUDGET="1")
    assert f"cpu: 8 x 2 rows of {T} tokens a step\n" in done.stdout
    steps = metric("num_steps", done.stdout)
    assert metric("total_tokens_M", done.stdout) == pytest.approx(steps * 2**10 / 1e6, abs=0.006)


@pytest.mark.slow
@pytest.mark.xdist_group("real")
def test_a_night_on_the_full_profile(house: House, hub: Hub) -> None:
    """`make data PROFILE=full`, setup, baseline and an experiment."""
    (house.tree / "prepare.py").write_text(toy_prepare())
    (house.tree / "train.py").write_text(toy_train())
    house.commit("the real pair, in small")
    settings = {"PROFILE": "full", "AUTORESEARCH_CACHE": str(house.outside / "cache"), "TIME_BUDGET": "3"}
    result = house.call("make", "setup", "TAG=mar14", **settings)
    assert result.status == 2
    assert "setup: the data of profile 'full' is missing\nhint: run 'uv run prepare.py' (or: make data)" in result.err
    make_data = ("make", "data", "PROFILE=full", f"HF_ENDPOINT={hub.endpoint}")
    assert house.call(*make_data, **settings, timeout=300).status == 2
    hub.files |= {f"shard_{index:05d}.parquet": SHARDS["shard_00000.parquet"] for index in range(2, 10)}
    assert house.call(*make_data, **settings, timeout=300).status == 0
    house.setup(**settings)
    manifest = json.loads((house.run_folder / "manifest.json").read_text())
    assert manifest["settings"]["PROFILE"] == manifest["comparable"]["profile"] == "full"
    assert house.loop(1, **settings, timeout=300).status == 0
    assert len(house.rows()) == 2
    log = gzip.decompress((house.run_folder / f"logs/{house.rows()[0][0]}-1.log.gz").read_bytes()).decode()
    assert f"cpu: 2 x 8 rows of {T} tokens a step\n" in log
    assert 0.5 < metric("val_bpb", log) < 3
    assert metric("depth", log) == 3
    house.check_invariants()
