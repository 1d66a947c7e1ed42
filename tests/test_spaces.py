"""The message spaces accept exactly what a chat API would."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ise_gym.messages import assistant, tool_call, user
from ise_gym.spaces import AssistantMessageSpace, MessageSequenceSpace, message_problem
from ise_gym.tools import tool_schemas

TOOLS = tool_schemas(("exec", "process", "edit"))


@given(st.integers(0, 2**32 - 1))
def test_samples_are_members(seed: int) -> None:
    actions, observations = AssistantMessageSpace(TOOLS, seed=seed), MessageSequenceSpace(TOOLS, seed=seed)
    assert actions.sample() in actions
    assert observations.sample() in observations


def test_samples_repeat_for_a_seed() -> None:
    drawn = [[AssistantMessageSpace(TOOLS, seed=9).sample() for _ in range(3)] for _ in range(2)]
    assert drawn[0] == drawn[1]


@pytest.mark.parametrize(
    "bad",
    [
        None,
        "text",
        {},
        {"role": "robot", "content": ""},
        {"role": "user", "content": None},
        {"role": "assistant", "content": 3},
        {"role": "assistant", "content": [{"type": "image_url", "image_url": {}}]},
        {"role": "assistant", "content": "", "tool_calls": "exec"},
        {"role": "assistant", "content": "", "tool_calls": [{"function": {"arguments": "{}"}}]},
        {"role": "assistant", "content": "", "tool_calls": [{"function": {"name": "exec", "arguments": 3}}]},
        {"role": "assistant", "content": "", "tool_calls": ["exec"]},
        {"role": "assistant", "content": "", "reasoning_content": 3},
    ],
)
def test_malformed_messages_are_named(bad: str) -> None:
    assert message_problem(bad)
    assert bad not in AssistantMessageSpace(TOOLS)


def test_a_user_message_is_no_action() -> None:
    assert user("hi") not in AssistantMessageSpace(TOOLS)
    assert assistant("", [tool_call("exec", "{broken")]) in AssistantMessageSpace(TOOLS), (
        "bad JSON is for the env to answer"
    )


def test_equality_follows_the_tools() -> None:
    assert AssistantMessageSpace(TOOLS) == AssistantMessageSpace(TOOLS)
    assert AssistantMessageSpace(TOOLS) != AssistantMessageSpace(TOOLS[:1])
