"""The record of one episode: what a trajectory store holds, one JSON object a line.

Covers the ISETrace record and adds what it lost: exit codes, the truth in ``success``, the real system
prompt, a workspace digest a step, check results, and hashes of prompt, tools and template. Everything but
``timings`` is a function of (scenario, seed, agent): equal inputs give equal bytes.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Any, ClassVar, Literal

from pydantic import BaseModel, ConfigDict, Field, SerializerFunctionWrapHandler, model_serializer

from ise_gym.messages import sha256_of

SCHEMA_VERSION = 2

Outcome = Literal["passed", "failed", "truncated", "infrastructure_error", "unverified"]
"""passed: the user left satisfied and every sub-goal holds. failed: the user left and one does not.
truncated: a budget ran out. infrastructure_error: the sandbox or a model endpoint broke, not the agent.
unverified: without any sub-goal that could be checked: imported, or played from a file of intents without checks."""


class _Sparse(BaseModel):
    """Leaves the fields named in ``_sparse`` out where they are empty, so that a record is the same with and without.

    A field that is added under a version that is out must be one of these: what has nothing to say keeps its bytes.
    """

    model_config = ConfigDict(extra="forbid")
    _sparse: ClassVar[tuple[str, ...]] = ()

    @model_serializer(mode="wrap")
    def _without_empty(self, handler: SerializerFunctionWrapHandler) -> dict[str, Any]:
        data: dict[str, Any] = handler(self)
        for name in self._sparse:
            value = getattr(self, name)
            if value is None or value in ("", [], {}):
                data.pop(name, None)
        return data


class Completion(_Sparse):
    """What a model's server said of one assistant message, as it said it; absent where no model spoke.

    Attributes:
        finish: why it ended, in the server's word (``stop``, ``tool_calls``, ``length``, ``MAX_TOKENS``, …).
        ended: what that word means: ``stop``; ``cut`` (for its length); ``filtered`` (by the provider); ``broken``
            (the server gave up on it); "" where nothing was said.
        usage: tokens of the answer as reported: prompt, completion, cached.
        model: as the server names it, which tells a dated version from an alias.
        said: the model's own words, where calls or thinking were read out of them.
        faults: what had to be mended or could not be read (``arguments``, ``surrogate``, ``call in words``,
            ``continued``); a message with one of the first two is not taught.
        prompt_token_ids, token_ids: what was read and what was sampled, where the server gives it.
        logprobs: natural logarithm of the probability of each sampled token.
    """

    finish: str = ""
    ended: Literal["", "stop", "cut", "filtered", "broken"] = ""
    usage: dict[str, int] = Field(default_factory=dict)
    model: str = ""
    said: str = ""
    faults: list[str] = Field(default_factory=list)
    prompt_token_ids: list[int] = Field(default_factory=list)
    token_ids: list[int] = Field(default_factory=list)
    logprobs: list[float] = Field(default_factory=list)

    _sparse = (
        "finish",
        "ended",
        "usage",
        "model",
        "said",
        "faults",
        "prompt_token_ids",
        "token_ids",
        "logprobs",
    )


class FileChanges(_Sparse):
    """What one step did to the workspace's files, by path; ``diffs`` are unified, bounded, and of text files only."""

    created: list[str] = Field(default_factory=list)
    changed: list[str] = Field(default_factory=list)
    deleted: list[str] = Field(default_factory=list)
    diffs: dict[str, str] = Field(default_factory=dict)

    _sparse = ("created", "changed", "deleted", "diffs")


class Step(_Sparse):
    """One `env.step`: the assistant message at ``message`` (index into ``messages``) and what followed.

    ``completion`` is what the server said of the message; ``files`` what the step changed; ``flipped`` the sub-goals
    whose verdict it changed, and what it is now.
    """

    message: int
    reward: float
    digest: str = ""
    score: float = 0.0
    error: str = ""
    completion: Completion | None = None
    files: FileChanges | None = None
    flipped: dict[str, bool] = Field(default_factory=dict)

    _sparse = ("completion", "files", "flipped")


