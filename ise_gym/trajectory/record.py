"""The record of one episode: what a trajectory store holds, one JSON object a line.

Covers the ISETrace record and adds what it lost: exit codes, the truth in ``success``, the real system
prompt, a workspace digest a step, check results, and hashes of prompt, tools and template. Everything but
``timings`` is a function of (scenario, seed, agent): equal inputs give equal bytes.
"""

from __future__ import annotations

import json
import re
from typing import Any, Literal

from pydantic import ConfigDict, Field, field_validator

from ise_gym.credentials import without_secrets
from ise_gym.episode.steps import Completion, FileChanges, Received, Sparse, Step, Timings
from ise_gym.foreign.values import Json
from ise_gym.messages import sha256_of
from ise_gym.trajectory.wellformed import message_fault, session_fault

__all__ = [
    "SCHEMA_VERSION",
    "Completion",
    "FileChanges",
    "Finding",
    "GuardEvent",
    "Outcome",
    "Received",
    "Step",
    "Timings",
    "Trajectory",
    "content_hash",
    "episode_id",
    "to_line",
]

SCHEMA_VERSION = 2

Outcome = Literal[
    "passed", "failed", "truncated", "infrastructure_error", "unverified", "judged_passed", "judged_failed"
]
"""passed: the user left satisfied and every sub-goal holds. failed: the user left and one does not.
truncated: a budget ran out. infrastructure_error: the sandbox or a model endpoint broke, not the agent.
unverified: without any sub-goal that could be checked: imported, or played from a file of intents without checks.
judged_passed, judged_failed: unverified, and a model judged it afterwards (`ise_gym.evaluation.judging`)."""


class Finding(Sparse):
    """Why a sub-goal does not hold at the end: for people, outside of what an agent sees.

    ``expected`` is what its check looks for, ``found`` what stood there, and ``message`` the index of the assistant
    message after which it was last verified.
    """

    subgoal: str
    expected: str = ""
    found: str = ""
    message: int | None = None

    _sparse = ("expected", "found", "message")


class GuardEvent(Sparse):
    """One draft that the role guard refused: for the user message at ``message``, by which detector, and its words."""

    message: int
    detector: str
    action: str = ""
    words: str = ""
    said: str = ""

    _sparse = ("action", "words", "said")


