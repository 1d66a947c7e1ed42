from __future__ import annotations

import threading
import time

import pytest

from ise_gym.agents.openai import OpenAIAgent
from ise_gym.errors import UserError
from ise_gym.messages import user
from ise_gym.models.answer import Answer, answer_of, tokens_of
from ise_gym.models.metering import Meter, Pace, Prices, prices_of, shared_pace
from ise_gym.simulator.llm import LLMUser
from made_scenarios import make_scenario
from openai_server import raw, reply, serve


def completion(prompt: int, completion: int, cached: int | None = None, finish: str = "stop") -> Answer:
    details = {} if cached is None else {"prompt_tokens_details": {"cached_tokens": cached}}
    usage: dict[str, object] = {"prompt_tokens": prompt, "completion_tokens": completion, **details}
    return answer_of(
        {
            "choices": [{"finish_reason": finish, "message": {"content": "x"}}],
            "usage": usage,
        }
    )


def test_cost_counts_cached_tokens_at_their_own_price() -> None:
    assert Prices(1.0, 10.0).cost(1_000_000, 100_000) == 2.0
    meter = Meter(Prices(1.0, 10.0, cached=0.1))
    assert meter.add(completion(1000, 100, cached=600)) == 1100
    meter.add(completion(10, 5, finish="length"))
    assert meter.usage == {
        "calls": 2,
        "prompt_tokens": 1010,
        "completion_tokens": 105,
        "cached_tokens": 600,
        "total_tokens": 1115,
        "cut": 1,
        "cost": pytest.approx((410 * 1 + 600 * 0.1 + 105 * 10) / 1e6),
    }
    meter.reset()
    assert set(meter.usage.values()) == {0}
    assert "cost" not in Meter().usage
    assert prices_of(None, None, None) is None and prices_of(0.5, None, None) == Prices(0.5, 0.0)
    with pytest.raises(UserError, match="can't be negative"):
        prices_of(-1, 2, None)


@pytest.mark.parametrize(
    "body", [{}, {"usage": None}, {"usage": {"prompt_tokens": None, "prompt_tokens_details": None}}]
)
def test_a_server_that_counts_nothing_costs_nothing(body: dict) -> None:  # type: ignore[type-arg]
    assert tokens_of(body) == (0, 0, 0)
    assert Meter(Prices(1, 1)).add(answer_of({"choices": [{"message": {"content": "x"}}], **body})) == 0


def test_requests_are_spaced_over_all_threads() -> None:
    pace = Pace(requests_per_minute=60 / 0.05)
    times: list[float] = []

    def work() -> None:
        for _ in range(3):
            pace.wait()
            times.append(time.monotonic())

    threads = [threading.Thread(target=work) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    times.sort()
    assert len(times) == 9 and times[-1] - times[0] >= 8 * 0.05 - 0.001


def test_tokens_are_paid_off_before_the_next_call() -> None:
    pace = Pace(tokens_per_minute=60_000)  # 1 ms each
    assert pace.wait() == 0.0
    pace.spent(200)
    begun = time.monotonic()
    assert pace.wait() > 0.15 and time.monotonic() - begun > 0.15
    assert Pace().wait() == 0.0
    for wrong in ({"requests_per_minute": 0}, {"tokens_per_minute": -1}):
        with pytest.raises(UserError, match="must be more than 0"):
            Pace(**wrong)


def test_agents_of_one_process_share_a_rate() -> None:
    assert shared_pace("http://a", "m", 10, None) is shared_pace("http://a", "m", 10, None)
    assert shared_pace("http://a", "m", 10, None) is not shared_pace("http://a", "n", 10, None)
    with serve(reply("ok")) as server:
        agents = [
            OpenAIAgent("tiny", base_url=server.url, requests_per_minute=600, max_retries=0) for _ in range(2)
        ]
        begun = time.monotonic()
        for agent in agents * 2:
            agent.act([user("hi")], [])
        assert time.monotonic() - begun >= 0.299


def test_the_users_model_is_counted_and_paced_too() -> None:
    answer = raw(
        '{"choices": [{"message": {"content": "{\\"move\\": \\"stay\\", \\"say\\": \\"Please put héllo.\\"}"}}], '
        '"usage": {"prompt_tokens": 500, "completion_tokens": 20}}'
    )
    with serve(answer) as server:
        simulator = LLMUser("tiny", base_url=server.url, price_in=2.0, price_out=10.0)
        simulator.reset(make_scenario(), 0)
        usage = simulator.describe()["usage"]
        assert (usage["calls"], usage["total_tokens"]) == (1, 520)
        assert usage["cost"] == pytest.approx(0.0012)
        simulator.reset(make_scenario(), 1)
        assert simulator.describe()["usage"]["calls"] == 1
