"""The output of a coding agent's command line in one call -> its last message, its cost, and its fault, if any.

Each agent has its own format, and no exit status can be trusted: `READERS` has a function for each agent. `FAULTS` are
rules that classify the text of a fault, never the text of the model.
"""

import json
import math
import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from lab.agents import edit_blocks
from lab.store import durable

Event = dict[str, Any]
LONGEST = 200  # characters of a fault that are shown


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


@dataclass(frozen=True)
class Fault:
    """A kind of fault: its name, the pattern of its text, and whether it passes by itself."""

    name: str
    pattern: str
    passes: bool
    hint: str = ""


FAULTS = (
    Fault(
        "rate limit",
        r"\b429\b|rate.?limit|too many requests|(usage|spend|session|weekly) limit|hit your limit|quota"
        r"|resource.?exhausted|credit balance|\b402\b|payment required",
        passes=True,
    ),
    Fault(
        "login",
        r"\b401\b|unauthori[sz]ed|authenticat|(invalid|incorrect|missing|no) api.?key|api.?key not valid|no key found"
        r"|not logged in|run /login|login.{0,20}expired|token.{0,20}expired|\b403\b|permission_error",
        passes=False,
        hint="log in, or give the key: make doctor AGENT={name}",
    ),
    Fault("overload", r"\b(500|502|503|504|529)\b|overload|unavailable|internal server error|at capacity", passes=True),
    Fault(
        "network",
        r"ECONN\w+|ENOTFOUND|ETIMEDOUT|EAI_AGAIN|ENETUNREACH|connection (was )?(refused|reset|closed|error)"
        r"|unable to connect|connect(ion)? ?error|could not resolve|name resolution|fetch failed|network"
        r"|error sending request|timed out",
        passes=True,
    ),
)

UNITS = {"ms": 0.001, "s": 1, "m": 60, "h": 3600, "d": 86400}
LENGTH = r"(\d{1,6}(?:\.\d+)?)\s*(ms|s(?=ec|[^a-z]|$)|m(?=in|[^a-z]|$)|h(?=our|r|[^a-z]|$)|d(?=ay|[^a-z]|$))[a-z]*"
AFTER = re.compile(rf"\b(?:in|after:?)\s+((?:{LENGTH}[\s,]*(?:and\s+)?)+)|\bafter:?\s+(\d{{1,6}})\b", re.IGNORECASE)
CLOCK = re.compile(r"(?:resets?|again)(?: at)?\s+(\d{1,2})(?::(\d\d))?\s*([ap]m)?\b", re.IGNORECASE)
EPOCH = re.compile(r"\|(\d{10})\b")


def reset_of(text: str, now: datetime) -> datetime | None:
    """When a fault ends, by its text: seconds since 1970, a duration, or a local time of day."""
    if found := EPOCH.search(text):
        return datetime.fromtimestamp(int(found[1]))
    if found := AFTER.search(text):
        parts = re.findall(LENGTH, found[1] or f"{found[4]} s", re.IGNORECASE)
        return now + timedelta(seconds=math.ceil(sum(float(number) * UNITS[unit.lower()] for number, unit in parts)))
    found = CLOCK.search(text)
    if not found or int(found[1]) > 23 or not (found[2] or found[3]):
        return None
    hour = int(found[1]) if not found[3] else int(found[1]) % 12 + 12 * (found[3].lower() == "pm")
    at = now.replace(hour=hour, minute=int(found[2] or 0), second=0, microsecond=0)
    return at if at > now else at + timedelta(days=1)


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
    until = ""
    if reset:
        until = f" until {reset:%H:%M:%S}" if reset.date() == now.date() else f" until {reset:%Y-%m-%d %H:%M:%S}"
    return 75, f"{name}: {said}\nnot now: {kind.name}{until}"


