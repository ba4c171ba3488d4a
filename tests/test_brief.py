"""`lab brief`: what a proposer is told. Its text on a made-up run is golden/brief.txt."""

import json
from pathlib import Path
from typing import Any

import pytest
from house import lab_step
from lab import schemas

GOLDEN = Path(__file__).parent / "golden" / "brief.txt"
LONGEST = 16 * 1024
BASELINE: dict[str, Any] = {
    "n": 1,
    "commit": f"{1:040x}",
    "parent": f"{0:040x}",
    "status": "keep",
    "rule": "baseline",
    "reason": "the unmodified start of the run",
    "failure": None,
    "category": None,
    "val_bpb": 0.9979,
    "incumbent_bpb": None,
    "gain": None,
    "lines_added": 0,
    "lines_removed": 0,
    "memory_gb": 44.0,
    "wall_seconds": 325.9,
    "runs": [],
    "attempts": 1,
    "agent": "baseline",
    "tokens": None,
    "cost_usd": None,
    "started": "2026-03-14T09:26:53Z",
    "ended": "2026-03-14T09:32:18Z",
    "description": "baseline",
}


def experiment(n: int, status: str, val_bpb: float | None, description: str, **more: object) -> dict[str, Any]:
    compared = {"incumbent_bpb": 0.9979, "gain": None if val_bpb is None else round(0.9979 - val_bpb, 6)}
    facts = {"n": n, "commit": f"{n:040x}", "status": status, "val_bpb": val_bpb, "description": description}
    made = BASELINE | compared | facts | {"rule": "crash" if status == "crash" else "gain"} | more
    assert schemas.problems("experiment", made) == []
    return made


NIGHT = [
    BASELINE,
    experiment(2, "keep", 0.9932, "increase LR to 0.04", lines_added=1, lines_removed=1),
    experiment(3, "discard", 1.005, "switch to GeLU activation", lines_added=3, lines_removed=2),
    experiment(4, "crash", None, "double model width (OOM)", failure="oom", lines_added=1, lines_removed=1),
    experiment(5, "crash", None, "faster (rejected: changed prepare.py)", failure="rejected", lines_added=None),
    experiment(6, "keep", 0.9935, "remove value embeddings", rule="simplification", lines_removed=31),
]


def brief(folder: Path, past: list[dict[str, Any]]) -> str:
    """What is said on a run with these experiments, in a folder of the tag's name."""
    run = folder / "mar14"
    run.mkdir()
    (run / "manifest.json").write_text(json.dumps({"settings": {"PROFILE": "small", "TIME_BUDGET": "60"}}))
    (run / "experiments.jsonl").write_text("".join(json.dumps(one, ensure_ascii=False) + "\n" for one in past))
    result = lab_step("brief", run)
    assert result.exit_code == 0, result.output
    assert len(result.stdout_bytes) <= LONGEST
    return result.stdout_bytes.decode()


def shown(text: str) -> list[int]:
    """The numbers of the experiments that have a row; the title above them must count them."""
    title, *rows = text[text.index("\nThe last ") + 1 :].splitlines()
    assert title.startswith(f"The last {len(rows)} of ")
    return [int(row[1:].split()[0]) for row in rows]


def test_golden(tmp_path: Path) -> None:
    assert brief(tmp_path, NIGHT) == GOLDEN.read_text()


def test_the_rules_come_first(tmp_path: Path) -> None:
    head, rows = brief(tmp_path, NIGHT).split("\nRun mar14")
    for word in ("train.py", "prepare.py", "val_bpb", "Do not", "last of your output"):
        assert word in head
        assert word not in rows or word in ("val_bpb", "prepare.py")


def test_after_the_baseline(tmp_path: Path) -> None:
    text = brief(tmp_path, NIGHT[:1])
    assert "Incumbent: val_bpb 0.997900 (#1, baseline)\nBest: val_bpb 0.997900 (#1, baseline)\n" in text
    assert shown(text) == [1]


def test_before_the_baseline(tmp_path: Path) -> None:
    text = brief(tmp_path, [])
    assert "Incumbent" not in text
    assert shown(text) == []


@pytest.mark.parametrize(
    "description", ["raise MATRIX_LR 0.04 -> 0.06", "ü" * 200, "学" * 200, "🚀" * 200, "x" * 200, "one\u2028two " * 20]
)
def test_500_rows_fit_with_the_newest_whole(tmp_path: Path, description: str) -> None:
    """Only the oldest are left out; the rules, the incumbent and the best never are."""
    past = [BASELINE, *(experiment(n, "discard", 1.005, description[:200]) for n in range(2, 500))]
    text = brief(tmp_path, [*past, experiment(500, "keep", 0.99, "the newest")])
    assert text.startswith(GOLDEN.read_text().split("\nRun ")[0])
    assert "Incumbent: val_bpb 0.990000 (#500, the newest)\nBest: val_bpb 0.990000 (#500, the newest)\n" in text
    if "\u2028" not in description:
        numbers = shown(text)
        assert numbers == list(range(501 - len(numbers), 501))
        assert len(numbers) >= 15
    assert text.endswith("the newest\n")


def test_what_fits_is_not_cut(tmp_path: Path) -> None:
    """Of 16 KB, less than one more row is left."""
    past = [BASELINE, *(experiment(n, "discard", 1.005, "学" * 200) for n in range(2, 500))]
    text = brief(tmp_path, past)
    assert LONGEST - len(text.encode()) <= 800


def test_a_torn_last_line_is_no_experiment(tmp_path: Path) -> None:
    brief(tmp_path, NIGHT)
    with (tmp_path / "mar14" / "experiments.jsonl").open("a") as file:
        file.write('{"n": 7, "comm')
    result = lab_step("brief", tmp_path / "mar14")
    assert result.stdout == GOLDEN.read_text()
