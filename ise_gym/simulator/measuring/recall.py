"""How much drift gets past the guard, estimated from what it finds on turns that were read.

The guard's own detectors are silent on what reaches the agent, so counting their hits there says nothing. What can be
said: with recall r and a share φ of turns in role refused, both measured on labelled real turns, a share f of refused
first drafts means a share D = (f − φ) / (r − φ) of drafts out of role, and among the drafts that pass, a share
(1 − r)·D / ((1 − r)·D + (1 − φ)(1 − D)) is still out of role. Turns of the script are in role. The interval takes the
ends of the intervals of f, r and φ. It holds for users like those that were measured: weak ones, see
``docs/simulator.md``.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

from ise_gym.statistics import wilson

MEASURED = Path(__file__).parent / "measured.json"


@dataclass(frozen=True)
class Measured:
    """What the whole guard did on real turns that no rule or weight was made with.

    Attributes:
        found, out_of_role: drift that it finds, of how many turns out of role.
        refused, in_role: turns in role that it refuses, of how many.
        turns_sha256: of the file with the turns.
    """

    found: int
    out_of_role: int
    refused: int
    in_role: int
    turns_sha256: str = ""


@dataclass(frozen=True)
class Estimate:
    """A share with its interval, in [0, 1]."""

    rate: float
    low: float
    high: float


@lru_cache(maxsize=1)
def measured() -> Measured | None:
    """Return the figures that come with the package; None where it has none."""
    if not MEASURED.is_file():
        return None
    return Measured(**json.loads(MEASURED.read_text(encoding="utf-8")))


def drift_past_guard(turns: int, drifted: int, script: int, figures: Measured) -> Estimate | None:
    """Estimate the share of turns out of role among all that went to the agent.

    Args:
        turns: guarded turns. ``drifted``: those whose first draft was refused.
        script: those that the script spoke in the end.
        figures: recall and false refusals as measured.

    Returns:
        The estimate; None without turns.

    >>> figures = Measured(found=90, out_of_role=100, refused=2, in_role=100)
    >>> round(drift_past_guard(100, 46, 10, figures).rate, 3)
    0.083
    >>> drift_past_guard(100, 2, 0, figures).rate
    0.0
    """
    if not turns:
        return None
    model = (turns - min(script, turns)) / turns
    recall = figures.found / figures.out_of_role if figures.out_of_role else 0.0
    wrong = figures.refused / figures.in_role if figures.in_role else 0.0
    recall_low, recall_high = wilson(figures.found, figures.out_of_role)
    wrong_low, wrong_high = wilson(figures.refused, figures.in_role)
    share_low, share_high = wilson(min(drifted, turns), turns)
    return Estimate(
        model * _passing(drifted / turns, recall, wrong),
        model * _passing(share_low, recall_high, wrong_high),
        model * _passing(share_high, recall_low, wrong_low),
    )


def _passing(refused: float, recall: float, wrong: float) -> float:
    """Return the share out of role among drafts that pass."""
    if recall <= wrong:
        return 1.0
    adrift = min(1.0, max(0.0, (refused - wrong) / (recall - wrong)))
    missed, right = (1 - recall) * adrift, (1 - wrong) * (1 - adrift)
    return missed / (missed + right) if missed + right else 0.0
