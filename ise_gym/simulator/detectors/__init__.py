"""Named detectors of role drift: each looks at one user turn and says whether a user would not speak so.

Deterministic, so that equal episodes have equal guards. How well they do is measured on a labelled set
(`ise_gym.simulator.measuring.driftset`, ``ise guard eval``).
"""

from __future__ import annotations

from ise_gym.registry import Registered
from ise_gym.scenario import Scenario
from ise_gym.simulator.base import UserTurn, UserView
from ise_gym.simulator.detectors.base import Detector, Hit, Turn
from ise_gym.simulator.knowledge import UserKnowledge, knowledge_of

DETECTORS: Registered[Detector] = Registered("detector")
"""Name → detector; see `ise_gym.registry`."""


def detect(turn: UserTurn, view: UserView | None, scenario: Scenario | UserKnowledge) -> list[Hit]:
    """Run every detector over a turn.

    Args:
        turn: what the user does.
        view: what it saw before; None for the opening turn.
        scenario: whose user it is; only the user's side of it is looked at.
    """
    known = scenario if isinstance(scenario, UserKnowledge) else knowledge_of(scenario)
    context = Turn(turn, view, known)
    found = ((name, detector(context)) for name, detector in DETECTORS.items())
    return [Hit(name, words) for name, words in found if words]


__all__ = ["DETECTORS", "Detector", "Hit", "Turn", "detect"]
