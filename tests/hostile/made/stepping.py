"""Measures the processor time that the harness spends on one reply."""

from __future__ import annotations

import time
from functools import cache

from ise_gym.episode.episode import Episode
from ise_gym.messages import assistant
from ise_gym.scenario import Scenario
from ise_gym.simulator import make_user
from ise_gym.tools.dispatch import Toolbox
from ise_gym.workspace.backends.dummy import DummyWorkspace
from made_scenarios import make_scenario


@cache
def _scenario() -> Scenario:
    return make_scenario()


def fresh(scenario: Scenario | None = None) -> Episode:
    """Start an episode without a sandbox: everything that is measured is the harness."""
    scenario, workspace = scenario or _scenario(), DummyWorkspace()
    episode = Episode(scenario, workspace, Toolbox(scenario.tools, workspace), make_user("scripted", True), 7)
    episode.start(scenario.system_prompt)
    return episode


def step_seconds(text: str) -> float:
    """Return the processor seconds of handing over with a reply."""
    episode = fresh()
    begun = time.process_time()
    episode.act(assistant(text))
    return time.process_time() - begun
