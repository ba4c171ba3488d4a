"""`make status`: where a run stands, in a few lines for a person, and for machines."""

import json
import re
import subprocess
import sys
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result
from house import House
from lab.cli import main
from lab.store import ledger, schemas
from lab.views import status as module
from lab.views import status_text
from nights import audit as night_audit

MANIFEST = {
    "tag": "mar14",
    "start": "0123456789" * 4,
    "created": "2026-03-14T09:26:53Z",
    "settings": {"PROFILE": "small", "TIME_BUDGET": "60"},
}
ROWS = [
    ("a1b2c3d", "0.997900", "44.0", "keep", "baseline"),
    ("b2c3d4e", "0.993200", "44.2", "keep", "increase LR to 0.04"),
    ("c3d4e5f", "1.005000", "44.0", "discard", "switch to GeLU activation"),
    ("d4e5f60", "0.000000", "0.0", "crash", "double model width (OOM)"),
]


ALIVE = {"alive": "yes", "pid": "7", "since": "2026-03-14 10:00:00"}
COMMITTED = "10-propose\n15-carry-over\n20-commit\n"  # steps that are done


def make_run(folder: Path, rows: list[tuple[str, ...]], *, foreign: tuple[str, ...] = ()) -> Path:
    """A run with these rows, each with its object unless it is foreign."""
    run = folder / "mar14"
    run.mkdir()
    (run / "manifest.json").write_text(json.dumps(MANIFEST))
    (run / "results.tsv").write_text("".join(f"{line}\n" for line in (ledger.HEADER, *map("\t".join, rows))))
    with (run / "experiments.jsonl").open("w") as file:
        for n, (commit, val_bpb, _, verdict, description) in enumerate(rows, start=1):
            value = None if verdict == "crash" else float(val_bpb)
            facts: dict[str, Any] = {"n": n, "commit": commit.ljust(40, "0"), "status": verdict, "val_bpb": value}
            facts |= {"rule": "baseline" if n == 1 else "gain", "runs": [{"seed": 42, "val_bpb": value}]}
            if commit not in foreign:
                file.write(json.dumps(facts | {"description": description}) + "\n")
    return run


def fly(run: Path, flight: str = "f1", **facts: str) -> Path:
    folder = run / "flights" / flight
    folder.mkdir(parents=True)
    for name, text in facts.items():
        (folder / name).write_text(text)
    return folder


def call(run: Path, *options: str, **facts: str) -> Result:
    """Facts are those of lib/facts.sh."""
    said = "".join(f"{name}={value}\n" for name, value in facts.items())
    return CliRunner().invoke(main, ["status", str(run), *options], input=said)


def status(run: Path, **facts: str) -> list[str]:
    """All lines but that of the disk: what is free changes while we look."""
    result = call(run, **facts)
    assert result.exit_code == 0, result.output
    assert result.stderr == ""
    return [line for line in result.stdout.splitlines() if not line.startswith("disk ")]


def as_json(run: Path, **facts: str) -> dict[str, Any]:
    at: dict[str, Any] = json.loads(call(run, "--json", **facts).stdout)
    assert schemas.problems("status", at) == []
    return at


def rows_in(lines: list[str]) -> list[str]:
    """Those of the ledger."""
    return [line for line in lines if re.match(r" +#\d+ ", line)]


def line(run: Path, name: str, **facts: str) -> str:
    return next(line for line in status(run, **facts) if line.startswith(name))


def test_whole(tmp_path: Path) -> None:
    facts = {"branch": "autoresearch/mar14", "wanted": "yes", **ALIVE}
    facts |= {"agent": "claude", "engine": "local", "watcher": "cron"}
    assert status(make_run(tmp_path, ROWS), **facts) == [
        f"run       mar14, from 0123456, set up {local('2026-03-14T09:26:53Z')}; small, 60 s a run",
        "loop      running since 2026-03-14 10:00 (pid 7), proposer claude; cron restarts it",
        "in flight nothing",
        "rows      1 kept of 3, 1 discarded, 1 crashed",
        "best      0.993200  #2 increase LR to 0.04",
        "gain      +0.004700 (0.47 %) over the baseline's 0.997900",
        "progress  █▁▁▁",
        "",
        "    # ended  verdict      val_bpb  gain      description",
        "   #1        keep         0.997900           baseline",
        "   #2        keep         0.993200           increase LR to 0.04",
        "   #3        discard      1.005000           switch to GeLU activation",
        "   #4        crash                           double model width (OOM)",
    ]


