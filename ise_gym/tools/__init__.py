"""E: what an agent may call, on top of a workspace.

Each module holds one family of tools; here they are found by name.
"""

from __future__ import annotations

from collections.abc import Iterable

from ise_gym.errors import UserError, nearest
from ise_gym.messages import ToolSchema
from ise_gym.registry import Registered
from ise_gym.tools.base import Tool
from ise_gym.tools.schema import schema_hash

TOOLS: Registered[Tool] = Registered("tool")
"""Every tool there is, by name; see `ise_gym.registry`."""


def get_tools(names: Iterable[str]) -> dict[str, Tool]:
    """Return the named tools, in the order given.

    Raises:
        UserError: a name is not a tool.

    >>> list(get_tools(["read", "exec"]))
    ['read', 'exec']
    """
    found: dict[str, Tool] = {}
    for name in names:
        if name not in TOOLS:
            raise UserError(
                f"There is no tool '{name}'.{nearest(name, TOOLS)} Known tools: {', '.join(TOOLS)}."
            )
        tool = TOOLS[name]
        found[tool.name] = tool  # one's own is looked up as module:Name and called by its own name
    return found


def tool_schemas(names: Iterable[str]) -> list[ToolSchema]:
    """Return the schemas of the named tools, in the order given.

    Raises:
        UserError: a name is not a tool.
    """
    return [tool.schema for tool in get_tools(names).values()]


__all__ = ["TOOLS", "Tool", "get_tools", "schema_hash", "tool_schemas"]
