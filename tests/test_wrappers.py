from __future__ import annotations

import copy
from typing import Any

import gymnasium as gym
import pytest
from gymnasium.error import InvalidAction

from ise_gym.messages import assistant
from ise_gym.models.parsing import parse_completion
from ise_gym.scenario import Scenario
from ise_gym.wrappers import ChatHistory, CompletionSpace, TextAction
from made_scenarios import make_scenario

CALL = '<tool_call>\n{"name": "exec", "arguments": {"command": "echo hé; exit 3"}}\n</tool_call>'


def test_raw_text_plays_the_env(env: Any, scenario: Scenario) -> None:
    wrapped = TextAction(env)
    wrapped.reset(seed=1, options={"scenario": scenario})
    observation, _, terminated, truncated, _ = wrapped.step(f"<think>\nLook.\n</think>\n\nLooking.\n{CALL}")
    (message,) = observation
    assert message["content"] == "hé\n(Command exited with code 3)"
    assert (message["success"], message["exit_code"], message["tool_call_id"]) == (False, 3, "call_1")
    assert not terminated and not truncated
    said = wrapped.unwrapped.episode.messages[2]  # type: ignore[attr-defined]
    assert said["content"] == "Looking." and said["reasoning_content"] == "Look."


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ('<tool_call>{"name": "exec", "arguments": {"command": }}</tool_call>', "broken JSON"),
        ('<tool_call>{"name": "exec", "arguments": {"command": "ls"}}', "</tool_call> is missing"),
        ('<tool_call>{"name": "exce", "arguments": {}}</tool_call>', "Did you mean 'exec'?"),
        ('<tool_call>{"name": "exec", "arguments": {}}</tool_call>', "missing argument 'command'"),
        ('<tool_call>{"name": "exec", "arguments": {"command": 3}}</tool_call>', "must be a string"),
        (
            '<tool_call>{"name": "exec", "arguments": {"command": "a", "b": 1}}</tool_call>',
            "unknown argument",
        ),
    ],
)
def test_a_wrong_call_is_an_error_observation(env: Any, scenario: Scenario, text: str, says: str) -> None:
    wrapped = TextAction(env)
    wrapped.reset(seed=1, options={"scenario": scenario})
    observation, reward, terminated, truncated, _ = wrapped.step(text)
    (message,) = observation
    assert message["role"] == "tool" and message["success"] is False and says in message["content"]
    assert (reward, terminated, truncated) == (0.0, False, False)


def test_text_without_a_call_ends_the_turn(env: Any, scenario: Scenario) -> None:
    wrapped = TextAction(env)
    wrapped.reset(seed=1, options={"scenario": scenario})
    observation, *_ = wrapped.step("I looked around.")
    assert [m["role"] for m in observation] == ["user"]


def test_only_text_is_an_action(env: Any, scenario: Scenario) -> None:
    wrapped = TextAction(env)
    wrapped.reset(seed=1, options={"scenario": scenario})
    with pytest.raises(InvalidAction, match="raw text here, got dict"):
        wrapped.step(assistant("hi"))  # type: ignore[arg-type]


def test_completion_space(env: Any) -> None:
    space = TextAction(env).action_space
    assert "" in space and "<tool_call>{ é" in space and 3 not in space
    space.seed(4)
    drawn = [space.sample() for _ in range(30)]
    space.seed(4)
    assert [space.sample() for _ in range(30)] == drawn
    assert any(parse_completion(text).get("tool_calls") for text in drawn)  # type: ignore[arg-type]
    assert all(text in space for text in drawn)
    assert space == CompletionSpace(env.unwrapped.tool_schemas) and space != CompletionSpace()
    assert copy.deepcopy(space) == space


def test_chat_history_observes_everything(env: Any, scenario: Scenario) -> None:
    wrapped = ChatHistory(TextAction(env))
    first, _ = wrapped.reset(seed=1, options={"scenario": scenario})
    assert [m["role"] for m in first["messages"]] == ["system", "user"]
    assert [t["function"]["name"] for t in first["tools"]] == ["exec", "read", "write", "edit", "process"]
    second, *_ = wrapped.step(CALL)
    assert [m["role"] for m in second["messages"]] == ["system", "user", "assistant", "tool"]
    assert len(first["messages"]) == 2
    for observation in (first, second):
        assert observation in wrapped.observation_space
    second["messages"][0]["content"] = "changed"
    second["tools"][0]["function"]["name"] = "changed"
    assert wrapped.unwrapped.episode.messages[0]["content"] == "You work in /workspace."  # type: ignore[attr-defined]
    assert wrapped.unwrapped.tool_schemas[0]["function"]["name"] == "exec"  # type: ignore[attr-defined]
    assert wrapped.observation_space.sample() in wrapped.observation_space
    assert copy.deepcopy(wrapped.observation_space) == wrapped.observation_space


class OneScenario:
    name = "one"

    def scenario(self, seed: int) -> Any:
        return make_scenario()


def make_wrapped() -> Any:
    return ChatHistory(TextAction(gym.make("ISE-OS-v0", source=OneScenario())))


@pytest.mark.parametrize("vector", [gym.vector.SyncVectorEnv, gym.vector.AsyncVectorEnv])
def test_vector_envs_carry_wrapped_observations(vector: Any) -> None:
    envs = vector([make_wrapped] * 2)
    try:
        first, _ = envs.reset(seed=[1, 2])
        first = copy.deepcopy(first)
        second, *_ = envs.step((CALL, "Nothing yet."))
        roles = [[m["role"] for m in messages] for messages in second["messages"]]
        assert roles == [["system", "user", "assistant", "tool"], ["system", "user", "assistant", "user"]]
        assert second["messages"][0][-1]["content"] == "hé\n(Command exited with code 3)"
        assert [len(messages) for messages in first["messages"]] == [2, 2]
        for tools in second["tools"]:
            assert [t["function"]["name"] for t in tools] == ["exec", "read", "write", "edit", "process"]
    finally:
        envs.close()


def test_equal_seeds_and_texts_give_equal_observations() -> None:
    runs = []
    for _ in range(2):
        env = make_wrapped()
        seen = [env.reset(seed=5)[0]]
        seen += [env.step(text)[0] for text in (CALL, "<tool_call>{", "Done.")]
        assert all(observation in env.observation_space for observation in seen)
        runs.append(seen)
        env.close()
    assert runs[0] == runs[1]
