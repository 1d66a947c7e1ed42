"""OpenAI-style chat messages: the one vocabulary that env, agents, trajectories, training and eval speak.

A message is a plain dict, so it can be dumped, hashed and sent as it is. The functions here build
well-formed ones; nothing else in the project writes a message literal by hand.

Source: the OpenAI chat-completions message format, plus two keys on tool messages that the ISETrace
format introduced or lost: ``success`` (the truth) and ``exit_code``.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from typing import Any, Literal, NotRequired, TypedDict

from ise_gym.foreign.values import Json

Role = Literal["system", "user", "assistant", "tool"]

MAIN_ONLY = frozenset({"sessions_spawn", "sessions_send", "sessions_list", "sessions_history", "subagents"})
"""Tools by which an agent delegates to itself: a sub-session is not offered them."""


class FunctionCall(TypedDict):
    """Name and arguments of a call; ``arguments`` is a JSON *string*, as OpenAI has it."""

    name: str
    arguments: str


class ToolCall(TypedDict):
    """One call that an assistant message asks for."""

    id: str
    type: Literal["function"]
    function: FunctionCall


class Message(TypedDict):
    """One chat message of any role.

    ``content`` is always a string (possibly empty). ``tool_calls`` and ``reasoning_content`` occur on
    assistant messages; ``tool_call_id``, ``name``, ``success`` and ``exit_code`` on tool messages.
    ``completion`` is what a model's server said of the message that an agent hands to the env (see
    `ise_gym.models.answer.Answer.completion`): it goes into the record's steps, never into the conversation.
    """

    role: Role
    content: str
    tool_calls: NotRequired[list[ToolCall]]
    reasoning_content: NotRequired[str]
    completion: NotRequired[dict[str, Any]]
    tool_call_id: NotRequired[str]
    name: NotRequired[str]
    success: NotRequired[bool]
    exit_code: NotRequired[int | None]


class FunctionSchema(TypedDict):
    """What a model is told of one function: ``parameters`` is a JSON schema of type object."""

    name: str
    description: str
    parameters: dict[str, Any]


class ToolSchema(TypedDict):
    """An OpenAI tool definition."""

    type: Literal["function"]
    function: FunctionSchema


def system(content: str) -> Message:
    """Build a system message."""
    return {"role": "system", "content": content}


def user(content: str) -> Message:
    """Build a user message."""
    return {"role": "user", "content": content}


def assistant(
    content: str = "", tool_calls: Sequence[ToolCall] = (), reasoning_content: str | None = None
) -> Message:
    """Build an assistant message; without tool calls it ends the agent's turn.

    >>> assistant("Done.")
    {'role': 'assistant', 'content': 'Done.'}
    """
    message: Message = {"role": "assistant", "content": content}
    if reasoning_content is not None:
        message["reasoning_content"] = reasoning_content
    if tool_calls:
        message["tool_calls"] = list(tool_calls)
    return message


def tool_call(name: str, arguments: Mapping[str, object] | str, call_id: str = "") -> ToolCall:
    """Build a tool call; a mapping is dumped to a JSON string, a string is kept as it is (even if broken).

    An empty ``call_id`` is filled in by the env (``call_1``, ``call_2``, … in order of the episode).
    """
    text = arguments if isinstance(arguments, str) else json.dumps(arguments, ensure_ascii=False)
    return {"id": call_id, "type": "function", "function": {"name": name, "arguments": text}}


def tool_result(
    call_id: str, name: str, content: str, *, success: bool, exit_code: int | None = None
) -> Message:
    """Build the tool message that answers one call; ``success`` must be the truth."""
    return {
        "role": "tool",
        "tool_call_id": call_id,
        "name": name,
        "content": content,
        "success": success,
        "exit_code": exit_code,
    }


def tool_calls_of(message: Message) -> list[ToolCall]:
    """Return the message's tool calls (an empty list when it has none).

    >>> tool_calls_of(user("hello"))
    []
    """
    return list(message.get("tool_calls") or ())


def assistant_of(value: object) -> Message:
    """Take for an assistant message what people hold in their hands after a model spoke.

    That is a message of this module; what the OpenAI SDK hands out (``response.choices[0].message``, or its
    ``model_dump()``, whose ``content`` is null beside calls); what the Anthropic SDK hands out (a list of text,
    thinking and tool_use blocks); what `transformers`' ``parse_response`` gives (arguments as an object, ``thinking``).

    Raises:
        ValueError: it is none of these; says what is wrong.

    >>> call = {"id": "c", "type": "function", "function": {"name": "exec", "arguments": None}}
    >>> assistant_of({"role": "assistant", "content": None, "refusal": None, "tool_calls": [call]})["tool_calls"]
    [{'id': 'c', 'type': 'function', 'function': {'name': 'exec', 'arguments': '{}'}}]
    """
    if not isinstance(value, Mapping) and callable(dump := getattr(value, "model_dump", None)):
        value = dump()
    if not isinstance(value, Mapping):
        raise ValueError(f"a message is a dict, got {type(value).__name__}")
    if value.get("role") != "assistant":
        raise ValueError(f"its role is {value.get('role')!r}")
    text, thoughts, calls = _parts_of(value.get("content"))
    for key in ("reasoning_content", "reasoning", "thinking"):
        if value.get(key) is not None:
            thoughts = [*thoughts, plain_text(value[key], key)]
            break
    given = value.get("tool_calls")
    if given is not None and not isinstance(given, list | tuple):
        raise ValueError(f"'tool_calls' must be a list, got {type(given).__name__}")
    calls += [_call_of(call, index) for index, call in enumerate(given or ())]
    if not text and isinstance(value.get("refusal"), str):
        text = value["refusal"]
    message = assistant(text, calls, "\n".join(thoughts) if thoughts else None)
    if isinstance(completion := value.get("completion"), dict):
        message["completion"] = completion
    return message


def plain_text(value: Json, name: str) -> str:
    """Return a text that may come as a string, as null, or in parts.

    Raises:
        ValueError: it holds something that is not text; ``name`` is what it is called then.

    >>> plain_text([{"type": "text", "text": "a"}, "b"], "content")
    'ab'
    """
    match value:
        case None:
            return ""
        case str():
            return value
        case list() | tuple():
            return "".join(plain_text(part, name) for part in value)
        case {"type": "text" | "output_text" | "reasoning.text", "text": str(text)}:
            return text
        case {"text": str(text), **rest} if "type" not in rest:
            return text
    raise ValueError(f"'{name}' must be a string, got {type(value).__name__}")


def arguments_text(value: object) -> str:
    """Return the arguments of a call as JSON text; none at all (null, or empty text) are those of a call without any.

    >>> arguments_text(""), arguments_text({"path": "a"}), arguments_text('"{}"'), arguments_text('{"cut')
    ('{}', '{"path": "a"}', '{}', '{"cut')
    """
    if value is None:
        return "{}"
    if not isinstance(value, str):
        return json.dumps(value, ensure_ascii=False)
    if value.strip() in ("", "null"):
        return "{}"
    if value.lstrip().startswith('"'):  # encoded twice, as some servers do: the meaning is plain
        inner = _decoded(value)
        if isinstance(inner, str) and isinstance(_decoded(inner), dict):
            return inner
    return value


def is_object(arguments: str) -> bool:
    """Tell whether a call's arguments are the text of one JSON object that can be written as UTF-8."""
    value = _decoded(arguments)
    try:
        json.dumps(value, ensure_ascii=False, allow_nan=False).encode()
    except (ValueError, RecursionError):
        return False
    return isinstance(value, dict)


