"""The pair prepare.py and train.py, in the hands of tests: imported, or at sizes that a CPU trains in seconds."""

import importlib.util
import io
import random
import re
import sys
from collections.abc import Callable
from pathlib import Path
from types import ModuleType

import pyarrow
import pyarrow.parquet
import pytest
from house import ROOT


def import_prepare(
    cache: Path, monkeypatch: pytest.MonkeyPatch, folder: Path = ROOT, profile: str = "small"
) -> ModuleType:
    """A fresh import of prepare.py, over a cache."""
    monkeypatch.setenv("AUTORESEARCH_CACHE", str(cache))
    monkeypatch.setenv("PROFILE", profile)
    monkeypatch.delenv("TIME_BUDGET", raising=False)
    spec = importlib.util.spec_from_file_location("prepare", folder / "prepare.py")
    assert spec
    assert spec.loader
    module = importlib.util.module_from_spec(spec)
    monkeypatch.setitem(sys.modules, "prepare", module)
    spec.loader.exec_module(module)
    return module


# Profile `full`: the same code, smaller constants.
T, VOCAB, EVAL_ROWS = 64, 512, 32
SIZES = {
    "DEPTH": "3",
    "WIDTH": "32",
    "HEAD_DIM": "16",
    "WINDOW_PATTERN": '"SL"',
    "SHORT_WINDOW": "16",
    "TOTAL_BATCH_SIZE": "2**10",
    "DEVICE_BATCH_SIZE": "8",
}


def replaced(source: str, pattern: str, new: str | Callable[[re.Match[str]], str]) -> str:
    source, times = re.subn(pattern, new, source, flags=re.MULTILINE)
    assert times == 1, pattern
    return source


def toy_prepare() -> str:
    constants = f"Profile({T}, {VOCAB}, 4, time_budget=300, eval_tokens={EVAL_ROWS * T}"
    source = (ROOT / "prepare.py").read_text()
    return replaced(source, r"Profile\(2048, 8192, 4, time_budget=300, eval_tokens=40 \* 524288", constants)


def toy_train(**changed: str) -> str:
    """train.py, with other sizes; `changed`: what other names at module level are to be."""
    source = (ROOT / "train.py").read_text()
    for name, value in SIZES.items():
        source = replaced(source, rf"^({name} = \S+ if SMALL else )\S+", rf"\g<1>{value}")
    for name, value in changed.items():
        source = replaced(source, rf"^{name} = .*$", f"{name} = {value}")
    return source


def documents(number: int, seed: int) -> list[str]:
    """Of 1 to 120 words, so that some fit into a row of T tokens, and some do not."""
    rng = random.Random(seed)
    words = ["".join(random.Random(i).choices("etaoinshrdlu", k=2 + i % 8)) for i in range(300)]
    return [" ".join(rng.choices(words, k=rng.randint(1, 120))) + "." for _ in range(number)]


def shard(texts: list[str]) -> bytes:
    """The bytes of a parquet file such as those of the data set: one column, row groups of 1,024."""
    file = io.BytesIO()
    pyarrow.parquet.write_table(pyarrow.table({"text": texts}), file, row_group_size=1024)
    return file.getvalue()


SHARDS = {f"shard_{index:05d}.parquet": shard(documents(1500, index)) for index in (0, 1, 6542)}
