"""The APIs that coding agents speak, each as two functions: a request's JSON -> Asked, a reply -> JSON, or events."""

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

from .answers import Asked, Call, Error, Text

Json = dict[str, Any]
Event = tuple[str, Json]  # its name, where it has one, and its data
IN, OUT = 1000, 50  # tokens of each request


@dataclass(frozen=True)
class Api:
    """`events` are those of a stream."""

    asked: Callable[[Json], Asked]
    whole: Callable[[Asked, Text | Call], Json]
    events: Callable[[Asked, Text | Call], Iterator[Event]]
    error: Callable[[Error], Json]


def texts(value: Any) -> str:
    """All strings within, in their order: what the model is told."""
    if isinstance(value, str):
        return value
    parts = value.values() if isinstance(value, dict) else value if isinstance(value, list) else []
    return "\n".join(filter(None, map(texts, parts)))


def found(value: Any, key: str, kinds: tuple[str, ...]) -> list[Json]:
    """All objects within whose `key` is one of these."""
    if isinstance(value, dict):
        here = [value] if value.get(key) in kinds else []
        return here + [one for part in value.values() for one in found(part, key, kinds)]
    return [one for part in value for one in found(part, key, kinds)] if isinstance(value, list) else []


def parameters(schema: Any) -> set[str]:
    return set((schema or {}).get("properties", {}))


def arguments(call: Call) -> str:
    return call.arguments if isinstance(call.arguments, str) else json.dumps(call.arguments)


# --- Anthropic messages ---------------------------------------------------------------------------------------------


def messages_asked(body: Json) -> Asked:
    tools = {tool["name"]: parameters(tool.get("input_schema")) for tool in body.get("tools", [])}
    results = found(body["messages"], "type", ("tool_result",))
    text = texts([body.get("system"), body["messages"]])
    return Asked(text, tools, tuple(map(texts, results)), body["model"], bool(body.get("stream")))


def messages_block(asked: Asked, reply: Text | Call) -> Json:
    if isinstance(reply, Text):
        return {"type": "text", "text": reply.text}
    return {"type": "tool_use", "id": f"toolu_{asked.turn}", "name": reply.tool, "input": reply.arguments}


def messages_reason(reply: Text | Call) -> str:
    return "tool_use" if isinstance(reply, Call) else "refusal" if reply.refused else "end_turn"


def messages_whole(asked: Asked, reply: Text | Call) -> Json:
    head = {"id": f"msg_{asked.turn}", "type": "message", "role": "assistant", "model": asked.model}
    usage = {"input_tokens": IN, "output_tokens": OUT}
    return {
        **head,
        "content": [messages_block(asked, reply)],
        "stop_reason": messages_reason(reply),
        "stop_sequence": None,
        "usage": usage,
    }


def messages_events(asked: Asked, reply: Text | Call) -> Iterator[Event]:
    whole, block = messages_whole(asked, reply), messages_block(asked, reply)
    start = {**whole, "content": [], "stop_reason": None, "usage": {"input_tokens": IN, "output_tokens": 1}}
    empty = {**block, "input": {}} if isinstance(reply, Call) else {**block, "text": ""}
    delta = (
        {"type": "input_json_delta", "partial_json": arguments(reply)}
        if isinstance(reply, Call)
        else {"type": "text_delta", "text": reply.text}
    )
    end = {"delta": {"stop_reason": whole["stop_reason"], "stop_sequence": None}, "usage": {"output_tokens": OUT}}
    for name, data in (
        ("message_start", {"message": start}),
        ("content_block_start", {"index": 0, "content_block": empty}),
        ("content_block_delta", {"index": 0, "delta": delta}),
        ("content_block_stop", {"index": 0}),
        ("message_delta", end),
        ("message_stop", {}),
    ):
        yield name, {"type": name, **data}


def messages_error(error: Error) -> Json:
    kinds = {401: "authentication_error", 429: "rate_limit_error", 529: "overloaded_error"}
    return {"type": "error", "error": {"type": kinds.get(error.status, "api_error"), "message": error.message}}


# --- OpenAI chat completions ----------------------------------------------------------------------------------------


def chat_asked(body: Json) -> Asked:
    functions = [tool["function"] for tool in body.get("tools") or []]
    tools = {one["name"]: parameters(one.get("parameters")) for one in functions}
    results = found(body["messages"], "role", ("tool",))
    return Asked(texts(body["messages"]), tools, tuple(map(texts, results)), body["model"], bool(body.get("stream")))


def chat_message(asked: Asked, reply: Text | Call) -> Json:
    if isinstance(reply, Text):
        return {"role": "assistant", "content": reply.text, "refusal": reply.text if reply.refused else None}
    function = {"name": reply.tool, "arguments": arguments(reply)}
    call = {"id": f"call_{asked.turn}", "type": "function", "function": function}
    return {"role": "assistant", "content": None, "tool_calls": [call]}


def chat_reason(reply: Text | Call) -> str:
    return "tool_calls" if isinstance(reply, Call) else "stop"


def chat_head(asked: Asked, kind: str) -> Json:
    return {"id": f"chatcmpl-{asked.turn}", "object": kind, "created": 1, "model": asked.model}


CHAT_USAGE = {"prompt_tokens": IN, "completion_tokens": OUT, "total_tokens": IN + OUT}


def chat_whole(asked: Asked, reply: Text | Call) -> Json:
    choice = {"index": 0, "message": chat_message(asked, reply), "finish_reason": chat_reason(reply)}
    return {**chat_head(asked, "chat.completion"), "choices": [choice], "usage": CHAT_USAGE}


