"""How a failed run is told from another: the rules, by their logs; what looks like one; what a proposer is shown."""

import json
import os
import random
import re
import time
from pathlib import Path
from typing import NamedTuple

import pytest
from house import ROOT
from lab.runs import failures
from lab.runs.failure_rules import RULES
from lab.runs.failures import EXCERPT, MENDABLE, TAIL, WHY, Failure, excerpt
from test_evaluation_record import measure as evaluated

WORDS = json.loads((ROOT / "schemas/experiment.schema.json").read_text())["properties"]["failure"]["enum"]
NAMES = [rule.name for rule in RULES]
MACHINE = [rule for rule in RULES if rule.machine[0]]
PRINTED = rb"[A-Za-z_][\w.]*Error\b.*"  # the end of a traceback


class Example(NamedTuple):
    """A log, the rule that it is named after, and the status of the run."""

    path: Path
    rule: str
    status: int

    @property
    def log(self) -> bytes:
        return self.path.read_bytes()


def read(path: Path) -> Example:
    rule, status, *_ = path.name.split(".")
    return Example(path, rule, int(status))


def kills(example: Example) -> int:
    """How many processes the kernel's OOM killer has ended, so that its rule fits."""
    return int(next(rule for rule in RULES if rule.name == example.rule).oom_killer)


EXAMPLES = [read(path) for path in sorted((ROOT / "tests/examples/failures").glob("*.log"))]
ALL = pytest.mark.parametrize("example", EXAMPLES, ids=[example.path.stem for example in EXAMPLES])


def failure(
    folder: Path, log: bytes, status: int = 1, *, lacks: str | None = "no-metric", oom_kills: int = 0
) -> Failure:
    (folder / "run.log").write_bytes(log)
    found = failures.cause(status, lacks, failures.tail(folder / "run.log"), oom_kills)
    assert found
    return found


def shown(folder: Path, log: bytes | str) -> str:
    """The excerpt of a log, which is what it must be for any log."""
    path = folder / "run.log"
    path.write_bytes(log if isinstance(log, bytes) else log.encode())
    text = excerpt(path)
    assert len(text.encode()) <= EXCERPT
    assert all(character.isprintable() or character == "\n" for character in text)
    assert text.splitlines() == (text.split("\n") if text else [])
    assert excerpt(path) == text
    return text


# ---------------------------------------------------------------------------
# The rules, by their logs
# ---------------------------------------------------------------------------


@ALL
def test_a_log_is_told_by_the_rule_that_it_is_an_example_of(tmp_path: Path, example: Example) -> None:
    rule = next(rule for rule in RULES if rule.name == example.rule)
    found = failure(tmp_path, example.log, example.status, oom_kills=int(rule.oom_killer))
    assert found.rule == example.rule, found
    assert (found.word, found.part, found.fault) == (rule.failure, *rule.machine)


@ALL
def test_lines_may_end_with_a_carriage_return(tmp_path: Path, example: Example) -> None:
    for end in (b"\r", b"\r\n"):
        log = example.log.replace(b"\n", end)
        assert failure(tmp_path, log, example.status, oom_kills=kills(example)).rule == example.rule


@ALL
def test_colours_hide_nothing(tmp_path: Path, example: Example) -> None:
    lines = example.log.splitlines(keepends=True)
    log = b"".join(b"\x1b[1;35m" + line.replace(b": ", b"\x1b[0m: \x1b[35m") + b"\x1b[0m" for line in lines)
    assert failure(tmp_path, log, example.status, oom_kills=kills(example)).rule == example.rule


BEFORE = [
    "[rank0]: ", "[default0]:[rank12]:", "[1,0]<stderr>:", "(train pid=7) ", "(Worker pid=12, ip=10.0.0.1) ", "0: ",
    "2026-03-14 09:26:53,123 ", "[2026-03-14 09:26:53 TP5] ", "2026-03-14T09:26:53.123456Z stderr F ", "[09:26:53] ",
    "2026-03-14 09:26:53,123 - root - ERROR - ", "2026-03-14 09:26:53.123 | ERROR    | __main__:main:12 - ",
    "[2026-03-14 09:26:53,123][__main__][ERROR] - ", "ERROR:root:", "Mar 14 09:26:53 gpu1 python[12]: ",
    "[E314 09:26:53.123456789 ProcessGroupNCCL.cpp:1515] ", "E0314 09:26:53.123456    4711 train.cc:12] ",
    "2026-03-14 09:26:53.123456: E tensorflow/core/common_runtime/x.cc:12] ",
]  # fmt: skip


