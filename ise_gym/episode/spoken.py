"""An agent's message as the transcript keeps it, and what an agent has heard since its last one."""

from __future__ import annotations

from collections.abc import Sequence

from ise_gym.messages import Message, ToolCall, assistant, tool_calls_of


def spoken(message: Message, prefix: str, before: int) -> Message:
    """Return an assistant message with known keys only, and an id for each call that has none.

    Args:
        message: what the agent said.
        prefix: of the ids.
        before: how many calls came before it in its session.

    >>> from ise_gym.messages import tool_call
    >>> [call["id"] for call in spoken(assistant("", [tool_call("exec", {})]), "call_", 3)["tool_calls"]]
    ['call_4']
    """
    calls: list[ToolCall] = []
    for number, call in enumerate(tool_calls_of(message), start=before + 1):
        function = call["function"]
        calls.append(
            {
                "id": call.get("id") or f"{prefix}{number}",
                "type": "function",
                "function": {"name": function["name"], "arguments": function["arguments"]},
            }
        )
    return assistant(message["content"], calls, message.get("reasoning_content"))


def since_last_spoken(messages: Sequence[Message], inherited: int = 0) -> list[Message]:
    """Return the messages after the agent's last own one; all of them when it has not spoken yet."""
    for index in range(len(messages) - 1, inherited - 1, -1):
        if messages[index]["role"] == "assistant":
            return list(messages[index + 1 :])
    return list(messages)


def failures(messages: Sequence[Message]) -> str:
    """Name the tools whose calls failed, as a step's ``error`` does."""
    return "; ".join(m["name"] for m in messages if m.get("success") is False)


def unanswered(messages: Sequence[Message]) -> list[ToolCall]:
    """Return the calls of the last assistant message that no tool message answers."""
    for at in range(len(messages) - 1, -1, -1):
        if messages[at]["role"] == "assistant":
            answers = {message.get("tool_call_id") for message in messages[at + 1 :]}
            return [call for call in tool_calls_of(messages[at]) if call["id"] not in answers]
    return []
