"""When it is enough: what an episode has spent, held against its scenario's budget."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from ise_gym.messages import Message
from ise_gym.scenario import Budget


def used_up(
    budget: Budget,
    counts: Mapping[str, int],
    main: Sequence[Message],
    inside: Sequence[Message],
    seconds: float,
) -> str:
    """Name the budget that a step has used up; "" while all have some left.

    Args:
        budget: the scenario's.
        counts: of the episode: messages of the main session, tool calls of all.
        main: the main conversation.
        inside: what was said in sub-sessions, without what they inherited.
        seconds: wall time since the episode began.

    >>> used_up(Budget(tool_calls=2), {"messages": 5, "tool_calls": 2}, [], [], 1.0)
    'tool calls'
    """
    if counts["messages"] + len(inside) >= budget.messages:
        return "messages"
    if counts["tool_calls"] >= budget.tool_calls:
        return "tool calls"
    if 0 < budget.agent_turns <= sum(m["role"] == "assistant" for m in (*main, *inside)):
        return "agent turns"
    return "seconds" if seconds >= budget.seconds else ""


def no_user_turn_left(budget: Budget, counts: Mapping[str, int]) -> bool:
    """Tell whether the user, who would speak on, may not."""
    return counts["user_turns"] >= budget.user_turns


def truncation(name: str) -> str:
    """Return the reason of an episode that a budget ended."""
    return f"budget of {name} used up"
