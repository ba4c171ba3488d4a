"""`lab`: the commands of the Python core. This file only parses; each command is one call into the module of its name.

Data goes to stdout, errors to stderr as `lab: problem` and exit status 2.
"""

import os
import shutil
import sys
from decimal import Decimal, InvalidOperation
from pathlib import Path
from typing import Any

import click

from lab.errors import KINDS, Fault, told

FOLDER = click.Path(exists=True, file_okay=False, path_type=Path)


class Number(click.ParamType[Decimal]):
    """A Decimal: a binary float would put a gain of exactly 0.001 on the wrong side of the threshold."""

    name = "number"

    def __init__(self, *, finite: bool = True) -> None:
        """NaN and the infinities are numbers too where `finite` is off."""
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
    """Turns the faults that the modules raise into one line and exit status 2."""

    def invoke(self, ctx: click.Context) -> Any:
        """Run the command."""
        try:
            return super().invoke(ctx)
        except KINDS as error:
            print(told(error), file=sys.stderr)
            ctx.exit(2)


@click.group(cls=Commands, context_settings={"help_option_names": ["-h", "--help"]})
def main() -> None:
    """The Python core of the experiment loop."""


@main.command()
@click.argument("file", type=click.Path(path_type=Path))
@click.option("--import", "lenient", is_flag=True, help="mend a ledger found in the wild; exit 1: rows were left out")
@click.option("--out", type=click.Path(path_type=Path), help="with --import: the new file for the mended ledger")
@click.pass_context
def validate(ctx: click.Context, file: Path, lenient: bool, out: Path | None) -> None:
    """Check a ledger: exit 0, or 1 with `FILE:LINE: column: problem` for each bad row (2: unreadable).

    With --import, such a line says what is mended; it ends in "left out" where a row cannot be.
    """
    if out and not lenient:
        raise Fault("--out without --import", "give both: only a mended ledger is written")
    if lenient:
        from lab.store import foreign_ledger

        found = foreign_ledger.convert(file, out)
        said, failed = found.said, found.left_out > 0
    else:
        from lab.store import ledger

        said = ledger.problems(file)
        failed = bool(said)
    print(*said, sep="\n", end="\n" if said else "")
    ctx.exit(1 if failed else 0)


@main.command("memory-gb", context_settings={"ignore_unknown_options": True})
@click.argument("peak_vram_mb")
def memory_gb(peak_vram_mb: str) -> None:
    """Print MiB as the ledger's memory_gb: one decimal, half up."""
    from lab.store import ledger

    print(ledger.to_gb(peak_vram_mb))


@main.command()
@click.option("--incumbent", type=Number(), required=True, help="val_bpb of the incumbent")
@click.option("--candidate", type=Number(finite=False), help="val_bpb of the candidate; not given: a crash")
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
    from lab.store.ledger import is_valid
    from lab.verdict.criterion import Case, Noise
    from lab.verdict.criterion import decide as verdict_on

    if (sd is None) != (df is None) or (sd is not None and sd < 0):
        raise Fault("--sd (0 or more) and --df go together", "give both, or none")
    if not is_valid(case["incumbent"]):
        raise Fault(f"--incumbent '{case['incumbent']}' is not between 0 and 20", "it is a val_bpb")
    noise = None if sd is None or df is None else Noise(sd, df, runs, incumbent_runs)
    decision = verdict_on(Case(noise=noise, **case))
    print(decision.verdict)
    print(decision.reason)


@main.command()
@click.argument("file", type=click.Path(path_type=Path))
@click.option("--sd", type=Number(), help="standard deviation of val_bpb; not given: the fixed thresholds")
@click.option("--df", type=click.IntRange(1, 10_000), help="its degrees of freedom; not given: the sd is known")
@click.option("--own", is_flag=True, help="compare with our own last keep, not with the recorded one")
def replay(file: Path, sd: Decimal | None, df: int | None, own: bool) -> None:
    """Print what our rule says to each row of any ledger, beside what was done, and a summary."""
    from lab.views import replay as module

    click.echo(module.text(file, sd, df, own=own))


@main.command()
@click.argument("run", type=FOLDER, required=False)
def settings(run: Path | None) -> None:
    """Print the checked settings as NAME=value lines: the environment's, for a RUN with what it has fixed."""
    from lab.store import manifest
    from lab.store import settings as module

    chosen = manifest.settings_of(run, os.environ) if run else module.read(os.environ)
    print(*(f"{name}={value}" for name, value in chosen.items()), sep="\n")


def stdin() -> str:
    """All of it; a stranger's prepare.py may print any bytes."""
    return sys.stdin.buffer.read().decode(errors="replace")


