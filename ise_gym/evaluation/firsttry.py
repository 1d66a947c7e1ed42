"""Did the agent get it right without being corrected? Read from a record, younger or older.

A user that points at what is missing and waits for it makes a good benchmark of patience: an expert that errs in half
of its plans still passes most tasks in the end. So a pass is told from a pass at the first attempt: every request's
sub-goals held at the first end of the agent's turn after it was made, and at every later one, so that the user never
had a reason to ask again. Asking to look again where nothing was undone is not a correction.

Episodes note this themselves (`ise_gym.episode.episode.Episode.first_attempt`). Of older records it is worked out from
the scores after the agent's turns.
"""

from __future__ import annotations

from collections.abc import Mapping

from ise_gym.simulator.phrases import load_phrases
from ise_gym.trajectory.record import Trajectory


def first_attempt(record: Trajectory) -> bool | None:
    """Return whether an episode passed at the first attempt; None where nothing was judged, or the record can't tell.

    Older records tell it whenever every user turn is accounted for: as many ends of turns as requests, or a score that
    shows something undone, or a turn between that is one of the scripted user's requests to look again.
    """
    if record.first_attempt is not None:
        return record.first_attempt
    if record.outcome not in ("passed", "failed", "truncated") or not record.subgoals:
        return None
    if record.outcome != "passed":
        return False
    wanted = list(_goals(record.subgoals).values())
    turns = _turns(record)
    if len(turns) == len(wanted):
        return True
    asked = 1
    for held, answer in turns:
        if held < sum(wanted[:asked]):
            return False
        if asked < len(wanted) and not _looks_again(answer):
            asked += 1
    return True if asked == len(wanted) else None


def _goals(subgoals: Mapping[str, bool]) -> dict[str, int]:
    """Request → how many sub-goals it has."""
    found: dict[str, int] = {}
    for key in subgoals:
        request = key.partition(": ")[0]
        found[request] = found.get(request, 0) + 1
    return found


def _turns(record: Trajectory) -> list[tuple[int, str]]:
    """(Sub-goals that hold, what the user then says) at each end of the agent's turn."""
    goals = len(record.subgoals)
    found = []
    for step in record.steps:
        message = record.messages[step.message]
        if message["role"] != "assistant" or message.get("tool_calls"):
            continue
        after = record.messages[step.message + 1 :]
        answer = str(after[0]["content"]) if after and after[0]["role"] == "user" else ""
        found.append((round(step.score * goals), answer))
    return found


ALIKE = 0.7
"""Share of a phrase's words that a turn must hold to be taken for it: voices add and trade a word or two."""


def _looks_again(text: str) -> bool:
    said = set(_words(text))
    lines = (line for lines in load_phrases()["double_check"].values() for line in lines)
    return any(
        len(said & set(words)) >= ALIKE * len(set(words)) and len(said) <= 2 * len(words) + 4
        for words in map(_words, lines)
        if words
    )


def _words(text: str) -> list[str]:
    return "".join(c if c.isalnum() else " " for c in text.lower()).split()
