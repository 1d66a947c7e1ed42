"""Raw model text ↔ assistant message, in the Qwen/Hermes form.

A model that is trained or served without a tool-call parser speaks plain text:

    <think>
    reasoning
    </think>

    words to the user
    <tool_call>
    {"name": "exec", "arguments": {"command": "ls"}}
    </tool_call>

`parse_completion` never raises: a block that can't be understood becomes a call named
`INVALID_TOOL_CALL` whose arguments are the block's raw text, so that the env can answer it with what was
wrong (`explain_invalid`). `render_completion` is the inverse.

Source: the Hermes function-calling format as in Qwen3's chat template.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from typing import Any

from ise_gym.messages import Message, ToolCall, assistant, tool_call, tool_calls_of

INVALID_TOOL_CALL = "invalid_tool_call"
"""Name of a call whose block could not be parsed; its ``arguments`` is the block's raw text."""

THINK_OPEN, THINK_CLOSE = "<think>", "</think>"
CALL_OPEN, CALL_CLOSE = "<tool_call>", "</tool_call>"


class _BlockError(ValueError):
    """Why a tool-call block can't be understood."""


def parse_completion(text: str) -> Message:
    """Turn a model's raw completion into an assistant message.

    Reasoning is what is in a think block at the start; the opening tag may be missing, since chat
    templates put it into the prompt. Without a closing tag all of the text is reasoning, up to the first whole
    tool-call block: a model that forgot the tag did mean its call. Text outside the blocks becomes ``content``,
    stripped. Call ids are left empty for the env to fill in.

    >>> parse_completion('Listing.<tool_call>{"name": "exec", "arguments": {"command": "ls"}}</tool_call>')
    ... # doctest: +NORMALIZE_WHITESPACE
    {'role': 'assistant', 'content': 'Listing.', 'tool_calls': [{'id': '', 'type': 'function',
     'function': {'name': 'exec', 'arguments': '{"command": "ls"}'}}]}
    """
    reasoning, rest = split_thinking(text)
    pieces: list[str] = []
    calls: list[ToolCall] = []
    position = 0
    while (start := rest.find(CALL_OPEN, position)) >= 0:
        pieces.append(rest[position:start])
        position, call = _parse_block(rest, start)
        calls.append(call)
    pieces.append(rest[position:])
    content = "\n".join(piece.strip() for piece in pieces if piece.strip())
    return assistant(content, calls, reasoning.strip() or None)


def render_completion(message: Message) -> str:
    """Write an assistant message as the raw text a model would produce.

    ``parse_completion(render_completion(m)) == m`` for every message that `parse_completion` can return, and
    for every other one whose texts are stripped and hold no tool-call tags (reasoning: no think tags), whose call
    ids are empty and whose arguments are JSON as `messages.tool_call` dumps it.
    """
    parts = [message["content"]] if message["content"] else []
    for call in tool_calls_of(message):
        name, arguments = call["function"]["name"], call["function"]["arguments"]
        if name == INVALID_TOOL_CALL and arguments.startswith(CALL_OPEN):
            parts.append(arguments)
        else:
            name_json = json.dumps(name, ensure_ascii=False)
            body = f'{{"name": {name_json}, "arguments": {arguments}}}'
            parts.append(f"{CALL_OPEN}\n{body}\n{CALL_CLOSE}")
    rest = "\n".join(parts)
    reasoning = message.get("reasoning_content") or ""
    if reasoning or split_thinking(rest) != ("", rest):
        return f"{THINK_OPEN}\n{reasoning}\n{THINK_CLOSE}\n\n{rest}"
    return rest


def explain_invalid(block: str) -> str:
    """Say what is wrong with the raw text of a block that `parse_completion` could not understand.

    >>> explain_invalid('<tool_call>{"name": "exec"}</tool_call>')
    "it has no 'arguments'"
    """
    try:
        _decode_block(block, 0)
    except _BlockError as error:
        return str(error)
    return "it was sent as an invalid call"


