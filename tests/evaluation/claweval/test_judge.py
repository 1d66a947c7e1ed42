"""The judge: retries, cache, cost, failures by name, and what a failing one does to a run."""

import json
import time
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from model_server import ModelServer

from ise_gym.errors import UserError
from ise_gym.evaluation.claweval.models.endpoint import ChatEndpoint, EndpointError
from ise_gym.evaluation.claweval.models.judge import (
    JudgeClient,
    JudgeFailed,
    JudgeSpec,
    make_client,
    parse_judge,
)
from ise_gym.evaluation.claweval.runner import run_claweval
from ise_gym.evaluation.results.summary import RunSummary
from ise_gym.evaluation.run import load_run

SUITE = Path(__file__).parents[1] / "fixture_suite"
NONE = JudgeSpec("none")


def judge_with(answers: list[str | Exception], **spec: Any) -> tuple[JudgeClient, list[float]]:
    pauses: list[float] = []

    def ask(request: Mapping[str, Any]) -> tuple[str, tuple[int, int]]:
        answer = answers.pop(0)
        if isinstance(answer, Exception):
            raise answer
        return answer, (10, 2)

    return JudgeClient(JudgeSpec("openai", "m", **spec), ask, sleep=pauses.append), pauses


def ask(client: JudgeClient, text: str = "q") -> str:
    reply = client.chat.completions.create(model="m", messages=[{"role": "user", "content": text}])
    return str(reply.choices[0].message.content)


def test_a_judge_retries_then_fails_for_good() -> None:
    reset = EndpointError("connection", "reset", retry_after=9.0)
    client, pauses = judge_with([reset, "", "fine"], price_in=2.0, price_out=5.0)
    assert ask(client) == "fine" and pauses == [9.0, 2.0] and client.retried == 2
    assert client.cost == pytest.approx((2 * 10 * 2 + 2 * 2 * 5) / 1e6)  # the empty answer was paid for, too
    client, _ = judge_with([EndpointError("connection", "reset")] * 9)
    with pytest.raises(JudgeFailed, match="m: connection: reset"):
        ask(client)


def test_a_refused_key_is_not_retried() -> None:
    refused = EndpointError("status", "401 no key", final=True)
    client, pauses = judge_with([refused, "never asked"])
    with pytest.raises(JudgeFailed):
        ask(client)
    assert pauses == []


def test_answers_are_cached_on_disk_by_model_and_question(tmp_path: Path) -> None:
    first, _ = judge_with(["one", "two"], cache=str(tmp_path))
    assert (ask(first, "a"), ask(first, "b")) == ("one", "two")
    second, _ = judge_with([], cache=str(tmp_path))
    assert (ask(second, "a"), ask(second, "b")) == ("one", "two")
    assert (second.calls, second.cached) == (2, 2)


def test_an_answer_that_cannot_be_parsed_is_asked_again_not_read_from_the_cache(tmp_path: Path) -> None:
    client, _ = judge_with(["junk", "junk", "good"], cache=str(tmp_path))
    assert [ask(client), ask(client), ask(client)] == ["junk", "junk", "good"]
    with pytest.raises(JudgeFailed, match="answer: none could be parsed"):
        ask(client)
    client.begin_trial()
    assert ask(client) == "good"


@pytest.mark.parametrize(
    ("spec", "message"), [("stbu", "Did you mean 'stub'"), ("openai", "incomplete"), ("stub:2", "0 to 1")]
)
def test_bad_judges(spec: str, message: str) -> None:
    with pytest.raises(UserError, match=message):
        parse_judge(spec)


def endpoint(server: ModelServer, timeout: float = 5.0) -> ChatEndpoint:
    return ChatEndpoint(server.url, "", timeout)


def problem(server: ModelServer, timeout: float = 5.0) -> EndpointError:
    with pytest.raises(EndpointError) as caught:
        endpoint(server, timeout).ask({"model": "m", "messages": []})
    return caught.value


def test_an_endpoint_answers_or_says_what_is_wrong() -> None:
    with ModelServer(lambda n: "fine") as server:
        request = {"model": "m", "messages": [], "extra_body": {"top_k": 1}}
        assert endpoint(server).ask(request) == ("fine", (10, 3))
        assert server.requests == [{"model": "m", "messages": [], "top_k": 1}]
        url = server.url
    with ModelServer(lambda n: 401) as server:
        assert (problem(server).kind, problem(server).final) == ("status", True)
    with ModelServer(lambda n: 503) as server:
        assert (problem(server).kind, problem(server).final) == ("status", False)
    with ModelServer(lambda n: 204) as server:
        assert problem(server).kind == "answer"
    with ModelServer(lambda n: time.sleep(0.3) or "late") as server:  # type: ignore[func-returns-value]
        assert problem(server, timeout=0.05).kind == "timeout"
    with pytest.raises(EndpointError, match="connection"):
        ChatEndpoint(url, "", 1.0).ask({})


