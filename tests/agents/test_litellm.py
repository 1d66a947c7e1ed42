"""Other providers' formats, through LiteLLM: a server that speaks Anthropic's own protocol is one flag away."""

from __future__ import annotations

import json
from typing import Any

import pytest

from ise_gym.agents import make_agent
from ise_gym.errors import AgentError, UserError
from ise_gym.messages import assistant, system, tool_call, user
from ise_gym.tools import tool_schemas
from openai_server import Answer, failing, raw, serve

pytest.importorskip("litellm", reason="NOT TESTED with LiteLLM: it is not installed (ise-gym[litellm])")

TALK = [system("You work."), user("Count.")]
TOOLS = tool_schemas(["exec"])


def message(*content: dict[str, Any], stop: str = "end_turn") -> Answer:
    """An answer in Anthropic's format."""
    return raw(
        json.dumps(
            {
                "id": "msg_1",
                "type": "message",
                "role": "assistant",
                "model": "claude-tiny-20260101",
                "content": list(content),
                "stop_reason": stop,
                "usage": {"input_tokens": 11, "output_tokens": 4},
            }
        )
    )


def agent_at(server: Any, **options: Any) -> Any:
    given = {"base_url": server.url.removesuffix("/v1"), "api_key": "sk-secret-12345", "max_retries": 0}
    return make_agent("litellm:anthropic/claude-tiny", **{**given, **options})


def test_calls_and_words_come_as_from_any_other_endpoint() -> None:
    call = {"type": "tool_use", "id": "toolu_1", "name": "exec", "input": {"command": "ls"}}
    with serve(message({"type": "text", "text": "I look."}, call, stop="tool_use")) as server:
        agent = agent_at(server)
        said = agent.act(TALK, TOOLS)
        sent = server.bodies[0]
    completion = said.pop("completion")
    assert said == assistant("I look.", [tool_call("exec", {"command": "ls"})])
    assert completion["ended"] == "stop" and completion["usage"] == {"prompt": 11, "completion": 4}
    assert sent["system"] and [m["role"] for m in sent["messages"]] == [
        "user"
    ]  # Anthropic's shape, not OpenAI's
    assert sent["tools"][0]["name"] == "exec" and "input_schema" in sent["tools"][0]
    about = agent.describe()
    assert (about["agent"], agent.name) == ("litellm", "litellm:anthropic/claude-tiny")
    assert "sk-secret" not in json.dumps(about)


def test_a_cut_answer_is_marked() -> None:
    with serve(message({"type": "text", "text": "I have wri"}, stop="max_tokens")) as server:
        assert agent_at(server).act(TALK, [])["completion"]["ended"] == "cut"


@pytest.mark.parametrize(
    ("code", "kind", "words", "raised"),
    [
        (400, "invalid_request_error", "prompt is too long: 210000 tokens > 200000 maximum", "context"),
        (401, "authentication_error", "invalid x-api-key", UserError),
        (529, "overloaded_error", "Overloaded", "busy"),
    ],
)
def test_blame_is_read_from_the_providers_own_words(code: int, kind: str, words: str, raised: Any) -> None:
    with (
        serve(failing(code, {"type": "error", "error": {"type": kind, "message": words}})) as server,
        pytest.raises((AgentError, UserError)) as caught,
    ):
        agent_at(server).act(TALK, [])
    assert "sk-secret" not in str(caught.value)
    if raised is UserError:
        assert isinstance(caught.value, UserError)
    else:
        assert isinstance(caught.value, AgentError)
        assert caught.value.infrastructure == (raised != "context")


def test_a_model_needs_a_name() -> None:
    with pytest.raises(UserError, match="is incomplete: write litellm:PROVIDER/MODEL"):
        make_agent("litellm:")
