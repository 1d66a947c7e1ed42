"""Calls in a model's words, read in whichever form it wrote them.

Models write calls in tags, in code fences, as bare JSON, or in the form of their own family, whatever they were asked
for.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import Any

from ise_gym.messages import (
    Message,
    ToolCall,
    ToolSchema,
    arguments_text,
    assistant,
    tool_call,
    tool_calls_of,
)
from ise_gym.models.parsing import CALL_CLOSE, CALL_OPEN, INVALID_TOOL_CALL, parse_completion
from ise_gym.models.words.native import DECODER, json_value, native_calls, typed_values, without_marks

_FENCE = re.compile(r"```[a-z_]{0,16}[ \t]*\n(.*?)(?:\n[ \t]*)?```", re.DOTALL)
_TAGS = re.compile(r"<(/?)(?:minimax:)?(?:tool_calls?|function_calls?|tools?)>")
_FUNCTION = re.compile(r"<function=([^>\s]{1,80})>(.*?)(?:</function>|(?=<function=)|\Z)", re.DOTALL)
_PARAMETER = re.compile(
    r"<parameter=([^>\s]{1,80})>\n?(.*?)\n?(?:</parameter>|(?=<parameter=)|\Z)", re.DOTALL
)
_OBJECT_KEYS = frozenset({"name", "arguments", "parameters", "id", "type"})
_NAMES = ("name", "tool", "tool_name", "function_name", "function", "action")
_ARGUMENTS = ("arguments", "parameters", "args", "params", "input", "tool_input", "action_input")
"""What models call the two parts of a call; only the first two of each are calls without the name of a tool."""
_MOST_TRIES = 40
"""Places in one text at which a JSON object is looked for."""

_LONGEST = 200_000


def read_words(text: str, tools: Sequence[ToolSchema] = ()) -> Message:
    """Read the calls out of a model's words, in whichever of the known forms it wrote them.

    Never raises. What is tagged as a call and can't be read becomes a call that the env answers with what was wrong, as
    `parse_completion` has it. An object without tags or in a fence is a call when it has a name and arguments, and
    nothing else or the name of a tool.

    Args:
        text: the words; a think block at the start is set apart.
        tools: the schemas that were offered.

    >>> words = 'I look.\\n```json\\n{"name": "exec", "arguments": {"command": "ls"}}\\n```'
    >>> read_words(words)["tool_calls"][0]["function"]
    {'name': 'exec', 'arguments': '{"command": "ls"}'}
    """
    names = frozenset(tool["function"]["name"] for tool in tools)
    message = parse_completion(_one_tag(text[:_LONGEST]))
    calls: list[ToolCall] = []
    for call in tool_calls_of(message):
        raw = call["function"]["arguments"]
        if call["function"]["name"] == INVALID_TOOL_CALL and raw.startswith(CALL_OPEN):
            calls += _inside(raw.removeprefix(CALL_OPEN).removesuffix(CALL_CLOSE), tools) or [call]
        else:
            calls.append(call)
    words = message["content"]
    if not calls:
        words, calls = _bare(words, tools, names)
    if not calls:
        words, calls = native_calls(words, tools)
    return assistant(words, calls, message.get("reasoning_content"))


def holds_call(text: str, tools: Sequence[ToolSchema]) -> bool:
    """Tell whether words hold a call that nobody read."""
    return bool(tools) and any(c in text for c in "{<[`") and bool(tool_calls_of(read_words(text, tools)))


def _one_tag(text: str) -> str:
    """Write the tags that models use for the same thing as the one that the parser knows."""
    return text if CALL_OPEN in text else _TAGS.sub(lambda tag: CALL_CLOSE if tag[1] else CALL_OPEN, text)


def _inside(block: str, tools: Sequence[ToolSchema]) -> list[ToolCall]:
    """Read a tagged block that is no plain JSON object: XML, a list of objects, other names for the keys."""
    if "<function=" in block:
        return _xml_calls(block, tools)
    text = block.strip().removeprefix("```json").strip("`\n ")
    value = json_value(text)
    value = _closed(text) if value is None else value
    found = [_as_call(_nested(item, tools)) for item in _items(value)]
    if found and all(found):
        return [call for call in found if call is not None]
    return native_calls(f"{CALL_OPEN}{block}{CALL_CLOSE}", tools)[1]


def _xml_calls(text: str, tools: Sequence[ToolSchema]) -> list[ToolCall]:
    calls = []
    for name, body in _FUNCTION.findall(text):
        pairs = _PARAMETER.findall(body)
        whole = None if pairs else json_value(body.strip())  # Functionary and Llama write JSON there
        values = whole if isinstance(whole, dict) else typed_values(name, pairs, tools)
        calls.append(tool_call(name, values))
    return calls


def _bare(words: str, tools: Sequence[ToolSchema], names: Collection[str]) -> tuple[str, list[ToolCall]]:
    """Read calls that stand in fences, or free in the words; returns the words without them."""
    if "<function=" in words:
        return _FUNCTION.sub("", words).strip(), _xml_calls(words, tools)
    calls, rest, position = [], [], 0
    for start, end, value in _objects(words):
        items = [_nested(item, tools) for item in _items(value)]
        found = [_as_call(item) for item in items]
        if not found or not all(_meant(call, item, names) for call, item in zip(found, items, strict=True)):
            continue
        calls += [call for call in found if call is not None]
        rest.append(words[position:start])
        position = end
    if not calls:
        return words, []
    rest.append(words[position:])
    return "\n".join(part for piece in rest if (part := without_marks(piece).strip())), calls


def _items(value: object) -> list[Any]:
    """Return what may be calls: of a list, of an object that holds such a list, or the value itself."""
    if isinstance(value, Mapping) and isinstance(value.get("tool_calls"), list):
        value = value["tool_calls"]
    return value if isinstance(value, list) else [value]


def _objects(words: str) -> Iterator[tuple[int, int, Any]]:
    """Yield (start, end, value) of JSON objects and lists in the words; the fence around one is part of it."""
    fences = {match.start(1): match.span() for match in _FENCE.finditer(words)}
    position = 0
    for _ in range(_MOST_TRIES):
        start = min((i for c in "{[" if (i := words.find(c, position)) >= 0), default=-1)
        if start < 0:
            return
        try:
            value, end = DECODER.raw_decode(words, start)
        except (ValueError, RecursionError):
            if (value := _closed(words[start:])) is None:
                position = start + 1
                continue
            end = len(words)
        around = next((span for inner, span in fences.items() if span[0] <= start and end <= span[1]), None)
        whole = around is not None and words[around[0] : around[1]].count("{") == words[start:end].count("{")
        yield (*(around if whole and around else (start, end)), value)
        position = end


def _nested(value: object, tools: Sequence[ToolSchema]) -> Any:
    """Put arguments that stand beside the name of an offered tool, each a parameter of it, where they belong."""
    if not isinstance(value, Mapping) or not isinstance(value.get("name"), str):
        return value
    schema = next((t["function"]["parameters"] for t in tools if t["function"]["name"] == value["name"]), {})
    beside = {key: inner for key, inner in value.items() if key != "name"}
    return (
        {"name": value["name"], "arguments": beside}
        if beside and beside.keys() <= (schema.get("properties") or {}).keys()
        else value
    )


def _as_call(value: object) -> ToolCall | None:
    if isinstance(value, Mapping) and isinstance(value.get("function"), Mapping):
        value = value["function"]
    if not isinstance(value, Mapping):
        return None
    name = next((value[key] for key in _NAMES if key in value), None)
    arguments = next((value[key] for key in _ARGUMENTS if key in value), None)
    if isinstance(arguments, str):
        arguments = _object(arguments_text(arguments))
    if not isinstance(name, str) or not name or not isinstance(arguments, Mapping):
        return None
    return tool_call(name, arguments)


def _meant(call: ToolCall | None, value: Any, names: Collection[str]) -> bool:
    if call is None:
        return False
    plain = value.get("function") if isinstance(value.get("function"), Mapping) else value
    whole = "name" in plain and set(plain) <= _OBJECT_KEYS
    return call["function"]["name"] in names or (whole and (not names or "arguments" in plain))


def _object(text: str) -> dict[str, Any] | None:
    value = json_value(text)
    return value if isinstance(value, dict) else None


def _closed(text: str) -> Any:
    """Read a call that lacks nothing but its last brace, as small models leave it off; None for anything else.

    Only a call, and only at the end of the text: an answer that was cut in the middle of a value stays unread.
    """
    plain = text.strip().removesuffix("```").rstrip()
    if not plain.startswith("{") or not plain.endswith("}"):
        return None
    value = json_value(plain + "}")
    return value if _as_call(value) is not None else None
