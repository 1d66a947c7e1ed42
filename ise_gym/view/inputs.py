"""What a report may be given besides trajectories: a training log and a comparison of pass rates."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from ise_gym.errors import UserError
from ise_gym.statistics import wilson


class PassRate(BaseModel):
    """One run's pass@1. Bounds are the 95 % interval; Wilson's is computed where none is given."""

    model_config = ConfigDict(extra="forbid")

    label: str
    passed: int = Field(ge=0)
    total: int = Field(ge=0)
    low: float | None = None
    high: float | None = None

    @model_validator(mode="after")
    def _bounds(self) -> PassRate:
        if self.passed > self.total:
            raise ValueError(f"{self.passed} passed of {self.total}")
        if self.low is None or self.high is None:
            self.low, self.high = wilson(self.passed, self.total)
        return self

    @property
    def rate(self) -> float:
        """Fraction that passed; 0 of nothing."""
        return self.passed / self.total if self.total else 0.0


class Comparison(BaseModel):
    """Pass rates side by side.

    Attributes:
        title: heading, e.g. the suite's name.
        runs: in the order to show, usually before and after.
        p_value: of the paired test of the first two runs (exact McNemar).
        gained, lost: tasks that only the second, or only the first, of the first two runs passed.
        note: a sentence on what was compared.
    """

    model_config = ConfigDict(extra="forbid")

    title: str = "pass@1"
    runs: list[PassRate]
    p_value: float | None = None
    gained: int | None = None
    lost: int | None = None
    note: str = ""


def as_comparison(value: Comparison | Mapping[str, object] | None) -> Comparison | None:
    """Check a comparison that may come as JSON.

    Raises:
        UserError: a field is missing or wrong.
    """
    if value is None or isinstance(value, Comparison):
        return value
    try:
        return Comparison.model_validate(value)
    except ValidationError as error:
        first = error.errors()[0]
        raise UserError(f"comparison: {'.'.join(map(str, first['loc']))}: {first['msg']}") from error


@dataclass(frozen=True)
class TrainingLog:
    """A training run's curves: name → (step, value) pairs, in order."""

    curves: Mapping[str, Sequence[tuple[float, float]]]

    def last(self, name: str) -> float | None:
        """The last value of a curve, None when there is none."""
        points = self.curves.get(name)
        return points[-1][1] if points else None

    def first(self, name: str) -> float | None:
        """The first value of a curve, None when there is none."""
        points = self.curves.get(name)
        return points[0][1] if points else None


CURVES: Mapping[str, str] = {"loss": "training loss", "eval_loss": "held-out loss"}
"""Log key → name of the curves in the chart."""


def as_training(log: Sequence[Mapping[str, Any]] | None) -> TrainingLog | None:
    """Read a trainer's log: a list of ``{"step": …, "loss": …, …}``, as TRL's ``log_history`` is."""
    if not log:
        return None
    curves: dict[str, list[tuple[float, float]]] = {}
    for position, entry in enumerate(log):
        step = entry.get("step", position)
        for name, value in entry.items():
            if (
                name not in ("step", "epoch")
                and isinstance(value, int | float)
                and not isinstance(value, bool)
            ):
                curves.setdefault(name, []).append((float(step), float(value)))
    return TrainingLog(curves)


def read_comparison(path: Path) -> Comparison:
    """Read a comparison from the file that ``ise eval compare --for-report`` writes.

    Raises:
        UserError: the file can't be read, is not JSON or lacks a field.
    """
    found = as_comparison(_read_json(path, "a comparison"))
    if found is None:
        raise UserError(
            f"{path}: there is no comparison in it; write one with 'ise eval compare A B --for-report FILE'"
        )
    return found


def read_run_card(folder: Path) -> list[dict[str, Any]]:
    """Read the loss curve from a training run's ``run_card.json``, as a trainer's log.

    Raises:
        UserError: the folder has no run card, or it is not one.
    """
    card = _read_json(folder / "run_card.json", "the run card of a finished training run")
    losses = card.get("losses") if isinstance(card, dict) else None
    if not isinstance(losses, list):
        raise UserError(
            f"{folder / 'run_card.json'}: has no 'losses'; is it the output folder of `ise train sft`?"
        )
    return [{"step": step, "loss": loss} for step, loss in losses]


def _read_json(path: Path, what: str) -> Any:
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise UserError(f"{path}: can't be read ({error.strerror}); expected {what}") from error
    except ValueError as error:
        raise UserError(f"{path}: is not JSON ({error}); expected {what}") from error
