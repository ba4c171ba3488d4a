"""What a training finds in the checkout of its slot, and what becomes of all that it leaves there."""

import gzip
import shutil
from pathlib import Path

import pytest
from house import TRAIN, House, shared

# The metric is VALUE less what the code in ~/deed, run in the checkout, calls GAIN.
DEED = TRAIN.replace("{VALUE:.6f}", "{VALUE - GAIN:.6f}").replace(
    "MEMORY", 'import os\nGAIN = 0\nexec(open(os.path.expanduser("~/deed")).read())\nMEMORY', 1
)


def deed_house(folder: Path) -> House:
    house = House(folder, DEED)
    deed(house, "")
    (house.tree / "metrics.json").write_text("{}\n")
    (house.tree / "sub").mkdir()
    (house.tree / "sub/tracked.txt").write_text("tracked\n")
    house.commit("files that a training may write")
    house.setup()
    return house.baseline()


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> House:
    return shared(tmp_path_factory, "deeds", deed_house)


@pytest.fixture
def run(made: House, tmp_path: Path) -> House:
    """A run with its baseline, whose trainings do what a test says."""
    return made.copy(tmp_path)


def deed(house: House, code: str) -> None:
    (house.outside / "home/deed").write_text(code + "\n")


def train(house: House, code: str, value: str, **settings: str) -> dict[str, object]:
    """The record of an experiment whose training does this."""
    deed(house, code)
    assert house.once(house.setting(value), **settings).status == 0
    return house.experiments()[-1]


def log(house: House) -> str:
    return (house.tree / "run.log").read_text()


def seen(house: House) -> str:
    """What the training has said of what it sees."""
    return log(house).split("---")[0]


# --- what is left ----------------------------------------------------------------------------------------------------

RESUMES = """
import pathlib
checkpoint = pathlib.Path("checkpoint.pt")
GAIN = 0.1 * len(checkpoint.read_text()) if checkpoint.exists() else 0
checkpoint.write_text("x" * (1 + round(GAIN * 10)))
"""


@pytest.mark.slow
def test_a_training_that_resumes_from_a_checkpoint_gains_nothing_by_it(run: House) -> None:
    for value in ("1.1", "1.2", "1.3"):
        last = train(run, RESUMES, value)
        assert (last["status"], last["val_bpb"]) == ("discard", float(value))
    run.check_invariants()


LEAVES = {
    "a file": "open('left', 'w').write('x')",
    "a module that shadows": "os.makedirs('torch'); open('torch/__init__.py', 'w').write('raise SystemExit(1)')",
    "what git ignores": "open('left.log', 'w').write('x'); os.makedirs('__pycache__'); open('__pycache__/x', 'w')",
    "in a folder that is tracked": "open('sub/left', 'w').write('x')",
    "a repository": "os.makedirs('in/.git'); open('in/.git/HEAD', 'w').write('ref: refs/heads/x'); open('in/x', 'w')",
    "a link": "os.symlink('/etc', 'left'); os.symlink('nowhere', 'dangling')",
    "a locked folder": "os.makedirs('left/in'); open('left/in/x', 'w'); os.chmod('left/in', 0); os.chmod('left', 0)",
    "a name like an option": "open('--force', 'w'); open('-rf', 'w'); open('new\\nline', 'w')",
    "rules for git": "open('.gitattributes', 'w').write('* filter=x'); open('.gitignore', 'w').write('*')",
    "a tracked file rewritten": "open('metrics.json', 'w').write('{1: 2}')",
    "a tracked file deleted": "os.remove('metrics.json'); os.remove('sub/tracked.txt'); os.rmdir('sub')",
    "a folder in place of a file": "os.remove('metrics.json'); os.makedirs('metrics.json/in')",
    "a file in place of a folder": "import shutil; shutil.rmtree('sub'); open('sub', 'w')",
    "the checkout itself": "import shutil; shutil.rmtree(os.getcwd()); os.makedirs('/tmp/none', exist_ok=True)",
}
LOOKS = """
found = sorted(os.path.relpath(os.path.join(at, name), ".") for at, folders, names in os.walk(".")
               for name in [*names, *[one for one in folders if os.path.islink(os.path.join(at, one))]])
print("found", found)
print("metrics", open("metrics.json").read(), "sub", open("sub/tracked.txt").read())
"""


