"""Files that are whole at every moment: appending, torn lines, atomic replacement, a disk that is full."""

import errno
import fcntl
import os
import shutil
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from lab.store import durable

ROWS = "a\tone\nb\ttwo\n"

# Arguments: what to call, the file, the text, and at how many bytes a file may not grow any more ("": no limit).
CALL = """
import resource, signal, sys
from pathlib import Path
from lab.store import durable

function, path, text, limit = sys.argv[1:]
if limit:
    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (int(limit), int(limit)))
try:
    getattr(durable, function)(Path(path), text)
except OSError as error:
    sys.exit(f"errno {error.errno}")
"""


def failure(function: str, path: Path, text: str, limit: int | None = None) -> str:
    """`errno N`, as a process of its own says that has called it."""
    command = [sys.executable, "-c", CALL, function, str(path), text, "" if limit is None else str(limit)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 1, done
    return done.stderr.strip()


# --- append_line ----------------------------------------------------------------------------------------------------


def test_append(tmp_path: Path) -> None:
    path = tmp_path / "results.tsv"
    for line in ("größer", "", "tab\tbed"):
        durable.append_line(path, line)
    assert path.read_bytes() == "größer\n\ntab\tbed\n".encode()
    assert [other.name for other in tmp_path.iterdir()] == ["results.tsv"]


def test_append_is_durable(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The file is synced when its line is whole; a new file's name, which is in the folder, too."""
    path = tmp_path / "results.tsv"
    synced = []

    def fsync(descriptor: int) -> None:
        name = os.readlink(f"/proc/self/fd/{descriptor}")
        synced.append((name, path.read_text() if path.exists() else None))

    monkeypatch.setattr(os, "fsync", fsync)
    durable.append_line(path, "one")
    assert (str(path), "one\n") in synced
    assert synced[-1] == (str(tmp_path), "one\n")


@pytest.mark.parametrize("torn", ["c", "c\tthr", "größ", "\x00\x00", "\r"])
def test_a_torn_last_line_is_set_aside_and_never_glued(tmp_path: Path, torn: str) -> None:
    path = tmp_path / "results.tsv"
    path.write_bytes((ROWS + torn).encode())
    durable.append_line(path, "d\tfour")
    assert path.read_bytes() == (ROWS + "d\tfour\n").encode()
    assert (tmp_path / "results.tsv.torn").read_bytes() == (torn + "\n").encode()


def test_torn_lines_are_collected(tmp_path: Path) -> None:
    path = tmp_path / "results.tsv"
    for torn in (b"one", b"tw\xc3"):
        with path.open("ab") as file:
            file.write(torn)
        durable.append_line(path, "row")
    assert path.read_text() == "row\nrow\n"
    assert (tmp_path / "results.tsv.torn").read_bytes() == b"one\ntw\xc3\n"


@pytest.mark.parametrize(("content", "torn"), [(None, None), ("", None), (ROWS, None), (ROWS + "c", "c"), ("c", "c")])
def test_set_torn_line_aside_says_what(tmp_path: Path, content: str | None, torn: str | None) -> None:
    path = tmp_path / "results.tsv"
    if content is not None:
        path.write_text(content)
    assert durable.set_torn_line_aside(path) == torn
    assert durable.set_torn_line_aside(path) is None
    assert path.exists() == (content is not None)
    assert (tmp_path / "results.tsv.torn").exists() == (torn is not None)


def test_eight_processes_lose_nothing(tmp_path: Path) -> None:
    path = tmp_path / "results.tsv"
    each = 20
    code = f"""
import sys
from pathlib import Path
from lab.store import durable
for number in range({each}):
    durable.append_line(Path(sys.argv[1]), f"{{sys.argv[2]}}-{{number}} " + "x" * 3000)
"""
    started = [subprocess.Popen([sys.executable, "-c", code, str(path), str(name)]) for name in range(8)]
    assert [process.wait() for process in started] == [0] * 8
    lines = path.read_text().splitlines()
    assert all(line.endswith(" " + "x" * 3000) for line in lines)
    assert sorted(line.split()[0] for line in lines) == sorted(f"{n}-{m}" for n in range(8) for m in range(each))
    for name in range(8):
        own = [line.split()[0] for line in lines if line.startswith(f"{name}-")]
        assert own == [f"{name}-{number}" for number in range(each)]


def test_one_at_a_time(tmp_path: Path) -> None:
    """What looks torn to one may be half of what another is writing."""
    path = tmp_path / "results.tsv"
    durable.append_line(path, "one")
    with path.open("a") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        print("tw", end="", file=file, flush=True)
        other = threading.Thread(target=durable.append_line, args=(path, "three"))
        other.start()
        other.join(timeout=0.3)
        print("o", file=file, flush=True)
    other.join()
    assert path.read_text() == "one\ntwo\nthree\n"


# --- A disk that is full --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("room", [0, 1, 7, 13, 20])
@pytest.mark.parametrize("before", ["", ROWS])
def test_no_room_for_a_row(tmp_path: Path, before: str, room: int) -> None:
    """A row of 21 bytes does not fit: the file is as it was, whatever part of the row did fit."""
    path = tmp_path / "results.tsv"
    path.write_text(before)
    assert failure("append_line", path, "twenty characters...", len(before) + room) == f"errno {errno.EFBIG}"
    assert path.read_text() == before
    durable.append_line(path, "twenty characters...")
    assert path.read_text() == before + "twenty characters...\n"


def test_no_room_for_a_torn_line(tmp_path: Path) -> None:
    """It can not be set aside: it stays where it is, and nothing is glued to it."""
    path = tmp_path / "results.tsv"
    path.write_text(ROWS + "a torn line")
    assert failure("append_line", path, "row", 5) == f"errno {errno.EFBIG}"
    assert path.read_text() == ROWS + "a torn line"
    durable.append_line(path, "row")
    assert path.read_text() == ROWS + "row\n"
    assert "a torn line" in (tmp_path / "results.tsv.torn").read_text()


@pytest.mark.parametrize("room", [0, 3, 10_000])
def test_no_room_for_a_new_version(tmp_path: Path, room: int) -> None:
    path = tmp_path / "manifest.json"
    path.write_text("old\n")
    assert failure("write_atomically", path, "new " * 4000, room) == f"errno {errno.EFBIG}"
    assert path.read_text() == "old\n"
    durable.write_atomically(path, "new\n")
    assert path.read_text() == "new\n"
    assert [other.name for other in tmp_path.iterdir()] == ["manifest.json"]


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 64 KB."""
    folder = tmp_path / "disk"
    folder.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=64k", "tmpfs", str(folder)]
    if (
        os.geteuid() != 0
        or not shutil.which("mount")
        or subprocess.run(mount, capture_output=True, check=False).returncode != 0
    ):
        pytest.skip("only root can mount a small disk, and not in every container")
    yield folder
    subprocess.run(["umount", "--lazy", str(folder)], check=True)


def fill(folder: Path, *, but: int = 0) -> None:
    disk = os.statvfs(folder)
    (folder / "filler").write_bytes(b"x" * (disk.f_bavail * disk.f_frsize - but))


@pytest.mark.parametrize("before", ["", ROWS, "x" * 4095 + "\n", "x" * 4090 + "\n"])
def test_a_full_disk_takes_no_part_of_a_row(small_disk: Path, before: str) -> None:
    path = small_disk / "results.tsv"
    path.write_text(before)
    row = "r" * 9000
    fill(small_disk, but=4096)
    assert failure("append_line", path, row) == f"errno {errno.ENOSPC}"
    assert path.read_text() == before
    (small_disk / "filler").unlink()
    durable.append_line(path, row)
    assert path.read_text() == before + row + "\n"


def test_a_full_disk_keeps_the_old_version(small_disk: Path) -> None:
    path = small_disk / "manifest.json"
    path.write_text("old\n")
    fill(small_disk)
    assert failure("write_atomically", path, "new " * 4000) == f"errno {errno.ENOSPC}"
    assert path.read_text() == "old\n"


# --- write_atomically -----------------------------------------------------------------------------------------------


def test_write_atomically(tmp_path: Path) -> None:
    path = tmp_path / "manifest.json"
    for text in ("one\n", "größer\r\n", ""):
        durable.write_atomically(path, text)
        assert path.read_bytes() == text.encode()
    assert [other.name for other in tmp_path.iterdir()] == ["manifest.json"]


@pytest.mark.parametrize("functions", [["fsync"], ["replace", "rename"]])
def test_interrupted_before_it_is_in_its_place(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, functions: list[str]
) -> None:
    path = tmp_path / "manifest.json"
    path.write_text("old\n")

    def interrupt(*_: object) -> None:
        raise KeyboardInterrupt

    for function in functions:
        monkeypatch.setattr(os, function, interrupt)
    with pytest.raises(KeyboardInterrupt):
        durable.write_atomically(path, "new\n")
    assert path.read_text() == "old\n"


def test_file_synced_then_renamed_then_folder_synced(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "manifest.json"
    path.write_text("old\n")
    seen = []

    def fsync(descriptor: int) -> None:
        name = os.readlink(f"/proc/self/fd/{descriptor}")
        seen.append((Path(name).read_text() if os.path.isfile(name) else "the folder", path.read_text()))

    monkeypatch.setattr(os, "fsync", fsync)
    durable.write_atomically(path, "new\n")
    assert seen == [("new\n", "old\n"), ("the folder", "new\n")]


def test_readers_see_one_version_or_the_other(tmp_path: Path) -> None:
    path = tmp_path / "manifest.json"
    versions = {letter * 20_000 for letter in "ab"}
    durable.write_atomically(path, "a" * 20_000)
    code = """
import sys
from pathlib import Path
from lab.store import durable
for number in range(200):
    durable.write_atomically(Path(sys.argv[1]), "ab"[number % 2] * 20_000)
"""
    with subprocess.Popen([sys.executable, "-c", code, str(path)]) as writer:
        while writer.poll() is None:
            assert path.read_text() in versions
    assert writer.returncode == 0
