"""Fixtures that the tests share."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
from filelock import FileLock
from house import SLOW, House, shared, shared_folder

# Several workers share the cores: the threads of torch would only wait for one another.
os.environ.setdefault("OMP_NUM_THREADS", "1")

# Some tests share what another one of their room has, whichever of them are called.
sys.path += sorted({str(path.parent) for path in Path(__file__).parent.rglob("test_*.py")})


# They begin first: at the end, one would keep a worker at work alone.
LONGEST = ("test_cron.py", "test_full.py", "test_real.py", "test_long_nights.py", "test_rehearse.py", "test_kills.py")


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Leave what takes long to `make test-slow` (-m slow) and `make test-long`; `make test` runs something like it.

    What needs a Slurm is left to `make test-slurm`.
    """
    mark_further_cases(items)
    items.sort(key=lambda item: LONGEST.index(item.path.name) if item.path.name in LONGEST else len(LONGEST))
    if os.environ.get("LONG"):
        return
    left = {"long", "slow", "slurm"} - {name for name in ("slow", "slurm") if name in config.option.markexpr}
    config.hook.pytest_deselected(items=[item for item in items if is_marked(item, left)])
    items[:] = [item for item in items if not is_marked(item, left)]


def mark_further_cases(items: list[pytest.Item]) -> None:
    """Of each test that is marked `first_case`, all cases but the first are slow."""
    seen = set()
    for item in items:
        if is_marked(item, {"first_case"}):
            test = item.nodeid.partition("[")[0]
            if test in seen:
                item.add_marker("slow")
            seen.add(test)


def is_marked(item: pytest.Item, names: set[str]) -> bool:
    return any(mark.name in names for mark in item.iter_markers())


@pytest.fixture
def house(tmp_path: Path) -> House:
    """A clone with a fake trainer, nothing set up yet."""
    return House(tmp_path)


def set_up(folder: Path) -> House:
    one = House(folder)
    one.setup()
    return one


def slow_one(folder: Path) -> House:
    one = House(folder, SLOW)
    one.setup()
    return one.baseline()


@pytest.fixture(scope="session")
def begun(tmp_path_factory: pytest.TempPathFactory) -> House:
    """A clone with run mar14 set up, of which each test gets a copy: in a twentieth of the time."""
    return shared(tmp_path_factory, "begun", set_up)


@pytest.fixture
def run(begun: House, tmp_path: Path) -> House:
    """A clone with run mar14 set up."""
    return begun.copy(tmp_path)


@pytest.fixture(scope="session")
def settled(begun: House, tmp_path_factory: pytest.TempPathFactory) -> House:
    """The same with its baseline."""
    return shared(tmp_path_factory, "settled", lambda folder: begun.copy(folder).baseline())


@pytest.fixture
def based(settled: House, tmp_path: Path) -> House:
    """A clone with run mar14 and its baseline."""
    return settled.copy(tmp_path)


@pytest.fixture(scope="session")
def slowed(tmp_path_factory: pytest.TempPathFactory) -> House:
    """A run with its baseline, whose trainer takes as long as the test says."""
    return shared(tmp_path_factory, "slowed", slow_one)


@pytest.fixture
def slow(slowed: House, tmp_path: Path) -> House:
    """A run with its baseline, whose trainer takes 20 seconds from now on."""
    one = slowed.copy(tmp_path)
    one.seconds.write_text("20")
    return one


@pytest.fixture(scope="session")
def small_cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A cache with the small data, prepared once, also when xdist runs several workers. Read only."""
    root = shared_folder(tmp_path_factory)
    cache = root / "small-cache"
    with FileLock(root / "small-cache.lock"):
        env = {**os.environ, "AUTORESEARCH_CACHE": str(cache), "PROFILE": "small"}
        subprocess.run([sys.executable, Path(__file__).parent.parent / "prepare.py"], env=env, check=True)
    return cache