def local(said: str) -> str:
    return f"{datetime.fromisoformat(said.replace('Z', '+00:00')).astimezone():%Y-%m-%d %H:%M}"


def measured(run: Path, gains: dict[int, float], began: datetime) -> None:
    """All that a loop records: gains, fresh runs of the keeps, and an end each ten minutes from then on."""
    path = run / "experiments.jsonl"
    past = [json.loads(line) for line in path.read_text().splitlines()]
    for at, one in enumerate(past):
        value = one["val_bpb"]
        runs = [{"seed": 42 + n, "val_bpb": value and value + n / 1e4, "num_steps": 9} for n in (-1, 0, 1)]
        ended = began + timedelta(minutes=10 * at)
        one |= {"runs": runs, "gain": gains.get(one["n"]), "failure": "oom" if value is None else None}
        one |= {"wall_seconds": 480, "ended": f"{ended:%Y-%m-%dT%H:%M:%SZ}"}
    path.write_text("".join(json.dumps(one) + "\n" for one in past))


def test_what_a_person_wants_to_know_in_the_morning(tmp_path: Path) -> None:
    """Numbers, times on the clock on the wall, the pace, and how much of it is to be believed."""
    rows = [*ROWS, ("e5f6071", "0.993100", "44.0", "keep", "a little"), ("f607182", "0.991000", "44.0", "keep", "more")]
    run = make_run(tmp_path, rows)
    began = datetime.now(timezone.utc) - timedelta(minutes=75)
    measured(run, {2: 0.0047, 3: -0.0118, 5: 0.0001, 6: 0.0004}, began)
    lines = status(run)
    assert "rows      3 kept of 5, 1 discarded, 1 crashed; 6 an hour, last keep 25 min ago" in lines
    assert "gain      +0.006900 (0.69 %) over the baseline's 0.997900" in lines
    (keeps,) = [line for line in lines if line.startswith("keeps")]
    assert re.fullmatch(
        r"keeps     1 sure, 1 likely, 1 within the noise; one run varies by 0\.0000\d\d \(\d degrees of freedom\)",
        keeps,
    )
    assert "audit     not audited yet: make audit" in lines
    assert "spent     0.8 h of training (80 % of the time)" in lines
    clocks = [f"{(began + timedelta(minutes=10 * at)).astimezone():%H:%M}" for at in range(6)]
    assert lines[-5:] == [
        f"   #2 {clocks[1]}  keep, sure   0.993200 +0.004700 increase LR to 0.04",
        f"   #3 {clocks[2]}  discard      1.005000 -0.011800 switch to GeLU activation",
        f"   #4 {clocks[3]}  crash                 oom       double model width (OOM)",
        f"   #5 {clocks[4]}  keep, noise  0.993100 +0.000100 a little",
        f"   #6 {clocks[5]}  keep, likely 0.991000 +0.000400 more",
    ]
    at = as_json(run)
    assert at["trust"] == {"sure": 1, "likely": 1, "within": 1, "unknown": 0}
    assert (at["per_hour"], at["trainings_at_a_time"], at["last"][-1]["trust"]) == (6.0, 0.8, "likely")
    since = f"{(began + timedelta(minutes=35)).astimezone():%Y-%m-%d %H:%M:%S}"
    pace = as_json(run, **{**ALIVE, "since": since})["per_hour"]
    assert pace == pytest.approx(8, abs=0.1), "of this loop's: two in 15 minutes"


