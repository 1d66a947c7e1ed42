"""Fixtures of every test, and hypothesis' profile."""

from __future__ import annotations

from collections.abc import Iterator

import gymnasium as gym
import pytest
from hypothesis import settings

import ise_gym  # noqa: F401
from ise_gym.errors import UserError
from ise_gym.scenario import Scenario
from ise_gym.workspace import Workspace, open_workspace
from made_scenarios import make_scenario

# A busy machine is no failure: hypothesis' 200 ms deadline would make it one.
settings.register_profile("ise_gym", deadline=None)
settings.load_profile("ise_gym")


@pytest.fixture
def scenario() -> Scenario:
    return make_scenario()


@pytest.fixture
def env() -> Iterator[gym.Env]:
    made = gym.make("ISE-OS-v0")
    yield made
    made.close()


@pytest.fixture(scope="module")
def box() -> Iterator[Workspace]:
    try:
        workspace = open_workspace("auto")
    except UserError as problem:
        pytest.skip(f"no sandbox on this machine: {problem}")
    yield workspace
    workspace.close()
