"""Errors that a person can fix: a problem, and a hint."""


class Fault(ValueError):  # noqa: N818, wrong usage or a broken machine, not a bug
    """`problem` in one line with its subject in quotes; `hint` says what to do."""

    def __init__(self, problem: str, hint: str) -> None:
        """Both are lower case, without a full stop."""
        super().__init__(problem)
        self.hint = hint


EXPECTED = (ValueError, OSError, ArithmeticError)  # shown as one line; anything else is a bug


def message(error: Exception) -> str:
    """The text that a person sees."""
    return f"lab: {error}\nhint: {error.hint}" if isinstance(error, Fault) else f"lab: {error}"
