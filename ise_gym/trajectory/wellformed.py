"""What records must hold, so that every reader may rely on it: messages, sub-sessions; and figures that may be odd."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from pydantic import ValidationError

from ise_gym.episode.steps import Step

LARGEST = 10**12
"""More than anything that is counted in an episode; a larger figure is a fault of the record."""
ROLES = ("system", "user", "assistant", "tool")
_TEXTS: Mapping[str, Any] = {
    "content": str,
    "reasoning_content": str | None,
    "name": str,
    "tool_call_id": str,
}
_SESSION_PARTS: Mapping[str, Any] = {"inherited": 0, "steps": (), "opened_by": ()}


def message_fault(message: Mapping[str, object]) -> str:
    """Say what keeps a recorded message from being one; "" when nothing does.

    An agent may send its message in many shapes, but a record holds one of them: `ise_gym.messages.Message`.
    """
    if message.get("role") not in ROLES:
        return f"'role' must be one of {', '.join(ROLES)}"
    for key, kinds in _TEXTS.items():
        if not isinstance(message.get(key, ""), kinds):
            return f"'{key}' must be a string"
    if "content" not in message:
        return "'content' is missing"
    calls = message.get("tool_calls") or []
    if not isinstance(calls, list | tuple):
        return "'tool_calls' must be a list"
    for number, call in enumerate(calls):
        if problem := _call_fault(call):
            return f"'tool_calls[{number}]{problem}"
    return ""


def _call_fault(call: object) -> str:
    function = call.get("function") if isinstance(call, Mapping) else None
    if not isinstance(call, Mapping) or not isinstance(function, Mapping):
        return "' needs a 'function' object"
    if not isinstance(call.get("id"), str):
        return ".id' must be a string"
    for key in ("name", "arguments"):
        if not isinstance(function.get(key), str):
            return f".function.{key}' must be a string"
    return ""


def session_fault(session: Mapping[str, Any]) -> str:
    """Say what keeps the frame of a recorded sub-session from being one, its messages apart."""
    if not isinstance(session.get("key"), str):
        return "'key' must be a string"
    inherited, steps, opened = (session.get(key, other) for key, other in _SESSION_PARTS.items())
    if not isinstance(inherited, int) or not 0 <= inherited <= len(session["messages"]):
        return "'inherited' must be a number of its messages"
    if not isinstance(opened, list | tuple) or not all(isinstance(call, str) for call in opened):
        return "'opened_by' must be a list of ids of calls"
    try:
        for step in steps:
            Step.model_validate(step)
    except (ValidationError, TypeError):
        return "'steps' must be a list of steps"
    return ""


def whole(value: object) -> int:
    """Return a count, 0 for what is no count.

    >>> whole(3), whole(2.0), whole(None), whole("7"), whole(-1), whole(10**400)
    (3, 2, 0, 0, 0, 0)
    """
    found = amount(value)
    return 0 if found is None else max(0, int(found))


def amount(value: object) -> float | None:
    """Return a finite figure as it is, None for what is none."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    return value if -LARGEST <= value <= LARGEST and math.isfinite(value) else None