def test_one_number_for_one_gain(tmp_path: Path) -> None:
    """That of the row: over all runs of the baseline. Later ones count no luck of a keep before them."""
    run = make_run(tmp_path, [*ROWS[:2], ("e5f6071", "0.993100", "44.0", "keep", "a little")])
    path = run / "experiments.jsonl"
    past = [json.loads(line) for line in path.read_text().splitlines()]
    past[1] |= {"incumbent_bpb": 0.9981, "gain": 0.0049}
    past[2] |= {"incumbent_bpb": 0.9950, "gain": 0.0019}
    path.write_text("".join(json.dumps(one) + "\n" for one in past[:2]))
    assert line(run, "gain") == "gain      +0.004900 (0.49 %) over the baseline's 0.998100"
    path.write_text("".join(json.dumps(one) + "\n" for one in past))
    assert line(run, "gain") == "gain      +0.005000 (0.50 %) over the baseline's 0.998100"


def test_the_audit_is_told_and_of_which_keep_it_is(tmp_path: Path) -> None:
    run = make_run(tmp_path, ROWS)
    measured(run, {2: 0.0047, 3: -0.0118}, datetime.now(timezone.utc))
    past = [json.loads(line) for line in (run / "experiments.jsonl").read_text().splitlines()]
    (run / "audit.json").write_text(json.dumps(night_audit("mar14", past)))
    told = line(run, "audit")
    gains = r"\+0\.001950 reproduced \(95 %: \+0\.0008 to \+0\.003[01]\), holdout \+0\.0\d+"
    assert re.fullmatch(f"audit     {gains}", told)
    assert as_json(run)["audit"]["reproduced_gain"] == 0.00195
    with (run / "experiments.jsonl").open("a") as file:
        file.write(json.dumps({**past[1], "n": 5, "commit": "e" * 40, "val_bpb": 0.99}) + "\n")
    assert line(run, "audit").endswith("; for #2, but #5 was kept since: make audit")


def test_the_disk(tmp_path: Path) -> None:
    (make_run(tmp_path, ROWS) / "run.log").write_text("x" * 2_500_000)
    (said,) = [line for line in call(tmp_path / "mar14").stdout.splitlines() if line.startswith("disk ")]
    assert re.fullmatch(r"disk      2\.5 MB in runs/mar14, \d+\.\d GB free", said)


def test_just_set_up(tmp_path: Path) -> None:
    lines = status(make_run(tmp_path, []))
    assert "rows      none after the baseline yet" in lines
    assert "best      no baseline yet: make loop" in lines


def test_the_last_rows_alone(tmp_path: Path) -> None:
    rows = [ROWS[0], *((f"{n:07d}", "1.005000", "44.0", "discard", f"idea {n}") for n in range(2, 300))]
    lines = status(make_run(tmp_path, rows))
    assert "rows      0 kept of 298, 298 discarded" in lines
    assert {"best      0.997900  #1 baseline", "gain      none yet"} <= set(lines)
    assert len(lines) < 20
    assert lines[-1].endswith("idea 299")


def test_a_crash_is_never_the_best_nor_a_discard(tmp_path: Path) -> None:
    """0.000000 would win a naive minimum; a discard below the best is one that cost too much."""
    rows = [*ROWS, ("e5f6071", "0.900000", "44.0", "discard", "a hundred lines")]
    assert line(make_run(tmp_path, rows), "best") == "best      0.993200  #2 increase LR to 0.04"


def test_the_best_may_not_be_the_last_keep(tmp_path: Path) -> None:
    rows = [*ROWS, ("e5f6071", "0.993300", "44.0", "keep", "simpler")]
    assert line(make_run(tmp_path, rows), "best") == "best      0.993200  #2 increase LR to 0.04"


def test_a_row_without_an_object_is_foreign(tmp_path: Path) -> None:
    """Written by hand: shown as such, never deleted, and never the best."""
    run = make_run(tmp_path, [*ROWS, ("e5f6071", "0.500000", "44.0", "keep", "by hand")], foreign=("e5f6071",))
    before = (run / "results.tsv").read_bytes()
    lines = status(run)
    assert [line for line in lines if "(written by hand)" in line] == [lines[-1]]
    assert lines[-1].startswith("   #5        keep         0.500000 ")
    assert line(run, "best") == "best      0.993200  #2 increase LR to 0.04"
    assert (run / "results.tsv").read_bytes() == before


