"""The backends of hostile tests are those of the workspace's tests."""

from __future__ import annotations

import importlib.util
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import gymnasium as gym
import pytest

from ise_gym.workspace import Limits

_FOLDER = Path(__file__).parents[1] / "workspace"
if str(_FOLDER) not in sys.path:
    sys.path.append(str(_FOLDER))
_spec = importlib.util.spec_from_file_location("workspace_conftest", _FOLDER / "conftest.py")
assert _spec is not None and _spec.loader is not None
_shared = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(_shared)

LIMITS = Limits(memory_mb=256, disk_mb=64, processes=64, command_timeout_s=10.0)
daemon, pool, jail, bubble = _shared.daemon, _shared.pool, _shared.jail, _shared.bubble


@pytest.fixture(params=_shared.ISOLATED)
def hostile_env(request: pytest.FixtureRequest, pool: Any) -> Iterator[gym.Env]:
    """An env whose boxes are small."""
    pool.get(request.param)  # skips where the backend can't run
    made = gym.make("ISE-OS-v0", backend=request.param, limits=LIMITS)
    yield made
    made.close()
