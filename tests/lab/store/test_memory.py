"""The memory: what outlives a run, written with its rows, edited by people, searched by `make memory`."""

import re
import threading
from pathlib import Path

import pytest
from house import House
from lab import hardware as module
from lab.store import memory

SETTING = "small 60 s on a machine"


# --- Written by the loop --------------------------------------------------------------------------------------------


def remembered(house: House, name: str) -> str:
    return (house.tree / "memory" / f"{name}.md").read_text()


def bullets(house: House, name: str) -> list[str]:
    """The bullets of a file; what they must end or go on with is the profile and the machine."""
    lines = [line for line in remembered(house, name).splitlines() if line.startswith("- ")]
    assert all("; auto 300 s on " in line for line in lines if " person's " not in line)
    return lines


BROKEN = "echo 'raise ValueError(7)' >>train.py; echo broken"


def value(text: str) -> str:
    return f"sed -i 's/^VALUE = [^ ]*/VALUE = {text}/' train.py; echo 'VALUE {text}'"


def night(house: House, *scripts: str) -> None:
    """One experiment by each of these proposers; a mend changes nothing."""
    cases = "".join(f"{n}) {script} ;;\n" for n, script in enumerate(scripts, 1))
    count = f"n=$(($(cat {house.outside}/count || echo 0) + 1)); echo $n >{house.outside}/count"
    script = f"[[ $LAB_MODE == propose ]] || exit\n{count}\ncase $n in\n{cases}esac"
    result = house.loop(len(scripts), house.proposer(script, "night"))
    assert result.status == 0, result


def commit(house: House, n: int) -> str:
    return f"mar14 #{n} {str(house.experiments()[n - 1]['commit'])[:7]}"


@pytest.mark.slow
def test_a_keep_a_discard_a_crash_and_a_simplification(run: House) -> None:
    night(run, value("0.95"), value("0.96"), value("0.97"), BROKEN, "sed -i '/^print(\"---/d' train.py; echo simpler")
    assert run.statuses() == ["keep", "keep", "discard", "discard", "crash", "keep"]

    won, failed = bullets(run, "learnings")
    assert won.startswith(
        f"- won: VALUE 0.95; val_bpb 1.000000 -> 0.950000 (+0.050000); lines +1 -1; {commit(run, 2)}; auto 300 s on "
    )
    outcomes = f"0.95 -> 0.96 worse by 0.0100 ({commit(run, 3)}) | 0.95 -> 0.97 worse by 0.0200 ({commit(run, 4)})"
    assert failed.startswith(f"- no gain: VALUE x2: {outcomes}; auto 300 s on "), "a constant is one line"
    (crash,) = bullets(run, "issues")
    assert crash.startswith("- error: it ended with an error: ValueError: N x1: broken, and no fix helped (mar14 #5 ")
    began, simplified = bullets(run, "decisions")
    assert began.startswith("- began: run mar14 at commit ")
    assert simplified.startswith("- simplified: simpler; ")

    found = run.call("make", "memory", "Q=value error").out
    assert found.splitlines()[0].startswith("issues.md:7  error: it ended")
    assert "no entry about" in run.call("make", "memory", "Q=$(shell id)zzz").out
    assert len(run.call("make", "memory").out.splitlines()) == 5
    run.check_invariants()


@pytest.mark.slow
def test_the_step_may_be_run_twice(house: House) -> None:
    house.add_step(
        "71-again",
        '# Reads nothing.\nsource "${BASH_SOURCE[0]%/*}/../../common.sh"\n"$TOOLKIT/lib/experiment/steps/40-judge"\n',
    )
    house.setup()
    night(house, value("0.95"), value("0.96"), BROKEN)
    assert [len(bullets(house, name)) for name in ("learnings", "issues", "decisions")] == [2, 1, 1]
    assert " x1: " in bullets(house, "learnings")[1]
    assert " x1: " in bullets(house, "issues")[0]