def read(name: str, transcript: Path, errors: Path, status: int) -> Output:
    """The output of the agent `name`, from the files of its stdout and stderr. Status 124: it ran out of time."""
    out, err = (path.read_text(encoding="utf-8", errors="replace") for path in (transcript, errors))
    output = READERS[name](out, err)
    lines = [line for line in reversed(err.splitlines()) if line.strip()]
    if status == 124:  # it may have retried again and again: the last line with a known kind says why
        last = output.fault or next(filter(kind_of, lines), "")
        return replace(output, fault=f"no end within its time: {last}".removesuffix(": "))
    return replace(output, fault=output.fault or next(iter(lines), f"exit status {status}")) if status else output


def kind_of(fault: str) -> Fault | None:
    """The first kind whose pattern fits."""
    return next((kind for kind in FAULTS if re.search(kind.pattern, fault, re.IGNORECASE)), None)


def events(text: str) -> list[Event]:
    """The lines that are JSON objects."""
    found = []
    for line in text.splitlines():
        try:
            value = json.loads(line)
        except ValueError:
            continue
        if isinstance(value, dict):
            found.append(value)
    return found


def of_type(listed: Iterable[Event], *kinds: str) -> list[Event]:
    """The events of these types."""
    return [one for one in listed if one.get("type") in kinds]


def total(numbers: Iterable[Any]) -> int | None:
    """Their sum; None where there is none."""
    known = [int(number) for number in numbers if number is not None]
    return sum(known) if known else None


def claude(out: str, err: str) -> Output:
    """`--output-format stream-json`: the last event sums up all models that were used."""
    listed = events(out)
    result = next(iter(reversed(of_type(listed, "result"))), None)
    if result is None:
        return Output()
    models: dict[str, Any] = result.get("modelUsage") or {}
    counts = ("inputTokens", "outputTokens", "cacheReadInputTokens", "cacheCreationInputTokens")
    tokens = total(used.get(count) for used in models.values() for count in counts)
    said = str(result.get("result") or " ".join(result.get("errors") or [])) or str(result.get("subtype"))
    failed = bool(result.get("is_error"))
    limits = [one.get("rate_limit_info") or {} for one in of_type(listed, "rate_limit_event")]
    resets = [one["resetsAt"] for one in limits if one.get("status") == "rejected" and one.get("resetsAt")]
    return Output(
        text="" if failed else said,
        tokens=tokens,
        cost_usd=result.get("total_cost_usd") if models else None,
        model=next(iter(models), None),
        fault=said if failed else "",
        reset=datetime.fromtimestamp(resets[-1]) if resets and failed else None,
    )


def codex(out: str, err: str) -> Output:
    """`--json`: items, and the end of the turn. It retries by itself: an error counts if no turn was completed."""
    listed = events(out)
    items = [one.get("item") or {} for one in of_type(listed, "item.completed")]
    messages = [str(item.get("text", "")) for item in of_type(items, "agent_message")]
    used = [one.get("usage") or {} for one in of_type(listed, "turn.completed")]
    faults = [
        str(one.get("message") or one.get("error", {}).get("message"))
        for one in of_type(listed, "error", "turn.failed")
    ]
    return Output(
        text=messages[-1] if messages else "",
        tokens=total(one.get(count) for one in used for count in ("input_tokens", "output_tokens")),
        fault=faults[-1] if faults and not used else "",
    )


def llm(out: str, err: str) -> Output:
    """`--usage`: text on stdout, a line of tokens on stderr."""
    used = re.search(r"^Token usage: ([\d,]+) input(?:, ([\d,]+) output)?", err, re.MULTILINE)
    faults = re.findall(r"^Error: (.*)", err, re.MULTILINE)
    tokens = total(int(number.replace(",", "")) for number in used.groups() if number) if used else None
    return Output(text=edit_blocks.said(out), tokens=tokens, fault=faults[-1] if faults else "")


