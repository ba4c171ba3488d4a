"""A night that never was, for the report: a run with commits, sidecar, logs and audit, made in a second or two."""

import gzip
import json
import random
import re
import subprocess
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from typing import Any

from house import ROOT, House
from lab.store import ledger, schemas

CATEGORIES = ("learning rate and schedule", "depth against width", "optimizer", "normalization", "simplification")
TRAIN = (ROOT / "train.py").read_text()
SD = 0.0007
RECORD = {"num_steps": 953, "training_seconds": 300.1, "degraded": False, "device": "cuda"}


@dataclass(frozen=True)
class Night:
    """How many rows it has, and steps of each training run; and what is untrusted in it."""

    rows: int
    steps: int = 400
    evil: str = ""  # in descriptions, reasons, diffs and logs
    seed: int = 0


def dream_on(house: House, night: Night) -> None:
    """The run that is set up and checked out, as that night leaves it, by a trainer without evaluation records."""
    manifest, records = house.run_folder / "manifest.json", house.run_folder / "experiments.jsonl"
    text = manifest.read_text()
    dream(house, night, train=(house.tree / "train.py").read_text())
    manifest.write_text(text)
    on_trust = {name: None for name in RECORD if name != "device"}
    whole, ours = (json.dumps(one)[1:-1] for one in (RECORD, on_trust))
    records.write_text(records.read_text().replace(whole, ours))
    house.git("reset", "--quiet", "--hard")


def dream(house: House, night: Night, tag: str = "mar14", train: str = TRAIN, **manifest: str) -> list[dict[str, Any]]:
    """Make run `tag` in the tree of `house`; its branch is not checked out. Returns the experiments."""
    source = random.Random(night.seed)
    (house.tree / "train.py").write_text(train)
    start = house.commit("a real train.py") if house.git("status", "--porcelain") else house.git("rev-parse", "HEAD")
    names = re.findall(r"^([A-Z_]+) = ", train, re.MULTILINE)
    ideas = [idea(source, n, night, names) for n in range(1, night.rows + 1)]
    commits = import_commits(house, start, ideas, tag, train)
    past: list[dict[str, Any]] = []
    for one, commit in zip(ideas, commits, strict=True):
        past.append(experiment(source, one, commit, past))
    if past:
        house.git(
            "update-ref",
            f"refs/heads/autoresearch/{tag}",
            [one for one in past if one["status"] == "keep"][-1]["commit"],
        )
    folder = house.tree / "runs" / tag
    (folder / "logs").mkdir(parents=True)
    write(folder, past, start, tag, manifest)
    for one in past:
        if one["failure"] != "oom":
            text = log(source, one, night).encode()
            (folder / "logs" / f"{one['commit'][:7]}-1.log.gz").write_bytes(gzip.compress(text, 1))
    if len(past) > 1:
        (folder / "audit.json").write_text(json.dumps(audit(tag, past)))
    return past


def idea(source: random.Random, n: int, night: Night, names: list[str]) -> dict[str, Any]:
    """What is tried: its verdict is drawn, its change is real."""
    keep = n == 1 or source.random() < 0.6 / (1 + n / 12) + 0.015
    name = names[n % len(names)]
    low, high = source.randint(1, 9), source.randint(10, 99)
    text = "baseline" if n == 1 else f"raise {name} 0.{low} -> 0.{high}{night.evil}"
    return {"n": n, "keep": keep, "name": name, "value": f"0.{high}", "description": text, "evil": night.evil}


