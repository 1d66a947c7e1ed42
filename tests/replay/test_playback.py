"""Recorded answers played again: a run with an endpoint is repeated without it, record for record."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from ise_gym.agents import make_agent
from ise_gym.errors import AgentError, UserError
from ise_gym.replay.playback import PlaybackAgent
from ise_gym.rollout.play import play_episode
from ise_gym.trajectory.record import content_hash, to_line
from made_scenarios import make_scenario
from openai_server import Answer, reply, serve, status

CALL = reply("Looking.", [("exec", '{"command": "ls"}')])
FULL = status(400, "This model's maximum context length is 10 tokens")


def recorded(env: Any, file: Path, *script: Answer, **options: Any) -> Any:
    with serve(*script) as server:
        agent = make_agent("openai:tiny", base_url=server.url, max_retries=0, **options)
        played = play_episode(env, agent, make_scenario(), 3)
    with file.open("ab") as lines:
        lines.write(to_line(played))
    return played


@pytest.mark.parametrize("match", ["exact", "turn"])
@pytest.mark.parametrize(
    "script",
    [
        (CALL, reply("I have wri", finish="length"), reply("Done.")),
        (reply('```json\n{"name": "exec", "arguments": {"command": "ls"}}\n```'), reply("Done.")),
        (CALL, FULL),
        (reply(None, [("exec", "ls -l")]), reply("Done.", reasoning_content="Hm.")),
    ],
)
def test_an_episode_comes_out_equal_without_its_endpoint(
    env: Any, tmp_path: Path, script: tuple[Answer, ...], match: str
) -> None:
    with_endpoint = recorded(env, tmp_path / "a.jsonl", *script, calls="text")
    agent = make_agent(f"playback:{tmp_path / 'a.jsonl'}", match=match)
    again = play_episode(env, agent, make_scenario(), 3)
    assert again.outcome == with_endpoint.outcome and again.reason == with_endpoint.reason
    assert content_hash(again) == content_hash(with_endpoint)
    assert [r.id for r in again.timings.received] == [r.id for r in with_endpoint.timings.received]


def test_another_conversation_gets_no_answer(env: Any, tmp_path: Path) -> None:
    file = tmp_path / "a.jsonl"
    recorded(env, file, CALL, reply("Done."))
    record = json.loads(file.read_text())
    result = next(m for m in record["messages"] if m["role"] == "tool")
    result["content"] = "what it printed then"
    file.write_text(json.dumps(record) + "\n")
    exact = play_episode(env, PlaybackAgent(str(file)), make_scenario(), 3)
    assert exact.outcome == "infrastructure_error"
    assert (
        "is not the recorded one: it was 'what it printed then'" in exact.reason
        and "match=turn" in exact.reason
    )
    by_turn = play_episode(env, PlaybackAgent(str(file), match="turn"), make_scenario(), 3)
    assert by_turn.outcome == record["outcome"] and by_turn.messages[2]["content"] == "Looking."


def test_what_is_not_there_is_said(env: Any, tmp_path: Path) -> None:
    file = tmp_path / "a.jsonl"
    recorded(env, file, reply("Done."))
    with pytest.raises(AgentError, match="has no episode"):
        PlaybackAgent(str(file)).reset(make_scenario(), 4)
    with pytest.raises(UserError, match="is none of exact, turn"):
        PlaybackAgent(str(file), match="exactly")
    with pytest.raises(UserError, match="holds no records of 'openai:tony': it has openai:tiny"):
        PlaybackAgent(str(file), agent="openai:tony")
    with pytest.raises(UserError, match="no such file"):
        make_agent(f"playback:{tmp_path / 'b.jsonl'}")