@ALL
def test_what_stands_before_each_line_hides_nothing(tmp_path: Path, example: Example) -> None:
    """Of ranks, launchers and loggers."""
    for before in BEFORE:
        log = "".join(before + line for line in example.log.decode().replace("\r", "\n").splitlines(keepends=True))
        found = failure(tmp_path, log.encode(), example.status, oom_kills=kills(example))
        assert found.rule == example.rule, (before, found)
        assert before.strip() not in found.why


@ALL
def test_a_reason_is_one_line_with_the_cause(tmp_path: Path, example: Example) -> None:
    rule = next(rule for rule in RULES if rule.name == example.rule)
    why = failure(tmp_path, example.log, example.status, oom_kills=int(rule.oom_killer)).why
    assert why.isprintable()
    assert why.startswith(rule.says)
    assert len(why) < 240
    last = re.findall(rb"^" + PRINTED, example.log, re.MULTILINE)
    if rule.text and last and rule.name not in ("compile", "nan-printed", "disk-full"):
        assert last[-1].decode()[:20] in why


@ALL
def test_the_traceback_is_what_a_proposer_is_shown(tmp_path: Path, example: Example) -> None:
    text = shown(tmp_path, example.log)
    assert text or not example.log
    assert text.count("step 000") <= 1, "of the steps, the last"
    for line in re.findall(rb"^" + PRINTED, example.log, re.MULTILINE)[-1:]:
        assert line.decode()[:200].strip() in text
    if b"Traceback" in example.log and len(example.log) < EXCERPT:
        assert "Traceback (most recent call last):" in text
        assert "train.py" in text or "prepare.py" in text


def test_every_rule_has_a_log() -> None:
    assert sorted(set(NAMES)) == sorted(NAMES)
    assert {example.rule for example in EXAMPLES} == set(NAMES)


def test_every_rule_uses_the_words_that_there_are() -> None:
    assert {rule.failure for rule in RULES} <= set(WORDS)
    assert set(WHY) == set(WORDS) - {"rejected", None}
    kinds = re.findall(r"^ +([a-z-]+)\) fault_of_", (ROOT / "lib/run/machine_faults.sh").read_text(), re.MULTILINE)
    untold = {"network", "shared-memory"}  # nothing but a run of the incumbent's code tells
    assert {rule.machine[0] for rule in MACHINE} == set(kinds) | untold
    for rule in RULES:
        assert bool(rule.machine[0]) == bool(rule.machine[1])
        for text in filter(None, (rule.says, rule.machine[1])):
            assert not text.endswith(".")
            assert len(text) <= 80


@pytest.mark.parametrize("status", range(1, 256))
def test_whatever_the_status_there_is_a_failure(tmp_path: Path, status: int) -> None:
    assert failure(tmp_path, b"", status).word in WORDS
    assert failure(tmp_path, b"", status, lacks=None).word == ("timeout" if status == 124 else "error")


# ---------------------------------------------------------------------------
# What looks like one
# ---------------------------------------------------------------------------

TEXTS = [example for example in EXAMPLES if any(rule.text and rule.name == example.rule for rule in MACHINE)]


@pytest.mark.parametrize("before", [b"> ", b"It is said that ", b"step 12 (3.1%) | loss: 3.2 | "])
@pytest.mark.parametrize("example", TEXTS, ids=[example.path.stem for example in TEXTS])
def test_who_talks_about_the_machine_does_not_accuse_it(tmp_path: Path, example: Example, before: bytes) -> None:
    log = b"".join(before + line for line in example.log.replace(b"\r", b"\n").splitlines(keepends=True))
    assert failure(tmp_path, log, example.status).part is None


SAID = [
    tuple(line.split("\t"))
    for line in (ROOT / "tests/examples/failures/said.tsv").read_text().splitlines()
    if not line.startswith("#")
]


@pytest.mark.parametrize(("word", "part", "line"), SAID, ids=[line[:60] for _, _, line in SAID])
def test_what_other_libraries_say(tmp_path: Path, word: str, part: str, line: str) -> None:
    log = f'Traceback (most recent call last):\n  File "train.py", line 24, in <module>\n    go()\n{line}\n'.encode()
    found = failure(tmp_path, log)
    assert (found.word, found.part or "-") == (word, part), found
    assert found.why.endswith((" ".join(line.split()), "..."))
    assert failure(tmp_path, b"It said: " + line.encode()).part is None
    if word == "killed":
        assert failure(tmp_path, log, oom_kills=1).word == "oom"


