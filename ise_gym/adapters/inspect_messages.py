"""Messages, calls and tool schemas as inspect_ai has them, for live episodes and recorded ones."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

from ise_gym.adapters.peers import interface_of

with interface_of("inspect"):
    from inspect_ai import model as models
    from inspect_ai.tool import ToolCall, ToolCallError, ToolInfo, ToolParams


def told(message: Mapping[str, Any], model: str = "", **known: Any) -> Any:
    """Return a message; ``known`` may give its ``id``, and ``model`` says who an assistant was."""
    known["content"] = message["content"]
    if message["role"] == "system":
        return models.ChatMessageSystem(**known)
    if message["role"] == "user":
        return models.ChatMessageUser(**known)
    if message["role"] == "tool":
        failed = message.get("success") is False
        return models.ChatMessageTool(
            **known,
            tool_call_id=message.get("tool_call_id"),
            function=message.get("name"),
            error=ToolCallError("unknown", message["content"][:2000]) if failed else None,
            metadata={"exit_code": message.get("exit_code")},
        )
    if thought := message.get("reasoning_content"):
        words = models.ContentText(text=message["content"])
        known["content"] = [models.ContentReasoning(reasoning=thought), words]
    calls = [call_of(call) for call in message.get("tool_calls") or ()]
    return models.ChatMessageAssistant(**known, tool_calls=calls or None, model=model, source="generate")


def call_of(call: Mapping[str, Any]) -> Any:
    """Return a call; arguments that are no JSON object are its parse error."""
    function, error, arguments = call["function"], None, {}
    try:
        arguments = json.loads(function["arguments"])
        if not isinstance(arguments, dict):
            raise ValueError("no object")
    except ValueError as problem:
        arguments, error = {}, f"{problem}: {function['arguments']}"
    return ToolCall(id=call["id"], function=function["name"], arguments=arguments, parse_error=error)


def infos(tools: Sequence[Mapping[str, Any]]) -> list[Any]:
    """Return tool schemas."""
    return [
        ToolInfo(
            name=function["name"],
            description=function.get("description", ""),
            parameters=ToolParams.model_validate(function["parameters"]),
        )
        for function in (tool["function"] for tool in tools)
    ]