@pytest.mark.parametrize(
    ("facts", "words"),
    [
        ({"done": "attempt 1\n"}, "f1 asking the proposer"),
        ({"done": "attempt 1\n10-propose\n"}, "f1 proposed"),
        ({"done": f"attempt 2\n{COMMITTED}", "description": "raise LR\n"},
         "f1 waiting for a slot, attempt 2: raise LR"),
        ({"done": f"attempt 2\n{COMMITTED}30-run\n40-judge\n50-check-machine\n", "description": "raise LR\n"},
         "f1 asking the proposer to fix it, attempt 2: raise LR"),
        ({}, "nothing"),
    ],
)  # fmt: skip
def test_in_flight(tmp_path: Path, facts: dict[str, str], words: str) -> None:
    run = make_run(tmp_path, ROWS)
    fly(run, **facts)
    assert line(run, "in flight", **ALIVE) == f"in flight {words}"
    if facts:
        assert line(run, "in flight").startswith("in flight f1 waiting for a loop")


@pytest.mark.parametrize(
    ("agent", "done", "words"),
    [
        ("claude", "attempt 1\n", "asking claude"),
        ("baseline", "attempt 1\n", "starting"),
        ("claude", f"attempt 1\n{COMMITTED}30-run\n40-judge\n", "being judged"),
    ],
)
def test_a_phase_in_words(tmp_path: Path, agent: str, done: str, words: str) -> None:
    run = make_run(tmp_path, ROWS)
    fly(run, done=done, agent=f"{agent}\n")
    assert line(run, "in flight", **ALIVE) == f"in flight f1 {words}"


def test_what_is_waited_for(tmp_path: Path) -> None:
    run = make_run(tmp_path, ROWS)
    fly(run, done=f"attempt 1\n{COMMITTED}")
    (run / "trouble.machine").write_text("the disk is full\n")
    assert line(run, "in flight", **ALIVE) == "in flight f1 waiting for the machine to recover"


def test_a_torn_last_line_is_no_object(tmp_path: Path) -> None:
    run = make_run(tmp_path, ROWS)
    before = status(run)
    with (run / "experiments.jsonl").open("a") as file:
        file.write('{"n": 5, "comm')
    assert status(run) == before


def test_a_ledger_torn_while_it_is_written(tmp_path: Path) -> None:
    """A person may look in the very moment that a row is appended."""
    run = make_run(tmp_path, ROWS)
    before = status(run)
    with (run / "results.tsv").open("a") as file:
        file.write("e5f6071\t0.99")
    assert status(run) == before


@pytest.mark.parametrize("damage", ["no tabs\n", "\n", "e5f6071\t0.993200\t44.0\tkeep\n"])
def test_of_a_damaged_ledger_it_says_what_can_be_said(tmp_path: Path, damage: str) -> None:
    run = make_run(tmp_path, ROWS)
    with (run / "results.tsv").open("a") as file:
        file.write(damage)
    lines = status(run)
    assert "rows      unknown" in lines
    assert "best      0.993200  #2 increase LR to 0.04" in lines
    assert lines[-2:] == [
        f"trouble   the ledger is damaged: '{run / 'results.tsv'}'",
        "hint      to list the damaged lines: make validate",
    ]
    at = as_json(run)
    assert (at["rows"], at["last"], len(at["problems"])) == (None, [], 1)


def test_of_damaged_objects_the_ledger_is_left(tmp_path: Path) -> None:
    run = make_run(tmp_path, ROWS)
    path = run / "experiments.jsonl"
    path.write_text("half a line\n" + path.read_text())
    lines = status(run)
    assert "rows      1 kept of 3, 1 discarded, 1 crashed" in lines, "the first is taken for it"
    assert "best      unknown" in lines
    assert f"trouble   '{path}' is damaged in line 1" in lines
    assert not [line for line in lines if "by hand" in line], "nobody knows"
    assert as_json(run)["last"][0]["foreign"] is None


def test_no_run(tmp_path: Path) -> None:
    for path in (tmp_path, tmp_path / "missing"):
        result = CliRunner().invoke(main, ["status", str(path)])
        assert result.exit_code == 2
        assert result.stdout == ""


