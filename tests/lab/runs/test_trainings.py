"""How many trainings shared a device, and which slots are free."""

import fcntl
from pathlib import Path

from lab.runs import slots


def trained(run: Path, flight: str, devices: str, began: int, ended: int | None) -> Path:
    """A training run, from one second of a minute to another; None: it is at work."""
    folder = run / f"flights/{flight}/run.1"
    folder.mkdir(parents=True)
    (folder / "devices").write_text(f"{devices}\n")
    (folder / "started").write_text(f"2026-03-14T09:26:{began:02d}.000Z\n")
    if ended is not None:
        (folder / "ended").write_text(f"2026-03-14T09:26:{ended:02d}.000Z\n")
        (run / "slots").mkdir(exist_ok=True)
        with (run / "slots/uses").open("a") as file:
            file.write(f"0\t{devices}\t2026-03-14T09:26:{began:02d}.000Z\t2026-03-14T09:26:{ended:02d}.000Z\n")
    return folder


def test_the_mean_over_its_time(tmp_path: Path) -> None:
    own = trained(tmp_path, "f1", "", 10, 20)
    assert slots.trainings(tmp_path, own) == 1
    trained(tmp_path, "f2", "", 15, 40)
    assert slots.trainings(tmp_path, own) == 1.5
    trained(tmp_path, "f3", "", 12, None)
    assert slots.trainings(tmp_path, own) == 2.3
    trained(tmp_path, "f4", "", 21, 30)
    assert slots.trainings(tmp_path, own) == 2.3


def test_of_that_device_alone(tmp_path: Path) -> None:
    own = trained(tmp_path, "f1", "0", 10, 20)
    trained(tmp_path, "f2", "1", 10, 20)
    assert slots.trainings(tmp_path, own) == 1


def test_what_an_engine_does_not_say_is_not_known(tmp_path: Path) -> None:
    own = trained(tmp_path, "f1", "0", 10, 20)
    (own / "devices").unlink()
    assert slots.trainings(tmp_path, own) is None
    (tmp_path / "slots/uses").write_text("no line of ours\n0\t0\tx\ty\n")
    (own / "devices").write_text("0\n")
    assert slots.trainings(tmp_path, own) == 1


def test_a_slot_is_free_when_nobody_holds_its_lock(tmp_path: Path) -> None:
    (tmp_path / "slots").mkdir()
    (tmp_path / "slots/count").write_text("4\n")
    assert slots.free(tmp_path) == 4
    (tmp_path / "slots/2.out").touch()
    with (tmp_path / "slots/0.lock").open("w") as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        assert slots.free(tmp_path) == 2
    (tmp_path / "slots/count").unlink()
    assert slots.free(tmp_path) == 1
