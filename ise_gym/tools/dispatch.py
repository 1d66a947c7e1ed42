"""From a model's tool call to a tool message, whatever the model wrote.

Whatever is wrong with a call comes back as a failed tool message from which the model can mend it; only a
dead sandbox (`WorkspaceError`) is let through, since that is not the model's doing.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from typing import Any

from ise_gym.errors import nearest
from ise_gym.messages import Message, ToolCall, ToolSchema, tool_result
from ise_gym.parsing import CALL_OPEN, INVALID_TOOL_CALL, explain_invalid, finite_float, refuse_constant
from ise_gym.tools import get_tools
from ise_gym.tools.base import ToolContext, ToolOutcome
from ise_gym.tools.output import failure
from ise_gym.tools.schema import argument_problems
from ise_gym.tools.session import count_call
from ise_gym.workspace.base import Workspace


class Toolbox:
    """The tools of one episode, bound to its workspace.

    Args:
        names: which tools are offered, in the order in which the model sees them.
        workspace: where they run.

    Raises:
        UserError: a name is no tool.
    """

    def __init__(self, names: Iterable[str], workspace: Workspace) -> None:
        self._tools = get_tools(names)
        self._context = ToolContext(workspace)

    @property
    def schemas(self) -> list[ToolSchema]:
        """What the model is told."""
        return [tool.schema for tool in self._tools.values()]

    @property
    def state(self) -> dict[str, Any]:
        """The tools' per-episode state: picklable, to be saved and set with an episode's snapshot."""
        return self._context.state

    def reset(self, workspace: Workspace, state: Mapping[str, Any] | None = None) -> None:
        """Start a new episode in a workspace, with fresh state unless some is handed in."""
        self._context = ToolContext(workspace, dict(state or {}))

    def call(self, tool_call: ToolCall) -> Message:
        """Run one call and return the tool message that answers it.

        Raises:
            WorkspaceError: the sandbox failed.
        """
        name = tool_call["function"]["name"]
        outcome = self.outcome(name, tool_call["function"]["arguments"])
        return tool_result(
            tool_call["id"], name, outcome.content, success=outcome.success, exit_code=outcome.exit_code
        )

    def outcome(self, name: str, arguments: str) -> ToolOutcome:
        """Run a tool by name with arguments as JSON text; `call` without the message around it."""
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
        tool = self._tools.get(name)
        if tool is None:
            offered = ", ".join(self._tools)
            hint = nearest(name, self._tools)
            return failure(f"Unknown tool '{name[:80]}'.{hint} Available: {offered}.", "unknown_tool")
        try:
            values = _decode(arguments)
        except (ValueError, RecursionError) as error:
            return failure(f"{name}: the arguments are not a JSON object: {_reason(error)}", "bad_json")
        if problems := argument_problems(tool.schema["function"]["parameters"], values):
            return failure(f"{name}: bad arguments: {'; '.join(problems)}", "bad_arguments")
        return tool.run(self._context, values)


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
