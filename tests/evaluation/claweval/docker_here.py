"""A dockerd for the harness's tests: the one that is there, or one of their own."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest


@contextmanager
def dockerd() -> Iterator[None]:
    """Have a daemon that works while the context is open; skips loudly, or fails where docker is required."""
    required = "docker" in os.environ.get("ISE_REQUIRE_BACKENDS", "")
    refuse = pytest.fail if required else pytest.skip
    if os.environ.get("ISE_START_DOCKERD") != "1":
        from ise_gym.workspace import self_check

        check = self_check("docker")
        if not check.ok:
            refuse(
                f"--sandbox docker is NOT tested: {check.message} ISE_START_DOCKERD=1 starts a daemon of its own."
            )
        yield
        return
    sys.path.append(str(Path(__file__).parents[2] / "workspace"))
    from own_dockerd import Daemon, NoDaemon

    try:
        daemon = Daemon()
    except NoDaemon as problem:
        refuse(f"--sandbox docker is NOT tested: {problem}")
    try:
        yield
    finally:
        daemon.stop()
