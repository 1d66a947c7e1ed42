"""Requests at once follow what the endpoint bears: halved when it is busy or late, one more a round of good answers."""

from __future__ import annotations

import asyncio
import threading
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from ise_gym.models.client import Client
from ise_gym.models.congestion import Gate
from ise_gym.models.endpoint import endpoint_options
from openai_server import Answer, reply, serve, status


async def entered(gate: Gate, count: int) -> list[float]:
    return [await gate.enter() for _ in range(count)]


def test_busy_halves_once_a_round_and_good_answers_add_one_a_round() -> None:
    async def play() -> None:
        gate = Gate()
        began = await entered(gate, 16)  # without trouble there is no limit
        for start in began:
            gate.leave(start, busy=True)  # all of one round: it is the same news
        assert (gate.limit, gate.running) == (8.0, 0)
        for start in await entered(gate, 8):
            gate.leave(start, good=True)
        assert 8.0 < gate.limit <= 9.0
        for start in await entered(gate, 1):
            gate.leave(start, good=True)
        assert gate.limit <= 9.0, "a gate that is not full learns nothing of how many more would fit"

    asyncio.run(play())


def test_never_below_one_and_never_above_the_most() -> None:
    async def play() -> None:
        gate = Gate(2)
        for _ in range(5):
            for start in await entered(gate, 1):
                gate.leave(start, busy=True)
        assert gate.limit == 1.0
        for _ in range(9):
            for start in await entered(gate, 1):
                gate.leave(start, good=True)
        assert gate.limit == 2.0

    asyncio.run(play())


def test_who_waits_gets_the_place_in_order_and_one_that_gives_up_takes_none() -> None:
    async def play() -> None:
        gate, order = Gate(1), []

        async def one(name: str) -> None:
            start = await gate.enter()
            try:
                order.append(name)
                await asyncio.sleep(0)
            finally:
                gate.leave(start)

        first = await gate.enter()
        waiting = [asyncio.create_task(one(name)) for name in "abcd"]
        await asyncio.sleep(0)
        waiting[1].cancel()
        await asyncio.sleep(0)
        gate.leave(first)
        waiting[0].add_done_callback(lambda _: waiting[2].cancel())  # it has, or is about to get, its place
        await asyncio.gather(*waiting, return_exceptions=True)
        assert order[0] == "a" and "b" not in order and order[-1] == "d"
        assert gate.running == 0

    asyncio.run(play())


class Crowded:
    """An endpoint that refuses whoever comes while ``bears`` others are there."""

    def __init__(self, bears: int) -> None:
        self.bears, self.inside, self.refused = bears, 0, 0
        self._lock, self._done = threading.Lock(), threading.Semaphore(0)

    def __call__(self, body: dict[str, Any]) -> Answer:
        with self._lock:
            if self.inside >= self.bears:
                self.refused += 1
                return status(429, "Rate limit reached", **{"Retry-After-Ms": "1"})
            self.inside += 1
        self._done.acquire(timeout=0.02)  # takes a while, whatever the machine does
        with self._lock:
            self.inside -= 1
        return reply("Yes.")


def test_many_at_once_come_down_to_what_a_crowded_endpoint_bears_and_all_are_answered() -> None:
    crowded = Crowded(3)
    with serve(crowded) as server:
        options = endpoint_options("x", {}, {"base_url": server.url, "max_retries": 400})
        client = Client("tiny", options, "x")

        def ask(number: int) -> str:
            return client.ask([{"role": "user", "content": str(number)}]).text

        with ThreadPoolExecutor(24) as threads:
            answers = list(threads.map(ask, range(96)))
    assert answers == ["Yes."] * 96
    # 24 callers that went on as before would be refused 21 at a time: thousands in all
    assert 0 < crowded.refused < 300
