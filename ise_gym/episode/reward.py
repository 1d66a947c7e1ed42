"""What a step earns: the change in verified sub-goals, or only the end, less what false words and broken calls cost.

Source of the shaped form: a potential-based reward (Ng, Harada & Russell 1999) whose potential is the fraction of
sub-goals that hold, so that its sum over an episode is the final score.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, get_args

from ise_gym.errors import UserError, nearest

RewardKind = Literal["shaped", "sparse"]
PENALTIES: Mapping[str, str] = {
    "false_claim": "for each claim in the agent's words to the user that the evidence contradicts",
    "broken_call": "for each call that no tool could run: unreadable, of an unknown tool, or with wrong arguments",
}
"""What can cost something → how often it is taken off."""


@dataclass(frozen=True)
class Rewarding:
    """How steps are rewarded.

    Attributes:
        kind: ``shaped`` is the change in the fraction of sub-goals that hold, in [-1, 1]; ``sparse`` is 0 until the
            episode ends, then 1 if it is passed, else 0.
        penalties: a key of `PENALTIES` → what is taken off each time (≥ 0).
    """

    kind: RewardKind = "shaped"
    penalties: Mapping[str, float] = field(default_factory=dict)

    def charges(self, name: str) -> bool:
        """Tell whether something costs anything, and so has to be looked for."""
        return self.penalties.get(name, 0.0) > 0.0

    def of(self, gained: float, outcome: str, counted: Mapping[str, int]) -> float:
        """Return a step's reward.

        Args:
            gained: change of the score.
            outcome: of the episode; "" while it goes on.
            counted: how often each penalised thing happened in the step.

        >>> Rewarding("sparse").of(0.5, "", {}), Rewarding("sparse").of(0.5, "passed", {})
        (0.0, 1.0)
        >>> Rewarding(penalties={"broken_call": 0.25}).of(0.5, "", {"broken_call": 1, "false_claim": 3})
        0.25
        """
        earned = gained if self.kind == "shaped" else float(outcome == "passed")
        costs = [self.penalties[name] * n for name, n in counted.items() if n and self.charges(name)]
        return earned - sum(costs) if costs else earned


def rewarding(kind: str, penalties: Mapping[str, Any] | None = None) -> Rewarding:
    """Build it from what a user gave.

    Raises:
        UserError: an unknown kind or penalty, or one that is not a number ≥ 0.
    """
    kinds: tuple[RewardKind, ...] = get_args(RewardKind)
    known = {name: name for name in kinds}
    if kind not in known:
        raise UserError(
            f"reward {kind!r} is not known: choose one of {', '.join(kinds)}.{nearest(str(kind), kinds)}"
        )
    checked: dict[str, float] = {}
    for name, cost in (penalties or {}).items():
        if name not in PENALTIES:
            raise UserError(
                f"penalty {name!r} is not known: choose from {', '.join(PENALTIES)}.{nearest(str(name), PENALTIES)}"
            )
        number = isinstance(cost, int | float) and not isinstance(cost, bool)
        if not number or not math.isfinite(cost) or cost < 0:
            raise UserError(f"penalty {name!r} must be a number of at least 0, got {cost!r}")
        checked[name] = float(cost)
    return Rewarding(known[kind], checked)
