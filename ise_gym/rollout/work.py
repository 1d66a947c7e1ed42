"""What the engine plays: a kind of work with its items, who plays them, and what comes back.

Episodes, the trials of a suite and those of Claw-Eval are kinds of work. Each brings three things: the items that are
left to do, a picklable function that makes a worker's player (`Crew`), and what becomes of a result (`Work`). Handing
out, trying again, replacing dead workers and giving up are the engine's and the pool's, once for all.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Generic, Protocol, TypeVar

from ise_gym.foreign.values import Json

I = TypeVar("I", bound=Hashable)  # noqa: E741  (an item)
A = TypeVar("A", bound="Attempt[Any]")
I_contra = TypeVar("I_contra", bound=Hashable, contravariant=True)
A_co = TypeVar("A_co", bound="Attempt[Any]", covariant=True)

BROKEN = "infrastructure_error"
"""Outcome of an attempt that nobody can be judged by: sandbox, endpoint, service, judge or worker broke."""


GIVE_UP_AFTER = 20
"""Infrastructure failures in a row, each after its retries, that end a run: something is down."""


@dataclass(frozen=True, kw_only=True)
class Attempt(Generic[I]):
    """What a worker reports of one attempt at one item; kinds of work add to it what they store.

    Attributes:
        item: what was played; frozen and picklable.
        outcome: passed, failed, … ; `BROKEN` when the infrastructure broke it.
        reason: why, for a broken one "kind: words".
        mendable: whether another try may fix a broken one; a bug stays a bug.
        seconds: wall time. The other figures are for the progress line.
    """

    item: I
    outcome: str
    reason: str = ""
    mendable: bool = True
    user_turns: int = 0
    tool_calls: int = 0
    guard_hits: int = 0
    guarded_turns: int = 0
    fallbacks: int = 0
    false_claims: int = 0
    tokens: int = 0
    cost: float = 0.0
    seconds: float = 0.0
    answers: Mapping[str, int] = field(default_factory=dict)
    """What a model's answers were like, see `ise_gym.models.metering.Meter.usage`; empty where no model spoke."""

    @property
    def failed(self) -> bool:
        """Whether the infrastructure broke it."""
        return self.outcome == BROKEN


@dataclass(frozen=True)
class Lost(Generic[I]):
    """Items whose worker died or was killed.

    Attributes:
        items: what it was playing. ``untouched``: what it had been given beyond that.
        how: in words. ``exit_code``: of the process, negative for a signal; None where there was none.
        stuck_s: it was killed since nothing had ended in so many seconds of playing; else 0.
    """

    items: tuple[I, ...]
    how: str
    exit_code: int | None = None
    stuck_s: float = 0.0
    untouched: tuple[I, ...] = ()


class Player(Protocol[I_contra, A_co]):
    """Plays one item at a time: what a worker's slot holds."""

    @property
    def about(self) -> Mapping[str, Any]:
        """The agent: ``name``, and what it says of itself."""
        ...

    def play(self, item: I_contra) -> A_co:
        """Play one item once. What breaks is said in the attempt; `UserError` ends the whole run."""
        ...

    def close(self) -> None:
        """Free what it holds."""
        ...


class LockstepPlayer(Protocol[I_contra, A_co]):
    """Plays many items at once, all one step at a time: one model that answers in batches."""

    @property
    def about(self) -> Mapping[str, Any]:
        """As `Player.about`."""
        ...

    @property
    def free(self) -> int:
        """How many more items fit."""
        ...

    @property
    def live(self) -> int:
        """How many are being played."""
        ...

    def add(self, item: I_contra) -> None:
        """Begin an item; only when one fits."""
        ...

    def tick(self) -> Sequence[A_co]:
        """Play one step of every live item and return those that ended."""
        ...

    def close(self) -> None:
        """Free what it holds."""
        ...


def _patient(item: object) -> float:
    return 3600.0


@dataclass(frozen=True)
class Crew(Generic[I, A]):
    """How workers are made and what they are allowed.

    Attributes:
        make_player: builds a player; called in the worker, once a slot (once in all for a `LockstepPlayer`). Must
            pickle, where workers are processes.
        slots: items that a worker plays at once (threads; a `LockstepPlayer` has slots of its own).
        ahead: items that it is given beyond those, so that it never waits for the driver.
        patience: seconds that a worker which has the item may play without ending one before it is killed; 0 is
            forever. Time in which all that it plays waits its turn does not count (`ise_gym.waiting`).
        preload: modules that are imported once, by a process that all workers are forked from; empty: each worker is
            a fresh process. Not those that start threads.
        log: where workers print to, named when they can't start.
    """

    make_player: Callable[[], Player[I, A] | LockstepPlayer[I, A]]
    slots: int = 1
    ahead: int = 1
    patience: Callable[[I], float] = _patient
    preload: tuple[str, ...] = ()
    log: Path | None = None

    @property
    def capacity(self) -> int:
        """Items that a worker may have."""
        return self.slots + self.ahead

    def patience_with(self, items: Sequence[I]) -> float:
        """Seconds that a worker with these items may take until one ends; 0 is for ever."""
        limits = [self.patience(item) for item in items]
        return max(limits) if limits and all(limits) else 0.0


class Pool(Protocol[I, A_co]):
    """Plays items somewhere: in processes, on a cluster, or right here."""

    @property
    def about(self) -> Mapping[str, Any]:
        """The agent's description, known once the first worker is ready; empty before."""
        ...

    def room(self) -> int:
        """How many more items can be handed out now."""
        ...

    def submit(self, item: I) -> None:
        """Hand out an item; only when there is room."""
        ...

    def events(self, timeout: float) -> Sequence[A_co | Lost[I]]:
        """Wait for what happened, up to ``timeout`` seconds; may be nothing. Raises `UserError` as a worker did."""
        ...

    def close(self, *, now: bool) -> None:
        """End the workers: ``now``, or as soon as they have nothing to do."""
        ...


class Work(Protocol[I, A]):
    """One kind of work, and the books that are kept of it.

    Attributes:
        noun: what an item is called in messages, in the plural.
        total: items asked for; ``already``: of them, done by earlier runs.
        torn: half-written records of a killed run that were set aside.
    """

    noun: str
    total: int
    already: int
    torn: int

    def todo(self) -> Iterator[I]:
        """Yield what is left to do, in order."""
        ...

    def lost(self, item: I, loss: Lost[I], about: Mapping[str, Json]) -> A:
        """Return the attempt that stands for an item whose worker was lost; ``about`` describes the agent."""
        ...

    def take(self, attempt: A, *, again: bool) -> None:
        """Write an attempt down; ``again``: the item will be tried once more."""
        ...
