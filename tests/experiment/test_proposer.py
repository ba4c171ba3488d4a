"""What a proposer may do, and what becomes of it: rejected proposals, descriptions, the scratch copy."""

import gzip
import re

import pytest
from house import TRAIN, House

# What the proposer does -> what the row says of it.
REJECTED = {
    "echo '# mine' >>prepare.py; echo 'X = 1' >>train.py": "(rejected: changed prepare.py)",
    "echo '# mine' >>prepare.py": "(rejected: changed prepare.py)",
    "rm README.md Makefile": "(rejected: changed Makefile, README.md)",
    "rm train.py": "(rejected: deleted train.py)",
    "rm train.py; ln -s prepare.py train.py": "(rejected: train.py is not a plain file)",
    "rm train.py; mkdir train.py": "(rejected: deleted train.py)",
    "printf '\\xff\\xfe' >>train.py": "(rejected: train.py is not UTF-8)",
    "head -c 1100000 /dev/zero | tr '\\0' '#' >>train.py": "(rejected: train.py is over 1 MB)",
    "git rm -q --cached prepare.py; git commit -qm gone; rm prepare.py; echo 'X = 1' >>train.py": "changed prepare.py)",
    "echo '# mine' >>prepare.py; git -c user.name=a -c user.email=b commit -qam hidden": "changed prepare.py)",
}


@pytest.mark.slow
def test_a_rejected_proposal_is_a_crash_row_without_training(based: House) -> None:
    agent = based.in_turn(*(f"{does}\necho 'my idea'" for does in REJECTED))
    assert based.loop(len(REJECTED), agent).status == 0
    for says, row, last in zip(REJECTED.values(), based.rows()[1:], based.experiments()[1:], strict=True):
        assert row[1:4] == ["0.000000", "0.0", "crash"]
        assert row[4].startswith("my idea ")
        assert row[4].endswith(says)
        assert (last["failure"], last["runs"], last["wall_seconds"]) == ("rejected", [], None)
        changed = based.git("diff", "--name-only", f"{last['parent']}", f"{last['commit']}").split()
        assert set(changed) <= {"train.py"}, "the commit holds its train.py alone"
    assert len(list((based.run_folder / "logs").iterdir())) == 1, "the baseline's log alone: nothing was trained"
    assert (based.tree / "train.py").read_text() == TRAIN
    based.check_invariants()


DESCRIPTIONS = {
    "printf 'a\\ttab\\n'": "a tab",
    "printf 'first\\n\\nlast\\n\\n  \\n'": "last",
    "printf 'no newline at the end'": "no newline at the end",
    "printf 'bell\\a and \\e[31mcolour\\e[0m and \\x00 nul\\n'": "bell and [31mcolour [0m and nul",
    "printf -- '-rf / --force\\n'": "-rf / --force",
    "printf '%s\\n' '$(touch pwned) `touch pwned` \"two\" '\"'one'\"": "$(touch pwned) `touch pwned` \"two\" 'one'",
    "printf 'relu² → GELU, größer\\n'": "relu² → GELU, größer",
    "printf '\\xff\\xfe broken\\n'": "�� broken",
    "printf 'category: activation\\nuse GELU\\n'": "use GELU",
    "printf 'category: optimizer\\nan idea\\n'": "an idea",
    "head -c 5000 /dev/zero | tr '\\0' x": 197 * "x" + "...",
    ":": "VALUE 1.0 -> 1.5",
}


@pytest.mark.slow
def test_any_description_is_taken_and_made_harmless(based: House) -> None:
    agent = based.in_turn(*(f"sed -i 's/^VALUE = 1.0/VALUE = 1.5/' train.py\n{says}" for says in DESCRIPTIONS))
    assert based.loop(len(DESCRIPTIONS), agent).status == 0
    assert [row[4] for row in based.rows()[1:]] == list(DESCRIPTIONS.values())
    for one in based.experiments()[1:]:
        assert based.git("log", "-1", "--format=%B", str(one["commit"])) == f"experiment: {one['description']}"
    named = [one["category"] for one in based.experiments() if one["description"] == "an idea"]
    assert named == ["optimizer"], "the category that a proposer names is recorded"
    based.check_invariants()


