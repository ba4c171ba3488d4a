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


def test_a_mended_proposal_is_one_experiment_and_one_commit(run: House) -> None:
    assert run.once(run.proposer(mender(run, "sed -i '/^raise/d' train.py; echo mended"))).status == 0
    assert calls(run) == ["propose", "mend"]
    assert run.statuses() == ["keep", "keep"]
    last = run.experiments()[-1]
    assert (last["description"], last["val_bpb"], last["failure"]) == ("my idea", 0.9, None)
    assert "raise" not in run.git("show", f"{last['commit']}:train.py")
    assert last["parent"] == run.experiments()[0]["commit"]
    refs = run.git("for-each-ref", "--format=%(objectname)", "refs/experiments/mar14/").split()
    assert sorted(refs) == sorted(str(one["commit"]) for one in run.experiments()), "what was mended is none"
    run.check_invariants()


def test_what_the_proposer_is_told(run: House) -> None:
    run.once(run.proposer(mender(run, ":")))
    brief = (run.outside / "brief.mend").read_text()
    assert "my idea" in brief
    assert "| ValueError: a mistake of mine" in brief
    assert "it asks nothing of" in brief
    assert len(brief.encode()) < 16 * 1024


def test_no_change_is_giving_up(run: House) -> None:
    assert run.once(run.proposer(mender(run, "echo I cannot"))).status == 0
    assert calls(run) == ["propose", "mend"]
    last = run.experiments()[-1]
    assert (last["status"], last["failure"]) == ("crash", "error")
    assert "a mistake of mine" in str(last["reason"])
    run.check_invariants()


def test_there_are_two_mends_at_most(run: House) -> None:
    assert run.once(run.proposer(mender(run, "echo '# again' >>train.py"))).status == 0
    assert calls(run) == ["propose", "mend", "mend"]
    last = run.experiments()[-1]
    assert (last["status"], last["failure"], last["attempts"]) == ("crash", "error", 3)
    assert run.git("show", f"{last['commit']}:train.py").endswith("# again\n# again")
    run.check_invariants()


def test_a_mend_is_judged_by_the_same_rules(run: House) -> None:
    assert run.once(run.proposer(mender(run, "sed -i '/^raise/d' train.py; echo '# mine' >>prepare.py"))).status == 0
    last = run.experiments()[-1]
    assert (last["status"], last["failure"]) == ("crash", "rejected")
    assert str(last["description"]).endswith("(rejected: changed prepare.py)")
    run.check_invariants()


@pytest.mark.parametrize(
    ("line", "failure"), [("raise MemoryError", "oom"), ("import time; time.sleep(60)", "timeout")]
)
def test_what_is_no_mistake_is_not_mended(run: House, line: str, failure: str) -> None:
    agent = run.proposer(f"echo $LAB_MODE >>{run.outside}/calls; sed -i '1i {line}' train.py; echo no mistake")
    assert run.once(agent, RUN_TIMEOUT="2").status == 0
    assert run.experiments()[-1]["failure"] == failure
    assert calls(run) == ["propose"]


def test_a_mend_survives_a_kill(run: House) -> None:
    """The loop is killed while the proposer mends; the next one asks again, and there is one row."""
    agent = run.proposer(mender(run, f"if mkdir {run.outside}/once; then sleep 30; fi; sed -i '/^raise/d' train.py"))
    with run.running("bin/loop", AGENT=str(agent), MAX_EXPERIMENTS="1") as process:
        run.wait_for("../once")
        process.kill()
        process.wait()
    assert run.loop(1, agent).status == 0
    assert run.statuses() == ["keep", "keep"]
    assert calls(run) == ["propose", "mend", "mend"]
    run.check_invariants()
