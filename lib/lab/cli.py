"""`lab`: the commands of the Python core. This file only parses arguments; each command calls one module.

Data goes to stdout. Errors go to stderr as `lab: problem`, with exit status 2.
"""

import os
import shutil
import sys
from decimal import Decimal, InvalidOperation
from pathlib import Path
from typing import Any

import click

from lab.errors import EXPECTED, Fault, message
from lab.store import schemas

FOLDER = click.Path(exists=True, file_okay=False, path_type=Path)
RUN = click.argument("run", type=FOLDER)  # runs/<tag>


class Number(click.ParamType[Decimal]):
    """A Decimal, because a binary float may put a gain of exactly 0.001 on the wrong side of the threshold."""

    name = "number"

    def __init__(self, *, finite: bool = True) -> None:
        """`finite=False` accepts NaN and infinities too."""
        self.finite = finite

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Decimal:
        """The text as Decimal."""
        try:
            number = Decimal(value)
        except InvalidOperation:
            self.fail(f"'{value}' is not a number", param, ctx)
        if self.finite and not number.is_finite():
            self.fail(f"'{value}' is not a finite number", param, ctx)
        return number


class Commands(click.Group):
    """Prints an error that a person can fix as one line, with exit status 2."""

    def invoke(self, ctx: click.Context) -> Any:
        """Run the command."""
        try:
            return super().invoke(ctx)
        except click.UsageError as error:  # the arguments do not match the usage
            name = (error.ctx or ctx).info_name
            command = f"bin/{name}" if (schemas.FOLDER.parent / f"bin/{name}").exists() else f".venv/bin/lab {name}"
            print(f"lab: {error.format_message()}\nhint: {command} --help", file=sys.stderr)
            ctx.exit(2)
        except EXPECTED as error:
            print(message(error), file=sys.stderr)
            ctx.exit(2)


@click.group(cls=Commands, context_settings={"help_option_names": ["-h", "--help"]})
def main() -> None:
    """The Python core of the experiment loop."""


@main.command()
@click.argument("file", type=click.Path(path_type=Path))
@click.option("--import", "lenient", is_flag=True, help="read a foreign ledger leniently; exit 1: rows were left out")
@click.option("--out", type=click.Path(path_type=Path), help="with --import: a new file for the repaired ledger")
@click.option("--verbose", is_flag=True, help="list the checks if the ledger is valid")
@click.pass_context
def validate(ctx: click.Context, file: Path, lenient: bool, out: Path | None, verbose: bool) -> None:
    """Check a ledger. Exit 0; 1 with `FILE:LINE: column: problem` for each bad row; 2 if it is unreadable.

    With --import, each line is a repair, and ends in "left out" for a row that cannot be repaired.
    """
    if out and not lenient:
        raise Fault("--out needs --import", "give both, because only a repaired ledger is written")
    if lenient:
        from lab.store import foreign_ledger

        found = foreign_ledger.convert(file, out)
        said, failed = found.said, found.left_out > 0
    else:
        from lab.views import check_ledger

        said = check_ledger.problems(file)
        failed = bool(said)
        if verbose and not failed:
            print(check_ledger.checked(file), file=sys.stderr)
    print(*said, sep="\n", end="\n" if said else "")
    ctx.exit(1 if failed else 0)


@main.command()
@RUN
def mend(run: Path) -> None:
    """Repair the records of the RUN. Stdin: the records in git, one object per line."""
    from lab.verdict import mend

    print(*mend.mend(run, stdin()), sep="\n")


@main.command("memory-gb", context_settings={"ignore_unknown_options": True})
@click.argument("peak_vram_mb")
def memory_gb(peak_vram_mb: str) -> None:
    """Convert MiB to the ledger's memory_gb: one decimal, half up."""
    from lab.store import ledger

    print(ledger.to_gb(peak_vram_mb))


