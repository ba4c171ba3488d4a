"""Real coding agents as proposers, against a scripted model: each kind of answer ends as the contract says.

`make test` has those that install in seconds; `make test-agents` installs and tries all, with every kind of answer,
`CONFINE=landlock make test-agents` under Landlock.
"""

import gzip
import os
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from agents import BROUGHT, ENVIRONMENT, KEY, equip, needs, night
from house import TRAIN, House
from lab.proposal.brief import RULES
from standin import (
    Answer,
    Asks,
    Edit,
    Hang,
    Nonsense,
    Refusal,
    Shell,
    StandIn,
    overload,
    rate_limit,
    unauthorized,
)
from test_other_codebases import package

pytestmark = pytest.mark.slow

ALL = bool(os.environ.get("AGENTS"))
CONFINE = os.environ.get("CONFINE", "auto")
AGENTS = [pytest.param(name, marks=needs(name)) for name in ENVIRONMENT]
CONTEXT = ("AGENTS.md", "CLAUDE.md", "GEMINI.md", ".claude/skills/x/SKILL.md", ".agents/skills/x/SKILL.md")
MARKER = "loop-for-ever-says-the-tree"
BRIEF = RULES.splitlines()[2]
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
QUICK = {"claude": ["shell", "refusal"], "codex": ["shell"], "llm": [*KINDS]}


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
    assert house.loop(rows, name, timeout=1800, AGENT_TIMEOUT="180", CONFINE=CONFINE).status == 0
    said = [KINDS[kind][1].format(name=name) for kind in kinds]
    if name == "mini":  # it takes words without a command for a fault of the model
        words = re.compile(r"\(exit status 0\).*")
        said = [words.sub("(exit status 1): mini: RepeatedFormatError", line) for line in said]
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
    briefs = [request for request in model.asked() if BRIEF in request.text]
    assert len({request.call for request in briefs}) == model.calls
    assert not [request for request in model.requests if MARKER in request.text]
    assert not (house.outside / "home/mark").exists()
    kept = [path for path in house.run_folder.rglob("*") if path.is_file()]
    assert not [path for path in kept if KEY.encode() in path.read_bytes()]
    house.check_invariants()


# A night: good ideas, bad ones, mistakes that are mended and ones that are not, no model, one that wants a person.
NIGHT = ("good", "rate limit", "bad", "mended", "asks", "gives up", "good")
ROWS = {"good": ("keep", 1), "bad": ("discard", 1), "mended": ("keep", 2), "gives up": ("crash", 2)}  # verdict, calls


def script_of(kinds: list[str]) -> Iterator[Answer]:
    """Of each kind of the night: its call, and that of a mend, by what is the incumbent then."""
    now = 1.0
    for number, kind in enumerate(kinds):
        line, better = (f"VALUE = {value:.3f}  # the metric" for value in (now, now - 0.02))
        mistake = f"VALUE = {number}; raise ValueError  # the metric"
        if kind in KINDS:
            yield KINDS[kind][0]
            continue
        yield Edit(line, {"good": better, "bad": "VALUE = 2"}.get(kind, mistake), kind)
        if ROWS[kind][1] == 2:
            yield Edit(mistake, better, "no mistake any more") if kind == "mended" else Asks()
        now -= 0.02 * (ROWS[kind][0] == "keep")


@needs("llm")
def test_a_night(house: House, model: StandIn) -> None:
    run = house
    (run.tree / "train.py").write_text(TRAIN.replace("1.0 ", "1.000 "))
    run.commit("three decimals")
    run.setup()
    kinds = [*NIGHT * (4 if ALL else 1)]
    model.script = [*script_of(kinds)]
    equip(run, "llm", model)
    rows = [kind for kind in kinds if kind in ROWS]
    assert run.loop(len(rows), "llm", timeout=1000).status == 0
    assert [one["description"] for one in run.experiments()[1:]] == rows
    assert run.statuses()[1:] == [ROWS[kind][0] for kind in rows]
    assert len(refusals(run)) == len(kinds) - len(rows)
    assert [one["tokens"] for one in run.experiments()[1:]] == [1050 * ROWS[kind][1] for kind in rows]
    assert len(transcripts(run)) == model.calls == len(model.script)
    prompts = [request.body["messages"][0]["content"] for request in model.asked()]
    assert all(len(prompt.encode()) <= 16 * 1024 + 3000 for prompt in prompts), (
        "the brief, the rules, and a small train.py"
    )
    run.check_invariants()


@needs("llm")
def test_a_model_without_tools_edits_several_files_and_leaves_ideas(tmp_path: Path, model: StandIn) -> None:
    house = package(tmp_path, "forest/model.py configs/*.yaml")
    says = "note: it is too small\nidea: a batch of 64 at this scale\nthe scale"
    model.script = [Edit("SCALE = 2.0", "SCALE = 2.4", says, path="forest/model.py")]
    equip(house, "llm", model)
    assert house.loop(1, "llm").status == 0
    (found,) = house.experiments()[1:]
    assert (found["description"], found["notes"], found["status"]) == ("the scale", ["it is too small"], "keep")
    assert house.git("show", "--name-only", "--format=", str(found["commit"])) == "forest/model.py"
    assert (house.run_folder / "ideas.md").read_text().endswith("\na batch of 64 at this scale\n")
    (prompt,) = (request.body["messages"][0]["content"] for request in model.asked())
    assert "The file configs/base.yaml, to the next such line or the end:\n\n# what is tuned\nrate: 1.0\n" in prompt


@needs("llm")
def test_a_model_that_never_answers_is_left(run: House, model: StandIn) -> None:
    model.script = [Hang()]
    equip(run, "llm", model)
    assert run.once("llm", AGENT_TIMEOUT="8").status == 1
    assert refusals(run) == ["it changed nothing (exit status 1): llm: no end within its time"]
    assert run.left_running() == []
    assert run.scratch_copies() == []


@needs("llm")
def test_no_network_is_no_failure_of_the_agent(run: House) -> None:
    with StandIn() as gone:
        pass
    equip(run, "llm", gone)
    (run.outside / "home/bin/llm").unlink()  # nobody counts the calls
    (run.outside / "home/bin/llm").symlink_to(BROUGHT / "llm")
    assert run.once("llm").status == 1
    assert refusals(run) == ["it changed nothing (exit status 75): not now: network"]


def test_an_agent_that_is_not_there_says_how_to_get_it(run: House) -> None:
    assert run.once("claude").status == 1
    assert refusals(run) == ["it changed nothing (exit status 2): claude: 'claude' is not on PATH"]
