"""What a person can mend: a problem, and the way out."""


class Fault(ValueError):  # noqa: N818, it is a fault of usage or of the machine, not of the code
    """`problem` in one line with its subject in quotes; `hint` says what to do."""

    def __init__(self, problem: str, hint: str) -> None:
        """Both are lower case, without a full stop."""
        super().__init__(problem)
        self.hint = hint


KINDS = (ValueError, OSError, ArithmeticError)  # what is told in a line; anything else is a fault of the code


def told(error: Exception) -> str:
    """What a person reads of an error."""
    return f"lab: {error}\nhint: {error.hint}" if isinstance(error, Fault) else f"lab: {error}"
