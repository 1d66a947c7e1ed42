"""The engine plays any work that brings items, a player and books; here numbers, in processes and in this one."""

from __future__ import annotations

import os
import time
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from ise_gym.errors import UserError
from ise_gym.rollout import engine
from ise_gym.rollout.engine import drive
from ise_gym.rollout.inline import InlinePool
from ise_gym.rollout.pool import ProcessPool
from ise_gym.rollout.work import BROKEN, Attempt, Crew, Lost


@dataclass(frozen=True, kw_only=True)
class Square(Attempt[int]):
    value: int = 0


@dataclass
class Squarer:
    """Breaks on ``broken`` numbers, sleeps on ``slow`` ones."""

    broken: frozenset[int] = frozenset()
    slow: frozenset[int] = frozenset()
    about: Mapping[str, Any] = field(
        default_factory=lambda: {"name": "squarer", "home": os.getenv("SQUARES")}
    )

    def play(self, item: int) -> Square:
        if item in self.slow:
            time.sleep(60)
        if item in self.broken:
            return Square(item=item, outcome=BROKEN, reason=f"endpoint: no answer to {item}")
        return Square(item=item, outcome="passed", value=item * item)

    def close(self) -> None:
        pass


class Books:
    """Work that keeps all attempts in a list."""

    noun = "numbers"
    torn = 0

    def __init__(self, items: range, done: frozenset[int] = frozenset()) -> None:
        self.total, self.already = len(items), len(done)
        self._items = [n for n in items if n not in done]
        self.attempts: list[tuple[int, str, bool]] = []
        self.losses: list[Lost[int]] = []
        self.about: Mapping[str, Any] = {}

    def todo(self) -> Iterator[int]:
        return iter(self._items)

    def lost(self, item: int, loss: Lost[int], about: Mapping[str, Any]) -> Square:
        self.losses.append(loss)
        self.about = about
        return Square(item=item, outcome=BROKEN, reason=f"worker: {loss.how}")

    def take(self, attempt: Square, *, again: bool) -> None:
        self.attempts.append((attempt.item, attempt.outcome, again))


@pytest.fixture(autouse=True)
def _without_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(engine, "BACKOFF_S", 0.01)


def test_only_what_is_left_is_played_and_every_attempt_is_written_down() -> None:
    books = Books(range(6), done=frozenset({0, 1}))
    player = Squarer(frozenset({3}))
    crew = Crew(lambda: player)
    status = drive(books, crew, retries=2, make_pool=lambda crew, workers: InlinePool(player))
    assert (status.total, status.already, status.outcomes) == (6, 2, {"passed": 3, BROKEN: 1})
    assert status.retries == 2 and status.failures == {"endpoint": 1} and status.missing == 1
    assert Counter(books.attempts) == Counter(
        [(3, BROKEN, True)] * 2 + [(3, BROKEN, False)] + [(n, "passed", False) for n in (2, 4, 5)]
    )


def test_when_all_that_ends_is_broken_the_run_gives_up_and_says_why() -> None:
    books = Books(range(100))
    player = Squarer(frozenset(range(10, 100)))
    with pytest.raises(UserError, match=r"4 numbers in a row .* \(the last: endpoint: no answer to 1\d\)"):
        drive(
            books,
            Crew(lambda: player),
            retries=1,
            give_up_after=4,
            make_pool=lambda crew, workers: InlinePool(player),
        )
    assert sum(outcome == BROKEN for _, outcome, _ in books.attempts) <= (4 + 2 * 2) * 2


@pytest.mark.parametrize("preload", [(), ("json",)])
def test_processes_take_the_environment_of_now_and_patience_is_the_items_own(
    preload: tuple[str, ...], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    # a first pool starts the process that others are forked from, when there is one
    assert drive(Books(range(1)), Crew(Squarer, preload=preload)).passed == 1
    monkeypatch.setenv("SQUARES", str(tmp_path))
    books = Books(range(4))
    crew = Crew(SlowOnTwo, ahead=0, patience=patience, preload=preload)
    status = drive(books, crew, retries=0)
    assert status.outcomes == {"passed": 3, BROKEN: 1} and status.crashes == 1
    (loss,) = books.losses
    assert loss.items == (2,) and loss.stuck_s == 1.5 and loss.exit_code == -9
    assert books.about == {"name": "squarer", "home": str(tmp_path)}


class SlowOnTwo(Squarer):
    def __init__(self) -> None:
        super().__init__(slow=frozenset({2}))


def patience(item: int) -> float:
    return 1.5 if item == 2 else 300.0


def test_a_pool_hands_out_one_item_beyond_the_slots_unless_told_otherwise() -> None:
    for ahead in (0, 1):
        pool = ProcessPool(Crew(Squarer, slots=2, ahead=ahead), 1)
        try:
            while not pool.about:
                pool.events(0.1)
            assert pool.room() == 2 + ahead
        finally:
            pool.close(now=True)
