"""A model server on loopback whose answers are scripted: coding agents are driven against it, without key or model."""

from .answers import (
    Answer,
    Asked,
    Asks,
    Edit,
    Fault,
    Hang,
    Nonsense,
    Refusal,
    Shell,
    Wave,
    overload,
    rate_limit,
    unauthorized,
)
from .server import Request, StandIn, jwt

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
    "Wave",
    "jwt",
    "overload",
    "rate_limit",
    "unauthorized",
]
