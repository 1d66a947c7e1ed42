"""A real small model behind a real server, in every seat: only the plumbing is judged, never the model's wit.

Runs with ISE_REAL_MODELS=1 (`make nightly`): weights of 98 MB are fetched, and a server is built where there is none.
"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from ise_gym.agents.openai import OpenAIAgent
from ise_gym.errors import AgentError
from ise_gym.intents.llm.cache import AnswerCache
from ise_gym.intents.llm.endpoint import Endpoint
from ise_gym.intents.llm.realiser import LLMRealiser
from ise_gym.intents.source import IntentSource
from ise_gym.messages import system, user
from ise_gym.models.chat import JsonChat
from ise_gym.rollout.play import play_episode
from ise_gym.simulator import make_user
from ise_gym.trajectory.record import Trajectory, to_line
from made_scenarios import make_scenario

pytestmark = [
    pytest.mark.models,
    pytest.mark.slow,
    pytest.mark.skipif(
        not os.environ.get("ISE_REAL_MODELS"),
        reason="NOT TESTED with a real model: ISE_REAL_MODELS is not set",
    ),
]
MODEL = os.environ.get("ISE_REAL_MODEL", "smollm2-135m")
PATIENT = {"timeout": 900.0, "max_retries": 0}


@pytest.fixture(scope="module")
def served() -> Iterator[Any]:
    sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "scripts"))
    from real_models import serving  # type: ignore[attr-defined]

    with serving(MODEL, context=4096) as server:
        yield server


def agent_at(served: Any, **options: Any) -> OpenAIAgent:
    return OpenAIAgent(served.model, base_url=served.base_url, **{**PATIENT, "max_tokens": 24, **options})


def test_an_answer_says_all_that_the_server_knows_of_it(served: Any) -> None:
    agent = agent_at(served, logprobs=True)
    agent.probe()
    message = agent.act([system("Be brief."), user("Say hello.")], [])
    said = message["completion"]
    assert message["role"] == "assistant" and message["content"]
    assert said["ended"] in ("stop", "cut") and said["finish"] in ("stop", "length")
    assert said["usage"]["completion"] == len(said["token_ids"]) == len(said["logprobs"]) > 0
    assert all(value <= 0 for value in said["logprobs"]) and said["id"] and said["tries"] == 1


def test_a_streamed_answer_is_the_whole_one(served: Any) -> None:
    talk = [system("Be brief."), user("Say hello.")]
    whole, streamed = agent_at(served).act(talk, []), agent_at(served, stream=True).act(talk, [])
    assert streamed["content"] == whole["content"]
    assert streamed["completion"]["usage"]["completion"] == whole["completion"]["usage"]["completion"]


def test_a_cut_answer_goes_on(served: Any) -> None:
    talk = [system("Tell long stories."), user("Tell me of Paris.")]
    cut = agent_at(served, max_tokens=8).act(talk, [])
    longer = agent_at(served, max_tokens=8, continue_cut="prefill").act(talk, [])
    assert cut["completion"]["ended"] == "cut"
    assert longer["content"].startswith(cut["content"]) and len(longer["content"]) > len(cut["content"])


def test_a_full_context_is_the_agents_own(served: Any) -> None:
    with pytest.raises(AgentError) as caught:
        agent_at(served).act([user("word " * 6000)], [])
    assert (caught.value.kind, caught.value.infrastructure) == ("context", False)


@pytest.mark.parametrize("calls", ["server", "text"])
def test_an_episode_is_played_recorded_and_read_again(served: Any, env: Any, calls: str) -> None:
    played = play_episode(env, agent_at(served, calls=calls), make_scenario(), 0)
    assert played.outcome in ("passed", "failed", "truncated"), played.reason
    assert played.steps and all(step.completion and step.completion.ended for step in played.steps)
    assert len(played.timings.received) == len(played.steps)
    assert played.agent["usage"]["calls"] == len(played.steps)
    assert Trajectory.model_validate_json(to_line(played)) == played


def test_as_user_it_speaks_or_the_script_does(served: Any) -> None:
    simulator = make_user(f"llm:{served.model}", base_url=served.base_url, max_tokens=60, **PATIENT)  # type: ignore[arg-type]
    turn = simulator.reset(make_scenario(), 0)
    assert turn.text and simulator.describe()["usage"]["calls"] >= 1


def test_as_writer_every_intent_has_words(served: Any, tmp_path: Path) -> None:
    cache = AnswerCache(tmp_path / "answers.jsonl")
    endpoint = Endpoint(served.model, served.base_url, max_tokens=120, **PATIENT)
    (found,) = [
        r
        for _, r in LLMRealiser(endpoint, cache, tries=1, concurrency=1).realise_all(
            [IntentSource().intent(0)]
        )
    ]
    cache.close()
    assert found.wording.text and found.origin in ("model", "template") and endpoint.usage.calls == 1


def test_a_schema_is_kept_to(served: Any) -> None:
    schema = {
        "type": "object",
        "properties": {"ok": {"type": "boolean"}},
        "required": ["ok"],
        "additionalProperties": False,
    }
    chat = JsonChat(served.model, base_url=served.base_url, max_tokens=16, **PATIENT)  # type: ignore[arg-type]
    said = json.loads(chat.ask([user("Is water wet? Answer with JSON.")], schema))
    assert said in ({"ok": True}, {"ok": False})
