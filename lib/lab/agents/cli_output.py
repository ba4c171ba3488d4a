"""The output of a coding agent's command line in one call -> its last message, its cost, and its fault, if any.

Each agent has its own format, which changes between versions, and its exit status says nothing. `READERS` has a
function for each agent. No output raises an error: data of an unexpected form is ignored, and the last line says what
went wrong. fault_rules.py recognises faults; the model's own text is never one.
"""

import json
import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

from lab.agents import edit_blocks
from lab.agents.fault_rules import kind_of, reset_of
from lab.store import durable
from lab.store.jsonl import object_in

Event = dict[str, Any]
LONGEST = 200  # characters of a fault that are shown
PLAIN = ("aider", "llm")  # their output is text; all others print JSON


@dataclass(frozen=True)
class Output:
    """`text`: the model's last message; `tokens`: all input and output; `reset`: when a limit ends. None: unknown."""

    text: str = ""
    tokens: int | None = None
    cost_usd: float | None = None
    model: str | None = None
    fault: str = ""
    reset: datetime | None = None

    def write_usage(self, path: Path) -> None:
        """For $LAB_USAGE."""
        usage = {"tokens": self.tokens, "cost_usd": self.cost_usd, "model": self.model}
        durable.write_atomically(path, json.dumps(usage) + "\n", durable=False)


def exit_status(output: Output, name: str, now: datetime) -> tuple[int, str]:
    """The exit status of the adapter and its lines on stderr: 0 and nothing; 75 for a fault that passes; else 1."""
    if not output.fault:
        return 0, ""
    said = " ".join(output.fault.split())[:LONGEST]
    kind = kind_of(output.fault)
    if kind is None:
        return 1, f"{name}: {said}"
    if not kind.passes:
        return 1, f"{name}: {kind.name} refused: '{said}'\nhint: {kind.hint.format(name=name)}"
    reset = output.reset or reset_of(output.fault, now)
    form = "%H:%M:%S" if reset and reset.date() == now.date() else "%Y-%m-%d %H:%M:%S"
    until = f" until {reset:{form}}" if reset else ""
    return 75, f"{name}: {said}\nnot now: {kind.name}{until}"


def read(name: str, transcript: Path, errors: Path, status: int) -> Output:
    """The output of the agent `name`, from the files of its stdout and stderr. Status 124: it ran out of time."""
    out, err = (path.read_text(encoding="utf-8", errors="replace") for path in (transcript, errors))
    try:
        output = READERS[name](out, err)
    except (ArithmeticError, AttributeError, LookupError, TypeError, ValueError, RecursionError):
        output = Output()  # no form that we have thought of
    output = output if name in PLAIN else _spoken(output, lines_of_text(out))
    said = [*lines_of_text(err), *lines_of_text(out)]
    if status == 124:  # it may have retried again and again: the last line with a known kind says why
        last = output.fault or next(filter(kind_of, said), "")
        return replace(output, fault=f"no end within its time: {last}".removesuffix(": "))
    if status and not output.fault:
        return replace(output, fault=next(filter(kind_of, said[:6]), "") or next(iter(said), f"exit status {status}"))
    return output


def _spoken(output: Output, lines: list[str]) -> Output:
    """If an agent printed no JSON, its last plain line counts, as a fault or as text."""
    if output.text or output.fault or not lines:
        return output
    return replace(output, fault=lines[0]) if kind_of(lines[0]) else replace(output, text=lines[0])


def lines_of_text(text: str) -> list[str]:
    """The lines with words that are not JSON, the last first."""
    lines = (line.strip() for line in reversed(text.splitlines()))
    return [line for line in lines if re.search(r"\w", line) and line[0] not in '{}[]"']


# ---------------------------------------------------------------------------
# Values of any form
# ---------------------------------------------------------------------------


def events(text: str) -> list[Event]:
    """The lines that are JSON objects."""
    return _objects(text.splitlines())


def whole(text: str) -> Event:
    """The last JSON object on lines of its own; empty if there is none."""
    found = _objects(re.findall(r"^\{.*?^\}", text, re.MULTILINE | re.DOTALL)) or events(text)
    return found[-1] if found else {}


def _objects(texts: list[str]) -> list[Event]:
    found = (object_in(text.encode()) for text in texts)
    return [one for one in found if one is not None]


def of_type(listed: Iterable[Event], *kinds: str) -> list[Event]:
    """The events of these types."""
    return [one for one in listed if one.get("type") in kinds]


def part(value: Any, *names: str) -> Event:
    """The object at this path; empty if there is none."""
    for name in names:
        value = value.get(name) if isinstance(value, dict) else None
    return value if isinstance(value, dict) else {}


