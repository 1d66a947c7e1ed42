"""Tool calls in plain words: what a model is told of the tools, and how a conversation with calls is written for it.

Many servers have no tool parser, or not the one that a model's own habit needs; then a right-minded call stays in the
words and nothing happens. With the tools in the prompt, and the words read by `ise_gym.models.words.calls`, any model
on any server can act.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any, Literal, get_args

from ise_gym.messages import Message, ToolSchema, assistant, tool_calls_of
from ise_gym.models.parsing import CALL_CLOSE, CALL_OPEN, INVALID_TOOL_CALL, render_completion
from ise_gym.models.words.native import json_value

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
        '```json\n{"name": "...", "arguments": {...}}\n```'
    ),
    "xml": (
        "To call a function, write it in this form, and nothing after it:\n<tool_call>\n<function=NAME>\n"
        "<parameter=PARAMETER>\nvalue\n</parameter>\n</function>\n</tool_call>"
    ),
}

_ENDS = (
    "\n\nThe result of a call is the next message. Leave optional arguments out where you do not need them. "
    "Once what the user asked for is done, make no more calls: tell the user so in plain words."
)
"""A model that is not told how a turn ends goes on calling until its budget is used up."""


def tools_prompt(tools: Sequence[ToolSchema], form: CallFormat) -> str:
    """Return what stands behind the system prompt; "" where there are no tools or the server's template does it."""
    if not tools or form == "template":
        return ""
    schemas = "\n".join(json.dumps(tool, ensure_ascii=False) for tool in tools)
    return _INTRO.format(schemas=schemas) + _HOW[form] + _ENDS


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
        values = json_value(arguments)
        if name == INVALID_TOOL_CALL or not isinstance(values, dict):
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
