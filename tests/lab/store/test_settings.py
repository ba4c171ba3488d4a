"""The settings, and the manifest: `lab settings`, `lab begin-run`, and the check before a loop."""

import hashlib
import json
import shutil
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result
from house import Stepped, lab_step
from lab.cli import main
from lab.store import ledger, schemas
from lab.store.settings import run_timeout
from test_experiments import ONE

START = "0123456789" * 4
FACTS = {"profile": "small", "time_budget": 60.0, "max_seq_len": 256, "data": "d" * 64, "tokenizer": "7" * 64}
DEFAULTS = {"SEED": "42", "BASELINE_RUNS": "3", "LINKS": ""}  # that a run keeps


@pytest.fixture(autouse=True)
def no_settings(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Nothing of the person, or of the loop, that runs the tests."""
    for name in schemas.load("settings")["properties"]:
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HOME", str(tmp_path / "home"))


@pytest.fixture
def run(tmp_path: Path) -> Path:
    """The folder of a run in a tree."""
    (tmp_path / "prepare.py").write_text("# what measures\n")
    folder = tmp_path / "runs" / "mar14"
    folder.mkdir(parents=True)
    return folder


def lab(*arguments: str | Path, said: str | bytes = "", **settings: str) -> Result:
    return CliRunner().invoke(main, [str(argument) for argument in arguments], input=said, env=settings)


def settings(*run: Path, **environment: str) -> dict[str, str]:
    result = lab("settings", *run, **environment)
    assert result.exit_code == 0, result.output
    return dict(line.split("=", 1) for line in result.stdout.splitlines())


def begin(run: Path, facts: object = FACTS, **environment: str) -> dict[str, Any]:
    """The manifest of a new run, of which prepare.py said `facts`, as text or as an object."""
    said = facts if isinstance(facts, str | bytes) else json.dumps(facts) + "\n"
    result = lab("begin-run", run, "--tag", "mar14", "--start", START, said=said, **environment)
    assert (result.exit_code, result.output) == (0, ""), result.output
    manifest: dict[str, Any] = json.loads((run / "manifest.json").read_text())
    return manifest


def check(run: Path, facts: object = FACTS) -> Stepped:
    said = facts if isinstance(facts, str | bytes) else json.dumps(facts) + "\n"
    (run / "prepared").write_bytes(said if isinstance(said, bytes) else said.encode())
    shutil.copy(run.parents[1] / "prepare.py", run / "prepared.py")
    return lab_step("check_run", run)


def refused(result: Result | Stepped, *words: str) -> None:
    assert result.exit_code == 2, result.output
    assert result.stdout == ""
    assert result.stderr.startswith("lab: ")
    assert "Traceback" not in result.stderr
    for word in words:
        assert word in result.stderr


# --- Settings -------------------------------------------------------------------------------------------------------


def test_defaults(tmp_path: Path) -> None:
    assert settings() == {
        "PROFILE": "auto",
        "SEED": "42",
        "BASELINE_RUNS": "3",
        "MAX_EXPERIMENTS": "0",
        "MAX_HOURS": "0",
        "MAX_COST": "0",
        "MAX_TOKENS": "0",
        "PARENT": "",
        "GPUS_PER_SLOT": "1",
        "LAB_WANT": "0",
        "SLURM_OPTIONS": "",
        "LINKS": "",
        "ARTIFACTS": "",
        "PASS_ENV": "",
        "LAB_AGENT": "tree",
        "AGENT_TIMEOUT": "900",
        "PROPOSAL_WAIT": "10",
        "LOGS_MB": "500",
        "CONFINE": "auto",
        "METRIC": "val_bpb",
        "METRIC_GOAL": "min",
        "EDITABLE": "train.py",
        "RUN_COMMAND": "uv run train.py",
        "PREPARE_COMMAND": "uv run prepare.py",
        "AUTORESEARCH_CACHE": str(tmp_path / "home/.cache/autoresearch"),
        "AUTORESEARCH_MEMORY": str(Path("memory").absolute()),
    }


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("PROFILE", "small"),
        ("TIME_BUDGET", "20"),
        ("TIME_BUDGET", "0.5"),
        ("TIME_BUDGET", "300"),
        ("TIME_BUDGET", "100000"),
        ("RUN_TIMEOUT", "1"),
        ("SEED", "0"),
        ("BASELINE_RUNS", "1"),
        ("BASELINE_RUNS", "99"),
        ("SEED", "999999999"),
        ("MAX_EXPERIMENTS", "3"),
        ("SLOTS", "1"),
        ("SLOTS", "999"),
        ("GPUS_PER_SLOT", "8"),
        ("DRAFTS", "0"),
        ("PROPOSERS", "16"),
        ("LAB_WANT", "3"),
        ("LINKS", "data größer/corpus weights.bin"),
        ("ARTIFACTS", "*.pt out/best-?.safetensors"),
        ("AGENT_TIMEOUT", "1"),
        ("PROPOSAL_WAIT", "0"),
        ("CONFINE", "yes"),
        ("CONFINE", "no"),
        ("PROPOSAL_WAIT", "900"),
        ("AUTORESEARCH_CACHE", "/some where/größer"),
    ],
)
def test_good_values(name: str, value: str) -> None:
    assert settings(**{name: value})[name] == value


@pytest.mark.parametrize(("given", "budget"), [("20.0", "20"), ("0.500", "0.5"), ("060", "60"), ("1000", "1000")])
def test_equal_budgets_are_equal_texts(given: str, budget: str) -> None:
    assert settings(TIME_BUDGET=given)["TIME_BUDGET"] == budget


@pytest.mark.parametrize(("given", "path"), [("~/data", "{}/home/data"), ("data", "{}/data"), ("/a/../b/", "/b")])
def test_the_cache_is_an_absolute_path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, given: str, path: str) -> None:
    """The training run works in another folder than the person who says it."""
    monkeypatch.chdir(tmp_path)
    assert settings(AUTORESEARCH_CACHE=given)["AUTORESEARCH_CACHE"] == path.format(tmp_path)


COUNTS = ["", " ", "-1", "1.5", "1e3", "many", "007", "1 ", "+1", "0x10", "٣", "nan", "1\n", "9" * 10, "$(id)"]
BAD = {
    "SLURM_OPTIONS": ["--qos=a\n", "\x1b"],
    "RAY_ADDRESS": ["http://head:8265\n"],
    "RAY_OPTIONS": ['{\n"entrypoint_num_cpus": 2}'],
    "PROFILE": ["", "large", "SMALL", "small ", "small\n"],
    "TIME_BUDGET": ["", "0", "0.0", "0.000", "-5", "nan", "inf", "1e3", "20s", "20\n", ".5", "5.", "1.2345", "9" * 7],
    "RUN_TIMEOUT": ["0", *COUNTS],
    "SEED": COUNTS,
    "BASELINE_RUNS": ["0", "100", *COUNTS],
    "MAX_EXPERIMENTS": COUNTS,
    "MAX_HOURS": ["", "-1", "1h", "1e3", "100000"],
    "MAX_COST": ["", "-1", "$5", "1,5", "nan"],
    "MAX_TOKENS": [one for one in COUNTS if one != "9" * 10],
    "PARENT": ["0", "#", "-1", "f7", "1.5"],
    "SLOTS": ["0", "1000", *COUNTS],
    "GPUS_PER_SLOT": ["0", "100", *COUNTS],
    "DRAFTS": ["1000", *COUNTS],
    "PROPOSERS": ["0", "100", *COUNTS],
    "LAB_WANT": ["100", *COUNTS],
    "LINKS": ["a\nb", "a\tb", "a\x1b", "data\n", "..", "../data", "data ../more", "a/../../b", "/data", "data /more"],
    "ARTIFACTS": ["a\nb", "a\tb", "a\x1b", "*.pt\n"],
    "LAB_AGENT": ["", "baseline", "two words", "a/b", "me\n", "x" * 41],
    "AGENT_TIMEOUT": ["0", *COUNTS],
    "MODEL": ["", " gpt", "-x", "a\nb", "a\tb", "gpt\n"],
    "PROPOSAL_WAIT": ["1000", *COUNTS],
    "LOGS_MB": ["0", *COUNTS],
    "CONFINE": ["", "Yes", "maybe", "yes\n"],
    "METRIC": ["", "1st", "val rmse", "status", "commit", "a:b", "a\tb", "acc\n", "x" * 65],
    "METRIC_GOAL": ["", "maximum", "Min", "max\n"],
    "METRIC_RANGE": ["", "0", "0;1", "0,1,2", "a,1", "0,1\n"],
    "METRIC_GUARD": ["a<=1\n", "a\tb", "a\x1b"],
    "SMALL_GAIN": ["", "0", "0.0", "-1", "1e-3", ".5", "nan", "1\n"],
    "LARGE_GAIN": ["", "0", "0.0", "-1", "1e-3", ".5", "nan", "1\n"],
    "EDITABLE": ["", " ", "/train.py", "..", "a ../b", "a/../b", "a\tb", "a\n"],
    "RUN_COMMAND": ["", " ", "a\nb", "a\tb"],
    "RUN_LOG": ["", "/log", "../log", "a/../log", "..", "a\tb", "a\n"],
    "PREPARE_COMMAND": ["", " ", "a\nb", "a\tb"],
    "ON_KEEP": ["a\nb", "a\tb", "a\x1b"],
    "PASS_ENV": ["A-B", "1A", "A,B", "A=b", "A\nB", "A\tB"],
    "ON_TROUBLE": ["a\nb", "a\n"],
    "AUTORESEARCH_CACHE": ["", "/a\nb", "/a\n", "/a\tb", "/a\x1b"],
    "AUTORESEARCH_MEMORY": ["", "/a\nb", "/a\n", "/a\tb", "/a\x1b"],
}


@pytest.mark.parametrize(("name", "value"), [(name, value) for name, values in BAD.items() for value in values])
def test_a_bad_value_is_named(name: str, value: str) -> None:
    result = lab("settings", **{name: value})
    wanted = schemas.load("settings")["properties"][name]["description"]
    refused(result, f"lab: {name}: ", repr(value), "more than one line" if "\n" in value else wanted)


def test_every_setting_has_a_bad_value() -> None:
    assert set(BAD) == set(schemas.load("settings")["properties"])


@pytest.mark.parametrize(
    ("budget", "seconds"),
    [("300", "600"), ("60", "180"), ("20", "140"), ("120", "240"), ("121", "242"), ("0.5", "121"), ("150.1", "301")],
)
def test_run_timeout(budget: str, seconds: str) -> None:
    """max(2 x TIME_BUDGET, TIME_BUDGET + 120), in whole seconds."""
    assert run_timeout(budget) == seconds


# --- The manifest ---------------------------------------------------------------------------------------------------


def test_begin(run: Path) -> None:
    manifest = begin(run)
    assert schemas.problems("manifest", manifest) == []
    assert manifest["tag"] == "mar14"
    assert manifest["start"] == START
    assert manifest["settings"] == {"PROFILE": "small", "TIME_BUDGET": "60", **DEFAULTS}
    hashed = hashlib.sha256(b"# what measures\n").hexdigest()
    assert manifest["comparable"] == {**FACTS, "prepare.py": hashed}
    assert (run / "results.tsv").read_text() == ledger.HEADER + "\n"


def test_begin_takes_the_settings_of_its_environment(run: Path) -> None:
    own = {"RUN_TIMEOUT": "77", "SEED": "7", "LINKS": "data"}
    chosen = begin(run, TIME_BUDGET="20.0", MAX_EXPERIMENTS="3", SLOTS="4", **own)["settings"]
    assert chosen == {**DEFAULTS, "PROFILE": "small", "TIME_BUDGET": "20", **own}


def test_begin_refuses_a_bad_setting_and_leaves_nothing(run: Path) -> None:
    result = lab("begin-run", run, "--tag", "mar14", "--start", START, said="{}", SEED="x")
    refused(result, "SEED", "'x'")
    assert list(run.iterdir()) == []


def test_begin_refuses_what_is_no_commit(run: Path) -> None:
    result = lab("begin-run", run, "--tag", "mar14", "--start", "0123456", said="{}")
    refused(result, "start", "'0123456'")
    assert list(run.iterdir()) == []


def test_an_interrupted_set_up_is_done_again(run: Path) -> None:
    begin(run)
    (run / "manifest.json").unlink()
    begin(run)
    assert (run / "results.tsv").read_text() == ledger.HEADER + "\n"


def test_begin_never_overwrites_a_ledger(run: Path) -> None:
    rows = ledger.HEADER + "\na1b2c3d\t0.997900\t44.0\tkeep\tbaseline\n"
    (run / "results.tsv").write_text(rows)
    result = lab("begin-run", run, "--tag", "mar14", "--start", START, said="{}")
    refused(result, "results.tsv")
    assert (run / "results.tsv").read_text() == rows
    assert not (run / "manifest.json").exists()


@pytest.mark.parametrize(
    "said",
    [
        "",
        "\n\n",
        "hello\n",
        "{",
        "[1, 2]\n",
        "300\n",
        "null\n",
        "NaN\n",
        "{}\nbye\n",
        "9" * 5000,
        "[" * 100_000,
        b"\xff\xfe\x80\n",
        b'{"profile": "\xff\n',
    ],
    ids=lambda said: repr(said[:12]),
)
def test_a_strangers_prepare_may_print_what_it_likes(run: Path, said: str | bytes) -> None:
    """No profile, the published budget, and nothing but prepare.py itself to compare."""
    manifest = begin(run, said)
    assert set(manifest["comparable"]) == {"prepare.py"}
    assert manifest["settings"] == {"PROFILE": "auto", "TIME_BUDGET": "300", **DEFAULTS}
    assert settings(run)["RUN_TIMEOUT"] == "600"
    assert check(run, said).exit_code == 0
    assert check(run, "something else\n").exit_code == 0


def test_the_last_line_of_prepare_counts(run: Path) -> None:
    said = f'warning: this is slow\n{{"profile": "x"}}\n\n{json.dumps(FACTS)}\n\n'
    assert begin(run, said)["comparable"].items() >= FACTS.items()


@pytest.mark.parametrize(
    "facts", [{"time_budget": "soon"}, {"time_budget": None}, {"time_budget": [1]}, {"profile": 7}]
)
def test_facts_that_cannot_be_settings_are_a_strangers_and_set_none(run: Path, facts: dict[str, object]) -> None:
    chosen = begin(run, json.dumps(facts))["settings"]
    assert (chosen["PROFILE"], chosen["TIME_BUDGET"]) == ("auto", "300")
    assert settings(run)["RUN_TIMEOUT"] == "600"


# --- A loop on a run ------------------------------------------------------------------------------------------------


def test_a_loop_takes_what_the_run_was_set_up_with(run: Path) -> None:
    begin(run, TIME_BUDGET="20", SEED="7")
    chosen = settings(run)
    expected = {"PROFILE": "small", "TIME_BUDGET": "20", "SEED": "7", "RUN_TIMEOUT": "140", "AGENT_TIMEOUT": "900"}
    assert chosen.items() >= expected.items()


@pytest.mark.parametrize(("budget", "seconds"), [("300", "600"), ("60", "180"), ("20", "140")])
def test_the_timeout_follows_from_the_budget(run: Path, budget: str, seconds: str) -> None:
    begin(run, TIME_BUDGET=budget)
    assert settings(run)["RUN_TIMEOUT"] == seconds


def test_a_loop_may_say_what_is_not_fixed(run: Path) -> None:
    begin(run, RUN_TIMEOUT="77")
    assert settings(run)["RUN_TIMEOUT"] == "77"
    assert settings(run, RUN_TIMEOUT="88", MAX_EXPERIMENTS="3")["RUN_TIMEOUT"] == "88"


@pytest.mark.parametrize("budget", ["20", "20.0", "20.000"])
def test_the_same_budget_in_other_words(run: Path, budget: str) -> None:
    begin(run, FACTS | {"time_budget": 20.0})
    assert settings(run, TIME_BUDGET=budget, PROFILE="small")["TIME_BUDGET"] == "20"
    assert settings(run, PROFILE="auto")["PROFILE"] == "small"


def test_another_budget_is_refused(run: Path) -> None:
    begin(run, FACTS | {"time_budget": 20.0})
    refused(lab("settings", run, TIME_BUDGET="60"), "TIME_BUDGET", "'60'", "'20'")


def test_another_profile_is_refused(run: Path) -> None:
    begin(run, "a stranger's: its profile is not known")
    refused(lab("settings", run, PROFILE="small"), "PROFILE", "'small'", "'auto'")


def test_other_links_are_refused(run: Path) -> None:
    """What a training finds beside its code is a part of the measurement."""
    begin(run, LINKS="data")
    assert settings(run)["LINKS"] == "data"
    refused(lab("settings", run, LINKS="data more"), "LINKS", "'data more'", "'data'")


def test_a_run_of_before_there_were_links(run: Path) -> None:
    manifest = begin(run)
    del manifest["settings"]["LINKS"]
    (run / "manifest.json").write_text(json.dumps(manifest))
    assert settings(run)["LINKS"] == settings(run, LINKS="")["LINKS"] == ""
    refused(lab("settings", run, LINKS="data"), "LINKS is 'data'", "set up with ''")


def test_a_bad_value_is_refused_on_a_run_too(run: Path) -> None:
    begin(run)
    refused(lab("settings", run, RUN_TIMEOUT="0"), "RUN_TIMEOUT", "'0'")


# --- The same measurement -------------------------------------------------------------------------------------------


def test_the_same_measurement(run: Path) -> None:
    begin(run)
    result = check(run, f"a word before\n{json.dumps(dict(reversed(FACTS.items())))}\n")
    assert (result.exit_code, result.stdout, result.stderr) == (0, "", "")
    assert not (run / "incumbent").exists(), "there is no baseline yet"


@pytest.mark.parametrize(
    ("name", "value"),
    [("data", "e" * 64), ("tokenizer", "8" * 64), ("profile", "full"), ("time_budget", 20.0), ("max_seq_len", 512)],
)
def test_another_measurement_is_refused_with_both_values(run: Path, name: str, value: object) -> None:
    begin(run)
    refused(check(run, FACTS | {name: value}), name, f"'{value}'", f"'{FACTS[name]}'")


def test_another_prepare_is_refused_with_both_hashes(run: Path) -> None:
    begin(run)
    prepare = run.parents[1] / "prepare.py"
    then = hashlib.sha256(prepare.read_bytes()).hexdigest()
    prepare.write_text("# what measures otherwise\n")
    refused(check(run), "prepare.py", then, hashlib.sha256(prepare.read_bytes()).hexdigest())


def test_a_fact_more_or_less_is_refused(run: Path) -> None:
    begin(run)
    refused(check(run, FACTS | {"more": 1}), "more", "'1'", "'None'")
    refused(check(run, {name: value for name, value in FACTS.items() if name != "data"}), "data", "d" * 64)
    refused(check(run, ""), "'None'")


def test_a_run_without_a_manifest(run: Path) -> None:
    refused(lab("settings", run), "manifest.json")
    (run / "results.tsv").write_text(ledger.HEADER + "\n")
    refused(check(run), "manifest.json")


# --- The ledger before a loop ---------------------------------------------------------------------------------------


def test_a_damaged_ledger_is_refused_naming_its_lines(run: Path) -> None:
    begin(run)
    with (run / "results.tsv").open("a") as file:
        file.write("a1b2c3d\t0.9979\t44.0\tkeep\tbaseline\na1b2c3e\t0.997900\t44.0\tkept\tx\n")
    result = check(run)
    refused(result, "damaged", f"{run / 'results.tsv'}:2: val_bpb: ", f"{run / 'results.tsv'}:3: status: ", "hint: ")


def test_a_ledger_that_is_gone_is_refused(run: Path) -> None:
    begin(run)
    (run / "results.tsv").unlink()
    refused(check(run), "results.tsv")


@pytest.mark.parametrize("name", ["results.tsv", "experiments.jsonl"])
def test_a_torn_last_line_is_set_aside_and_told(run: Path, name: str) -> None:
    begin(run)
    with (run / name).open("a") as file:
        file.write("a1b2c3d\t0.99")
    result = check(run)
    assert result.exit_code == 0
    assert result.stdout == f"'{run / name}': moved a torn last line to '{name}.torn': 'a1b2c3d\\t0.99'\n"
    assert (run / f"{name}.torn").read_text() == "a1b2c3d\t0.99\n"
    assert check(run).stdout == ""


def test_check_refuses_what_is_no_experiment(run: Path) -> None:
    begin(run)
    (run / "experiments.jsonl").write_text(json.dumps(ONE) + "\n" + json.dumps(ONE | {"status": "kept"}) + "\n")
    refused(check(run), "experiments.jsonl", "'kept'")


def test_check_writes_the_incumbent(run: Path) -> None:
    begin(run)
    ends = [("a" * 40, "keep"), ("b" * 40, "keep"), ("c" * 40, "discard"), ("d" * 40, "crash")]
    objects = [json.dumps(ONE | {"n": n, "commit": one, "status": status}) for n, (one, status) in enumerate(ends, 1)]
    (run / "experiments.jsonl").write_text("\n".join(objects) + "\n")
    assert check(run).exit_code == 0
    assert (run / "incumbent").read_text() == "b" * 40 + "\n"
