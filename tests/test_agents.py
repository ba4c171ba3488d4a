"""Real coding agents as proposers, against a scripted model: each kind of answer ends as the contract says."""

from collections.abc import Iterator

import pytest
from agents import ENVIRONMENT, equip, needs, value
from house import House
from standin import StandIn

AGENTS = [pytest.param(name, marks=needs(name)) for name in ENVIRONMENT]


@pytest.fixture
def model() -> Iterator[StandIn]:
    with StandIn() as one:
        yield one


@pytest.mark.parametrize("name", AGENTS)
def test_an_edit_is_measured_and_kept(run: House, model: StandIn, name: str) -> None:
    model.script = [value(0.9)]
    equip(run, name, model)
    assert run.loop(1, name).status == 0
    last = run.experiments()[-1]
    assert (last["status"], last["val_bpb"], last["description"], last["agent"]) == ("keep", 0.9, "VALUE 0.9", name)
    run.check_invariants()
