"""Sub-sessions: the conversations that an agent delegates to itself.

`sessions_spawn` and `sessions_send` are calls whose answer is what the same agent says in another conversation. Here is
what such a conversation is and which there are; who speaks when is decided in `ise_gym.episode.floor`.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from ise_gym.messages import Message, ToolCall, system, user
from ise_gym.tools.base import ToolContext
from ise_gym.workspace.base import Snapshot

MAIN = "main"
"""Key of the session in which the user is."""

MOST_SESSIONS = 20

SUB_AGENT_PROMPT = (
    "You are a sub-agent: another session of yours gave you one task. You work in the same kind of workspace with the "
    "tools you are offered; nobody answers questions here. When you are done, answer without a tool call: that answer "
    "is all that the other session gets, so put every result into it."
)
TASK_MARK = f"[Task from session {MAIN}]\n"
MESSAGE_MARK = f"[Message from session {MAIN}]\n"


@dataclass
class SubSession:
    """One delegated conversation.

    Attributes:
        key: how it is addressed; ``label`` as its opener called it.
        context: ``isolated`` (starts empty) or ``fork`` (starts with the main conversation; ``inherited`` messages).
        sandbox: ``inherit`` works on the same files; ``require`` on a copy that is dropped when it ends.
        cleanup: with ``delete`` it can't be seen or written to once it ended.
        status: running, done, or cut (the episode's budget ran out).
        opened_by: ids of the calls that gave it the floor.
        messages: the whole conversation.
        steps: one record for each of its agent messages, for the trajectory.
        before: the workspace to go back to; only while a sandboxed one runs.
        ended: it handed back early (`sessions_yield`); ``answer`` is then what it says.
        calls: how many tool calls were made in it, for their ids.
    """

    key: str
    label: str
    task: str
    context: str
    sandbox: str
    cleanup: str
    messages: list[Message]
    inherited: int = 0
    status: str = "running"
    opened_by: list[str] = field(default_factory=list)
    steps: list[Any] = field(default_factory=list)
    before: Snapshot | None = None
    ended: bool = False
    answer: str = ""
    calls: int = 0

    @property
    def visible(self) -> bool:
        """Whether it can be listed, read and written to."""
        return self.cleanup != "delete" or self.status == "running"

    @property
    def own(self) -> list[Message]:
        """What was said in it, without what it inherited."""
        return self.messages[self.inherited :]

    def record(self) -> dict[str, Any]:
        """Return what a trajectory keeps of it."""
        names = ("key", "label", "task", "context", "sandbox", "cleanup", "status", "opened_by", "inherited")
        return {
            **{name: getattr(self, name) for name in names},
            "messages": [dict(message) for message in self.messages],
            "steps": [step.model_dump() for step in self.steps],
        }


@dataclass
class SessionBook:
    """The sub-sessions of one episode by key.

    Attributes:
        floor: key of the one that speaks; "" for the main session. Set by `ise_gym.episode.floor.Floor` alone, as is
        waiting: the main calls that are answered once it has ended.
    """

    sessions: dict[str, SubSession] = field(default_factory=dict)
    floor: str = ""
    waiting: list[ToolCall] = field(default_factory=list)

    @property
    def speaking(self) -> SubSession | None:
        """The sub-session that has the floor."""
        return self.sessions.get(self.floor)

    def visible(self) -> list[SubSession]:
        """Return those that can be seen, oldest first."""
        return [session for session in self.sessions.values() if session.visible]

    def free_key(self, label: str) -> str:
        """Return a key after a label, so that it does not depend on how many sessions there were before."""
        slug = re.sub(r"[^a-z0-9]+", "-", label.lower()).strip("-")[:40]
        base = f"{MAIN}:{slug or 'sub'}"
        tries = (base if n == 1 else f"{base}-{n}" for n in range(1, len(self.sessions) + 2))
        return next(key for key in tries if key not in self.sessions)


def book_of(context: ToolContext) -> SessionBook:
    """Return the episode's book; it lives in the tools' state and is saved with it."""
    book: SessionBook = context.state.setdefault("sessions", SessionBook())
    return book


def first_messages(kind: str, task: str, transcript: Sequence[Message]) -> tuple[list[Message], int]:
    """Return what a new session starts with, and how many of these it inherited."""
    inherited: list[Message] = []
    if kind == "fork":
        inherited = list(transcript)
        while inherited and inherited.pop()["role"] != "assistant":
            pass  # the message that delegates is still being answered
    opening = inherited or [system(SUB_AGENT_PROMPT)]
    return [*opening, user(TASK_MARK + task)], len(inherited)
