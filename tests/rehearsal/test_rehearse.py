"""bin/rehearse: a night with faults is survived; a toolkit that is broken is found, and said with fault and seed."""

import re
import time
from pathlib import Path

import pytest
from house import House, Result
from kills import LONG
from rehearsal import faults, processes

FAULTS_OF_A_NIGHT = 200 if LONG else len(faults.ALL)  # each once


def rehearse(house: House, faults: int, seed: int) -> Result:
    return house.call("bin/rehearse", FAULTS=str(faults), SEED=str(seed), timeout=3600)


def left(house: House) -> list[Path]:
    return list((house.outside / "tmp").iterdir())


@pytest.mark.slow
def test_a_night_with_faults_is_survived_and_leaves_nothing(house: House) -> None:
    before = house.git("status", "--porcelain")
    result = rehearse(house, FAULTS_OF_A_NIGHT, 1)
    assert result.status == 0, result
    lines = re.findall(r"^ +(\d+) ([a-z-]+) +(.+), \d+ rows$", result.out, re.MULTILINE)
    assert [int(number) for number, _, _ in lines] == list(range(1, FAULTS_OF_A_NIGHT + 1))
    assert {name for _, name, _ in lines} == {fault.__name__.replace("_", "-") for fault in faults.ALL}
    assert re.search(
        rf"^{FAULTS_OF_A_NIGHT} faults, \d+ rows, \d+ kept; the slowest recovery took \d+\.\d s; SEED=1$",
        result.out,
        re.MULTILINE,
    )
    assert result.out.endswith("every rule holds\n")
    assert left(house) == []
    assert house.git("status", "--porcelain") == before, "the tree itself is not touched"


@pytest.mark.first_case
@pytest.mark.parametrize(
    ("path", "old", "new", "fault", "says"),
    [
        (
            "lib/experiment/steps/40-judge",
            'core conclude "$FLIGHT" says',
            'core conclude "$FLIGHT" says; tail -n 1 "$RUN/results.tsv" | sed "s/^./x/" >>"$RUN/results.tsv"',
            "crash",
            "4 rows instead of 2",
        ),
        (
            "lib/experiment/steps/80-settle",
            'if [[ $(<"$FLIGHT/verdict") == keep ]]; then',
            "if true; then",
            "crash",
            "The branch has the baseline and the keeps",
        ),
        (
            "lib/experiment/checkout.sh",
            "slot_git clean -ffdxq",
            "true",
            "checkpoint",
            "because of a fault of something else",
        ),
        (
            "lib/child/runner.py",
            "if not children.end() or stop.is_unwanted():",
            "if False:",
            "daemon",
            "No process is left:",
        ),
        ("lib/child/runner.py", "return 124", "return 0", "hang", "the last experiment is not a 'timeout' crash"),
    ],
    ids=["two rows", "a move before the verdict", "a file left", "a child left", "no limit"],
)
def test_a_broken_toolkit_is_found(house: House, path: str, old: str, new: str, fault: str, says: str) -> None:
    """What is rehearsed is the toolkit as it is in the tree, with no commit; and the faults that are in the folder."""
    file = house.tree / path
    assert old in file.read_text()
    file.write_text(file.read_text().replace(old, new))
    with (house.tree / "lib/rehearsal/faults.py").open("a") as faults_of_the_tree:
        faults_of_the_tree.write(f"ALL = [{fault}]\n")
    result = rehearse(house, 2, 7)
    assert result.status == 2
    assert says in result.err
    assert f"after fault 1, '{fault}'" in result.err or "before any fault" in result.err
    assert "make rehearse SEED=7" in result.err
    [folder] = left(house)
    assert f"'{folder}/tree'" in result.err
    assert (folder / "tree/runs/rehearsal/results.tsv").exists()


@pytest.mark.parametrize("fault", faults.ALL)
def test_a_fault_says_what_happens_and_what_must_hold(fault: faults.Fault) -> None:
    assert re.fullmatch(r"[A-Z`a-z].*[.:;,] .*\.", fault.__doc__ or ""), "the fault, and the result"


@pytest.fixture(scope="module")
def refusing(tmp_path_factory: pytest.TempPathFactory) -> House:
    return House(tmp_path_factory.mktemp("refusing"))


@pytest.mark.parametrize("value", ["0", "-1", "x", "1.5", "1000", "", "$(touch x)"])
def test_an_unknown_number_of_faults_is_refused(refusing: House, value: str) -> None:
    result = refusing.call("bin/rehearse", FAULTS=value)
    assert result.status == 2
    assert f"rehearse: FAULTS '{value}' is not a whole number from 1 to 999\nhint: " in result.err
    assert left(refusing) == []


@pytest.mark.parametrize("value", ["-1", "x", "007", "1000000000", ""])
def test_an_unknown_seed_is_refused(refusing: House, value: str) -> None:
    result = refusing.call("bin/rehearse", SEED=value)
    assert result.status == 2
    assert f"rehearse: SEED '{value}' is not a whole number" in result.err


def test_a_stop_ends_all_and_leaves_nothing(house: House) -> None:
    with house.running("bin/rehearse") as process:
        while not list(house.outside.glob("tmp/rehearsal-*/loop.log")) and process.poll() is None:
            time.sleep(0.02)
        process.terminate()
        assert process.wait(20) == 143
    assert left(house) == []
    assert processes.strays(house.outside) == {}
