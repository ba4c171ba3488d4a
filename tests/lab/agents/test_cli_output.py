"""What a coding agent printed -> its last word, its cost, and whether it is to be asked again, and when."""

import json
from datetime import datetime, timedelta
from pathlib import Path

import pytest
from lab.agents import cli_output
from lab.agents.cli_output import Output

NOW = datetime(2026, 3, 14, 13, 50, 0)

# What the agents say of a fault -> the exit status, and the last line of stderr (a hint apart).
FAULTS = {
    "API Error: Request rejected (429) · Rate limit reached": (75, "not now: rate limit"),
    "exceeded retry limit, last status: 429 Too Many Requests": (75, "not now: rate limit"),
    "Claude AI usage limit reached|{epoch}": (75, "not now: rate limit until 14:05:07"),
    "You've hit your limit · resets 3pm (Europe/Berlin)": (75, "not now: rate limit until 15:00:00"),
    "You've hit your session limit · resets 2:05am": (75, "not now: rate limit until 2026-03-15 02:05:00"),
    "You've hit your usage limit. Try again in 2 days 3 hours 4 minutes.": (
        75,
        "not now: rate limit until 2026-03-16 16:54:00",
    ),
    "Rate limit reached for gpt-5 on tokens per min (TPM): Limit 30000. Please try again in 6m0s.": (
        75,
        "not now: rate limit until 13:56:00",
    ),
    "You exceeded your current quota. Please retry in 35.2s.": (75, "not now: rate limit until 13:50:36"),
    "429, retry-after: 20": (75, "not now: rate limit until 13:50:20"),
    "429 in 3 steps, after 2 modules": (75, "not now: rate limit"),
    "Your credit balance is too low to access the Anthropic API": (75, "not now: rate limit"),
    "API Error: 529 Overloaded": (75, "not now: overload"),
    "unexpected status 503 Service Unavailable: The model is overloaded, url: http://x": (75, "not now: overload"),
    "Unable to connect to API (ECONNREFUSED)": (75, "not now: network"),
    "Connection error.": (75, "not now: network"),
    "no end within its time: Rate limit reached": (75, "not now: rate limit"),
    "Failed to authenticate. API Error: 401 Invalid API key": (1, "login refused"),
    "Invalid API key · Please run /login": (1, "login refused"),
    "No key found - add one using 'llm keys set openai'": (1, "login refused"),
    "Reached maximum number of turns (50)": (1, "claude: Reached maximum number of turns (50)"),
    "no end within its time": (1, "claude: no end within its time"),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_a_fault_is_told_from_a_rate_limit(fault: str) -> None:
    status, line = FAULTS[fault]
    epoch = int(NOW.replace(hour=14, minute=5, second=7).timestamp())
    code, said = cli_output.exit_status(Output(fault=fault.replace("{epoch}", str(epoch))), "claude", NOW)
    lines = [one for one in said.splitlines() if not one.startswith("hint: ")]
    assert code == status
    assert line in lines[-1]
    assert lines[0].startswith("claude: ")


def test_a_login_that_is_refused_says_what_to_do() -> None:
    assert cli_output.exit_status(Output(fault="401"), "codex", NOW)[1].endswith(
        "\nhint: log in, or give the key: make doctor AGENT=codex"
    )


def test_what_the_model_says_is_no_fault() -> None:
    assert cli_output.exit_status(Output(text="the rate limit of 429 is overloaded: 401"), "claude", NOW) == (0, "")


def hear(folder: Path, name: str, out: str, err: str = "", status: int = 0) -> Output:
    (folder / "out").write_text(out)
    (folder / "err").write_text(err)
    return cli_output.read(name, folder / "out", folder / "err", status)


@pytest.mark.parametrize("name", cli_output.READERS)
@pytest.mark.parametrize("out", ["", "{}\n", "[]\nnull\n3\n", '{"type": "result"}\n{"type": "text"}\n', "\ufffd{\n}\n"])
def test_an_agent_that_prints_nothing_of_use_says_nothing(tmp_path: Path, name: str, out: str) -> None:
    one = hear(tmp_path, name, out)
    assert (one.tokens, one.cost_usd, one.fault and "") == (None, None, "")
    broken = hear(tmp_path, name, out, "Cannot find module 'x'\n\n", status=1)
    assert broken.fault in ("Cannot find module 'x'", one.fault)
    assert hear(tmp_path, name, out, status=124).fault.startswith("no end within its time")


def test_why_there_was_no_end_is_what_it_said_of_it(tmp_path: Path) -> None:
    one = hear(tmp_path, "gemini", "", "Retrying: status 503 Service Unavailable\n  details: [\n]\n}\n", status=124)
    assert one.fault == "no end within its time: Retrying: status 503 Service Unavailable"


def test_a_limit_that_claude_tells_in_an_event(tmp_path: Path) -> None:
    reset = datetime.now().replace(microsecond=0) + timedelta(hours=3)
    info = {"status": "rejected", "resetsAt": int(reset.timestamp())}
    events = [
        {"type": "rate_limit_event", "rate_limit_info": info},
        {"type": "result", "subtype": "success", "is_error": True, "result": "You've hit your limit"},
    ]
    one = hear(tmp_path, "claude", "\n".join(map(json.dumps, events)), status=1)
    assert (one.fault, one.reset, one.text) == ("You've hit your limit", reset, "")


def test_an_error_that_codex_got_over_is_none(tmp_path: Path) -> None:
    events = [
        {"type": "error", "message": "Reconnecting... 1/5 (429 Too Many Requests)"},
        {"type": "item.completed", "item": {"type": "agent_message", "text": "done"}},
        {"type": "turn.completed", "usage": {"input_tokens": 2000, "cached_input_tokens": 500, "output_tokens": 100}},
    ]
    one = hear(tmp_path, "codex", "\n".join(map(json.dumps, events)))
    assert one == Output(text="done", tokens=2100)


def test_aider_rounds_its_tokens(tmp_path: Path) -> None:
    out = "Added train.py to the chat.\n\nI lower it.\n\nVALUE 0.9\n\nTokens: 1.2k sent, 1,050 received. "
    out += "Cost: $0.01 message, $0.03 session.\n"
    one = hear(tmp_path, "aider", out)
    assert (one.tokens, one.cost_usd, one.text.splitlines()[-1]) == (2250, 0.03, "VALUE 0.9")