@main.command()
@click.option("--incumbent", type=Number(), required=True, help="val_bpb of the incumbent")
@click.option("--candidate", type=Number(finite=False), help="val_bpb of the candidate; default: it crashed")
@click.option("--added", type=click.IntRange(min=0), default=0, help="code lines added")
@click.option("--removed", type=click.IntRange(min=0), default=0, help="code lines removed")
@click.option("--best", type=Number(), help="the run's best val_bpb")
@click.option("--incumbent-memory", type=Number(), help="GB")
@click.option("--memory", type=Number(), help="GB")
@click.option("--sd", type=Number(), help="measured standard deviation of val_bpb")
@click.option("--df", type=click.IntRange(1, 10_000), help="its degrees of freedom")
@click.option("--runs", type=click.IntRange(min=1), default=1, help="runs behind the candidate's value")
@click.option("--incumbent-runs", type=click.IntRange(min=1), default=1, help="runs behind the incumbent's value")
def decide(sd: Decimal | None, df: int | None, runs: int, incumbent_runs: int, **case: Any) -> None:
    """Print the verdict, and on a second line the rule and the reason."""
    from lab.store.metric import VAL_BPB
    from lab.verdict.criterion import Case, Noise
    from lab.verdict.criterion import decide as verdict_on

    if (sd is None) != (df is None) or (sd is not None and sd < 0):
        raise Fault("--sd (0 or more) and --df go together", "give both or neither")
    if not VAL_BPB.is_valid(case["incumbent"]):
        raise Fault(f"--incumbent '{case['incumbent']}' is not between 0 and 20", "give a val_bpb")
    noise = None if sd is None or df is None else Noise(sd, df, runs, incumbent_runs)
    decision = verdict_on(Case(noise=noise, **case))
    print(decision.verdict)
    print(decision.reason)


@main.command()
@click.argument("file", type=click.Path(path_type=Path))
@click.option("--sd", type=Number(), help="standard deviation of val_bpb; default: the fixed thresholds")
@click.option("--df", type=click.IntRange(1, 10_000), help="its degrees of freedom; default: the sd is exact")
@click.option("--own", is_flag=True, help="compare with our own last keep instead of the recorded one")
def replay(file: Path, sd: Decimal | None, df: int | None, own: bool) -> None:
    """Apply our decision rule to each row of any ledger. Prints both verdicts and a summary."""
    from lab.views import replay

    print(replay.text(file, sd, df, own=own))


@main.command()
@click.argument("run", type=FOLDER, required=False)
def settings(run: Path | None) -> None:
    """Print the checked settings as NAME=value lines; with a RUN, including those fixed at its set-up."""
    from lab.store import manifest, settings

    chosen = manifest.settings_of(run, os.environ) if run else settings.of_new_run(os.environ)
    print(*(f"{name}={value}" for name, value in chosen.items()), sep="\n")


@main.command("settings-table")
@click.argument("run", type=FOLDER, required=False)
def settings_table(run: Path | None) -> None:
    """Print each setting, its value and the source of the value; with a RUN, including those fixed at its set-up."""
    from lab.views import settings_text

    print(settings_text.text(run, os.environ))


def stdin() -> str:
    """All of stdin. (Another project's prepare.py may print any bytes.)"""
    return sys.stdin.buffer.read().decode(errors="replace")


@main.command("begin-run")
@RUN
@click.option("--tag", required=True)
@click.option("--start", required=True, help="the commit that the run starts from")
def begin_run(run: Path, tag: str, start: str) -> None:
    """Write the ledger's header and the manifest of a new RUN. Stdin: the output of prepare.py --check."""
    from lab.store import manifest

    manifest.begin(run, tag, start, stdin(), os.environ)


@main.command()
@RUN
def brief(run: Path) -> None:
    """Print the brief for a proposer. Stdin: the current train.py."""
    from lab.proposal import brief

    print(brief.brief(run, sys.stdin.read()), end="")


@main.command()
@click.argument("folder", type=click.Path(path_type=Path))
@click.argument("query")
def memory(folder: Path, query: str) -> None:
    """Print the entries of the memory in FOLDER that match QUERY; with an empty QUERY, the newest."""
    from lab.store import memory

    print(memory.text(folder, query))


@main.command("check-proposal")
@click.argument("description")
@click.argument("files", nargs=-1, type=click.Path(path_type=Path))
def check_proposal(description: str, files: tuple[Path, ...]) -> None:
    """Exit 2 if a change with this DESCRIPTION and these FILES cannot be proposed."""
    from lab.proposal import check_edit

    check_edit.check(files, description)


@main.command()
@RUN
@click.argument("text")
def hint(run: Path, text: str) -> None:
    """Add TEXT as a hint for the proposer, unless it is empty, and print all hints."""
    from lab.proposal import hints

    if text.strip():
        hints.add(run, text)
    print("\n".join(hints.read(run)) or "no hint")


