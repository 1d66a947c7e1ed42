"""Tool calls in plain words: what a model is told of the tools, and what it wrote read as calls.

Many servers have no tool parser, or not the one that a model's own habit needs; then a right-minded call stays in the
words and nothing happens. With the tools in the prompt and the words read here, any model on any server can act.
"""

from __future__ import annotations

import json
import re
from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import Any, Literal, get_args

from ise_gym.messages import (
    Message,
    ToolCall,
    ToolSchema,
    arguments_text,
    assistant,
    tool_call,
    tool_calls_of,
)
from ise_gym.models.parsing import (
    CALL_CLOSE,
    CALL_OPEN,
    INVALID_TOOL_CALL,
    finite_float,
    parse_completion,
    refuse_constant,
    render_completion,
)

CallFormat = Literal["hermes", "json", "xml", "template"]
"""hermes: ``<tool_call>{"name", "arguments"}</tool_call>``, as Qwen, Hermes and this project's template have it.
json: the same object in a code fence. xml: ``<function=NAME><parameter=P>…``, as Qwen3-Coder writes. template: the
server's own chat template writes the tools into the prompt."""

FORMATS: tuple[CallFormat, ...] = get_args(CallFormat)

_INTRO = (
    "# Tools\n\nYou can call functions to do what the user asks: call one whenever something has to be looked up "
    "or done. These are their JSON schemas, within <tools></tools> tags:\n<tools>\n{schemas}\n</tools>\n\n"
)
_HOW: Mapping[str, str] = {
    "hermes": (
        "To call a function, answer with a JSON object of its name and its arguments, within <tool_call></tool_call> "
        'tags:\n<tool_call>\n{"name": <function name>, "arguments": <arguments as a JSON object>}\n</tool_call>'
    ),
    "json": (
        "To call a function, write its name and its arguments as one JSON object in a code fence, "
        "and nothing after it:\n"
        '```json\n{"name": "...", "arguments": {...}}\n```\nIts result is the next message.'
    ),
    "xml": (
        "To call a function, write it in this form, and nothing after it:\n<tool_call>\n<function=NAME>\n"
        "<parameter=PARAMETER>\nvalue\n</parameter>\n</function>\n</tool_call>\nIts result is the next message."
    ),
}

_FENCE = re.compile(r"```[a-z_]{0,16}[ \t]*\n(.*?)(?:\n[ \t]*)?```", re.DOTALL)
_TAGS = re.compile(r"<(/?)(?:tool_calls?|function_calls?|tools?)>")
_FUNCTION = re.compile(r"<function=([^>\s]{1,80})>(.*?)(?:</function>|(?=<function=)|\Z)", re.DOTALL)
_PARAMETER = re.compile(
    r"<parameter=([^>\s]{1,80})>\n?(.*?)\n?(?:</parameter>|(?=<parameter=)|\Z)", re.DOTALL
)
_OBJECT_KEYS = frozenset({"name", "arguments", "parameters", "id", "type"})
_MOST_TRIES = 40
"""Places in one text at which a JSON object is looked for."""

_LONGEST = 200_000


def tools_prompt(tools: Sequence[ToolSchema], form: CallFormat) -> str:
    """Return what stands behind the system prompt; "" where there are no tools or the server's template does it."""
    if not tools or form == "template":
        return ""
    schemas = "\n".join(json.dumps(tool, ensure_ascii=False) for tool in tools)
    return _INTRO.format(schemas=schemas) + _HOW[form]


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
    return assistant(words, calls, message.get("reasoning_content"))


def holds_call(text: str, tools: Sequence[ToolSchema]) -> bool:
    """Tell whether words hold a call that nobody read."""
    return (
        bool(tools) and ("{" in text or "<function=" in text) and bool(tool_calls_of(read_words(text, tools)))
    )


def text_messages(
    messages: Sequence[Message], tools: Sequence[ToolSchema], form: CallFormat, said: Mapping[str, str]
) -> list[dict[str, Any]]:
    """Return a conversation as one of system, user and assistant texts, with the tools in the system prompt.

    Args:
        messages: the conversation; ``tools``: the schemas that are offered.
        form: how calls and results are written; not ``template``.
        said: `mark` of an assistant message → the words in which the model itself wrote it.
    """
    prompt = tools_prompt(tools, form)
    sent: list[dict[str, Any]] = []
    for message in messages:
        content = message["content"]
        if message["role"] == "tool":
            result = _result(message, form)
            if sent and sent[-1].get("result"):
                sent[-1]["content"] += f"\n{result}"
            else:
                sent.append({"role": "user", "content": result, "result": True})
            continue
        if message["role"] == "assistant":
            content = said.get(mark(message)) or _written(message, form)
        if message["role"] == "system" and not sent and prompt:
            content, prompt = f"{content}\n\n{prompt}" if content else prompt, ""
        sent.append({"role": message["role"], "content": content})
    if prompt:
        sent.insert(0, {"role": "system", "content": prompt})
    return [{name: part for name, part in message.items() if name != "result"} for message in sent]


def mark(message: Message) -> str:
    """Return what an assistant message is known by, whatever ids the env gave its calls."""
    calls = [[call["function"]["name"], call["function"]["arguments"]] for call in tool_calls_of(message)]
    return json.dumps([message["content"], calls])