class Finding(_Sparse):
    """Why a sub-goal does not hold at the end: for people, outside of what an agent sees.

    ``expected`` is what its check looks for, ``found`` what stood there, and ``message`` the index of the assistant
    message after which it was last verified.
    """

    subgoal: str
    expected: str = ""
    found: str = ""
    message: int | None = None

    _sparse = ("expected", "found", "message")


class GuardEvent(_Sparse):
    """One draft that the role guard refused: for the user message at ``message``, by which detector, and its words."""

    message: int
    detector: str
    action: str = ""
    words: str = ""
    said: str = ""

    _sparse = ("action", "words", "said")


class Received(_Sparse):
    """When the answer for one assistant message came: what differs from run to run.

    ``session`` is the key of a sub-session, "" for the main conversation; ``id`` is the server's id of the response;
    ``tries`` counts the requests that it took.
    """

    message: int
    session: str = ""
    id: str = ""
    seconds: float = 0.0
    tries: int = 1

    _sparse = ("session", "id")


class Timings(_Sparse):
    """All that differs between two runs of the same episode. Seconds; ``started_at`` is ISO UTC."""

    started_at: str = ""
    total_s: float = 0.0
    agent_s: float = 0.0
    tools_s: float = 0.0
    user_s: float = 0.0
    checks_s: float = 0.0
    reset_s: float = 0.0
    step_s: list[float] = Field(default_factory=list)
    received: list[Received] = Field(default_factory=list)

    _sparse = ("received",)


class Trajectory(_Sparse):
    """One episode.

    Attributes:
        episode_id: stable id of (scenario, seed, agent name); the store's key for resume.
        intent: the whole text with every request; ``brief``: the same in a few sentences (absent where there is none).
        messages: the whole conversation in OpenAI format, system message first.
        tools: the schemas the agent was offered.
        subgoals: sub-goal name → holds at the end (superseded ones keep the verdict they had).
        findings: why sub-goals do not hold (absent where all do).
        score: fraction of sub-goals that hold, in [0, 1]; the sum of all rewards, those inside ``sessions`` included.
            None where nothing was verified.
        sessions: what the agent delegated to itself, in order (absent where nothing was): key, label, task, context,
            sandbox, cleanup, status, ``opened_by`` (ids of the calls in ``messages`` that it answered), ``inherited``
            (how many of its messages are a copy of the main conversation), ``messages`` and ``steps``.
        user: simulator name and parameters, plus ``guard`` counts: turns, hits by detector, resamples,
            fallbacks.
        guard_events: the drafts that the guard refused, at their turns (absent where there are none).
        scenario: the drawn scenario itself, so that the record replays under any later catalog (absent in records
            that were made before it was kept, or elsewhere).
        hashes: SHA-256 of ``system_prompt``, ``tools`` and, where the agent has one, ``chat_template``.
        env: package version, backend, limits.
    """

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
    metadata: dict[str, Any] = Field(default_factory=dict)
    timings: Timings = Field(default_factory=Timings)

    _sparse = ("brief", "findings", "sessions", "guard_events", "scenario")


def received(
    message: Mapping[str, Any], position: int, session: str = ""
) -> tuple[Completion | None, Received | None]:
    """Take apart what an agent put beside its message: what the record keeps of it, and what differs from run to run.

    Args:
        message: an assistant message; without the key ``completion`` (nobody's server spoke) both are None.
        position: its index in the conversation. ``session``: that conversation's key, "" for the main one.
    """
    given = message.get("completion")
    if not given:
        return None, None
    apart = {name: given[name] for name in ("id", "seconds", "tries") if name in given}
    kept = {name: value for name, value in given.items() if name in Completion.model_fields}
    return Completion.model_validate(kept), Received(message=position, session=session, **apart)


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
    """Hash all that must be equal between two runs of the same episode: everything but ``timings``."""
    return sha256_of(trajectory.model_dump(exclude={"timings"}))
