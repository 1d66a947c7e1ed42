"""A conversation as it goes over the wire to a chat-completions server."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from ise_gym.foreign.values import Json
from ise_gym.messages import Message, ToolCall, assistant, is_object, tool_calls_of
from ise_gym.models.parsing import render_completion, without_surrogates

_ALLOWED: Mapping[str, tuple[str, ...]] = {
    "system": ("role", "content"),
    "user": ("role", "content"),
    "assistant": ("role", "content", "tool_calls"),
    "tool": ("role", "content", "tool_call_id"),
}

CLIPPED = "\n[… clipped: the conversation was too long …]"


def wire_messages(messages: Sequence[Message], send_reasoning: bool = False) -> list[dict[str, Any]]:
    """Return copies of the messages with the keys that the chat-completions API knows, and no others.

    Some servers decode the arguments of earlier calls and refuse a conversation in which one is not a JSON object. Such
    a call goes back as what it was: words of the model's, and the words that answered it.

    Args:
        messages: the conversation.
        send_reasoning: also send ``reasoning_content`` back; servers that template it want that, others refuse it.
    """
    sent: list[dict[str, Any]] = []
    broken: set[str] = set()
    answers: list[str] = []
    for message in messages:
        if message["role"] == "tool" and message.get("tool_call_id") in broken:
            answers.append(f"{message.get('name') or 'the call'}: {message['content']}")
            continue
        if message["role"] != "tool":
            _say(sent, answers)
        allowed = _ALLOWED[message["role"]]
        if send_reasoning and message["role"] == "assistant":
            allowed = (*allowed, "reasoning_content")
        wire = {key: value for key, value in message.items() if key in allowed}
        if calls := tool_calls_of(message):
            whole = [call for call in calls if is_object(call["function"]["arguments"])]
            odd = [call for call in calls if call not in whole]
            broken.update(call["id"] for call in odd)
            wire.pop("tool_calls")
            if odd:
                wire["content"] = render_completion(assistant(message["content"], odd))
            if whole:
                wire["tool_calls"] = [_wire_call(call) for call in whole]
        sent.append(wire)
    _say(sent, answers)
    return sent


def clipped(messages: Sequence[Message], keep: int, longest: int) -> list[Message]:
    """Return the conversation with old tool results shortened; the last ``keep`` messages stay as they are."""
    border = len(messages) - keep
    return [
        {**message, "content": message["content"][:longest] + CLIPPED}
        if message["role"] == "tool" and index < border and len(message["content"]) > longest + len(CLIPPED)
        else message
        for index, message in enumerate(messages)
    ]


def _say(sent: list[dict[str, Json]], answers: list[str]) -> None:
    if answers:
        sent.append({"role": "user", "content": "\n".join(answers)})
        answers.clear()


def _wire_call(call: ToolCall) -> dict[str, Any]:
    function = call["function"]
    return {
        "id": call["id"],
        "type": "function",
        "function": {"name": function["name"], "arguments": function["arguments"]},
    }


def sendable(value: object) -> Any:
    """Return a copy with halves of surrogate pairs replaced: no request can carry one."""
    match value:
        case str():
            try:
                value.encode()
            except UnicodeEncodeError:
                return without_surrogates(value)
            return value
        case Mapping():
            return {key: sendable(item) for key, item in value.items()}
        case list() | tuple():
            return [sendable(item) for item in value]
        case _:
            return value
