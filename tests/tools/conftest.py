"""Where pytest finds the fixtures of `tool_fixtures`, which mypy reads: two files can't both be `conftest` to it."""

from tools.tool_fixtures import call, idle_call, live_workspace, workspace

__all__ = ["call", "idle_call", "live_workspace", "workspace"]
