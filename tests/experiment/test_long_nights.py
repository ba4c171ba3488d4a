"""Nights are long: experiments cost no more at their end than at their beginning; 1,000 that were dreamt, or 2,000."""

import resource
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest
from house import House
from nights import Night, dream_on

WORSE = 'sed -i "s/^VALUE = .*/VALUE = 1.5  # $(date +%s%N)/" train.py; echo "no better"'


@dataclass(frozen=True)
class Held:
    """Open files, and kB of memory, of a process."""

    files: int
    memory: int

    def does_not_grow_to(self, later: "Held") -> None:
        assert later.files <= self.files
        assert later.memory <= 1.3 * self.memory


def held_by(pid: int) -> Held:
    status = Path(f"/proc/{pid}/status").read_text()
    return Held(len(list(Path(f"/proc/{pid}/fd").iterdir())), int(status.split("VmRSS:")[1].split()[0]))


def night(run: House, rows: int) -> tuple[Held, Held, float]:
    """So many experiments: what the loop holds after the fourth, and in the last one; CPU seconds, all in all."""
    table, held = run.run_folder / "results.tsv", []
    first, before = len(run.rows()), resource.getrusage(resource.RUSAGE_CHILDREN)
    with run.running("bin/loop", AGENT=str(run.proposer(WORSE)), MAX_EXPERIMENTS=str(rows), LOGS_MB="1") as process:
        for moment in (first + 4, first + rows - 1):
            while table.read_bytes().count(b"\n") - 1 < moment:
                assert process.poll() is None
                time.sleep(0.02)
            held.append(held_by(process.pid))
        assert process.wait(60) == 0
    assert len(run.rows()) == first + rows
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return held[0], held[1], after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def done(run: House) -> None:
    """Really: with each half of the night no heavier at its end than at its beginning."""
    run.baseline()
    for _ in range(2):
        early, late, _ = night(run, 1000)
        early.does_not_grow_to(late)
        run.git("gc", "--quiet")


def dreamt(run: House) -> None:
    """Its ledger, commits and logs."""
    dream_on(run, Night(1000, steps=100))
    logs = list((run.run_folder / "logs").iterdir())
    assert sum(path.stat().st_size for path in logs) > 1_200_000, "more than LOGS_MB"


@pytest.mark.slow
@pytest.mark.parametrize("age", [dreamt, pytest.param(done, marks=pytest.mark.long)])
def test_a_long_night(run: House, settled: House, tmp_path: Path, age: Callable[[House], None]) -> None:
    """The rest of it, with a git gc in its middle; in turns with a young one: the machine does the same to both."""
    age(run)
    young, rows = settled.copy(tmp_path / "young"), len(run.rows())
    early, _, first = night(young, 8)
    _, _, last = night(run, 8)
    run.git("gc", "--quiet")
    _, late, again = night(run, 8)
    _, _, second = night(young, 8)
    early.does_not_grow_to(late)
    print(f"CPU seconds: {first:.2f} and {second:.2f} at the beginning, {last:.2f} and {again:.2f} at the end")
    assert min(last, again) <= 1.3 * min(first, second)
    assert run.statuses()[rows:] == ["discard"] * 16
    logs = list((run.run_folder / "logs").iterdir())
    assert sum(path.stat().st_size for path in logs) <= 1_010_000, "LOGS_MB, and those of ten experiments"
    run.check_invariants()
