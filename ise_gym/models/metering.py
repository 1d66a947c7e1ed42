"""What calls to a model endpoint spend, and how fast they may be made.

The agent and the simulated user count and pace alike. Tokens are those that the server reports; cost follows from
prices that the caller gives, in whatever currency these are.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from ise_gym.errors import UserError


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
            (completions that hit the limit of their length), and ``cost`` when prices are known.
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

    def add(self, reply: Mapping[str, Any]) -> int:
        """Count one decoded chat completion; return its tokens."""
        prompt, completion, cached = tokens_of(reply)
        with self._lock:
            usage = self.usage
            usage["calls"] += 1
            usage["cut"] += _finish_reason(reply) == "length"
            usage["prompt_tokens"] += prompt
            usage["completion_tokens"] += completion
            usage["cached_tokens"] += cached
            usage["total_tokens"] += prompt + completion
            if self.prices:
                # rounded, so that a sum of prices stays the same number on every machine and in every order
                usage["cost"] = round(usage["cost"] + self.prices.cost(prompt, completion, cached), 9)
        return prompt + completion


def tokens_of(reply: Mapping[str, Any]) -> tuple[int, int, int]:
    """Return (prompt, completion, cached) tokens of a chat completion; 0 where the server does not say."""
    reported = reply.get("usage")
    if not isinstance(reported, Mapping):
        return 0, 0, 0
    details = reported.get("prompt_tokens_details")
    cached = details.get("cached_tokens") if isinstance(details, Mapping) else 0
    prompt = int(reported.get("prompt_tokens") or 0)
    return prompt, int(reported.get("completion_tokens") or 0), min(int(cached or 0), prompt)


def spent_by(record: Mapping[str, Any]) -> tuple[int, float]:
    """Return (tokens, cost) of what an agent or a user says of itself; zeros for one that has no model."""
    usage = record.get("usage")
    if not isinstance(usage, Mapping):
        return 0, 0.0
    return int(usage.get("total_tokens") or 0), float(usage.get("cost") or 0.0)


def _finish_reason(reply: Mapping[str, Any]) -> Any:
    choices = reply.get("choices")
    first = choices[0] if isinstance(choices, list) and choices else None
    return first.get("finish_reason") if isinstance(first, Mapping) else None


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
