"""`lab`: the commands of the Python core. This file only parses arguments; each command calls one module.

Data goes to stdout. Errors go to stderr as `lab: problem`, with exit status 2.
"""

import os
import shutil
import sys
from decimal import Decimal, InvalidOperation
from importlib import import_module
from pathlib import Path
from typing import Any

import click

from lab.errors import EXPECTED, Fault, message
from lab.store import schemas

PATH = click.Path(path_type=Path)
FOLDER = click.Path(exists=True, file_okay=False, path_type=Path)
RUN = click.Argument(["run"], type=FOLDER)  # runs/<tag>
ANY_RUN = click.Argument(["run"], type=FOLDER, required=False)
WHICH = click.Argument(["which"])  # a number or a commit


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


def stdin() -> str:
    """All of stdin. (Another project's prepare.py may print any bytes.)"""
    return sys.stdin.buffer.read().decode(errors="replace")


def command(
    name: str, function: str, *parameters: click.Parameter, help: str, reads: str = "", env: bool = False, **more: Any
) -> None:
    """A command that calls a function of the core with its parameters, and prints the result.

    The module of `function` is imported when it is called. `reads` is the parameter that gets stdin, and `environment`
    gets the environment, if `env`. The function returns text, lines, a number, nothing, or an exit status and text.
    """

    def call(**arguments: Any) -> None:
        module, _, called = function.rpartition(".")
        if reads:
            arguments[reads] = stdin()
        if env:
            arguments["environment"] = os.environ
        result = getattr(import_module(f"lab.{module}"), called)(**arguments)
        status, result = result if isinstance(result, tuple) else (0, result)
        text = "\n".join(result) if isinstance(result, list) else "" if result is None else str(result)
        print(text, end="" if not text or text.endswith("\n") else "\n")
        if status:
            sys.exit(status)

    main.add_command(click.Command(name, callback=call, params=list(parameters), help=help, **more))


@main.command()
@click.argument("file", type=PATH)
@click.option("--import", "lenient", is_flag=True, help="read a foreign ledger leniently; exit 1: rows were left out")
@click.option("--out", type=PATH, help="with --import: a new file for the repaired ledger")
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
@click.argument("run", type=FOLDER)
@click.argument("text")
def hint(run: Path, text: str) -> None:
    """Add TEXT as a hint for the proposer, unless it is empty, and print all hints."""
    from lab.proposal import hints

    if text.strip():
        hints.add(run, text)
    print("\n".join(hints.read(run)) or "no hint")


@main.command()
@click.argument("run", type=FOLDER)
@click.argument("file", type=PATH, default="train.py")
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
@click.argument("run", type=FOLDER)
@click.option("--json", "as_json", is_flag=True, help="print an object of schemas/status.schema.json")
def status(run: Path, as_json: bool) -> None:
    """Print the status of the RUN. Stdin: the facts of lib/run/status_facts.sh."""
    from lab.views import status, status_text

    at = status.status(run, status.facts_of(stdin()))
    columns = shutil.get_terminal_size().columns if sys.stdout.isatty() else None
    print(status.as_json(at) if as_json else status_text.text(at, columns))


@main.command()
@click.argument("ledgers", type=PATH, nargs=-1, required=True)
@click.option("--out", type=PATH, required=True, help="the folder for report.html and progress.png")
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
@click.argument("file", type=PATH)
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
@click.argument("usage", type=PATH)
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


# --- Commands that print what one function returns --------------------------------------------------------------------