@pytest.mark.slow
def test_whatever_a_training_leaves_is_gone_before_the_next(run: House) -> None:
    """And nothing that it does to a tracked file, but those that measure, stops anything."""
    deeds = [LOOKS, *(deed for code in LEAVES.values() for deed in (code, LOOKS))]
    scripts = [f"cat >~/deed <<'END'\n{code}\nEND\n{SET.format(100 + n)}" for n, code in enumerate(deeds)]
    assert run.loop(len(deeds), run.in_turn(*scripts), timeout=300).status == 0
    clean, *others = [log_of(run, one).split("---")[0] for one in run.experiments()[1::2]]
    assert "'metrics.json'" in clean
    assert dict(zip(LEAVES, others, strict=True)) == dict.fromkeys(LEAVES, clean)
    run.check_invariants()


SET = "sed -i 's/^VALUE = [^ ]*/VALUE = {}/' train.py; echo idea"


def log_of(house: House, one: dict[str, object]) -> str:
    (path,) = (house.run_folder / "logs").glob(f"{str(one['commit'])[:7]}-1.log.gz")
    return gzip.decompress(path.read_bytes()).decode()


@pytest.mark.slow
def test_what_measures_and_is_measured_must_stay_as_it_is(run: House) -> None:
    for name, value in (("prepare.py", "1.1"), ("train.py", "1.2"), ("pyproject.toml", "1.3")):
        last = train(run, f"open('{name}', 'a').write('# x')", value)
        assert (last["failure"], f"{name} changed while it was trained" in str(last["reason"])) == ("rejected", True)


@pytest.mark.slow
def test_a_slot_that_a_killed_git_or_a_power_cut_has_torn_is_made_anew(run: House) -> None:
    train(run, LOOKS, "1.01")
    clean, slots = seen(run), run.run_folder / "slots"
    (slots / "0.index").write_bytes(b"half an index")
    (slots / "0.index.lock").touch()
    (slots / "0/metrics.json").unlink()
    train(run, LOOKS, "1.02")
    assert seen(run) == clean
    shutil.rmtree(slots)
    train(run, LOOKS, "1.03")
    assert seen(run) == clean


# --- what is found ---------------------------------------------------------------------------------------------------


def test_a_training_finds_the_files_of_its_commit_and_nothing_else_of_the_tree(run: House) -> None:
    (run.tree / "notes.txt").write_text("untracked\n")
    (run.tree / "metrics.json").write_text("changed by hand\n")
    (run.tree / "program.md").unlink()
    train(run, LOOKS, "1.01")
    assert "notes.txt" not in log(run)
    assert "by hand" not in log(run)
    assert "'program.md'" in log(run)
    tracked = set(run.git("-c", "core.quotePath=false", "ls-files").splitlines())
    found = set(eval(log(run).split("found ")[1].splitlines()[0]))
    assert found == tracked


FOLDERS = ("data", "sub-data", ".cache", "outputs", "venv", "my-cache", "two words")


def linked_house(house: House, **settings: str) -> House:
    """With untracked and ignored folders, and links to folders elsewhere."""
    for name in FOLDERS:
        (house.tree / name).mkdir()
        (house.tree / name / "file").write_text(f"in {name}\n")
    elsewhere = house.outside / "elsewhere"
    (elsewhere / "deep").mkdir(parents=True)
    (elsewhere / "deep/file").write_text("elsewhere\n")
    (house.tree / "corpus").symlink_to(elsewhere)
    (house.tree / "weights.bin").write_text("a file\n")
    (house.tree / ".git/info/exclude").write_text("/sub-data/\n/data/\n")
    house.setup(TAG="mar15", FROM="HEAD", **settings)
    house.environment["TAG"] = "mar15"
    return house


def found_by(house: House, code: str) -> str:
    deed(house, code)
    house.once("/bin/false")
    return (house.tree / "runs/mar15/run.log").read_text()


