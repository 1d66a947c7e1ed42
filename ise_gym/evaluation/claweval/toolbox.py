"""A task's own tools as the tools of an episode: called through the benchmark's dispatcher, noted for its grader.

The benchmark sends arguments to a service as they come and lets the service refuse them; so do these tools, since a
refused call is part of what graders look at.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, ExitStack
from typing import Any

from ise_gym.errors import WorkspaceError
from ise_gym.evaluation.claweval.benchmark import Upstream
from ise_gym.evaluation.claweval.definition import Definition
from ise_gym.evaluation.claweval.sandbox import URL, SandboxApp
from ise_gym.evaluation.claweval.services.broken import ToolSpec
from ise_gym.foreign.values import Json
from ise_gym.messages import Message, ToolCall, ToolSchema, tool_result
from ise_gym.models.parsing import INVALID_TOOL_CALL
from ise_gym.tools.delegation.subsessions import SubSession
from ise_gym.tools.dispatch import Toolbox
from ise_gym.workspace.base import Workspace

_SHELL = "Bash"


class ClawToolbox(Toolbox):
    """The tools that a task names, and the benchmark's sandbox tools over the episode's workspace.

    Args:
        upstream: the benchmark's code.
        task: its definition.
        trace_id: goes into every dispatch.
        workspace: of the episode.
        serve: serves a workspace as the benchmark's sandbox; None leaves the sandbox tools out.

    Attributes:
        dispatches: the benchmark's record of every call, in order.
        results: call id → the benchmark's result block; ``media``: call id → images that came with it.
    """

    def __init__(
        self,
        upstream: Upstream,
        task: Definition,
        trace_id: str,
        workspace: Workspace,
        serve: Callable[[Workspace], AbstractContextManager[SandboxApp]] | None = None,
    ) -> None:
        super().__init__((), workspace)
        self._upstream, self._trace_id, self._serve = upstream, trace_id, serve
        self._held = ExitStack()
        self._sandbox: SandboxApp | None = None
        http = upstream.ToolDispatcher(task.get_endpoint_map())
        specs = list(task.tools)
        if serve is None:
            self._dispatcher: Any = http
        else:
            named = {spec.name for spec in specs}
            specs += [spec for spec in upstream.SANDBOX_TOOLS if spec.name not in named]
            self._dispatcher = upstream.SandboxToolDispatcher(http, sandbox_url=URL)
        self._schemas = [_schema(spec) for spec in specs]
        self.dispatches: list[Any] = []
        self.results: dict[str, Any] = {}
        self.media: dict[str, Sequence[Any]] = {}

    @property
    def schemas(self) -> list[ToolSchema]:
        """What the model is told: the task's tools, then the sandbox's."""
        return list(self._schemas)

    def reset(
        self, workspace: Workspace, state: dict[str, Json] | None = None, transcript: Sequence[Message] = ()
    ) -> None:
        """Begin an episode; serve its workspace where the sandbox tools are offered."""
        super().reset(workspace, state, transcript)
        if self._serve is not None and self._sandbox is None:
            self._sandbox = self._held.enter_context(self._serve(workspace))

    def call(self, tool_call: ToolCall) -> Message | SubSession:
        """Dispatch one call as the benchmark does.

        Raises:
            WorkspaceError: the sandbox failed.
        """
        name = tool_call["function"]["name"]
        if name == INVALID_TOOL_CALL:
            return super().call(tool_call)
        use = self._upstream.ToolUseBlock(
            id=tool_call["id"], name=name, input=_object(tool_call["function"]["arguments"])
        )
        result, event, *media = self._dispatcher.dispatch(use, self._trace_id)
        self.require_sandbox()
        self.dispatches.append(event)
        self.results[use.id] = result
        if media and media[0]:
            self.media[use.id] = media[0]
        body = event.response_body
        exit_code = body.get("exit_code") if name == _SHELL and isinstance(body, dict) else None
        text = "\n".join(block.text for block in result.content)
        return tool_result(
            use.id, name, text, success=not result.is_error and not exit_code, exit_code=exit_code
        )

    def require_sandbox(self) -> None:
        """Raise `WorkspaceError` when the sandbox that is being served has broken."""
        if self._sandbox is not None and self._sandbox.broken:
            raise WorkspaceError(self._sandbox.broken)

    def close(self) -> None:
        """Stop serving the workspace and close the benchmark's connections.

        Raises:
            WorkspaceError: the sandbox broke while it was served.
        """
        self._dispatcher.close()
        self._held.close()


def _schema(spec: ToolSpec) -> ToolSchema:
    parameters = spec.input_schema or {"type": "object", "properties": {}}
    return {
        "type": "function",
        "function": {"name": spec.name, "description": spec.description, "parameters": parameters},
    }


def _object(arguments: str) -> dict[str, Any]:
    """Decode arguments; what is no JSON object becomes an empty one, as in the benchmark's own client."""
    try:
        values = json.loads(arguments)
    except ValueError:
        return {}
    return values if isinstance(values, dict) else {}
