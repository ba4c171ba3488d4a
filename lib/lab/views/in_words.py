"""Times, durations and amounts -> words for a person. Recorded times are UTC; a person sees local time."""

from datetime import datetime, timedelta, timezone

MINUTE, HOUR, DAY = 60, 3600, 86400


def moment(said: str | None) -> datetime | None:
    """A recorded time (ISO 8601 in UTC); None if it is unknown or unreadable."""
    try:
        return datetime.fromisoformat((said or "").removesuffix("Z")).replace(tzinfo=timezone.utc)
    except ValueError:
        return None


def local(when: datetime | None) -> str:
    """`2026-03-14 07:12` in local time; empty for None."""
    return "" if when is None else f"{when.astimezone():%F %R}"


def clock(when: datetime | None, now: datetime) -> str:
    """`07:12`, or `14 Mar` if it is more than a day ago."""
    if when is None:
        return ""
    return f"{when.astimezone():%R}" if now - when < timedelta(days=1) else f"{when.astimezone():%-d %b}"


def duration(seconds: float) -> str:
    """`40 s`, `12 min`, `3.2 h`, `4 days`."""
    if seconds < MINUTE:
        return f"{seconds:.0f} s"
    if seconds < 1.5 * HOUR:
        return f"{seconds / MINUTE:.0f} min"
    return f"{seconds / HOUR:.1f} h" if seconds < 2 * DAY else f"{seconds / DAY:.0f} days"
