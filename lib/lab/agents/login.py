"""A file with the login of a coding agent -> when its access token ends.

A refresh token works once. If two processes refresh one login at the same time, one of them is logged out, with some
providers both. So lib/proposers/agent_cli.sh lets one call go alone while a refresh is due.

Known are JSON files of any depth: `expiresAt` (Claude Code, in ms), `expiry_date` (Gemini CLI), `expires` (opencode,
pi), and access tokens that are JWT with `exp` (Codex, RFC 7519). If a file holds several logins, the first to end
counts.
"""

import base64
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

ENDS = {"expiresat", "expires_at", "expirydate", "expiry_date", "expires", "expiry"}
TOKENS = {"access", "accesstoken", "access_token"}
MILLISECONDS = 10**11  # a time above is in ms
GIVEN_UP_S = 30 * 86400  # nobody uses a login that ended so long ago


def ends(path: Path, now: float) -> int | None:
    """Seconds since the epoch; None if the file does not say. Never raises: another program writes the file."""
    try:
        found = [int(one) for one in _times(json.loads(path.read_bytes()))]
    except (OSError, ValueError, RecursionError):
        return None
    return min((one for one in found if one > now - GIVEN_UP_S), default=None)


def _times(value: Any) -> Iterator[float]:
    for key, inner in value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ():
        name = str(key).lower()
        if name in ENDS and isinstance(inner, int | float) and not isinstance(inner, bool):
            yield inner / 1000 if inner > MILLISECONDS else inner
        elif name in TOKENS and isinstance(inner, str):
            yield from _times({"expires": _claims(inner).get("exp")})
        else:
            yield from _times(inner)


def _claims(token: str) -> dict[str, Any]:
    """The claims of a JWT; empty if it is none."""
    parts = token.split(".")
    try:
        claims = json.loads(base64.urlsafe_b64decode(parts[1] + "==")) if len(parts) == 3 else {}
    except ValueError:
        return {}
    return claims if isinstance(claims, dict) else {}