@pytest.mark.parametrize(
    "line",
    [
        "pyarrow.lib.ArrowInvalid: Parquet magic bytes not found in footer",
        "optuna.exceptions.TrialPruned",
        "subprocess.TimeoutExpired: Command x timed out after 5 seconds",
        "jsonschema.exceptions.UnknownType: x",
        "click.exceptions.BadParameter: no such size",
        "my.own.Oops: a line\nand another that is indented by nothing",
        "données.Échec: non",
    ],
)
def test_a_reason_names_the_last_exception_whatever_it_is_called(tmp_path: Path, line: str) -> None:
    first = 'Traceback (most recent call last):\n  File "train.py", line 2, in f\n    x\nKeyError: 1\n\nDuring it:\n\n'
    last = f'Traceback (most recent call last):\n  File "train.py", line 9, in <module>\n    f()\n{line}\n'
    assert failure(tmp_path, (first + last).encode()).why == f"it ended with an error: {line.splitlines()[0]}"


@pytest.mark.parametrize(
    ("log", "status", "said"),
    [
        ("loading\nthe corpus has no tokens\n", 1, "the corpus has no tokens"),  # sys.exit("...")
        ("usage: train.py [-h]\ntrain.py: error: unknown argument --x\n\n", 2, "train.py: error: unknown argument --x"),
        ("bash: line 1: exec: uv: not found\n", 127, "bash: line 1: exec: uv: not found"),
        ("step 00012 (4.1%) | loss: 5.120481\n", 3, "exit status 3"),
        ("Epoch 3: 12/400\n", 3, "exit status 3"),
        ("-----\n\n", 3, "exit status 3"),
        ("", 1, "exit status 1"),
    ],
)
def test_without_an_exception_it_is_the_last_line_that_says_something(
    tmp_path: Path, log: str, status: int, said: str
) -> None:
    assert failure(tmp_path, log.encode(), status).why.endswith(f": {said}")


CAUGHT = """\
Traceback (most recent call last):
  File "train.py", line 3, in <module>
httpx.ConnectError: [Errno -3] Temporary failure in name resolution
"""
LAST = """\
Traceback (most recent call last):
  File "train.py", line 30, in <module>
{}
"""


@pytest.mark.parametrize(
    ("between", "last", "word", "part"),
    [
        ("no hub, so without it\nstep 1\n", "torch.OutOfMemoryError: CUDA out of memory.", "oom", None),
        ("no hub, so without it\nstep 1\n", "KeyError: 1", "error", None),
        (
            "\nDuring handling of the above exception, another exception occurred:\n\n",
            "OSError: it is away",
            "error",
            "network",
        ),
        (
            "\nThe above exception was the direct cause of the following exception:\n\n",
            "KeyError: 1",
            "error",
            "network",
        ),
        ("", "subprocess.CalledProcessError: Command 'curl' failed", "error", "network"),
    ],
)
def test_an_outage_that_was_caught_is_not_the_cause(
    tmp_path: Path, between: str, last: str, word: str, part: str | None
) -> None:
    found = failure(tmp_path, f"{CAUGHT}{between}{LAST.format(last)}".encode())
    assert (found.word, found.part) == (word, part), found


def test_a_group_of_exceptions_is_read_like_others(tmp_path: Path) -> None:
    log = (
        '  + Exception Group Traceback (most recent call last):\n  |   File "train.py", line 3, in <module>\n'
        "  | ExceptionGroup: unhandled errors in a TaskGroup (1 sub-exception)\n  +-+---------------- 1 --------\n"
        '    | Traceback (most recent call last):\n    |   File "train.py", line 2, in f\n'
        "    | httpx.ConnectError: All connection attempts failed\n    +------------------------------------\n"
    )
    assert failure(tmp_path, log.encode()).part == "network"