class Trajectory(Sparse):
    """One episode.

    Attributes:
        episode_id: stable id of (scenario, seed, agent name); the store's key for resume.
        intent: the whole text with every request; ``brief``: the same in a few sentences (absent where there is none).
        messages: the whole conversation in OpenAI format, system message first.
        tools: the schemas the agent was offered.
        subgoals: sub-goal name → holds at the end (superseded ones keep the verdict they had).
        findings: why sub-goals do not hold (absent where all do, and in older records).
        first_attempt: whether it passed and no agent's turn ended with something asked for undone (absent where nothing
            was verified, and in older records).
        score: fraction of sub-goals that hold, in [0, 1]; the sum of all rewards, those inside ``sessions`` included,
            unless the env was given another ``reward`` or ``penalties`` (``env`` then says which). None where nothing
            was verified.
        findings: why sub-goals do not hold (absent where all do).
        sessions: what the agent delegated to itself, in order (absent where nothing was): key, label, task, context,
            sandbox, cleanup, status, ``opened_by`` (ids of the calls in ``messages`` that it answered), ``inherited``
            (how many of its messages are a copy of the main conversation), ``messages`` and ``steps``.
        user: simulator name and parameters, plus ``guard`` counts: turns, hits by detector, resamples,
            fallbacks.
        guard_events: the drafts that the guard refused, at their turns (absent where there are none).
        scenario: the drawn scenario itself, as `ise_gym.scenario.carried.packed` gives it, so that the record replays
            under any later catalog (absent in records that were made before it was kept, or elsewhere).
        judged: what a model found afterwards where nothing was verified (absent where none was asked): its name and
            sampling, ``score``, ``agreed``, and ``points`` with verdicts and quoted grounds of both readings.
        hashes: SHA-256 of ``system_prompt``, ``tools`` and, where the agent has one, ``chat_template``.
        env: package version, backend, limits.
    """

    model_config = ConfigDict(extra="forbid", allow_inf_nan=False)

    schema_version: int = SCHEMA_VERSION
    episode_id: str
    scenario_id: str
    seed: int
    intent: str
    brief: str = ""
    persona: dict[str, Any] = Field(default_factory=dict)
    domains: list[str] = Field(default_factory=list)
    tasks: list[str] = Field(default_factory=list)
    complexity: str = ""
    split: str = ""
    outcome: Outcome
    reason: str = ""
    score: float | None
    subgoals: dict[str, bool] = Field(default_factory=dict)
    findings: list[Finding] = Field(default_factory=list)
    first_attempt: bool | None = None
    counts: dict[str, int] = Field(default_factory=dict)
    messages: list[dict[str, Any]]
    tools: list[dict[str, Any]]
    steps: list[Step] = Field(default_factory=list)
    sessions: list[dict[str, Any]] = Field(default_factory=list)
    agent: dict[str, Any] = Field(default_factory=dict)
    user: dict[str, Any] = Field(default_factory=dict)
    hashes: dict[str, str] = Field(default_factory=dict)
    env: dict[str, Any] = Field(default_factory=dict)
    guard_events: list[GuardEvent] = Field(default_factory=list)
    scenario: dict[str, Any] = Field(default_factory=dict)
    judged: dict[str, Any] = Field(default_factory=dict)
    metadata: dict[str, Any] = Field(default_factory=dict)
    timings: Timings = Field(default_factory=Timings)

    @field_validator("agent", "user")
    @classmethod
    def _hold_no_credentials(cls, described: dict[str, Json]) -> dict[str, Any]:
        """Leave credentials out of what agents and users say of themselves, plug-ins included."""
        cleaned: dict[str, Any] = without_secrets(described)
        return cleaned

    _sparse = ("brief", "findings", "first_attempt", "sessions", "guard_events", "scenario", "judged")

    @field_validator("messages")
    @classmethod
    def _are_messages(cls, messages: list[dict[str, Json]]) -> list[dict[str, Any]]:
        """Refuse what no reader of records could use, and say which message it is."""
        for number, message in enumerate(messages):
            if problem := message_fault(message):
                raise ValueError(f"message {number}: {problem}")
        return messages

    @field_validator("sessions")
    @classmethod
    def _are_sessions(cls, sessions: list[dict[str, Json]]) -> list[dict[str, Any]]:
        for number, session in enumerate(sessions):
            messages = session.get("messages")
            if not isinstance(messages, list) or not all(isinstance(m, dict) for m in messages):
                raise ValueError(f"session {number}: 'messages' must be a list of messages")
            if problem := next(
                (f"message {n}: {p}" for n, m in enumerate(messages) if (p := message_fault(m))), ""
            ):
                raise ValueError(f"session {number}, {problem}")
            if problem := session_fault(session):
                raise ValueError(f"session {number}: {problem}")
        return sessions


def episode_id(scenario_id: str, seed: int, agent: str) -> str:
    """Return the stable id of one episode: readable, safe as a file name, equal for equal inputs.

    >>> episode_id("intent_17", 3, "expert")
    'intent_17-a0d2bbfab4'
    """
    readable = re.sub(r"[^A-Za-z0-9._-]+", "_", scenario_id)[:80]
    return f"{readable}-{sha256_of([scenario_id, seed, agent])[:10]}"


def to_line(trajectory: Trajectory) -> bytes:
    """Dump to one line of UTF-8 JSON, newline included; fields in the order of the model."""
    value = trajectory.model_dump()
    try:
        text = json.dumps(value, ensure_ascii=False, allow_nan=False, separators=(",", ":")).encode()
    except UnicodeEncodeError:  # a lone surrogate from some model's output: JSON can only carry it escaped
        text = json.dumps(value, ensure_ascii=True, allow_nan=False, separators=(",", ":")).encode()
    return text + b"\n"


def content_hash(trajectory: Trajectory) -> str:
    """Hash all that must be equal between two runs of the same episode: everything but ``timings``.

    ``scenario`` plays no part either: what was played is named by id, seed and hashes, and a record keeps its hash when
    its scenario is written into it later.
    """
    return sha256_of(trajectory.model_dump(exclude={"timings", "scenario"}))
