"""What a selection needs to know of one episode: small, so that a hundred thousand fit in memory.

Reading an episode is the dear part, so its facts are kept (`ise_gym.trajectory.select.run`) and choosing works on them
alone. About two kilobytes per episode, whatever its length.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from typing import Any

from ise_gym.intents.pool.dedup import signature
from ise_gym.trajectory.record import Trajectory
from ise_gym.trajectory.secrets import scan_personal, scan_trajectory
from ise_gym.trajectory.select import claims, whole
from ise_gym.trajectory.select.grounding import describe, grounding
from ise_gym.trajectory.select.rules import LENGTHS, Selection
from ise_gym.trajectory.stats import recoveries, tool_calls_made
from ise_gym.trajectory.text.wording import (
    asked_language,
    assistant_side,
    own_conversations,
    skeletons,
    spoken_sentences,
    volume,
)

VERSION = 1
"""Of the facts: raised when a rule or a measure changes, so that kept ones are taken anew."""
_MOST_SENTENCES = 400
_WHY = 240


@dataclass(frozen=True)
class Facts:
    """One episode as a selection sees it.

    Attributes:
        line: hash of its record's bytes: whose facts these are.
        id, intent: its id, and what its samples share.
        broken: rule of `EPISODE_RULES` → why it breaks it, in words; whether the rule is switched on or not.
        tasks: its tasks.
        skeletons, sentences: hashes of its plans (one a request) and of the agent's distinct sentences.
        side: hash of the agent's masked side; ``minhash``: its signature (None where datasketch is missing).
        language, length: the user's language, and its class of `LENGTHS`.
        volume, messages, calls, failed: characters, messages without the system's, calls, calls that failed.
        recovered: a failed call was followed by a success.
        grounded: share of figures, paths and addresses of replies that are grounded.
        spoken, thought: assistant messages, and those that have a thought.
    """

    line: str
    id: str
    intent: str
    outcome: str
    broken: dict[str, str]
    tasks: list[str]
    skeletons: list[str]
    sentences: list[str]
    side: str
    minhash: list[int] | None
    language: str
    length: str
    volume: int
    messages: int
    calls: int
    failed: int
    recovered: bool
    grounded: float
    spoken: int
    thought: int

    def to_json(self) -> dict[str, Any]:
        """Return it as JSON."""
        return asdict(self)


def facts_of(trajectory: Trajectory, line: str, rules: Selection, *, compare: bool) -> Facts:
    """Read one episode.

    Args:
        trajectory: the episode. ``line``: hash of its record.
        rules: of which only what `Selection.episode_rules` names is used.
        compare: take the MinHash signature, which needs datasketch.
    """
    grounded = grounding(trajectory)
    side = assistant_side(trajectory)
    calls = tool_calls_made(trajectory)
    spoken, thought = thoughts(trajectory)
    size = volume(trajectory)
    return Facts(
        line=line,
        id=trajectory.episode_id,
        intent=trajectory.scenario_id,
        outcome=trajectory.outcome,
        broken=dict(broken(trajectory, rules)) | ungrounded(grounded),
        tasks=list(trajectory.tasks),
        skeletons=[_short(plan) for plan in skeletons(trajectory)],
        sentences=[_short(s) for s in list(dict.fromkeys(spoken_sentences(trajectory)))[:_MOST_SENTENCES]],
        side=_short(" ".join(side.split())),
        minhash=[int(value) for value in signature(side)] if compare else None,
        language=asked_language(trajectory),
        length=next(name for name, (low, high) in LENGTHS.items() if low <= size < high),
        volume=size,
        messages=sum(m["role"] != "system" for m in trajectory.messages),
        calls=len(calls),
        failed=sum(not ok for _, ok in calls),
        recovered=recoveries(trajectory).recovered > 0,
        grounded=grounded.share,
        spoken=spoken,
        thought=thought,
    )


def ungrounded(found: Any) -> dict[str, str]:
    """Return the broken rule for what is not grounded, {} where all is."""
    return {"grounding": describe(found.ungrounded)[:_WHY]} if found.ungrounded else {}


def broken(trajectory: Trajectory, rules: Selection) -> Iterator[tuple[str, str]]:
    """Yield (rule, why) for each rule that an episode breaks by itself, grounding apart."""
    if trajectory.outcome not in rules.outcomes:
        yield "outcome", trajectory.outcome
    if why := _claimed(trajectory):
        yield "claims", why[:_WHY]
    if why := "; ".join(list(whole.faults(trajectory))[:3]):
        yield "whole", why[:_WHY]
    spoken, thought = thoughts(trajectory)
    if rules.thinking and thought < rules.thinking * spoken:
        yield "thinking", f"{thought} of {spoken} messages have a thought"
    if why := _guarded(trajectory):
        yield "guard", why[:_WHY]
    for rule, found in (("secrets", scan_trajectory(trajectory)), ("personal", scan_personal(trajectory))):
        if found:
            yield rule, ", ".join(f"{kind}: {count}" for kind, count in sorted(found.items()))[:_WHY]


def thoughts(trajectory: Trajectory) -> tuple[int, int]:
    """Return how many messages an agent wrote, and how many of them have a thought."""
    own = [m for part in own_conversations(trajectory) for m in part if m["role"] == "assistant"]
    return len(own), sum(bool(str(m.get("reasoning_content") or "").strip()) for m in own)


def _claimed(trajectory: Trajectory) -> str:
    if count := claims.counted(trajectory):
        return f"{count} counted by the guard"
    return "; ".join(
        f"message {i}: {c.kind}: {c.words!r}" for i, c in list(claims.read_again(trajectory))[:3]
    )


def _guarded(trajectory: Trajectory) -> str:
    """What the role guard recorded of a user's turns: any draft that was refused, replaced or let through."""
    guard = trajectory.user.get("guard")
    if not isinstance(guard, dict):
        return ""
    names = ("drifted", "resamples", "fallbacks", "reached", "simulator_errors")
    found = {name: int(guard.get(name) or 0) for name in names}
    events = len(trajectory.guard_events)
    return ", ".join(
        f"{name}: {count}" for name, count in {**found, "refused drafts": events}.items() if count
    )


def _short(text: str) -> str:
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()[:16]
