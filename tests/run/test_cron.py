"""bin/cron, bin/uncron and bin/service: what they write, with a crontab that is a file; and a real cron daemon.

The daemon runs in a mount namespace of its own, so that nobody's crontab is touched.
"""

import os
import shutil
import signal
import subprocess
import time
from pathlib import Path

import pytest
from house import House

# Keeps the crontab in a file, and says what the real one says.
CRONTAB = """\
case $1 in
  -l) cat ~/crontab 2>/dev/null || { echo "no crontab for me" >&2; exit 1; } ;;
  -r) rm ~/crontab ;;
  -) cat >~/crontab.new && mv ~/crontab.new ~/crontab ;;
esac
"""
OTHERS = "# mine\nMAILTO=me\n\n5 4 * * * true # autoresearch\n* * * * * /elsewhere/bin/keepalive # autoresearch\n\n"


@pytest.fixture
def crontab(house: House) -> Path:
    """The file that `crontab` keeps; House's PATH has it first."""
    folder = house.outside / "fakes"
    folder.mkdir()
    house.proposer(CRONTAB, "fakes/crontab")
    house.environment["PATH"] = f"{folder}:{house.environment['PATH']}"
    return house.outside / "home/crontab"


def line(house: House) -> str:
    return f"* * * * * {house.tree}/bin/keepalive # autoresearch\n"


@pytest.mark.parametrize("others", ["", OTHERS])
def test_cron_adds_one_line_and_uncron_takes_it_away(house: House, crontab: Path, others: str) -> None:
    if others:
        crontab.write_text(others)
    for _ in range(2):
        assert house.call("make", "cron").status == 0
        assert crontab.read_text() == others + line(house)
    assert house.call("make", "uncron").status == 0
    assert (crontab.read_text() if crontab.exists() else "") == others
    assert "has no line for this tree" in house.call("bin/uncron").err


@pytest.mark.parametrize("name", ["two words", "it's", "100 %", "größer", "$HOME"])
def test_any_folder_can_be_looked_after(house: House, crontab: Path, name: str) -> None:
    """cron makes a newline of each % that is not escaped, and gives the rest to sh."""
    tree = house.outside / name
    house.tree.rename(tree)
    (tree / "bin/keepalive").write_text("#!/bin/sh\necho called\n")
    subprocess.run([tree / "bin/cron"], env=house.environment, check=True)
    command = crontab.read_text().removeprefix("* * * * * ").replace("\\%", "%")
    assert subprocess.run(["sh", "-c", command], capture_output=True, text=True, check=True).stdout == "called\n"
    subprocess.run([tree / "bin/uncron"], env=house.environment, check=True)
    assert not crontab.exists()


def test_a_crontab_that_cannot_be_read_is_not_taken_for_an_empty_one(house: House, crontab: Path) -> None:
    crontab.write_text(OTHERS)
    house.proposer('[ "$1" != -l ] || { echo "you are not allowed" >&2; exit 1; }\n' + CRONTAB, "fakes/crontab")
    for verb in ("bin/cron", "bin/uncron"):
        result = house.call(verb)
        assert result.status == 2
        assert "cannot read the crontab: 'you are not allowed'\nhint: " in result.err
        assert crontab.read_text() == OTHERS


@pytest.mark.parametrize("verb", ["cron", "uncron"])
def test_two_trees_at_once_lose_no_line(house: House, crontab: Path, verb: str) -> None:
    """Nor does a person's; the crontab is slow, so that they would."""
    house.proposer(CRONTAB.replace("cat >~", "sleep 0.2; cat >~"), "fakes/crontab")
    trees = [house.tree, *(house.outside / name for name in ("b", "c"))]
    for tree in trees[1:]:
        shutil.copytree(house.tree, tree, symlinks=True)
    lines = "".join(f"* * * * * {tree}/bin/keepalive # autoresearch\n" for tree in trees)
    crontab.write_text(OTHERS + (lines if verb == "uncron" else ""))
    begun = [
        subprocess.Popen([tree / "bin" / verb], env=house.environment, stderr=subprocess.DEVNULL) for tree in trees
    ]
    assert [one.wait(30) for one in begun] == [0, 0, 0]
    assert sorted(crontab.read_text().splitlines()) == sorted((OTHERS + (lines if verb == "cron" else "")).splitlines())


def test_a_crontab_of_100_kb_is_no_trouble(house: House, crontab: Path) -> None:
    """Whoever looks for a line in it does not end while the crontab still writes."""
    others = "# a comment of some length, as there are many\n" * 2500
    crontab.write_text(others)
    for _ in range(2):
        assert house.call("bin/cron").status == 0
    assert crontab.read_text() == others + line(house)


