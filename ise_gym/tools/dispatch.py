"""From a model's tool call to a tool message, whatever the model wrote.

Whatever is wrong with a call comes back as a failed tool message from which the model can fix it; only a
dead sandbox (`WorkspaceError`) is let through, since that is not the model's doing.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from typing import Any

from ise_gym.errors import nearest
from ise_gym.foreign.values import Json
from ise_gym.messages import MAIN_ONLY, Message, ToolCall, ToolSchema, tool_result
from ise_gym.models.parsing import (
    CALL_OPEN,
    INVALID_TOOL_CALL,
    explain_invalid,
    finite_float,
    refuse_constant,
)
from ise_gym.tools import get_tools
from ise_gym.tools.base import Tool, ToolContext, ToolOutcome
from ise_gym.tools.delegation.subsessions import SessionBook, SubSession, book_of
from ise_gym.tools.output import failure, os_failure
from ise_gym.tools.processes.process import registry
from ise_gym.tools.schema import argument_problems, without_blanks
from ise_gym.tools.session_status import count_call
from ise_gym.workspace.base import Workspace

LONGEST_CALL_SHOWN = 300
"""Characters of a call that an answer to an unknown tool repeats."""


class Toolbox:
    """The tools of one episode, bound to its workspace.

    Args:
        names: which tools are offered, in the order in which the model sees them.
        workspace: where they run.

    Attributes:
        broken_calls: how many calls since `reset` no tool could run (unreadable, unknown, wrong arguments).

    Raises:
        UserError: a name is not a tool.
    """

    def __init__(self, names: Iterable[str], workspace: Workspace) -> None:
        self._tools = get_tools(names)
        self._context = ToolContext(workspace)
        self.broken_calls = 0

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
    def workspace(self) -> Workspace:
        """Where the tools run."""
        return self._context.workspace

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
        state: dict[str, Json] | None = None,
        transcript: Sequence[Message] = (),
    ) -> None:
        """Start a new episode in a workspace.

        Args:
            workspace: where it plays.
            state: the tools' state to go on with, which they change; fresh without.
            transcript: the main conversation, a list that grows as it goes on.
        """
        self._context = ToolContext(workspace, {} if state is None else state, transcript)
        self.broken_calls = 0

    def show(self, transcript: Sequence[Message]) -> None:
        """Set the main conversation as it is now, where it doesn't grow by itself."""
        self._context.transcript = transcript

    def ran_in_background(self) -> bool:
        """Look after the background processes; returns whether one ran at the last look."""
        return registry(self._context).look(self._context.workspace)

    def call(self, tool_call: ToolCall) -> Message | SubSession:
        """Run one call and return the tool message that answers it.

        A call that delegates gives the sub-session whose answer will be the call's; `ise_gym.episode.floor.Floor` lets
        it speak.

        Raises:
            WorkspaceError: the sandbox failed.
        """
        function = tool_call["function"]
        outcome = self.outcome(function["name"], function["arguments"])
        if outcome.session:
            return self.sessions.sessions[outcome.session]
        return answered(tool_call, outcome)

    def outcome(self, name: str, arguments: str) -> ToolOutcome:
        """Run a tool by name with arguments as JSON text; `call` without the message around it."""
        outcome = self._outcome(name, arguments)
        count_call(self._context, name if name in self._tools else "unknown", outcome.success)
        return outcome

    def _outcome(self, name: str, arguments: str) -> ToolOutcome:
        if name == INVALID_TOOL_CALL and arguments.startswith(CALL_OPEN):
            return self._broken(
                f"The tool call could not be read: {explain_invalid(arguments)}. Write "
                '<tool_call>{"name": "…", "arguments": {…}}</tool_call> with valid JSON inside.',
                "bad_call",
            )
        names = [schema["function"]["name"] for schema in self.offered]
        tool = self._tools.get(name) if name in names else None
        if tool is None:
            offered = ", ".join(names)
            hint = nearest(name, names)
            text = f"Unknown tool '{name[:80]}'.{hint} Available: {offered}."
            if not hint:
                text = f"{text} {self._perhaps(names, arguments)}".rstrip()
            return self._broken(text, "unknown_tool")
        try:
            values = _decode(arguments)
        except (ValueError, RecursionError) as error:
            text = f"{name}: the arguments are not a JSON object: {_reason(error)}"
            return self._broken(f"{text}. {_right_call(tool)}", "bad_json")
        parameters = tool.schema["function"]["parameters"]
        values = without_blanks(parameters, values)
        if problems := argument_problems(parameters, values):
            text = f"{name}: bad arguments: {'; '.join(problems)}"
            return self._broken(f"{text.rstrip('.')}. {_right_call(tool)}", "bad_arguments")
        try:
            return tool.run(self._context, values)
        except (
            OSError
        ) as error:  # of the box: no room for another process, or more files than a snapshot holds
            return os_failure(name, "the workspace", error)

    def _perhaps(self, names: Sequence[str], arguments: str) -> str:
        """Return a right call for one of an unknown tool: the tool that takes its very arguments, else an example."""
        try:
            values = _decode(arguments)
        except (ValueError, RecursionError):
            values = {}
        fitting = []
        for name in names if values else ():
            parameters = self._tools[name].schema["function"]["parameters"]
            given = without_blanks(parameters, values)
            if given and not argument_problems(parameters, given):
                fitting.append(f"{name} {json.dumps(given, ensure_ascii=False)}")
        if len(fitting) == 1 and len(fitting[0]) <= LONGEST_CALL_SHOWN:
            return f"Perhaps you mean: {fitting[0]}"
        usual = self._tools.get("exec" if "exec" in names else next(iter(names), ""))
        return _right_call(usual) if usual else ""

    def _broken(self, content: str, error: str) -> ToolOutcome:
        self.broken_calls += 1
        return failure(content, error)


def _right_call(tool: Tool) -> str:
    """Return a line that shows a right call: a weak model learns more from it than from a rule."""
    parameters = tool.schema["function"]["parameters"]
    example = tool.example or {
        name: "…" if parameters["properties"][name].get("type") == "string" else 1
        for name in parameters.get("required", ())
    }
    return f"For example: {tool.name} {json.dumps(example, ensure_ascii=False)}"


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
        ValueError: broken JSON, not an object, or text that is not valid Unicode.
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
