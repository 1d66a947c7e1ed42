"""What calls to a model endpoint spend, and how fast they may be made.

The agent and the simulated user count and pace alike. Tokens are those that the server reports; cost follows from
prices that the caller gives, in whatever currency these are.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from ise_gym.errors import UserError
from ise_gym.waiting import waiting

if TYPE_CHECKING:
    from ise_gym.models.answer import Answer


@dataclass(frozen=True)
class Prices:
    """Prices of a million tokens; ``cached`` (of prompt tokens that the server had cached) defaults to ``prompt``."""

    prompt: float
    completion: float
    cached: float | None = None

    def cost(self, prompt: int, completion: int, cached: int = 0) -> float:
        """Return the price of one call; ``cached`` is part of ``prompt``.

        >>> Prices(2.0, 8.0, cached=0.5).cost(1_000_000, 100_000, cached=400_000)
        2.2
        """
        of_cached = self.prompt if self.cached is None else self.cached
        return ((prompt - cached) * self.prompt + cached * of_cached + completion * self.completion) / 1e6


def prices_of(price_in: float | None, price_out: float | None, price_cached: float | None) -> Prices | None:
    """Return prices from options; None when neither price is given.

    Raises:
        UserError: a negative price.
    """
    if any(price is not None and price < 0 for price in (price_in, price_out, price_cached)):
        raise UserError("a price of tokens can't be negative")
    if price_in is None and price_out is None:
        return None
    return Prices(price_in or 0.0, price_out or 0.0, price_cached)


class Meter:
    """Adds up what answered calls spent; safe to use from several threads.

    Attributes:
        usage: calls, prompt_tokens, completion_tokens, cached_tokens (part of prompt_tokens), total_tokens, cut
            (completions that hit the limit of their length), and ``cost`` when prices are known. Besides, where there
            were any: ``filtered`` (by the provider), ``broken`` (the server gave up on them), and answers with a fault,
            by its name in the plural: ``arguments``, ``surrogates``, ``calls_in_words``, ``continued``,
            ``thinking``, ``clipped``, ``summarised``.
    """

    def __init__(self, prices: Prices | None = None) -> None:
        self.prices = prices
        self._lock = threading.Lock()
        self.usage: dict[str, Any] = {}
        self.reset()

    def reset(self) -> None:
        """Start at zero."""
        names = ("calls", "prompt_tokens", "completion_tokens", "cached_tokens", "total_tokens", "cut")
        self.usage = {**dict.fromkeys(names, 0), **({"cost": 0.0} if self.prices else {})}

    def add(self, answer: Answer) -> int:
        """Count one answer; return its tokens."""
        prompt, completion, cached = answer.usage
        with self._lock:
            usage = self.usage
            usage["calls"] += 1
            usage["cut"] += answer.ended == "cut"
            usage["prompt_tokens"] += prompt
            usage["completion_tokens"] += completion
            usage["cached_tokens"] += cached
            usage["total_tokens"] += prompt + completion
            for name in (*answer.faults, *([answer.ended] if answer.ended in ("filtered", "broken") else ())):
                self._count(name)
            if self.prices:
                # rounded, so that a sum of prices stays the same number on every machine and in every order
                usage["cost"] = round(usage["cost"] + self.prices.cost(prompt, completion, cached), 9)
        return prompt + completion

    def note(self, fault: str) -> None:
        """Count a fault of an answer that was found after it was added."""
        with self._lock:
            self._count(fault)

    def _count(self, fault: str) -> None:
        key = _PLURAL.get(fault, fault)
        self.usage[key] = self.usage.get(key, 0) + 1


_PLURAL = {"surrogate": "surrogates", "call in words": "calls_in_words"}


def counts_of(record: Mapping[str, object]) -> dict[str, int]:
    """Return the whole numbers of what an agent or a user says of its usage; {} for one that has no model."""
    usage = record.get("usage")
    if not isinstance(usage, Mapping):
        return {}
    return {str(name): count for name, count in usage.items() if isinstance(count, int)}


def advice_on(usage: Mapping[str, float]) -> list[str]:
    """Say what is wrong with how a model is asked, where its answers show it; what a run prints once.

    >>> advice_on({"calls": 4, "cut": 3})
    ['3 of 4 answers were cut at the length limit: raise max_tokens, or set continue_cut']
    """
    calls = int(usage.get("calls") or 0)
    said = []
    if (cut := int(usage.get("cut") or 0)) * 2 > calls:
        said.append(
            f"{cut} of {calls} answers were cut at the length limit: raise max_tokens, or set continue_cut"
        )
    if words := int(usage.get("calls_in_words") or 0):
        said.append(
            f"{words} of {calls} answers contain a tool call as plain text, which the server did not parse: "
            "give the agent the option calls=text, or start the server with its tool parser"
        )
    if broken := int(usage.get("arguments") or 0):
        said.append(f"{broken} of {calls} answers hold a call whose arguments are not JSON: it is not taught")
    return said


def spent_by(record: Mapping[str, object]) -> tuple[int, float]:
    """Return (tokens, cost) of what an agent or a user says of itself; zeros for one that has no model."""
    usage = record.get("usage")
    if not isinstance(usage, Mapping):
        return 0, 0.0
    return int(usage.get("total_tokens") or 0), float(usage.get("cost") or 0.0)


class Pace:
    """Keeps calls below a rate; safe to use from several threads.

    Requests are spaced evenly, so that no minute sees more than its share whenever it begins. Tokens are known only
    afterwards: a call waits until those spent before are paid off, so calls under way can overshoot by their own size.

    Args:
        requests_per_minute, tokens_per_minute: None is no limit.

    Raises:
        UserError: a rate that is not positive.
    """

    def __init__(
        self, requests_per_minute: float | None = None, tokens_per_minute: float | None = None
    ) -> None:
        for name, rate in (
            ("requests_per_minute", requests_per_minute),
            ("tokens_per_minute", tokens_per_minute),
        ):
            if rate is not None and not rate > 0:
                raise UserError(f"{name} must be more than 0, got {rate:g}")
        self._between = 60.0 / requests_per_minute if requests_per_minute else 0.0
        self._a_token = 60.0 / tokens_per_minute if tokens_per_minute else 0.0
        self._lock = threading.Lock()
        self._next_request = 0.0
        self._paid_off = 0.0

    def wait(self) -> float:
        """Wait for one's turn; return the seconds waited."""
        if not self._between and not self._a_token:
            return 0.0
        waited = 0.0
        while True:
            with self._lock:
                now = time.monotonic()
                turn = max(self._next_request, self._paid_off)
                if turn <= now:
                    self._next_request = now + self._between
                    return waited
            with waiting():
                time.sleep(turn - now)
            waited += turn - now

    def spent(self, tokens: int) -> None:
        """Tell what a call spent."""
        if self._a_token:
            with self._lock:
                self._paid_off = max(self._paid_off, time.monotonic()) + tokens * self._a_token


_paces: dict[tuple[Any, ...], Pace] = {}
_paces_lock = threading.Lock()


def shared_pace(
    endpoint: str, model: str, requests_per_minute: float | None, tokens_per_minute: float | None
) -> Pace:
    """Return this process' pace for a model at an endpoint: all that ask it with equal rates share one."""
    key = (endpoint, model, requests_per_minute, tokens_per_minute)
    with _paces_lock:
        if key not in _paces:
            _paces[key] = Pace(requests_per_minute, tokens_per_minute)
        return _paces[key]