@main.command()
@click.argument("run", type=FOLDER)
@click.option("--tag", required=True)
@click.option("--start", required=True, help="the commit that the run begins from")
def begin(run: Path, tag: str, start: str) -> None:
    """Write the ledger's header and the manifest of a new RUN; stdin is what prepare.py --check printed."""
    from lab.store import manifest

    manifest.begin(run, tag, start, stdin(), os.environ)


@main.command()
@click.argument("run", type=FOLDER)
def check(run: Path) -> None:
    """Refuse a damaged ledger or another measurement; print the incumbent. Stdin: what prepare.py --check printed."""
    from lab.store import durable, experiments, ledger, manifest
    from lab.verdict import index

    for name in ("results.tsv", experiments.FILE):
        torn = durable.set_torn_line_aside(run / name)
        if torn is not None:
            print(f"lab: a torn last line was set aside from '{run / name}': {torn!r}", file=sys.stderr)
    problems = ledger.problems(run / "results.tsv")
    if problems:
        raise Fault("\n".join(["the ledger is damaged:", *problems]), "mend these lines by hand")
    if problems := experiments.problems(run):
        raise Fault("\n".join([f"'{run / experiments.FILE}' is damaged:", *problems]), "mend these lines by hand")
    manifest.check(run, stdin())
    known = index.rebuilt(run)
    index.store(run, known)
    print(known.incumbent["commit"] if known.incumbent else "")


@main.command()
@click.argument("run", type=FOLDER)
def brief(run: Path) -> None:
    """Print what the proposer is told."""
    from lab.proposal.brief import brief as text_for

    click.echo(text_for(run), nl=False)


@main.command()
@click.argument("folder", type=click.Path(path_type=Path))
@click.argument("query")
def memory(folder: Path, query: str) -> None:
    """Print what the memory in FOLDER says about the words of the QUERY; its newest entries where that is empty."""
    from lab.store import memory as module

    click.echo(module.text(folder, query))


@main.command()
@click.argument("train", type=click.Path(path_type=Path))
@click.argument("description")
def proposal(train: Path, description: str) -> None:
    """Refuse a TRAIN.py, or a DESCRIPTION of what was changed in it, that cannot be proposed."""
    from lab.proposal.from_tree import check as refuse

    refuse(train, description)


@main.command()
@click.argument("run", type=FOLDER)
@click.argument("text")
def hint(run: Path, text: str) -> None:
    """Add a hint for the proposer, unless TEXT is empty; print all there are."""
    from lab.proposal import hints

    if text.strip():
        hints.add(run, text)
    click.echo("\n".join(hints.read(run)) or "no hint")


@main.command()
@click.argument("run", type=FOLDER)
def verdict(run: Path) -> None:
    """Print what became of the last experiment of the RUN."""
    from lab.views.last_verdict import verdict as text_of

    click.echo(text_of(run))


@main.command()
@click.argument("run", type=FOLDER)
@click.pass_context
def catalog(ctx: click.Context, run: Path) -> None:
    """Edit ./train.py as the built-in proposer; stdin: git's ids of every train.py that was tried. Exit 1: no idea."""
    from lab.catalog import catalog as edit

    proposal = edit(run, Path("train.py"), set(sys.stdin.read().split()))
    if proposal is None:
        print("catalog: no idea for 'train.py': it has no UPPERCASE number", file=sys.stderr)
        ctx.exit(1)
    print(f"category: {proposal.category}\n{proposal.description}")


@main.command()
@click.argument("run", type=FOLDER)
@click.option("--json", "as_json", is_flag=True, help="as schemas/status.schema.json has it")
def status(run: Path, as_json: bool) -> None:
    """Print where the RUN stands; stdin: the facts of lib/facts.sh."""
    from lab.views import status as module
    from lab.views import status_text

    at = module.status(run, module.facts_of(stdin()))
    columns = shutil.get_terminal_size().columns if sys.stdout.isatty() else None
    click.echo(module.as_json(at) if as_json else status_text.text(at, columns))


@main.command()
@click.argument("run", type=FOLDER)
def watch(run: Path) -> None:
    """Draw where the RUN stands until Ctrl-C; stdin: the facts of lib/run/status_facts.sh, again and again."""
    from lab.views.watch import watch as draw

    draw(run, sys.stdin.fileno())


@main.command()
@click.argument("run", type=FOLDER)
@click.argument("which")
def find(run: Path, which: str) -> None:
    """Print number, commit, parent, category and description of an experiment, a line each."""
    from lab.views import find_experiment as module

    print(*module.find(run, which).facts, sep="\n")


@main.command()
@click.argument("run", type=FOLDER)
@click.argument("which")
def show(run: Path, which: str) -> None:
    """Print all that is known of an experiment; stdin: its diff."""
    from lab.views import show as module

    click.echo(module.show(run, which, stdin()), nl=False, color=True)