# fmt: off
command(
    "mend", "verdict.mend.mend", RUN, reads="records",
    help="Repair the records of the RUN. Stdin: the records in git, one object per line.",
)
command(
    "memory-gb", "store.ledger.to_gb", click.Argument(["peak_vram_mb"]),
    help="Convert MiB to the ledger's memory_gb: one decimal, half up.",
    context_settings={"ignore_unknown_options": True},
)
command(
    "replay", "views.replay.text",
    click.Argument(["path"], type=PATH, metavar="FILE"),
    click.Option(["--sd"], type=Number(), help="standard deviation of val_bpb; default: the fixed thresholds"),
    click.Option(["--df"], type=click.IntRange(1, 10_000), help="its degrees of freedom; default: the sd is exact"),
    click.Option(["--own"], is_flag=True, help="compare with our own last keep instead of the recorded one"),
    help="Apply our decision rule to each row of any ledger. Prints both verdicts and a summary.",
)
command(
    "settings", "views.settings_text.lines", ANY_RUN, env=True,
    help="Print the checked settings as NAME=value lines; with a RUN, including those fixed at its set-up.",
)
command(
    "settings-table", "views.settings_text.table", ANY_RUN, env=True,
    help="Print each setting, its value and the source of the value; with a RUN, including those fixed at its set-up.",
)
command(
    "begin-run", "store.manifest.begin", RUN,
    click.Option(["--tag"], required=True),
    click.Option(["--start"], required=True, help="the commit that the run starts from"),
    reads="facts", env=True,
    help="Write the ledger's header and the manifest of a new RUN. Stdin: the output of prepare.py --check.",
)
command(
    "brief", "proposal.brief.brief", RUN, reads="code",
    help="Print the brief for a proposer. Stdin: the current train.py.",
)
command(
    "memory", "store.memory.text", click.Argument(["folder"], type=PATH), click.Argument(["query"]),
    help="Print the entries of the memory in FOLDER that match QUERY; with an empty QUERY, the newest.",
)
command(
    "check-proposal", "proposal.check_edit.check",
    click.Argument(["description"]), click.Argument(["files"], nargs=-1, type=PATH),
    help="Exit 2 if a change with this DESCRIPTION and these FILES cannot be proposed.",
)
command(
    "verdict", "views.verdict.verdict", RUN, click.Argument(["which"], required=False),
    click.Option(["--at-work"], is_flag=True, help="a process works on the tree now"),
    help="""Print the verdict on an experiment of the RUN: a number, the id of a flight, or (default) the last one.

    Exit 75: no verdict yet, and the phase is printed. Exit 1: there will be no verdict.""",
)
command(
    "watch", "views.watch.watch", RUN,
    help="Draw the status of the RUN until Ctrl-C. Stdin: the facts for `lab status`, repeatedly.",
)
command(
    "find-experiment", "views.find_experiment.facts", RUN, WHICH,
    help="Print number, commit, parent, category and description of an experiment, one per line.",
)
command("show", "views.show.show", RUN, WHICH, reads="diff", help="Print all about an experiment. Stdin: its diff.")
command(
    "compare", "views.show.compare", RUN, click.Argument(["a"]), click.Argument(["b"]), reads="diff",
    help="Print two experiments side by side. Stdin: the diff from A to B.",
)
command(
    "export", "views.export.export", ANY_RUN,
    click.Option(["--format", "kind"], type=click.Choice(["csv", "json", "mlflow", "wandb-offline"]), required=True),
    click.Option(["--out"], type=PATH, help="a new file or folder [stdout, RUN/mlflow, RUN/wandb]"),
    help="Export a RUN (default: the one checked out) for other tools. mlflow and wandb need their packages.",
)
command(
    "runs", "views.runs.runs", click.Argument(["tree"], type=FOLDER),
    click.Option(["--old"], type=click.IntRange(min=0), help="only the tags of runs not taken for that many days"),
    reads="facts",
    help="Print a line for each run of the TREE. Stdin: facts about its runs.",
)
command(
    "keeps", "views.take.listed", RUN, click.Argument(["wanted"]),
    help="Print number, commit and parent of the keeps in WANTED, such as `4 9`; of all keeps if it is empty.",
)
command(
    "take-messages", "views.take.write_messages", RUN,
    click.Argument(["folder"], type=FOLDER), click.Argument(["numbers"], nargs=-1, type=int, required=True),
    click.Option(["--squash"], is_flag=True, help="write one message for all keeps"),
    help="Write the commit messages of the keeps with these NUMBERS into FOLDER.",
)
command(
    "baseline-and-incumbent", "verdict.replicates.commits", RUN,
    help="Print the commits of the baseline and of the incumbent.",
)
command(
    "run-seconds", "verdict.replicates.run_seconds", RUN,
    help="Print the wall seconds of a training run, estimated from the last runs.",
)
command(
    "fresh-seed", "verdict.replicates.fresh_seed", RUN, click.Argument(["commits"], nargs=-1, required=True),
    help="Print a seed that no run of the COMMITS has used.",
)
command("noise", "verdict.replicates.noise_told", RUN, help="Print the noise and the value of the incumbent.")
command(
    "audit", "views.audit.audit", RUN, click.Argument(["seeds"], nargs=-1, type=int),
    click.Option(["--partial"], is_flag=True, help="some of these pairs did not run"),
    help="Write audit.json for the pairs of runs with these SEEDS, and print it as text.",
)
