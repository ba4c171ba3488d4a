"""Times, durations and amounts -> words for a person. Times on record are UTC; a person reads the clock on the wall."""

from datetime import datetime, timedelta, timezone

MINUTE, HOUR, DAY = 60, 3600, 86400


def moment(said: str | None) -> datetime | None:
    """A time on record (ISO 8601 in UTC); None for an unknown or unreadable one."""
    try:
        return datetime.fromisoformat((said or "").removesuffix("Z")).replace(tzinfo=timezone.utc)
    except ValueError:
        return None


def local(when: datetime | None) -> str:
    """`2026-03-14 07:12`, in local time."""
    return "" if when is None else f"{when.astimezone():%F %R}"


def clock(when: datetime | None, now: datetime) -> str:
    """`07:12`; of longer ago than a day `14 Mar`."""
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
