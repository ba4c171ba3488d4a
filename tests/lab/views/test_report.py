"""`make report`: the page and the picture, of nights that never were, of damaged runs, of ledgers found in the wild."""

import base64
import gzip
import hashlib
import json
import random
import re
import shutil
import subprocess
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from house import IMPROVE, ROOT, House, shared
from lab.store import ledger
from lab.store.metric import VAL_BPB, Metric
from lab.verdict.index import Index
from lab.views.report import axes, curves, diffs, gather, label_positions, page, parameters, progress_png, silent
from nights import Night, dream

EVIL = (
    '<img src=x onerror=document.title="PWNED"></script><script>document.title="PWNED"</script>\u2028<!-- &lt; {{css}}'
)
LEDGERS = sorted((ROOT / "tests" / "examples/ledger").glob("*/*.tsv"))
CHROMIUM = shutil.which("chromium") or shutil.which("google-chrome")
Data = dict[str, Any]
METRIC = {"name": "val_bpb", "sign": 1, "places": 6}


def data_of(html: Path) -> Data:
    """What is in the page."""
    found = re.search(r'<script type="application/json" id="data">(.*?)</script>', html.read_text())
    assert found is not None
    data: Data = json.loads(found[1])
    return data


def write(house: House, out: Path, **settings: str) -> Data:
    result = house.call("bin/report", OUT=str(out), **settings)
    address = (out / "report.html").as_uri()
    assert (result.status, result.err) == (0, f"open it: {address}\n"), "as pathlib quotes it"
    assert result.out.splitlines() == [str(out / "report.html"), str(out / "progress.png")]
    assert (out / "progress.png").read_bytes().startswith(b"\x89PNG")
    return data_of(out / "report.html")


def a_night(folder: Path) -> House:
    house = House(folder)
    dream(house, Night(60, evil=EVIL))
    with (house.tree / "runs/.lock").open("w") as lock:  # as a loop holds it
        subprocess.run(["flock", "--nonblock", str(lock.fileno())], pass_fds=[lock.fileno()], check=True)
        write(house, house.outside / "out", TAGS="mar14")
    return house


@pytest.fixture(scope="module")
def night(tmp_path_factory: pytest.TempPathFactory) -> House:
    """A night of 60 experiments, in which whatever a proposer can say is hostile; and its report, in `out`."""
    return shared(tmp_path_factory, "reported", a_night)


@pytest.mark.slow
def test_the_page_has_all_that_is_known(night: House) -> None:
    data = data_of(night.outside / "out/report.html")
    (run,) = data["runs"]
    past = [json.loads(line) for line in (night.run_folder / "experiments.jsonl").read_text().splitlines()]
    assert [row["commit"] for row in data["rows"]] == [one["commit"] for one in past]
    for row, one in zip(data["rows"], past, strict=True):
        assert (row["reason"], row["description"]) == (one["reason"], one["description"])
        assert (row.get("bpb"), row.get("gain"), row.get("failure")) == (one["val_bpb"], one["gain"], one["failure"])
        assert ("curve" in row) == (one["failure"] is None)
        if one["n"] > 1:
            assert f"+{one['description'].split()[1]} = " in row["diff"]
            assert one["parent"] == data["rows"][row["against"] - 1]["commit"]
    kept = [one for one in past if one["status"] == "keep"]
    assert (run["noise"]["df"], run["audit"]["finding"]) == (2 + len(kept) - 1, "less")
    assert run["noise"]["band"] > run["noise"]["sd"]
    sure = {row["n"]: row["trust"] for row in data["rows"] if "trust" in row}
    assert list(sure) == [one["n"] for one in kept[1:]]
    assert set(sure.values()) == {"sure", "likely", "within the noise"}
    for row in data["rows"]:
        if row["n"] in sure:
            assert row["low"] < row["gain"] < row["high"]
            assert (sure[row["n"]] == "within the noise") == (row["low"] <= 0)
    assert [axis["name"] for axis in data["axes"]] == ["n", "keep", "time", "hours", "cost"]
    assert run["changed"].count("\n+") >= sum(one["status"] == "keep" for one in past) - 1
    assert data["notes"] == []


