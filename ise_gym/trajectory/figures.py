"""Figures that stand in records: what is none counts as nothing, however odd it is."""

from __future__ import annotations

import math
from typing import Any

LARGEST = 10**12
"""More than anything that is counted in an episode; a larger figure is a fault of the record."""


def whole(value: Any) -> int:
    """Return a count, 0 for what is no count.

    >>> whole(3), whole(2.0), whole(None), whole("7"), whole(-1), whole(10**400)
    (3, 2, 0, 0, 0, 0)
    """
    found = amount(value)
    return 0 if found is None else max(0, int(found))


def amount(value: Any) -> float | None:
    """Return a finite figure as it is, None for what is none."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    return value if -LARGEST <= value <= LARGEST and math.isfinite(value) else None
