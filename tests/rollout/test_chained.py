"""Intents whose later task works on an earlier one's product: the expert passes all checks in the live env."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, cast

import gymnasium
import pytest

import ise_gym  # noqa: F401  (registers the env)
from ise_gym.agents import make_agent
from ise_gym.agents.base import Agent
from ise_gym.errors import UserError
from ise_gym.intents.source import IntentSource
from ise_gym.rollout.play import play_episode
from ise_gym.scenario import Scenario
from ise_gym.workspace import open_workspace

PAIRS = (
    ("code-runtime/tiny-script", "source-chain/commit-file"),
    ("code-runtime/sqlite-report", "comms-social/send-file"),
    ("file-io/csv-to-json", "file-io/back-up-file"),
    ("multimedia/svg-poster", "system-infrastructure/publish-file"),
    ("system-infrastructure/disk-report", "automation-flow/hand-over-package"),
    ("automation-flow/config-template", "agent-memory/remember-file"),
)


@pytest.fixture(scope="module")
def env() -> Iterator[Any]:
    try:
        open_workspace("auto").close()
    except UserError as problem:
        pytest.skip(f"no sandbox on this machine: {problem}")
    made = gymnasium.make("ISE-OS-v0")
    yield made
    made.close()


def chained(maker: str, taker: str, count: int) -> list[Scenario]:
    source = IntentSource(tasks=[maker, taker], tasks_per_intent=2)
    scenarios = (source.scenario(seed) for seed in range(60))
    return [scenario for scenario in scenarios if "chained" in scenario.metadata][:count]


@pytest.mark.parametrize(("maker", "taker"), PAIRS)
def test_the_expert_passes_what_is_chained(env: Any, maker: str, taker: str) -> None:
    agent = cast(Agent, make_agent("expert"))  # type: ignore[redundant-cast]
    scenarios = chained(maker, taker, 2)
    assert len(scenarios) == 2
    for scenario in scenarios:
        assert scenario.tasks == (maker, taker)
        (made,) = scenario.metadata["chained"][taker].values()
        assert made.startswith(scenario.metadata["roots"][maker] + "/")
        asked = [request.text for request in scenario.requests if request.task == taker]
        assert made in asked[0]
        played = play_episode(env, agent, scenario, 0)
        assert (played.outcome, played.score) == ("passed", 1.0), played.subgoals


def test_makers_and_takers_of_the_catalog_meet_often_enough() -> None:
    source = IntentSource()
    takers = [task for task in source.sampler.tasks if task.model.inputs]
    makers = [task for task in source.sampler.tasks if task.model.outputs]
    assert len(takers) >= 6 and len(makers) >= 12
    met = sum(any(pick.links for pick in source.sampler.blueprint(seed).picks) for seed in range(600))
    assert met >= 12
