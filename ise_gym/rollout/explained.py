"""Why an episode came out as it did, for people: what failing sub-goals looked for, and what the role guard refused.

None of it reaches an agent or a user: it says what the checks look for.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import fields, is_dataclass
from typing import Any

from ise_gym.episode.episode import Episode
from ise_gym.episode.goals import goal_key
from ise_gym.scenario import Check, Scenario, SubGoal
from ise_gym.scenario.carried import OpaqueCheck, check_to_json
from ise_gym.trajectory.record import Finding, GuardEvent

EXPECTED_LIMIT = 400
"""Characters of what a sub-goal's checks look for that are kept."""

NEVER_ASKED = "the user never came to ask for it"


def findings(scenario: Scenario, episode: Episode) -> list[Finding]:
    """Return why sub-goals of an episode do not hold, in the order of the requests.

    Args:
        scenario: what was played.
        episode: the env's; ``check_reasons``, ``judged_at`` and ``failing_checks`` tell of the last look.
    """
    reasons, judged, failing = episode.check_reasons, episode.judged_at, episode.failing_checks
    found = []
    for request in scenario.requests:
        for goal in request.subgoals:
            key = goal_key(request, goal)
            if episode.subgoals.get(key, True):
                continue
            found.append(
                Finding(
                    subgoal=key,
                    expected=expected(goal, failing.get(key)),
                    found=reasons.get(key, NEVER_ASKED),
                    message=judged.get(key),
                )
            )
    return found


def expected(goal: SubGoal, place: int | None = None) -> str:
    """Return what the failing check of a sub-goal looks for, of all its checks where none failed by itself."""
    checks = goal.checks if place is None else goal.checks[place : place + 1]
    text = "; ".join(map(told, checks))
    return text if len(text) <= EXPECTED_LIMIT else text[: EXPECTED_LIMIT - 1] + "…"


def told(check: Check) -> str:
    """Return what a check looks for in one line: its kind, its path, and its keys.

    >>> from ise_gym.checks import build_check
    >>> told(build_check("text", {"path": "a.txt", "contains": ["ready"]}))
    'text a.txt: contains ["ready"]'
    """
    described = check_to_json(check)
    if "opaque" in described:  # a class of somebody's own: its fields are its keys
        kind = str(described["opaque"]).rpartition(":")[2]
        spec = {} if isinstance(check, OpaqueCheck) else _fields(check)
    else:
        kind, spec = described["kind"], dict(described["spec"])
    path = spec.pop("path", "")
    head = f"{kind} {path}".rstrip()
    keys = ", ".join(f"{k} {json.dumps(v, ensure_ascii=False, default=str)}" for k, v in spec.items())
    return f"{head}: {keys}" if keys else head


def _fields(check: object) -> dict[str, Any]:
    return {field.name: getattr(check, field.name) for field in fields(check)} if is_dataclass(check) else {}


def guard_events(report: Mapping[str, object], messages: Sequence[Mapping[str, object]]) -> list[GuardEvent]:
    """Return the drafts that the role guard refused, from what it lists under ``drift``, at their user messages.

    A turn that ended the episode without a word has no message: its events stand where it would have been.
    """
    listed = report.get("drift")
    turns = [n for n, message in enumerate(messages) if message["role"] == "user"]
    found: list[GuardEvent] = []
    for entry in listed if isinstance(listed, list) else ():
        turn, action = int(entry.get("turn") or 0), str(entry.get("action") or "")
        place = turns[turn - 1] if 0 < turn <= len(turns) else len(messages)
        drafts = entry.get("refused") or [{"detectors": dict.fromkeys(entry.get("detectors") or (), "")}]
        for number, draft in enumerate(drafts, 1):
            done = action if number == len(drafts) else "resample"
            for detector, words in draft["detectors"].items():
                said = str(draft.get("text") or "")
                found.append(
                    GuardEvent(message=place, detector=detector, action=done, words=str(words), said=said)
                )
    return found