def _decoded(text: str) -> Any:
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        return None


def _parts_of(content: Json) -> tuple[str, list[str], list[ToolCall]]:
    """Return (words, thoughts, calls) of a message's content."""
    if not isinstance(content, list | tuple):
        return plain_text(content, "content"), [], []
    words: list[str] = []
    thoughts: list[str] = []
    calls: list[ToolCall] = []
    for part in content:
        match part:
            case {"type": "thinking", "thinking": thought}:
                thoughts.append(plain_text(thought, "thinking"))
            case {"type": "redacted_thinking"}:
                continue
            case {"type": "tool_use", "name": str(name), **rest}:
                calls.append(tool_call(name, arguments_text(rest.get("input")), str(rest.get("id") or "")))
            case _:
                words.append(plain_text(part, "content"))
    return "".join(words), thoughts, calls


def _call_of(call: object, index: int) -> ToolCall:
    function = call.get("function", call) if isinstance(call, Mapping) else None
    if (
        not isinstance(call, Mapping)
        or not isinstance(function, Mapping)
        or ("function" not in call and "name" not in call)
    ):
        raise ValueError(f"'tool_calls[{index}]' needs a 'function' object")
    if not isinstance(function.get("name"), str):
        raise ValueError(f"'tool_calls[{index}].function.name' must be a string")
    arguments = function.get("arguments")
    if not isinstance(arguments, str | Mapping | None):
        raise ValueError(f"'tool_calls[{index}].function.arguments' must be a string or an object")
    return tool_call(function["name"], arguments_text(arguments), str(call.get("id") or ""))


def canonical_json(value: Json) -> str:
    """Dump to the one JSON text that hashes are taken of: sorted keys, no spaces, real characters.

    >>> canonical_json({"b": 1, "a": "é"})
    '{"a":"é","b":1}'
    """
    return json.dumps(value, sort_keys=True, ensure_ascii=False, separators=(",", ":"))


def sha256_of(value: Any) -> str:
    """Return the hex SHA-256 of a string's UTF-8 bytes, or of any other value's canonical JSON."""
    text = value if isinstance(value, str) else canonical_json(value)
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()
