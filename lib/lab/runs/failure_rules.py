"""The rules that classify a failed training run, from failure_rules.ini. lab.runs.failures applies them."""

import re
from collections.abc import Container
from configparser import ConfigParser, SectionProxy
from dataclasses import dataclass
from pathlib import Path

from lab.runs.failures import WHY


@dataclass(frozen=True)
class Rule:
    """A rule fits a run with one of its statuses and, if it has a text, a log that contains the text."""

    name: str
    failure: str
    says: str  # the reason in the row
    statuses: Container[int]
    text: re.Pattern[bytes] | None
    oom_killer: bool
    uncaught: bool
    machine: tuple[str, str] | tuple[None, None]  # the part of the machine that may be at fault, and why


# Prefixes of ranks, loggers and launchers, which are stripped from each line first.
LEVEL = "(?:ERROR|CRITICAL|FATAL)"
DATE = r"(?:\d{4}[-/]\d\d[-/]\d\d|\d\d[-/]\d\d(?:[-/]\d\d)?)"
TIME = r"\d\d:\d\d:\d\d(?:[.,]\d{1,9})?"
# A host or a container may have any name, so its name is a prefix only before something like an error.
RAISES = r'(?=Traceback \(most|  File "|  what\(\)|terminate called|[A-Za-z_][\w.]{0,199}(?:Error|Exception|Exit)\b)'
PREFIXES = (
    r"[\[(](?:[Rr]ank|[a-z]{4,12})[ _:]?\d{1,5}(?:\|std(?:out|err))?[\])]:? ?",  # [rank0]: [default0]:
    r"[Rr]ank ?\d{1,5}: ",
    r"\[\d{1,5},\d{1,5}\](?:<std(?:out|err)>)?: ?",  # mpirun
    r"\((?:[^()\n]{0,120}\bpid=\d{1,10}[^()\n]{0,80}|raylet)\) ",  # Ray, vLLM
    r"\d{1,5}: ",  # srun --label
    r" {2,12}\| ",  # the exceptions of a group
    rf"[a-z][\w.-]{{0,62}}\d: {RAISES}",
    rf"[\w.-]{{1,64}} {{1,40}}\| {RAISES}",  # docker compose
    # Times, and the fields that loggers put after them.
    rf"\[?{DATE}[T ]{TIME}(?:Z|[+-]\d\d:?\d\d)?(?: [A-Z]{{2,4}}\d{{1,4}})?\]?:? ?(?:\| |std(?:out|err) [FP] )?",
    rf"\[?{TIME}\]?:? ",
    rf"[A-Z][a-z]{{2}} [ \d]\d {TIME} \S{{1,100}} [^\s:]{{1,100}}: ",  # syslog
    rf"(?: ?- [\w.]{{1,80}})? ?- {LEVEL} - ",
    rf"\[[\w.]{{1,80}}\]\[{LEVEL}\](?: - | )",
    rf"\[?{LEVEL}\]?(?: {{0,9}}[|:-] | )(?:[\w.]{{1,80}}:[\w.<>]{{1,80}}:\d{{1,6}} - )?",
    rf"{LEVEL}:[\w.]{{1,80}}:",
    r"\[[\w.]{1,80}\.py:\d{1,6}(?::\w{1,80})?\] ",
    rf"\[?[EF]\d{{3,4}} {TIME} {{1,9}}(?:\d{{1,10}} )?[\w./-]{{1,200}}:\d{{1,6}}\] ?",  # glog, absl
    r"[EF] [\w./-]{1,200}:\d{1,6}\] ",  # TensorFlow
)
PREFIX = re.compile(f"^(?:{'|'.join(PREFIXES)}){{1,6}}".encode(), re.MULTILINE)

# How a text in the INI file is found in a line: its key there -> the pattern around it.
NAME = r"(?:[A-Za-z_][\w.]{0,199}| {1,2}what\(\))"
WATCHDOG = r"(?:\[[^\]\n]{0,99}\] )?(?:Process group|NCCL) watchdog thread terminated with exception: "
# A mistake in the code or a warning may quote another error, and is not that error.
MISTAKE = r"(?:Key|Name|Type|Attribute|Index|Assertion|Syntax)Error\b|[\w.]{0,199}Warning\b"
PROGRAM = r"\S{1,200}| {1,2}(?:cause|Caused by)"  # a program, an exception, or a cause that uv prints below an error
AROUND = {
    "starts": "^(?:TEXTS)",
    "exceptions": r"^(?:\w{1,80}\.){0,9}(?:TEXTS)(?:: |$)",
    "raised": rf"^(?:{NAME}: +(?:[\w.]{{1,200}}: ){{0,5}})?(?:{WATCHDOG})?(?<= )(?:TEXTS)",
    "inside": rf"^(?!{MISTAKE})(?:{NAME}|fatal|RuntimeError): .{{0,800}}?(?:TEXTS)",
    "refused": rf"^(?:{PROGRAM}): (?:.{{0,300}}: )?(?:\[Errno \d+\] )?(?:TEXTS)",
    "log": "TEXTS",
}


def _rules() -> tuple[Rule, ...]:
    known = ConfigParser(interpolation=None, delimiters=("=",))
    known.read(Path(__file__).with_suffix(".ini"), encoding="utf-8")
    return tuple(_rule(known[name], known) for name in known.sections())


def _rule(found: SectionProxy, known: ConfigParser) -> Rule:
    part, _, fault = found.get("machine", "").partition(": ")
    failure, first, *others = found.get("failure", "error"), *found.get("statuses", "1-255").split()
    begin, _, end = first.partition("-")
    return Rule(
        found.name,
        failure,
        found.get("says", WHY[failure]),
        range(int(begin), int(end) + 1) if end else {int(status) for status in (first, *others)},
        _text(found, known),
        found.getboolean("oom killer", False),
        found.getboolean("uncaught", False),
        (part, fault) if part else (None, None),
    )


def _text(found: SectionProxy, known: ConfigParser) -> re.Pattern[bytes] | None:
    """All texts of a rule as one pattern."""
    sources = [found, known[found["like"]]] if "like" in found else [found]
    texts = [(around, one[key].strip().split("\n")) for one in sources for key, around in AROUND.items() if key in one]
    if not texts:
        return None
    pattern = "|".join(around.replace("TEXTS", "|".join(lines)) for around, lines in texts)
    if found.getboolean("ends the log", False):
        pattern = rf"(?:{pattern})[^\n]{{0,900}}\s{{0,99}}\Z"
    flags = re.MULTILINE | (re.IGNORECASE if found.getboolean("ignores case", False) else 0)
    return re.compile(pattern.encode(), flags)


RULES = _rules()
