"""A house whose proposers are real coding agents: each with a HOME of its own, a dummy key, the stand-in for a model.

tests/install-agents puts their command lines into .agents-cli. In front of each stands a shim on PATH that tells the
stand-in that a call begins.
"""

import json
import shutil
from collections.abc import Sequence
from pathlib import Path

import pytest
from house import ROOT, TRAIN, House
from standin import Answer, Edit, StandIn

BROUGHT = ROOT / ".agents-cli/bin"
KEY = "dummy-key-of-a-test"
MODEL = "stand-in"
LINE = TRAIN.splitlines()[0]  # VALUE = 1.0  # the metric

SHIM = """#!/usr/bin/env bash
# Tells the stand-in that a call begins, and is the command line then.
if [[ -n ${{LAB_BRIEF:-}} ]]; then
  exec 8<>/dev/tcp/127.0.0.1/{port}
  printf 'POST /next HTTP/1.1\\r\\nhost: x\\r\\ncontent-length: 0\\r\\nconnection: close\\r\\n\\r\\n' >&8
  cat <&8 >/dev/null
  exec 8>&-
fi
exec {real} "$@"
"""

CODEX = """\
model = "stand-in"
model_provider = "standin"
[model_providers.standin]
name = "standin"
base_url = "{url}/v1"
env_key = "STANDIN_KEY"
wire_api = "responses"
"""

LLM = """\
- model_id: stand-in
  model_name: stand-in
  api_base: {url}/v1
  api_key_name: standin
"""

OPENCODE = {
    "model": "standin/stand-in",
    "provider": {
        "standin": {
            "npm": "@ai-sdk/openai-compatible",
            "options": {"baseURL": "{url}/v1", "apiKey": KEY},
            "models": {"stand-in": {}},
        }
    },
}
PI = {
    "providers": {
        "standin": {
            "baseUrl": "{url}/v1",
            "api": "openai-completions",
            "apiKey": "STANDIN_KEY",
            "models": [{"id": "stand-in"}],
        }
    }
}
GEMINI = {  # after 30 turns it would ask the model, again and again, whether it is in a loop
    "security": {"auth": {"selectedType": "gemini-api-key"}},
    "model": {"disableLoopDetection": True},
}
LITELLM = {"OPENAI_API_BASE": "{url}/v1", "OPENAI_API_KEY": KEY, "MODEL": "openai/stand-in"}

# What is written where in the HOME of each, and its environment.
FILES = {
    "codex": {".codex/config.toml": CODEX},
    "llm": {
        ".config/io.datasette.llm/extra-openai-models.yaml": LLM,
        ".config/io.datasette.llm/keys.json": json.dumps({"standin": KEY}),
    },
    "opencode": {".config/opencode/opencode.json": json.dumps(OPENCODE)},
    "pi": {".pi/agent/models.json": json.dumps(PI)},
    "gemini": {".gemini/settings.json": json.dumps(GEMINI)},
}
ENVIRONMENT = {
    "claude": {"ANTHROPIC_BASE_URL": "{url}", "ANTHROPIC_API_KEY": KEY, "CLAUDE_CODE_MAX_RETRIES": "1"},
    "codex": {"STANDIN_KEY": KEY},
    "llm": {"MODEL": MODEL},
    "opencode": {},
    "pi": {"STANDIN_KEY": KEY, "MODEL": "standin/stand-in"},
    "gemini": {"GEMINI_API_KEY": KEY, "GOOGLE_GEMINI_BASE_URL": "{url}", "MODEL": "gemini-2.5-flash"},
    "aider": LITELLM,
    "mini": {**LITELLM, "MSWEA_MODEL_RETRY_STOP_AFTER_ATTEMPT": "2"},
}


def is_there(name: str) -> bool:
    return (BROUGHT / name).exists()


def needs(name: str) -> pytest.MarkDecorator:
    return pytest.mark.skipif(not is_there(name), reason=f"tests/install-agents {name} has not been run")


def equip(house: House, name: str, model: StandIn) -> None:
    """This agent on PATH, and all that it needs to find the stand-in."""
    home = Path(house.environment["HOME"])
    for path, text in FILES.get(name, {}).items():
        (home / path).parent.mkdir(parents=True, exist_ok=True)
        if name == "pi" and "earendil-works" in str((BROUGHT / name).resolve()):
            text = text.replace('"STANDIN_KEY"', '"$STANDIN_KEY"')  # of a variable, since its new name
        (home / path).write_text(text.replace("{url}", model.url))
    (home / "bin").mkdir(exist_ok=True)
    shim = home / "bin" / name
    shim.write_text(SHIM.format(port=model.port, real=(BROUGHT / name).resolve()))
    shim.chmod(0o755)
    node = Path(shutil.which("node") or "/usr/bin/node").parent
    house.environment["PATH"] = f"{home}/bin:{node}:{house.environment['PATH']}"
    house.environment |= {key: value.replace("{url}", model.url) for key, value in ENVIRONMENT[name].items()}


def value(new: float, old: str = LINE) -> Edit:
    """The line of the metric gets another value."""
    line = f"VALUE = {new}  # the metric"
    return Edit(old, line, f"VALUE {new}")


def night(values: Sequence[float | Answer]) -> list[Answer]:
    """Answers in their order; a number is an edit of what is the incumbent then, which it is itself if it is less."""
    script: list[Answer] = []
    incumbent = 1.0
    for one in values:
        if isinstance(one, float):
            script.append(value(one, f"VALUE = {incumbent}  # the metric"))
            incumbent = min(incumbent, one)
        else:
            script.append(one)
    return script
