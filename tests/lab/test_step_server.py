"""The core of a loop, as its shells ask it: a line for each request, and each has its answer on a pipe of its own."""

import os
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from flights import put_code
from house import ENVIRONMENT, ROOT


class Asker:
    """A process with a named pipe of its own: a dispatcher."""

    def __init__(self, pipe: Path) -> None:
        self.pipe = pipe
        os.mkfifo(pipe)
        self.descriptor = os.open(pipe, os.O_RDWR)

    def line(self, asker: int, name: str, folder: Path, file: Path | str = "/dev/null") -> str:
        return f"{self.pipe}\t{asker}\t{name}\t{folder}\t{file}\n"

    def heard(self, lines: int = 1) -> list[str]:
        """So many answers."""
        text = ""
        while text.count("\n") < lines:
            text += os.read(self.descriptor, 4096).decode()
        return text.splitlines()

    def close(self) -> None:
        os.close(self.descriptor)


class Core:
    """`lib/core --step --serve`, which a test asks."""

    def __init__(self, run: Path) -> None:
        self.log = run / "core.log"
        self.process = subprocess.Popen(
            [str(ROOT / "lib/core"), "--step", "--serve", str(run)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self.log.open("wb"),
            env={**os.environ, "UV_PROJECT_ENVIRONMENT": str(ENVIRONMENT)},
        )

    def ask(self, *lines: str) -> None:
        assert self.process.stdin
        self.process.stdin.write("".join(lines).encode())
        self.process.stdin.flush()

    def end(self) -> tuple[int, str, str]:
        """There is nobody left who could ask: its status, and what it has said."""
        out, _ = self.process.communicate(timeout=30)
        return self.process.returncode, out.decode(), self.log.read_text()


@pytest.fixture
def run(tmp_path: Path) -> Path:
    """With two flights, of which the first can be described."""
    folder = tmp_path / "runs/mar 14"
    for name in ("f1", "f2"):
        (folder / "flights" / name).mkdir(parents=True)
    for name, text in {"changed": "", "editable": "", "said": "raise LR\n"}.items():
        (folder / "flights/f1" / name).write_text(text)
    put_code(folder / "flights/f1", "LR = 1\n", "LR = 2\n")
    return folder


@pytest.fixture
def core(run: Path) -> Iterator[Core]:
    found = Core(run)
    yield found
    found.process.kill()
    found.process.wait()


def test_each_is_answered_on_its_own_pipe(core: Core, run: Path, tmp_path: Path) -> None:
    """In the order of the requests, by the name that it asks under."""
    one, other = Asker(tmp_path / "one"), Asker(tmp_path / "other")
    core.ask(
        one.line(7, "describe", run / "flights/f1"),
        other.line(8, "no-such-step", run),
        other.line(9, "describe", run / "flights/f1"),
    )
    assert (one.heard(), other.heard(2)) == (["7 0"], ["8 2", "9 0"])
    assert (run / "flights/f1/description").read_text() == "raise LR\n"
    assert core.end() == (0, "", "lab: no step is called 'no-such-step'\n")


def test_what_is_said_is_in_the_file(core: Core, run: Path, tmp_path: Path) -> None:
    """Of each request, all of it; and of one that fails, nothing."""
    asker, said = Asker(tmp_path / "asker"), run / "flights/f1/says"
    manifest = '{"settings": {"PROFILE": "small", "TIME_BUDGET": "60"}}'
    (run / "manifest.json").write_text(manifest)
    core.ask(asker.line(1, "flight_brief", run / "flights/f1", said))
    assert asker.heard() == ["1 0"]
    assert said.read_text().startswith("# One experiment\n")
    core.ask(asker.line(2, "flight_brief", run / "flights/f2", said))
    assert (asker.heard(), said.read_text()) == (["2 2"], "")
    assert "before' is missing: an earlier step should have written it" in core.log.read_text()


def test_an_asker_that_is_gone_does_not_end_it(core: Core, run: Path, tmp_path: Path) -> None:
    """Its pipe is there and nobody reads; it is gone; or it never was."""
    killed, gone, alive = (Asker(tmp_path / name) for name in ("killed", "gone", "alive"))
    killed.close()
    gone.close()
    gone.pipe.unlink()
    folder = run / "flights/f1"
    core.ask(killed.line(1, "describe", folder), gone.line(2, "describe", folder), alive.line(3, "describe", folder))
    assert alive.heard() == ["3 0"]
    assert not gone.pipe.exists(), "no file is made of it"
    assert core.end() == (0, "", "")


def test_nor_does_one_that_ends_before_its_answer_is_written(
    run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Between two calls of the system."""
    from lab import step_server

    asker, real = Asker(tmp_path / "asker"), os.open

    def open_and_lose(path: str, flags: int, *more: int) -> int:
        descriptor = real(path, flags, *more)
        if path == str(asker.pipe):
            asker.close()
        return descriptor

    monkeypatch.setattr(os, "open", open_and_lose)
    monkeypatch.setattr("sys.stdin", [asker.line(1, "describe", run / "flights/f1")] * 2)
    monkeypatch.setattr("sys.argv", ["lab"])
    handler = signal.getsignal(signal.SIGINT)
    try:
        assert step_server.serve(run) == 0
    finally:
        signal.signal(signal.SIGINT, handler)


def test_a_fault_of_the_code_is_no_success_and_does_not_end_it(core: Core, run: Path, tmp_path: Path) -> None:
    asker = Asker(tmp_path / "asker")
    (run / "flights/f2/done").write_text("no attempt\n")
    (run / "manifest.json").write_text("{}")
    core.ask(asker.line(1, "look_after", run / "flights/f2/run.1"))
    assert asker.heard() == ["1 1"]
    assert "KeyError" in core.log.read_text()
    core.ask(asker.line(2, "describe", run / "flights/f1", run / "no such folder/said"))
    core.ask(asker.line(3, "describe", run / "flights/f1"))
    assert asker.heard(2) == ["2 2", "3 0"]


def test_ctrl_c_is_for_those_who_ask(core: Core, run: Path, tmp_path: Path) -> None:
    """They end, each at its own time, and may still have something to ask."""
    asker = Asker(tmp_path / "asker")
    core.ask(asker.line(1, "describe", run / "flights/f1"))
    assert asker.heard() == ["1 0"]
    core.process.send_signal(signal.SIGINT)
    core.ask(asker.line(2, "drop", run / "flights/f1"))
    assert asker.heard() == ["2 0"]
    assert [path.name for path in (run / "flights").iterdir()] == ["f2"]
    assert core.end()[0] == 0


def test_what_a_training_run_has_done_is_told_before_the_next_request(core: Core, run: Path, tmp_path: Path) -> None:
    """Whoever asks: another flight's, whose verdict rests on the records."""
    asker, run_dir = Asker(tmp_path / "asker"), run / "flights/f2/run.1"
    (run / "results.tsv").write_text("rows\n")
    (tmp_path / "checkout").mkdir()
    run_dir.mkdir()
    (run_dir / "cwd").write_text(str(tmp_path / "checkout"))
    core.ask(asker.line(1, "look_before", run_dir))
    assert asker.heard() == ["1 0"]
    (run / "results.tsv").write_text("mine\n")
    core.ask(asker.line(2, "describe", run / "flights/f1"))
    assert asker.heard() == ["2 0"]
    assert (run / "results.tsv").read_text() == "rows\n"
    assert core.log.read_text().startswith("restored files that a run or a proposer changed: 'results.tsv'; ")
    core.ask(asker.line(3, "look_after", run_dir, run_dir / "changed"))
    assert asker.heard() == ["3 0"]
    assert (run_dir / "changed").read_text() == "runs/mar 14/results.tsv\n"