def test_requests_at_once_are_limited_over_all_clients(tmp_path: Path) -> None:
    with ModelServer(lambda n: time.sleep(0.05) or "fine") as server:  # type: ignore[func-returns-value]
        spec = JudgeSpec("openai", "m", server.url, concurrency=2, slots=str(tmp_path / "slots"))
        clients = [make_client(spec) for _ in range(6)]
        with ThreadPoolExecutor(6) as pool:
            assert list(pool.map(ask, clients)) == ["fine"] * 6
        assert server.most == 2


def test_a_judge_that_fails_every_fifth_time_costs_no_verdict(tmp_path: Path) -> None:
    verdict = json.dumps({"score": 0.9, "reasoning": "polite"})
    with ModelServer(lambda n: 503 if n % 5 == 1 else verdict) as server:
        judge = parse_judge("openai:m", base_url=server.url, retries=0, price_in=1.0, price_out=1.0)
        summary = run_claweval(
            SUITE, "explorer", tmp_path / "run", tasks="T902", judge=judge, trials=8, retries=2
        )
        assert summary.complete and summary.rate.passed == 8
        run = load_run(tmp_path / "run")
        assert len(server.requests) == run.attempts == 10
        lines = (tmp_path / "run" / "trials.jsonl").read_text().splitlines()
        failed = [json.loads(line) for line in lines if '"judge_error"' in line]
        assert len(failed) == 2 and all(line["score"] is None for line in failed)
        assert summary.means["judge_usd"] == pytest.approx(13e-6)


def test_a_dead_judge_is_a_judge_error_and_is_asked_once_a_try(tmp_path: Path) -> None:
    with ModelServer(lambda n: 500) as server:
        judge = parse_judge("openai:m", base_url=server.url, retries=0)
        summary = run_claweval(SUITE, "explorer", tmp_path / "run", tasks="T902", judge=judge, retries=1)
        assert (
            len(server.requests) == 2
        )  # the benchmark's own judge would have asked thirty times, for minutes
    trial = next(iter(load_run(tmp_path / "run").trials.values()))
    assert (trial.outcome, trial.attempt, trial.score) == ("judge_error", 2, None)
    assert trial.reason == "judge: m: status: 500 without a word"
    assert not summary.complete and summary.rate.trials == 0
    verdict = json.dumps({"score": 0.9, "reasoning": "polite"})
    with ModelServer(lambda n: verdict) as server:
        judge = parse_judge("openai:m", base_url=server.url)
        summary = run_claweval(SUITE, "explorer", tmp_path / "run", tasks="T902", judge=judge)
    assert summary.complete and summary.rate.passed == 1  # the same run, resumed


# -- money: what a misbehaving endpoint may cost -------------------------------------------------

VERDICT = json.dumps({"score": 0.9, "reasoning": "polite"})


def test_a_prompt_that_the_provider_filters_is_that_prompts_and_ends_no_run() -> None:
    """403 is a matter of the key, unless the provider says that it was the words."""
    body = {"error": {"message": "blocked by the content management policy", "code": "content_filter"}}
    with ModelServer(lambda n: (403, body)) as server:
        assert (problem(server).final, problem(server).remedy) == (True, "")
    with ModelServer(lambda n: (400, {"error": {"message": "The model `m` does not exist"}})) as server:
        assert "model's name" in problem(server).remedy
    with ModelServer(lambda n: 429) as server:
        assert (problem(server).final, problem(server).remedy) == (False, "")


@pytest.mark.parametrize("status", [401, 402, 403, 404, 405])
@pytest.mark.parametrize("protocol", ["upstream", "env"])
def test_a_judge_that_refuses_ends_the_run_with_one_line_and_one_request(
    tmp_path: Path, status: int, protocol: str
) -> None:
    with ModelServer(lambda n: status) as server:
        judge = parse_judge("openai:m", base_url=server.url)
        with pytest.raises(UserError, match=f"the judge's endpoint refused m: status: {status}"):
            run_claweval(
                SUITE, "explorer", tmp_path / "run", tasks="T902", judge=judge, trials=5, protocol=protocol
            )
        assert len(server.requests) == 1
    with ModelServer(lambda n: VERDICT) as server:
        judge = parse_judge("openai:m", base_url=server.url)
        summary = run_claweval(
            SUITE, "explorer", tmp_path / "run", tasks="T902", judge=judge, trials=5, protocol=protocol
        )
        assert summary.complete and len(server.requests) == 5


