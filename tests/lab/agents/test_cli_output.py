"""What a coding agent printed -> its last word, its cost, and whether it is to be asked again, and when."""

import copy
import json
import random
import re
import time
from collections.abc import Iterator
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import pytest
from house import ROOT
from lab.agents import cli_output, fault_rules
from lab.agents.cli_output import Output

NOW = datetime(2026, 3, 14, 13, 50, 0)

EXAMPLES = ROOT / "tests/examples/agents"
KINDS = {kind.name: kind for kind in fault_rules.FAULTS}
MESSAGES = {  # the name of a kind -> messages of agents
    name: messages.splitlines()
    for name, messages in re.findall(r"^# (.*)\n((?:[^#].*\n)+)", (EXAMPLES / "faults.txt").read_text(), re.MULTILINE)
}
# The seconds from 2026-03-14 13:50:00 UTC until the fault ends, and the message.
RESETS = [line.split("\t") for line in (EXAMPLES / "resets.txt").read_text().splitlines()]


@pytest.mark.parametrize(("name", "message"), [(name, one) for name, listed in MESSAGES.items() for one in listed])
def test_every_example_of_a_fault_is_told_from_others(name: str, message: str) -> None:
    kind = KINDS[name]
    assert fault_rules.kind_of(message) is kind
    status, said = cli_output.exit_status(Output(fault=message), "claude", NOW)
    first, last = said.splitlines()
    assert status == (75 if kind.passes else 1)
    assert last.startswith(f"not now: {kind.name}" if kind.passes else "hint: ")
    assert first.startswith("claude: ")


def test_every_rule_has_an_example() -> None:
    assert KINDS.keys() == MESSAGES.keys()
    for pattern, _ in fault_rules.RESETS:
        assert any(re.search(pattern, message, re.IGNORECASE) for _, message in RESETS), pattern


@pytest.mark.parametrize("text", ["Reached maximum number of turns (50)", "no end within its time", "I found no fault"])
def test_what_no_rule_knows_is_told_as_it_stands(text: str) -> None:
    assert cli_output.exit_status(Output(fault=text), "claude", NOW) == (1, f"claude: {text}")


