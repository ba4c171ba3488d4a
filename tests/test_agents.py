"""Real coding agents as proposers, against a scripted model: each kind of answer ends as the contract says.

`make test` has those that install in seconds; `make test-agents` installs and tries all, with every kind of answer.
"""

import gzip
import os
from collections.abc import Iterator

import pytest
from agents import ENVIRONMENT, KEY, equip, needs, night
from house import House
from standin import (
    Answer,
    Asks,
    Edit,
    Nonsense,
    Refusal,
    Shell,
    StandIn,
    overload,
    rate_limit,
    unauthorized,
)

ALL = bool(os.environ.get("AGENTS"))
AGENTS = [pytest.param(name, marks=needs(name)) for name in ENVIRONMENT]
CONTEXT = ("AGENTS.md", "CLAUDE.md", "GEMINI.md", ".claude/skills/x/SKILL.md", ".agents/skills/x/SKILL.md")
MARKER = "loop-for-ever-says-the-tree"
SHELLS = ("codex", "mini")  # a shell is how these read and edit
README = Edit("# ML Experiment Loop", "# Mine", "another file", path="README.md")


@pytest.fixture
def model() -> Iterator[StandIn]:
    with StandIn() as one:
        yield one


def log_of(run: House) -> str:
    return (run.run_folder / "loop.log").read_text()


def refusals(run: House) -> list[str]:
    """What the loop says of each proposal that was none."""
    return [line.split(": ", 1)[1] for line in log_of(run).splitlines() if "no proposal from" in line]


def transcripts(run: House) -> list[str]:
    paths = sorted((run.run_folder / "logs").glob("*.agent.gz"))
    return [gzip.decompress(path.read_bytes()).decode() for path in paths]


# Kind of answer -> what the loop says of it.
KINDS: dict[str, tuple[Answer, str]] = {
    "shell": (Shell("touch ~/mark mark"), "it changed nothing (exit status 0)"),
    "asks": (Asks(), "it changed nothing (exit status 0): I have three ideas. Should I continue with the first one?"),
    "rate limit": (rate_limit(), "it changed nothing (exit status 75): not now: rate limit"),
    "overload": (overload(), "it changed nothing (exit status 75): not now: overload"),
    "refusal": (Refusal(), "it changed nothing (exit status "),
    "nonsense": (Nonsense(), "it changed nothing (exit status "),
    "login": (unauthorized(), "it changed nothing (exit status 1): {name}: login refused: '"),
}
QUICK = {"claude": ["shell", "refusal"], "codex": ["shell", "overload"], "llm": [*KINDS]}


@pytest.mark.parametrize("name", AGENTS)
def test_each_kind_of_answer_ends_as_the_contract_says(house: House, model: StandIn, name: str) -> None:
    for path in CONTEXT:
        (house.tree / path).parent.mkdir(parents=True, exist_ok=True)
        (house.tree / path).write_text(f"---\nname: x\ndescription: {MARKER}\n---\n{MARKER}\n")
    house.commit("what agents read")
    house.setup()
    kinds = [*KINDS] if ALL else QUICK.get(name, [])
    script: list[float | Answer] = [0.9, README]
    for number, kind in enumerate(kinds):
        script += [KINDS[kind][0]] if number % 2 else [0.8 - number / 100, KINDS[kind][0]]
    model.script = night([*script, 0.5])
    equip(house, name, model)
    rejects = name in SHELLS
    rows = sum(isinstance(one, float) for one in script) + 1 + rejects
    assert house.loop(rows, name, timeout=500, AGENT_TIMEOUT="60").status == 0
    said = [KINDS[kind][1].format(name=name) for kind in kinds]
    said[:0] = [] if rejects else ["it changed nothing (exit status "]
    assert len(refusals(house)) == len(said)
    assert all(line.startswith(start) for line, start in zip(refusals(house), said, strict=True)), refusals(house)
    check_night(house, model, name, rejects)


def check_night(house: House, model: StandIn, name: str, rejects: bool) -> None:
    """The ledger, the requests, and what is left."""
    experiments = house.experiments()[1:]
    crashes = [one["description"] for one in experiments if one["status"] != "keep"]
    assert crashes == (["another file (rejected: changed README.md)"] if rejects else [])
    assert all(one["agent"] == name for one in experiments)
    tokens = [one["tokens"] for one in experiments]
    assert all(isinstance(number, int) and number % 1050 == 0 for number in tokens), tokens
    assert len(transcripts(house)) == model.calls
    briefs = [request for request in model.asked() if "You propose one experiment" in request.text]
    assert len({request.call for request in briefs}) == model.calls
    assert not [request for request in model.requests if MARKER in request.text]
    assert not (house.outside / "home/mark").exists()
    kept = [path for path in house.run_folder.rglob("*") if path.is_file()]
    assert not [path for path in kept if KEY.encode() in path.read_bytes()]
    house.check_invariants()