def import_commits(house: House, start: str, ideas: list[dict[str, Any]], tag: str, train: str) -> list[str]:
    """All commits, by one git: each on the last keep, as the loop makes them."""
    parent = start
    stream: list[str] = []
    for mark, one in enumerate(ideas, start=1):
        text = train if one["n"] == 1 else changed(train, one)
        message = f"experiment: {one['description']}"
        stream += [f"commit refs/dream/{one['n']}", f"mark :{mark}"]
        stream += [f"committer person <person@localhost> {1800000000 + one['n']} +0000"]
        stream += [f"data {len(message.encode())}", message, f"from {parent}"]
        stream += ["M 100644 inline train.py", f"data {len(text.encode())}", text]
        if one["keep"]:
            train, parent = text, f":{mark}"
    marks = house.outside / "marks"
    command = ["git", "fast-import", "--quiet", f"--export-marks={marks}"]
    subprocess.run(command, cwd=house.tree, env=house.environment, input="\n".join(stream).encode(), check=True)
    lines = sorted(
        (int(mark[1:]), commit) for mark, commit in (line.split() for line in marks.read_text().splitlines())
    )
    commits = [commit for _, commit in lines]
    moves = [f"create refs/experiments/{tag}/{commit} {commit}\n" for commit in commits]
    moves += [f"delete refs/dream/{one['n']}\n" for one in ideas]
    subprocess.run(
        ["git", "update-ref", "--stdin"],
        cwd=house.tree,
        env=house.environment,
        input="".join(moves).encode(),
        check=True,
    )
    return commits


def changed(train: str, one: dict[str, Any]) -> str:
    """One constant is another; every seventh idea is new code, too."""
    lines = train.splitlines()
    at = next(i for i, line in enumerate(lines) if line.startswith(f"{one['name']} ="))
    lines[at] = f"{one['name']} = {one['value']}  # tried as #{one['n']}{one['evil']}"
    if one["n"] % 7 == 0:
        lines[at + 1 : at + 1] = [f"EXTRA_{one['n']}_{i} = {i} * 640  # a line more" for i in range(12)]
    return "\n".join(lines) + "\n"


def experiment(source: random.Random, one: dict[str, Any], commit: str, past: list[dict[str, Any]]) -> dict[str, Any]:
    """A line of experiments.jsonl that fits the schema."""
    keeps = [other for other in past if other["status"] == "keep"]
    crashed = not one["keep"] and source.random() < 0.06
    before = keeps[-1]["val_bpb"] if keeps else None
    gain = (
        None
        if before is None
        else abs(source.gauss(0, 0.004)) / len(keeps) ** 0.7
        if one["keep"]
        else -source.gauss(0.0025, 0.002)
    )
    gain = gain if one["keep"] or gain is None else min(gain, 0.00099)
    value = 0.9979 if before is None else round(before - (gain or 0), 6)
    rule = (
        "baseline"
        if before is None
        else "crash"
        if crashed
        else "gain"
        if one["keep"]
        else "no-gain"
        if (gain or 0) > -0.001
        else "worse"
    )
    values = [value] if before else [value - SD, value, value + SD]
    if before and one["keep"]:
        values = [value - SD, value + SD / 3, value - SD / 3]  # a lucky one, and two fresh ones
    began = 10 * one["n"]
    return {
        "n": one["n"],
        "commit": commit,
        "parent": keeps[-1]["commit"] if keeps else "0" * 40,
        "status": "crash" if crashed else "keep" if one["keep"] else "discard",
        "rule": rule,
        "reason": f"{rule}: a gain of {gain or 0:+.6f}, the band is 0.001000; net 1 line{one['evil']}",
        "failure": "oom" if crashed else None,
        "category": None if before is None else source.choice(CATEGORIES),
        "val_bpb": None if crashed else value,
        "incumbent_bpb": before,
        "gain": None if crashed or gain is None else round(gain, 6),
        "lines_added": 13 if one["n"] % 7 == 0 else 1,
        "lines_removed": 1,
        "memory_gb": None if crashed else round(44 + source.random() * 20, 1),
        "wall_seconds": 341.5,
        "runs": []
        if crashed
        else [{"seed": 42 + at, "val_bpb": round(number, 6), **RECORD} for at, number in enumerate(values)],
        "attempts": 1,
        "agent": "claude",
        "tokens": 15000 + one["n"] if one["n"] % 2 else None,
        "cost_usd": 0.0421 if one["n"] % 2 else None,
        "started": f"2026-11-{24 + began // 1440 % 5:02d}T{began // 60 % 24:02d}:{began % 60:02d}:00Z",
        "ended": f"2026-11-{24 + began // 1440 % 5:02d}T{began // 60 % 24:02d}:{began % 60:02d}:40Z",
        "description": one["description"],
    }


