"""A loop runs from a copy of the toolkit: what a person does to that of the tree meanwhile changes nothing of it."""

import shutil
from pathlib import Path

import pytest
from house import House


def copies(house: House) -> list[Path]:
    return list((house.run_folder / "toolkit").iterdir())


def test_a_loop_goes_on_beside_half_edits_of_the_toolkit(slow: House) -> None:
    with slow.running("bin/loop", MAX_EXPERIMENTS="2", AGENT=str(slow.setting("0.9"))) as process:
        slow.wait_for("runs/mar14/flights/*/run.1/pid")
        for path in (slow.tree / "lib").rglob("*.sh"):
            path.write_text("exit 9 # half an edit\n")
        for name in ("lab", "child", "proposers"):
            shutil.rmtree(slow.tree / "lib" / name)
        slow.seconds.write_text("0")
        assert process.wait(30) == 0
    assert slow.statuses() == ["keep", "keep", "discard"]
    slow.git("checkout", "--quiet", "lib")
    slow.check_invariants()


def test_each_verb_that_trains_runs_from_the_copy_of_today_and_drops_the_others(based: House) -> None:
    (first,) = copies(based)
    assert based.once("/bin/false").status == 1
    assert copies(based) == [first], "the same toolkit has one copy"
    step = based.tree / "lib/experiment/steps/35-mine"
    step.write_text("# Reads nothing; writes ~/mine.\necho $TOOLKIT ${0%/lib/*} >~/mine\n")
    assert based.once(based.setting("0.9")).status == 0
    (second,) = copies(based)
    assert second != first
    assert (based.outside / "home/mine").read_text().split()[-1] == str(second)


@pytest.mark.slow
def test_a_copy_that_a_power_cut_has_torn_is_made_anew(based: House) -> None:
    (copy,) = copies(based)
    for value, name in enumerate(("bin/loop", "lib/experiment/dispatch", "lib/lab/verdict/criterion.py"), start=2):
        (copy / name).write_text("")
        assert based.once(based.setting(f"{value}.0")).status == 0, name
        assert (copy / name).read_text()
    (copy / ".copy").unlink()
    assert based.once(based.setting("0.9")).status == 0
    based.check_invariants()
