"""A request that leaves something open: the user answers when it is asked, and a guess is no answer."""

from __future__ import annotations

import gymnasium as gym
import pytest

import ise_gym  # noqa: F401
from ise_gym.agents import make_agent
from ise_gym.agents.expert import CLAIMED, ExpertAgent
from ise_gym.intents.source import IntentSource
from ise_gym.messages import Message, ToolSchema, assistant
from ise_gym.rollout.play import play_episode
from ise_gym.scenario import Scenario
from ise_gym.trajectory.record import Trajectory

ASKS = ("file-io/which-version", "agent-memory/which-fact")
DECLINES = ("system-infrastructure/legal-hold", "file-io/not-in-backup")


class Guesser(ExpertAgent):
    """The expert without its questions: it knows the answer and does not ask."""

    def reset(self, scenario: Scenario, seed: int) -> None:
        """Take the scenario with its questions cut out of the plans."""
        from dataclasses import replace

        requests = tuple(
            replace(r, plan=tuple(s for s in r.plan if not s.asks), reply="Done.") for r in scenario.requests
        )
        super().reset(replace(scenario, requests=requests), seed)


class Nosy:
    """Asks the same thing again and again."""

    name = "nosy"

    def reset(self, scenario: Scenario, seed: int) -> None:
        """Nothing is kept."""

    def act(self, messages: list[Message], tools: list[ToolSchema]) -> Message:
        """Ask."""
        return assistant("Which one do you mean?")

    def describe(self) -> dict[str, str]:
        """Return the name."""
        return {"agent": "nosy"}

    def close(self) -> None:
        """Nothing is held."""


@pytest.fixture(scope="module")
def live() -> gym.Env:
    return gym.make("ISE-OS-v0")


def play(live: gym.Env, agent: object, task: str, seed: int) -> tuple[Scenario, Trajectory]:
    scenario = IntentSource(tasks=[task], tasks_per_intent=1).scenario(seed)
    return scenario, play_episode(live, agent, scenario, seed)  # type: ignore[arg-type]


@pytest.mark.parametrize("task", ASKS)
def test_the_user_answers_and_it_counts_as_a_first_attempt(live: gym.Env, task: str) -> None:
    scenario, record = play(live, make_agent("expert"), task, 3)
    said = [m["content"] for m in record.messages if m["role"] == "user"]
    assert record.outcome == "passed" and record.first_attempt is True
    assert scenario.requests[0].answers[0]["say"] in said[1]


@pytest.mark.parametrize("task", ASKS)
def test_guessing_right_is_not_asking(live: gym.Env, task: str) -> None:
    _, record = play(live, Guesser(), task, 3)
    assert record.outcome == "failed" and not any(record.subgoals.values())


def test_questions_without_end_try_the_users_patience(live: gym.Env) -> None:
    _, record = play(live, Nosy(), ASKS[0], 3)
    said = [m["content"] for m in record.messages if m["role"] == "user"]
    assert record.outcome in ("failed", "truncated") and len(said) <= 8


@pytest.mark.parametrize("task", DECLINES)
def test_declining_passes_and_claiming_does_not(live: gym.Env, task: str) -> None:
    assert play(live, make_agent("expert"), task, 5)[1].first_attempt is True
    record = play(live, make_agent("lazy"), task, 5)[1]
    assert record.outcome == "failed"
    assert CLAIMED in [m["content"] for m in record.messages if m["role"] == "assistant"]


def test_a_careless_expert_only_claims_where_nothing_can_be_left_out(live: gym.Env) -> None:
    outcomes = {play(live, make_agent("expert:0"), DECLINES[0], seed)[1].outcome for seed in range(2)}
    assert outcomes == {"failed"}
