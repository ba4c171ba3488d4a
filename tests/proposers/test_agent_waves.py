"""Real coding agents that are asked for several candidates, several of them at once, with one login."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from agents import ENVIRONMENT, equip, needs
from house import TRAIN, House
from standin import StandIn, Wave, jwt

pytestmark = pytest.mark.slow

LINE = "VALUE = {}  # the metric"
CHATGPT = """\
model = "stand-in"
model_provider = "standin"
chatgpt_base_url = "{url}/backend-api/"
[model_providers.standin]
name = "standin"
base_url = "{url}/v1"
wire_api = "responses"
requires_openai_auth = true
"""


@pytest.fixture
def model() -> Iterator[StandIn]:
    with StandIn() as one:
        yield one


@pytest.mark.parametrize(
    "name", [pytest.param(name, marks=needs(name)) for name in ENVIRONMENT if name not in ("aider", "mini")]
)
def test_a_wave_of_each_call(run: House, model: StandIn, name: str) -> None:
    """Twenty rows, none twice. Aider has one file to edit; of mini the stand-in cannot tell the calls apart."""
    model.script = [Wave(TRAIN, LINE, 3)] * 20
    equip(run, name, model)
    assert run.loop(20, name, timeout=240, SLOTS="2", DRAFTS="1", LAB_WANT="3").status == 0
    found = [round(10 * one["val_bpb"]) for one in run.experiments()[1:]]
    assert len(set(found)) == len(found) == 20, "none twice"
    assert all(number % 10 in (1, 2, 3) for number in found)
    assert name == "llm" or all("# the metric" in one["description"] for one in run.experiments()[1:])
    assert model.calls in (7, 8)
    assert run.statuses()[1:] == ["discard"] * 20
    run.check_invariants()


def log_in(home: Path, model: StandIn, seconds: float) -> Path:
    """With ChatGPT; the access token ends so much later."""
    (home / ".codex").mkdir(exist_ok=True)
    (home / ".codex/config.toml").write_text(CHATGPT.format(url=model.url))
    tokens = {"id_token": jwt(seconds), "access_token": jwt(seconds), "refresh_token": "refresh-1", "account_id": "one"}
    file = home / ".codex/auth.json"
    file.write_text(json.dumps({"auth_mode": "chatgpt", "tokens": tokens, "last_refresh": "2026-11-01T00:00:00Z"}))
    return file


@needs("codex")
def test_calls_at_once_renew_a_login_that_has_ended_once(run: House, model: StandIn) -> None:
    """Without a lock each of four does, and all but one are logged out."""
    model.script = [Wave(TRAIN, LINE, 1)] * 4
    equip(run, "codex", model)
    file = log_in(run.outside / "home", model, -100)
    run.environment |= {"CODEX_REFRESH_TOKEN_URL_OVERRIDE": f"{model.url}/oauth/token"}
    assert run.loop(4, "codex", timeout=120, SLOTS="4").status == 0
    assert (model.logins.renewals, model.logins.is_over) == (1, False)
    assert json.loads(file.read_text())["tokens"]["refresh_token"] == "refresh-2"
    assert len(run.rows()) == 5
    assert model.calls == 4
