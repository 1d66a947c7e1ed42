"""What the endpoint agent can be asked to do: read calls from words, go on where an answer was cut, clip a full context."""

from __future__ import annotations

import json
from types import SimpleNamespace
from typing import Any

import pytest

from ise_gym.agents import make_agent
from ise_gym.agents.openai import OpenAIAgent
from ise_gym.errors import AgentError, UserError
from ise_gym.messages import (
    Message,
    assistant,
    assistant_of,
    system,
    tool_call,
    tool_calls_of,
    tool_result,
    user,
)
from ise_gym.rollout.play import play_episode
from ise_gym.tools import tool_schemas
from ise_gym.trajectory.record import Trajectory, to_line
from ise_gym.trajectory.untaught import untaught
from openai_server import failing, raw, reply, serve, status

TOOLS = tool_schemas(["exec", "read"])
TALK = [system("You work."), user("Count.")]
LS = '{"name": "exec", "arguments": {"command": "ls"}}'
FULL = failing(400, {"error": {"message": "prompt is too long: 9 tokens > 8 maximum"}})


@pytest.fixture(autouse=True)
def _no_outer_settings(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("OPENAI_API_KEY", "OPENAI_BASE_URL"):
        monkeypatch.delenv(name, raising=False)


def agent_at(server: Any, **options: Any) -> OpenAIAgent:
    return OpenAIAgent("tiny", base_url=server.url, **{"timeout": 5.0, "max_retries": 0, **options})


@pytest.mark.parametrize("form", ["hermes", "json", "xml"])
def test_with_calls_from_the_words_no_tool_field_is_sent(form: str) -> None:
    with serve(reply(f"```json\n{LS}\n```"), reply("Done.")) as server:
        agent = agent_at(server, calls="text", call_format=form)
        message = agent.act(TALK, TOOLS)
        assert tool_calls_of(message) == [tool_call("exec", {"command": "ls"})]
        assert (
            message["completion"]["said"] == f"```json\n{LS}\n```" and message["completion"]["faults"] == []
        )
        played = assistant(message["content"], [tool_call("exec", {"command": "ls"}, "call_1")])
        agent.act([*TALK, played, tool_result("call_1", "exec", "a", success=True)], TOOLS)
    first, second = server.bodies
    assert "tools" not in first and "# Tools" in first["messages"][0]["content"]
    assert second["messages"][2] == {"role": "assistant", "content": f"```json\n{LS}\n```"}
    assert second["messages"][3]["role"] == "user"


def test_the_servers_own_template_can_write_the_tools() -> None:
    with serve(reply(LS)) as server:
        message = agent_at(server, calls="text", call_format="template").act(TALK, TOOLS)
    assert server.bodies[0]["tools"] == TOOLS and server.bodies[0]["tool_choice"] == "none"
    assert tool_calls_of(message) == [tool_call("exec", {"command": "ls"})]


def test_a_cut_answer_goes_on_where_it_was_cut() -> None:
    with serve(reply("I have written the gree", finish="length"), reply("ting.")) as server:
        agent = agent_at(server, continue_cut="prefill")
        message = agent.act(TALK, TOOLS)
    assert message["content"] == "I have written the greeting."
    completion = message["completion"]
    assert (completion["ended"], completion["faults"]) == ("stop", ["continued"])
    assert completion["usage"] == {"prompt": 20, "completion": 6}
    assert server.bodies[1]["messages"][-1] == {"role": "assistant", "content": "I have written the gree"}
    assert server.bodies[1]["continue_final_message"] is True


def test_a_server_that_repeats_what_it_was_given_is_understood() -> None:
    with serve(reply("I have wri", finish="length"), reply("I have written.", finish="stop")) as server:
        assert agent_at(server, continue_cut="prefill").act(TALK, TOOLS)["content"] == "I have written."


def test_a_cut_answer_can_be_asked_for_anew_with_more_room_and_only_once() -> None:
    cut = reply(None, [("exec", '{"comm')], finish="length")
    with serve(cut, reply(None, [("exec", '{"command": "ls"}')]), cut) as server:
        agent = agent_at(server, continue_cut="again", max_tokens=10)
        assert tool_calls_of(agent.act(TALK, TOOLS)) == [tool_call("exec", {"command": "ls"})]
        assert server.bodies[1]["max_tokens"] == 20
        still = agent.act(TALK, TOOLS)
    assert still["completion"]["ended"] == "cut" and len(server.requests) == 4


@pytest.mark.parametrize(
    "odd",
    [
        reply(None, [("exec", '{"comm')], finish="length"),
        reply(None, finish="length", reasoning_content="Hm"),
    ],
)
def test_where_going_on_is_not_sound_the_answer_stays_cut(odd: Any) -> None:
    with serve(odd) as server:
        message = agent_at(server, continue_cut="prefill").act(TALK, TOOLS)
    assert message["completion"]["ended"] == "cut" and len(server.requests) == 1


def test_a_server_that_refuses_to_go_on_costs_nothing_but_the_chance() -> None:
    with serve(reply("I have", finish="length"), status(400, "extra fields are not permitted")) as server:
        message = agent_at(server, continue_cut="prefill").act(TALK, TOOLS)
    assert message["content"] == "I have" and message["completion"]["ended"] == "cut"


def test_a_full_context_is_clipped_only_where_that_was_asked_for() -> None:
    talk = [*TALK, *[m for n in range(6) for m in _call(n, "x" * 5000)], user("Go on.")]
    with serve(FULL, FULL, reply("ok")) as server:
        message = agent_at(server, when_full="clip").act(talk, TOOLS)
        lengths = [sum(len(m["content"]) for m in body["messages"]) for body in server.bodies]
        assert lengths[0] > lengths[1] > lengths[2]
        assert message["content"] == "ok" and "clipped" in message["completion"]["faults"]
    with serve(FULL) as server, pytest.raises(AgentError, match="longer than the model's context"):
        agent_at(server, when_full="clip").act(talk, TOOLS)
    assert len(server.requests) == 4
    with serve(FULL) as server, pytest.raises(AgentError):
        agent_at(server).act(talk, TOOLS)
    assert len(server.requests) == 1


def _call(number: int, result: str) -> list[Message]:
    call = tool_call("exec", {"command": "ls"}, f"call_{number}")
    return [assistant("", [call]), tool_result(call["id"], "exec", result, success=True)]


@pytest.mark.parametrize(
    ("options", "problem"),
    [
        ({"calls": "tex"}, "none of server, text. Did you mean 'text'"),
        ({"call_format": "yaml"}, "none of hermes"),
        ({"continue_cut": True}, "none of no, prefill, again"),
        ({"temperature": "hot"}, "'temperature': input should be a valid number"),
        ({"temperature": True}, "'temperature'"),
        ({"max_tokens": 0}, "'max_tokens'"),
        ({"max_retries": -1}, "'max_retries'"),
        ({"timeout": 0}, "'timeout'"),
        ({"extra": "top_p"}, "'extra'"),
        ({"stream": "yes"}, "'stream'"),
        ({"send_reasoning": "no"}, "send_reasoning"),
        ({"price_in": -1}, "'price_in'"),
        ({"temprature": 1}, "Did you mean 'temperature'"),
        ({"base_url": "127.0.0.1:8000/v1"}, "must begin with http:// or https://"),
        ({"base_url": "http://127.0.0.1:8000/v1/chat/completions"}, "leave /chat/completions off"),
    ],
)
def test_a_wrong_option_is_named_before_anything_is_asked(options: dict[str, Any], problem: str) -> None:
    with pytest.raises(UserError) as caught:
        OpenAIAgent("tiny", **{"base_url": "http://127.0.0.1:9/v1", **options})
    assert problem in str(caught.value) and "\n" not in str(caught.value)


def test_an_unknown_option_is_named_through_the_registry_too() -> None:
    with pytest.raises(UserError, match="temprature"):
        make_agent("openai:tiny", base_url="http://127.0.0.1:9/v1", temprature=1)
    made = make_agent("openai:tiny", base_url="http://127.0.0.1:9/v1", temperature=1, timeout=3, stream=True)
    assert made.describe()["temperature"] == 1


def test_a_probe_says_what_is_wrong_before_a_run() -> None:
    with serve(reply("OK.")) as server:
        agent_at(server).probe()
        assert server.bodies[0]["max_tokens"] == 64 and server.bodies[0]["tools"]
    parser = status(
        400, '"auto" tool choice requires --enable-auto-tool-choice and --tool-call-parser to be set'
    )
    with serve(parser) as server, pytest.raises(UserError, match="calls=text"):
        agent_at(server).probe()
    with pytest.raises(UserError, match=r"Connection error.*is base_url right\?"):
        OpenAIAgent("tiny", base_url="http://127.0.0.1:9/v1", max_retries=0).probe()


def test_a_fleet_keeps_an_episode_with_one_server_and_goes_on_at_the_next(scenario: Any) -> None:
    with serve(reply("a")) as one, serve(reply("b")) as two:
        agent = OpenAIAgent(
            "tiny", base_url=f"{one.url},{two.url}", max_retries=1, session_header="X-Session-ID"
        )
        for seed in range(8):
            agent.reset(scenario, seed)
            agent.act(TALK, [])
            agent.act(TALK, [])
        assert len(one.requests) + len(two.requests) == 16
        assert len(one.requests) % 2 == 0 and one.requests and two.requests
        sessions = [headers["x-session-id"] for _, headers, _ in [*one.requests, *two.requests]]
        assert len(set(sessions)) == 8
    with serve(status(500)) as broken, serve(reply("b")) as fine:
        agent = OpenAIAgent("tiny", base_url=[broken.url, fine.url], max_retries=1)
        for seed in range(4):
            agent.reset(scenario, seed)
            assert agent.act(TALK, [])["content"] == "b"


def test_a_record_keeps_what_the_server_said_and_nothing_of_it_reaches_the_conversation(
    env: Any, scenario: Any
) -> None:
    logprobs = {
        "content": [{"id": 5, "token": "I", "logprob": -0.5}, {"id": 6, "token": "t", "logprob": -0.25}]
    }
    body = json.loads(reply("It is written.").body)
    body["choices"][0]["logprobs"] = logprobs
    script = [
        reply("", [("write", '{"path": "greet.txt", "content": "héllo"}')], finish="tool_calls"),
        raw(json.dumps(body)),
        reply("", [("exec", '{"command": "wc -l < data.txt > count.txt"}')]),
        reply("I coun", finish="length"),
    ]
    with serve(*script) as server:
        played = play_episode(env, agent_at(server), scenario, 0)
        assert server.bodies[1]["messages"] and "completion" not in json.dumps(
            [b["messages"] for b in server.bodies]
        )
    assert all("completion" not in message for message in played.messages)
    first, second, _, last = [step.completion for step in played.steps]
    assert (first.finish, first.ended, first.model) == ("tool_calls", "stop", "scripted")  # type: ignore[union-attr]
    assert first.usage == {"prompt": 10, "completion": 3}  # type: ignore[union-attr]
    assert (second.token_ids, second.logprobs) == ([5, 6], [-0.5, -0.25])  # type: ignore[union-attr]
    assert last.ended == "cut"  # type: ignore[union-attr]
    assert [r.id for r in played.timings.received] == ["cmpl-1"] * 4
    again = Trajectory.model_validate_json(to_line(played))
    assert again == played
    assert untaught(again.messages, again.steps) == {played.steps[-1].message: "cut for its length"}


class _Dumps:
    """Quacks like a message of an SDK."""

    def __init__(self, value: dict[str, Any]) -> None:
        self._value = value

    def model_dump(self) -> dict[str, Any]:
        return self._value


SDK = {
    "the OpenAI SDK's dump": {
        "content": None, "refusal": None, "role": "assistant", "annotations": [], "audio": None, "function_call": None,
        "tool_calls": [{"id": "c1", "type": "function", "function": {"name": "exec", "arguments": '{"command": "ls"}'}}],
    },
    "the Anthropic SDK's dump": {
        "id": "msg_1", "type": "message", "role": "assistant", "model": "claude", "stop_reason": "tool_use",
        "content": [
            {"type": "thinking", "thinking": "Hm.", "signature": "x"},
            {"type": "text", "text": "", "citations": None},
            {"type": "tool_use", "id": "c1", "name": "exec", "input": {"command": "ls"}},
        ],
    },
    "transformers' parse_response": {
        "role": "assistant", "thinking": "Hm.",
        "tool_calls": [{"type": "function", "function": {"name": "exec", "arguments": {"command": "ls"}}}],
    },
}  # fmt: skip


@pytest.mark.parametrize("kind", SDK)
def test_the_env_plays_what_sdks_hand_out(env: Any, scenario: Any, kind: str) -> None:
    for action in (SDK[kind], _Dumps(SDK[kind])):  # type: ignore[arg-type]
        assert env.action_space.contains(action)
        env.reset(seed=1, options={"scenario": scenario})
        observation, *_ = env.step(action)
        assert observation[0]["role"] == "tool" and observation[0]["success"]
        said = env.unwrapped.episode.messages[2]
        assert said["content"] == "" and json.loads(said["tool_calls"][0]["function"]["arguments"]) == {
            "command": "ls"
        }
    assert assistant_of(SDK[kind]).get("reasoning_content") == (
        None if kind.startswith("the OpenAI") else "Hm."
    )


def test_the_openai_sdks_own_object_is_played(env: Any, scenario: Any) -> None:
    from openai.types.chat import ChatCompletionMessage

    message = ChatCompletionMessage.model_validate(SDK["the OpenAI SDK's dump"])
    env.reset(seed=1, options={"scenario": scenario})
    assert env.step(message)[0][0]["success"]
    assert not env.action_space.contains(SimpleNamespace(role="assistant"))