def _written(message: Message, form: CallFormat) -> str:
    calls = tool_calls_of(message)
    if form == "hermes" or not calls:
        return render_completion(assistant(message["content"], calls))
    parts = [message["content"]] if message["content"] else []
    for call in calls:
        name, arguments = call["function"]["name"], call["function"]["arguments"]
        values = _object(arguments)
        if name == INVALID_TOOL_CALL or values is None:
            parts.append(arguments)
        elif form == "json":
            parts.append(f'```json\n{{"name": {json.dumps(name)}, "arguments": {arguments}}}\n```')
        else:
            inner = "\n".join(
                f"<parameter={key}>\n{_plain(value)}\n</parameter>" for key, value in values.items()
            )
            parts.append(f"{CALL_OPEN}\n<function={name}>\n{inner}\n</function>\n{CALL_CLOSE}")
    return "\n".join(parts)


def _result(message: Message, form: CallFormat) -> str:
    if form == "json":
        return f"Result of {message.get('name') or 'the call'}:\n{message['content']}"
    return f"<tool_response>\n{message['content']}\n</tool_response>"


def _plain(value: object) -> str:
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


def _one_tag(text: str) -> str:
    """Write the tags that models use for the same thing as the one that the parser knows."""
    return text if CALL_OPEN in text else _TAGS.sub(lambda tag: CALL_CLOSE if tag[1] else CALL_OPEN, text)


def _inside(block: str, tools: Sequence[ToolSchema]) -> list[ToolCall]:
    """Read a tagged block that is no plain JSON object: XML, a list of objects, other names for the keys."""
    if "<function=" in block:
        return [tool_call(name, _typed(name, body, tools)) for name, body in _FUNCTION.findall(block)]
    text = block.strip().removeprefix("```json").strip("`\n ")
    value = _value(text)
    value = _closed(text) if value is None else value
    found = [_as_call(item) for item in (value if isinstance(value, list) else [value])]
    return [call for call in found if call is not None] if all(found) else []


def _typed(name: str, body: str, tools: Sequence[ToolSchema]) -> dict[str, Any]:
    """Read the parameters of the XML form: text where the schema says so, else JSON where it is some."""
    schema = next((t["function"]["parameters"] for t in tools if t["function"]["name"] == name), {})
    properties = schema.get("properties") or {}
    values: dict[str, Any] = {}
    for key, text in _PARAMETER.findall(body):
        kind = properties.get(key, {}).get("type")
        value = None if kind == "string" else _value(text.strip())
        values[key] = text if value is None else value
    return values


def _bare(words: str, tools: Sequence[ToolSchema], names: Collection[str]) -> tuple[str, list[ToolCall]]:
    """Read calls that stand in fences, or free in the words; returns the words without them."""
    if "<function=" in words:
        calls = [tool_call(name, _typed(name, body, tools)) for name, body in _FUNCTION.findall(words)]
        return _FUNCTION.sub("", words).strip(), calls
    calls, rest, position = [], [], 0
    for start, end, value in _objects(words):
        found = [_as_call(item) for item in (value if isinstance(value, list) else [value])]
        items = value if isinstance(value, list) else [value]
        if not found or not all(_meant(call, item, names) for call, item in zip(found, items, strict=True)):
            continue
        calls += [call for call in found if call is not None]
        rest.append(words[position:start])
        position = end
    if not calls:
        return words, []
    rest.append(words[position:])
    return "\n".join(part.strip() for part in rest if part.strip()), calls


def _objects(words: str) -> Iterator[tuple[int, int, Any]]:
    """Yield (start, end, value) of JSON objects and lists in the words; the fence around one is part of it."""
    fences = {match.start(1): match.span() for match in _FENCE.finditer(words)}
    position = 0
    for _ in range(_MOST_TRIES):
        start = min((i for c in "{[" if (i := words.find(c, position)) >= 0), default=-1)
        if start < 0:
            return
        try:
            value, end = _DECODER.raw_decode(words, start)
        except (ValueError, RecursionError):
            if (value := _closed(words[start:])) is None:
                position = start + 1
                continue
            end = len(words)
        around = next((span for inner, span in fences.items() if span[0] <= start and end <= span[1]), None)
        whole = around is not None and words[around[0] : around[1]].count("{") == words[start:end].count("{")
        yield (*(around if whole and around else (start, end)), value)
        position = end


def _as_call(value: object) -> ToolCall | None:
    if isinstance(value, Mapping) and isinstance(value.get("function"), Mapping):
        value = value["function"]
    if not isinstance(value, Mapping) or not isinstance(value.get("name"), str) or not value["name"]:
        return None
    arguments = value.get("arguments", value.get("parameters"))
    if isinstance(arguments, str):
        arguments = _object(arguments_text(arguments))
    return tool_call(value["name"], arguments) if isinstance(arguments, Mapping) else None


def _meant(call: ToolCall | None, value: Any, names: Collection[str]) -> bool:
    if call is None:
        return False
    plain = value.get("function") if isinstance(value.get("function"), Mapping) else value
    return (
        call["function"]["name"] in names
        or (not names and set(plain) <= _OBJECT_KEYS)
        or (bool(names) and set(plain) <= _OBJECT_KEYS and "arguments" in plain)
    )


def _object(text: str) -> dict[str, Any] | None:
    value = _value(text)
    return value if isinstance(value, dict) else None


def _closed(text: str) -> Any:
    """Read a call that lacks nothing but its last brace, as small models leave it off; None for anything else.

    Only a call, and only at the end of the text: an answer that was cut in the middle of a value stays unread.
    """
    plain = text.strip().removesuffix("```").rstrip()
    if not plain.startswith("{") or not plain.endswith("}"):
        return None
    value = _value(plain + "}")
    return value if _as_call(value) is not None else None


def _value(text: str) -> Any:
    try:
        return _DECODER.decode(text)
    except (ValueError, RecursionError):
        return None


_DECODER = json.JSONDecoder(parse_float=finite_float, parse_constant=refuse_constant, strict=False)
