"""Nights are long: experiments with a fake trainer cost no more at their end than at their beginning; 200, or 2,000."""

import time
from itertools import pairwise
from pathlib import Path
from statistics import median

import pytest
from house import House

WORSE = 'sed -i "s/^VALUE = .*/VALUE = 1.5  # $(date +%s%N)/" train.py; echo "no better"'


def held_by(pid: int) -> tuple[int, int]:
    """Open files, and kB of memory, of a process."""
    status = Path(f"/proc/{pid}/status").read_text()
    return len(list(Path(f"/proc/{pid}/fd").iterdir())), int(status.split("VmRSS:")[1].split()[0])


def night(run: House, rows: int) -> list[float]:
    """So many experiments; how long each took. The loop itself does not grow."""
    table, seen, ends = run.run_folder / "results.tsv", len(run.rows()), [time.monotonic()]
    held = []
    with run.running("bin/loop", AGENT=str(run.proposer(WORSE)), MAX_EXPERIMENTS=str(rows), LOGS_MB="1") as process:
        while process.poll() is None:
            if (now := table.read_bytes().count(b"\n") - 1) > seen:
                ends += [time.monotonic()] * (now - seen)
                seen = now
                if len(ends) < rows:
                    held.append(held_by(process.pid))
            time.sleep(0.01)
        assert process.returncode == 0
    assert held[-1][0] <= held[5][0], "open files"
    assert held[-1][1] <= 1.3 * held[5][1], "memory"
    return [after - before for before, after in pairwise(ends)]


@pytest.mark.parametrize("half", [100, pytest.param(1000, marks=pytest.mark.long)])
def test_a_long_night(run: House, tmp_path: Path, half: int) -> None:
    """With a git gc in its middle."""
    assert run.once("/bin/false").status == 1
    young = run.copy(tmp_path / "young")
    night(run, half)
    run.git("gc", "--quiet")
    night(run, half)
    assert len(run.rows()) == 2 * half + 1
    assert sum(path.stat().st_size for path in (run.run_folder / "logs").iterdir()) <= 1_000_000
    run.check_invariants()
    if half >= 1000:
        last, first = in_turns(run, young)
        print(f"median of an experiment: {first:.3f} s at the beginning, {last:.3f} s at the end")
        assert last <= 1.3 * first


def in_turns(old: House, young: House) -> tuple[float, float]:
    """What an experiment takes in each of two runs, made in turns: whatever else the machine does, it does to both."""
    took: tuple[list[float], list[float]] = [], []
    for _ in range(10):
        for times, one in zip(took, (old, young), strict=True):
            times += night(one, 10)[1:]
    return median(took[0]), median(took[1])
