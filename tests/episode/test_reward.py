"""What steps earn: shaped or sparse, and what false words and broken calls cost."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from ise_gym.env import ISEEnv
from ise_gym.messages import Message, assistant, tool_call
from ise_gym.models.parsing import parse_completion
from ise_gym.rollout.play import record
from ise_gym.scenario import DEFAULT_TOOLS, Budget
from made_scenarios import make_scenario, write

COUNT = assistant("", [tool_call("write", {"path": "count.txt", "content": "3\n"})])
SOLUTION = [write("greet.txt", "héllo\n"), assistant("greet.txt holds it."), COUNT, assistant("Counted.")]


class Named:
    name = "nobody"

    def describe(self) -> dict[str, Any]:
        return {}


def rewards(
    actions: list[Message], changes: dict[str, Any] | None = None, **options: Any
) -> tuple[list[float], ISEEnv]:
    env = ISEEnv(backend="dummy", **options)
    env.reset(seed=1, options={"scenario": make_scenario(**(changes or {}))})
    return [float(env.step(action)[1]) for action in actions], env


def test_shaped_is_the_change_of_the_score() -> None:
    assert rewards(SOLUTION)[0] == [0.0, 0.5, 0.0, 0.5]


def test_sparse_is_nothing_until_a_passed_end() -> None:
    got, env = rewards(SOLUTION, reward="sparse")
    assert got == [0.0, 0.0, 0.0, 1.0] and env.episode.outcome == "passed"
    assert [step.reward for step in env.episode.steps] == got
    assert [step.score for step in env.episode.steps] == [0.0, 0.5, 0.5, 1.0]


UNCHECKED = tuple(replace(request, subgoals=()) for request in make_scenario().requests)


@pytest.mark.parametrize(
    ("actions", "changes", "outcome"),
    [
        ([*SOLUTION[:2], *[assistant("I can't.")] * 3], {}, "failed"),
        (SOLUTION[:2], {"budget": Budget(user_turns=1)}, "truncated"),
        ([assistant("Hm.")] * 2, {"requests": UNCHECKED}, "unverified"),
    ],
)
def test_sparse_gives_nothing_for_any_other_end(
    actions: list[Message], changes: dict[str, Any], outcome: str
) -> None:
    got, env = rewards(actions, changes, reward="sparse")
    assert env.episode.outcome == outcome and not any(got)


def test_a_false_claim_costs_its_penalty_each() -> None:
    lies = [assistant("I created greet.txt."), assistant("I created greet.txt, and I wrote out/report.md.")]
    assert rewards(lies)[0] == [0.0, 0.0]
    got, _ = rewards(lies, penalties={"false_claim": 0.1})
    assert got[0] < 0 and got[1] < got[0], "two claims cost more than one"
    assert got[0] == pytest.approx(-0.1 * round(-got[0] / 0.1)), "whole claims only"
    honest = [write("greet.txt", "héllo\n"), assistant("I created greet.txt.")]
    assert rewards(honest, penalties={"false_claim": 0.1})[0] == [0.0, 0.5]


@pytest.mark.parametrize(
    "action",
    [
        assistant("", [tool_call("exce", {"command": "ls"})]),
        assistant("", [tool_call("read", "{broken")]),
        assistant("", [tool_call("read", "[1]")]),
        assistant("", [tool_call("read", {})]),
        assistant("", [tool_call("read", {"path": 3})]),
        parse_completion('<tool_call>{"name": "exec", "arguments": {"command": }}</tool_call>'),
    ],
)
def test_a_call_that_no_tool_could_run_costs_its_penalty(action: Message) -> None:
    assert rewards([action, SOLUTION[0]], penalties={"broken_call": 0.25})[0] == [-0.25, 0.0]
    assert rewards([action])[0] == [0.0]


def test_a_call_that_ran_and_failed_is_no_broken_one() -> None:
    missing = assistant("", [tool_call("read", {"path": "nix.txt"}), tool_call("exec", {"command": "false"})])
    got, env = rewards([missing], penalties={"broken_call": 0.25, "false_claim": 1})
    assert got == [0.0] and env.episode.steps[0].error == "read; exec"


def test_calls_in_a_sub_session_cost_the_same() -> None:
    spawn = assistant("", [tool_call("sessions_spawn", {"task": "Look."})])
    actions = [spawn, assistant("", [tool_call("nix", {}), tool_call("nix", {})]), assistant("Nothing.")]
    tools = {"tools": (*DEFAULT_TOOLS, "sessions_spawn")}
    got, env = rewards(actions, tools, penalties={"broken_call": 0.25})
    assert got == [0.0, -0.5, 0.0]
    assert [step["reward"] for step in env.episode.sessions[0]["steps"]] == [-0.5, 0.0]


def test_a_fork_goes_on_with_the_same_rewards() -> None:
    _, env = rewards(SOLUTION[:3], reward="sparse", penalties={"broken_call": 0.25})
    (fork,) = env.fork(1)
    assert fork.step(assistant("", [tool_call("nix", {})]))[1] == -0.25
    assert fork.step(SOLUTION[3])[1] == 1.0


def test_a_record_says_by_what_its_rewards_were_given() -> None:
    told = record(
        rewards(SOLUTION, reward="sparse", penalties={"broken_call": 0.25, "false_claim": 0})[1],
        Named(),  # type: ignore[arg-type]
        1,
    )
    assert (told.env["reward"], told.env["penalties"]) == ("sparse", {"broken_call": 0.25})
    usual = record(rewards(SOLUTION)[1], Named(), 1)  # type: ignore[arg-type]
    assert set(usual.env) == {"id", "ise_gym", "backend", "limits"}
