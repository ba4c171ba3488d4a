"""A model server on loopback whose answers are scripted: what coding agents are driven against, without a key or a model."""

from .answers import (
    Answer,
    Asks,
    Asked,
    Edit,
    Fault,
    Hang,
    Nonsense,
    Refusal,
    Shell,
    overload,
    rate_limit,
    unauthorized,
)
from .server import Request, StandIn

__all__ = [
    "Answer",
    "Asked",
    "Asks",
    "Edit",
    "Fault",
    "Hang",
    "Nonsense",
    "Refusal",
    "Request",
    "Shell",
    "StandIn",
    "overload",
    "rate_limit",
    "unauthorized",
]
