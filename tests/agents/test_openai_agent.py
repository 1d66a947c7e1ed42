from __future__ import annotations

import builtins
import pickle
import sys
from typing import Any

import pytest

from ise_gym.agents import make_agent
from ise_gym.agents.openai import OpenAIAgent
from ise_gym.errors import AgentError, UserError
from ise_gym.messages import assistant, system, tool_call, tool_result, user
from ise_gym.models.wire import wire_messages
from ise_gym.scenario import Scenario
from ise_gym.tools import tool_schemas
from openai_server import hang_up, raw, reply, serve, slow, status

CONVERSATION = [
    system("You work."),
    user("Count."),
    assistant("Looking.", [tool_call("exec", {"command": "ls"}, "call_1")], "I should look."),
    tool_result("call_1", "exec", "a.txt", success=True, exit_code=0),
]
TOOLS = tool_schemas(["exec", "read"])


@pytest.fixture(autouse=True)
def _no_outer_settings(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("OPENAI_API_KEY", "OPENAI_BASE_URL"):
        monkeypatch.delenv(name, raising=False)


def said(message: Any) -> Any:
    """The message without what the server said of it."""
    return {key: value for key, value in message.items() if key != "completion"}


def agent_at(server: Any, **options: Any) -> OpenAIAgent:
    return OpenAIAgent("tiny", base_url=server.url, **{"timeout": 5.0, "max_retries": 1, **options})


def test_text_answer_and_what_is_sent() -> None:
    with serve(reply("There is one file.")) as server:
        agent = agent_at(server, temperature=0.5, max_tokens=77, extra={"top_p": 0.9}, api_key="secret")
        assert said(agent.act(CONVERSATION, TOOLS)) == assistant("There is one file.")
    ((path, headers, body),) = server.requests
    assert path == "/v1/chat/completions"
    assert headers["authorization"] == "Bearer secret"
    assert body == {
        "model": "tiny",
        "temperature": 0.5,
        "max_tokens": 77,
        "top_p": 0.9,
        "tools": TOOLS,
        "messages": [
            {"role": "system", "content": "You work."},
            {"role": "user", "content": "Count."},
            {
                "role": "assistant",
                "content": "Looking.",
                "tool_calls": [tool_call("exec", {"command": "ls"}, "call_1")],
            },
            {"role": "tool", "content": "a.txt", "tool_call_id": "call_1"},
        ],
    }
    assert "secret" not in str(agent.describe()) and "127.0.0.1" not in str(agent.describe())


def test_reasoning_goes_back_only_when_asked() -> None:
    assert "reasoning_content" not in wire_messages(CONVERSATION)[2]
    assert wire_messages(CONVERSATION, send_reasoning=True)[2]["reasoning_content"] == "I should look."


def test_a_call_that_no_server_takes_back_is_shown_to_the_model_as_the_words_it_wrote() -> None:
    good, bad = tool_call("read", {"path": "a"}, "call_2"), tool_call("exec", '{"command": ', "call_1")
    talk = [
        assistant("Now.", [bad, good]),
        tool_result("call_1", "exec", "exec: the arguments are not a JSON object", success=False),
        tool_result("call_2", "read", "text", success=True),
        assistant("Again."),
    ]
    said, read, told, again = wire_messages(talk)
    assert said["tool_calls"] == [good]
    assert said["content"] == 'Now.\n<tool_call>\n{"name": "exec", "arguments": {"command": }\n</tool_call>'
    assert read == {"role": "tool", "tool_call_id": "call_2", "content": "text"}
    assert told == {"role": "user", "content": "exec: exec: the arguments are not a JSON object"}
    assert again["content"] == "Again." and "not_json" not in str(wire_messages(talk))


def test_no_tools_and_no_sampling_parameters() -> None:
    with serve(reply("Hi.")) as server:
        agent_at(server, temperature=None, max_tokens=None).act([user("hi")], [])
    assert server.bodies == [{"model": "tiny", "messages": [{"role": "user", "content": "hi"}]}]


def test_tool_calls_and_reasoning_come_back_with_empty_ids() -> None:
    answer = reply(None, [("exec", '{"command": "ls"}'), ("read", '{"path": ')], reasoning_content="Hm.")
    with serve(answer, reply("x", reasoning="Other key.")) as server:
        agent = agent_at(server)
        assert said(agent.act(CONVERSATION, TOOLS)) == assistant(
            "", [tool_call("exec", {"command": "ls"}), tool_call("read", '{"path": ')], "Hm."
        )
        assert agent.act(CONVERSATION, TOOLS)["reasoning_content"] == "Other key."


def test_usage_is_counted_by_episode_and_in_all(scenario: Scenario) -> None:
    with serve(reply("a"), reply("b", finish="length"), reply("c")) as server:
        agent = agent_at(server)
        agent.reset(scenario, 0)
        agent.act(CONVERSATION, TOOLS)
        agent.act(CONVERSATION, TOOLS)
        assert agent.usage == {
            "calls": 2,
            "prompt_tokens": 20,
            "completion_tokens": 6,
            "cached_tokens": 0,
            "total_tokens": 26,
            "cut": 1,
        }
        assert agent.describe()["usage"] == agent.usage
        agent.reset(scenario, 1)
        agent.act(CONVERSATION, TOOLS)
    assert agent.usage["calls"] == 1 and agent.usage["cut"] == 0
    assert agent.total_usage["calls"] == 3 and agent.total_usage["total_tokens"] == 39


@pytest.mark.parametrize(
    "bad",
    [
        status(429, retry_after_ms="5"),
        status(503, retry_after_ms="5"),
        status(500, retry_after_ms="5"),
        hang_up(),
    ],
)
def test_passing_trouble_is_retried(bad: str) -> None:
    with serve(bad, reply("ok")) as server:  # type: ignore[arg-type]
        assert agent_at(server).act(CONVERSATION, TOOLS)["content"] == "ok"
    assert len(server.requests) == 2


def test_lasting_trouble_is_an_infrastructure_failure() -> None:
    with (
        serve(status(500, "broken inside", retry_after_ms="5")) as server,
        pytest.raises(AgentError, match=r"openai:tiny at .* failed: .*broken inside") as caught,
    ):
        agent_at(server, max_retries=2).act(CONVERSATION, TOOLS)
    assert caught.value.infrastructure is True
    assert len(server.requests) == 3


def test_a_slow_server_times_out() -> None:
    with serve(slow(1.0, reply("late"))) as server, pytest.raises(AgentError, match="timed out") as caught:
        agent_at(server, timeout=0.2, max_retries=0).act(CONVERSATION, TOOLS)
    assert caught.value.infrastructure is True


def test_nobody_listens() -> None:
    with serve(reply()) as server:
        pass
    with pytest.raises(AgentError, match="Connection error"):
        agent_at(server, max_retries=0).act(CONVERSATION, TOOLS)


@pytest.mark.parametrize(
    "answer",
    [
        raw("<html>proxy error</html>", "text/html"),
        raw("{"),
        raw("[]"),
        raw("{}"),
        raw('{"choices": []}'),
        raw('{"choices": [{"message": null}]}'),
        raw('{"choices": [{"message": {"content": 3}}]}'),
        raw('{"choices": [{"message": {"content": "", "tool_calls": ["x"]}}]}'),
        status(400, "the 'frobnicate' field is not allowed"),
    ],
)
def test_a_malformed_answer_is_an_infrastructure_failure(answer: Any) -> None:
    with serve(answer) as server, pytest.raises(AgentError) as caught:
        agent_at(server).act(CONVERSATION, TOOLS)
    assert caught.value.infrastructure is True


def test_a_call_without_parts_is_passed_on_for_the_env_to_answer() -> None:
    body = '{"choices": [{"message": {"content": null, "tool_calls": [{"id": "1", "type": "function"}]}}]}'
    with serve(raw(body)) as server:
        message = agent_at(server).act(CONVERSATION, TOOLS)
    assert message["tool_calls"] == [tool_call("", "{}")]
    assert message["completion"]["faults"] == ["arguments"]


def test_arguments_as_an_object_are_dumped() -> None:
    body = '{"choices": [{"message": {"tool_calls": [{"function": {"name": "exec", "arguments": {"command": "ä"}}}]}}]}'
    with serve(raw(body)) as server:
        message = agent_at(server).act(CONVERSATION, TOOLS)
    assert said(message) == assistant("", [tool_call("exec", {"command": "ä"})])


def test_too_long_a_conversation_is_the_agents_own_failure() -> None:
    with (
        serve(status(400, "This model's maximum context length is 4096 tokens.")) as server,
        pytest.raises(AgentError, match="longer than the model's context") as caught,
    ):
        agent_at(server).act(CONVERSATION, TOOLS)
    assert caught.value.infrastructure is False
    assert pickle.loads(pickle.dumps(caught.value)).infrastructure is False


@pytest.mark.parametrize("code", [401, 403, 404])
def test_what_the_user_can_mend_is_a_user_error(code: str) -> None:
    with (
        serve(status(code, "model 'tiny' unknown")) as server,  # type: ignore[arg-type]
        pytest.raises(UserError, match="model 'tiny' unknown"),
    ):
        agent_at(server).act(CONVERSATION, TOOLS)
    assert len(server.requests) == 1


def test_endpoint_and_key_from_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    with serve(reply("hello")) as server:
        monkeypatch.setenv("OPENAI_BASE_URL", server.url)
        agent = make_agent("openai:org/model:tag", max_retries=0)
        assert said(agent.act([user("hi")], [])) == assistant("hello")
        agent.close()
    assert server.bodies[0]["model"] == "org/model:tag"


def test_no_endpoint_and_no_key() -> None:
    with pytest.raises(UserError, match="set OPENAI_API_KEY"):
        OpenAIAgent("tiny")


def test_missing_package_names_the_extra(monkeypatch: pytest.MonkeyPatch) -> Any:
    real = builtins.__import__

    def without_openai(name: str, *args: Any, **kwargs: Any) -> Any:
        if name == "openai":
            raise ImportError(name)
        return real(name, *args, **kwargs)

    monkeypatch.delitem(sys.modules, "openai", raising=False)
    monkeypatch.setattr(builtins, "__import__", without_openai)
    with pytest.raises(UserError, match=r"ise-gym\[llm\]"):
        OpenAIAgent("tiny", base_url="http://127.0.0.1:9")


def test_an_episode_through_the_real_env(env: Any, scenario: Scenario) -> None:
    script = [
        reply("", [("write", '{"path": "greet.txt", "content": "héllo"}')]),
        reply("", [("read", '{"path": ')]),
        reply("It is written."),
        reply("", [("exec", '{"command": "wc -l < data.txt > count.txt"}')]),
        reply("I counted."),
    ]
    with serve(*script) as server:
        agent = agent_at(server)
        agent.reset(scenario, 0)
        env.reset(seed=4, options={"scenario": scenario})
        episode = env.unwrapped.episode
        over = False
        while not over:
            _, _, terminated, truncated, info = env.step(agent.act(episode.messages, episode.tool_schemas))
            over = terminated or truncated
    assert info["outcome"] == "passed"
    ids = [call["id"] for m in episode.messages for call in m.get("tool_calls", ())]
    assert ids == ["call_1", "call_2", "call_3"]
    last = server.bodies[-1]["messages"]
    roles = [m["role"] for m in episode.messages[: len(last)]]
    roles[5] = "user"  # what answered the call whose arguments were cut: words for words
    assert [m["role"] for m in last] == roles
    assert all(set(m) <= {"role", "content", "tool_calls", "tool_call_id"} for m in last)
    assert agent.usage["calls"] == 5
