"""Named detectors of role drift: each looks at one user turn and says whether a user would not speak so.

All are deterministic and see only what the guard may see. A detector returns the words that gave the turn
away, or an empty string.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from ise_gym.scenario import Scenario
from ise_gym.simulator.base import UserTurn, UserView

_ASSISTANT_VOICE = re.compile(
    r"\b(as an ai\b|as a language model|i(?:'m| am) (?:an ai|your assistant|here to help)|"
    r"i(?:'ve| have) (?:gone ahead and|successfully) \w+|let me (?:know if you|walk you|break this down)|"
    r"here(?:'s| is) (?:a summary of what i|what i did|the updated))",
    re.I,
)
_OFFERS_HELP = re.compile(
    r"\b(how (?:can|may) i (?:help|assist)|(?:would|do) you (?:like|want) me to|shall i (?:also|go ahead|proceed)|"
    r"i can (?:also )?help you|feel free to (?:ask|reach)|happy to (?:help|assist)|anything else i can)\b",
    re.I,
)
_OWN_TASK = re.compile(
    r"\b(what (?:would|do) you (?:like|want|need) (?:me )?to (?:do|work on)|"
    r"what(?:'s| is) (?:your|the) (?:task|goal)\?|"
    r"what (?:are you|were you) trying to (?:do|achieve))",
    re.I,
)
_TOOL_SYNTAX = re.compile(
    r"</?(?:tool_call|tool_response|think|function)\b|<\|im_(?:start|end)\|>|"
    r"\"(?:tool_calls|arguments)\"\s*:|^```",
    re.I | re.M,
)
_STAGE = re.compile(
    r"^\s*(?:\*[^*\n]{3,}\*|\[(?:user|assistant|system|stage)[^\]]*\]|(?:user|assistant)\s*:)", re.I
)
_LEAK = re.compile(
    r"\b(sub-?goals?|the scenario|my persona|the checks? (?:pass|fail)|expert plan|simulat(?:or|ed user))\b",
    re.I,
)


@dataclass(frozen=True)
class Hit:
    """A detector that fired and the words it fired on."""

    detector: str
    words: str


Detector = Callable[[UserTurn, UserView | None, Scenario], str]


def _pattern(expression: re.Pattern[str]) -> Detector:
    def detect(turn: UserTurn, view: UserView | None, scenario: Scenario) -> str:
        found = expression.search(turn.text)
        return found.group(0) if found else ""

    return detect


def _task_dump(turn: UserTurn, view: UserView | None, scenario: Scenario) -> str:
    """Fire when one turn carries the facts of three or more requests (incremental advancement broken)."""
    touched = [r.name for r in scenario.requests if r.facts and all(f in turn.text for f in r.facts)]
    return ", ".join(touched) if len(touched) >= 3 else ""


def _premature_end(turn: UserTurn, view: UserView | None, scenario: Scenario) -> str:
    """Fire when the user leaves satisfied while a sub-goal of the present request fails."""
    return view.evidence.failed[0] if turn.done and view is not None and view.evidence.failed else ""


def _empty(turn: UserTurn, view: UserView | None, scenario: Scenario) -> str:
    return "(empty turn)" if not turn.text.strip() and not (turn.done or turn.gave_up) else ""


DETECTORS: Mapping[str, Detector] = {
    "assistant_voice": _pattern(_ASSISTANT_VOICE),
    "offers_help": _pattern(_OFFERS_HELP),
    "asks_about_own_task": _pattern(_OWN_TASK),
    "tool_call_syntax": _pattern(_TOOL_SYNTAX),
    "stage_direction": _pattern(_STAGE),
    "scenario_leak": _pattern(_LEAK),
    "task_dump": _task_dump,
    "premature_end": _premature_end,
    "empty_turn": _empty,
}


def detect(turn: UserTurn, view: UserView | None, scenario: Scenario) -> list[Hit]:
    """Run every detector over a turn; ``view`` is None for the opening turn."""
    found = ((name, detector(turn, view, scenario)) for name, detector in DETECTORS.items())
    return [Hit(name, words) for name, words in found if words]
