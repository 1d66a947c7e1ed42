"""Calls in the forms that model families were trained on, where no server's parser took them out of the words.

Source: the chat templates of Mistral (``[TOOL_CALLS]``), DeepSeek V3, Kimi K2, gpt-oss (harmony), GLM-4.5, MiniMax and
Qwen3-Coder, Llama 4's Python lists, Gemma's ``tool_code`` fences, and the ReAct form.
"""

from __future__ import annotations

import ast
import json
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from ise_gym.messages import ToolCall, ToolSchema, tool_call
from ise_gym.models.parsing import finite_float, refuse_constant

_NAME = r"(?:functions\.)?(?P<name>[A-Za-z_][\w.-]{0,79})"
_HEADS = re.compile(
    "|".join(
        form.replace("NAME", _NAME.replace("?P<name>", f"?P<name{number}>"))
        for number, form in enumerate(
            (
                r"\[TOOL_CALLS\]\s*NAME(?:\[CALL_ID\]\w{1,40})?(?:\[ARGS\])?\s*(?=\{)",
                r"<｜tool▁call▁begin｜>(?:function<｜tool▁sep｜>)?NAME(?:<｜tool▁sep｜>|\s*```json)\s*(?=\{)",
                r"<\|tool_call_begin\|>\s*NAME(?::\d{1,4})?\s*<\|tool_call_argument_begin\|>\s*(?=\{)",
                r"(?:<\|start\|>)?(?:assistant)?(?:<\|channel\|>\w{1,20})? ?to=NAME[^{]{0,80}<\|message\|>\s*(?=\{)",
                r"<function=NAME>\s*(?=\{)",
                r"Action:[ \t]{0,4}NAME[ \t]{0,4}\r?\n\s{0,4}Action Input:\s{0,4}(?=\{)",
            )
        )
    )
)
"""What stands before a JSON object of arguments."""

_FENCE_END = re.compile(r"\s{0,8}```")
_INVOKE = re.compile(r'<invoke name="([^">\s]{1,80})">(.*?)(?:</invoke>|(?=<invoke )|\Z)', re.DOTALL)
_INVOKED = re.compile(
    r'<parameter name="([^">]{1,80})"[^>]{0,40}>(.*?)(?:</parameter>|(?=<parameter )|\Z)', re.DOTALL
)
_GLM = re.compile(
    r"<tool_call>\s*([A-Za-z_][\w.-]{0,79})\s*(?=<)(.*?)(?:</tool_call>|(?=<tool_call>)|\Z)", re.DOTALL
)
_GLM_PAIRS = re.compile(
    r"<arg_key>([^<]{1,80})</arg_key>\s*<arg_value>(.*?)(?:</arg_value>|(?=<arg_key>)|\Z)", re.DOTALL
)
_FENCED = re.compile(r"```(?:tool_code|python|py)?[ \t]*\n(.*?)\n?```", re.DOTALL)
_LONGEST_PYTHON = 20_000
_MOST_CALLS = 40
_AROUND = re.compile(
    r"\[/?TOOL_CALLS\]|<\|python_tag\|>|<\|tool_call\|>|</?(?:minimax:)?(?:function_calls|tool_calls?)>|<\|(?:call|end|start)\|>|</function>"
    r"|<\|tool_calls_section_(?:begin|end)\|>|<\|tool_call_end\|>|<｜tool▁(?:calls?|outputs?)▁(?:begin|end)｜>"
)
"""Tags around calls, which say nothing once the calls are read."""


def native_calls(words: str, tools: Sequence[ToolSchema]) -> tuple[str, list[ToolCall]]:
    """Return the words without the calls in them, and the calls; the words as they are where there are none.

    Python is read as calls only where it is nothing else: calls of offered tools, with keywords and literal values.

    >>> native_calls('[TOOL_CALLS]exec[ARGS]{"command": "ls"}', ())[1][0]["function"]
    {'name': 'exec', 'arguments': '{"command": "ls"}'}
    """
    for form in (_after_heads, _tagged, _python):
        found = list(form(words, tools))
        if found:
            pieces, position = [], 0
            for start, end, _ in found:
                pieces.append(words[position:start])
                position = end
            rest = (without_marks(piece).strip() for piece in [*pieces, words[position:]])
            return "\n".join(filter(None, rest)), [call for _, _, calls in found for call in calls]
    return words, []


