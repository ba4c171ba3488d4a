"""The message of a coding agent about a fault -> its kind, and when it ends. Rules are data.

Agents reword these messages with every version. So a rule looks for a few words, and a message that no rule knows is
shown as it is. tests/examples/agents has real messages for each rule.
"""

import math
import re
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

LONGEST = 4000  # characters of a fault that are looked at


@dataclass(frozen=True)
class Fault:
    """A kind of fault: the pattern of its text, whether it passes by itself, and what to do if it does not."""

    name: str
    passes: bool
    pattern: str
    hint: str = ""


FAULTS = (  # the first that fits
    Fault(
        "rate limit",
        passes=True,
        pattern=r"\b429\b|rate.?limit|too many requests|(usage|spend|session|weekly|monthly|\d+-hour|opus|sonnet) limit"
        r"|(hit|reached|exceeded) your .{0,30}limit|out of (extra |free )?(usage|credits|quota)|quota"
        r"|resource.?exhausted|credit balance|insufficient.(credits|funds|balance)|\b402\b|payment required",
    ),
    Fault(
        "login",
        passes=False,
        pattern=r"\b401\b|unauthori[sz]ed|authenticat|(invalid|incorrect|missing|no) api.?key|api.?key not valid"
        r"|no key found|not logged in|run /login|log ?in .{0,20}(again|expired)|login.{0,20}expired"
        r"|token.{0,20}(expired|revoked)|\b403\b|permission_error|no (auth|credentials)",
        hint="log in, or give the key: make doctor AGENT={name}",
    ),
    Fault(
        "overload",
        passes=True,
        pattern=r"\b(500|502|503|504|529)\b|overload|unavailable|internal server error|at capacity|server_error",
    ),
    Fault(
        "network",
        passes=True,
        pattern=r"ECONN\w+|ENOTFOUND|ETIMEDOUT|EAI_AGAIN|ENETUNREACH|connection (was )?(refused|reset|closed|error)"
        r"|unable to connect|connect(ion)? ?error|could not resolve|name resolution|fetch failed|network"
        r"|error sending request|timed out|(stream|socket) (was )?(disconnected|closed|hang up)|reconnecting",
    ),
)


def kind_of(fault: str) -> Fault | None:
    """The first kind whose pattern fits."""
    text = fault[-LONGEST:]
    return next((kind for kind in FAULTS if re.search(kind.pattern, text, re.IGNORECASE)), None)


# ---------------------------------------------------------------------------
# When it ends
# ---------------------------------------------------------------------------


UNITS = {"ms": 0.001, "s": 1, "m": 60, "h": 3600, "d": 86400}
LENGTH = r"\d{1,6}(?:\.\d{1,9})?\s*(?:ms|s(?=ec|[^a-z]|$)|m(?=in|[^a-z]|$)|h(?=our|r|[^a-z]|$)|d(?=ay|[^a-z]|$))[a-z]*"
MONTHS = ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec")
TIME = r"(?P<hour>\d{1,2})(?::(?P<minute>\d\d))?\s*(?P<half>[ap]m)?\b(?:\s*\((?P<zone>[A-Za-z0-9_+/-]{1,40})\))?"
DAY = rf"(?P<month>{'|'.join(MONTHS)})[a-z]*\.? (?P<day>\d{{1,2}})(?:st|nd|rd|th)?(?:,? (?P<year>\d{{4}}))?"


def _after(found: re.Match[str], now: datetime) -> datetime:
    parts = re.findall(r"([\d.]+)\s*(ms|[smhd])", found[1].lower()) if found[1] else [(found[2], "s")]
    return now + timedelta(seconds=math.ceil(sum(float(number) * UNITS[unit] for number, unit in parts)))


def _clock(found: re.Match[str], now: datetime) -> datetime:
    """The next such time of day. Raises ValueError for a bare number, which is none."""
    known = found.groupdict()
    if not (known["minute"] or known["half"]):
        raise ValueError("no time of day")
    try:
        there = now.astimezone(ZoneInfo(known["zone"]) if known["zone"] else None)
    except (OSError, ValueError, KeyError):  # ours instead of an unknown zone; ZoneInfoNotFoundError is a KeyError
        there = now.astimezone()
    hour = int(known["hour"])
    if known["half"]:
        hour = hour % 12 + 12 * (known["half"].lower() == "pm")
    at = there.replace(hour=hour, minute=int(known["minute"] or 0), second=0, microsecond=0)
    if known.get("month"):
        year = int(known["year"] or there.year)
        at = at.replace(year=year, month=MONTHS.index(known["month"].lower()) + 1, day=int(known["day"]))
        if not known["year"] and at <= there - timedelta(days=1):
            at = at.replace(year=year + 1)
    elif at <= there:
        at += timedelta(days=1)
    return at.astimezone().replace(tzinfo=None)


UNTIL = r"(?:resets?|again|until)(?: at| on)?"
RESETS: tuple[tuple[str, Callable[[re.Match[str], datetime], datetime]], ...] = (  # the first that fits and is possible
    (r"\|(\d{10})\b", lambda found, now: datetime.fromtimestamp(int(found[1]))),
    (rf"\b(?:in|after:?)\s+((?:{LENGTH}[\s,]*(?:and\s+)?)+)|\bafter:?\s+(\d{{1,6}})\b", _after),
    (rf"{UNTIL} {DAY},?(?: at)? {TIME}", _clock),
    (rf"{UNTIL}\s+{TIME}", _clock),
)


def reset_of(fault: str, now: datetime) -> datetime | None:
    """When the fault ends, in local time; None if the message does not say, or names an impossible time."""
    for pattern, moment in RESETS:
        if found := re.search(pattern, fault[-LONGEST:], re.IGNORECASE):
            try:
                return moment(found, now)
            except (ValueError, OverflowError, OSError):
                continue
    return None