def test_what_is_hostile_stays_text(night: House) -> None:
    html = (night.outside / "out/report.html").read_text()
    assert EVIL in data_of(night.outside / "out/report.html")["rows"][5]["description"]
    assert "<img src=x" not in html
    assert html.count("<script") == html.count("</script>") == 3
    assert "\u2028" not in html


def test_the_policy_lets_these_scripts_run_and_nothing_be_fetched(night: House) -> None:
    html = (night.outside / "out/report.html").read_text()
    policy = re.search(r'http-equiv="Content-Security-Policy" content="(.*?)"', html)
    assert policy is not None
    assert "default-src 'none'" in policy[1]
    scripts = re.findall(r"<script>(.*?)</script>", html, re.DOTALL)
    hashes = [base64.b64encode(hashlib.sha256(script.encode()).digest()).decode() for script in scripts]
    assert re.findall(r"'sha256-(.*?)'", policy[1]) == hashes
    assert "unsafe-inline'" not in policy[1].split("script-src")[1]
    assert not re.search(r"\b(src|href)=.?https?:", html)


def test_runs_that_are_damaged_empty_or_not_comparable(house: House, tmp_path: Path) -> None:
    dream(house, Night(12), "hurt", TIME_BUDGET="60")
    dream(house, Night(0), "empty")
    dream(house, Night(1), "one")
    folder = house.tree / "runs/hurt"
    shutil.rmtree(folder / "logs")
    for path in (folder / "results.tsv", folder / "experiments.jsonl"):
        lines = path.read_text().splitlines()
        path.write_text("\n".join([*lines[:-2], "no row", lines[-1][:9]]))
    (folder / "audit.json").write_text('{"finding": ')
    gone = data_commits(folder)[3]
    house.git("update-ref", "-d", f"refs/experiments/hurt/{gone}")
    (house.tree / ".git/refs/experiments/hurt").mkdir(parents=True, exist_ok=True)
    (house.tree / f".git/refs/experiments/hurt/{'1' * 40}").write_text("1" * 40 + "\n")
    data = write(house, tmp_path / "out", TAGS="hurt empty one")
    hurt = [row for row in data["rows"] if row["run"] == 0]
    assert len(hurt) == 10
    assert [("diff" in row) for row in hurt[1:]] == [row["commit"] != gone for row in hurt[1:]]
    assert not any("curve" in row for row in hurt)
    assert "audit" not in data["runs"][0]
    assert "hurt: unreadable rows, left out: 2" in data["notes"]
    assert "hurt: damaged lines of experiments.jsonl, left out: 2" in data["notes"]
    assert "not comparable: TIME_BUDGET differs (hurt: 60, empty: 300, one: 300)" in data["notes"]
    assert [row["n"] for row in data["rows"] if row["run"] == 2] == [1]


def data_commits(folder: Path) -> list[str]:
    lines = (folder / "experiments.jsonl").read_text().splitlines()
    return [json.loads(line)["commit"] for line in lines if line.endswith("}")]


def test_the_run_that_is_checked_out(run: House) -> None:
    assert run.loop(1, run.setting("0.9")).status == 0
    result = run.call("bin/report")
    assert result.status == 0
    data = data_of(run.run_folder / "report.html")
    assert [(row["rule"], row.get("diff", "")[-40:]) for row in data["rows"]] == [
        ("baseline", ""),
        ("large-gain", data["rows"][1]["diff"][-40:]),
    ]
    assert "-VALUE = 1.0" in data["rows"][1]["diff"]
    assert "+VALUE = 0.9" in data["runs"][0]["changed"]
    run.check_invariants()