def without_marks(words: str) -> str:
    """Return words without the tags that stood around calls."""
    return _AROUND.sub("", words)


def typed_values(name: str, pairs: Iterable[tuple[str, str]], tools: Sequence[ToolSchema]) -> dict[str, Any]:
    """Read parameters that were written as text: text where the schema says so, else JSON where it is some."""
    schema = next((t["function"]["parameters"] for t in tools if t["function"]["name"] == name), {})
    properties = schema.get("properties") or {}
    values: dict[str, Any] = {}
    for key, text in pairs:
        kind = properties.get(key, {}).get("type")
        value = None if kind == "string" else json_value(text.strip())
        values[key] = text if value is None else value
    return values


def json_value(text: str) -> Any:
    """Decode JSON, None for what is none."""
    try:
        return DECODER.decode(text)
    except (ValueError, RecursionError):
        return None


def _after_heads(words: str, tools: Sequence[ToolSchema]) -> Iterator[tuple[int, int, list[ToolCall]]]:
    position = 0
    for _ in range(_MOST_CALLS):
        if (head := _HEADS.search(words, position)) is None:
            return
        position = head.end()
        try:
            value, end = DECODER.raw_decode(words, head.end())
        except (ValueError, RecursionError):
            continue
        name = next(filter(None, head.groups()))
        if isinstance(value, Mapping):
            position = fence.end() if (fence := _FENCE_END.match(words, end)) else end
            yield head.start(), position, [tool_call(name, value)]


def _tagged(words: str, tools: Sequence[ToolSchema]) -> Iterator[tuple[int, int, list[ToolCall]]]:
    for form, pairs in ((_INVOKE, _INVOKED), (_GLM, _GLM_PAIRS)):
        for block in form.finditer(words):
            values = typed_values(block[1], pairs.findall(block[2]), tools)
            yield *block.span(), [tool_call(block[1], values)]


def _python(words: str, tools: Sequence[ToolSchema]) -> Iterator[tuple[int, int, list[ToolCall]]]:
    names = frozenset(tool["function"]["name"] for tool in tools)
    if words.lstrip().startswith("[") and words.rstrip().endswith(")]"):
        if calls := _python_calls(words, names):
            yield 0, len(words), calls
        return
    for block in _FENCED.finditer(words):
        if calls := _python_calls(block[1], names):
            yield *block.span(), calls


def _python_calls(text: str, names: frozenset[str]) -> list[ToolCall]:
    if len(text) > _LONGEST_PYTHON or not any(name in text for name in names):
        return []
    try:
        body = ast.parse(text.strip()).body
        expressions = [statement.value for statement in body if isinstance(statement, ast.Expr)]
        if len(expressions) < len(body):
            return []
        items = [item for e in expressions for item in (e.elts if isinstance(e, ast.List) else [e])]
        return [_python_call(item, names) for item in items]
    except (SyntaxError, TypeError, ValueError, RecursionError, MemoryError):
        return []


def _python_call(item: ast.expr, names: frozenset[str]) -> ToolCall:
    if isinstance(item, ast.Call) and _called(item) == "print" and len(item.args) == 1:
        item = item.args[0]  # Gemma prints what it calls
    if not isinstance(item, ast.Call) or _called(item) not in names:
        raise ValueError("no call of a tool")
    if item.args or any(keyword.arg is None for keyword in item.keywords):
        raise ValueError("arguments without names")
    values = {str(keyword.arg): ast.literal_eval(keyword.value) for keyword in item.keywords}
    json.dumps(values, allow_nan=False).encode()
    return tool_call(_called(item), values)


def _called(item: ast.expr) -> str:
    return item.func.id if isinstance(item, ast.Call) and isinstance(item.func, ast.Name) else ""


DECODER = json.JSONDecoder(parse_float=finite_float, parse_constant=refuse_constant, strict=False)
