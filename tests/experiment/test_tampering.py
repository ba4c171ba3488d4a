"""What a training run has changed beside its own files is as it was before, byte for byte, and the run is blamed."""

import importlib.util
import os
import py_compile
import shutil
import sys
from pathlib import Path

import pytest
from lab import step_server
from lab.errors import Fault
from lab.runs import tampering
from lab.runs.tampering import check_records, learn_records, look_after, look_before

RECORDS = {
    "results.tsv": b"commit\nrow\n",
    "experiments.jsonl": b"{}\n",
    "manifest.json": b"{ }\n",
    "incumbent": b"a1\n",
}
FACTS = {"before/train.py": b"X = 1  # \xff\xc3\xa9\r\n", "parent": b"a1\n", "done": b"attempt 1\n"}
STEP = "lib/experiment/steps/30-run"
DEEDS = {
    "written": lambda path: path.write_bytes(b"another"),
    "emptied": lambda path: path.write_bytes(b""),
    "removed": lambda path: path.unlink(),
    "a folder": lambda path: (path.unlink(), path.mkdir(), (path / "x").write_text("x")),
    "a link": lambda path: (path.unlink(), path.symlink_to("/etc/hosts")),
    "a link to a folder": lambda path: (path.unlink(), path.symlink_to("/etc")),
}


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A run with records, whose core has just been started; and a toolkit of its own."""
    toolkit = tmp_path / "tree/runs/mar14/toolkit/123"
    (toolkit / STEP).parent.mkdir(parents=True)
    (toolkit / STEP).write_text("#!/bin/sh\n")
    (toolkit / STEP).chmod(0o755)
    monkeypatch.setattr(tampering, "TOOLKIT", toolkit)
    monkeypatch.setattr(tampering, "looks", {})
    monkeypatch.setattr(tampering, "guards", {})
    folder = tmp_path / "tree/runs/mar14"
    for name, content in RECORDS.items():
        (folder / name).write_bytes(content)
    return folder


def begin(run: Path, flight: str = "f1", slot: int = 0, *, confined: bool = False) -> Path:
    """A training run of that flight begins; its RUN_DIR."""
    checkout, run_dir = run / f"slots/{slot}", run / "flights" / flight / "run.1"
    for folder in (checkout, run_dir):
        folder.mkdir(parents=True, exist_ok=True)
    for name in ("train.py", "prepare.py"):
        (checkout / name).write_text("x = 1\n")
    for name, content in FACTS.items():
        (run_dir.parent / name).parent.mkdir(exist_ok=True)
        (run_dir.parent / name).write_bytes(content)
    (run_dir / "cwd").write_text(str(checkout))
    if confined:
        (run_dir / "confine").write_text("hide x\n")
    asked(run, lambda: look_before(run_dir))
    return run_dir


def asked(run: Path, step: object = None) -> str | None:
    """The core does one request: what it tells of records that it has put back."""
    told = check_records(run)
    if callable(step):
        step()
    learn_records(run)
    return told


def end(run_dir: Path) -> list[str]:
    """The training run ends: what it is blamed for."""
    said: list[str] = []
    asked(run_dir.parents[2], lambda: said.extend(look_after(run_dir).splitlines()))
    return said


def contents(folder: Path, names: object) -> dict[str, bytes]:
    return {name: (folder / name).read_bytes() for name in names}  # type: ignore[attr-defined]


# --- Records ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("deed", DEEDS.values(), ids=DEEDS)
def test_records_are_put_back_and_the_run_is_blamed(run: Path, deed: object) -> None:
    run_dir = begin(run)
    for name in RECORDS:
        deed(run / name)  # type: ignore[operator]
    (run / "audit.json").write_text("{}")
    told = asked(run)
    assert told is not None
    assert "'results.tsv, experiments.jsonl, " in told
    assert contents(run, RECORDS) == RECORDS
    assert not (run / "audit.json").exists()
    assert set(end(run_dir)) == {f"runs/mar14/{name}" for name in (*RECORDS, "audit.json")}
    assert asked(run) is None, "once"
    assert end(begin(run)) == [], "and not the next one"


def test_what_was_made_of_a_record_is_kept_each_time(run: Path) -> None:
    run_dir = begin(run)
    for text in ("one", "two"):
        (run / "results.tsv").write_text(text)
        asked(run)
    assert sorted(path.read_text() for path in run.glob("aside/*/results.tsv")) == ["one", "two"]
    assert end(run_dir) == ["runs/mar14/results.tsv"] * 2


def test_size_and_times_that_were_restored_do_not_hide_it(run: Path) -> None:
    run_dir, record = begin(run), run / "results.tsv"
    about = record.stat()
    record.write_bytes(RECORDS["results.tsv"].swapcase())
    os.utime(record, ns=(about.st_atime_ns, about.st_mtime_ns))
    assert end(run_dir) == ["runs/mar14/results.tsv"]
    assert contents(run, RECORDS) == RECORDS


def test_what_the_core_has_written_meanwhile_is_no_tampering(run: Path) -> None:
    """For another flight, that was judged; and it is what is put back, then."""
    run_dir = begin(run)
    rows = RECORDS["results.tsv"] + b"another\n"
    asked(run, lambda: ((run / "results.tsv").write_bytes(rows), (run / "reruns.jsonl").write_bytes(b"{}\n")))
    assert asked(run) is None
    (run / "results.tsv").write_bytes(b"mine")
    (run / "reruns.jsonl").unlink()
    assert end(run_dir) == ["runs/mar14/results.tsv", "runs/mar14/reruns.jsonl"]
    assert (run / "results.tsv").read_bytes() == rows
    assert (run / "reruns.jsonl").read_bytes() == b"{}\n"


def test_nor_is_what_a_step_has_written_before_a_fault(run: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of the machine, or of the code: a row that is on record stays there."""
    run_dir = begin(run)

    def broken(_: Path) -> None:
        with (run / "results.tsv").open("ab") as file:
            file.write(b"a row\n")
        raise faults.pop()

    faults: list[Exception] = [OSError("the disk is full"), KeyError("a bug")]
    monkeypatch.setattr(step_server, "_function", lambda _: broken)
    assert [step_server._answer(run, "land", run, run / "said") for _ in range(2)] == [1, 2]
    assert end(run_dir) == []
    assert (run / "results.tsv").read_bytes() == RECORDS["results.tsv"] + b"a row\n" * 2