def test_a_mend_that_helped_is_told_when_the_same_crash_comes_again(run: House) -> None:
    script = "if [[ $LAB_MODE == propose ]]; then sed -i 's/^VALUE.*/VALUE = oops/' train.py; echo idea; exit; fi; "
    run.once(run.proposer(f"{script} sed -i 's/oops/0.9/' train.py", "mender"))
    assert run.statuses() == ["keep", "keep"]
    (issue,) = bullets(run, "issues")
    assert "name 'oops' is not defined x1: mended: VALUE = oops -> VALUE = 0.9 (mar14 #2 " in issue
    run.once(run.proposer(f'{script} cp "$LAB_BRIEF" {run.outside}/brief', "again"))
    assert (
        "The same crash was fixed before:\n\n- VALUE = oops -> VALUE = 0.9 (mar14 #2 "
        in (run.outside / "brief").read_text()
    )
    assert " x2: " in bullets(run, "issues")[0]


@pytest.mark.slow
def test_a_persons_commit_becomes_the_incumbent(run: House) -> None:
    run.once(run.setting("0.95"))
    (run.tree / "notes.txt").write_text("mine\n")
    mine = run.commit("notes")
    night(run, value("0.96"), value("0.97"))
    (line,) = [line for line in bullets(run, "decisions") if " person's " in line]
    assert line == f"- incumbent: a person's commit {mine[:7]} on top of #2 is the incumbent since {commit(run, 3)}"


@pytest.mark.slow
def test_it_outlives_the_run_and_what_failed_is_shown_as_such_in_the_next(run: House) -> None:
    elsewhere = run.outside / "shared memory"
    run.environment["AUTORESEARCH_MEMORY"] = str(elsewhere)
    night(run, value("0.95"), value("0.96"))
    assert not (run.tree / "memory").exists()
    assert "Lessons of earlier" not in run.call("bin/brief").out, "of its own experiments a run knows better"
    (elsewhere / "decisions.md").write_text("A person: never touch the value\n")
    run.setup(TAG="mar15")
    text = run.call("bin/brief").out.split("## Lessons of earlier runs\n")[1]
    assert "- failed before: no gain: VALUE x1: 0.95 -> 0.96 worse by 0.0100 (mar14 #3 " in text
    assert "- won before: won: VALUE 0.95" in text
    assert "- note: A person: never touch the value" in text
    run.environment["TIME_BUDGET"] = "7"
    run.setup(TAG="mar16", PROFILE="small")
    assert "VALUE x1" not in run.call("bin/brief").out, "another profile"


def test_a_memory_that_cannot_be_written_ends_no_loop(run: House) -> None:
    (run.tree / "memory").write_text("a file\n")
    result = run.once(run.setting("0.95"))
    assert result.status == 0
    assert "could not be added to the memory" in result.err
    assert run.statuses() == ["keep", "keep"]


@pytest.mark.parametrize(
    ("device", "gpu", "named"),
    [
        ("cuda", "NVIDIA H100 80GB HBM3", r"NVIDIA H100 80GB HBM3"),
        (None, "NVIDIA H100 80GB HBM3", r"NVIDIA H100 80GB HBM3"),
        ("cpu", "NVIDIA H100 80GB HBM3", r"Some Processor, \d+ cores"),
        ("cuda", None, r"a GPU, Some Processor, \d+ cores"),
        (None, None, r"Some Processor, \d+ cores"),
    ],
)
def test_the_machine(
    device: str | None, gpu: str | None, named: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "GPUS", tmp_path / "gpus")
    monkeypatch.setattr(module, "PROCESSOR", tmp_path / "cpuinfo")
    (tmp_path / "cpuinfo").write_text("processor\t: 0\nmodel name\t: Some  Processor\n")
    if gpu:
        (tmp_path / "gpus/0000:01:00.0").mkdir(parents=True)
        (tmp_path / "gpus/0000:01:00.0/information").write_text(f"Model: \t\t {gpu}\nIRQ:   \t\t 63\n")
    assert re.fullmatch(named, module.name(device))


# --- Files that people edit -----------------------------------------------------------------------------------------


def won(folder: Path, text: str, mark: str) -> None:
    memory.add(folder, memory.WON, "won", mark, f"{text}; {mark}")


def failed(folder: Path, place: str, outcome: str, mark: str, setting: str = SETTING) -> None:
    memory.tally(folder, memory.NO_GAIN, f"no gain: {place}", outcome, mark, setting)


def text_of(folder: Path) -> str:
    return (folder / "learnings.md").read_bytes().decode(errors="surrogateescape")


