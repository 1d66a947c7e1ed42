"""What a recorded message and a recorded sub-session must hold, so that every reader of records may rely on it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pydantic import ValidationError

from ise_gym.episode.steps import Step
from ise_gym.spaces import message_problem

_SESSION_PARTS: Mapping[str, Any] = {"inherited": 0, "steps": (), "opened_by": ()}


def message_fault(message: Mapping[str, Any]) -> str:
    """Say what keeps a recorded message from being one; "" when nothing does."""
    if problem := message_problem(message):
        return problem
    for number, call in enumerate(message.get("tool_calls") or ()):
        if not isinstance(call.get("id"), str):
            return f"'tool_calls[{number}].id' must be a string"
    for key in ("name", "tool_call_id"):
        if not isinstance(message.get(key, ""), str):
            return f"'{key}' must be a string"
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