@main.command()
@click.argument("run", type=FOLDER)
@click.argument("a")
@click.argument("b")
def compare(run: Path, a: str, b: str) -> None:
    """Print two experiments side by side; stdin: the diff from A to B."""
    from lab.views import show as module

    click.echo(module.compare(run, a, b, stdin()), nl=False, color=True)


FORMATS = ("csv", "json", "mlflow", "wandb-offline")


@main.command()
@click.argument("run", type=FOLDER, required=False)
@click.option("--format", "kind", type=click.Choice(FORMATS), required=True, help="the latter two need a package more")
@click.option(
    "--out", type=click.Path(path_type=Path), help="a new file or folder; default: stdout, or RUN/mlflow, RUN/wandb"
)
def export(run: Path | None, kind: str, out: Path | None) -> None:
    """Print, or write, a RUN (default: the one that is checked out) for other tools."""
    from lab.views import export as module

    run = run or module.checked_out()
    if kind == "mlflow":
        click.echo(module.to_mlflow(run, out or run / "mlflow"))
    elif kind == "wandb-offline":
        click.echo(module.to_wandb(run, out or run / "wandb"))
    else:
        text = module.as_csv(run) if kind == "csv" else module.as_json(run)
        module.write(text, out) if out else click.echo(text, nl=False)


@main.command()
@click.argument("run", type=FOLDER)
def ends(run: Path) -> None:
    """Print the commits of the baseline and of the incumbent."""
    from lab.verdict import replicates as module

    print(*(one["commit"] for one in module.baseline_and_incumbent(run)))


@main.command("fresh-seed")
@click.argument("run", type=FOLDER)
@click.argument("commits", nargs=-1, required=True)
def fresh_seed(run: Path, commits: tuple[str, ...]) -> None:
    """Print a seed that none of the COMMITS was run with."""
    from lab.verdict import replicates as module

    print(module.fresh_seed(run, commits))


@main.command()
@click.argument("run", type=FOLDER)
@click.argument("folder", type=FOLDER)
def extra(run: Path, folder: Path) -> None:
    """Record the run beside the experiments that has ended in FOLDER; print what became of it, and what is told."""
    from lab.verdict import replicates as module

    print(module.record_run(run, folder))


@main.command()
@click.argument("run", type=FOLDER)
def noise(run: Path) -> None:
    """Print what is known of the noise and of the incumbent."""
    from lab.verdict import replicates as module

    print(module.noise_told(run))


@main.command()
@click.argument("run", type=FOLDER)
@click.argument("seeds", nargs=-1, type=int)
def audit(run: Path, seeds: tuple[int, ...]) -> None:
    """Write audit.json for the pairs of runs with these SEEDS, and print the same for a person."""
    from lab.views import audit as module

    click.echo(module.audit(run, seeds))


@main.command()
@click.argument("ledgers", type=click.Path(path_type=Path), nargs=-1, required=True)
@click.option(
    "--out", type=click.Path(path_type=Path), required=True, help="the folder for report.html and progress.png"
)
def report(ledgers: tuple[Path, ...], out: Path) -> None:
    """Write the report of these LEDGERS and what lies beside them; stdin: git's diffs, as bin/report has them."""
    from lab.views.report import report as write

    print(*write(ledgers, stdin(), out), sep="\n")


@main.command("apply-blocks")
@click.argument("file", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.argument("answer", type=click.Path(exists=True, dir_okay=False, path_type=Path))
def apply_blocks(file: Path, answer: Path) -> None:
    """Edit FILE by the search/replace blocks in ANSWER: by all of them, or by none."""
    from lab.agents import edit_blocks
    from lab.store import durable

    text = edit_blocks.apply(file.read_text(encoding="utf-8"), answer.read_text(encoding="utf-8", errors="replace"))
    durable.write_atomically(file, text, durable=False)


@main.command()
@click.argument("name")
@click.argument("transcript", type=click.Path(exists=True, path_type=Path))
@click.argument("errors", type=click.Path(exists=True, path_type=Path))
@click.argument("usage", type=click.Path(path_type=Path))
@click.option("--status", type=int, default=0, help="the exit status of the command line")
@click.pass_context
def heard(ctx: click.Context, name: str, transcript: Path, errors: Path, usage: Path, status: int) -> None:
    """Print the last word of the coding agent NAME, and write to USAGE what it took. Exit: 75 not now; 1 it failed."""
    import json
    from datetime import datetime

    from lab.agents import cli_output as module
    from lab.store import durable

    one = module.heard(name, transcript, errors, status)
    durable.write_atomically(usage, json.dumps(one.usage()) + "\n", durable=False)
    code, lines = module.verdict(one, name, datetime.now())
    print(one.text)
    if lines:
        print(lines, file=sys.stderr)
    ctx.exit(code)