def split_thinking(text: str) -> tuple[str, str]:
    """Return (thought, words) of a text that may begin with a think block, as `parse_completion` reads it.

    >>> split_thinking("<think>hm</think>Done."), split_thinking("Done.")
    (('hm', 'Done.'), ('', 'Done.'))
    """
    stripped = text.lstrip()
    if stripped.startswith(THINK_OPEN):
        thought, closed, rest = stripped[len(THINK_OPEN) :].partition(THINK_CLOSE)
        if not closed and (start := thought.find(CALL_OPEN)) >= 0 and begins_call(thought, start):
            return thought[:start], thought[start:]
        return thought, rest
    before, closed, rest = text.partition(THINK_CLOSE)
    if closed and THINK_OPEN not in before and CALL_OPEN not in before:
        return before, rest
    return "", text


def begins_call(text: str, start: int) -> bool:
    """Tell whether the tag at ``start`` begins a call, and is not only spoken of."""
    return CALL_CLOSE in text[start:] or text.startswith("{", _skip_space(text, start + len(CALL_OPEN)))


def without_surrogates(text: str) -> str:
    """Replace halves of surrogate pairs, which are no characters and can't be sent or stored as UTF-8.

    >>> without_surrogates("a\\ud83d!")
    'a\ufffd!'
    """
    return text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")


def _parse_block(text: str, start: int) -> tuple[int, ToolCall]:
    """Parse the block that opens at ``start``; return where it ends, and its call."""
    try:
        end, name, arguments = _decode_block(text, start)
    except _BlockError:
        close = text.find(CALL_CLOSE, start)
        end = len(text) if close < 0 else close + len(CALL_CLOSE)
        return end, tool_call(INVALID_TOOL_CALL, text[start:end].rstrip())
    return end, tool_call(name, arguments)


def _decode_block(text: str, start: int) -> tuple[int, str, Mapping[str, Any]]:
    """Decode ``<tool_call>{…}</tool_call>`` at ``start``.

    The JSON decoder finds the object's end, so that a closing tag inside a string argument is not an end.
    """
    begin = _skip_space(text, start + len(CALL_OPEN))
    try:
        value, end = _DECODER.raw_decode(text, begin)
    except json.JSONDecodeError as error:
        close = text.find(CALL_CLOSE, start)
        if close < 0:
            raise _BlockError(f"{CALL_CLOSE} is missing") from error
        raise _BlockError(f"broken JSON: {error.msg} at character {error.pos - begin + 1}") from error
    except (ValueError, RecursionError) as error:
        raise _BlockError("broken JSON: a number out of range or too deep a nesting") from error
    end = _skip_space(text, end)
    if not text.startswith(CALL_CLOSE, end):
        extra = text.find(CALL_CLOSE, end) >= 0
        raise _BlockError("text after the JSON object" if extra else f"{CALL_CLOSE} is missing")
    if not isinstance(value, dict):
        raise _BlockError("it must hold one JSON object")
    name, arguments = value.get("name"), value.get("arguments")
    if not isinstance(name, str) or not name:
        raise _BlockError("it has no 'name'")
    if "arguments" not in value:
        raise _BlockError("it has no 'arguments'")
    if not isinstance(arguments, dict):
        raise _BlockError("'arguments' must be a JSON object")
    try:
        json.dumps(value, ensure_ascii=False).encode("utf-8")
    except UnicodeEncodeError as error:
        raise _BlockError("it holds an unpaired surrogate, which is no character") from error
    return end + len(CALL_CLOSE), name, arguments


def _skip_space(text: str, position: int) -> int:
    while position < len(text) and text[position] in " \t\r\n":
        position += 1
    return position


def finite_float(text: str) -> float:
    """Parse a JSON number, refusing what no JSON text can hold: an overflow to infinity.

    Raises:
        ValueError: the number is out of range.
    """
    value = float(text)
    if not math.isfinite(value):
        raise ValueError(f"number out of range: {text[:40]}")
    return value


def refuse_constant(text: str) -> float:
    """Refuse NaN and Infinity, which Python's decoder would take.

    Raises:
        ValueError: always.
    """
    raise ValueError(f"{text} is not JSON")


_DECODER = json.JSONDecoder(parse_float=finite_float, parse_constant=refuse_constant)