def opencode(out: str, err: str) -> Output:
    """`--format json`: parts of messages. A cost of 0 means that the price is unknown."""
    listed = events(out)
    parts = [one.get("part") or {} for one in of_type(listed, "text", "step_finish")]
    said = [str(part["text"]) for part in parts if part.get("text")]
    used = [part for part in parts if "tokens" in part]
    faults = [one.get("error", {}).get("data") or one.get("error", {}) for one in of_type(listed, "error")]
    fault = faults[-1] if faults else {}
    wait = str((fault.get("responseHeaders") or {}).get("retry-after", ""))
    return Output(
        text=said[-1] if said else "",
        tokens=total(part["tokens"].get("total") for part in used),
        cost_usd=sum(part.get("cost") or 0 for part in used) or None,
        fault=" ".join(str(fault[key]) for key in ("statusCode", "message", "name") if fault.get(key)),
        reset=datetime.now() + timedelta(seconds=int(wait)) if wait.isdigit() else None,
    )


def pi(out: str, err: str) -> Output:
    """`--mode json`: the messages of the model, each with its usage."""
    messages = [one.get("message") or {} for one in of_type(events(out), "message_end")]
    mine = [message for message in messages if message.get("role") == "assistant"]
    used = [message["usage"] for message in mine if message.get("usage")]
    said = [str(part["text"]) for message in mine for part in of_type(message.get("content", []), "text")]
    last = mine[-1] if mine else {}
    return Output(
        text=said[-1] if said else "",
        tokens=total(one.get("totalTokens") for one in used),
        cost_usd=sum((one.get("cost") or {}).get("total") or 0 for one in used) or None,
        model=last.get("model"),
        fault=str(last.get("errorMessage") or ""),
    )


def gemini(out: str, err: str) -> Output:
    """`--output-format json`: one object, on stdout or, with an error, on stderr."""
    found = re.findall(r"^\{$.*?^\}", out + "\n" + err, re.MULTILINE | re.DOTALL)
    whole = events(found[-1].replace("\n", " "))[0] if found else {}
    models: dict[str, Any] = (whole.get("stats") or {}).get("models") or {}
    return Output(
        text=str(whole.get("response") or ""),
        tokens=total(one.get("tokens", {}).get("total") for one in models.values()),
        model=next(iter(models), None),
        fault=str((whole.get("error") or {}).get("message") or ""),
    )


def aider(out: str, err: str) -> Output:
    """Text: messages of the program, the answer, and a line of rounded token counts. It exits 0 after any fault."""
    faults = re.findall(r"^litellm\.\w+: (.*(?:\n\S.*)*)", out, re.MULTILINE)
    used = re.findall(r"^Tokens: ([\d.,]+[kM]?) sent, (?:.* )?([\d.,]+[kM]?) received", out, re.MULTILINE)
    cost = re.findall(r"Cost: \$[\d.]+ message, \$([\d.]+) session", out)
    answers = re.findall(r"\n\n((?:(?!\n\n.* to the chat).)*?)\n*^Tokens: ", out, re.MULTILINE | re.DOTALL)
    return Output(
        text=edit_blocks.said(answers[-1]) if answers else "",
        tokens=total(rounded(number) for pair in used for number in pair),
        cost_usd=float(cost[-1]) if cost else None,
        fault=faults[-1] if faults and not used else "",
    )


def rounded(number: str) -> int:
    """`1.2k` -> 1200."""
    return round(float(number.rstrip("kM").replace(",", "")) * {"k": 1e3, "M": 1e6}.get(number[-1], 1))


def mini(out: str, err: str) -> Output:
    """Its trajectory: what the last command submitted, and the usage of each answer."""
    whole = next(iter(events(out.replace("\n", " "))), {})
    info: dict[str, Any] = whole.get("info") or {}
    responses = [(one.get("extra") or {}).get("response") or {} for one in whole.get("messages") or []]
    failed = str(info.get("exit_status") or "") not in ("", "Submitted")
    return Output(
        text=str(info.get("submission") or ""),
        tokens=total((one.get("usage") or {}).get("total_tokens") for one in responses),
        cost_usd=(info.get("model_stats") or {}).get("instance_cost") or None,
        fault=f"{info['exit_status']}: {info.get('exception_str') or ''}".removesuffix(": ") if failed else "",
    )


READERS: dict[str, Callable[[str, str], Output]] = {
    reader.__name__: reader for reader in (aider, claude, codex, gemini, llm, mini, opencode, pi)
}
