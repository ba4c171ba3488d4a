"""bin/doctor and each of its checks, on machines made of fakes: a PATH without what is looked for, files for /sys."""

import os
import re
import shutil
import signal
import time
from pathlib import Path

import pytest
from house import ROOT, UV, House, Result
from ways import WORKING

CHECKS = sorted(path.name for path in (ROOT / "lib/doctor").iterdir())
# What the checks look for on PATH: on a machine of fakes it is there only when a test puts it there.
LOOKED_FOR = {"nvidia-smi", "gcc", "clang", "bwrap", "crontab"}
LOOKED_FOR |= {"claude", "codex", "gemini", "opencode", "aider", "pi", "llm", "mini"}


@pytest.fixture
def machine(house: House) -> House:
    """A house on a machine without all that is looked for."""
    plain = house.outside / "plain"
    for folder in (plain, house.outside / "fakes"):
        folder.mkdir()
    for source in ("/usr/local/bin", "/usr/bin", "/bin"):
        for path in Path(source).iterdir():
            if path.name not in LOOKED_FOR and not os.path.lexists(plain / path.name):
                (plain / path.name).symlink_to(path)
    (plain / "uv").unlink(missing_ok=True)
    (plain / "uv").symlink_to(UV)
    house.environment["PATH"] = f"{house.outside / 'fakes'}:{plain}"
    edit(house, "bin/doctor", "/usr/lib/wsl/lib", "/nowhere")
    edit(house, "lib/doctor/10-gpu", "/sys/bus/pci/devices", str(house.outside / "pci"))
    return house


def edit(house: House, file: str, old: str, new: str) -> None:
    """In the house's copy: a place of this machine becomes one of the test's, a limit a short one."""
    path = house.tree / file
    text = path.read_text()
    assert old in text, f"{file} has no {old!r} any more"
    path.write_text(text.replace(old, new))


def fake(house: House, name: str, script: str) -> None:
    house.proposer(script, f"fakes/{name}")


def look(house: House, check: str, **settings: str) -> list[list[str]]:
    """The lines of one check, by itself."""
    result = house.call(f"lib/doctor/{check}", **settings)
    assert result.status == 0, result
    lines = [line.split("\t") for line in result.out.splitlines()]
    for line in lines:
        assert line[0] in ("ok", "warning", "problem"), line
        assert len(line) == (3 if line[0] == "ok" else 4), line
        assert all(line), line
    return lines


def one(lines: list[list[str]], level: str, subject: str, *words: str) -> None:
    """There is one line of this subject; it has this level and these words."""
    found = [line for line in lines if line[1] == subject]
    assert [line[0] for line in found] == [level]
    for word in words:
        assert word in "\t".join(found[0])


def only_checks(house: House, **scripts: str) -> None:
    """These, instead of the real ones: `a='...'` is 10-a, the next one 20-..."""
    shutil.rmtree(house.tree / "lib/doctor")
    (house.tree / "lib/doctor").mkdir()
    for number, (name, script) in enumerate(scripts.items(), start=1):
        path = house.tree / f"lib/doctor/{number}0-{name}"
        path.write_text(f"#!/usr/bin/env bash\n{script}\n")
        path.chmod(0o755)


def doctor(house: House, **settings: str) -> Result:
    return house.call("bin/doctor", **settings)


# --- The verb -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("check", CHECKS)
def test_a_check_is_a_small_executable_that_says_what_it_looks_at(check: str) -> None:
    path = ROOT / "lib/doctor" / check
    lines = path.read_text().splitlines()
    assert re.fullmatch(r"\d\d-[a-z-]+", check)
    assert os.access(path, os.X_OK)
    assert re.match(r"# Checks ", lines[1])
    assert len(lines) <= 80


def test_all_checks_of_this_machine_without_git_and_without_a_run(house: House) -> None:
    """Whatever machine this is, each check says something that has the form, and none of them fails."""
    shutil.rmtree(house.tree / ".git")
    result = house.call("bin/doctor")
    assert result.status in (0, 2)
    assert "the check" not in result.out
    lines = result.out.splitlines()
    subjects = {line[9:20].strip() for line in lines if not line.startswith(" ")}
    wanted = {
        "GPU",
        "torch",
        "processor",
        "clock",
        "disk",
        "tmpdir",
        "cache",
        "data",
        "proposer",
        "sandbox",
        "cron",
        "tools",
    }
    assert wanted <= subjects
    for line in lines:
        assert re.match(r"(ok|warning|problem) +\S+ +\S|  +hint: \S", line), line


