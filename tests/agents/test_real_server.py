"""A real server that nobody of this project wrote, `transformers serve`, with the tiny base of the checkout behind it.

Its weights are here, so this needs no download: only the plumbing is judged. Larger models: `test_real_models.py`.
"""

from __future__ import annotations

import importlib.util
import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from ise_gym.agents.openai import OpenAIAgent
from ise_gym.errors import UserError
from ise_gym.messages import assistant, system, tool_call, tool_calls_of, tool_result, user
from ise_gym.models.chat import JsonChat
from ise_gym.rollout.play import play_episode
from ise_gym.tools import tool_schemas
from ise_gym.trajectory.record import Trajectory, to_line
from made_scenarios import make_scenario

ROOT = Path(__file__).resolve().parents[2]
NEEDED = [
    name for name in ("transformers", "torch", "fastapi", "uvicorn") if importlib.util.find_spec(name) is None
]
pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(
        bool(NEEDED), reason=f"NOT TESTED with a real server: {', '.join(NEEDED)} not installed"
    ),
]
PATIENT: dict[str, Any] = {"timeout": 300.0, "max_retries": 1}
TOOLS = tool_schemas(["exec", "read"])


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    sys.path.insert(0, str(ROOT / "scripts"))
    from real_models import serving  # type: ignore[attr-defined]

    with pytest.MonkeyPatch.context() as outer:
        outer.setenv("ISE_MODELS", str(tmp_path_factory.mktemp("models")))
        outer.setenv("HF_HUB_OFFLINE", "1")
        with serving(str(ROOT / "training" / "tiny_base" / "model"), server="transformers") as server:
            yield server


def agent_at(served: Any, **options: Any) -> OpenAIAgent:
    return OpenAIAgent(served.model, base_url=served.base_url, **{**PATIENT, "max_tokens": 200, **options})


def test_words_are_recorded_with_all_that_the_server_says_of_them(served: Any) -> None:
    message = agent_at(served).act([user("Hi")], [])
    said = message["completion"]
    assert message["content"] and "tool_calls" not in message
    assert (said["finish"], said["ended"], said["tries"], said["faults"]) == ("stop", "stop", 1, [])
    assert said["usage"]["prompt"] > 0 and said["usage"]["completion"] > 0 and said["id"] and said["model"]


def test_a_streamed_answer_is_the_whole_one(served: Any) -> None:
    whole, streamed = (agent_at(served, stream=stream).act([user("Hi")], []) for stream in (False, True))
    assert streamed["content"] == whole["content"]
    assert streamed["completion"]["usage"] == whole["completion"]["usage"]


def test_the_servers_parser_reads_a_call_and_its_result_goes_back(served: Any) -> None:
    talk = [system("Be brief."), user("List the files please")]
    message = agent_at(served).act(talk, TOOLS)
    (call,) = tool_calls_of(message)
    assert call["function"]["name"] in ("exec", "read") and json.loads(call["function"]["arguments"])
    assert message["completion"]["ended"] == "stop"
    done = assistant("", [{**tool_call("exec", {"command": "ls"}), "id": "c1"}])
    after = agent_at(served).act([*talk, done, tool_result("c1", "exec", "a b", success=True)], TOOLS)
    assert after["content"] or tool_calls_of(after)


def test_an_answer_that_was_cut_says_so(served: Any) -> None:
    said = agent_at(served, max_tokens=6).act([user("word " * 60)], [])["completion"]
    assert said["ended"] == "cut" and said["usage"]["completion"] == 6


def test_an_unknown_model_ends_with_one_line(served: Any) -> None:
    with pytest.raises(UserError, match="check the model's name"):
        OpenAIAgent("nobody", base_url=served.base_url, **PATIENT).probe()


def test_a_server_without_schemas_is_asked_without_them(served: Any) -> None:
    chat = JsonChat(served.model, base_url=served.base_url, max_tokens=16, **PATIENT)
    assert isinstance(chat.ask([user("Hi")], {"type": "object", "properties": {}}), str)


def test_an_episode_is_played_and_recorded(served: Any, env: Any) -> None:
    played = play_episode(env, agent_at(served, calls="text"), make_scenario(), 0)
    assert played.outcome in ("passed", "failed", "truncated", "infrastructure_error"), played.reason
    assert played.outcome != "infrastructure_error" or "Internal Server Error" in played.reason
    assert all(step.completion for step in played.steps)
    assert Trajectory.model_validate_json(to_line(played)) == played
