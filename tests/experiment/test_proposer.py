"""What a proposer may do, and what becomes of it: rejected proposals, descriptions, the scratch copy."""

import gzip
import re
from collections.abc import Sequence

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


@pytest.mark.parametrize("does", REJECTED)
def test_a_rejected_proposal_is_a_crash_row_without_training(run: House, does: str) -> None:
    result = run.once(run.proposer(f"{does}\necho 'my idea'"))
    assert result.status == 0
    row, last = run.rows()[-1], run.experiments()[-1]
    assert row[1:4] == ["0.000000", "0.0", "crash"]
    assert row[4].startswith("my idea ")
    assert row[4].endswith(REJECTED[does])
    assert (last["failure"], last["runs"], last["wall_seconds"]) == ("rejected", [], None)
    assert len(list((run.run_folder / "logs").iterdir())) == 1, "the baseline's log alone: nothing was trained"
    changed = run.git("diff", "--name-only", f"{last['parent']}", f"{last['commit']}").split()
    assert set(changed) <= {"train.py"}, "the commit holds its train.py alone"
    assert (run.tree / "train.py").read_text() == TRAIN
    run.check_invariants()


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
    ":": "VALUE 1.0 -> 1.5",
}


@pytest.mark.parametrize("says", DESCRIPTIONS)
def test_any_description_is_taken_and_made_harmless(run: House, says: str) -> None:
    assert run.once(run.proposer(f"sed -i 's/^VALUE = 1.0/VALUE = 1.5/' train.py\n{says}")).status == 0
    assert run.rows()[-1][4] == DESCRIPTIONS[says]
    commit = str(run.experiments()[-1]["commit"])
    assert run.git("log", "-1", "--format=%B", commit) == f"experiment: {DESCRIPTIONS[says]}"
    run.check_invariants()


def test_a_description_of_5_kb_is_cut(run: House) -> None:
    assert run.once(run.proposer("echo 'VALUE = 1.5' >>train.py; head -c 5000 /dev/zero | tr '\\0' x")).status == 0
    description = run.rows()[-1][4]
    assert len(description) == 200
    assert description.endswith("xxx...")
    run.check_invariants()


def test_the_category_that_a_proposer_names_is_recorded(run: House) -> None:
    assert run.once(run.proposer("echo 'X = 1' >>train.py; echo 'category: optimizer'; echo 'an idea'")).status == 0
    assert run.experiments()[-1]["category"] == "optimizer"


def test_the_proposer_works_in_a_repository_of_its_own_with_the_brief(run: House) -> None:
    seen = run.outside / "seen"
    agent = run.proposer(
        f"{{ pwd; cmp - $LAB_BRIEF && echo same; echo $LAB_TAG $LAB_MODE; git remote; git log -1 --format=%s;\n"
        f"git status --porcelain; [[ -d $TMPDIR ]] && echo $TMPDIR; env | grep -E '^(RUN|FLIGHT)='; }} >{seen}\n"
        "echo x >new-file; mkdir d; echo x >d/y; git add --all; echo 'X = 1' >>train.py\n"
        "git -c user.name=a -c user.email=b commit -qam 'my own commit'"
    )
    assert run.once(agent).status == 0
    scratch, same, called, subject, folder = seen.read_text().splitlines()
    assert not scratch.startswith(str(run.tree)), "outside of the tree, whose instructions it would read"
    assert (same, called, subject) == ("same", "mar14 propose", "experiment: baseline")
    assert folder.startswith(scratch.removesuffix("/tree"))
    last = run.experiments()[-1]
    assert last["status"] == "discard", "new files are dropped in silence, own commits ignored"
    assert run.git("diff", "--name-only", str(last["parent"]), str(last["commit"])) == "train.py"
    run.check_invariants()