@pytest.mark.parametrize("size", [10, 100], ids=["small", "large"])
def test_a_copy_grows_with_its_record(run: Path, size: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of what only grows and is large, the new bytes are copied; and the whole, where somebody has changed the copy."""
    monkeypatch.setattr(tampering, "WHOLE", 50)
    (run / "results.tsv").write_bytes(b"x" * size)
    (run / "index.json").write_bytes(b"y" * size)
    run_dir = begin(run)

    def grow() -> None:
        with (run / "results.tsv").open("ab") as file:
            file.write(b"a row\n")
        (run / "index.json").write_bytes(b"z" * (size + 1))

    asked(run, grow)
    with (run / "kept/results.tsv").open("r+b") as file:
        file.write(b"forged")
    asked(run, grow)
    expected = contents(run, ["results.tsv", "index.json"])
    (run / "results.tsv").write_bytes(b"")
    (run / "index.json").write_bytes(b"")
    assert len(end(run_dir)) == 2
    assert contents(run, expected) == expected
    assert expected["results.tsv"] == b"x" * size + b"a row\n" * 2


@pytest.mark.parametrize("deed", ["changed", "removed", "all removed"])
def test_copies_that_were_changed_too_are_a_fault(run: Path, deed: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of a record that is too large for the memory nothing is restored, and nothing goes on."""
    monkeypatch.setattr(tampering, "REMEMBERED", 0)
    run_dir = begin(run)
    (run / "results.tsv").write_bytes(b"mine")
    if deed == "all removed":
        shutil.rmtree(run / "kept")
    elif deed == "removed":
        (run / "kept/results.tsv").unlink()
    else:
        (run / "kept/results.tsv").write_bytes(b"mine")
    for _ in range(2):
        with pytest.raises(Fault, match="the records of run 'mar14' and their copies were changed") as told:
            end(run_dir)
        assert str(run) in told.value.hint
    assert step_server._answer(run, "look_after", run_dir, run / "said") == 2
    assert (run / "results.tsv").read_bytes() == b"mine"


# --- The toolkit -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("deed", DEEDS.values(), ids=DEEDS)
def test_the_toolkit_is_put_back(run: Path, deed: object) -> None:
    """The loop runs from it: the steps that come next are those that were there before, and none is more."""
    run_dir, step = begin(run), tampering.TOOLKIT / STEP
    deed(step)  # type: ignore[operator]
    more = step.with_name("35-mine")
    more.write_text("#!/bin/sh\n")
    (tampering.TOOLKIT / "lib/linked").symlink_to("/etc")
    assert set(end(run_dir)) == {STEP, str(more.relative_to(tampering.TOOLKIT)), "lib/linked"}
    assert (step.read_text(), step.stat().st_mode & 0o777, step.is_symlink()) == ("#!/bin/sh\n", 0o755, False)
    assert not more.exists()
    assert not (tampering.TOOLKIT / "lib/linked").exists()
    assert end(begin(run)) == []


def test_bytecode_that_is_not_its_source_s_goes(run: Path) -> None:
    """Python would run it in place of the source; what Python itself has written meanwhile stays."""
    own, other = tampering.TOOLKIT / "lib/own.py", tampering.TOOLKIT / "lib/other.py"
    for path in (own, other):
        path.write_text("def f(x):\n    return x + 1\n")
    run_dir = begin(run)
    kept = Path(py_compile.compile(str(own)) or "")
    poisoned = Path(py_compile.compile(str(own), importlib.util.cache_from_source(str(other))) or "")
    poisoned.write_bytes(kept.read_bytes().replace(b"\x01", b"\x02"))
    (kept.parent / "x.pyc").write_text("of no source")
    assert set(end(run_dir)) == {str(poisoned), str(kept.parent / "x.pyc")}
    assert list(kept.parent.iterdir()) == [kept]
    assert end(begin(run)) == []


def test_what_is_watched_is_put_back(run: Path, tmp_path: Path) -> None:
    """Files and folders, there or not; a marker that a person may take away at any time stays away."""
    hooks, config, wanted, absent = (tmp_path / name for name in ("hooks", "config", "wanted", "absent"))
    hooks.mkdir()
    (hooks / "mine").symlink_to("/etc/hosts")
    config.write_text("[core]\n")
    config.chmod(0o600)
    wanted.write_text("GOAL=0\n")
    (run / "watched").write_text("".join(f"{path}\n" for path in (hooks, config, wanted, absent)))
    run_dir = begin(run)
    (run_dir / "beside").touch()  # it has an evaluator: it is held to what is watched
    asked(run, lambda: look_before(run_dir))
    config.write_text('[branch "main"]\nremote = origin\n[core]\n')
    assert end(run_dir) == [], "that may be a person's"
    asked(run, lambda: look_before(run_dir))
    (hooks / "mine").unlink()
    (hooks / "post-commit").write_text("#!/bin/sh\n")
    config.write_text("[core]\nfsmonitor = evil\n")
    absent.write_text("[filter]\n")
    wanted.unlink()
    changed = {hooks / "mine", hooks / "post-commit", config, absent}
    assert set(end(run_dir)) == {str(path) for path in changed}
    assert (hooks / "mine").readlink() == Path("/etc/hosts")
    assert config.read_text() == '[branch "main"]\nremote = origin\n[core]\n'
    assert config.stat().st_mode & 0o777 == 0o600
    assert not [path for path in (absent, wanted, hooks / "post-commit") if path.exists()]
    assert len(list((run / "aside").glob("*/*"))) == 3, "what was made of them is kept for a person"
    wanted.write_text("GOAL=0\n")
    asked(run, lambda: look_before(run_dir))
    wanted.write_text("GOAL=0\nON_KEEP=evil\n")
    assert end(run_dir) == [str(wanted)]
    assert wanted.read_text() == "GOAL=0\n"


def test_a_proposer_is_looked_at_as_a_run_is(run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its scratch is its own; the environment is looked at, too."""
    environment = tmp_path / "venv"
    (environment / "lib").mkdir(parents=True)
    (environment / "lib/torch.py").write_text("x = 1\n")
    monkeypatch.setattr(sys, "prefix", str(environment))
    scratch = tmp_path / "scratch"
    scratch.mkdir()
    begin(run)  # the flight
    call = run / "flights/f1/call"
    call.mkdir()
    (call / "cwd").write_text(str(scratch))
    asked(run, lambda: look_before(call))
    (scratch / "train.py").write_text("x = 2\n")
    (environment / "lib/torch.py").write_text("x = 22\n")
    (environment / "lib/new.py").write_text("x = 1\n")
    (environment / "lib/evil.pth").write_text("import os\n")
    (call.parent / "done").write_text("attempt 1\n40-judge\n")
    said: list[str] = []
    asked(run, lambda: said.extend(look_after(call).splitlines()))
    names = {str(environment / f"lib/{name}") for name in ("torch.py", "new.py", "evil.pth")}
    assert set(said) == {*names, "runs/mar14/flights/f1/done"}
    assert not (environment / "lib/evil.pth").exists(), "Python would run it in each process"
    assert (environment / "lib/new.py").exists(), "a person may have installed it"
    assert (call.parent / "done").read_bytes() == FACTS["done"]


# --- The facts of its flight -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("deed", DEEDS.values(), ids=DEEDS)
def test_the_facts_of_its_flight_are_put_back(run: Path, deed: object) -> None:
    """And what is new among them is taken away. What the shell writes meanwhile is none of it."""
    run_dir = begin(run)
    flight = run_dir.parent
    for name in FACTS:
        deed(flight / name)  # type: ignore[operator]
    (flight / "verdict").write_text("keep\n")
    (flight / "edit").symlink_to("/etc")
    for name in ("word", "alive"):
        (flight / name).write_text("of the dispatcher\n")
    (run_dir / "rc").write_text("0\n")
    assert set(end(run_dir)) == {f"runs/mar14/flights/f1/{name}" for name in (*FACTS, "verdict", "edit")}
    assert contents(flight, FACTS) == FACTS
    assert {path.name for path in flight.iterdir()} == {"before", "parent", "done", "word", "alive", "run.1"}


def test_a_folder_of_code_that_became_a_link_is_put_back(run: Path, tmp_path: Path) -> None:
    """What the link leads to stays as it is, and a new file in a folder of code goes."""
    run_dir = begin(run)
    flight, other = run_dir.parent, tmp_path / "other"
    shutil.move(flight / "before", other)
    (other / "train.py").write_text("mine")
    (flight / "before").symlink_to(other)
    (flight / "after").mkdir()
    (flight / "after/new.py").write_text("x = 1\n")
    names = {"before/train.py", "after/new.py"}
    assert set(end(run_dir)) == {f"runs/mar14/flights/f1/{name}" for name in names}
    assert contents(flight, FACTS) == FACTS
    assert (other / "train.py").read_text() == "mine"
    assert list((flight / "after").iterdir()) == []


def test_a_replicate_has_no_facts(run: Path) -> None:
    """Its neighbours in the folder are other runs."""
    run_dir = begin(run)
    replicate = run / "replicates/run.1"
    replicate.parent.mkdir()
    shutil.copytree(run_dir, replicate)
    assert end(run_dir) == []
    asked(run, lambda: look_before(replicate))
    (replicate.parent / "x").write_text("x")
    (run / "results.tsv").write_bytes(b"mine")
    told: list[str] = []
    asked(run, lambda: told.append(look_after(replicate)))
    assert told == ["runs/mar14/results.tsv\n"]


# --- Its checkout ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("confined", [False, True])
@pytest.mark.parametrize("name", ["train.py", "prepare.py", "pyproject.toml"])
def test_the_code_that_measures_and_is_measured_stays_as_it_was(run: Path, name: str, confined: bool) -> None:
    """There a confined run can write, too; what else it leaves is gone before the next."""
    run_dir = begin(run, confined=confined)
    (run / "slots/0" / name).write_text("x = 2\n")
    (run / "slots/0/model.pt").write_text("weights")
    assert end(run_dir) == [name]


@pytest.fixture
def data(run: Path) -> Path:
    """A folder of the person's, and a file, which the checkout has links to; one of them is not at its top."""
    folder = run.parents[1] / "data"
    (folder / "deep").mkdir(parents=True)
    (folder / "deep/rows").write_text("rows")
    (run.parents[1] / "weights").write_text("weights")
    (run / "slots/0/nested").mkdir(parents=True)
    for name in ("data", "nested/data"):
        (run / "slots/0" / name).symlink_to(folder)
    (run / "slots/0/weights").symlink_to(run.parents[1] / "weights")
    (run / "slots/0/latest").symlink_to("nested")  # it stays in the checkout
    return folder


@pytest.mark.parametrize(
    ("path", "text", "blamed"),
    [
        ("data/deep/rows", "more", ["data/deep/rows", "nested/data/deep/rows"]),
        ("data/new", "new", ["data/new", "nested/data/new"]),
        ("nested/data/deep/rows", None, ["data/deep/rows", "nested/data/deep/rows"]),
        ("weights", "others", ["weights"]),
        ("nested/own", "an output", []),
        ("data/__pycache__/x.pyc", "bytecode", []),
    ],
)
def test_a_write_through_a_link_is_noticed(
    run: Path, data: Path, path: str, text: str | None, blamed: list[str]
) -> None:
    run_dir = begin(run)
    place = run / "slots/0" / path
    place.parent.mkdir(exist_ok=True)
    place.unlink() if text is None else place.write_text(text)
    assert end(run_dir) == blamed


def test_so_is_the_first_file_in_an_empty_folder_and_a_link_that_was_replaced(run: Path, data: Path) -> None:
    shutil.rmtree(data / "deep")
    run_dir = begin(run)
    (data / "first").write_text("x")
    assert end(run_dir) == ["data/first", "nested/data/first"]
    run_dir = begin(run)
    (run / "slots/0/data").unlink()
    (run / "slots/0/data").mkdir()
    assert end(run_dir) == ["data/first"]


def test_many_are_looked_at_up_to_a_bound_and_few_are_named(
    run: Path, data: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tampering, "MOST_LINKED", 100)
    for number in range(200):
        (data / str(number)).write_text("x")
    run_dir = begin(run)
    assert len(tampering.looks[run_dir].linked) == 100
    for number in range(200):
        (data / str(number)).write_text("y")
    assert len(end(run_dir)) == tampering.MOST_NAMED


# --- Who is blamed ---------------------------------------------------------------------------------------------------


def test_a_confined_run_is_not_charged_with_what_a_person_does(run: Path, data: Path) -> None:
    """It cannot reach any of it, so a row written by hand, or an edit of the toolkit, is a person's."""
    run_dir = begin(run, confined=True)
    (run / "results.tsv").write_bytes(b"by hand\n")
    (run / "flights/f1/parent").write_text("b2\n")
    (data / "new").write_text("new")
    (tampering.TOOLKIT / STEP).write_text("# mine\n")
    assert asked(run) is None
    assert end(run_dir) == []
    assert (run / "results.tsv").read_bytes() == b"by hand\n"
    assert (tampering.TOOLKIT / STEP).read_text() == "# mine\n"
    assert not (run / "kept").exists()


def test_nor_is_a_loose_one_with_what_was_done_before_it(run: Path) -> None:
    """Between two runs a person may write a row."""
    assert end(begin(run)) == []
    (run / "results.tsv").write_bytes(b"by hand\n")
    assert end(begin(run)) == []
    assert (run / "results.tsv").read_bytes() == b"by hand\n"


def test_two_in_the_air(run: Path) -> None:
    """Of a record nobody knows who did it: neither run is worth anything. Facts are those of its own flight."""
    one, other = begin(run, "f1", 0), begin(run, "f2", 1)
    (run / "results.tsv").write_bytes(b"mine")
    (one.parent / "parent").write_bytes(b"b2\n")
    assert "results.tsv" in str(asked(run))
    assert end(one) == ["runs/mar14/flights/f1/parent", "runs/mar14/results.tsv"]
    (run / "results.tsv").write_bytes(b"mine")
    assert end(other) == ["runs/mar14/results.tsv"] * 2
    assert contents(run, RECORDS) == RECORDS
    (run / "results.tsv").write_bytes(b"by hand\n")
    assert asked(run) is None, "nothing is in the air any more"


def test_one_that_begins_while_another_is_in_the_air_does_not_make_its_deeds_right(run: Path) -> None:
    one = begin(run, "f1", 0)
    (run / "results.tsv").write_bytes(b"mine")
    other = begin(run, "f2", 1)
    assert (end(one), end(other)) == (["runs/mar14/results.tsv"], [])
    assert contents(run, RECORDS) == RECORDS


@pytest.mark.parametrize("confined", [False, True])
def test_one_whose_dispatcher_was_killed_is_in_the_air_until_its_folder_is_gone(run: Path, confined: bool) -> None:
    """Then its step begins it anew; meanwhile other flights are judged."""
    run_dir = begin(run, confined=confined)
    shutil.rmtree(run_dir)
    rows = RECORDS["results.tsv"] + b"another\n"
    asked(run, lambda: (run / "results.tsv").write_bytes(rows))
    run_dir.mkdir()
    assert asked(run) is None
    (run / "results.tsv").write_bytes(rows + b"by hand\n")
    assert asked(run) is None
    assert end(begin(run, confined=confined)) == []
    assert (run / "results.tsv").read_bytes() == rows + b"by hand\n"