@main.command()
@RUN
@click.argument("which", required=False)
@click.option("--at-work", is_flag=True, help="a process works on the tree now")
@click.pass_context
def verdict(ctx: click.Context, run: Path, which: str | None, at_work: bool) -> None:
    """Print the verdict on an experiment of the RUN: a number, the id of a flight, or (default) the last one.

    Exit 75: no verdict yet, and the phase is printed. Exit 1: there will be no verdict.
    """
    from lab.views import verdict

    status, text = verdict.verdict(run, which, at_work=at_work)
    print(text)
    ctx.exit(status)


@main.command()
@RUN
@click.argument("file", type=click.Path(path_type=Path), default="train.py")
@click.pass_context
def catalog(ctx: click.Context, run: Path, file: Path) -> None:
    """Edit FILE as the built-in proposer. Stdin: git's ids of all versions tried so far. Exit 1: no idea."""
    from lab import catalog

    proposal = catalog.catalog(run, file, set(sys.stdin.read().split()))
    if proposal is None:
        print(f"catalog: no idea for '{file}', which has no UPPERCASE number", file=sys.stderr)
        ctx.exit(1)
    print(f"category: {proposal.category}\n{proposal.description}")


@main.command()
@RUN
@click.option("--json", "as_json", is_flag=True, help="print an object of schemas/status.schema.json")
def status(run: Path, as_json: bool) -> None:
    """Print the status of the RUN. Stdin: the facts of lib/run/status_facts.sh."""
    from lab.views import status, status_text

    at = status.status(run, status.facts_of(stdin()))
    columns = shutil.get_terminal_size().columns if sys.stdout.isatty() else None
    print(status.as_json(at) if as_json else status_text.text(at, columns))


@main.command()
@RUN
def watch(run: Path) -> None:
    """Draw the status of the RUN until Ctrl-C. Stdin: the facts of lib/run/status_facts.sh, repeatedly."""
    from lab.views import watch

    watch.watch(run, sys.stdin.fileno())


@main.command("find-experiment")
@RUN
@click.argument("which")
def find_experiment(run: Path, which: str) -> None:
    """Print number, commit, parent, category and description of an experiment, one per line."""
    from lab.views import find_experiment

    print(*find_experiment.find(run, which).facts, sep="\n")


@main.command()
@RUN
@click.argument("which")
def show(run: Path, which: str) -> None:
    """Print everything about an experiment. Stdin: its diff."""
    from lab.views import show

    print(show.show(run, which, stdin()), end="")


@main.command()
@RUN
@click.argument("a")
@click.argument("b")
def compare(run: Path, a: str, b: str) -> None:
    """Print two experiments side by side. Stdin: the diff from A to B."""
    from lab.views import show

    print(show.compare(run, a, b, stdin()), end="")


@main.command()
@click.argument("run", type=FOLDER, required=False)
@click.option("--format", "kind", type=click.Choice(["csv", "json", "mlflow", "wandb-offline"]), required=True)
@click.option("--out", type=click.Path(path_type=Path), help="a new file or folder [stdout, RUN/mlflow, RUN/wandb]")
def export(run: Path | None, kind: str, out: Path | None) -> None:
    """Export a RUN (default: the one checked out) for other tools. mlflow and wandb need their packages."""
    from lab.views import export

    print(export.export(run or export.checked_out(), kind, out), end="")


@main.command()
@click.argument("tree", type=FOLDER)
@click.option(
    "--old", type=click.IntRange(min=0), help="print only the tags of runs older than that many days, and not taken"
)
def runs(tree: Path, old: int | None) -> None:
    """Print a line for each run of the TREE. Stdin: the facts of lib/run/all_runs.sh."""
    from lab.views import runs

    print(runs.table(tree, stdin()) if old is None else "\n".join(runs.old(tree, stdin(), old)))


@main.command()
@RUN
@click.argument("wanted")
def keeps(run: Path, wanted: str) -> None:
    """Print number, commit and parent of the keeps in WANTED, such as `4 9`; of all keeps if it is empty."""
    from lab.views import take

    for one in take.keeps(run, wanted):
        print(take.facts(one))


@main.command("take-messages")
@RUN
@click.argument("folder", type=FOLDER)
@click.argument("numbers", nargs=-1, type=int, required=True)
@click.option("--squash", is_flag=True, help="write one message for all keeps")
def take_messages(run: Path, folder: Path, numbers: tuple[int, ...], squash: bool) -> None:
    """Write the commit messages of the keeps with these NUMBERS into FOLDER."""
    from lab.views import take

    take.write_messages(run, numbers, folder, squash=squash)