def test_a_machine_of_nothing_is_not_fit_but_nothing_fails(machine: House) -> None:
    """No data: as `make data` was not called yet. The environment is PATH, HOME and what names the environment."""
    (machine.tree / "prepare.py").write_text("import sys\nif '--check' in sys.argv: sys.exit(3)\n")
    free(machine, 99999)
    machine.environment.pop("PROPOSAL_WAIT")
    result = doctor(machine, CUDA_VISIBLE_DEVICES="")  # else it is a GPU without a compiler
    assert result.status == 2
    assert "the check" not in result.out
    assert [line.split()[1] for line in result.out.splitlines() if line.startswith("problem")] == ["data"]


def test_lines_are_in_columns_with_what_to_do_and_counted(house: House) -> None:
    only_checks(
        house,
        a=r"printf 'ok\tGPU\tgood as it is\n'",
        b=r"printf 'warning\tprocessor\tbusy\twait\nproblem\tdisk\tfull\tmake room\n'",
    )
    result = doctor(house)
    assert result.status == 2
    assert result.out.splitlines() == [
        "ok       GPU        good as it is",
        "warning  processor  busy",
        "                    hint: wait",
        "problem  disk       full",
        "                    hint: make room",
    ]
    assert result.err.splitlines() == [
        "doctor: this machine is not ready for a night: problems: 1, warnings: 1",
        "hint: follow the hints above, then check again: make doctor",
    ]


def test_warnings_alone_are_fit(house: House) -> None:
    only_checks(house, a=r"printf 'warning\tclock\tslow\twait\nok\tdisk\tlarge\n'")
    result = doctor(house)
    assert (result.status, result.err) == (0, "this machine is ready for a night: problems: 0, warnings: 1\n")


@pytest.mark.parametrize(
    ("script", "words"),
    [
        ("echo boom >&2; exit 3", "the check failed with exit status 3: 'boom'"),
        (r"printf 'ok\ta\tgood\n'; exit 1", "the check failed with exit status 1"),
        (r"printf 'ok\ta\ttorn'; kill -9 $$", "no answer within"),
        ("exit 0", "the check printed nothing"),
        (r"printf 'fine\ta\tgood\n'", "the check printed 'fine a good'"),
        (r"printf 'ok\ta\n'", "the check printed 'ok a '"),
        (r"printf 'problem\ta\tbad\n'", "the check printed 'problem a bad'"),
    ],
)
def test_a_check_that_fails_is_a_problem(house: House, script: str, words: str) -> None:
    only_checks(house, a=script, b=r"printf 'ok\tb\tgood\n'")
    result = doctor(house)
    assert result.status == 2
    problems = [line for line in result.out.splitlines() if line.startswith("problem")]
    assert len(problems) == 1
    assert words in problems[0]
    assert "lib/doctor/10-a" in result.out
    assert "ok       b          good" in result.out, "the others are looked at all the same"


def test_a_check_that_is_no_executable_is_a_problem(house: House) -> None:
    only_checks(house, a="")
    (house.tree / "lib/doctor/10-a").chmod(0o644)
    result = doctor(house)
    assert result.status == 2
    assert "problem  a          the check failed with exit status 126" in result.out


def test_a_check_that_hangs_is_ended_and_is_a_problem(house: House) -> None:
    only_checks(house, a="trap '' TERM; printf 'ok\\ta\\tso far\\n'; sleep 50; sleep 50", b=r"printf 'ok\tb\tgood\n'")
    edit(house, "bin/doctor", "LIMIT_S=60", "LIMIT_S=1")
    began = time.monotonic()
    result = doctor(house)
    assert time.monotonic() - began < 20
    assert result.status == 2
    assert "problem  a          no answer within 1 s" in result.out
    assert "ok       b          good" in result.out


def test_nothing_of_a_check_moves_the_cursor(house: House) -> None:
    only_checks(house, a=r"printf 'ok\ta\tgood\033[2J\n'")
    assert "\033" not in doctor(house).out


