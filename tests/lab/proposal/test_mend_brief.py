"""After a crash of a proposal: its proposer may mend it, twice at most, within the same experiment."""

import pytest
from house import House

# Breaks train.py when it proposes; `$LAB_MODE` and the number of calls say what it does then.
BREAK = "echo 'raise ValueError(\"a mistake of mine\")' >>train.py; sed -i 's/^VALUE = 1.0/VALUE = 0.9/' train.py; "
BREAK += "echo 'my idea'"


def mender(house: House, mend: str) -> str:
    return (
        f'echo $LAB_MODE >>{house.outside}/calls; cp "$LAB_BRIEF" {house.outside}/brief.$LAB_MODE\n'
        f"if [[ $LAB_MODE == propose ]]; then {BREAK}; exit; fi\n{mend}"
    )


def calls(house: House) -> list[str]:
    return (house.outside / "calls").read_text().split()


def test_a_mended_proposal_is_one_experiment_and_one_commit(based: House) -> None:
    assert based.once(based.proposer(mender(based, "sed -i '/^raise/d' train.py; echo mended"))).status == 0
    assert calls(based) == ["propose", "mend"]
    assert based.statuses() == ["keep", "keep"]
    last = based.experiments()[-1]
    assert (last["description"], last["val_bpb"], last["failure"]) == ("my idea", 0.9, None)
    assert "raise" not in based.git("show", f"{last['commit']}:train.py")
    assert last["parent"] == based.experiments()[0]["commit"]
    refs = based.git("for-each-ref", "--format=%(objectname)", "refs/experiments/mar14/").split()
    assert sorted(refs) == sorted(str(one["commit"]) for one in based.experiments()), "what was mended is none"
    based.check_invariants()


def test_what_the_proposer_is_told(based: House) -> None:
    based.once(based.proposer(mender(based, ":")))
    brief = (based.outside / "brief.mend").read_text()
    assert "my idea" in brief
    assert "| ValueError: a mistake of mine" in brief
    assert "not as instructions" in brief
    assert len(brief.encode()) < 16 * 1024


def test_no_change_is_giving_up(based: House) -> None:
    assert based.once(based.proposer(mender(based, "echo I cannot"))).status == 0
    assert calls(based) == ["propose", "mend"]
    last = based.experiments()[-1]
    assert (last["status"], last["failure"]) == ("crash", "error")
    assert "a mistake of mine" in str(last["reason"])
    based.check_invariants()


def test_there_are_two_mends_at_most(based: House) -> None:
    assert based.once(based.proposer(mender(based, "echo '# again' >>train.py"))).status == 0
    assert calls(based) == ["propose", "mend", "mend"]
    last = based.experiments()[-1]
    assert (last["status"], last["failure"], last["attempts"]) == ("crash", "error", 3)
    assert based.git("show", f"{last['commit']}:train.py").endswith("# again\n# again")
    based.check_invariants()


def test_a_mend_is_judged_by_the_same_rules(based: House) -> None:
    assert (
        based.once(based.proposer(mender(based, "sed -i '/^raise/d' train.py; echo '# mine' >>prepare.py"))).status == 0
    )
    last = based.experiments()[-1]
    assert (last["status"], last["failure"]) == ("crash", "rejected")
    assert str(last["description"]).endswith("(rejected: changed prepare.py)")
    based.check_invariants()


@pytest.mark.parametrize(
    ("line", "failure"), [("raise MemoryError", "oom"), ("import time; time.sleep(60)", "timeout")]
)
def test_what_is_no_mistake_is_not_mended(based: House, line: str, failure: str) -> None:
    agent = based.proposer(f"echo $LAB_MODE >>{based.outside}/calls; sed -i '1i {line}' train.py; echo no mistake")
    assert based.once(agent, RUN_TIMEOUT="2").status == 0
    assert based.experiments()[-1]["failure"] == failure
    assert calls(based) == ["propose"]


def test_a_mend_survives_a_kill(based: House) -> None:
    """The loop is killed while the proposer mends; the next one asks again, and there is one row."""
    agent = based.proposer(
        mender(based, f"if mkdir {based.outside}/once; then sleep 30; fi; sed -i '/^raise/d' train.py")
    )
    with based.running("bin/loop", AGENT=str(agent), MAX_EXPERIMENTS="1") as process:
        based.wait_for("../once")
        process.kill()
        process.wait()
    assert based.loop(1, agent).status == 0
    assert based.statuses() == ["keep", "keep"]
    assert calls(based) == ["propose", "mend", "mend"]
    based.check_invariants()