def write(folder: Path, past: list[dict[str, Any]], start: str, tag: str, more: dict[str, str]) -> None:
    """The ledger, the sidecar, the manifest."""
    for one in past[:3]:
        assert schemas.problems("experiment", one) == []
    rows = [
        ledger.Row(
            one["commit"][:7],
            f"{Decimal(one['val_bpb'] or 0):.6f}",
            f"{one['memory_gb'] or 0:.1f}",
            one["status"],
            one["description"],
        ).line()
        for one in past
    ]
    (folder / "results.tsv").write_text("\n".join([ledger.HEADER, *rows]) + "\n")
    (folder / "experiments.jsonl").write_text("".join(json.dumps(one) + "\n" for one in past))
    settings = {"PROFILE": "full", "TIME_BUDGET": "300", "BASELINE_RUNS": "3", **more}
    comparable = {"prepare.py": "ab" * 32, "profile": settings["PROFILE"], "sequence_length": 2048}
    manifest = {
        "tag": tag,
        "start": start,
        "created": "2026-11-24T20:00:00Z",
        "settings": settings,
        "comparable": comparable,
    }
    (folder / "manifest.json").write_text(json.dumps(manifest))
    (folder / "start").write_text(start + "\n")


def log(source: random.Random, one: dict[str, Any], night: Night) -> str:
    """As train.py prints it: thousands of steps in one line."""
    floor = (one["val_bpb"] or 1) * 2.6
    steps = [
        f"\rstep {step:05d} ({100 * step / night.steps:.1f}%)"
        f" | loss: {floor + 6 / (1 + step / 12) + source.gauss(0, 0.02):.6f}"
        f" | lrm: 1.00 | tok/sec: 1,600,000 | epoch: 1 | remaining: {300 - 300 * step / night.steps:.0f}s    "
        for step in range(night.steps)
    ]
    return f"cuda: 1 x 128 rows{night.evil}\n{''.join(steps)}\n---\nval_bpb:          {one['val_bpb'] or 0:.6f}\n"


def audit(tag: str, past: list[dict[str, Any]]) -> dict[str, Any]:
    """Two pairs that find most of the gain again."""
    first = past[0]
    last = [one for one in past if one["status"] == "keep"][-1]
    claimed = round(first["val_bpb"] - last["val_bpb"], 6)
    pairs = [
        {
            "seed": seed,
            "baseline": first["val_bpb"],
            "incumbent": round(last["val_bpb"] + lost, 6),
            "gain": round(claimed - lost, 6),
            "baseline_holdout": round(first["val_bpb"] + 0.012, 6),
            "incumbent_holdout": round(last["val_bpb"] + lost + 0.0135, 6),
            "holdout_gain": round(claimed - lost - 0.0015, 6),
            "degraded": False,
        }
        for seed, lost in ((7001, 0.0021), (7002, 0.0034))
    ]
    gain = round(claimed - 0.00275, 6)
    ends = [{name: one[name] for name in ("n", "commit", "val_bpb")} for one in (first, last)]
    share = None if claimed <= 0 else round(gain / claimed, 4)
    found = {
        "tag": tag,
        "audited": "2026-11-25T07:00:00Z",
        "wanted": 2,
        "partial": False,
        "baseline": ends[0],
        "incumbent": ends[1],
        "pairs": pairs,
        "claimed_gain": claimed,
        "claimed_low": claimed - 0.0014,
        "claimed_high": claimed + 0.0014,
        "reproduced_gain": gain,
        "reproduced_low": gain - 0.0011,
        "reproduced_high": gain + 0.0011,
        "holdout_gain": round(gain - 0.0015, 6),
        "holdout_low": gain - 0.0026,
        "holdout_high": gain - 0.0004,
        "share": share,
        "share_low": None,
        "share_high": None,
        "sd": SD,
        "df": 2,
        "baseline_runs": 3,
        "phantom_keeps_per_100": 0.29,
        "finding": "less",
    }
    assert schemas.problems("audit", found) == []
    return found
