"""What Landlock grants for the lines of a `confine`, and what a command can then do."""

import importlib.util
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from house import ROOT
from ways import WORKING

PROGRAM = ROOT / "lib/child/landlock.py"
HIDE, READ, WRITE = 0, 1, 2


@pytest.fixture(scope="module")
def landlock() -> Any:
    spec = importlib.util.spec_from_file_location("landlock", PROGRAM)
    assert spec
    assert spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def files(folder: Path, *names: str) -> Path:
    """Files and, with a / at their end, folders, in the real path of the folder."""
    for name in names:
        path = folder / name
        (path if name.endswith("/") else path.parent).mkdir(parents=True, exist_ok=True)
        if not name.endswith("/"):
            path.touch()
    return folder.resolve()


def granted(landlock: Any, root: Path, *lines: str) -> tuple[dict[str, int], set[str]]:
    """By their paths in `root`; and the levels there."""
    paths = landlock.Paths([line.format(root).partition(" ")[::2] for line in lines])
    found = {path: mode for path, mode in paths.grants() if path.startswith(f"{root}/")}
    levels = {level for level in paths.levels if f"{level}/".startswith(f"{root}/")}
    return (
        {path[len(str(root)) + 1 :]: mode for path, mode in found.items()},
        {one[len(str(root)) :] for one in levels},
    )


def test_what_is_hidden_is_left_out_of_all_that_is_granted_beside_it(landlock: Any, tmp_path: Path) -> None:
    root = files(tmp_path, "tree/a", "tree/runs/x", "tree/src/", "other/")
    assert granted(landlock, root, "hide {0}/tree/runs") == ({"tree/a": READ, "tree/src": READ, "other": READ}, set())


def test_of_two_lines_the_later_one_holds(landlock: Any, tmp_path: Path) -> None:
    root = files(tmp_path, "tree/runs/slot/", "tree/runs/reply/", "tree/a")
    lines = ("hide {0}/tree/runs", "write {0}/tree/runs/slot", "write {0}/tree/runs/reply", "read {0}/tree/runs/reply")
    assert granted(landlock, root, *lines)[0] == {"tree/a": READ, "tree/runs/slot": WRITE, "tree/runs/reply": READ}
    assert granted(landlock, root, *lines, "read {0}/tree")[0] == {}, "as all of it can be read"


def test_a_folder_with_something_that_is_read_only_is_a_level(landlock: Any, tmp_path: Path) -> None:
    root = files(tmp_path, "home/.config/git/x", "home/.config/mine/", "home/.app/", "home/.app.json")
    found, levels = granted(landlock, root, "write /", "read {0}/home/.config/git")
    assert found == {"home/.config/mine": WRITE, "home/.app": WRITE, "home/.app.json": WRITE}
    assert levels == {"", "/home", "/home/.config"}


def test_a_second_home_has_links_to_what_is_in_the_first(landlock: Any, tmp_path: Path) -> None:
    root = files(tmp_path, "home/.config/git/x", "home/.config/mine/y", "home/.app.json", "home/tree/z", "scratch/")
    home = f"{root}/home"
    landlock.second_home(home, {str(root), home, f"{home}/.config"}, f"{root}/scratch/home")
    second = root / "scratch/home"
    assert sorted(path.name for path in second.iterdir()) == [".app.json", ".config", "tree"]
    assert not (second / ".config").is_symlink()
    assert (second / ".config/git").readlink() == root / "home/.config/git"
    assert (second / ".config/mine/y").exists()
    assert (second / "tree/z").exists()


def run(folder: Path, lines: str, script: str, **more: str) -> subprocess.CompletedProcess[str]:
    (folder / "confine").write_text(lines)
    command = [sys.executable, "-IS", str(PROGRAM), str(folder / "confine"), "0,1", "bash", "-c", script]
    return subprocess.run(
        command, check=False, capture_output=True, text=True, cwd=folder, env={**os.environ, **more}, timeout=60
    )


needs_landlock = pytest.mark.skipif("landlock" not in WORKING, reason="Landlock does not work here")


@needs_landlock
def test_a_command_reaches_what_is_granted(tmp_path: Path) -> None:
    root = files(tmp_path, "mine/", "keys", "read")
    (root / "keys").write_text("secret")
    lines = f"hide {root}/keys\nwrite {root}/mine\n"
    script = """
    touch mine/x && cat read && echo said >/dev/stderr || exit 3
    for act in 'cat keys' 'touch new' 'rm read' 'mv read mine/r' 'ln keys mine/k' 'truncate -s 9 keys' \
      'mknod mine/d c 1 3' 'mount -t tmpfs x mine' 'kill -0 PPID' 'echo >/dev/udp/127.0.0.1/9' 'echo >>read'; do
      ! bash -c "${act/PPID/$PPID}" 2>/dev/null || echo "$act"
    done
    """
    result = run(root, lines, script)
    assert (result.returncode, result.stdout, result.stderr) == (0, "", "said\n")


@needs_landlock
@pytest.mark.parametrize("word", ["network", "loopback"])
def test_a_network_is_there_where_it_is_wanted(tmp_path: Path, word: str) -> None:
    """A machine has no loopback that could be had without the rest."""
    assert run(tmp_path, f"{word}\n", "echo >/dev/udp/127.0.0.1/9").returncode == 0


@needs_landlock
def test_its_home_takes_what_is_new_and_keeps_what_was_there(tmp_path: Path) -> None:
    root = files(tmp_path, "home/.app.json", "home/.app/", "home/.gitconfig", "scratch/")
    lines = f"write /\nnetwork\nread {root}/home/.gitconfig\n"
    script = "for f in .app.json .app/x .new .gitconfig; do echo 1 >~/$f; done; mv ~/.new ~/.app.json"
    run(root, lines, script, HOME=f"{root}/home", TMPDIR=f"{root}/scratch")
    found = {path.name: path.read_text() for path in (root / "home").rglob("*") if path.is_file()}
    assert found == {".app.json": "1\n", "x": "1\n", ".gitconfig": ""}


def test_where_it_cannot_be_held_nothing_runs(tmp_path: Path) -> None:
    program = tmp_path / "landlock.py"
    program.write_text(PROGRAM.read_text().replace("LEAST_ABI = 3", "LEAST_ABI = 99"))
    result = subprocess.run(
        [sys.executable, "-IS", program, os.devnull, "0", "echo", "it ran"], check=False, capture_output=True, text=True
    )
    assert (result.returncode, result.stdout) == (1, "")
    assert result.stderr.startswith("landlock: it is not in this kernel, or too old (ABI ")
