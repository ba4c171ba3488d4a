"""A file with the login of a coding agent -> when its access token ends.

Refresh tokens are used once: of two processes that refresh one login at the same moment, one is logged out, and with
some providers both are. So lib/proposers/agent_cli.sh lets one call go alone while that is due.

Known are JSON files of any depth: `expiresAt` (Claude Code, in ms), `expiry_date` (Gemini CLI), `expires` (opencode,
pi), and access tokens that are JWT with `exp` (Codex, RFC 7519). A file may hold several logins, of which the first to
end counts.
"""

import base64
import binascii
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

ENDS = {"expiresat", "expires_at", "expirydate", "expiry_date", "expires", "expiry"}
TOKENS = {"access", "accesstoken", "access_token"}
MILLISECONDS = 10**11  # a time above is in ms
GIVEN_UP_S = 30 * 86400  # a login that ended so long ago is one that nobody uses


def ends(path: Path, now: float) -> int | None:
    """Seconds since the epoch; None where the file does not say. Never raises: the file is another program's."""
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
    """What a JWT says; nothing where it is none."""
    parts = token.split(".")
    try:
        claims = json.loads(base64.urlsafe_b64decode(parts[1] + "==")) if len(parts) == 3 else {}
    except (ValueError, binascii.Error):
        return {}
    return claims if isinstance(claims, dict) else {}
