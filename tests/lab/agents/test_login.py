"""When an access token ends: the files of the command lines, and whatever else may lie there."""

import json
from pathlib import Path
from typing import Any

import pytest
from house import House
from lab.agents import login
from standin import jwt

NOW = 1_800_000_000


@pytest.mark.parametrize(
    ("content", "ends"),
    [
        ({"claudeAiOauth": {"accessToken": "sk-ant-oat01-x", "expiresAt": (NOW + 60) * 1000}}, NOW + 60),
        ({"access_token": "ya29.x", "expiry_date": (NOW - 5) * 1000}, NOW - 5),
        ({"anthropic": {"type": "oauth", "access": "x", "expires": (NOW + 9) * 1000}}, NOW + 9),
        ({"a": {"expires": NOW + 9}, "b": [{"expires_at": NOW + 7}]}, NOW + 7),
        ({"a": {"expires": NOW - 40 * 86400}, "b": {"expires": NOW + 7}}, NOW + 7),
        ({"a": {"expires": NOW - 40 * 86400}}, None),
        ({"OPENAI_API_KEY": "sk-x", "tokens": None}, None),
        ({"tokens": {"access_token": "a.b.c"}}, None),
        ({"expires": "tomorrow", "expiry": True, "access": 7}, None),
        ([], None),
        (7, None),
    ],
)
def test_when_a_login_ends(tmp_path: Path, content: Any, ends: int | None) -> None:
    path = tmp_path / "auth.json"
    path.write_text(json.dumps(content))
    assert login.ends(path, NOW) == ends


@pytest.mark.parametrize("content", [b"", b"export KEY=x\n", b"\xff\xfe", b"[" * 100_000, None])
def test_what_says_nothing(tmp_path: Path, content: bytes | None) -> None:
    path = tmp_path / "auth.json"
    if content is not None:
        path.write_bytes(content)
    assert login.ends(path, NOW) is None


def test_the_command(house: House) -> None:
    path = house.outside / "auth.json"
    path.write_text(json.dumps({"tokens": {"id_token": jwt(5), "access_token": jwt(1000), "refresh_token": "x"}}))
    said = house.call("lib/core", "login-ends", str(path))
    assert said.status == 0
    assert 900 < int(said.out) <= 1000
    path.write_text("{}")
    assert house.call("lib/core", "login-ends", str(path)).out == ""
