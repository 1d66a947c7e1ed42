"""What a run may spend before it ends by itself, and how long it may take to end.

A night's run against a paid endpoint must not become a week's: a limit stops the handing out, what is running is
finished and written down, and the same command goes on from there.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Protocol

from ise_gym.errors import UserError


class Spent(Protocol):
    """What a limit looks at; `ise_gym.rollout.engine.Status` is one."""

    tokens: int
    cost: float
    seconds: float


@dataclass(frozen=True)
class Limits:
    """Limits of one run; a resumed run begins to count anew.

    Attributes:
        tokens: of agent and user together, those of attempts that were played again included.
        cost: in the currency of the prices that the seats' options give.
        hours: of wall time, in which work is handed out.
        drain_s: seconds that what is running may take to end after a limit or Ctrl-C; then it is cut off, and played by
            the run that resumes. None waits for it.

    Raises:
        UserError: a limit that is not positive.
    """

    tokens: int | None = None
    cost: float | None = None
    hours: float | None = None
    drain_s: float | None = None

    def __post_init__(self) -> None:
        for name in ("tokens", "cost", "hours", "drain_s"):
            value = getattr(self, name)
            if value is not None and not (value > 0 and math.isfinite(value)):
                raise UserError(f"a limit of {name}={value!r}: give a number above 0, or leave it out")

    def reached(self, spent: Spent) -> str:
        """Say which limit is reached; "" for none.

        >>> from types import SimpleNamespace
        >>> Limits(tokens=1000).reached(SimpleNamespace(tokens=1010, cost=0.0, seconds=5.0))
        'the limit of 1,000 tokens is reached (1,010 spent)'
        """
        if self.tokens is not None and spent.tokens >= self.tokens:
            return f"the limit of {self.tokens:,} tokens is reached ({spent.tokens:,} spent)"
        if self.cost is not None and spent.cost >= self.cost:
            return f"the limit of {self.cost:g} in cost is reached ({spent.cost:.4g} spent)"
        if self.hours is not None and spent.seconds >= 3600 * self.hours:
            return f"the limit of {self.hours:g} hours is reached"
        return ""


NO_LIMITS = Limits()