def test_the_proposer_works_in_a_repository_of_its_own_with_the_brief(based: House) -> None:
    seen = based.outside / "seen"
    agent = based.proposer(
        f"{{ pwd; cmp - $LAB_BRIEF && echo same; echo $LAB_TAG $LAB_MODE; git remote; git log -1 --format=%s;\n"
        f"git status --porcelain; [[ -d $TMPDIR ]] && echo $TMPDIR; env | grep -E '^(RUN|FLIGHT)='; }} >{seen}\n"
        "echo x >new-file; mkdir d; echo x >d/y; git add --all; echo 'X = 1' >>train.py\n"
        "git -c user.name=a -c user.email=b commit -qam 'my own commit'"
    )
    assert based.once(agent).status == 0
    scratch, same, called, subject, ideas, folder = seen.read_text().splitlines()
    assert not scratch.startswith(str(based.tree)), "outside of the tree, whose instructions it would read"
    assert (same, called, subject) == ("same", "mar14 propose", "experiment: baseline")
    assert ideas == "?? ideas.md", "what agents write down for one another"
    assert folder.startswith(scratch.removesuffix("/tree"))
    last = based.experiments()[-1]
    assert last["status"] == "discard", "new files are dropped in silence, own commits ignored"
    assert based.git("diff", "--name-only", str(last["parent"]), str(last["commit"])) == "train.py"
    based.check_invariants()


@pytest.mark.slow
def test_the_proposer_sees_neither_the_toolkit_nor_what_tells_it_to_run_experiments(house: House) -> None:
    """Left out of its copy, which is no change; and what it writes there itself is none either."""
    run = house
    for name in ("mine", "tests", "docs"):
        (run.tree / name).mkdir()
        (run.tree / name / "notes.md").write_text("read me\n")
    run.commit("files of the person's, and of the project's")
    run.setup()
    seen = run.outside / "seen"
    agent = run.proposer(
        f"{{ ls -A; ls mine; git status --porcelain; git diff HEAD --name-only; }} >{seen}\n"
        "mkdir .claude lib; echo x | tee CLAUDE.md lib/mine .claude/settings.json; echo 'X = 1' >>train.py; echo mine"
    )
    assert run.once(agent).status == 0
    names = seen.read_text().split()
    assert {"program.md", "train.py", "prepare.py", "pyproject.toml", "README.md", "notes.md"} <= set(names)
    assert not {"AGENTS.md", "CLAUDE.md", "GEMINI.md", ".claude", ".agents"} & set(names)
    assert not {"bin", "lib", "schemas", "tests", "docs"} & set(names), "the map of all cheats is there"
    assert run.experiments()[-1]["failure"] is None
    commit = run.experiments()[-1]["commit"]
    assert "AGENTS.md" in run.git("ls-tree", "--name-only", str(commit)).split(), "it is in the commit"
    run.check_invariants()


def test_a_proposer_that_leaves_processes_behind_leaves_none(based: House) -> None:
    agent = based.proposer("setsid sleep 300 & (trap '' TERM; sleep 300) & echo 'X = 1' >>train.py; echo fork")
    assert based.once(agent).status == 0
    based.check_invariants()


def test_a_path_to_an_agent_may_be_relative(based: House) -> None:
    based.setting("0.9", "near")
    assert based.once("../near").status == 0
    assert based.experiments()[-1]["agent"] == "near"


