"""An append-only ledger: what became of every trial, so that a killed run loses nothing and hides nothing.

A benchmark lies most easily by what it drops. Here each attempt is one line that is never rewritten; a broken
sandbox, a silent judge and an agent that ran out of time have outcomes of their own, and none of them is a zero.
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from types import TracebackType
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator, model_validator

from ise_gym.credentials import without_secrets
from ise_gym.errors import UserError
from ise_gym.foreign.values import Json
from ise_gym.storage.appendlog import AppendLog, Locked, raw_lines

SCHEMA_VERSION = 1

Outcome = Literal["pass", "fail", "timeout", "infrastructure_error", "judge_error"]
"""pass, fail: graded. timeout: the agent's time ran out. The two errors are nobody's verdict on the agent."""

OUTCOMES: tuple[Outcome, ...] = ("pass", "fail", "timeout", "infrastructure_error", "judge_error")
VERDICTS: frozenset[str] = frozenset({"pass", "fail", "timeout"})
"""Outcomes that say something about the agent; the others are played again on resume."""


class Trial(BaseModel):
    """One attempt at one task.

    Attributes:
        suite: name of the suite; ``protocol``: how its tasks are played (builtin, upstream, env).
        task: id of the task or scenario; ``trial``: 0, 1, … of the same task; ``attempt``: 1, 2, … of a trial.
        score: in [0, 1]; None where nothing was graded, which is so for every error.
        first_attempt: whether it passed without anything having to be asked for again
            (`ise_gym.evaluation.firsttry`); None where nobody can correct, and in older ledgers.
        completion, robustness, safety: grader dimensions, where the suite has them.
        labels: what results are grouped by (tier, category, language, split, …).
        counts: user_turns, messages, tool_calls, tokens, judge_calls, …
        agent: what the agent says of itself.
        episode: id of the stored trajectory or trace; "" when there is none.
        notes: the grader's and the judge's remarks, JSON; of a suite of ours what failed, as
            `ise_gym.trajectory.record.Finding`.
        costs: dollars by whom (agent_usd, judge_usd, user_usd), where a price is known.
        timings: wall seconds; the only part that differs between two runs of the same thing.
    """

    model_config = ConfigDict(extra="forbid")

    schema_version: int = SCHEMA_VERSION
    suite: str
    protocol: str
    task: str
    trial: int = Field(ge=0)
    attempt: int = Field(default=1, ge=1)
    seed: int
    outcome: Outcome
    reason: str = ""
    score: float | None = Field(default=None, ge=0, le=1)
    first_attempt: bool | None = None
    completion: float | None = None
    robustness: float | None = None
    safety: float | None = None
    labels: dict[str, str] = Field(default_factory=dict)
    counts: dict[str, int] = Field(default_factory=dict)
    agent: dict[str, Any] = Field(default_factory=dict)
    episode: str = ""
    notes: list[dict[str, Any]] = Field(default_factory=list)
    costs: dict[str, float] = Field(default_factory=dict)
    timings: dict[str, float] = Field(default_factory=dict)

    @field_validator("agent")
    @classmethod
    def _holds_no_credentials(cls, agent: dict[str, Json]) -> dict[str, Any]:
        cleaned: dict[str, Any] = without_secrets(agent)
        return cleaned

    @model_validator(mode="after")
    def _errors_have_no_score(self) -> Trial:
        if self.outcome not in VERDICTS and self.score is not None:
            raise ValueError(f"a trial that ended as {self.outcome} can't have a score")
        if self.outcome in ("pass", "fail") and self.score is None:
            raise ValueError(f"a trial that ended as {self.outcome} needs a score")
        return self

    @property
    def key(self) -> tuple[str, int]:
        """What makes two lines attempts at the same thing."""
        return self.task, self.trial

    @property
    def is_verdict(self) -> bool:
        """Whether it says something about the agent."""
        return self.outcome in VERDICTS


class Ledger:
    """The ledger file, open for appending by one process.

    A half-written last line (the writer was killed) is moved to ``<name>.torn`` when the file is opened; its
    trial counts as not played.

    Args:
        path: the JSONL file; made, with its folder, when missing.

    Raises:
        UserError: not writable, not a ledger, or another process is appending to it.
    """

    def __init__(self, path: str | Path) -> None:
        self.path = Path(path)
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            self._log = AppendLog(self.path, side_file=lambda offset: self.path.with_suffix(".torn"))
        except Locked:
            raise UserError(
                f"{self.path}: another run is writing to it. Wait for it to end, or give another --out."
            ) from None
        except OSError as error:
            raise UserError(f"{self.path}: can't be written ({error.strerror}).") from error
        self.torn_bytes = self._log.torn.size if self._log.torn else 0
        try:
            self._last = {trial.key: trial for trial in read_trials(self.path)}
        except BaseException:
            self._log.close()
            raise

    @property
    def last(self) -> dict[tuple[str, int], Trial]:
        """The last attempt at each (task, trial)."""
        return dict(self._last)

    def is_done(self, task: str, trial: int) -> bool:
        """Whether the trial has a verdict; one that ended in an error is to be played again."""
        found = self._last.get((task, trial))
        return found is not None and found.is_verdict

    def next_attempt(self, task: str, trial: int) -> int:
        """Number of the attempt that would come next."""
        found = self._last.get((task, trial))
        return found.attempt + 1 if found else 1

    def append(self, trial: Trial) -> None:
        """Write one line and wait until it is on disk."""
        self._log.append(trial.model_dump_json().encode() + b"\n")
        self._last[trial.key] = trial

    def close(self) -> None:
        """Release the file; idempotent."""
        self._log.close()

    def __enter__(self) -> Ledger:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def read_trials(path: str | Path) -> list[Trial]:
    """Read all complete lines of a ledger, oldest first; a half-written last line is left out.

    Raises:
        UserError: a line that isn't a trial: names file, line and field.
    """
    trials: list[Trial] = []
    file = Path(path)
    for number, line in enumerate(raw_lines(file) if file.exists() else (), start=1):
        if not line.endswith(b"\n"):
            break
        try:
            trials.append(Trial.model_validate_json(line))
        except ValidationError as error:
            first = error.errors()[0]
            field = ".".join(str(part) for part in first["loc"]) or "line"
            raise UserError(f"{path}, line {number}: not a trial: {field}: {first['msg']}.") from error
    return trials


def last_attempts(trials: Iterable[Trial]) -> dict[tuple[str, int], Trial]:
    """Keep the last attempt at each (task, trial)."""
    return {trial.key: trial for trial in trials}