def test_a_new_file(tmp_path: Path) -> None:
    failed(tmp_path / "a/b", "LR", "1 -> 2 no gain", "mar14 #3 aaaaaaa")
    won(tmp_path / "a/b", "wider", "mar14 #4 bbbbbbb")
    assert text_of(tmp_path / "a/b") == (
        f"# Learnings\n\n{memory.INTRODUCTION}\n\n## No gain\n\n"
        f"- no gain: LR x1: 1 -> 2 no gain (mar14 #3 aaaaaaa); {SETTING}\n"
        "\n## Wins\n\n- won: wider; mar14 #4 bbbbbbb\n"
    )


def test_entries_go_under_their_headings(tmp_path: Path) -> None:
    for n in range(3):
        won(tmp_path, f"idea {n}", f"mar14 #{n} aaaaaaa")
        failed(tmp_path, f"LR{n}", "no gain", f"mar14 #{n} bbbbbbb")
    lines = [line.split(";")[0] for line in text_of(tmp_path).splitlines() if line[:2] in ("##", "- ")]
    assert lines == [
        "## Wins", *(f"- won: idea {n}" for n in range(3)),
        "## No gain", *(f"- no gain: LR{n} x1: no gain (mar14 #{n} bbbbbbb)" for n in range(3)),
    ]  # fmt: skip


def test_a_file_of_an_earlier_version_keeps_its_headings(tmp_path: Path) -> None:
    old = f"# Learnings\n\n{memory.OLD_INTRODUCTION}\n\n## What won\n\n- won: a; mar13 #2 aaaaaaa\n"
    (tmp_path / "learnings.md").write_text(old)
    won(tmp_path, "wider", "mar14 #4 bbbbbbb")
    assert text_of(tmp_path) == f"{old}- won: wider; mar14 #4 bbbbbbb\n"
    assert len(list(memory.entries(tmp_path))) == 2


def test_a_tally_counts_by_meaning(tmp_path: Path) -> None:
    """The same words keep their last mark; the newest six are listed; another setting is another tally."""
    for n in range(10):
        for _ in range(2):
            failed(tmp_path, "LR", f"1 -> {n} no gain", f"mar14 #{n} {n:07x}")
    failed(tmp_path, "LR", "1 -> 9 no gain", "mar15 #2 ccccccc")
    failed(tmp_path, "LR", "1 -> 9 no gain", "mar15 #3 ddddddd", "full 300 s on another")
    first, second = [line for line in text_of(tmp_path).splitlines() if line.startswith("- ")]
    assert first.startswith("- no gain: LR x11: 1 -> 4 no gain (mar14 #4 0000004) | ")
    assert first.endswith(f" | 1 -> 8 no gain (mar14 #8 0000008) | 1 -> 9 no gain (mar15 #2 ccccccc); {SETTING}")
    assert second == "- no gain: LR x1: 1 -> 9 no gain (mar15 #3 ddddddd); full 300 s on another"


@pytest.mark.parametrize(
    "text",
    [
        "",
        "no newline at the end",
        "\n\n\n",
        "mine\r\n\r\n## What won\r\n\r\n- a line of mine\r\n* another\r\n\r\n## Else\r\n\r\nmore\r\n",
        "## What won\n## What won\n- x\n",
        "- no gain: LR xmany: what?\n- no gain: LR x3\n",
        "```\n## What won\n```\n",
        "\udcff\udcfe Latin-1 of a person\n\x00\x1b[2J\n",
        "| a | b |\n|---|---|\n" + "é" * 10_000,
    ],
)
def test_what_a_person_wrote_stays_byte_for_byte(tmp_path: Path, text: str) -> None:
    path = tmp_path / "learnings.md"
    path.write_bytes(text.encode(errors="surrogateescape"))
    won(tmp_path, "wider", "mar14 #4 bbbbbbb")
    failed(tmp_path, "LR", "1 -> 2 no gain", "mar14 #3 aaaaaaa")
    after = path.read_bytes().decode(errors="surrogateescape")
    end = "\r\n" if "\r\n" in text else "\n"
    ours = ("", "## Wins", "## No gain", "# Learnings", memory.INTRODUCTION)
    left = [line for line in after.split(end) if "bbbbbbb" not in line and "aaaaaaa" not in line]
    assert [line for line in left if line not in ours] == [line for line in text.split(end) if line not in ours]
    assert "\r\n" not in text or "\n" not in after.replace("\r\n", "")
    assert [one.shown for one in memory.search(tmp_path, "wider", 9)] == ["won: wider; mar14 #4 bbbbbbb"]
    won(tmp_path, "wider", "mar14 #4 bbbbbbb")
    assert path.read_bytes().decode(errors="surrogateescape") == after