def test_a_machine_without_cron_is_told(house: House) -> None:
    folder = house.outside / "few"
    folder.mkdir()
    for name in ("bash", "env", "mktemp", "rm", "sed", "git"):
        (folder / name).symlink_to(str(shutil.which(name)))
    result = house.call("bin/cron", PATH=str(folder))
    assert result.status == 2
    assert "no 'crontab' on PATH\nhint: install the package cron, or: make service" in result.err


# --- systemd ---------------------------------------------------------------------------------------------------------


def test_a_service_is_a_timer_of_the_same(house: House) -> None:
    """systemctl is a fake that notes how it is called; systemd's own checker reads the units, where there is one."""
    calls = house.outside / "calls"
    (house.outside / "fakes").mkdir()
    house.proposer(f'echo "$*" >>{calls}', "fakes/systemctl")
    path = f"{house.outside}/fakes:{house.environment['PATH']}"
    assert house.call("make", "service", PATH=path).status == 0
    units = sorted((house.outside / "home/.config/systemd/user").iterdir())
    assert [unit.suffix for unit in units] == [".service", ".timer"]
    assert f'ExecStart="{house.tree}/bin/keepalive"' in units[0].read_text()
    assert "KillMode=process" in units[0].read_text(), "else the loop ends with the look that has started it"
    assert f"--user enable --now {units[1].name}" in calls.read_text()
    if checker := shutil.which("systemd-analyze"):
        checked = subprocess.run([checker, "verify", "--man=no", *units], capture_output=True, text=True, check=False)
        assert "autoresearch" not in checked.stderr, checked.stderr
    assert house.call("make", "service", REMOVE="1", PATH=path).status == 0
    assert not list(units[0].parent.iterdir())


def test_a_user_without_systemd_is_told(house: House) -> None:
    (house.outside / "fakes").mkdir()
    house.proposer("exit 1", "fakes/systemctl")
    result = house.call("bin/service", PATH=f"{house.outside}/fakes:{house.environment['PATH']}")
    assert result.status == 2
    assert "there is no systemd for user" in result.err


# --- the real ones ---------------------------------------------------------------------------------------------------

# A crontab and a cron daemon, and a systemd of the user's, that nobody else sees.
PRIVATE_CRON = """\
mount -t tmpfs none /var/spool/cron && mount -t tmpfs none /run && mkdir -m 1730 /var/spool/cron/crontabs || exit 99
chgrp crontab /var/spool/cron/crontabs 2>/dev/null
printf '# mine\\n5 4 * * * true\\n' | crontab - && bin/cron && crontab -l >"$HOME/installed" && exec cron -f
"""
PRIVATE_SYSTEMD = """\
mount -t tmpfs none /run && mkdir -p -m 700 /run/systemd/system "$XDG_RUNTIME_DIR" || exit 99
/lib/systemd/systemd --user --log-target=kmsg &
until systemctl --user show-environment >/dev/null 2>&1; do sleep 0.1; done
bin/service && wait
"""
SYSTEMD = Path("/lib/systemd/systemd").exists() and shutil.which("systemctl")
SBIN = f"{os.environ['PATH']}:/usr/sbin"


def can_be_private() -> bool:
    return os.geteuid() == 0 and subprocess.run(["unshare", "--mount", "true"], check=False).returncode == 0


private = pytest.mark.skipif(not can_be_private(), reason="only root can give cron a crontab of its own")


def starts_a_killed_loop_again(slow: House, watcher: str) -> None:
    agent = slow.setting("0.9")
    settings = {"PATH": f"{slow.environment['PATH']}:/usr/sbin", "XDG_RUNTIME_DIR": "/run/user/private"}
    with slow.running("unshare", "--mount", "--fork", "--kill-child", "bash", "-c", watcher, **settings):
        with slow.running("bin/loop", AGENT=str(agent), MAX_EXPERIMENTS="1") as process:
            slow.wait_for("runs/mar14/flights/*/run.1/pid")
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()
        slow.seconds.write_text("0")
        deadline = time.monotonic() + 90
        while (slow.run_folder / "wanted").exists():
            assert time.monotonic() < deadline, "it is called each minute"
            time.sleep(0.5)
    assert slow.statuses() == ["keep", "keep"]
    deadline = time.monotonic() + 5
    while slow.left_running():
        assert time.monotonic() < deadline
    slow.check_invariants()


@pytest.mark.slow
@private
@pytest.mark.skipif(not shutil.which("cron", path=SBIN), reason="there is no cron daemon on this machine")
def test_a_real_cron_starts_a_killed_loop_again(slow: House) -> None:
    starts_a_killed_loop_again(slow, PRIVATE_CRON)
    assert (slow.outside / "home/installed").read_text() == f"# mine\n5 4 * * * true\n{line(slow)}"


@private
@pytest.mark.skipif(not SYSTEMD, reason="there is no systemd on this machine")
def test_a_real_systemd_starts_a_killed_loop_again(slow: House) -> None:
    """Its loop is not ended with the look that has started it."""
    starts_a_killed_loop_again(slow, PRIVATE_SYSTEMD)