LIKE_IT: list[tuple[str, int, str]] = [
    ("KeyError: 'HTTP Error 429'", 1, "error"),
    ("TypeError: Connection refused", 1, "error"),
    ("requests.exceptions.HTTPError: 404 Client Error: Not Found for url: https://huggingface.co/x", 1, "error"),
    ("huggingface_hub.errors.RepositoryNotFoundError: 401 Client Error. (Request ID: Root=1-429)", 1, "error"),
    ("urllib3.exceptions.InsecureRequestWarning: Max retries exceeded with url: /", 1, "error"),
    ("WARNING:urllib3.connectionpool:Retrying after 'Name or service not known'", 1, "error"),
    ("RuntimeError: index 4 is out of memory bounds", 1, "error"),
    ("triton.runtime.autotuner.OutOfResources: out of resource: shared memory", 1, "compile"),
    ("RuntimeError: CUDA error: invalid device ordinal", 1, "cuda"),
    ("concurrent.futures.process.BrokenProcessPool: A process in the process pool was terminated abruptly", 1, "error"),
    ("AssertionError: Torch not compiled with CUDA enabled", 1, "assertion"),
    ("ModuleNotFoundError: No module named 'torch.muon'", 1, "import"),
    ("ModuleNotFoundError: No module named 'triton'", 1, "import"),
    ("OSError: [Errno 30] Read-only file system: 'weights.txt'", 1, "error"),  # in the sandbox, on purpose
    ("OSError: [Errno 30] Read-only file system: '/home/ada/runs/scratch'", 1, "error"),
    ("RuntimeError: [enforce fail at inline_container.cc:747] . open file failed with strerror: Read-only file system"
     , 1, "error"),
    ("OSError: [Errno 24] Too many open files: '/dev/null'", 1, "error"),
    ("FileNotFoundError: [Errno 2] No such file or directory: 'corpus.txt'", 1, "error"),
    ("AssertionError: No parquet files", 1, "assertion"),
    ("prepare: bad time budget 'x'\nhint: give seconds, such as TIME_BUDGET=60", 2, "error"),
    ("step 1\nerror: Failed to spawn: train.py", 2, "error"),  # uv says it first, or not at all
    ("step 1\nbwrap: No permissions to create new namespace", 1, "error"),
    ("error: Failed to spawn: train.py", 7, "error"),
    ("UserWarning: CUDA initialization: No CUDA GPUs are available", 1, "error"),
    ("RuntimeError: CUDA error: unspecified launch failure", 1, "cuda"),
    ("triton.runtime.errors.OutOfResources: out of resource: shared memory, Required: 131072", 1, "compile"),
    ("NameError: name 'nanmean' is not defined, the loss had info", 1, "error"),
    ("NameError: name 'nan' is not defined", 1, "error"),
    ("FAIL: 3 of 8 blocks\nretry", 1, "error"),
    ("MemoryErrors: 0", 1, "error"),
    ("KeyError: 'CUDA out of memory.'", 1, "error"),
]  # fmt: skip


@pytest.mark.parametrize(("log", "status", "rule"), LIKE_IT)
def test_what_looks_like_a_rule(tmp_path: Path, log: str, status: int, rule: str) -> None:
    assert failure(tmp_path, f"{log}\n".encode(), status).rule == rule


FULL = b"OSError: [Errno 28] No space left on device\n"
OOM = next(example for example in EXAMPLES if example.path.name == "gpu-held.1.log").log


def test_a_metric_and_a_good_end_are_never_the_machines_fault() -> None:
    assert failures.cause(0, None, FULL + OOM, oom_kills=3) is None


@pytest.mark.parametrize("lacks", ["nan", "no-metric"])
def test_nor_is_what_was_printed(tmp_path: Path, lacks: str) -> None:
    assert failure(tmp_path, FULL, 0, lacks=lacks) == Failure(lacks, WHY[lacks], "printed")


def test_nor_is_a_timeout(tmp_path: Path) -> None:
    for lacks in (None, "no-metric"):
        found = failure(tmp_path, FULL + OOM, 124, lacks=lacks)
        assert (found.word, found.part, found.fault) == ("timeout", None, None)


def test_a_metric_but_no_good_end_may_be(tmp_path: Path) -> None:
    found = failure(tmp_path, b"val_bpb: 1.5\n" + FULL, 1, lacks=None)
    assert (found.word, found.part) == ("error", "disk")
    assert failure(tmp_path, OOM, 1, lacks=None).word == "error"


def test_the_kernels_oom_killer(tmp_path: Path) -> None:
    assert failure(tmp_path, b"step 1\n", 137, oom_kills=2).word == "oom"
    assert failure(tmp_path, b"step 1\n", 137).word == "killed"
    for status in (143, 139, 1):  # it kills by KILL; meanwhile it has ended somebody else
        assert failure(tmp_path, b"step 1\n", status, oom_kills=2).word != "oom"


