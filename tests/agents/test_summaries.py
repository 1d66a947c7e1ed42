"""A conversation longer than the model's context is told by the model itself, once, and goes on from that."""

from __future__ import annotations

import json
from typing import Any

import pytest

from ise_gym.agents.openai import OpenAIAgent
from ise_gym.errors import AgentError
from ise_gym.messages import Message, assistant, system, tool_call, tool_result, user
from ise_gym.models.summary import border
from ise_gym.tools import tool_schemas
from made_scenarios import make_scenario
from openai_server import Answer, reply, serve, status

TOOLS = tool_schemas(["exec"])


def long_talk(rounds: int) -> list[Message]:
    talk = [system("You work."), user("Count the logs, please.")]
    for number in range(rounds):
        talk.append(assistant("", [tool_call("exec", {"command": f"wc {number}"}, f"call_{number}")]))
        talk.append(tool_result(f"call_{number}", "exec", f"{number} " + "log " * 200, success=True))
    return talk


class Small:
    """An endpoint whose context holds so many characters of messages."""

    def __init__(self, holds: int) -> None:
        self.holds = holds

    def __call__(self, body: dict[str, Any]) -> Answer:
        size = len(json.dumps(body["messages"]))
        if size > self.holds:
            return status(
                400, f"This model's maximum context length is {self.holds} tokens, yours has {size}"
            )
        summary = "Write a summary" in body["messages"][0]["content"]
        return reply("Logs 0 to 5 are counted." if summary else "On it.")


def test_what_is_older_is_told_once_and_later_turns_go_on_from_it() -> None:
    talk = long_talk(10)
    with serve(Small(7000)) as server:
        agent = OpenAIAgent("tiny", base_url=server.url, when_full="summarise", max_retries=0)
        agent.reset(make_scenario(), 0)
        first = agent.act(talk, TOOLS)
        talk += [assistant("On it."), user("Go on.")]
        second = agent.act(talk, TOOLS)
        bodies = server.bodies
    assert first["content"] == second["content"] == "On it."
    assert first["completion"]["faults"] == second["completion"]["faults"] == ["summarised"]
    assert agent.usage["summarised"] == 2 and agent.describe()["when_full"] == "summarise"
    # full; a summary; the shorter one; and the next turn at once with that summary
    assert len(bodies) == 4
    for sent in (bodies[2]["messages"], bodies[3]["messages"]):
        assert [m["role"] for m in sent[:3]] == ["system", "user", "assistant"]
        assert "Logs 0 to 5 are counted." in sent[1]["content"]
        called = {call["id"] for m in sent for call in m.get("tool_calls", ())}
        assert {m["tool_call_id"] for m in sent if m["role"] == "tool"} == called
    assert bodies[3]["messages"][-1]["content"] == "Go on."


def test_a_second_summary_holds_the_first() -> None:
    talk = long_talk(10)
    with serve(Small(7000)) as server:
        agent = OpenAIAgent("tiny", base_url=server.url, when_full="summarise", max_retries=0)
        agent.reset(make_scenario(), 0)
        agent.act(talk, TOOLS)
        agent.act([*talk, *long_talk(6)[2:]], TOOLS)
        asked = [
            b["messages"][1]["content"]
            for b in server.bodies
            if "Write a summary" in b["messages"][0]["content"]
        ]
    assert len(asked) == 2 and "Logs 0 to 5 are counted." in asked[1]


def test_where_nothing_more_can_be_told_the_episode_ends_as_the_agents_own() -> None:
    with serve(Small(500)) as server:
        agent = OpenAIAgent("tiny", base_url=server.url, when_full="summarise", max_retries=0)
        for talk in ([system("You work."), user("word " * 500)], long_talk(10)):
            with pytest.raises(AgentError) as caught:
                agent.act(talk, TOOLS)
            assert (caught.value.kind, caught.value.infrastructure) == ("context", False)


def test_the_border_never_parts_a_result_from_its_call() -> None:
    for rounds in range(1, 12):
        talk = long_talk(rounds)
        at = border(talk)
        assert at == 0 or talk[at]["role"] in ("assistant", "user")
        assert at == 0 or len(talk) - at >= 6
