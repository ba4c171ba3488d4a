"""Any text -> one line for a row of the ledger."""

LONGEST = 200  # characters of a description
LONGEST_WHY = 110  # characters of the reason of a rejection


def clean(text: str, length: int) -> str:
    """One line of printable characters, single spaces between them, at most `length` long."""
    if not text.isprintable():
        text = "".join(character if character.isprintable() else " " for character in text)
    text = " ".join(text.split())
    return text if len(text) <= length else text[: length - 3].rstrip() + "..."


def description(text: str, rejected: str = "") -> str:
    """A description, with the reason if it is rejected: `raise LR 0.04 -> 0.06 (rejected: changed prepare.py)`."""
    suffix = f" (rejected: {clean(rejected, LONGEST_WHY)})" if rejected else ""
    return clean(text, LONGEST - len(suffix)) + suffix