@pytest.mark.parametrize(("seconds", "text"), RESETS)
@pytest.mark.parametrize("zone", ["UTC", "America/Los_Angeles"])
def test_every_example_of_a_reset_says_when(
    seconds: str, text: str, zone: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where no zone is said, it is ours."""
    monkeypatch.setenv("TZ", zone)
    time.tzset()
    try:
        begin = datetime(2026, 3, 14, 13, 50, tzinfo=timezone.utc).astimezone().replace(tzinfo=None)
        found = fault_rules.reset_of(text, begin)
        if "Nowhere" not in text or zone == "UTC":
            assert found is not None
            assert (found.astimezone() - begin.astimezone()).total_seconds() == int(seconds)
    finally:
        monkeypatch.undo()
        time.tzset()


@pytest.mark.parametrize(
    "text", ["", "resets at 99pm", "resets Feb 31 at 3pm", "|9999999999", "in 999999 days " * 9, "again 7"]
)
def test_what_is_no_time_is_none(text: str) -> None:
    found = fault_rules.reset_of(text, NOW)
    assert found is None or found > NOW


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


# --- whatever they print ----------------------------------------------------------------------------------------------

USED = {"inputTokens": 900, "outputTokens": 100}
WHOLE: dict[str, list[dict[str, Any]]] = {  # how each agent prints a call that went well: 1000 tokens, VALUE 0.9
    "claude": [
        {"type": "system", "subtype": "init"},
        {"type": "rate_limit_event", "rate_limit_info": {"status": "rejected", "resetsAt": 1773496800}},
        {
            "type": "assistant",
            "message": {"id": "m1", "model": "x", "usage": {"input_tokens": 900, "output_tokens": 100}},
        },
        {"type": "result", "subtype": "success", "is_error": False, "result": "VALUE 0.9", "modelUsage": {"x": USED}},
    ],
    "codex": [
        {"type": "item.completed", "item": {"type": "agent_message", "text": "VALUE 0.9"}},
        {"type": "turn.completed", "usage": {"input_tokens": 900, "output_tokens": 100}},
    ],
    "opencode": [
        {"type": "text", "part": {"text": "VALUE 0.9"}},
        {"type": "step_finish", "part": {"tokens": {"total": 1000}, "cost": 0}},
    ],
    "pi": [
        {
            "type": "message_end",
            "message": {
                "role": "assistant",
                "content": [{"type": "text", "text": "VALUE 0.9"}],
                "usage": {"totalTokens": 1000, "cost": {"total": 0.01}},
                "model": "x",
            },
        }
    ],
    "gemini": [{"response": "VALUE 0.9", "stats": {"models": {"x": {"tokens": {"total": 1000}}}}}],
    "mini": [
        {
            "info": {"exit_status": "Submitted", "submission": "VALUE 0.9", "model_stats": {"instance_cost": 0.1}},
            "messages": [{"extra": {"response": {"usage": {"total_tokens": 1000}}}}],
        }
    ],
}
ODD = [None, "", "x", 0, -1, 1.5, True, [], {}, [None], {"x": None}, [[]], float("nan"), 10**30, "429", "\ud800"]


def lines(listed: list[dict[str, Any]]) -> str:
    return "".join(json.dumps(one) + "\n" for one in listed)


@pytest.mark.parametrize("name", WHOLE)
def test_what_is_whole_is_read_whole(tmp_path: Path, name: str) -> None:
    """Also among events that nobody has heard of, and lines of text."""
    more = {"type": "news", "part": 7, "message": [], "item": None}
    for out in (
        lines(WHOLE[name]),
        "Loading...\n" + (lines([more]) if len(WHOLE[name]) > 1 else "") + lines(WHOLE[name]),
    ):
        one = hear(tmp_path, name, out)
        assert (one.text, one.tokens, one.fault) == ("VALUE 0.9", 1000, "")


def mangled(value: Any, chance: random.Random) -> Any:
    """A copy in which something has another form: gone, null, a list, a text."""
    value = copy.deepcopy(value)
    inner = list(places(value))
    for holder, key in chance.sample(inner, k=min(len(inner), chance.randint(1, 4))):
        holder[key] = chance.choice(ODD)
    return value


def places(value: Any) -> Iterator[tuple[Any, Any]]:
    for key in value if isinstance(value, dict) else range(len(value)) if isinstance(value, list) else ():
        yield value, key
        yield from places(value[key])


@pytest.mark.parametrize("name", cli_output.READERS)
def test_reading_survives_whatever_is_printed(tmp_path: Path, name: str) -> None:
    """Forms that are almost right, and bytes that are none; each with any status."""
    chance = random.Random(name)
    known = WHOLE.get(name, WHOLE["claude"])
    for number in range(60):
        out = lines([one for one in mangled(known, chance) if isinstance(one, dict)])
        if number % 3 == 1:
            out = out[: chance.randrange(len(out) + 1)]
        elif number % 3 == 2:
            out = "".join(chance.choice('{}[]":,\n \\\x00\u2028é1eE-aTokens: $') for _ in range(200)) + out
        (tmp_path / "out").write_text(out, errors="replace")
        (tmp_path / "err").write_bytes(chance.randbytes(40))
        for status in (0, 1, 124):
            one = cli_output.read(name, tmp_path / "out", tmp_path / "err", status)
            assert bool(one.fault) >= bool(status)
            code, said = cli_output.exit_status(one, name, NOW)
            assert (code == 0) == (said == "")
            one.write_usage(tmp_path / "usage")
    assert hear(tmp_path, name, "[" * 100_000 + "\n" + '{"a":' * 100_000 + "\n").tokens is None


@pytest.mark.parametrize("name", WHOLE)
def test_text_in_the_place_of_json_is_the_reason(tmp_path: Path, name: str) -> None:
    for status in (0, 1):
        one = hear(tmp_path, name, "Hello\n5-hour limit reached \u2219 resets 3am\n", "a warning\n", status=status)
        assert one.fault == "5-hour limit reached \u2219 resets 3am"
    assert hear(tmp_path, name, "cannot do that\n", "", status=1).fault == "cannot do that"
    assert hear(tmp_path, name, "I lowered it\nVALUE 0.9\n").text == "VALUE 0.9"


def test_claude_that_waits_for_a_limit_until_its_time_is_over_says_so_and_what_it_took(tmp_path: Path) -> None:
    events = [
        *WHOLE["claude"][2:3],
        {
            "type": "system",
            "subtype": "api_retry",
            "attempt": 1,
            "retry_delay_ms": 65008,
            "error_status": 429,
            "error": "rate_limit",
        },
    ]
    one = hear(tmp_path, "claude", lines(events), "[claude-code:unrecognized_model] {}\n", status=124)
    assert (one.tokens, one.fault) == (1000, "no end within its time: 429 rate_limit")
    assert one.reset is not None
    assert (
        hear(tmp_path, "claude", lines([*events, *WHOLE["claude"][2:3]]), status=124).fault == "no end within its time"
    )


def test_a_limit_that_claude_calls_a_success(tmp_path: Path) -> None:
    events = [
        {"type": "result", "is_error": False, "result": "You're out of extra usage \u00b7 resets 3pm", "modelUsage": {}}
    ]
    assert hear(tmp_path, "claude", lines(events)).fault.startswith("You're out of extra usage")


def test_a_stream_that_codex_lost_is_the_networks(tmp_path: Path) -> None:
    events = [
        {"type": "error", "message": "stream disconnected before completion"},
        {"type": "turn.failed", "error": None},
    ]
    one = hear(tmp_path, "codex", lines(events), status=1)
    assert cli_output.exit_status(one, "codex", NOW)[1].endswith("not now: network")
