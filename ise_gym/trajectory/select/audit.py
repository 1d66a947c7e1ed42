"""Reads a sample of what simulated users said, so that drift behind the guard is counted by somebody who reads.

A guard cannot count what it does not see: after it, its own detectors are silent by construction. So turns that reached
the agent are drawn, shown without any verdict, and answered by a person (or by a model that stands in for one); the
share of turns out of role is an estimate with an interval. What the guard refused can be read in the same way: then the
share of refusals that were right is its precision.
"""

from __future__ import annotations

import json
import random
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ise_gym.errors import UserError
from ise_gym.statistics import Interval, wilson
from ise_gym.storage.appendlog import append_one
from ise_gym.trajectory.record import Trajectory
from ise_gym.trajectory.shards import beside

CONTEXT = 4
"""Messages shown before a turn."""


@dataclass(frozen=True)
class AuditedTurn:
    """One user turn to read.

    Attributes:
        key: ``EPISODE#TURN``, with ``/DRAFT`` for a refused draft; equal for equal stores.
        text: what was said, or would have been.
        before: the last messages before it, as (role, words).
        wishes: what the user was to ask for, as the intent says it.
        speaker: the simulator's name, or "script" for a turn that replaced a refused one.
    """

    key: str
    text: str
    before: tuple[tuple[str, str], ...]
    wishes: str
    speaker: str


def sent_turns(trajectory: Trajectory) -> list[AuditedTurn]:
    """Return the user turns of an episode that went to the agent."""
    name = str(trajectory.user.get("name", "unknown"))
    script = {int(entry.get("turn", 0)) for entry in _drift(trajectory) if entry.get("action") == "fallback"}
    turns = []
    talk: list[tuple[str, str]] = []
    for message in trajectory.messages:
        role, words = message.get("role"), str(message.get("content") or "")
        if role == "user":
            number = sum(1 for who, _ in talk if who == "user") + 1
            speaker = "script" if number in script else name
            key = f"{trajectory.episode_id}#{number}"
            turns.append(AuditedTurn(key, words, tuple(talk[-CONTEXT:]), trajectory.intent, speaker))
            talk.append(("user", words))
        elif role == "assistant" and not message.get("tool_calls"):
            talk.append(("agent", words))
    return turns


def refused_turns(trajectory: Trajectory) -> list[AuditedTurn]:
    """Return the drafts of an episode that the guard refused, as far as their words were kept."""
    sent = {turn.key: turn for turn in sent_turns(trajectory)}
    name = str(trajectory.user.get("name", "unknown"))
    turns = []
    for entry in _drift(trajectory):
        key = f"{trajectory.episode_id}#{entry.get('turn')}"
        place = sent.get(key)
        before = place.before if place else ()
        for number, draft in enumerate(entry.get("refused") or (), 1):
            text = str(draft.get("text", ""))
            turns.append(AuditedTurn(f"{key}/{number}", text, before, trajectory.intent, name))
    return turns


def sample(
    trajectories: Iterable[Trajectory], count: int, seed: int = 0, refused: bool = False
) -> list[AuditedTurn]:
    """Draw turns evenly from a store, without reading more of it into memory than they need."""
    rng = random.Random(f"audit:{seed}")
    kept: list[AuditedTurn] = []
    seen = 0
    for trajectory in trajectories:
        for turn in refused_turns(trajectory) if refused else sent_turns(trajectory):
            seen += 1
            if len(kept) < count:
                kept.append(turn)
            elif (at := rng.randrange(seen)) < count:
                kept[at] = turn
    rng.shuffle(kept)
    return kept


def answers_path(store: Path, refused: bool = False) -> Path:
    """Return where the answers of an audit are kept: in the store's folder, or beside a file of records."""
    return beside(store, "audit-refused.jsonl" if refused else "audit.jsonl")


def read_answers(path: Path) -> dict[str, bool]:
    """Return turn → in role, of a file of answers; a later answer replaces an earlier one.

    Raises:
        UserError: a line is no answer.
    """
    given: dict[str, bool] = {}
    if not path.exists():
        return given
    for number, line in enumerate(path.read_text(encoding="utf-8").split("\n"), 1):
        if not line.strip():
            continue
        try:
            told = json.loads(line)
            given[str(told["turn"])] = bool(told["in_role"])
        except (ValueError, KeyError, TypeError) as error:
            raise UserError(f"{path}, line {number}: not an answer of an audit; remove the line") from error
    return given


def keep_answer(path: Path, turn: AuditedTurn, in_role: bool, why: str = "") -> None:
    """Append an answer, on disk when this returns.

    Raises:
        UserError: it can't be written.
    """
    line = {"turn": turn.key, "in_role": in_role, "speaker": turn.speaker, "why": why, "text": turn.text}
    append_one(path, line)


@dataclass(frozen=True)
class Counted:
    """Of ``of`` answered turns of a speaker (or "all"), ``count`` are what the audit looks for."""

    speaker: str
    count: int
    of: int

    @property
    def interval(self) -> Interval:
        """Wilson's 95 % interval."""
        return wilson(self.count, self.of)


def what_is_counted(refused: bool) -> str:
    """Return what an audit counts, in words."""
    return "refused drafts that were in role" if refused else "turns out of role that reached the agent"


def counted(turns: Sequence[AuditedTurn], given: Mapping[str, bool], refused: bool) -> list[Counted]:
    """Return what the answers come to: of all, then by speaker; nothing without an answer."""
    answered = [turn for turn in turns if turn.key in given]
    found = []
    for speaker in ("all", *sorted({turn.speaker for turn in answered})) if answered else ():
        chosen = [turn for turn in answered if speaker in ("all", turn.speaker)]
        found.append(Counted(speaker, sum(given[turn.key] == refused for turn in chosen), len(chosen)))
    return found


def _drift(trajectory: Trajectory) -> list[Mapping[str, Any]]:
    listed = trajectory.user.get("drift")
    return [entry for entry in listed if isinstance(entry, Mapping)] if isinstance(listed, list) else []