READS = """
for name in ("data/file", "sub-data/file", "corpus/deep/file", "weights.bin", ".cache/file", "outputs/file",
             "venv/file", "my-cache/file", "two words/file", "nested/deep/file"):
    print(name, os.path.exists(name))
"""


def names_read(log: str) -> set[str]:
    return {line.removesuffix(" True") for line in log.splitlines() if line.endswith(" True")}


def test_untracked_folders_of_the_tree_are_found_but_not_those_that_are_caches_or_outputs(run: House) -> None:
    """And no files: those belong into a commit."""
    linked_house(run)
    assert names_read(found_by(run, READS)) == {"data/file", "sub-data/file", "corpus/deep/file"}


def test_what_links_names_is_found_and_nothing_else(run: House) -> None:
    (run.tree / "nested/deep").mkdir(parents=True)
    (run.tree / "nested/deep/file").write_text("x")
    linked_house(run, LINKS="weights.bin nested/deep outputs/ not-there corpus")
    assert names_read(found_by(run, READS)) == {"weights.bin", "nested/deep/file", "outputs/file", "corpus/deep/file"}


def test_links_may_name_nothing(run: House) -> None:
    linked_house(run, LINKS="")
    assert names_read(found_by(run, READS)) == set()


def test_links_are_told_at_set_up_and_fixed_then(run: House) -> None:
    (run.tree / "data").mkdir()
    (run.tree / "data/file").touch()
    result = run.call("bin/setup", TAG="mar15", FROM="HEAD")
    assert "links: training sees these untracked folders: 'data' (LINKS)" in result.err
    result = run.loop(1, run.setting("0.9"), LINKS="other", TAG="mar15")
    assert result.status == 2
    assert "LINKS is 'other', but the run was set up with 'data'" in result.err


@pytest.mark.first_case
@pytest.mark.parametrize(
    ("code", "name"),
    [
        ("open('data/file', 'a').write('x')", "data/file"),
        ("open('data/new', 'w')", "data/new"),
        ("os.remove('data/file')", "data/file"),
        ("open('corpus/deep/file', 'w')", "corpus/deep/file"),
        ("open('weights.bin', 'a').write('x')", "weights.bin"),
        ("open('nested/deep/file', 'a').write('x')", "nested/deep/file"),
        ("open('data/alias', 'a').write('x')", "data/alias"),
    ],
)
def test_a_write_through_a_link_rejects_the_run_and_is_told(run: House, code: str, name: str) -> None:
    (run.tree / "nested/deep").mkdir(parents=True)
    (run.tree / "nested/deep/file").write_text("x")
    (run.outside / "target").write_text("x")
    linked_house(run, LINKS="data corpus weights.bin nested/deep")
    (run.tree / "data/alias").symlink_to(run.outside / "target")
    found_by(run, "")
    deed(run, code)
    assert run.once(run.setting("0.9")).status == 0
    last = (run.tree / "runs/mar15/results.tsv").read_text().splitlines()[-1]
    assert f"\tcrash\tVALUE 0.9 (rejected: {name} changed while it was trained)" in last


@pytest.mark.slow
def test_to_read_through_a_link_is_no_write(run: House) -> None:
    linked_house(run)
    found_by(run, "")
    (run.tree / "data/module.py").write_text("")
    deed(run, "import data.module; print(open('data/file').read(), open('corpus/deep/file').read(), os.listdir('.'))")
    assert run.once(run.setting("0.9")).status == 0
    assert "\tkeep\t" in (run.tree / "runs/mar15/results.tsv").read_text().splitlines()[-1]


