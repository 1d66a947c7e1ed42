"""The workspace's tests run on every backend, see `sandboxes`."""

from sandboxes import box, bubble, daemon, jail, pool, pytest_terminal_summary

__all__ = ["box", "bubble", "daemon", "jail", "pool", "pytest_terminal_summary"]
