"""What a tool is: a schema that the model sees and a function that runs in a workspace."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from ise_gym.messages import Message, ToolSchema
from ise_gym.workspace.base import Workspace


@dataclass(frozen=True)
class ToolOutcome:
    """What a call gave: the text the model reads, and the truth about it.

    Attributes:
        content: what goes into the tool message.
        success: False for a non-zero exit, a timeout, a missing file, a bad argument: any failure.
        exit_code: the real exit status where a process ran, else None.
        error: a short machine-readable kind for failures ("exit", "timeout", "not_found", "bad_arguments", …).
        session: key of a sub-session that has to speak before the call is answered; the rest is then not valid yet.
    """

    content: str
    success: bool
    exit_code: int | None = None
    error: str = ""
    session: str = ""


@dataclass
class ToolContext:
    """What a tool may touch: the workspace, its own per-episode state (e.g. process offsets), the main conversation."""

    workspace: Workspace
    state: dict[str, Any] = field(default_factory=dict)
    transcript: Sequence[Message] = ()


@dataclass(frozen=True)
class Tool:
    """One tool: its OpenAI schema and its implementation.

    ``run`` gets arguments that already passed the JSON schema: a mapping, or a TypedDict that says what the schema
    does. It returns a `ToolOutcome` for everything that can go wrong *inside* the box and lets `WorkspaceError`
    through. ``example`` is a right call's arguments, shown to a model whose call was wrong; the model is not told
    of it before.
    """

    schema: ToolSchema
    run: Callable[[ToolContext, Any], ToolOutcome]
    example: Mapping[str, Any] = field(default_factory=dict)

    @property
    def name(self) -> str:
        """The name the model calls it by."""
        return self.schema["function"]["name"]