def test_the_row_of_the_baseline_is_not_counted(tmp_path: Path) -> None:
    """Wherever it stands; an experiment is written before its row, and rows by hand may be there before."""
    run = make_run(tmp_path, ROWS)
    assert as_json(run)["rows"] == {"total": 3, "kept": 1, "discarded": 1, "crashed": 1}
    by_hand, baseline = "e5f6071\t0.500000\t44.0\tkeep\tby hand\n", "\t".join(ROWS[0]) + "\n"
    for rows, total in (("", 0), (by_hand, 1), (by_hand + baseline, 1), (baseline, 0)):
        (run / "results.tsv").write_text(ledger.HEADER + "\n" + rows)
        assert as_json(run)["rows"] == {"total": total, "kept": total, "discarded": 0, "crashed": 0}, rows


def test_a_row_of_long_ago_is_not_foreign(tmp_path: Path) -> None:
    """A person may have taken the last rows out of the ledger."""
    run = make_run(tmp_path, [*ROWS, *((f"{n:07d}", "1.005000", "44.0", "discard", "idea") for n in range(2000))])
    (run / "results.tsv").write_text(
        "\n".join([ledger.HEADER, *map("\t".join, ROWS), "e5f6071\t0.5\t1.0\tkeep\tx", ""])
    )
    assert [row["foreign"] for row in as_json(run)["last"]] == [False] * 4 + [True]


def test_what_was_spent(tmp_path: Path) -> None:
    """Over the experiments that tell it; where none does, it is not known, and not 0."""
    run = make_run(tmp_path, ROWS)
    assert as_json(run)["spent"] == {"hours": None, "cost_usd": None, "tokens": None}
    assert not [line for line in status(run) if line.startswith("spent")]
    path = run / "experiments.jsonl"
    took: list[dict[str, Any]] = [{"wall_seconds": 5400.5}, {"wall_seconds": 1800, "tokens": 0}, {"tokens": 1234}, {}]
    past = [json.loads(line) | more for line, more in zip(path.read_text().splitlines(), took, strict=True)]
    path.write_text("".join(json.dumps(one) + "\n" for one in past))
    assert as_json(run)["spent"] == {"hours": 2.0, "cost_usd": None, "tokens": 1234}
    assert line(run, "spent") == "spent     2.0 h of training, 1,234 tokens"
    path.write_text("".join(json.dumps(one | {"cost_usd": 0.1}) + "\n" for one in past))
    assert as_json(run)["spent"]["cost_usd"] == 0.4, "of decimal numbers"


def test_who_proposes(tmp_path: Path) -> None:
    """The loop's, else that of the experiment in flight, else the last one's."""
    run = make_run(tmp_path, ROWS)
    path = run / "experiments.jsonl"
    agents = ["baseline", "codex", "codex", "claude"]
    past = [json.loads(line) | {"agent": who} for line, who in zip(path.read_text().splitlines(), agents, strict=True)]
    path.write_text("".join(json.dumps(one) + "\n" for one in past))
    assert as_json(run)["proposer"] == "claude"
    fly(run, done="attempt 1\n", agent="baseline\n")
    assert as_json(run)["proposer"] == "claude"
    (run / "flights/f1/agent").write_text("gemini\n")
    assert as_json(run)["proposer"] == "gemini"
    assert as_json(run, agent="pi")["proposer"] == "pi"


def test_nothing_heavy_is_imported(tmp_path: Path) -> None:
    """Both are asked often; jsonschema takes longer to import than 10,000 rows to check, rich is for make watch."""
    run = make_run(tmp_path, ROWS)
    code = "import sys; from lab.cli import main; main(sys.argv[1:], standalone_mode=False); "
    heavy = "'rich', 'jsonschema', 'torch', 'numpy', 'lab.store.foreign_ledger', 'lab.views.watch'"
    code += f"print({{{heavy}}} & set(sys.modules), file=sys.stderr)"
    for command in (["status", str(run)], ["status", str(run), "--json"], ["validate", str(run / "results.tsv")]):
        done = subprocess.run(
            [sys.executable, "-c", code, *command], input="", capture_output=True, text=True, check=True
        )
        assert done.stderr == "set()\n", command


