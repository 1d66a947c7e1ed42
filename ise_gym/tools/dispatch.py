"""From a model's tool call to a tool message, whatever the model wrote.

Whatever is wrong with a call comes back as a failed tool message from which the model can mend it; only a
dead sandbox (`WorkspaceError`) is let through, since that is not the model's doing.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from ise_gym.errors import nearest
from ise_gym.messages import Message, ToolCall, ToolSchema, tool_calls_of, tool_result
from ise_gym.models.parsing import (
    CALL_OPEN,
    INVALID_TOOL_CALL,
    explain_invalid,
    finite_float,
    refuse_constant,
)
from ise_gym.tools import get_tools
from ise_gym.tools.base import ToolContext, ToolOutcome
from ise_gym.tools.delegation.instructed import follow
from ise_gym.tools.delegation.subsessions import SessionBook, SubSession, book_of, cut_off, leave
from ise_gym.tools.delegation.tools import MAIN_ONLY, OPENERS
from ise_gym.tools.output import failure, os_failure
from ise_gym.tools.processes.process import registry
from ise_gym.tools.schema import argument_problems
from ise_gym.tools.session_status import count_call
from ise_gym.workspace.base import Workspace

Worker = Callable[[SubSession], Message | None]
"""Says the next message of a sub-session; None when there is none, which cuts it off."""


class Toolbox:
    """The tools of one episode, bound to its workspace.

    Args:
        names: which tools are offered, in the order in which the model sees them.
        workspace: where they run.
        worker: plays the sub-sessions that `call` opens; by default one that runs the commands quoted in its task. (An
            episode lets its own agent play them, through `begin` and `speak`.)

    Raises:
        UserError: a name is no tool.
    """

    def __init__(self, names: Iterable[str], workspace: Workspace, worker: Worker | None = None) -> None:
        self._tools = get_tools(names)
        self._context = ToolContext(workspace)
        self.worker: Worker = worker or (lambda session: follow(session.messages))

    @property
    def schemas(self) -> list[ToolSchema]:
        """What the model is told in the main session."""
        return [tool.schema for tool in self._tools.values()]

    @property
    def offered(self) -> list[ToolSchema]:
        """What the model is told in the session that has the floor; a sub-session can't delegate again."""
        if not self.sessions.floor:
            return self.schemas
        return [schema for schema in self.schemas if schema["function"]["name"] not in MAIN_ONLY]

    @property
    def sessions(self) -> SessionBook:
        """The sub-sessions of the episode; part of `state`."""
        return book_of(self._context)

    @property
    def state(self) -> dict[str, Any]:
        """The tools' per-episode state: picklable, to be saved and set with an episode's snapshot."""
        return self._context.state

    def reset(
        self,
        workspace: Workspace,
        state: Mapping[str, Any] | None = None,
        transcript: Sequence[Message] = (),
    ) -> None:
        """Start a new episode in a workspace.

        Args:
            workspace: where it plays.
            state: a saved episode's `state`; fresh without.
            transcript: the main conversation, a list that grows as it goes on.
        """
        self._context = ToolContext(workspace, dict(state or {}), transcript)

    def show(self, transcript: Sequence[Message]) -> None:
        """Set the main conversation as it is now, where it doesn't grow by itself."""
        self._context.transcript = transcript

    def ran_in_background(self) -> bool:
        """Look after the background processes; returns whether one ran at the last look."""
        return registry(self._context).look(self._context.workspace)

    def call(self, tool_call: ToolCall) -> Message:
        """Run one call and return the tool message that answers it; a sub-session that it opens is played to its end.

        Raises:
            WorkspaceError: the sandbox failed.
        """
        name = tool_call["function"]["name"]
        outcome = self.outcome(name, tool_call["function"]["arguments"])
        return answered(tool_call, outcome)

    def outcome(self, name: str, arguments: str) -> ToolOutcome:
        """Run a tool by name with arguments as JSON text; `call` without the message around it."""
        outcome = self._begun(name, arguments)
        while outcome.session:
            said = self.worker(self.sessions.sessions[outcome.session])
            ended = cut_off(self._context) if said is None else self.speak(said)
            outcome = outcome if ended is None else ended
        return outcome

    def begin(self, tool_call: ToolCall) -> Message | None:
        """Run one call; None when it opened a sub-session, which now has the floor and is `speak`'s to play.

        Raises:
            WorkspaceError: the sandbox failed.
        """
        if tool_call["function"]["name"] not in OPENERS:
            return self.call(tool_call)
        outcome = self._begun(tool_call["function"]["name"], tool_call["function"]["arguments"])
        if outcome.session:
            self.sessions.sessions[outcome.session].opened_by.append(tool_call["id"])
            return None
        return answered(tool_call, outcome)

    def speak(
        self, message: Message, on_call: Callable[[ToolCall, Message], None] | None = None
    ) -> ToolOutcome | None:
        """Play one assistant message in the session that has the floor.

        Args:
            message: what the agent said there.
            on_call: told of each call and its result.

        Returns:
            None while the session goes on; when it ended, the outcome of the call that had opened it.

        Raises:
            WorkspaceError: the sandbox failed.
        """
        session = self.sessions.sessions[self.sessions.floor]
        said = session.add_spoken(message)
        for call in tool_calls_of(said):
            result = self.call(call)
            session.messages.append(result)
            if on_call is not None:
                on_call(call, result)
        if session.ended:
            return leave(self._context, session.answer or said["content"])
        return None if said.get("tool_calls") else leave(self._context, said["content"])

    def cut_off(self) -> ToolOutcome:
        """End the session that has the floor without an answer; the outcome of the call that had opened it."""
        return cut_off(self._context)

    def _begun(self, name: str, arguments: str) -> ToolOutcome:
        outcome = self._outcome(name, arguments)
        count_call(self._context, name if name in self._tools else "unknown", outcome.success)
        return outcome

    def _outcome(self, name: str, arguments: str) -> ToolOutcome:
        if name == INVALID_TOOL_CALL and arguments.startswith(CALL_OPEN):
            return failure(
                f"The tool call could not be read: {explain_invalid(arguments)}. Write "
                '<tool_call>{"name": "…", "arguments": {…}}</tool_call> with valid JSON inside.',
                "bad_call",
            )
        names = [schema["function"]["name"] for schema in self.offered]
        tool = self._tools.get(name) if name in names else None
        if tool is None:
            offered = ", ".join(names)
            hint = nearest(name, names)
            return failure(f"Unknown tool '{name[:80]}'.{hint} Available: {offered}.", "unknown_tool")
        try:
            values = _decode(arguments)
        except (ValueError, RecursionError) as error:
            return failure(f"{name}: the arguments are not a JSON object: {_reason(error)}", "bad_json")
        if problems := argument_problems(tool.schema["function"]["parameters"], values):
            return failure(f"{name}: bad arguments: {'; '.join(problems)}", "bad_arguments")
        try:
            return tool.run(self._context, values)
        except (
            OSError
        ) as error:  # of the box: no room for another process, or more files than a snapshot holds
            return os_failure(name, "the workspace", error)


def answered(tool_call: ToolCall, outcome: ToolOutcome) -> Message:
    """Build the tool message that answers a call with an outcome."""
    return tool_result(
        tool_call["id"],
        tool_call["function"]["name"],
        outcome.content,
        success=outcome.success,
        exit_code=outcome.exit_code,
    )


def _decode(arguments: str) -> dict[str, Any]:
    """Decode a call's arguments; empty text means none, as some servers send it.

    Raises:
        ValueError: broken JSON, not an object, or text that is no valid Unicode.
    """
    if not arguments.strip():
        return {}
    values = json.loads(arguments, parse_float=finite_float, parse_constant=refuse_constant)
    if not isinstance(values, dict):
        raise ValueError(f"found {type(values).__name__}")
    json.dumps(values, ensure_ascii=False).encode("utf-8")
    return values


def _reason(error: ValueError | RecursionError) -> str:
    match error:
        case json.JSONDecodeError():
            return f"{error.msg} at character {error.pos + 1}"
        case UnicodeEncodeError():
            return "a string holds an unpaired surrogate, which is no character"
        case RecursionError():
            return "nested too deeply"
        case _:
            return str(error)[:200]
