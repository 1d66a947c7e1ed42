"""E: what an agent may call, on top of a workspace.

Each module holds one family of tools; here they are found by name.
"""

from __future__ import annotations

from collections.abc import Iterable

from ise_gym.errors import UserError, nearest
from ise_gym.messages import ToolSchema
from ise_gym.tools.base import Tool
from ise_gym.tools.cron import CRON
from ise_gym.tools.delegation.tools import (
    SESSIONS_HISTORY,
    SESSIONS_LIST,
    SESSIONS_SEND,
    SESSIONS_SPAWN,
    SESSIONS_YIELD,
    SUBAGENTS,
)
from ise_gym.tools.files.apply_patch import APPLY_PATCH
from ise_gym.tools.files.edit import EDIT
from ise_gym.tools.files.read_write import READ, WRITE
from ise_gym.tools.memory import MEMORY_GET, MEMORY_SEARCH
from ise_gym.tools.plan import UPDATE_PLAN
from ise_gym.tools.processes.process import PROCESS
from ise_gym.tools.processes.shell import EXEC
from ise_gym.tools.schema import schema_hash
from ise_gym.tools.session_status import SESSION_STATUS
from ise_gym.tools.tts import TTS
from ise_gym.tools.web.tools import WEB_FETCH, WEB_SEARCH

TOOLS: dict[str, Tool] = {
    tool.name: tool
    for tool in (
        EXEC,
        READ,
        WRITE,
        EDIT,
        PROCESS,
        APPLY_PATCH,
        UPDATE_PLAN,
        MEMORY_SEARCH,
        MEMORY_GET,
        SESSION_STATUS,
        WEB_FETCH,
        WEB_SEARCH,
        CRON,
        TTS,
        SESSIONS_SPAWN,
        SESSIONS_SEND,
        SESSIONS_YIELD,
        SESSIONS_LIST,
        SESSIONS_HISTORY,
        SUBAGENTS,
    )
}
"""Every tool there is, by name."""


def get_tools(names: Iterable[str]) -> dict[str, Tool]:
    """Return the named tools, in the order given.

    Raises:
        UserError: a name is no tool.

    >>> list(get_tools(["read", "exec"]))
    ['read', 'exec']
    """
    found: dict[str, Tool] = {}
    for name in names:
        if name not in TOOLS:
            raise UserError(
                f"There is no tool '{name}'.{nearest(name, TOOLS)} Known tools: {', '.join(TOOLS)}."
            )
        found[name] = TOOLS[name]
    return found


def tool_schemas(names: Iterable[str]) -> list[ToolSchema]:
    """Return the schemas of the named tools, in the order given.

    Raises:
        UserError: a name is no tool.
    """
    return [tool.schema for tool in get_tools(names).values()]


__all__ = ["TOOLS", "Tool", "get_tools", "schema_hash", "tool_schemas"]