def test_the_noise_is_told_once_it_is_known(tmp_path: Path) -> None:
    run = make_run(tmp_path, ROWS[:1])
    assert not [line for line in status(run) if line.startswith("noise")]
    reruns = [{"commit": "a1b2c3d".ljust(40, "0"), "seed": seed, "val_bpb": 0.9979 + seed / 1000} for seed in (1, 2)]
    (run / "reruns.jsonl").write_text("".join(json.dumps(one) + "\n" for one in reruns))
    assert "noise     one run varies by 0.001000 (2 degrees of freedom)" in status(run)


def training(
    run: Path, log: str, *, ago: float = 34, flight: str = "f1", slot: int = 0, what: str = "raise LR"
) -> None:
    """A run in flight that began so many seconds ago."""
    folder = fly(run, flight, done=f"attempt 1\n{COMMITTED}", description=f"{what}\n") / "run.1"
    folder.mkdir()
    (folder / "run.log").write_text(log)
    (folder / "slot").write_text(f"{slot}\n")
    began = datetime.now(timezone.utc) - timedelta(seconds=ago)
    (folder / "started").write_text(f"{began:%Y-%m-%dT%H:%M:%S}.123Z\n")
    (run / "run.log").unlink(missing_ok=True)
    (run / "run.log").symlink_to(f"flights/{flight}/run.1/run.log")


LOG = (
    "cuda: 1 x 128 rows of 2048 tokens a step\n"
    + "x" * 9000
    + "\rstep 00001 (0.0%) | loss: 9.012345 | lrm: 1.00 | remaining: 60s    "
    "\rstep 00417 (57.3%) | loss: 2.345678 | lrm: 1.00 | remaining: 26s    \rstep 00418 (57.5%) | lo"
)


def test_the_training_in_flight(tmp_path: Path) -> None:
    run = make_run(tmp_path, ROWS)
    training(run, LOG)
    assert line(run, "in flight", **ALIVE) == "in flight f1 training, 34 s of 60 s, loss 2.3457: raise LR"
    trains = as_json(run, **ALIVE)["flights"][0]
    assert (trains["phase"], trains["progress"], trains["slot"], trains["device"]) == ("training", 0.573, 0, "cuda")
    assert (trains["training"]["num_steps"], trains["training"]["loss"]) == (417, 2.345678)
    assert 33 <= trains["training"]["seconds"] < 300


def test_a_script_that_tells_of_no_steps_has_its_time_told(tmp_path: Path) -> None:
    run = make_run(tmp_path, ROWS)
    training(run, "epoch 1 loss 2.3\n", ago=7000)
    assert line(run, "in flight", **ALIVE).startswith("in flight f1 training, running for 70")
    trains = as_json(run, **ALIVE)["flights"][0]
    assert (trains["progress"], trains["device"]) == (None, None), "not known is null"
    assert (trains["training"]["num_steps"], trains["training"]["loss"]) == (None, None)


def test_of_a_dead_loop_nothing_trains(tmp_path: Path) -> None:
    run = make_run(tmp_path, ROWS)
    training(run, LOG)
    assert line(run, "in flight") == "in flight f1 waiting for a loop: raise LR"
    (run / "flights/f1/run.1/ended").write_text("2026-03-14T09:26:53.123Z\n")
    assert as_json(run, **ALIVE)["flights"][0]["training"] is None


def test_whose_loop_it_is(tmp_path: Path) -> None:
    run = make_run(tmp_path, ROWS)
    assert line(run, "loop", wanted="no") == "loop      not running; start it: make loop"
    assert (
        line(run, "loop", **ALIVE)
        == "loop      running since 2026-03-14 10:00 (pid 7); no automatic restart: make cron"
    )
    assert line(run, "loop", wanted="yes", watcher="cron") == "loop      not running; cron restarts it"
    assert "hint      start it: make loop" in status(run, wanted="yes")
    (run / "restarts").write_text("3 1773480000 17\n")
    (run / "keepalive.log").write_text("an old line\nloop: \x1b[31mno GPU\nhint: make doctor\n")
    told = line(run, "trouble", wanted="yes")
    assert told.startswith(
        "trouble   the loop is not running, but it should be: started 3 times without a row, last at 2026-"
    )
    assert told.endswith("; its last message: loop: [31mno GPU")
    dead = {"alive": False, "pid": None, "since": None, "wanted": True, "watched_by": "cron"}
    assert as_json(run, wanted="yes", watcher="cron")["loop"] == dead
    assert line(run, "loop", alive="yes") == "loop      running (pid unknown); no automatic restart: make cron"


