"""Thoughts inside of words: which are set apart, and what only looks like one."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ise_gym.models.words.thinking import apart, set_apart


@pytest.mark.parametrize(
    ("text", "thought", "words", "among"),
    [
        ("<think>a</think>b", "a", "b", False),
        ("<think>\n\n</think>\n\nb", "", "b", False),
        ("a\n</think>\n\nb", "a", "b", False),
        ("<think>a", "a", "", False),
        ("<seed:think>a</seed:think>b", "a", "b", False),
        ("<|START_THINKING|>a<|END_THINKING|><|START_RESPONSE|>b<|END_RESPONSE|>", "a", "b", False),
        ("<reasoning>a</reasoning>\nb", "a", "b", False),
        ("<think>a</think><thinking>b</thinking>c", "a\nb", "c", False),
        ("b<think>a</think>", "a", "b", True),
        ("<think>a</think>b<think>c</think>d", "a\nc", "b\nd", True),
        ("b <think>a` b</think>c", "a` b", "b\nc", True),
        ('<think>I call <tool_call>{"name": "x"}</tool_call>', "I call ", '<tool_call>{"name": "x"}</tool_call>', False),
    ],
)  # fmt: skip
def test_thoughts_are_set_apart(text: str, thought: str, words: str, among: bool) -> None:
    found = apart(text)
    assert (found.thought, found.words, found.among) == (thought.strip(), words, among)


@pytest.mark.parametrize(
    "text",
    [
        "Nothing.",
        "  indented\n",
        "Models write `<think>x</think>` first.",
        "```xml\n<think>x</think>\n```",
        'I write it. <tool_call>{"name": "write", "arguments": {"content": "<think>x</think>"}}</tool_call>',
        '{"name": "write", "arguments": {"content": "<think>x</think>"}}',
        "I added <reasoning>x</reasoning> to the file.",
        "It began with <think> and went on.",
    ],
)
def test_what_only_looks_like_a_thought_stays(text: str) -> None:
    assert apart(text) == ("", text, False)


def test_a_call_in_a_channel_of_its_own_stays_in_the_words() -> None:
    text = (
        "<|channel|>analysis<|message|>a<|end|><|start|>assistant<|channel|>commentary to=functions.exec <|constrain|>json"
        '<|message|>{"command": "ls"}<|call|>'
    )
    found = apart(text)
    assert found.thought == "a" and '{"command": "ls"}' in found.words and "to=functions.exec" in found.words


def test_thoughts_of_both_places_are_kept_in_a_message() -> None:
    message = {"role": "assistant", "content": "<think>b</think>c", "reasoning_content": "a"}
    assert not set_apart(message)  # type: ignore[arg-type]
    assert message == {"role": "assistant", "content": "c", "reasoning_content": "a\nb"}


@given(
    st.lists(
        st.sampled_from(
            ["<think>", "</think>", "a", " ", "\n", "`", "```", "{", "<tool_call>", "</tool_call>"]
        )
    )
)
def test_nothing_is_lost_and_nothing_raises(parts: list[str]) -> None:
    text = "".join(parts)
    found = apart(text)
    assert (found.thought + found.words).count("a") == text.count("a")
    assert apart(found.words).words.count("a") <= text.count("a")
