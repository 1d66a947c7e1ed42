"""What a run cost: tokens, dollars and hours of everybody who was asked, attempts that came to nothing included."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from ise_gym.errors import UserError, nearest
from ise_gym.evaluation.ledger import Trial
from ise_gym.models.metering import Prices
from ise_gym.trajectory.record import Trajectory

SEATS = ("agent", "user", "judge")
"""Whose models cost something."""

REGRADED = "regraded"
"""Count of a trial that an earlier attempt played: its agent and user were paid there."""

_COUNTED = ("prompt_tokens", "completion_tokens", "cached_tokens")


@dataclass(frozen=True)
class PriceList:
    """Prices by seat, in dollars a million tokens."""

    seats: Mapping[str, Prices] = field(default_factory=dict)

    def pair(self, seat: str) -> tuple[float, float]:
        """Return (in, out) of a seat; zeros where no price is known."""
        found = self.seats.get(seat)
        return (found.prompt, found.completion) if found else (0.0, 0.0)


def parse_prices(given: Sequence[str] | None, flag: str = "--price") -> PriceList:
    """Read ``IN,OUT`` (the agent's) or ``SEAT=IN,OUT``, each in dollars per million tokens.

    Raises:
        UserError: an unknown seat, one given twice, or not two numbers of 0 or more.

    >>> parse_prices(["0.5,3", "judge=1,2"]).pair("judge")
    (1.0, 2.0)
    """
    seats: dict[str, Prices] = {}
    for text in given or ():
        seat, equals, numbers = text.partition("=")
        seat, numbers = (seat, numbers) if equals else ("agent", text)
        if seat not in SEATS:
            raise UserError(
                f"{flag} {text}: unknown seat '{seat}'.{nearest(seat, SEATS)} Known: {', '.join(SEATS)}."
            )
        if seat in seats:
            raise UserError(f"{flag} {text}: the {seat}'s price is given twice.")
        seats[seat] = _prices(text, numbers, flag)
    return PriceList(seats)


def _prices(text: str, numbers: str, flag: str) -> Prices:
    try:
        read, written = (float(part) for part in numbers.split(","))
    except ValueError:
        read = written = -1.0
    if not (0 <= read < float("inf") and 0 <= written < float("inf")):
        raise UserError(
            f"{flag} {text}: write [SEAT=]IN,OUT in dollars per million tokens, such as 0.5,3 or judge=0.5,3."
        )
    return Prices(read, written)


def seat_figures(trajectory: Trajectory, prices: PriceList) -> tuple[dict[str, int], dict[str, float]]:
    """Return an episode's counts and dollars by seat: the price given here, else what the model's client counted."""
    counts: dict[str, int] = {}
    costs: dict[str, float] = {}
    for seat, about in (("agent", trajectory.agent), ("user", trajectory.user)):
        usage: Mapping[str, Any] = about.get("usage") or {}
        prefix = "" if seat == "agent" else f"{seat}_"
        counts |= {f"{prefix}{key}": int(value) for key, value in usage.items() if isinstance(value, int)}
        read, written, cached = (int(usage.get(name) or 0) for name in _COUNTED)
        if seat in prices.seats:
            costs[f"{seat}_usd"] = round(prices.seats[seat].cost(read, written, min(cached, read)), 6)
        elif usage.get("cost") is not None:
            costs[f"{seat}_usd"] = round(float(usage["cost"]), 6)
    return counts, costs


@dataclass(frozen=True)
class Spent:
    """Totals over every attempt of a run.

    Attributes:
        attempts: how many; ``lost``: of them, those that are not the last of their trial, or ended in an error.
        tokens: "agent in", "agent out", … → tokens. ``dollars``: by seat, where a price was known.
        hours: wall time of the attempts, added up (workers play side by side).
    """

    attempts: int = 0
    lost: int = 0
    tokens: dict[str, int] = field(default_factory=dict)
    dollars: dict[str, float] = field(default_factory=dict)
    hours: float = 0.0

    @property
    def total_dollars(self) -> float | None:
        """Dollars in all; None where no price was known."""
        return round(sum(self.dollars.values()), 6) if self.dollars else None


_TOKENS = {
    "agent in": ("prompt_tokens", "input_tokens"),
    "agent out": ("completion_tokens", "output_tokens"),
    "user in": ("user_prompt_tokens", "user_input_tokens"),
    "user out": ("user_completion_tokens", "user_output_tokens"),
    "judge in": ("judge_input_tokens",),
    "judge out": ("judge_output_tokens",),
}
"""What is shown → under which names the suites count it."""


def spent(trials: Iterable[Trial], last: Iterable[Trial]) -> Spent:
    """Add up every attempt.

    Args:
        trials: all lines of a ledger. ``last``: the last attempt at each trial, among them.
    """
    final = {id(trial) for trial in last if trial.is_verdict}
    attempts = lost = 0
    tokens: dict[str, int] = {}
    dollars: dict[str, float] = {}
    seconds = 0.0
    for trial in trials:
        attempts += 1
        lost += id(trial) not in final
        seconds += trial.timings.get("total_s", 0.0)
        paid = ("agent", "user") if trial.counts.get(REGRADED) else ()
        for name, keys in _TOKENS.items():
            if name.split()[0] in paid:
                continue
            if count := next((trial.counts[key] for key in keys if trial.counts.get(key)), 0):
                tokens[name] = tokens.get(name, 0) + count
        for name, cost in trial.costs.items():
            seat = name.removesuffix("_usd")
            if seat in paid:
                continue
            dollars[seat] = round(dollars.get(seat, 0.0) + cost, 6)
    return Spent(attempts, lost, tokens, dollars, seconds / 3600)
