"""Messages, calls and tool schemas as inspect_ai has them, and one question to its model, of which nothing is lost."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from typing import Any

from ise_gym.adapters.answers import failure, noted
from ise_gym.adapters.peers import interface_of
from ise_gym.adapters.seat import Seat
from ise_gym.errors import AgentError
from ise_gym.messages import Message, ToolSchema, assistant, tool_call

with interface_of("inspect"):
    import anyio
    from inspect_ai import model as models
    from inspect_ai.tool import ToolCall, ToolCallError, ToolInfo, ToolParams
    from inspect_ai.util import LimitExceededError

_UNREAD = re.compile(
    r"Error parsing the following tool call arguments:\n\n(.*)\n\nError details: ", re.DOTALL
)
"""How inspect_ai keeps arguments that it could not read; the parsed ones are empty then."""


async def asked(seat: Seat, model: Any, messages: list[Any], longest: float) -> Any:
    """Let the model speak; None where its context is full, which ends the episode as any budget does.

    Raises:
        Exception: nothing came; our record then says that the endpoint failed, or that a limit of inspect's was met.
    """
    try:
        # inspect's own limits are of retries, and of the time between two bytes
        with anyio.fail_after(longest):
            output = await model.generate(messages, tools=infos(seat.tools))
    except LimitExceededError:
        raise  # the agent leaves
    except TimeoutError as error:
        seat.fail(AgentError(f"no answer within {longest:g} s", kind="timeout"))
        raise RuntimeError(seat.broken) from error
    except Exception as error:
        blamed = failure(error)
        seat.fail(blamed)
        if blamed.infrastructure:
            raise
        return None
    if output.stop_reason == "model_length":  # what is said there are the server's words
        seat.fail(AgentError("the context is full", infrastructure=False, kind="context"))
        return None
    return output


def heard(output: Any, tools: Sequence[ToolSchema]) -> Message:
    """Return what a model said, arguments that nobody could read as it wrote them."""
    said = output.message
    parts = said.content if isinstance(said.content, list) else ()
    thoughts = [
        (part.summary or "") if part.redacted else part.reasoning
        for part in parts
        if isinstance(part, models.ContentReasoning)
    ]
    message = assistant(
        said.text,
        [tool_call(call.function, _arguments(call), call.id) for call in said.tool_calls or ()],
        "\n".join(filter(None, thoughts)) or None,
    )
    spent = output.usage
    usage = {} if spent is None else {"prompt": spent.input_tokens, "completion": spent.output_tokens}
    return noted(message, tools, finish=output.stop_reason, usage=usage, model=output.model)


def _arguments(call: Any) -> Any:
    if not call.parse_error:
        return call.arguments
    found = _UNREAD.match(call.parse_error)
    return found[1] if found else call.parse_error


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
