"""How an attacker acts inside a box: by shell commands and by Python."""

from __future__ import annotations

from ise_gym.workspace import ExecResult, Workspace


def sh(jail: Workspace, command: str, timeout: float = 15.0) -> ExecResult:
    return jail.exec(["/bin/bash", "-c", command], timeout=timeout)


def python(jail: Workspace, code: str, timeout: float = 15.0) -> str:
    """Run Python inside; return what it printed."""
    result = jail.exec(["/usr/bin/python3", "-c", code], timeout=timeout)
    return result.output.decode("utf-8", "replace").strip()