def test_the_proposer_sees_neither_the_toolkit_nor_what_tells_it_to_run_experiments(house: House) -> None:
    """Left out of its copy, which is no change; and what it writes there itself is none either."""
    run = house
    (run.tree / "mine").mkdir()
    (run.tree / "mine/notes.md").write_text("read me\n")
    run.commit("a file of the person's")
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


def test_a_proposer_that_leaves_processes_behind_leaves_none(run: House) -> None:
    agent = run.proposer("setsid sleep 300 & (trap '' TERM; sleep 300) & echo 'X = 1' >>train.py; echo fork")
    assert run.once(agent).status == 0
    run.check_invariants()


def test_a_path_to_an_agent_may_be_relative(run: House) -> None:
    run.setting("0.9", "near")
    assert run.once("../near").status == 0
    assert run.experiments()[-1]["agent"] == "near"


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


@pytest.mark.parametrize("usage", TOLD)
def test_what_a_proposal_and_its_mend_took(run: House, usage: str) -> None:
    mend = "if [[ $LAB_MODE == mend ]]; then sed -i '/^raise/d' train.py; exit; fi\n"
    agent = run.proposer(
        f"{REPORT.replace('{usage}', usage)}{mend}echo 'raise ValueError' >>train.py; echo X = 1 >>train.py"
    )
    assert run.once(agent).status == 0
    last = run.experiments()[-1]
    assert (last["tokens"], last["cost_usd"], last["attempts"]) == (*TOLD[usage], 2)
    kept = {path.name[7:]: gzip.decompress(path.read_bytes()) for path in (run.run_folder / "logs").glob("*.agent.gz")}
    assert kept == {".agent.gz": b"all of propose\n", "-mend.1.agent.gz": b"all of mend\n"}
    run.check_invariants()


def test_one_unknown_makes_the_sum_unknown(run: House) -> None:
    mend = "if [[ $LAB_MODE == mend ]]; then sed -i '/^raise/d' train.py; exit; fi\n"
    report = REPORT.replace("{usage}", '{"tokens": 7, "cost_usd": 1}')
    assert (
        run.once(run.proposer(f"{mend}{report}echo 'raise ValueError' >>train.py; echo X = 1 >>train.py")).status == 0
    )
    assert (run.experiments()[-1]["tokens"], run.experiments()[-1]["cost_usd"]) == (None, None)


NOT_NOW = """\
if mkdir ~/once; then
  echo all >$LAB_TRANSCRIPT
  echo more >&2
  echo "not now: rate limit until $(date -d '{when}' '+%F %T')" >&2
  exit 75
fi
"""


@pytest.mark.parametrize(("when", "waits"), [("+6 sec", range(1, 8)), ("+1 day", [0]), ("-1 min", [0])])
def test_when_the_proposer_tells_when_to_ask_it_again(run: House, when: str, waits: Sequence[int]) -> None:
    agent = run.setting("0.9")
    agent.write_text(agent.read_text().replace("sed", NOT_NOW.replace("{when}", when) + "sed", 1))
    assert run.loop(1, agent).status == 0
    log = (run.run_folder / "loop.log").read_text()
    assert "it changed nothing (exit status 75): not now: rate limit until 20" in log
    told = re.search(r"asking the proposer again in (\d+) s", log)
    assert told
    assert int(told[1]) in waits
    assert not (run.run_folder / "not-before").exists()
    names = [path.name for path in (run.run_folder / "logs").glob("none-*.agent.gz")]
    assert len(names) == 1, "a proposal that was none leaves its transcript, too"


def test_why_there_is_no_proposal_is_told(run: House) -> None:
    assert run.once(run.proposer("echo 'Should I go on?'; echo")).status == 1
    assert run.once(run.proposer("echo said; printf 'no key\\e[1m\\nhint: give one\\n\\n' >&2; exit 1")).status == 1
    log = (run.run_folder / "loop.log").read_text()
    assert "it changed nothing (exit status 0): Should I go on?\n" in log
    assert "it changed nothing (exit status 1): no key?[1m\n" in log