def test_each_trouble_has_a_way_out(tmp_path: Path) -> None:
    run = make_run(tmp_path, ROWS)
    (run / "trouble.machine").write_text("2026-03-14 10:00:00  the disk is full\n")
    (run / "trouble.proposer").write_text("2026-03-14 10:00:00  no proposal\n")
    (run / "trouble.machine.new").write_text("half")
    assert [line for line in status(run) if line.startswith(("trouble", "hint"))] == [
        "trouble   2026-03-14 10:00:00 the disk is full",
        "hint      wait: the loop checks again; to check now: make doctor",
        "trouble   2026-03-14 10:00:00 no proposal",
        "hint      to see its error: make once; meanwhile the catalog proposes some experiments",
    ]


def test_it_fits_on_a_screen(tmp_path: Path) -> None:
    long = [(f"{n:07d}", "1.005000", "44.0", "keep", "\x1b[2J" + "a long idea " * 15) for n in range(9)]
    run = make_run(tmp_path, [ROWS[0], *long])
    training(run, LOG)
    for kind in ("machine", "proposer"):
        (run / f"trouble.{kind}").write_text("the disk is full " * 8)
    lines = status_text.text(module.status(run, ALIVE), 80).splitlines()
    assert len(lines) <= 24
    assert max(map(len, lines)) == 80
    assert "\x1b" not in "".join(lines)
    assert " ".join("".join(lines).split()).count("the disk is full") == 16, "what is wrong is whole"
    assert len(rows_in(lines)) == 5


LINES = {
    "f1": "f1 training in slot 1, 34 s of 60 s, loss 2.3457: raise LR",
    "f2": "f2 training in slot 0, running for 9 s, budget 60 s: deeper",
    "f3": "f3 asking the proposer",
    "f4": "f4 waiting for a slot: wider",
}


def several(run: Path) -> Path:
    """Two that train, one that is proposed, one that waits for a slot."""
    training(run, LOG, slot=1)
    training(run, "compiling\n", ago=9, flight="f2", slot=0, what="deeper")
    fly(run, "f3", done="attempt 1\n")
    fly(run, "f4", done=f"attempt 1\n{COMMITTED}", description="wider\n")
    return run


def test_several_in_flight(tmp_path: Path) -> None:
    """A line each, the oldest first."""
    run = several(make_run(tmp_path, ROWS))
    fly(run, "f12", done="attempt 1\n10-propose\n15-carry-over\n", description="shorter\n")
    lines = [re.sub(r"running for \d+ s", "running for 9 s", line) for line in status(run, **ALIVE)]
    first = next(n for n, line in enumerate(lines) if line.startswith("in flight "))
    assert [line[10:] for line in lines[first : first + 5]] == [*LINES.values(), "f12 proposed: shorter"]
    assert [line[:10] for line in lines[first : first + 5]] == ["in flight ", *[" " * 10] * 4]
    assert lines[first + 5].startswith("rows ")


def spending(run: Path) -> None:
    """All that can be known is known: as many lines as there can be."""
    path = run / "experiments.jsonl"
    past = [json.loads(line) | {"wall_seconds": 5400.5, "tokens": 7} for line in path.read_text().splitlines()]
    path.write_text("".join(json.dumps(one) + "\n" for one in past))
    reruns = [{"commit": past[0]["commit"], "seed": seed, "val_bpb": 0.9932 + seed / 1000} for seed in (1, 2)]
    (run / "reruns.jsonl").write_text("".join(json.dumps(one) + "\n" for one in reruns))


