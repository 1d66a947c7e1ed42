"""Nothing is left of an episode's jobs: memory, descriptors, mounts and processes stay as they are."""

from __future__ import annotations

# Fixtures are imported by name, since the folders of tests are no packages.
# ruff: noqa: F811
from dataclasses import replace

import gymnasium as gym
import pytest
from jails import daemon, hostile_env, pool  # noqa: F401
from made.leaking import JOBS, SPARE, grown, held, resets

RESETS = 42


def test_resets_with_running_jobs_leave_nothing(hostile_env: gym.Env) -> None:
    early = None
    for number in resets(hostile_env, RESETS + 1):
        if number == 2 * len(JOBS):
            early = held()
    assert early is not None
    hostile_env.reset(seed=1)
    late = held()
    assert grown(early, late) == []
    hostile_env.close()
    assert held().descriptors < late.descriptors


@pytest.mark.parametrize("name", ["descriptors", "threads", "mounts", "processes", "cgroups"])
def test_one_more_is_a_leak(name: str) -> None:
    now = held()
    assert grown(now, now) == []
    assert grown(now, replace(now, **{name: getattr(now, name) + 1 + SPARE.get(name, 0)}))[0].startswith(name)
    assert grown(now, replace(now, memory_mb=now.memory_mb * 1.1 + 21))