def test_any_ledger_will_do(house: House, tmp_path: Path) -> None:
    table = tmp_path / "found in the wild.tsv"
    table.write_text(f"{ledger.HEADER}\nbaseline\t1.2\t44.0\tkeep\tstart\nabc1234\t1.1\t44.0\tkept\tbetter {EVIL}\nx")
    data = write(house, tmp_path / "out", LEDGER=str(table))
    assert [(row["n"], row["status"]) for row in data["rows"]] == [(1, "keep"), (2, "keep")]
    assert data["rows"][1]["gain"] == pytest.approx(0.1)
    assert data["runs"][0]["name"] == "found in the wild"


@pytest.mark.parametrize(
    ("settings", "problem"),
    [
        ({"TAGS": "nosuch"}, "report: there is no run 'nosuch'"),
        ({"TAGS": "../../etc"}, "report: there is no run '../../etc'"),
        ({"LEDGER": "results.tsv"}, "report: LEDGER needs OUT"),
        ({"LEDGER": "nosuch.tsv", "OUT": "out"}, "lab: no such file or directory: '"),
        ({}, "report: no run is checked out"),
    ],
)
def test_what_cannot_be_reported(house: House, settings: dict[str, str], problem: str) -> None:
    result = house.call("bin/report", **settings)
    assert (result.status, result.out) == (2, "")
    assert result.err.startswith(problem)
    assert "\nhint: " in result.err


@pytest.mark.parametrize("path", LEDGERS, ids=lambda path: f"{path.parent.name}/{path.stem}")
def test_every_ledger_can_be_gathered(path: Path) -> None:
    run = gather.run_data(path)
    assert json.loads(page.blob(run))["name"] == path.stem
    rows = [{"run": 0, **row} for row in run["rows"]]
    axes.add(rows)
    ends = progress_png.bounds(rows)
    assert (ends is None) == all(row["bpb"] is None for row in rows)
    assert len(label_positions.placed(rows, ends, progress_png.PICTURE)) <= sum(row["status"] == "keep" for row in rows)


# --- Curves ---------------------------------------------------------------------------------------------------------


def kept(run: Path, name: str, text: str) -> Path:
    """A log of a run."""
    path = run / "logs" / name
    path.parent.mkdir(exist_ok=True)
    path.write_bytes(gzip.compress(text.encode()))
    return path


def test_a_curve_is_the_mean_of_each_part_of_the_training(tmp_path: Path) -> None:
    steps = "".join(f"\rstep {n:05d} ({n / 12:.1f}%) | loss: {n:.6f} | lrm: 1.00" for n in range(1200))
    curve = curves.curve_of(kept(tmp_path, "abcdef1-1.log.gz", f"cuda\n{steps}\n---\nval_bpb: 1\n"))
    assert curve is not None
    assert [value for value in curve if value is not None] == pytest.approx([20 * n + 9.5 for n in range(60)], abs=1)


def test_a_run_that_broke_off_has_half_a_curve(tmp_path: Path) -> None:
    steps = "".join(f"\rstep {n:05d} ({n:.1f}%) | loss: 2.5" for n in range(50))
    assert curves.curve_of(kept(tmp_path, "abcdef1-1.log.gz", steps)) == [2.5] * 30 + [None] * 30


@pytest.mark.parametrize("log", ["", "Traceback\n", "step 1 (1.0%) | loss: nan\n", "\0 loss: 1", "loss: 1.0\n"])
def test_a_log_without_steps_has_no_curve(tmp_path: Path, log: str) -> None:
    assert curves.curve_of(kept(tmp_path, "abcdef1-1.log.gz", log)) is None


