"""Who speaks next: the main session, or one that it delegated to.

While a sub-session goes on it *has the floor*: the agent's messages belong to it, and the call that opened it waits,
with those behind it. When it answers without a tool call the floor returns, and the answer becomes the call's result.
One at a time, one level deep: so an episode stays one line of messages that can be recorded, replayed and forked,
whoever acts.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence

from ise_gym.episode.spoken import spoken
from ise_gym.messages import Message, ToolCall, ToolSchema, tool_calls_of
from ise_gym.tools.base import ToolOutcome
from ise_gym.tools.delegation.instructed import follow
from ise_gym.tools.delegation.subsessions import MAIN, SessionBook, SubSession
from ise_gym.tools.dispatch import Toolbox, answered
from ise_gym.tools.output import os_failure

NOT_RUN = "not run: the episode ended before it"
"""What answers a call that waited for a sub-session which the end of the episode cut off."""

Worker = Callable[[SubSession], Message | None]
"""Says the next message of a sub-session; None when there is none, which cuts it off."""

Noted = Callable[[ToolCall, Message], None]
"""Is told of each call and its result."""


class Floor:
    """Gives the floor to the sub-sessions that a toolbox's calls open, and takes it back.

    Args:
        toolbox: the tools; its `sessions` say who has the floor, so that it is saved with them.
        worker: speaks in the sub-sessions that `play` comes upon; by default one that runs the commands quoted in the
            task. (An episode lets its own agent speak, through `open` and `say`.)
    """

    def __init__(self, toolbox: Toolbox, worker: Worker | None = None) -> None:
        self._toolbox = toolbox
        self._worker: Worker = worker or (lambda session: follow(session.messages))

    @property
    def speaking(self) -> SubSession | None:
        """The sub-session that has the floor; None while the main session has it."""
        return self._book.speaking

    @property
    def key(self) -> str:
        """Key of the session that has the floor."""
        return self._book.floor or MAIN

    @property
    def offered(self) -> list[ToolSchema]:
        """The tools that are offered where the floor is."""
        return list(self._toolbox.offered)

    @property
    def sessions(self) -> list[SubSession]:
        """All sub-sessions, oldest first."""
        return list(self._book.sessions.values())

    def open(self, calls: Sequence[ToolCall]) -> Message | None:
        """Run the first of some main calls.

        Returns:
            The message that answers it; None when it opened a sub-session: that one has the floor now, and all the
            calls wait for it.

        Raises:
            WorkspaceError: the sandbox failed.
        """
        answer = self._toolbox.call(calls[0])
        if not isinstance(answer, SubSession):
            return answer
        try:
            self._give(answer)
        except OSError as error:  # more files than a snapshot holds
            name = calls[0]["function"]["name"]
            return answered(calls[0], os_failure(name, "the workspace", error))
        answer.opened_by.append(calls[0]["id"])
        self._book.waiting = list(calls)
        return None

    def say(self, message: Message, noted: Noted | None = None) -> ToolOutcome | None:
        """Play one assistant message in the sub-session that has the floor.

        Returns:
            None while the session goes on; when it ended, the outcome of the call that had opened it.

        Raises:
            WorkspaceError: the sandbox failed.
        """
        session = self._book.sessions[self._book.floor]
        said = spoken(message, f"{session.key.partition(':')[2]}_call_", session.calls)
        calls = tool_calls_of(said)
        session.calls += len(calls)
        session.messages.append(said)
        for call in calls:
            result = self._toolbox.call(call)
            assert not isinstance(result, SubSession), "a sub-session is not offered the tools that delegate"
            session.messages.append(result)
            if noted is not None:
                noted(call, result)
        if session.ended:
            return self._answer(session.answer or said["content"])
        return None if calls else self._answer(said["content"])

    def cut_off(self) -> ToolOutcome:
        """End the session that has the floor although it did not answer; returns the outcome of the call that waits."""
        session = self._take("cut")
        about = {"status": "cut", "sessionKey": session.key, "error": "the episode ended before it answered"}
        return ToolOutcome(json.dumps(about), success=False, error="cut")

    def take_waiting(self) -> list[ToolCall]:
        """Return the main calls that waited for the sub-session that has ended: its opener, then those behind it."""
        waiting, self._book.waiting = self._book.waiting, []
        return waiting

    def play(self, call: ToolCall) -> Message:
        """Run one main call; a sub-session that it opens is played to its end by the worker.

        Raises:
            WorkspaceError: the sandbox failed.
        """
        if (answer := self.open([call])) is not None:
            return answer
        outcome: ToolOutcome | None = None
        while outcome is None:
            session = self._book.sessions[self._book.floor]
            said = self._worker(session)
            outcome = self.cut_off() if said is None else self.say(said)
        self.take_waiting()
        return answered(call, outcome)

    @property
    def _book(self) -> SessionBook:
        return self._toolbox.sessions

    def _give(self, session: SubSession) -> None:
        if session.sandbox == "require":
            session.before = self._toolbox.workspace.snapshot()
        session.status, session.ended, session.answer = "running", False, ""
        self._book.floor = session.key

    def _answer(self, answer: str) -> ToolOutcome:
        session = self._take("done")
        session.answer = answer
        about = {"status": "completed", "sessionKey": session.key, "label": session.label, "result": answer}
        return ToolOutcome(json.dumps(about, ensure_ascii=False), success=True)

    def _take(self, status: str) -> SubSession:
        book = self._book
        session = book.sessions[book.floor]
        session.status, book.floor = status, ""
        if session.before is not None:
            self._toolbox.workspace.restore(session.before)
            session.before = None
            self._toolbox.state.pop("processes", None)  # those that it started went with its copy
        return session
