"""Named detectors of role drift: each looks at one user turn and says whether a user would not speak so.

Deterministic, so that equal episodes have equal guards. How well they do is measured on a labelled set
(`ise_gym.simulator.driftset`, ``ise guard eval``).
"""

from __future__ import annotations

from collections.abc import Mapping

from ise_gym.scenario import Scenario
from ise_gym.simulator.base import UserTurn, UserView
from ise_gym.simulator.detectors.base import Detector, Hit, Turn
from ise_gym.simulator.detectors.form import empty_turn, scenario_leak, stage_direction, tool_call_syntax
from ise_gym.simulator.detectors.inquiry import answers_instead_of_asking, asks_about_own_task
from ise_gym.simulator.detectors.invented import invented_state
from ise_gym.simulator.detectors.language import language_switch
from ise_gym.simulator.detectors.progress import premature_end, repeats_itself, task_dump
from ise_gym.simulator.detectors.register import register_break
from ise_gym.simulator.detectors.voice import assistant_voice, offers_help
from ise_gym.simulator.knowledge import UserKnowledge, knowledge_of

DETECTORS: Mapping[str, Detector] = {
    "assistant_voice": assistant_voice,
    "offers_help": offers_help,
    "asks_about_own_task": asks_about_own_task,
    "answers_instead_of_asking": answers_instead_of_asking,
    "tool_call_syntax": tool_call_syntax,
    "stage_direction": stage_direction,
    "scenario_leak": scenario_leak,
    "task_dump": task_dump,
    "repeats_itself": repeats_itself,
    "register_break": register_break,
    "language_switch": language_switch,
    "invented_state": invented_state,
    "premature_end": premature_end,
    "empty_turn": empty_turn,
}
"""Name → detector."""


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