def parts(value: Any) -> list[Event]:
    """The objects of a list, or of the values of an object."""
    found = value if isinstance(value, list) else value.values() if isinstance(value, dict) else ()
    return [one for one in found if isinstance(one, dict)]


def words(value: Any) -> str:
    """Text, a number, or a list of these, as text; else empty."""
    if isinstance(value, list):
        return " ".join(filter(None, map(words, value)))
    return str(value) if isinstance(value, str | int | Decimal) and not isinstance(value, bool) else ""


def amount(value: Any) -> float | None:
    """A number, 0 or more; else None."""
    fits = isinstance(value, int | Decimal) and not isinstance(value, bool) and 0 <= value < 1e12
    return float(value) if fits else None


def total(numbers: Iterable[Any]) -> int | None:
    """The sum; None if there is no number."""
    known = [known for number in numbers if (known := amount(number)) is not None]
    return int(sum(known)) if known else None


def dollars(numbers: Iterable[Any]) -> float | None:
    """The sum; None if it is 0, because then the price is unknown."""
    return sum(known for number in numbers if (known := amount(number))) or None


def in_seconds(number: Any, unit: float = 1) -> datetime | None:
    """The time so many seconds, or other units, from now. (The number may be text.)"""
    found = re.fullmatch(r"\d{1,9}(\.\d+)?", words(number))
    return datetime.now() + timedelta(seconds=float(found[0]) * unit) if found else None


# ---------------------------------------------------------------------------
# A reader for each agent
# ---------------------------------------------------------------------------

COUNTS = ("inputTokens", "outputTokens", "cacheReadInputTokens", "cacheCreationInputTokens")
COUNTS_OF_A_MESSAGE = ("input_tokens", "output_tokens", "cache_read_input_tokens", "cache_creation_input_tokens")


def claude(out: str, err: str) -> Output:
    """`--output-format stream-json`: the last event sums up all models. A call that was cut off has no such event."""
    listed = events(out)
    results = of_type(listed, "result")
    if not results:
        return _claude_cut_off(listed)
    result, models = results[-1], part(results[-1], "modelUsage")
    said = words(result.get("result")) or words(result.get("errors")) or words(result.get("subtype"))
    # Without a model this is no message: a limit was once reported like this, as a success.
    failed = bool(result.get("is_error")) or (not models and kind_of(said) is not None)
    return Output(
        text="" if failed else said,
        tokens=total(used.get(count) for used in parts(models) for count in COUNTS),
        cost_usd=amount(result.get("total_cost_usd")) if models else None,
        model=next(iter(models), None),
        fault=said if failed else "",
        reset=_claude_reset(listed) if failed else None,
    )


def _claude_cut_off(listed: list[Event]) -> Output:
    """A call without its last event: the usage of each message, and the fault that the agent was waiting for."""
    messages = {words(one.get("id")): one for event in of_type(listed, "assistant") if (one := part(event, "message"))}
    last = listed[-1] if listed else {}
    is_waiting = last.get("subtype") == "api_retry"
    return Output(
        tokens=total(part(one, "usage").get(count) for one in messages.values() for count in COUNTS_OF_A_MESSAGE),
        model=next((words(one.get("model")) for one in messages.values()), None),
        fault=words([last.get("error_status"), last.get("error")]) if is_waiting else "",
        reset=in_seconds(last.get("retry_delay_ms"), unit=0.001) if is_waiting else _claude_reset(listed),
    )


def _claude_reset(listed: list[Event]) -> datetime | None:
    limits = [part(one, "rate_limit_info") for one in of_type(listed, "rate_limit_event")]
    ends = [end for one in limits if one.get("status") == "rejected" and (end := amount(one.get("resetsAt")))]
    return datetime.fromtimestamp(min(ends[-1], 1e11)) if ends else None


def codex(out: str, err: str) -> Output:
    """`--json`: items, and the end of the turn. Codex retries by itself: an error counts only if no turn completed."""
    listed = events(out)
    items = [part(one, "item") for one in of_type(listed, "item.completed")]
    messages = [words(item.get("text")) for item in of_type(items, "agent_message")]
    ended = of_type(listed, "turn.completed")
    used = [part(one, "usage") for one in of_type(listed, "turn.completed", "turn.failed")]
    faults = [
        words(one.get("message")) or words(part(one, "error").get("message")) or words(one.get("error"))
        for one in of_type(listed, "error", "turn.failed")
    ]
    fault = next(filter(None, reversed(faults)), "turn.failed" if faults else "")
    return Output(
        text=messages[-1] if messages else "",
        tokens=total(one.get(count) for one in used for count in ("input_tokens", "output_tokens")),
        fault="" if ended else fault,
    )