def test_a_link_of_a_persons_stays_one(tmp_path: Path) -> None:
    (tmp_path / "dotfiles.md").write_text("- mine\n")
    (tmp_path / "learnings.md").symlink_to("dotfiles.md")
    won(tmp_path, "wider", "mar14 #4 bbbbbbb")
    assert (tmp_path / "learnings.md").is_symlink()
    assert "- won: wider" in (tmp_path / "dotfiles.md").read_text()


def test_two_trees_write_at_once(tmp_path: Path) -> None:
    def write(tree: int) -> None:
        for n in range(20):
            failed(tmp_path, "LR", f"{tree} {n}", f"tree{tree} #{n} aaaaaaa")
            won(tmp_path, "x", f"tree{tree} #{n} bbbbbbb")

    threads = [threading.Thread(target=write, args=(tree,)) for tree in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert " x80: " in text_of(tmp_path)
    assert text_of(tmp_path).count("- won: ") == 80


# --- The search -----------------------------------------------------------------------------------------------------

NOTES = """\
# My notes
A longer warm-up never helped
us, whatever the depth.
- WARMUP_RATIO at 0.1 diverges
  with a large batch
1. embeddings want a higher rate
## About MUON
"""


@pytest.fixture
def notes(tmp_path: Path) -> Path:
    (tmp_path / "decisions.md").write_text(NOTES.replace("\n", "\r\n"))
    return tmp_path


@pytest.mark.parametrize(
    ("query", "where"),
    [
        ("warmup", [4]),
        ("WARM", [4, 2]),
        ("arm", []),
        ("longer DEPTH", [2]),
        ("batches", [4]),
        ("rates muon", [7, 6]),
        ("notes", [1]),
        ("warmup_ratio", [4]),
        ('" OR * NEAR( -', []),
        ("zebra", []),
        ("  ", []),
    ],
)
def test_search(notes: Path, query: str, where: list[int]) -> None:
    """A word may go on, and a plural finds its singular; of what fits alike, the newest comes first."""
    assert [one.where for one in memory.search(notes, query, 5)] == [f"decisions.md:{line}" for line in where]


def test_all_words_before_some_and_rare_ones_before_usual_ones(tmp_path: Path) -> None:
    (tmp_path / "issues.md").write_text("- full muon depth\n- muon\n- full depth\n- full\n- full\n- zebra\n")
    found = [one.shown for one in memory.search(tmp_path, "full depth muon", 4)]
    assert found == ["full muon depth", "full depth", "muon", "full"]


def test_no_memory_at_all(tmp_path: Path) -> None:
    assert memory.text(tmp_path / "none", "warmup").startswith("no entry about 'warmup' in ")
    assert memory.text(tmp_path / "none", "").startswith("no entry yet in ")


def test_what_is_printed_is_bounded_and_clean(tmp_path: Path) -> None:
    text = "".join(f"- warmup {n} \x1b[2J\u2028{'學' * 5000}\n" for n in range(300))
    (tmp_path / "issues.md").write_text(text)
    for query in ("warmup", ""):
        lines = memory.text(tmp_path, query).split("\n")
        assert len(lines) == 20
        assert all(len(line) < 700 and line.isprintable() for line in lines)
    assert lines[0].startswith("issues.md:300  warmup 299 ")


def test_a_memory_of_10_mb(tmp_path: Path) -> None:
    path = tmp_path / "learnings.md"
    path.write_text("- the zebra comes first\n" + "- won: a wider model, and so on and on\n" * 270_000)
    assert [one.where for one in memory.search(tmp_path, "zebra", 5)] == ["learnings.md:1"]
    won(tmp_path, "deeper", "mar14 #4 bbbbbbb")
    assert len(path.read_text().splitlines()) > 270_000


def test_of_a_longer_one_the_end_is_searched(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(memory, "NEWEST_BYTES", 30)
    (tmp_path / "issues.md").write_text("- one zebra\n- two zebras\n- three zebras\n")
    assert [one.where for one in memory.search(tmp_path, "zebra", 5)] == ["issues.md:3", "issues.md:2"]
