"""What a run will cost, before it starts: a few intents are written first, and what they cost is carried forward.

The pilot's intents are kept and belong to the run, so an estimate costs nothing that would not be spent anyway. What an
intent costs varies (drafts are sent back, answers differ in length), so the figure has an interval: that of the mean of
the pilot, by the normal approximation.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ise_gym.statistics import z_score


@dataclass(frozen=True)
class Estimate:
    """Tokens of a whole run: the sum, and the 95 % interval of each."""

    intents: int
    pilot: int
    prompt: tuple[float, float, float]
    completion: tuple[float, float, float]
    calls: float

    def cost(self, price_in: float, price_out: float) -> tuple[float, float, float]:
        """Return the price and its interval, given prices of a million tokens."""
        mean, low, high = (
            (p * price_in + c * price_out) / 1e6 for p, c in zip(self.prompt, self.completion, strict=True)
        )
        return mean, low, high


def estimate(costs: Sequence[Mapping[str, Any]], intents: int) -> Estimate:
    """Carry the costs of a pilot forward.

    Args:
        costs: of each intent of the pilot: ``prompt``, ``completion`` (tokens) and ``calls``.
        intents: how many are to be written in all.
    """

    def scaled(key: str) -> tuple[float, float, float]:
        values = [float(cost[key]) for cost in costs]
        mean = math.fsum(values) / len(values)
        if len(values) < 2:
            return mean * intents, 0.0, math.inf
        spread = math.sqrt(math.fsum((v - mean) ** 2 for v in values) / (len(values) - 1))
        # what is not written yet has a spread of its own besides that of the pilot's mean
        error = z_score(0.95) * spread * math.sqrt(1 / len(values) + 1 / max(intents, 1))
        return mean * intents, max(mean - error, 0.0) * intents, (mean + error) * intents

    calls = math.fsum(float(cost["calls"]) for cost in costs) / len(costs)
    return Estimate(intents, len(costs), scaled("prompt"), scaled("completion"), calls * intents)