@pytest.mark.slow
@pytest.mark.parametrize(("name", "link"), [("extra.py", "extra.py"), ("more/table.csv", "more")])
def test_a_baseline_that_misses_an_untracked_file_is_told_to_name_it(run: House, name: str, link: str) -> None:
    path = run.tree / name
    path.parent.mkdir(exist_ok=True)
    path.write_text("x = 1\n")
    run.setup(TAG="mar15", FROM="HEAD", LINKS="")
    deed(run, f"open('{name}')")
    result = run.loop(1, "/bin/false", TAG="mar15")
    assert result.status == 2
    assert "the baseline crashed: 'error'" in result.err
    assert f"git does not track '{link}', so the run cannot see it" in result.err
    assert f"LINKS='{link}'" in result.err
    run.setup(TAG="mar16", FROM="HEAD", LINKS=link)
    assert run.once("/bin/false", TAG="mar16").status == 1, "as the hint says"
    assert len((run.tree / "runs/mar16/results.tsv").read_text().splitlines()) == 2


def test_a_module_that_is_untracked_is_told_as_well(run: House) -> None:
    """Python names it without its ending."""
    (run.tree / "extra.py").write_text("x = 1\n")
    run.setup(TAG="mar15", FROM="HEAD")
    deed(run, "import extra")
    result = run.loop(1, "/bin/false", TAG="mar15")
    assert "git does not track 'extra.py'" in result.err


@pytest.mark.slow
def test_a_submodule_is_found(house: House) -> None:
    other = house.outside / "library"
    house.git("init", "--quiet", str(other))
    (other / "module.py").write_text("x = 5\n")
    house.git("-C", str(other), "add", "module.py")
    house.git("-C", str(other), "commit", "--quiet", "-m", "one")
    house.git("-c", "protocol.file.allow=always", "submodule", "--quiet", "add", str(other), "library")
    (house.tree / "train.py").write_text("import library.module\nprint('x', library.module.x)\n" + TRAIN)
    house.commit("a submodule")
    house.setup()
    for value in ("0.9", "0.8", "1.5"):
        assert house.once(house.setting(value)).status == 0
    assert house.statuses() == ["keep", "keep", "keep", "discard"]
    assert "x 5" in log(house)
    assert house.git("status", "--porcelain", "--ignore-submodules=untracked") == ""


def test_filters_run_as_they_are_configured(run: House) -> None:
    """As those of LFS and autocrlf."""
    run.git("config", "filter.shout.smudge", "tr a-z A-Z")
    run.git("config", "filter.shout.clean", "tr A-Z a-z")
    (run.tree / ".git/info").mkdir(exist_ok=True)
    (run.tree / ".git/info/attributes").write_text("sub/tracked.txt filter=shout\n")
    shutil.rmtree(run.run_folder / "slots")
    train(run, "print(open('sub/tracked.txt').read())", "0.9")
    assert "TRACKED" in log(run)


# --- artifacts -------------------------------------------------------------------------------------------------------

SAVES = """
open("model.pt", "w").write(str(VALUE)); open("other.pt", "w").write("o"); open("model.txt", "w").write("no")
os.makedirs("deep", exist_ok=True); open("deep/model.pt", "w").write("deep"); os.symlink("/etc/passwd", "link.pt")
"""


def artifacts(house: House) -> dict[str, str]:
    return {path.name: path.read_text() for path in house.run_folder.glob("artifacts/*")}


@pytest.mark.slow
def test_artifacts_are_those_of_the_incumbents_last_run(run: House) -> None:
    assert artifacts(run) == {}
    train(run, SAVES, "0.9", ARTIFACTS="*.pt")
    assert artifacts(run) == {"model.pt": "0.9", "other.pt": "o"}, "no links, and no other files"
    train(run, SAVES, "1.5", ARTIFACTS="*.pt")
    assert artifacts(run)["model.pt"] == "0.9", "a discard's are not kept"
    train(run, SAVES, "0.8", ARTIFACTS="model.*")
    assert artifacts(run) == {"model.pt": "0.8", "model.txt": "no"}
    train(run, SAVES, "0.7")
    assert artifacts(run) == {"model.pt": "0.8", "model.txt": "no"}, "nobody has asked for any"
    run.check_invariants()


def test_artifacts_may_be_in_a_folder(run: House) -> None:
    train(run, SAVES, "0.9", ARTIFACTS="nothing.* deep/*.pt")
    assert artifacts(run) == {"model.pt": "deep"}
    run.check_invariants()
