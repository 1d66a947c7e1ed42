from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ise_gym.messages import assistant, tool_call, tool_calls_of
from ise_gym.models.parsing import INVALID_TOOL_CALL, explain_invalid, parse_completion, render_completion

QWEN = """<think>
The user wants a listing.
</think>

Let me look.
<tool_call>
{"name": "exec", "arguments": {"command": "ls -l"}}
</tool_call>
<tool_call>
{"name": "read", "arguments": {"path": "ä.txt", "offset": 3}}
</tool_call>"""


def test_qwen_text_is_understood() -> None:
    message = parse_completion(QWEN)
    assert message == {
        "role": "assistant",
        "content": "Let me look.",
        "reasoning_content": "The user wants a listing.",
        "tool_calls": [
            tool_call("exec", {"command": "ls -l"}),
            tool_call("read", {"path": "ä.txt", "offset": 3}),
        ],
    }
    assert render_completion(message) == QWEN


@pytest.mark.parametrize(
    ("text", "reasoning", "content"),
    [
        ("Hello.", None, "Hello."),
        ("", None, ""),
        ("<think>\n\n</think>\n\nHello.", None, "Hello."),
        ("thinking aloud\n</think>\n\nHello.", "thinking aloud", "Hello."),
        ("<think>never closed <tool_call>", "never closed <tool_call>", ""),
        ('<think>I call <tool_call>{"name": "a", "arguments": {}}', "I call", ""),
        ("before <think>x</think> after", None, "before <think>x</think> after"),
        ("<think>a</think><think>b</think>c", "a", "<think>b</think>c"),
    ],
)
def test_reasoning(text: str, reasoning: str, content: str) -> None:
    message = parse_completion(text)
    assert (message.get("reasoning_content"), message["content"]) == (reasoning, content)


@pytest.mark.parametrize(
    ("block", "why"),
    [
        (
            '<tool_call>{"name": "exec", "arguments": {"command": ls}}</tool_call>',
            "broken JSON: Expecting value",
        ),
        ('<tool_call>{"name": "exec", "arguments": {"command": "ls"}', "</tool_call> is missing"),
        ('<tool_call>{"name": "exec", "arguments": {"command": "ls"}}', "</tool_call> is missing"),
        ('<tool_call>{"arguments": {}}</tool_call>', "no 'name'"),
        ('<tool_call>{"name": 3, "arguments": {}}</tool_call>', "no 'name'"),
        ('<tool_call>{"name": "", "arguments": {}}</tool_call>', "no 'name'"),
        ('<tool_call>{"name": "exec"}</tool_call>', "no 'arguments'"),
        ('<tool_call>{"name": "exec", "arguments": "{}"}</tool_call>', "'arguments' must be a JSON object"),
        ('<tool_call>["exec"]</tool_call>', "one JSON object"),
        ("<tool_call></tool_call>", "broken JSON"),
        ('<tool_call>{"name": "a", "arguments": {}} and more</tool_call>', "text after"),
        ('<tool_call>{"name": "a", "arguments": {"x": NaN}}</tool_call>', "out of range"),
        ('<tool_call>{"name": "a", "arguments": {"x": 1e999}}</tool_call>', "out of range"),
        ('<tool_call>{"name": "a", "arguments": {"x": "\\ud800"}}</tool_call>', "surrogate"),
        ("<tool_call>" + "[" * 200_000 + "</tool_call>", "broken JSON"),
        ('<tool_call>{"name": "a", "arguments": {"x": ' + "9" * 5000 + "}}</tool_call>", "out of range"),
    ],
)
def test_broken_block_becomes_an_invalid_call_with_its_reason(block: Any, why: str) -> None:
    message = parse_completion("I will.\n" + block)
    assert message["content"] == "I will."
    (call,) = tool_calls_of(message)
    assert call["function"] == {"name": INVALID_TOOL_CALL, "arguments": block}
    assert why in explain_invalid(block)
    assert parse_completion(render_completion(message)) == message


def test_a_broken_block_does_not_take_the_next_one_with_it() -> None:
    message = parse_completion(
        '<tool_call>{oops}</tool_call> then <tool_call>{"name": "read", "arguments": {"path": "a"}}</tool_call>'
    )
    assert [c["function"]["name"] for c in tool_calls_of(message)] == [INVALID_TOOL_CALL, "read"]
    assert message["content"] == "then"


def test_tags_inside_a_string_argument_are_text() -> None:
    written = "</tool_call> <tool_call> </think>"
    message = assistant("", [tool_call("write", {"path": "a", "content": written})])
    again = parse_completion(render_completion(message))
    assert again == message
    assert json.loads(tool_calls_of(again)[0]["function"]["arguments"])["content"] == written


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=6,
)
plain = st.text().map(str.strip).filter(lambda t: "<tool_call>" not in t)
calls = st.builds(tool_call, st.text(min_size=1), st.dictionaries(st.text(), json_values, max_size=4))
reasonings = st.none() | plain.filter(lambda t: t and "think>" not in t)
messages = st.builds(assistant, plain, st.lists(calls, max_size=3), reasonings)


@settings(deadline=None)
@given(messages)
def test_rendering_is_undone_by_parsing(message: Any) -> None:
    assert parse_completion(render_completion(message)) == message


fragments = st.sampled_from(
    [
        "<think>",
        "</think>",
        "<tool_call>",
        "</tool_call>",
        '{"name": "exec", "arguments": {"command": "ls"}}',
        '{"name": "exec", "arguments": ',
        '"</tool_call>"',
        "{",
        "}",
        '"',
        "\n",
        " ",
        "words",
        "invalid_tool_call",
        '{"name": "invalid_tool_call", "arguments": {}}',
    ]
)


@settings(max_examples=400, deadline=None)
@given(st.lists(fragments | st.text(max_size=4), max_size=12).map("".join))
def test_any_text_parses_and_its_message_survives_a_round_trip(text: str) -> None:
    message = parse_completion(text)
    assert message["role"] == "assistant"
    assert parse_completion(render_completion(message)) == message
