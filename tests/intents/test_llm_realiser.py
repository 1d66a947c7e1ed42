"""The LLM realiser against a server that misbehaves: nothing is lost, everything is counted, kill -9 costs nothing."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from ise_gym.cli import app
from ise_gym.errors import UserError
from ise_gym.intents.lines import IntentFileSource
from ise_gym.intents.llm.cache import AnswerCache
from ise_gym.intents.llm.endpoint import Endpoint
from ise_gym.intents.llm.prompt import Wording, kept_words, read_answer, wording_problem
from ise_gym.intents.llm.realiser import LLMRealiser, Realised
from ise_gym.intents.pool.generate import generate
from ise_gym.intents.source import IntentSource
from openai_server import Answer, hang_up, raw, reply, serve, slow, status

pytest.importorskip("openai")


@pytest.fixture(scope="module")
def source() -> IntentSource:
    return IntentSource("train", tasks_per_intent=1, tier="easy")


def material(body: dict[str, Any]) -> list[dict[str, Any]]:
    requests: list[dict[str, Any]] = json.loads(body["messages"][1]["content"])["requests"]
    return requests


def good(body: dict[str, Any]) -> Answer:
    """Say each request with other words around it, and lose nothing."""
    said = [f"Right then: {request['request']}" for request in material(body)]
    return reply(json.dumps({"messages": said, "intent": " ".join(said)}))


def losing(body: dict[str, Any]) -> Answer:
    """Lose everything that had to be kept, in one message."""
    count = len(material(body))
    return reply(json.dumps({"messages": ["Tidy up, please."] * count, "intent": "Tidy up, please."}))


_OPEN: list[AnswerCache] = []


@pytest.fixture(autouse=True)
def _caches_are_closed() -> Iterator[None]:
    yield
    while _OPEN:
        _OPEN.pop().close()


def realiser(url: str, folder: Path, **options: Any) -> LLMRealiser:
    endpoint = Endpoint("m", url, timeout=1.0, max_retries=options.pop("retries", 1))
    _OPEN.append(AnswerCache(folder / "a.jsonl"))
    return LLMRealiser(endpoint, _OPEN[-1], **options)


def test_answers_are_read_tolerantly() -> None:
    plain = '{"messages": ["a {b}"], "intent": "c"}'
    for text in (plain, f"```json\n{plain}\n```", f"Here {{you}} are: {plain} Enjoy!"):
        assert read_answer(text) == Wording(("a {b}",), "c")
    assert "no JSON object" in str(read_answer('{"messages": ["a"'))
    assert "`messages`" in str(read_answer('{"messages": "a", "intent": "b"}'))
    assert "`intent`" in str(read_answer('{"messages": ["a"]}'))


def test_what_a_wording_lost_is_named(source: IntentSource) -> None:
    intent = next(i for i in map(source.intent, range(50)) if len(kept_words(i)[0]) > 1)
    assert wording_problem(Wording(intent.utterances, intent.text), intent) == ""
    word = kept_words(intent)[0][0]
    changed = intent.utterances[0].replace(word, "something")
    assert f"message 1 lost {word!r}" in wording_problem(
        Wording((changed, *intent.utterances[1:]), intent.text), intent
    )
    assert "intent lost" in wording_problem(Wording(intent.utterances, "Do it."), intent)
    assert "messages, but" in wording_problem(Wording((*intent.utterances, "x"), intent.text), intent)
    doubled = (f"the the {intent.utterances[0]}", *intent.utterances[1:])
    assert "doubled word" in wording_problem(Wording(doubled, intent.text), intent)
    endless = (intent.utterances[0] + " now" + ", then wait" * 900, *intent.utterances[1:])
    assert "characters long" in wording_problem(Wording(endless, intent.text), intent)


def test_a_lost_parameter_is_asked_for_again_with_the_reason(source: IntentSource, tmp_path: Path) -> None:
    intent = source.intent(0)
    with serve(losing, good) as server:
        found = realiser(server.url, tmp_path).realise(intent)
    assert found.origin == "model" and len(found.rejected) == 1
    assert " lost " in found.rejected[0] and found.wording.utterances[0].startswith("Right then: ")
    again = server.bodies[1]["messages"]
    assert again[2]["role"] == "assistant" and found.rejected[0] in again[3]["content"]
    assert server.bodies[0]["response_format"]["type"] == "json_schema"


def test_after_the_last_try_the_template_stands_in_and_is_counted(
    source: IntentSource, tmp_path: Path
) -> None:
    intents = [source.intent(n) for n in range(4)]
    with serve(losing) as server:
        stubborn = realiser(server.url, tmp_path, tries=2)
        found = [r for _, r in stubborn.realise_all(intents)]
        assert len(server.requests) == 8
        again = realiser(server.url, tmp_path, tries=2)
        cached = [r for _, r in again.realise_all(intents)]
        assert len(server.requests) == 8 and all(r.cached for r in cached)
    assert [r.wording for r in found] == [Wording(i.utterances, i.text) for i in intents]
    assert stubborn.outcomes.origins == {"template": 4}
    assert stubborn.outcomes.rejections == {"lost a parameter": 8} and stubborn.outcomes.unreached == 0
    assert stubborn.endpoint.usage.to_json() == {"calls": 8, "prompt_tokens": 80, "completion_tokens": 24}
    assert stubborn.endpoint.usage.cost(1e6, 2e6) == 80 + 48


def test_a_server_that_misbehaves_in_every_way_loses_no_intent(source: IntentSource, tmp_path: Path) -> None:
    intents = [source.intent(n) for n in range(24)]
    count = iter(range(10**6))

    def moody(body: dict[str, Any]) -> Answer:
        answers = [
            good(body),
            status(429, "slow down", retry_after="0"),
            raw("{not json"),
            reply('{"messages": ["cut o'),
            losing(body),
            slow(1.5, good(body)),
            good(body),
            status(500, "oops"),
            hang_up(),
            reply(""),
            raw('{"choices": []}'),
            good(body),
        ]
        return answers[next(count) % len(answers)]

    with serve(moody) as server:
        tried = realiser(server.url, tmp_path, tries=4, retries=2)
        found = [(i.id, r) for i, r in tried.realise_all(intents)]
    assert [id_ for id_, _ in found] == [i.id for i in intents]
    for intent, (_, realised) in zip(intents, found, strict=True):
        assert wording_problem(realised.wording, intent) == ""
    outcomes = tried.outcomes
    assert outcomes.origins.total() == 24 and outcomes.origins["model"] >= 18
    assert {"endpoint", "lost a parameter", "not the JSON that was asked for"} <= set(outcomes.rejections)
    assert len(tried.cache) == 24 - outcomes.unreached


def test_an_endpoint_that_is_down_is_asked_again_next_time(source: IntentSource, tmp_path: Path) -> None:
    intent = source.intent(1)
    with serve(status(503, "down")) as server:
        down = realiser(server.url, tmp_path, tries=2, retries=0)
        [(_, stand_in)] = down.realise_all([intent])
    assert stand_in.origin == "template" and down.outcomes.unreached == 1
    with serve(good) as server:
        [(_, found)] = realiser(server.url, tmp_path).realise_all([intent])
    assert found.origin == "model" and not found.cached


def test_servers_without_schemas_and_refused_keys(source: IntentSource, tmp_path: Path) -> None:
    with serve(status(400, "response_format is not supported"), good) as server:
        asked = realiser(server.url, tmp_path)
        assert asked.realise(source.intent(2)).rejected == ()
        assert "response_format" not in server.bodies[1]
    with serve(status(401, "bad key")) as server, pytest.raises(UserError, match="check the API key"):
        list(realiser(server.url, tmp_path).realise_all([source.intent(3)]))


def test_a_torn_cache_line_is_cut_off_and_junk_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "a.jsonl"
    cache = AnswerCache(path)
    cache.put("k", {"text": "é"})
    cache.close()
    path.write_bytes(path.read_bytes() + b'{"key": "half')
    opened = AnswerCache(path)
    assert opened.torn and len(opened) == 1
    opened.put("l", {"text": "x"})
    opened.close()
    assert len(AnswerCache(path)) == 2
    path.write_text("[]\n")
    with pytest.raises(UserError, match=r"a.jsonl:1: not a cached answer"):
        AnswerCache(path)


def test_the_command_words_a_file_and_its_scenarios_use_the_words(tmp_path: Path) -> None:
    path = generate(5, 0, tmp_path, split="train", tasks_per_intent=1, tier="easy", self_contained=False)
    out = tmp_path / "worded.jsonl"
    with serve(good) as server:
        result = CliRunner().invoke(
            app,
            ["intents", "realise", str(tmp_path), "--out", str(out), "--model", "m", "--base-url", server.url,
             "--price-in", "100", "--no-second-reading"],
        )  # fmt: skip
    assert result.exit_code == 0, result.output
    assert "5 in the model's words" in result.output and "cost 0.01" in result.output.replace("0.005", "0.01")
    drawn, worded = IntentFileSource(path), IntentFileSource(out)
    for before, after in zip(drawn, worded, strict=True):
        assert after.requests[0].text == f"Right then: {before.requests[0].text}"
        assert after.intent.startswith("Right then: ") and after.metadata["realiser"]["origin"] == "model"
        assert after.brief == before.brief != ""
        assert after.requests[0].subgoals == before.requests[0].subgoals and after.files == before.files
    lines = out.read_text().splitlines()
    bad = tmp_path / "bad.jsonl"
    bad.write_text(json.dumps({**json.loads(lines[0]), "template_sha256": "0" * 64}))
    with pytest.raises(UserError, match="draws something else"):
        IntentFileSource(bad).scenario(0)
    bad.write_text(json.dumps({**json.loads(lines[0]), "utterances": ["a"] * 40}))
    with pytest.raises(UserError, match="40 utterances"):
        IntentFileSource(bad).scenario(0)


@pytest.mark.slow
def test_kill_9_costs_only_what_was_in_flight(tmp_path: Path) -> None:
    path = generate(12, 0, tmp_path, split="train", tasks_per_intent=1, tier="easy")
    out, answers = tmp_path / "worded.jsonl", tmp_path / "worded.answers.jsonl"
    with serve(lambda body: slow(0.25, good(body))) as server:
        command = [sys.executable, "-m", "ise_gym.cli", "intents", "realise", str(path), "--no-second-reading", "--out", str(out), "--model", "m",
                   "--base-url", server.url, "--concurrency", "1"]  # fmt: skip
        process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
        deadline = time.monotonic() + 90
        while not (answers.exists() and answers.read_bytes().count(b"\n") >= 3):
            assert time.monotonic() < deadline and process.poll() is None, process.communicate()[1]
            time.sleep(0.02)
        os.kill(process.pid, signal.SIGKILL)
        process.communicate()
        kept = answers.read_bytes().count(b"\n")
        assert 3 <= kept < 12 and not out.exists()
        before = len(server.requests)
        server.script = [good]
        assert subprocess.run(command, capture_output=True, timeout=120).returncode == 0
        assert len(server.requests) - before == 12 - kept
    assert len(out.read_text().splitlines()) == 12


def test_realised_says_whether_the_endpoint_was_to_blame() -> None:
    words = Wording(("a",), "a")
    assert Realised(words, "template", ("endpoint: down",)).unreached
    assert not Realised(words, "template", ("message 1 lost 'x'",)).unreached
    assert not Realised(words, "model", ("endpoint: down",)).unreached
