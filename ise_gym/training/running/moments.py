"""What the trainer's callbacks are told: the part of transformers' arguments and states that is used here."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Protocol


class Arguments(Protocol):
    """How a run was set up (`transformers.TrainingArguments`)."""

    output_dir: str


class State(Protocol):
    """Where a run is (`transformers.TrainerState`)."""

    global_step: int
    max_steps: int
    is_world_process_zero: bool
    best_model_checkpoint: str | None

    @property
    def log_history(self) -> Sequence[Mapping[str, float]]:
        """What was logged, one entry a logged step."""
        ...