def test_who_is_killed_from_outside_has_not_died_of_what_the_log_says(tmp_path: Path) -> None:
    for log in (FULL, OOM, b"MemoryError\n", b"FAIL\n"):
        assert {failure(tmp_path, log, status).word for status in (129, 130, 137, 143)} == {"killed"}


def test_what_is_mendable(tmp_path: Path) -> None:
    mendable = {rule.failure for rule in RULES if Failure(rule.failure, "", rule.name).is_mendable}
    assert mendable | {"no-metric", "start-up"} == set(MENDABLE) == {"error", "nan", "no-metric", "start-up"}
    assert failure(tmp_path, b"", 0).is_mendable


def test_a_number_that_nobody_has_measured_is_not_mendable(tmp_path: Path) -> None:
    measured = evaluated(tmp_path, None)
    assert measured["failure"] == "no-metric"
    assert (tmp_path / "flights/f1/mendable").read_text() == "no\n"
    assert not (tmp_path / "flights/f1/suspect").exists()


# ---------------------------------------------------------------------------
# Logs of any size, of any bytes
# ---------------------------------------------------------------------------


def test_the_end_of_a_log_is_looked_at(tmp_path: Path) -> None:
    assert failure(tmp_path, FULL + b"x\n" * (TAIL // 2 - len(FULL))).part == "disk"
    assert failure(tmp_path, FULL + b"x\n" * (TAIL // 2)).rule == "error"


def test_half_a_line_is_none(tmp_path: Path) -> None:
    for cut in (-1, 0, 1):
        rest = b"x" * (TAIL - len(FULL) + cut) + b"\n"
        assert failure(tmp_path, b"it was no " + FULL + rest).part is None
        assert failure(tmp_path, b"it was no " + FULL[:-1] + rest).part is None


def test_the_beginning_of_the_end_is_not_that_of_the_log(tmp_path: Path) -> None:
    words = b"error: Failed to spawn: train.py\n"
    assert failure(tmp_path, words, 2).rule == "uv"
    assert failure(tmp_path, b"step\n" * TAIL + words + b"x" * (TAIL - len(words)), 2).rule == "error"


def test_a_line_of_100_mb(tmp_path: Path) -> None:
    log = tmp_path / "run.log"
    began = time.process_time()
    with log.open("wb") as file:
        file.truncate(100_000_000)
        file.seek(0, os.SEEK_END)
        file.write(b" CUDA out of memory")
    assert failures.cause(1, "no-metric", failures.tail(log)) == Failure(
        "error", f"{WHY['error']}: exit status 1", "error"
    )
    assert excerpt(log) == " CUDA out of memory"
    with log.open("ab") as file:
        file.write(b"\rMemoryError\r")
    found = failures.cause(1, "no-metric", failures.tail(log))
    assert found
    assert found.word == "oom"
    assert excerpt(log) == "MemoryError"
    assert time.process_time() - began < 5, "CPU seconds"


HOSTILE = {
    "names": b"a: " * TAIL,
    "short lines": b"a: CUDA out of memory.\n" * TAIL,
    "losses": b"E: " + b"loss " * TAIL,
    "lines of losses": (b"E: " + b"loss returned " * 30 + b"\n") * 500,
    "processes": b"E: CUDA out of memory." + b" Process 1 has 1.00 GiB memory in us" * 3000,
    "processes on lines": (b"E: CUDA out of memory." + b" Process 1 has 1.00 GiB memory in us" * 60 + b"\n") * 60,
    "colons": (b"x:" * 200 + b": " + b"y: " * 100 + b"\n") * 200,
    "words": b"a" * TAIL + b": " + b"b" * TAIL,
    "warnings": b"warning: \n" * TAIL,
    "blanks": b" " * TAIL + b"\n" * TAIL,
    "escapes": b"\x1b[" * TAIL + b"\x1b]" * TAIL,
}


@pytest.mark.first_case
@pytest.mark.parametrize("log", HOSTILE.values(), ids=HOSTILE)
def test_a_log_that_is_hard_to_search(tmp_path: Path, log: bytes) -> None:
    began = time.process_time()
    for status in (1, 2, 134):
        for part in (log, log[-TAIL:], log[: TAIL // 2]):
            assert failure(tmp_path, part, status).why.isprintable()
            shown(tmp_path, part)
    assert time.process_time() - began < 20, "CPU seconds"


@pytest.mark.parametrize("seed", range(8))
def test_any_bytes(tmp_path: Path, seed: int) -> None:
    log = random.Random(seed).randbytes(3 * TAIL)
    assert failure(tmp_path, log).why.isprintable()
    shown(tmp_path, log)
    assert failure(tmp_path, log + b"\nMemoryError: \xff\xfe\x00\x1b[1m\x80").word == "oom"
    assert shown(tmp_path, log + b"\nMemoryError: \xff\xfe\x00\x1b[1m\x80").endswith("\nMemoryError:")


# ---------------------------------------------------------------------------
# What a proposer is shown
# ---------------------------------------------------------------------------

PROGRESS = "".join(f"\rstep {step:05d} ({step / 9:.1f}%) | loss: {9 / step:.6f}    " for step in range(1, 900))


@pytest.mark.parametrize(
    ("log", "text"),
    [
        ("", ""),
        ("\n\n", ""),
        ("\r\r\r", ""),
        ("one", "one"),
        ("one\n", "one"),
        ("one\ntwo\n", "one\ntwo"),
        ("  one\n", "  one"),
        ("one  \n", "one"),
        ("one\n\n\n\ntwo\n", "one\n\ntwo"),
        ("one\r\ntwo\r\n", "one\ntwo"),
        ("one\rtwo\rthree", "three"),
        ("one\rtwo\r   \r\n", "two"),
        ("step 1\rstep 2\nKeyError: 1\n", "step 2\nKeyError: 1"),
        (
            f"{PROGRESS}\nFAIL: training loss is nan\n",
            "step 00899 (99.9%) | loss: 0.010011\nFAIL: training loss is nan",
        ),
        (f"{PROGRESS}Traceback (most recent call last):\n", None),
        ("step 1 | loss: 2.5\nstep 2 | loss: 2.25\nstep 3 | loss: nan\n", "step 2 | loss: 2.25\nstep 3 | loss: nan"),
        ("10%|█         | 1/9\n20%|██▍       | 2/9\n", "20%|██▍       | 2/9"),
        ('  File "a.py", line 1, in f\n    f()\n  File "a.py", line 2, in f\n    f()\n', None),
        ("    a = b\n    ^^^^^\n    c = d\n    ^^^^^\n", "    a = b\n    ^^^^^\n    c = d\n    ^^^^^"),
        ("\x1b[1;31mred\x1b[0m and \x1b[38;5;12mblue\x1b[m\n", "red and blue"),
        ("\x1b]0;title\x07one\x1b]8;;http://x\x1b\\two\x1b]8;;\x1b\\\n", "onetwo"),
        ("\x1b[2K\x1b[1Gone\x1b[A\x1b(B\x1b=\x1bM\n", "one"),
        ("one\x1b]never ends\ntwo\n", "one\ntwo"),
        ("one\x1b", "one"),
        ("a\tb\x00\x07\x08\x0b\x0c\x85\u2028\u202e\ufeffc", "a    bc"),
        ("naïve ✓ 日本\n", "naïve ✓ 日本"),
    ],
)
def test_what_is_shown(tmp_path: Path, log: str, text: str | None) -> None:
    assert shown(tmp_path, log) == (log.lstrip("\r").rpartition("\r")[2].rstrip() if text is None else text)


def test_the_end_is_shown_and_begins_with_a_line(tmp_path: Path) -> None:
    names = [f"line {''.join(random.Random(n).choices('abcdefgh', k=30))}é" for n in range(500)]
    text = shown(tmp_path, "\n".join(names))
    lines = text.split("\n")
    assert lines == names[-len(lines) :]
    assert len(text.encode()) > EXCERPT - 80


def test_of_a_long_line_both_ends_are_shown(tmp_path: Path) -> None:
    text = shown(tmp_path, "g++ main.cpp " + "-Iinclude " * 1000 + "-o main.so\nKeyError: 'x'\n")
    assert text.startswith("g++ main.cpp -Iinclude")
    assert text.endswith("-Iinclude -o main.so\nKeyError: 'x'")
    assert len(text) < 700
    assert shown(tmp_path, "é" * TAIL).startswith("é")


def test_a_log_of_progress_alone_is_its_last_line(tmp_path: Path) -> None:
    assert shown(tmp_path, PROGRESS * 300).count("step") == 1
    assert shown(tmp_path, PROGRESS.replace("\r", "\n") * 300).count("step") == 1