def llm(out: str, err: str) -> Output:
    """`--usage`: text on stdout, a line of tokens on stderr."""
    used = re.findall(r"^Token usage: ([\d,]+) input(?:, ([\d,]+) output)?", err, re.MULTILINE)
    faults = re.findall(r"^Error: (.*)", err, re.MULTILINE)
    return Output(text=edit_blocks.said(out), tokens=_total(used), fault=faults[-1] if faults else "")


def opencode(out: str, err: str) -> Output:
    """`--format json`: parts of messages. A cost of 0 means that the price is unknown."""
    listed = events(out)
    listed_parts = [part(one, "part") for one in of_type(listed, "text", "step_finish")]
    said = [text for one in listed_parts if (text := words(one.get("text")))]
    faults = [part(one, "error", "data") or part(one, "error") for one in of_type(listed, "error")]
    fault = faults[-1] if faults else {}
    return Output(
        text=said[-1] if said else "",
        tokens=total(part(one, "tokens").get("total") for one in listed_parts),
        cost_usd=dollars(one.get("cost") for one in listed_parts),
        fault=words([fault.get(key) for key in ("statusCode", "message", "name")]),
        reset=in_seconds(part(fault, "responseHeaders").get("retry-after")),
    )


def pi(out: str, err: str) -> Output:
    """`--mode json`: the messages of the model, each with its usage."""
    messages = [part(one, "message") for one in of_type(events(out), "message_end")]
    mine = [message for message in messages if message.get("role") == "assistant"]
    used = [part(message, "usage") for message in mine]
    said = [words(one.get("text")) for message in mine for one in of_type(parts(message.get("content")), "text")]
    last = mine[-1] if mine else {}
    return Output(
        text=said[-1] if said else "",
        tokens=total(one.get("totalTokens") for one in used),
        cost_usd=dollars(part(one, "cost").get("total") for one in used),
        model=words(last.get("model")) or None,
        fault=words(last.get("errorMessage")),
    )


def gemini(out: str, err: str) -> Output:
    """`--output-format json`: one object, on stdout or, with an error, on stderr."""
    answer = whole(out + "\n" + err)
    models = part(answer, "stats", "models")
    return Output(
        text=words(answer.get("response")),
        tokens=total(part(one, "tokens").get("total") for one in parts(models)),
        model=next(iter(models), None),
        fault=words(part(answer, "error").get("message")) or words(answer.get("error")),
    )


def aider(out: str, err: str) -> Output:
    """Text: messages of the program, the answer, and a line of rounded token counts. It exits 0 after any fault."""
    faults = re.findall(r"^litellm\.\w+: (.*(?:\n\S.*)*)", out, re.MULTILINE)
    used = re.findall(r"^Tokens: ([\d.,]+[kM]?) sent, (?:.* )?([\d.,]+[kM]?) received", out, re.MULTILINE)
    cost = re.findall(r"Cost: \$[\d.]+ message, \$(\d+\.?\d*) session", out)
    answers = re.findall(r"\n\n((?:(?!\n\n.* to the chat).)*?)\n*^Tokens: ", out, re.MULTILINE | re.DOTALL)
    return Output(
        text=edit_blocks.said(answers[-1]) if answers else "",
        tokens=_total(used),
        cost_usd=float(cost[-1]) if cost else None,
        fault=faults[-1] if faults and not used else "",
    )


def _total(pairs: Iterable[tuple[str, str]]) -> int | None:
    """The sum of numbers such as `1,050` and `1.2k`; None if there is none."""
    known = [number.replace(",", "") for pair in pairs for number in pair if number]
    return (
        sum(round(float(one.rstrip("kM")) * {"k": 1e3, "M": 1e6}.get(one[-1], 1)) for one in known) if known else None
    )


def mini(out: str, err: str) -> Output:
    """Its trajectory: the submission of the last command, and the usage of each answer."""
    trajectory = whole(out)
    info = part(trajectory, "info")
    responses = [part(one, "extra", "response") for one in parts(trajectory.get("messages"))]
    failed = words(info.get("exit_status")) not in ("", "Submitted")
    return Output(
        text=words(info.get("submission")),
        tokens=total(part(one, "usage").get("total_tokens") for one in responses),
        cost_usd=dollars([part(info, "model_stats").get("instance_cost")]),
        fault=f"{words(info['exit_status'])}: {words(info.get('exception_str'))}".removesuffix(": ") if failed else "",
    )


READERS: dict[str, Callable[[str, str], Output]] = {
    reader.__name__: reader for reader in (aider, claude, codex, gemini, llm, mini, opencode, pi)
}