def chat_events(asked: Asked, reply: Text | Call) -> Iterator[Event]:
    head, message = chat_head(asked, "chat.completion.chunk"), chat_message(asked, reply)
    calls = [{"index": 0, **call} for call in message.get("tool_calls", [])]
    delta = {**message, **({"tool_calls": calls} if calls else {})}
    yield "", {**head, "choices": [{"index": 0, "delta": delta, "finish_reason": None}]}
    yield "", {**head, "choices": [{"index": 0, "delta": {}, "finish_reason": chat_reason(reply)}]}
    yield "", {**head, "choices": [], "usage": CHAT_USAGE}


def openai_error(error: Error) -> Json:
    kinds = {401: "invalid_api_key", 429: "rate_limit_exceeded"}
    code = kinds.get(error.status, "server_error")
    return {"error": {"message": error.message, "type": code, "param": None, "code": code}}


# --- OpenAI responses -----------------------------------------------------------------------------------------------


def responses_asked(body: Json) -> Asked:
    listed = [tool for tool in body.get("tools", []) if "name" in tool]
    tools = {tool["name"]: parameters(tool.get("parameters")) for tool in listed}
    results = found(body["input"], "type", ("function_call_output", "custom_tool_call_output"))
    text = texts([body.get("instructions"), body["input"]])
    return Asked(text, tools, tuple(map(texts, results)), body["model"], bool(body.get("stream")))


def responses_item(asked: Asked, reply: Text | Call) -> Json:
    if isinstance(reply, Text):
        kind = "refusal" if reply.refused else "text"
        part = {"type": "refusal" if reply.refused else "output_text", kind: reply.text, "annotations": []}
        head = {"id": f"msg_{asked.turn}", "type": "message", "role": "assistant", "status": "completed"}
        return {**head, "content": [part]}
    call = {"id": f"item_{asked.turn}", "call_id": f"call_{asked.turn}", "name": reply.tool}
    if isinstance(reply.arguments, str):
        return {**call, "type": "custom_tool_call", "input": reply.arguments}
    return {**call, "type": "function_call", "arguments": arguments(reply), "status": "completed"}


def responses_whole(asked: Asked, reply: Text | Call) -> Json:
    details = {"input_tokens_details": {"cached_tokens": 0}, "output_tokens_details": {"reasoning_tokens": 0}}
    usage = {"input_tokens": IN, "output_tokens": OUT, "total_tokens": IN + OUT, **details}
    head = {
        "id": f"resp_{asked.turn}",
        "object": "response",
        "created_at": 1,
        "model": asked.model,
        "status": "completed",
    }
    return {**head, "error": None, "output": [responses_item(asked, reply)], "usage": usage}


def responses_events(asked: Asked, reply: Text | Call) -> Iterator[Event]:
    whole, item = responses_whole(asked, reply), responses_item(asked, reply)
    started = {**whole, "status": "in_progress", "output": [], "usage": None}
    for name, data in (
        ("response.created", {"response": started}),
        ("response.output_item.added", {"output_index": 0, "item": {**item, "status": "in_progress"}}),
        ("response.output_item.done", {"output_index": 0, "item": item}),
        ("response.completed", {"response": whole}),
    ):
        yield name, {"type": name, **data}


# --- Gemini ---------------------------------------------------------------------------------------------------------


def gemini_asked(body: Json) -> Asked:
    declared = [one for tool in body.get("tools", []) for one in tool.get("functionDeclarations", [])]
    tools = {one["name"]: parameters(one.get("parametersJsonSchema") or one.get("parameters")) for one in declared}
    parts = [part for content in body["contents"] for part in content.get("parts", [])]
    results = tuple(texts(part["functionResponse"]) for part in parts if "functionResponse" in part)
    return Asked(texts([body.get("systemInstruction"), body["contents"]]), tools, results)


def gemini_whole(asked: Asked, reply: Text | Call) -> Json:
    call = isinstance(reply, Call)
    part = {"functionCall": {"name": reply.tool, "args": reply.arguments}} if call else {"text": reply.text}
    content = {"role": "model", "parts": [part]}
    usage = {"promptTokenCount": IN, "candidatesTokenCount": OUT, "totalTokenCount": IN + OUT}
    return {"candidates": [{"index": 0, "content": content, "finishReason": "STOP"}], "usageMetadata": usage}


def gemini_events(asked: Asked, reply: Text | Call) -> Iterator[Event]:
    yield "", gemini_whole(asked, reply)


def gemini_error(error: Error) -> Json:
    kinds = {401: "UNAUTHENTICATED", 429: "RESOURCE_EXHAUSTED", 503: "UNAVAILABLE"}
    return {"error": {"code": error.status, "message": error.message, "status": kinds.get(error.status, "INTERNAL")}}


MESSAGES = Api(messages_asked, messages_whole, messages_events, messages_error)
CHAT = Api(chat_asked, chat_whole, chat_events, openai_error)
RESPONSES = Api(responses_asked, responses_whole, responses_events, openai_error)
GEMINI = Api(gemini_asked, gemini_whole, gemini_events, gemini_error)


def api_of(path: str) -> Api | None:
    """By the end of the path."""
    ends = {"/messages": MESSAGES, "/chat/completions": CHAT, "/responses": RESPONSES}
    ends |= {":generateContent": GEMINI, ":streamGenerateContent": GEMINI}
    return next((api for end, api in ends.items() if path.endswith(end)), None)
