"""Sub-sessions: what an agent delegates to itself, and who has the floor.

`sessions_spawn` and `sessions_send` are calls whose answer is what the same agent says in another conversation. While
that one goes on it *has the floor*: the agent's messages belong to it, and the call that opened it waits. When it
answers without a tool call the floor returns and the answer becomes the call's result. One at a time, one level deep:
so an episode stays one line of messages that can be recorded, replayed and forked, whoever acts.
"""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from ise_gym.messages import Message, ToolCall, assistant, system, tool_calls_of, user
from ise_gym.tools.base import ToolContext, ToolOutcome
from ise_gym.workspace.base import Snapshot

MAIN = "main"
"""Key of the session in which the user is."""

MOST_SESSIONS = 20

NOT_RUN = "not run: the episode ended before it"
"""What answers a call that waited for a sub-session which the end of the episode cut off."""

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

    def add_spoken(self, message: Message) -> Message:
        """Append an agent's message, its calls numbered within this session, and return it."""
        calls: list[ToolCall] = []
        for call in tool_calls_of(message):
            self.calls += 1
            name, arguments = call["function"]["name"], call["function"]["arguments"]
            calls.append(
                {
                    "id": call.get("id") or f"{self.key.partition(':')[2]}_call_{self.calls}",
                    "type": "function",
                    "function": {"name": name, "arguments": arguments},
                }
            )
        said = assistant(message["content"], calls, message.get("reasoning_content"))
        self.messages.append(said)
        return said

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
    """The sub-sessions of one episode by key, which of them has the floor (""), and the main calls that wait for it."""

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


def enter(context: ToolContext, session: SubSession) -> ToolOutcome:
    """Give a session the floor."""
    if session.sandbox == "require":
        session.before = context.workspace.snapshot()
    session.status, session.ended, session.answer = "running", False, ""
    book_of(context).floor = session.key
    return ToolOutcome("", success=True, session=session.key)


def leave(context: ToolContext, answer: str) -> ToolOutcome:
    """Take the floor back from the session that has it; its answer is the outcome of the call that waits."""
    session = _end(context, "done")
    session.answer = answer
    about = {"status": "completed", "sessionKey": session.key, "label": session.label, "result": answer}
    return ToolOutcome(json.dumps(about, ensure_ascii=False), success=True)


def cut_off(context: ToolContext) -> ToolOutcome:
    """End the session that has the floor although it did not answer."""
    session = _end(context, "cut")
    about = {"status": "cut", "sessionKey": session.key, "error": "the episode ended before it answered"}
    return ToolOutcome(json.dumps(about), success=False, error="cut")


def _end(context: ToolContext, status: str) -> SubSession:
    book = book_of(context)
    session = book.sessions[book.floor]
    session.status, book.floor = status, ""
    if session.before is not None:
        context.workspace.restore(session.before)
        session.before = None
        context.state.pop("processes", None)  # those that it started went with its copy
    return session


def since_last_spoken(messages: Sequence[Message], inherited: int = 0) -> list[Message]:
    """Return the messages after the agent's last own one; all of them when it has not spoken yet."""
    for index in range(len(messages) - 1, inherited - 1, -1):
        if messages[index]["role"] == "assistant":
            return list(messages[index + 1 :])
    return list(messages)
