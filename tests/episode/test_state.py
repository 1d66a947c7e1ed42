"""A snapshot holds all that the rest of an episode depends on."""

from __future__ import annotations

import copy
import pickle
from dataclasses import fields

import pytest

from ise_gym.env import ISEEnv
from ise_gym.episode.budget import used_up
from ise_gym.episode.goals import Goals
from ise_gym.episode.state import EpisodeState
from ise_gym.messages import assistant, tool_call
from ise_gym.scenario import DEFAULT_TOOLS, Budget
from made_scenarios import make_scenario, write

TOOLS = (*DEFAULT_TOOLS, "update_plan", "sessions_spawn")


@pytest.fixture
def env() -> ISEEnv:
    made = ISEEnv(backend="dummy")
    made.reset(seed=1, options={"scenario": make_scenario(tools=TOOLS)})
    made.step(write("greet.txt", "héllo"))
    made.step(assistant("greet.txt is there."))
    plan = {"plan": [{"step": "count", "status": "in_progress"}]}
    made.step(
        assistant("", [tool_call("update_plan", plan), tool_call("sessions_spawn", {"task": "Count."})])
    )
    return made


def test_every_field_comes_back(env: ISEEnv) -> None:
    fresh = EpisodeState(Goals.of(env.episode.scenario))
    saved = pickle.loads(pickle.dumps(env.snapshot()))
    unset = {f.name for f in fields(EpisodeState) if getattr(saved.state, f.name) == getattr(fresh, f.name)}
    assert unset == {"outcome", "reason", "user_events"}, "the episode has set all the others"
    (other,) = env.fork(1)
    for f in fields(EpisodeState):
        if f.name not in ("elapsed_s", "timings"):
            assert getattr(other.episode.state, f.name) == getattr(env.episode.state, f.name), f.name


def test_a_snapshot_shares_nothing_with_what_goes_on(env: ISEEnv) -> None:
    saved = env.snapshot()
    before = copy.deepcopy(saved.state)
    env.step(assistant("", [tool_call("write", {"path": "count.txt", "content": "3"})]))
    env.step(assistant("There are 3."))
    env.step(assistant("Counted."))
    assert env.episode.outcome == "passed" and saved.state == before
    for _ in range(2):
        env.restore(saved)
        assert env.episode.floor == "main:sub" and env.episode.score == 0.5
        env.step(assistant("There are 3."))
        assert saved.state == before


def test_processes_are_not_saved() -> None:
    env = ISEEnv(backend="dummy")
    env.reset(seed=1, options={"scenario": make_scenario()})
    env.step(assistant("", [tool_call("exec", {"command": "echo on", "background": True})]))
    assert "processes" in env.episode.state.tools
    assert "processes" not in env.snapshot().state.tools
    assert "processes" in env.episode.state.tools


def test_the_seconds_of_an_episode_go_on_where_they_stood() -> None:
    env = ISEEnv(backend="dummy")
    env.reset(seed=1, options={"scenario": make_scenario(budget=Budget(seconds=60.0))})
    saved = env.snapshot()
    assert 0 < saved.state.elapsed_s < 60
    saved.state.elapsed_s = 60.0
    env.restore(saved)
    assert (
        env.step(assistant("", [tool_call("exec", {"command": "true"})]))[4]["reason"]
        == "budget of seconds used up"
    )
    assert env.episode.timings.total_s >= 60.0


def test_a_board_that_has_no_sub_goal_left_is_not_begun_anew() -> None:
    env = ISEEnv(backend="dummy")
    env.reset(seed=1, options={"scenario": make_scenario()})
    env.episode.state.goals.verdicts.clear()
    (other,) = env.fork(1)
    assert other.episode.subgoals == {}


@pytest.mark.parametrize(
    ("budget", "name"),
    [
        (Budget(messages=4), "messages"),
        (Budget(tool_calls=3), "tool calls"),
        (Budget(agent_turns=2), "agent turns"),
        (Budget(seconds=5.0), "seconds"),
        (Budget(messages=5, tool_calls=4, agent_turns=3, seconds=5.1), ""),
    ],
)
def test_the_budget_that_is_used_up_is_named(budget: Budget, name: str) -> None:
    counts = {"messages": 3, "tool_calls": 3, "user_turns": 1}
    assert used_up(budget, counts, [assistant("a")], [write("x", "y")], 5.0) == name
