"""Answers that came through somebody else's client are marked as those of our own agents are."""

from __future__ import annotations

from typing import Any

import pytest

from ise_gym.adapters.answers import failure, of_chat, refusal
from ise_gym.errors import AgentError

TOOLS: list[Any] = [{"type": "function", "function": {"name": "exec", "parameters": {"type": "object"}}}]


def body(message: dict[str, Any], finish: str) -> dict[str, Any]:
    usage = {"prompt_tokens": 7, "completion_tokens": 3}
    return {"choices": [{"message": message, "finish_reason": finish}], "usage": usage, "model": "m-1"}


def test_an_answer_keeps_its_call_ids_and_says_how_it_ended() -> None:
    call = {"id": "c9", "type": "function", "function": {"name": "exec", "arguments": '{"command": "ls'}}
    message = of_chat(body({"role": "assistant", "content": None, "tool_calls": [call]}, "length"), TOOLS)
    assert message["tool_calls"][0]["id"] == "c9"
    assert message["completion"] == {
        "finish": "length",
        "ended": "cut",
        "usage": {"prompt": 7, "completion": 3},
        "model": "m-1",
        "faults": ["arguments"],
    }


@pytest.mark.parametrize("fence", ["```json\n{}\n```", "{}"])
def test_a_call_in_the_words_is_marked_where_there_are_tools(fence: str) -> None:
    words = fence.replace("{}", '{"name": "exec", "arguments": {"command": "ls"}}')
    answered = body({"role": "assistant", "content": words}, "stop")
    assert of_chat(answered, TOOLS)["completion"]["faults"] == ["call in words"]
    assert of_chat(answered, [])["completion"]["faults"] == []


@pytest.mark.parametrize("nothing", [{}, [], {"choices": []}, {"error": {"message": "no"}}])
def test_what_is_no_answer_is_the_endpoints_failure(nothing: Any) -> None:
    with pytest.raises(AgentError) as caught:
        of_chat(nothing, TOOLS)
    assert caught.value.infrastructure


@pytest.mark.parametrize(
    ("status", "words", "infrastructure"),
    [
        (500, "out of memory", True),
        (429, "slow down", True),
        (400, "the request exceeds the available context size", False),
        (400, "rollout stopped: max_turns", False),
    ],
)
def test_a_refusal_says_whose_fault_it_was(status: int, words: str, infrastructure: bool) -> None:
    error = refusal(status, {"error": {"message": words}}, "")
    assert error.infrastructure == infrastructure and words in str(error)


def test_the_cause_of_a_clients_error_is_looked_for() -> None:
    class Status(Exception):
        status_code = 400
        body = {"message": "prompt is too long", "type": "invalid_request_error"}

    wrapped = RuntimeError("gave up")
    wrapped.__cause__ = Status("Error code: 400")
    assert not failure(wrapped).infrastructure
    assert failure(ValueError("odd")).infrastructure