def test_the_first_run_with_a_metric_is_shown(tmp_path: Path) -> None:
    def log(name: str, loss: float, end: str = "") -> Path:
        return kept(tmp_path, name, "".join(f"\rstep {n} ({n}.0%) | loss: {loss}" for n in range(100)) + end)

    log("abcdef1-1.log.gz", 1.0)
    log("abcdef1-2.log.gz", 2.0, "\nval_bpb: 1.0\n")
    log("abcdef1-10.log.gz", 3.0, "\nval_bpb: 1.0\n")
    log("abcdef2-1.log.gz", 4.0)
    log("abcdef1-seed7.log.gz", 5.0, "\nval_bpb: 1.0\n")
    damaged = log("abcdef3-1.log.gz", 6.0)
    damaged.write_bytes(damaged.read_bytes()[:-12])
    rows = [{"n": n, "status": "keep", "commit": f"abcdef{n}" + "0" * 33} for n in (1, 2, 3, 4)]
    curves.add(rows, tmp_path, 1, silent)
    assert [row.get("curve", [None])[0] for row in rows] == [2.0, 4.0, None, None]


# --- Diffs ----------------------------------------------------------------------------------------------------------

HEAD = "diff --git a/train.py b/train.py\nindex 1..2 100644\n--- a/train.py\n+++ b/train.py\n"


def test_diffs_are_taken_from_one_stream() -> None:
    stream = f"\0{'a' * 40}\n\n{HEAD}@@ -1 +1 @@\n--- a\n+b\n\0{'b' * 40}\n\0run mar14\n{HEAD}@@ -1 +1 @@\n-a\n+c\n"
    by_commit, by_run = diffs.parse(stream)
    assert by_commit == {"a" * 40: "@@ -1 +1 @@\n--- a\n+b", "b" * 40: ""}
    assert by_run == {"mar14": "@@ -1 +1 @@\n-a\n+c"}