@main.command("baseline-and-incumbent")
@RUN
def baseline_and_incumbent(run: Path) -> None:
    """Print the commits of the baseline and of the incumbent."""
    from lab.verdict import replicates

    print(*(experiment["commit"] for experiment in replicates.baseline_and_incumbent(run)))


@main.command("run-seconds")
@RUN
def run_seconds(run: Path) -> None:
    """Print the wall seconds of a training run, estimated from the last runs."""
    from lab.verdict import replicates

    print(replicates.run_seconds(run))


@main.command("fresh-seed")
@RUN
@click.argument("commits", nargs=-1, required=True)
def fresh_seed(run: Path, commits: tuple[str, ...]) -> None:
    """Print a seed that no run of the COMMITS has used."""
    from lab.verdict import replicates

    print(replicates.fresh_seed(run, commits))


@main.command()
@RUN
def noise(run: Path) -> None:
    """Print the noise and the value of the incumbent."""
    from lab.verdict import replicates

    print(replicates.noise_told(run))


@main.command()
@RUN
@click.argument("seeds", nargs=-1, type=int)
@click.option("--partial", is_flag=True, help="some of these pairs did not run")
def audit(run: Path, seeds: tuple[int, ...], *, partial: bool) -> None:
    """Write audit.json for the pairs of runs with these SEEDS, and print it as text."""
    from lab.views import audit

    print(audit.audit(run, seeds, partial=partial))


@main.command()
@click.argument("ledgers", type=click.Path(path_type=Path), nargs=-1, required=True)
@click.option(
    "--out", type=click.Path(path_type=Path), required=True, help="the folder for report.html and progress.png"
)
@click.option("--refresh", type=click.IntRange(min=1), help="seconds after which the page reloads")
def report(ledgers: tuple[Path, ...], out: Path, refresh: int | None) -> None:
    """Write the report of these LEDGERS and the files beside them. Stdin: git's diffs, as bin/report writes them."""
    from lab.views import report

    show = progress_line if sys.stderr.isatty() else report.silent
    paths = report.report(ledgers, stdin(), out, refresh=refresh, tell=show)
    show("")
    print(*paths, sep="\n")


def progress_line(text: str) -> None:
    """Draw a line that the next one replaces, for a person at a terminal."""
    print(f"\r\x1b[K{text}", end="", file=sys.stderr, flush=True)


@main.command("apply-blocks")
@click.argument("answer", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.argument("files", nargs=-1, required=True)
def apply_blocks(answer: Path, files: tuple[str, ...]) -> None:
    """Apply the search/replace blocks in ANSWER to FILES of this folder and to copies in candidates/: all or none."""
    from lab.agents import edit_blocks
    from lab.store import durable

    known = {name: Path(name).read_text(encoding="utf-8") for name in files}
    texts = edit_blocks.apply(known, answer.read_text(encoding="utf-8", errors="replace"))
    for name in texts:
        if name not in known and Path(name).exists():
            raise Fault(f"'{name}' exists, but may not be edited", f"edit only these files: {' '.join(files)}")
    for name, text in texts.items():
        Path(name).parent.mkdir(parents=True, exist_ok=True)
        durable.write_atomically(Path(name), text, durable=False)


@main.command("login-ends")
@click.argument("file", type=click.Path(path_type=Path))
def login_ends(file: Path) -> None:
    """Print the seconds until the access token in FILE (a coding agent's login) expires, if they are known."""
    import time

    from lab.agents import login

    now = time.time()
    if (at := login.ends(file, now)) is not None:
        click.echo(at - int(now))


@main.command()
@click.argument("name")
@click.argument("transcript", type=click.Path(exists=True, path_type=Path))
@click.argument("errors", type=click.Path(exists=True, path_type=Path))
@click.argument("usage", type=click.Path(path_type=Path))
@click.option("--status", type=int, default=0, help="the exit status of the command line")
@click.pass_context
def heard(ctx: click.Context, name: str, transcript: Path, errors: Path, usage: Path, status: int) -> None:
    """Print the last message of the coding agent NAME, and write its usage. Exit 75: try later. Exit 1: it failed."""
    from datetime import datetime

    from lab.agents import cli_output

    output = cli_output.read(name, transcript, errors, status)
    output.write_usage(usage)
    code, lines = cli_output.exit_status(output, name, datetime.now())
    print(output.text)
    if lines:
        print(lines, file=sys.stderr)
    ctx.exit(code)