@pytest.mark.parametrize(("number", "status"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_a_signal_ends_it_and_its_check(house: House, number: signal.Signals, status: int) -> None:
    only_checks(house, a=": >started; exec sleep 50")
    with house.running("bin/doctor", LAB_TREE=str(house.tree)) as process:  # for left_running
        house.wait_for("started")
        process.send_signal(number)
        assert process.wait(10) == status
        deadline = time.monotonic() + 5
        while house.left_running() and time.monotonic() < deadline:
            time.sleep(0.05)
        assert house.left_running() == []
    assert list((house.outside / "tmp").iterdir()) == []


# --- GPU and torch --------------------------------------------------------------------------------------------------

SMI = """
case $1 in
  -L) echo 'GPU 0: NVIDIA H100 80GB HBM3 (UUID: GPU-1)' ;;
  --query-gpu=*) echo 'NVIDIA H100 80GB HBM3, 580.65.06, 81559 MiB, 4 MiB' ;;
  --query-compute-apps=*) %s ;;
esac
"""
ONE = SMI % "true"


def test_no_gpu_is_no_problem(machine: House) -> None:
    one(look(machine, "10-gpu"), "ok", "GPU", "no NVIDIA GPU")


def test_a_card_without_a_driver_is_a_warning(machine: House) -> None:
    card = machine.outside / "pci/0000:01:00.0"
    card.mkdir(parents=True)
    (card / "vendor").write_text("0x10de\n")
    (card / "class").write_text("0x030200\n")
    one(look(machine, "10-gpu"), "warning", "GPU", "'nvidia-smi' is not on PATH")
    (card / "class").write_text("0x040300\n")  # the sound of a card that is passed on to somebody else
    one(look(machine, "10-gpu"), "ok", "GPU")


def test_a_gpu_with_its_driver_and_memory(machine: House) -> None:
    fake(machine, "nvidia-smi", ONE)
    one(look(machine, "10-gpu"), "ok", "GPU", "H100", "driver 580.65.06", "81559 MiB of memory", "4 MiB of it in use")


def test_another_process_on_the_gpu_is_a_warning_our_own_is_not(machine: House) -> None:
    with machine.running("sleep", "60", LAB_TREE=str(machine.tree)) as ours:
        apps = f"printf '%s\\n' '{ours.pid}, 900 MiB, python' '1, 3000 MiB, /usr/bin/blender' '[N/A], [N/A], [N/A]'"
        fake(machine, "nvidia-smi", SMI % apps)
        lines = look(machine, "10-gpu")
    assert [line[0] for line in lines] == ["ok", "warning"]
    assert "process 1, /usr/bin/blender, uses the GPU, too, with 3000 MiB" in lines[1][2]


def test_processes_that_nvidia_smi_cannot_tell_are_none(machine: House) -> None:
    fake(machine, "nvidia-smi", SMI % "exit 1")
    one(look(machine, "10-gpu"), "ok", "GPU")


def test_an_nvidia_smi_that_hangs_is_a_problem(machine: House) -> None:
    fake(machine, "nvidia-smi", "trap '' TERM; sleep 50; sleep 50")
    edit(machine, "lib/doctor/10-gpu", "LIMIT_S=10", "LIMIT_S=1")
    one(look(machine, "10-gpu"), "problem", "GPU", "did not answer within 1 s", "reboot the machine")


def test_an_nvidia_smi_that_fails_is_a_problem(machine: House) -> None:
    fake(machine, "nvidia-smi", "echo 'Driver/library version mismatch'; echo more; exit 18")
    one(look(machine, "10-gpu"), "problem", "GPU", "nvidia-smi failed: 'Driver/library version mismatch'")


def fake_torch(house: House, *, cuda: str | None, sees: bool, headers: bool = True) -> None:
    """A torch module, in front of the real one; a build of it says where the headers of Python are."""
    folder = house.outside / "modules"
    folder.mkdir(exist_ok=True)
    (folder / "include").mkdir(exist_ok=True)
    if headers:
        (folder / "include/Python.h").touch()
    (folder / "torch.py").write_text(
        "import sysconfig\n"
        f"sysconfig.get_paths = lambda: {{'include': {str(folder / 'include')!r}}}\n"
        "class version:\n"
        f"    cuda = {cuda!r}\n"
        "class cuda:\n"
        f"    is_available = staticmethod(lambda: {sees})\n"
        "__version__ = '2.99.0'\n"
    )
    house.environment["PYTHONPATH"] = str(folder)


def test_torch_of_this_environment(machine: House) -> None:
    """The real one; without a fake nvidia-smi, it is good with a GPU and without."""
    lines = look(machine, "20-torch")
    one(lines, "ok", "torch")


def test_torch_without_cuda_is_a_problem_where_there_is_a_gpu(machine: House) -> None:
    fake_torch(machine, cuda=None, sees=False)
    one(look(machine, "20-torch"), "ok", "torch", "2.99.0, on the CPU")
    fake(machine, "nvidia-smi", ONE)
    one(look(machine, "20-torch"), "problem", "torch", "2.99.0 has no CUDA support", "uv sync")


def test_torch_that_does_not_see_the_gpu_is_a_problem(machine: House) -> None:
    fake_torch(machine, cuda="13.0", sees=False)
    one(look(machine, "20-torch"), "ok", "torch")
    fake(machine, "nvidia-smi", ONE)
    one(look(machine, "20-torch"), "problem", "torch", "2.99.0 does not see the GPU", "CUDA 13.0")


@pytest.mark.parametrize("compiler", ["gcc", "clang"])
def test_what_torch_compile_needs(machine: House, compiler: str) -> None:
    fake_torch(machine, cuda="13.0", sees=True)
    fake(machine, "nvidia-smi", ONE)
    fake(machine, compiler, "")
    lines = look(machine, "20-torch")
    one(lines, "ok", "torch", "sees the GPU with CUDA 13.0")
    one(lines, "ok", "compiler", compiler, "Python.h")


def test_no_compiler_is_a_problem(machine: House) -> None:
    fake_torch(machine, cuda="13.0", sees=True)
    one(look(machine, "20-torch"), "problem", "compiler", "no 'gcc'")
    fake(machine, "gcc", "")
    one(look(machine, "20-torch", CC="/nowhere/cc"), "problem", "compiler", "no '/nowhere/cc'")


def test_no_headers_are_a_problem(machine: House) -> None:
    fake_torch(machine, cuda="13.0", sees=True, headers=False)
    fake(machine, "gcc", "")
    one(look(machine, "20-torch"), "problem", "compiler", "include/Python.h'", "python3-dev")


def test_a_torch_that_does_not_import_is_a_problem(machine: House) -> None:
    for check in CHECKS:
        if check != "20-torch":
            (machine.tree / "lib/doctor" / check).unlink()
    fake_torch(machine, cuda=None, sees=False)
    (machine.outside / "modules/torch.py").write_text("raise ImportError('libcudart.so.13: cannot open')\n")
    result = doctor(machine)
    assert result.status == 2
    assert "problem  torch      the check failed" in result.out
    assert "ImportError: libcudart.so.13: cannot open" in result.out


# --- Processor and clock --------------------------------------------------------------------------------------------


def loaded(house: House, load: str) -> None:
    path = house.outside / "loadavg"
    path.write_text(f"{load} 0.10 0.10 1/100 4242\n")
    edit(house, "lib/doctor/30-processor", "/proc/loadavg", str(path))


BUSY = ("bash", "-c", "while :; do :; done")
CORES = len(os.sched_getaffinity(0))


def test_load_names_the_busiest_process(machine: House) -> None:
    loaded(machine, "512.00")
    with machine.running(*BUSY):
        one(look(machine, "30-processor"), "warning", "processor", "load average 512.00", "process ", "% of a core")


def test_load_of_our_own_loop_is_not_other_load(machine: House) -> None:
    loaded(machine, "512.00")
    with machine.running(*BUSY, LAB_TREE=str(machine.tree)) as ours:
        lines = look(machine, "30-processor")
    assert f"process {ours.pid}," not in "\t".join(lines[0])


@pytest.mark.parametrize("load", [0.08, CORES / 2 - 0.01])
def test_a_quiet_machine(machine: House, load: float) -> None:
    """Also when somebody has a busy moment: it is the average that counts. 0.08 is no octal number."""
    loaded(machine, f"{load:.2f}")
    with machine.running(*BUSY):
        one(look(machine, "30-processor"), "ok", "processor", f"{CORES} cores, load average {load:.2f}")


@pytest.mark.first_case
@pytest.mark.parametrize(
    ("clock", "level"),
    [(name, "ok") for name in ("tsc", "kvm-clock", "arch_sys_counter", "hyperv_clocksource_tsc_page", "xen")]
    + [(name, "warning") for name in ("hpet", "acpi_pm", "jiffies", "refined-jiffies")],
)
def test_clock_sources(machine: House, clock: str, level: str) -> None:
    folder = machine.outside / "clocksource0"
    folder.mkdir()
    edit(machine, "lib/doctor/35-clock-source", "/sys/devices/system/clocksource/clocksource0", str(folder))
    one(look(machine, "35-clock-source"), "ok", "clock", "does not name")
    (folder / "current_clocksource").write_text(f"{clock}\n")
    (folder / "available_clocksource").write_text("tsc hpet acpi_pm \n")
    one(look(machine, "35-clock-source"), level, "clock", clock, *(["available: tsc"] if level == "warning" else []))


# --- Disk and data --------------------------------------------------------------------------------------------------


def free(house: House, megabytes: int) -> None:
    fake(house, "df", f"printf '%s\\n' Avail ' {megabytes}'")


@pytest.mark.parametrize(
    ("megabytes", "slots", "level"),
    [(1399, "", "problem"), (2799, "", "warning"), (2800, "", "ok"), (4199, "8", "problem"), (4200, "8", "warning")],
)
def test_space_for_a_night(machine: House, megabytes: int, slots: str, level: str) -> None:
    free(machine, megabytes)
    one(look(machine, "40-disk", SLOTS=slots), level, "disk", f"{megabytes} MB free in '{machine.tree}'")


@pytest.mark.parametrize(
    ("profile", "megabytes", "level"),
    [
        ("small", 99, "problem"),
        ("small", 199, "warning"),
        ("small", 200, "ok"),
        ("full", 3999, "problem"),
        ("full", 7999, "warning"),
        ("full", 8000, "ok"),
        ("auto", 99, "problem"),
        ("auto", 200, "ok"),
        ("strange", 99, "problem"),
    ],
)
def test_space_for_the_data_of_a_profile(machine: House, profile: str, megabytes: int, level: str) -> None:
    free(machine, megabytes)
    one(look(machine, "40-disk", PROFILE=profile), level, "cache", f"{megabytes} MB free")


@pytest.mark.parametrize("profile", ["small", "full", "auto"])
def test_data_that_is_there_needs_no_space(machine: House, profile: str) -> None:
    free(machine, 50)
    folder = machine.outside / "home/.cache/autoresearch" / profile.replace("auto", "small")
    folder.mkdir(parents=True)
    (folder / "data.json").touch()
    one(look(machine, "40-disk", PROFILE=profile), "ok", "cache", f"free in '{folder.parent}'")


@pytest.mark.parametrize(
    ("setting", "place"),
    [("~/a/b", "home"), ("made/of/parts", "tree"), (None, "home")],
    ids=["home", "relative", "none"],
)
def test_the_cache_folder_is_where_prepare_looks_and_is_not_made(
    machine: House, setting: str | None, place: str
) -> None:
    before = sorted(machine.outside.rglob("*"))
    settings = {} if setting is None else {"AUTORESEARCH_CACHE": setting}
    one(look(machine, "40-disk", **settings), "ok", "cache", f"free in '{machine.outside / place}'")
    assert sorted(machine.outside.rglob("*")) == before, "it leaves nothing behind"


@pytest.mark.parametrize("link", [False, True])
def test_a_cache_that_cannot_be_written_is_a_problem(machine: House, link: bool) -> None:
    there = machine.outside / "home/there"
    if link:
        there.symlink_to("/nowhere/else")
    else:
        there.write_text("a file, no folder")
    one(look(machine, "40-disk", AUTORESEARCH_CACHE=f"{there}/cache"), "problem", "cache", "is not writable")


def test_a_df_that_fails_is_not_taken_for_room(machine: House) -> None:
    fake(machine, "df", "echo 'df: stale file handle' >&2; exit 1")
    assert machine.call("lib/doctor/40-disk").status != 0


def prepare(house: House, small: str, full: str) -> None:
    """A prepare.py that does this for each profile."""
    text = "import os, sys\nassert '--check' in sys.argv\nif os.environ['PROFILE'] == 'small':\n    {}\nelse:\n    {}\n"
    (house.tree / "prepare.py").write_text(text.format(small, full))


GOOD, MISSING = "print('{}')", "sys.exit(3)"
UNKNOWN = "print(\"prepare: unknown profile 'full'\\nhint: PROFILE is small\", file=sys.stderr); sys.exit(2)"


@pytest.mark.first_case
@pytest.mark.parametrize(
    ("small", "full", "profile", "level", "words"),
    [
        (GOOD, GOOD, "auto", "ok", "small: good; full: good"),
        (GOOD, MISSING, "auto", "ok", "small: good; full: missing or damaged"),
        (MISSING, GOOD, "auto", "ok", "small: missing or damaged; full: good"),
        (MISSING, MISSING, "auto", "problem", "\tmake data PROFILE=auto"),
        (GOOD, MISSING, "full", "problem", "\tmake data PROFILE=full"),
        (MISSING, GOOD, "small", "problem", "\tmake data PROFILE=small"),
        (GOOD, UNKNOWN, "auto", "ok", "full: unknown, exit status 2: prepare: unknown profile 'full'"),
        (MISSING, UNKNOWN, "auto", "problem", "make data"),
        (GOOD, UNKNOWN, "full", "warning", "unknown profile 'full'\t"),
        ("1 / 0", "1 / 0", "auto", "warning", "small: unknown, exit status 1: ZeroDivisionError"),
        (GOOD, GOOD, "strange", "problem", "there is no profile 'strange'\tuse one of: auto small full"),
    ],
)
def test_data(machine: House, small: str, full: str, profile: str, level: str, words: str) -> None:
    prepare(machine, small, full)
    one(look(machine, "50-data", PROFILE=profile), level, "data", words)


def test_a_gpu_is_not_left_to_the_small_profile(machine: House) -> None:
    fake(machine, "nvidia-smi", "exit 0")
    prepare(machine, GOOD, MISSING)
    one(
        look(machine, "50-data"),
        "warning",
        "data",
        "\tprepare the published setting for the GPU: make data PROFILE=full",
    )
    one(look(machine, "50-data", PROFILE="small"), "ok", "data")
    prepare(machine, GOOD, GOOD)
    one(look(machine, "50-data"), "ok", "data")


def test_no_data_says_how_to_make_it(machine: House) -> None:
    prepare(machine, MISSING, MISSING)
    assert look(machine, "50-data")[0][3] == "make data"


def test_a_prepare_that_hangs_is_no_data(machine: House) -> None:
    prepare(machine, "import time; time.sleep(50)", MISSING)
    edit(machine, "lib/doctor/50-data", "LIMIT_S=25", "LIMIT_S=3")
    one(look(machine, "50-data"), "problem", "data", "small: unknown, no answer within 3 s")


# --- Proposers ------------------------------------------------------------------------------------------------------


def test_the_proposer_is_the_catalog_or_any_executable(machine: House) -> None:
    one(look(machine, "60-proposer"), "ok", "proposer", "lib/proposers/catalog")
    path = machine.proposer("true")
    one(look(machine, "60-proposer", AGENT=str(path)), "ok", "proposer", str(path))
    one(look(machine, "60-proposer", AGENT="../proposer"), "ok", "proposer", str(path))


@pytest.mark.parametrize("agent", ["nobody", "./nobody", "../plain.txt", "..", "a: b\tc\nd"])
def test_a_proposer_that_is_not_there_is_a_problem(machine: House, agent: str) -> None:
    (machine.outside / "plain.txt").touch()
    lines = look(machine, "60-proposer", AGENT=agent)
    shown = re.sub(r"[\t\n]", "?", agent)
    is_path = "/" in agent
    problem = f"proposer '{shown}' is not an executable file" if is_path else f"there is no proposer '{shown}'"
    one(lines, "problem", "proposer", problem, "chmod +x" if is_path else "choose one of: aider catalog")
    assert lines[0][2] == problem


def test_no_coding_agent(machine: House) -> None:
    one(
        look(machine, "65-agents"),
        "ok",
        "agents",
        "no coding agent on PATH",
        "aider claude codex gemini llm mini opencode pi",
    )


def test_a_coding_agent_that_was_asked_for_must_be_there(machine: House) -> None:
    assert [line[:2] for line in look(machine, "65-agents", AGENT="codex")] == [["problem", "codex"]]
    fake(machine, "claude", "echo '2.1.330 (Claude Code)'")
    lines = look(machine, "65-agents", AGENT="codex")
    assert [line[:2] for line in lines] == [["ok", "claude"], ["problem", "codex"]]
    one(lines, "problem", "codex", "not on PATH", "install it: npm install -g @openai/codex")


@pytest.mark.parametrize(("agent", "level"), [("claude", "problem"), ("codex", "ok"), ("", "ok")])
def test_a_login_is_needed_by_the_one_that_was_asked_for(machine: House, agent: str, level: str) -> None:
    fake(machine, "claude", "echo '2.1.330 (Claude Code)'; echo more")
    fake(machine, "codex", "echo codex-cli 0.169.0")
    settings = {"AGENT": agent, "CODEX_API_KEY": "secret"}
    one(look(machine, "65-agents", **settings), level, "claude", "2.1.330 (Claude Code), no login found")
    one(look(machine, "65-agents", **settings), "ok", "codex", "codex-cli 0.169.0, login by 'CODEX_API_KEY'")
    lines = look(machine, "65-agents", **settings, ANTHROPIC_API_KEY="secret")
    one(lines, "ok", "claude", "login by 'ANTHROPIC_API_KEY'")
    assert "secret" not in str(lines)
    file = machine.outside / "home/.claude/.credentials.json"
    file.parent.mkdir()
    file.touch()
    one(look(machine, "65-agents", **settings), level, "claude", "no login found")  # an empty file is none
    file.write_text("{}")
    one(look(machine, "65-agents", **settings), "ok", "claude", "login by '.claude/.credentials.json'")


@pytest.mark.parametrize("script", ["exit 1", "trap '' TERM; sleep 50; sleep 50"], ids=["fails", "hangs"])
def test_a_coding_agent_that_does_not_start(machine: House, script: str) -> None:
    fake(machine, "mini", script)
    edit(machine, "lib/proposers/agent_cli.sh", "VERSION_S=5", "VERSION_S=1")
    one(look(machine, "65-agents"), "ok", "mini", "'mini --version' fails")
    one(look(machine, "65-agents", AGENT="mini", OPENAI_API_KEY="x"), "problem", "mini", "fails", "mini --version")


def test_a_key_may_be_in_the_file_of_keys(machine: House) -> None:
    fake(machine, "claude", "echo '2.1.330 (Claude Code)'")
    (machine.tree / ".env").touch(mode=0o600)
    (machine.tree / ".env").write_text("ANTHROPIC_API_KEY=secret\n")
    one(look(machine, "65-agents", AGENT="claude"), "ok", "claude", "login by 'ANTHROPIC_API_KEY'")


def test_a_model_on_this_machine_needs_no_key(machine: House) -> None:
    fake(machine, "llm", "echo llm, version 0.36")
    one(look(machine, "65-agents"), "ok", "llm", "no login found")
    one(
        look(machine, "65-agents", AGENT="llm"),
        "warning",
        "llm",
        "no login found",
        "none is needed for a model on this machine",
    )


def test_an_adapter_without_check_is_not_called(machine: House) -> None:
    path = machine.tree / "lib/proposers/mine"
    path.write_text("#!/usr/bin/env bash\ntouch ~/called\n")
    path.chmod(0o755)
    look(machine, "65-agents", AGENT="mine")
    assert not (machine.outside / "home/called").exists()


# --- Sandbox, cron, tools -------------------------------------------------------------------------------------------


def too_old(house: House) -> None:
    """As on a kernel whose Landlock is not enough."""
    edit(house, "lib/child/landlock.py", "LEAST_ABI = 3", "LEAST_ABI = 99")


def test_neither_bubblewrap_nor_landlock_is_a_warning(machine: House) -> None:
    too_old(machine)
    one(look(machine, "70-sandbox"), "warning", "sandbox", "no 'bwrap' on PATH; Landlock", "(ABI ", "run unconfined")
    one(look(machine, "70-sandbox", CONFINE="landlock"), "warning", "sandbox", "Landlock failed with ", "Linux 6.2")
    one(look(machine, "70-sandbox", CONFINE="bubblewrap"), "warning", "sandbox", "no 'bwrap' on PATH: ", "install")
    one(look(machine, "70-sandbox", CONFINE="no"), "warning", "sandbox", "CONFINE is 'no'")


def test_bubblewrap_that_works_holds_training_and_proposers(machine: House) -> None:
    fake(machine, "bwrap", "[[ $1 != --version ]] || echo bubblewrap 0.11.0")
    training, proposers = look(machine, "70-sandbox")
    one([training], "ok", "sandbox", "training is confined by bubblewrap 0.11.0")
    one([proposers], "ok", "sandbox", "proposers are confined", "they keep the network, your home folder")


@pytest.mark.skipif("landlock" not in WORKING, reason="Landlock does not work here")
def test_landlock_holds_where_bubblewrap_does_not(machine: House) -> None:
    training, proposers = look(machine, "70-sandbox")
    one([training], "ok", "sandbox", "training is confined by Landlock (no 'bwrap' on PATH)", "it can list names")
    one([proposers], "ok", "sandbox", "proposers are confined", "top of your home folder are gone")


def test_what_holds_each_agent(machine: House) -> None:
    too_old(machine)
    *_, mini = look(machine, "75-agent-sandboxes", AGENT="mini")
    one([mini], "warning", "mini", "not confined")
    *_, claude = look(machine, "75-agent-sandboxes", AGENT="claude")
    one([claude], "ok", "claude", "confined by its permissions, without a shell")
    fake(machine, "bwrap", "true")
    *_, mini = look(machine, "75-agent-sandboxes", AGENT="mini")
    one([mini], "ok", "mini", "confined by bubblewrap: it writes only to its copy of the tree")
    *_, claude = look(machine, "75-agent-sandboxes", AGENT="claude")
    one([claude], "ok", "claude", "without a shell, and by bubblewrap")


def test_bubblewrap_that_fails_is_a_warning(machine: House) -> None:
    too_old(machine)
    fake(machine, "bwrap", "echo 'bwrap: No permissions to create a new namespace' >&2; exit 1")
    one(look(machine, "70-sandbox"), "warning", "sandbox", "exit status 1", "No permissions", "user namespaces")


def test_bubblewrap_that_hangs_is_a_warning(machine: House) -> None:
    too_old(machine)
    fake(machine, "bwrap", "sleep 50")
    edit(machine, "lib/child/runner.py", '"--kill-after=2", "10"', '"--kill-after=2", "1"')
    one(look(machine, "70-sandbox"), "warning", "sandbox", "exit status 124")


def test_cron(machine: House) -> None:
    edit(machine, "lib/run/autostart.sh", "'cron|crond|fcron'", "'our-cron|crond-x'")  # there may be a real one
    one(look(machine, "80-cron"), "warning", "cron", "no 'crontab' on PATH", "install")
    fake(machine, "crontab", "")
    one(look(machine, "80-cron"), "warning", "cron", "no cron daemon is running", "service cron start")
    daemon = machine.outside / "our-cron"
    daemon.symlink_to(shutil.which("bash") or "/bin/bash")
    with machine.running(str(daemon), "-c", ": >started; sleep 50; :"):
        machine.wait_for("started")
        one(look(machine, "80-cron"), "ok", "cron", "our-cron is running")


@pytest.mark.parametrize(
    ("version", "level"), [("2.30.0", "ok"), ("2.5.1", "problem"), ("2.29.9", "problem"), ("3.0", "ok")]
)
def test_git(machine: House, version: str, level: str) -> None:
    fake(machine, "git", f"echo git version {version}")
    one(look(machine, "90-tools"), level, "tools", f"git {version}")


def test_no_git_is_a_problem(machine: House) -> None:
    (machine.outside / "plain/git").unlink()
    one(look(machine, "90-tools"), "problem", "tools", "no 'git' on PATH")


@pytest.mark.parametrize(
    ("tool", "package"), [("flock", "util-linux"), ("setsid", "util-linux"), ("timeout", "coreutils")]
)
def test_without_a_tool_for_locks_it_is_told_and_no_tree_looks_held(machine: House, tool: str, package: str) -> None:
    tools = machine.outside / "few"
    tools.mkdir()
    for path in (machine.outside / "plain").iterdir():
        if path.name != tool:
            (tools / path.name).symlink_to(path)
    path = f"{Path(machine.environment['PATH'].split(':')[0])}:{tools}"
    one(look(machine, "90-tools", PATH=path), "problem", "tools", f"no '{tool}' on PATH", package)
    result = machine.call("bin/stop", PATH=path)
    assert result.status == 2
    assert result.err == f"stop: no '{tool}' on PATH\nhint: install the package {package}\n"


def test_a_tmpdir_that_is_smaller_than_the_tree_is_a_problem(machine: House) -> None:
    (machine.tree / "corpus.bin").write_bytes(os.urandom(9 << 20))
    machine.commit("a corpus")
    tracked = machine.git("ls-tree", "-r", "-l", "HEAD").splitlines()
    needed = 100 + sum(int(line.split()[3]) for line in tracked) // 2**20
    free(machine, 150)
    one(look(machine, "40-disk"), "warning", "tmpdir", "150 MB free", f"need {needed} MB", "TMPDIR=")
    free(machine, needed - 1)
    one(look(machine, "40-disk"), "problem", "tmpdir", f"{needed - 1} MB free", f"need {needed} MB")


@pytest.mark.slow
def test_a_tree_of_many_files_is_told(machine: House) -> None:
    for number in range(10_001):
        path = machine.tree / f"data/{number % 100}"
        path.mkdir(parents=True, exist_ok=True)
        (path / str(number)).touch()
    machine.commit("data")
    said = [line for line in look(machine, "40-disk") if line[1] == "tree"]
    assert [line[0] for line in said] == ["warning"]
    assert re.search(r"git tracks 10\d{3} files", said[0][2])