@pytest.mark.parametrize("status", [401, 402, 403, 404])
def test_an_agent_or_user_that_refuses_ends_the_run_with_one_request(tmp_path: Path, status: int) -> None:
    with ModelServer(lambda n: status) as server:
        options = {"base_url": server.url, "api_key": "none", "max_retries": 0}
        with pytest.raises(UserError, match=r"refused|no model|40\d") as told:
            run_claweval(
                SUITE,
                "openai:m",
                tmp_path / "a",
                tasks="T901,T906",
                judge=NONE,
                agent_options=options,
                trials=5,
            )
        assert len(server.requests) == 1 and "\n" not in str(told.value)
    with ModelServer(
        lambda n: status if n > 1 else "Yes."
    ) as server:  # it answers when it is first looked for
        options = {"base_url": server.url, "api_key": "none", "max_retries": 0}
        with pytest.raises(UserError):
            run_claweval(
                SUITE,
                "openai:m",
                tmp_path / "b",
                tasks="T901,T906",
                judge=NONE,
                agent_options=options,
                trials=5,
            )
        assert len(server.requests) == 2
    with ModelServer(lambda n: status) as server:
        speaks = parse_judge("openai:m", base_url=server.url)
        with pytest.raises(UserError, match="the user's endpoint refused m"):
            run_claweval(SUITE, "vacuous", tmp_path / "u", tasks="C", judge=NONE, user=speaks, trials=5)
        assert len(server.requests) == 1


@pytest.mark.parametrize("protocol", ["upstream", "env"])
def test_a_judge_failure_is_graded_again_and_not_played_again(tmp_path: Path, protocol: str) -> None:
    """The agent is asked as often as if the judge had never failed; the kept trace waits over a resumed run too."""
    with ModelServer(lambda n: "I did nothing.") as agent, ModelServer(lambda n: 500) as dead:
        judge = parse_judge("openai:j", base_url=dead.url, retries=0)
        options = {"base_url": agent.url, "api_key": "none"}

        def played() -> int:
            """Requests of the trial, not those by which an endpoint is first looked for."""
            return sum(request["messages"][0]["role"] == "system" for request in agent.requests)

        def play(with_judge: JudgeSpec) -> RunSummary:
            return run_claweval(
                SUITE, "openai:m", tmp_path / "run", tasks="T902", judge=with_judge, agent_options=options,
                retries=2, protocol=protocol, agent_prices=(1.0, 1.0),
            )  # fmt: skip

        first = play(judge)
        assert (first.outcomes["judge_error"], len(dead.requests), played()) == (1, 3, 1)
        assert list((tmp_path / "run" / "traces" / ".ungraded").iterdir())
        with ModelServer(lambda n: VERDICT) as judging:
            summary = play(parse_judge("openai:j", base_url=judging.url))
            assert len(judging.requests) == 1
        assert summary.complete and played() == 1
    run = load_run(tmp_path / "run")
    assert [trial.outcome for trial in run.every] == ["judge_error"] * 3 + ["pass"]
    assert run.every[0].counts["input_tokens"] == run.every[3].counts["input_tokens"] == 10
    assert run.every[3].counts["regraded"] == 1 and run.every[3].episode == run.every[0].episode != ""
    assert summary.spent.tokens["agent in"] == 10 and summary.spent.attempts == 4
    assert not list((tmp_path / "run" / "traces" / ".ungraded").iterdir())


def test_a_dead_judge_gives_up_after_so_many_in_a_row(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("ise_gym.rollout.engine.BACKOFF_S", 0.01)
    with ModelServer(lambda n: 503) as server:
        judge = parse_judge("openai:m", base_url=server.url, retries=0)
        with pytest.raises(UserError, match="3 trials in a row were broken"):
            run_claweval(
                SUITE,
                "explorer",
                tmp_path / "run",
                tasks="T902",
                judge=judge,
                trials=40,
                retries=1,
                give_up_after=3,
            )
        assert len(server.requests) <= 3 * 2 + 2
    run = load_run(tmp_path / "run")
    played = {trial.episode for trial in run.every}
    assert len(played) <= 4, "each trial was played once, whatever its judge did"
