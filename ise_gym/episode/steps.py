"""What is noted of each step while an episode is played: its record, and the wall time of its parts.

These stand below the episode because both the state machine and the trajectory's record are built of them.
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import Iterator

from pydantic import BaseModel, ConfigDict, Field


class Step(BaseModel):
    """One `env.step`: the assistant message at ``message`` (index into ``messages``) and what followed."""

    model_config = ConfigDict(extra="forbid")

    message: int
    reward: float
    digest: str = ""
    score: float = 0.0
    error: str = ""


class Timings(BaseModel):
    """All that differs between two runs of the same episode. Seconds; ``started_at`` is ISO UTC."""

    model_config = ConfigDict(extra="forbid")

    started_at: str = ""
    total_s: float = 0.0
    agent_s: float = 0.0
    tools_s: float = 0.0
    user_s: float = 0.0
    checks_s: float = 0.0
    reset_s: float = 0.0
    step_s: list[float] = Field(default_factory=list)


@contextlib.contextmanager
def timed(timings: Timings, name: str) -> Iterator[None]:
    """Add the wall time of a block to one field of the timings, also when the block raises."""
    begun = time.monotonic()
    try:
        yield
    finally:
        setattr(timings, name, getattr(timings, name) + time.monotonic() - begun)