def test_there_is_room_for_the_keeps_first_and_then_the_newest(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(diffs, "ALL", 25)
    rows: list[Data] = [{"n": n, "status": "keep" if n == 1 else "discard", "commit": str(n)} for n in (1, 2, 3, 4)]
    diffs.add(rows, {str(n): "x" * 10 for n in (1, 2, 3)})
    assert [("diff" in row, "no_diff" in row) for row in rows] == [
        (True, False),
        (False, True),
        (True, False),
        (False, False),
    ]


# --- Constants ---


@pytest.mark.parametrize(
    ("diff", "description", "moves"),
    [
        ("-LR = 0.04  # of matrices\n+LR = 0.06\n", "x", {"LR": [0.04, 0.06]}),
        ("-BATCH = 2**15\n+BATCH = 2**16 // 4\n", "x", {"BATCH": [32768, 16384]}),
        ("-DEPTH = 2 if SMALL else 9\n+DEPTH = 2 if SMALL else 12\n", "x", {"DEPTH": [9, 12]}),
        ("-KIND = 'a'\n+KIND = 'b'\n-N = True\n+N = False\n", "x", {}),
        ("-N = 9**9**9**9\n+N = 1\n", "x", {}),
        ("-N = __import__('os').getpid()\n+N = 1\n", "x", {}),
        ("+NEW = 3\n", "x", {}),
        ("", "raise MATRIX_LR 0.04 -> 0.06, and more", {}),
        ("", "raise MATRIX_LR 0.04 -> 0.06", {"MATRIX_LR": [0.04, 0.06]}),
        ("", "embedding LR 0.6 to 0.8 (again)", {"embedding LR": [0.6, 0.8]}),
        ("", "halve batch 524K to 262K", {}),
    ],
)
def test_a_constant_that_moved(diff: str, description: str, moves: parameters.Moves) -> None:
    assert parameters.moved(diff, description) == moves


# --- Axes ---


def test_the_axes_are_those_that_something_is_known_for() -> None:
    rows: list[Data] = [
        {"run": 0, "n": n, "status": "keep" if n < 3 else "crash", "bpb": 1.0 if n < 3 else None} for n in (1, 2, 3)
    ]
    assert [axis["name"] for axis in axes.add(rows)] == ["n", "keep"]
    assert [row["x"] for row in rows] == [{"n": 0.1, "keep": 0.33333}, {"n": 0.2, "keep": 0.66667}, {"n": 0.3}]
    for row in rows:
        row |= {"wall_seconds": 1800, "ended": f"2026-03-14T0{row['n']}:00:00Z", "cost_usd": None}
    found = {axis["name"]: axis for axis in axes.add(rows)}
    assert list(found) == ["n", "keep", "time", "hours"]
    assert (found["hours"]["first"], found["hours"]["last"]) == (0, 1.5)
    assert [row["x"]["time"] for row in rows] == [0, 0.5, 1]


def test_the_title_of_the_picture_says_the_best_and_the_gain_and_how_far_to_believe_it() -> None:
    """The best's gain over the baseline's level, as status and the page have it."""
    row = {"run": 0, "status": "keep"}
    numbers = ((1, 1.0, None, None), (2, 0.9, 0.11, "sure"), (3, 0.95, 0.0, "within the noise"))
    rows = [{**row, "n": n, "bpb": bpb, "gain": gain, "trust": word} for n, bpb, gain, word in numbers]
    data: Data = {
        "runs": [{"name": "mar14", "audit": None, "metric": METRIC, **gather.claim(rows, VAL_BPB, None)}],
        "rows": rows,
    }
    assert progress_png.title(data) == ["mar14: val_bpb 0.900000, gain +0.110000 (10.89 %)"]
    assert progress_png.subtitle(data) == "not audited yet: make audit; keeps: 1 sure, 1 within the noise"
    gains = {"reproduced_gain": 0.07, "reproduced_low": 0.05, "reproduced_high": 0.09, "holdout_gain": 0.06}
    data["runs"][0]["audit"] = gains
    found = "reproduced with fresh seeds: +0.070000 (95 %: +0.0500 to +0.0900), on the holdout +0.060000; keeps: "
    assert progress_png.subtitle(data).startswith(found)
    assert progress_png.title({"runs": [{"name": "new", "metric": METRIC}], "rows": []}) == ["new: no baseline yet"]


def test_the_claim_is_the_gain_of_the_best_also_where_higher_is_better_and_within_a_kind_of_device() -> None:
    row = {"status": "keep"}
    rows = [{**row, "bpb": bpb, "gain": gain} for bpb, gain in ((0.5, None), (0.75, 0.25), (1.5, 0.75))]
    assert gather.claim(rows, Metric(name="accuracy", is_max=True), None) == {"level": 0.5, "claimed": 1}
    keep = {"commit": "a" * 40, "val_bpb": Decimal("0.9"), "device_name": "another"}
    lines = {"baseline": '{"commit": "b", "val_bpb": 1.0}', "best": json.dumps(keep, default=float)}
    known = Index(lines=lines, level=Decimal("1.01"), claims={"a" * 40: Decimal("0.02")})
    assert gather.claim(rows, VAL_BPB, known) == {"level": Decimal("1.01"), "claimed": Decimal("0.02")}


# --- The picture ----------------------------------------------------------------------------------------------------


def boxes_of(found: list[Data], place: label_positions.Place) -> list[label_positions.Box]:
    """What the labels cover."""
    boxes = []
    for one in found:
        wide = label_positions.LETTER * len(one["text"])
        left = place.x({"x": {place.axis: one["x"]}}) + one["dx"] - (wide if one["align"] == "right" else 0)
        y = place.y(one) + one["dy"]
        boxes.append((left, y - label_positions.TALL / 2, left + wide, y + label_positions.TALL / 2))
    return boxes


@pytest.mark.parametrize("size", [progress_png.PICTURE, *progress_png.PAGE], ids=lambda size: str(size.width))
@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("axis", ["n", "keep"])
def test_no_label_covers_anything(size: label_positions.Size, seed: int, axis: str) -> None:
    source, best = random.Random(seed), 1.0
    rows: list[Data] = []
    for n in range(1, source.choice([20, 130, 400])):
        keep = n == 1 or source.random() < 0.2
        best -= source.random() * 0.003 * keep
        gain = None if n == 1 else source.random()
        bpb = best + (0 if keep else source.random() * 0.01)
        text = "word " * source.randint(1, 9)
        rows.append(
            {"run": 0, "n": n, "status": "keep" if keep else "discard", "bpb": bpb, "gain": gain, "description": text}
        )
    ends = progress_png.bounds(rows)
    assert ends is not None
    if axis not in {one["name"] for one in axes.add(rows)}:
        return  # a night that kept nothing
    place = label_positions.Place(size, axis, ends)
    rows = [row for row in rows if axis in row["x"]]
    found = label_positions.placed(rows, ends, size, axis)
    boxes = boxes_of(found, place)
    assert boxes
    for at, box in enumerate(boxes):
        assert box[0] >= 0
        assert box[2] <= size.width
        assert box[3] <= size.height
        others = [*boxes[:at], *(place.dot(row) for row in rows)]
        assert label_positions.is_free(box, others), found[at]


def test_one_diverged_run_does_not_flatten_the_picture() -> None:
    rows = [{"status": "keep", "bpb": bpb} for bpb in (1.0, 0.98)] + [{"status": "discard", "bpb": 19.0}]
    low, high = progress_png.bounds(rows) or (0, 0)
    assert low < 0.98 < 1.0 < high < 1.01
    assert progress_png.bounds([{"status": "crash", "bpb": None}]) is None


# --- In a browser ---------------------------------------------------------------------------------------------------

# Plays a person, and leaves what they see in <pre id="seen">.
PERSON = """
(async () => {
  const seen = {};
  const wait = () => new Promise((done) => setTimeout(done, 300));
  const cells = () => [...document.querySelectorAll("#table tr.row td:first-child")];
  const numbers = () => cells().map((cell) => Number(cell.textContent.slice(1)));
  const click = (selector) => document.querySelector(selector).click();
  await wait();
  const byAddress = [...document.querySelectorAll("tr.row.open td:first-child")].map((cell) => cell.textContent);
  click("tr.row.open button");
  const axis = document.getElementById("axis");
  seen.axes = [];
  for (const { value } of axis.options) {
    axis.value = value;
    axis.dispatchEvent(new Event("change"));
    await wait();
    seen.axes.push(document.querySelectorAll("#progress-picture .mark-symbol path").length);
  }
  axis.value = "n";
  axis.dispatchEvent(new Event("change"));
  await wait();
  seen.cards = document.querySelectorAll(".facts > div").length;
  seen.constants = document.querySelectorAll("#parameters-pictures svg").length;
  const dots = [...document.querySelectorAll("#progress-picture .mark-symbol path")];
  seen.dots = dots.length;
  dots[3].dispatchEvent(new PointerEvent("pointermove", { bubbles: true, clientX: 50, clientY: 50 }));
  seen.tip = document.getElementById("tip").textContent;
  dots[3].dispatchEvent(new MouseEvent("click", { bubbles: true, clientX: 50, clientY: 50 }));
  await wait();
  seen.opened = document.querySelectorAll("tr.opened .diff .added").length;
  seen.address = location.hash;
  seen.byAddress = byAddress;
  seen.curves = document.querySelectorAll("tr.opened .picture svg").length;
  seen.focus = document.activeElement.getAttribute("aria-expanded");
  document.activeElement.click();
  seen.closed = document.querySelectorAll("tr.opened").length;
  click("#table th:nth-child(4) button");
  seen.sort = document.querySelector("#table th:nth-child(4)").getAttribute("aria-sort");
  seen.sorted = numbers();
  click("#statuses button.discard");
  seen.kept = numbers().length;
  const search = document.getElementById("search");
  search.value = "#1 baseline";
  search.dispatchEvent(new Event("input"));
  seen.found = numbers();
  const paper = () => getComputedStyle(document.body).backgroundColor;
  seen.papers = [paper()];
  click("#theme");
  seen.papers.push(paper());
  seen.wide = document.documentElement.scrollWidth - innerWidth;
  seen.images = document.images.length;
  seen.title = document.title;
  document.body.append(Object.assign(document.createElement("pre"), { id: "seen", textContent: JSON.stringify(seen) }));
})();
"""


def look(html: Path, folder: Path, size: str) -> Data:
    """The page with PERSON in it, as a headless browser of that size has it in the end."""
    digest = base64.b64encode(hashlib.sha256(PERSON.encode()).digest()).decode()
    text = html.read_text().replace("script-src ", f"script-src 'sha256-{digest}' ", 1)
    (folder / "page.html").write_text(f"{text}<script>{PERSON}</script>")  # past its end is in its body
    options = ["--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-sync"]
    options += ["--disable-background-networking", "--disable-component-update", f"--user-data-dir={folder}/profile"]
    options += ["--virtual-time-budget=20000", f"--window-size={size}", "--dump-dom", f"file://{folder}/page.html#7"]
    done = subprocess.run([str(CHROMIUM), *options], capture_output=True, text=True, timeout=60, check=False)
    found = re.search(r'<pre id="seen">(.*?)</pre>', done.stdout)
    assert found is not None, done.stderr
    seen: Data = json.loads(found[1].replace("&lt;", "<").replace("&gt;", ">").replace("&amp;", "&"))
    return seen


@pytest.mark.skipif(CHROMIUM is None, reason="no chromium on PATH")
def test_a_person_can_use_it(night: House, tmp_path: Path) -> None:
    data = data_of(night.outside / "out/report.html")
    rows = data["rows"]
    seen = look(night.outside / "out/report.html", tmp_path, "1200,900")
    assert seen["dots"] == len(rows)
    assert seen["byAddress"] == ["#7"], "whoever is sent an address with a number finds that row opened"
    assert re.fullmatch("#[0-9]+", seen["address"])
    assert seen["axes"] == [len(rows), sum(row["status"] == "keep" for row in rows), *[len(rows)] * 3]
    assert seen["cards"] == 5
    assert seen["constants"] > 1
    assert "raise " in seen["tip"]
    assert "val_bpb" in seen["tip"]
    assert seen["opened"] >= 1
    assert seen["curves"] == 2
    assert (seen["focus"], seen["closed"]) == ("true", 0)
    gains = [rows[n - 1].get("gain") for n in seen["sorted"]]
    known = [gain for gain in gains if gain is not None]
    assert (seen["sort"], known) == ("ascending", sorted(known))
    assert gains[len(known) :] == [None] * (len(rows) - len(known)), "what is not known comes last"
    assert seen["kept"] == sum(row["status"] != "discard" for row in rows)
    assert seen["found"] == [1]
    assert len(set(seen["papers"])) == 2
    assert (seen["images"], seen["title"]) == (0, "mar14: experiments")
    assert seen["wide"] <= 0


@pytest.mark.slow
def test_it_is_written_anew_as_long_as_a_loop_works(slow: House) -> None:
    """The page loads itself anew until then; in the end it stands still."""
    slow.seconds.write_text("0.4")
    page_file = slow.run_folder / "report.html"
    with slow.running("bin/loop", AGENT=str(slow.proposer(IMPROVE)), MAX_EXPERIMENTS="2"):
        slow.wait_for("runs/mar14/flights/f*/run.1/pid")
        result = slow.call("bin/report", WATCH="1", timeout=90)
    assert result.status == 0
    assert "the page is updated after each row" in result.err
    data = data_of(page_file)
    assert len(data["rows"]) == len(slow.rows())
    assert "refresh" not in data
    again = slow.call("bin/report", WATCH="1")
    assert (again.status, again.err.splitlines()[0]) == (0, "no loop is running, so the page will not be updated")