@pytest.mark.slow
def test_files_with_nasty_names_do_not_matter(house: House) -> None:
    for name in ("with space", "größe", 'quote"d', "new\nline", "-dash"):
        (house.tree / name).write_text("x")
    house.commit("nasty names")
    house.setup()
    assert house.once(house.setting("0.9")).status == 0
    assert house.once(house.proposer("echo y >>'with space'; echo y >>größe")).status == 0
    assert house.rows()[-1][4].startswith("change train.py (rejected: changed größe, with space")
    house.check_invariants()


REPORT = "printf '%s' '{usage}' >$LAB_USAGE; echo \"all of $LAB_MODE\" >$LAB_TRANSCRIPT\n"
TOLD = {
    '{"tokens": 1000, "cost_usd": 0.25}': (2000, 0.5),
    '{"tokens": 1000, "cost_usd": null}': (2000, None),
    '{"tokens": 10.5, "cost_usd": -1}': (None, None),
    '{"tokens": true, "cost_usd": NaN}': (None, None),
    '["tokens"]': (None, None),
    "{": (None, None),
}


@pytest.mark.slow
def test_what_a_proposal_and_its_mend_took(based: House) -> None:
    mend = "if [[ $LAB_MODE == mend ]]; then sed -i '/^raise/d' train.py; exit; fi\n"
    idea = "echo 'raise ValueError' >>train.py; echo X = 1 >>train.py"
    told = [f"{REPORT.replace('{usage}', usage)}{mend}{idea}" for usage in TOLD]
    report = REPORT.replace("{usage}", '{"tokens": 7, "cost_usd": 1}')
    unknown = f"{mend}{report}{idea}"  # of the mend: so is the sum
    assert based.loop(len(told) + 1, based.in_turn(*told, unknown)).status == 0
    *sums, last = based.experiments()[1:]
    assert [(one["tokens"], one["cost_usd"], one["attempts"]) for one in sums] == [(*one, 2) for one in TOLD.values()]
    assert (last["tokens"], last["cost_usd"]) == (None, None)
    for one in sums:
        name = str(one["commit"])[:7]
        logs = (based.run_folder / "logs").glob(f"{name}*.agent.gz")
        kept = {path.name.removeprefix(name): gzip.decompress(path.read_bytes()) for path in logs}
        assert kept == {".agent.gz": b"all of propose\n", "-mend.1.agent.gz": b"all of mend\n"}
    based.check_invariants()


NOT_NOW = """\
echo all >$LAB_TRANSCRIPT
echo more >&2
echo "not now: rate limit until $(date -d '{when}' '+%F %T')" >&2
exit 75
"""


@pytest.mark.slow
def test_when_the_proposer_tells_when_to_ask_it_again(based: House) -> None:
    idea = "sed -i 's/^VALUE = .*/VALUE = 1.5/' train.py"
    times = ("+1 day", "-1 min", "+6 sec")
    agent = based.in_turn(*(script for when in times for script in (NOT_NOW.replace("{when}", when), idea)))
    assert based.loop(3, agent).status == 0
    log = (based.run_folder / "loop.log").read_text()
    assert log.count("it changed nothing (exit status 75): not now: rate limit until 20") == 3
    far, over, near = map(int, re.findall(r"asking the proposer again in (\d+) s", log))
    assert (far, over) == (0, 0)
    assert 1 <= near <= 7
    assert not (based.run_folder / "not-before").exists()
    names = [path.name for path in (based.run_folder / "logs").glob("none-*.agent.gz")]
    assert len(names) == 3, "a proposal that was none leaves its transcript, too"


def test_why_there_is_no_proposal_is_told(based: House) -> None:
    assert based.once(based.proposer("echo 'Should I go on?'; echo")).status == 1
    assert based.once(based.proposer("echo said; printf 'no key\\e[1m\\nhint: give one\\n\\n' >&2; exit 1")).status == 1
    log = (based.run_folder / "loop.log").read_text()
    assert "it changed nothing (exit status 0): Should I go on?\n" in log
    assert "it changed nothing (exit status 1): no key?[1m\n" in log