@pytest.mark.parametrize(("troubles", "rows"), [(0, 5), (1, 5), (2, 2)])
def test_four_in_flight_fit_on_a_screen(tmp_path: Path, troubles: int, rows: int) -> None:
    """Rows of the ledger make room for them."""
    long = [(f"{n:07d}", "1.005000", "44.0", "keep", "a long idea " * 15) for n in range(9)]
    run = several(make_run(tmp_path, [ROWS[0], *long]))
    (run / "flights/f1/description").write_text("a long idea " * 15)
    spending(run)
    for kind in ("machine", "proposer")[:troubles]:
        (run / f"trouble.{kind}").write_text("the disk is full " * 6)
    lines = status_text.text(module.status(run, ALIVE), 80).splitlines()
    assert len(lines) <= 24
    assert max(map(len, lines)) == 80
    assert len(rows_in(lines)) == rows
    told = [line[10:] for line in lines if re.match(r"(in flight|         ) f\d+ ", line)]
    assert [line.split()[0] for line in told] == ["f1", "f2", "f3", "f4"]


def test_of_a_run_in_much_trouble_a_few_lines_of_all_are_left(tmp_path: Path) -> None:
    run = several(make_run(tmp_path, ROWS))
    for kind in ("machine", "proposer", "loop", "disk"):
        (run / f"trouble.{kind}").write_text("the disk is full " * 18)
    lines = status_text.text(module.status(run, ALIVE), 80).splitlines()
    assert [line[10:].split()[0] for line in lines[2:5]] == ["f1", "f2", "and"]
    assert len(rows_in(lines)) == 2


def test_more_than_fit_are_counted_and_those_that_train_come_first(tmp_path: Path) -> None:
    run = make_run(tmp_path, ROWS)
    for n in range(1, 41):
        if n in (30, 35):
            training(run, LOG, flight=f"f{n}", slot=n)
        else:
            fly(run, f"f{n}", done="attempt 1\n" + (COMMITTED if n % 2 else ""))
    lines = status_text.text(module.status(run, ALIVE), 80).splitlines()
    assert len(lines) == 24
    ids = [line.split()[0] for line in (line[10:] for line in lines[2:]) if re.match(r"f\d+ ", line)]
    assert ids[-2:] == ["f30", "f35"]
    waiting = 19 - sum(int(one[1:]) % 2 for one in ids[:-2])
    rest = f"          and {40 - len(ids)} more: {waiting} waiting, {40 - len(ids) - waiting} proposing"
    assert rest in lines
    assert len(as_json(run, **ALIVE)["flights"]) == 40, "machines are told of all"


def test_the_verb(run: House) -> None:
    """Before the first row; and with what only the shell knows."""
    nothing = run.call("bin/status")
    assert (nothing.status, nothing.err) == (0, "")
    assert "best      no baseline yet: make loop" in nothing.out
    at = json.loads(run.call("bin/status", "--json").out)
    assert schemas.problems("status", at) == []
    nobody = {"alive": False, "pid": None, "since": None, "wanted": False, "watched_by": None}
    assert (at["branch"], at["loop"], at["flights"]) == ("autoresearch/mar14", nobody, [])
    assert run.call("bin/status", "--bogus").status == 2
    with run.running("bin/loop", AGENT=str(run.proposer("sleep 60", "sleeper"))) as process:
        run.wait_for("runs/mar14/flights/f*/call/pid")
        at = json.loads(run.call("bin/status", "--json").out)
        assert schemas.problems("status", at) == []
        assert (at["loop"]["alive"], at["loop"]["pid"], at["loop"]["wanted"]) == (True, process.pid, True)
        datetime.strptime(at["loop"]["since"], "%Y-%m-%d %H:%M:%S")
        assert (at["proposer"], at["engine"]) == ("sleeper", "local")
        assert [(one["id"], one["phase"], one["slot"]) for one in at["flights"]] == [("f2", "proposing", None)]


def test_outside_of_a_run(house: House) -> None:
    result = house.call("bin/status")
    assert (result.status, result.out) == (2, "")
    assert "no run is checked out" in result.err
    assert "hint: " in result.err
