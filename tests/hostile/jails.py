"""The fixtures of hostile tests that need a box: the backends that isolate, see `sandboxes`."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import gymnasium as gym
import pytest

from ise_gym.workspace import Limits
from sandboxes import ISOLATED, bubble, daemon, jail, pool

__all__ = ["bubble", "daemon", "hostile_env", "jail", "pool"]
LIMITS = Limits(memory_mb=256, disk_mb=64, processes=64, command_timeout_s=10.0)


@pytest.fixture(params=ISOLATED)
def hostile_env(request: pytest.FixtureRequest, pool: Any) -> Iterator[gym.Env]:
    """An env whose boxes are small."""
    pool.get(request.param)  # skips where the backend can't run
    made = gym.make("ISE-OS-v0", backend=request.param, limits=LIMITS)
    yield made
    made.close()
