"""The conversations of one episode: the user's with the agent, then each that the agent delegated to itself.

Formats whose record is one conversation have no place for what happened inside another; here each sub-session is taken
out as a conversation of its own that names its parent.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ise_gym.foreign.values import Json
from ise_gym.messages import MAIN_ONLY
from ise_gym.trajectory.record import Step, Trajectory


@dataclass(frozen=True)
class Conversation:
    """One line of messages that one agent saw.

    Attributes:
        id: the episode's id; of a sub-session ``EPISODE_ID/KEY``.
        parent: the episode's id; "" for the conversation with the user.
        messages: all of it, system message first.
        tools: the schemas that were offered in it.
        steps: one an agent message that was played in it; ``message`` indexes ``messages``.
        inherited: how many of its messages are a copy of the parent's.
        session: what else the record keeps of a sub-session: key, label, task, context, status, ``opened_by``, …
    """

    id: str
    parent: str
    messages: list[dict[str, Any]]
    tools: list[dict[str, Any]]
    steps: list[Step]
    inherited: int
    session: Mapping[str, Any]


def conversations(trajectory: Trajectory) -> Iterator[Conversation]:
    """Yield the conversation with the user, then the sub-sessions in the order in which they were opened."""
    yield Conversation(
        trajectory.episode_id, "", trajectory.messages, trajectory.tools, trajectory.steps, 0, {}
    )
    yield from delegated(trajectory)


def delegated(trajectory: Trajectory) -> Iterator[Conversation]:
    """Yield the sub-sessions in the order in which they were opened."""
    if not trajectory.sessions:
        return
    tools = offered_inside(trajectory.tools)
    for session in trajectory.sessions:
        yield Conversation(
            session_name(trajectory, session),
            trajectory.episode_id,
            session["messages"],
            tools,
            [Step.model_validate(step) for step in session.get("steps") or ()],
            int(session.get("inherited") or 0),
            {key: value for key, value in session.items() if key not in ("messages", "steps")},
        )


def session_name(trajectory: Trajectory, session: Mapping[str, Json]) -> str:
    """Return the id of a sub-session's conversation; unique, since keys are within an episode."""
    return f"{trajectory.episode_id}/{session['key']}"


def offered_inside(tools: Sequence[dict[str, Json]]) -> list[dict[str, Any]]:
    """Return the schemas that a sub-session was offered: all but those that delegate."""
    return [tool for tool in tools if _name(tool) not in MAIN_ONLY]


def _name(tool: Mapping[str, object]) -> str:
    function = tool.get("function")
    return str(function.get("name", "")) if isinstance(function, Mapping) else ""
