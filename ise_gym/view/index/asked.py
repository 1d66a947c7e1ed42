"""What is asked of the index: a search, filters and an order, as they stand in an address."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from urllib.parse import urlencode

from ise_gym.view.index.words import LONGEST

CHOICES: Mapping[str, str] = {
    "outcome": "Outcome",
    "complexity": "Complexity",
    "agent": "Model",
    "user": "User",
    "domain": "Domain",
    "task": "Task",
    "tool": "Tool",
    "label": "Label",
    "store": "Run",
}
"""Filters of which several values may be chosen: any of them is enough."""

FLAGS: Mapping[str, tuple[str, str]] = {
    "judged": ("judged by a model", "judged"),
    "refused": ("role guard refused a draft", "refused > 0"),
    "fallback": ("the script spoke for the user", "fallbacks > 0"),
    "failed": ("a call failed", "failed > 0"),
    "recovered": ("failed, then recovered", "recovered > 0"),
    "unrecovered": ("failed and not recovered", "failed > recovered"),
    "cut": ("an answer was cut", "cut > 0"),
    "delegated": ("sub-sessions", "sessions > 0"),
    "first": ("passed at the first attempt", "first_attempt = 1"),
    "labelled": ("has notes or labels", ""),
}
"""Filters that are on or off: what is shown, and the condition. All of them must hold."""

RANGES: Mapping[str, tuple[str, float]] = {
    "turns": ("User turns", 1), "messages": ("Messages", 1), "calls": ("Tool calls", 1),
    "score": ("Score", 0.01), "tokens": ("Tokens", 1), "cost": ("Cost", 0.01), "seconds": ("Seconds", 0.1),
}  # fmt: skip
"""Figures that are bounded from both sides: what is shown, and the step of the input."""

SORTS: Mapping[str, tuple[str, str, bool]] = {
    "new": ("Newest first", "id", True),
    "old": ("Oldest first", "id", False),
    "best": ("Best match", "rank", False),
    "score": ("Score, lowest first", "score", False),
    "turns": ("Most user turns", "turns", True),
    "long": ("Longest", "messages", True),
    "short": ("Shortest", "messages", False),
    "calls": ("Most tool calls", "calls", True),
    "failed": ("Most failed calls", "failed", True),
    "refused": ("Most refused drafts", "refused", True),
    "tokens": ("Most tokens", "tokens", True),
    "cost": ("Highest cost", "cost", True),
    "seconds": ("Slowest", "seconds", True),
    "intent": ("Same intent together", "scenario_id", False),
}
"""Orders: what is shown, the column, and whether the largest comes first. Nothing known comes last."""


@dataclass(frozen=True)
class Asked:
    """A question: hashable, so that its answer can be kept.

    Attributes:
        q: what was typed. ``chosen``: (filter, values). ``flags``: names of `FLAGS`. ``ranges``: (figure, from, to).
        scenario: only episodes of this intent. ``sort``: a name of `SORTS`.
    """

    q: str = ""
    chosen: tuple[tuple[str, tuple[str, ...]], ...] = ()
    flags: tuple[str, ...] = ()
    ranges: tuple[tuple[str, float | None, float | None], ...] = ()
    scenario: str = ""
    sort: str = "new"
    pairs: tuple[tuple[str, str], ...] = field(default=(), compare=False)

    def values(self, name: str) -> tuple[str, ...]:
        """Return the values chosen for a filter."""
        return dict(self.chosen).get(name, ())

    def without(self, name: str) -> Asked:
        """Return the question without one filter."""
        kept = tuple(pair for pair in self.chosen if pair[0] != name)
        return Asked(self.q, kept, self.flags, self.ranges, self.scenario, self.sort, self.pairs)

    @property
    def address(self) -> str:
        """The question as the query of an address; "" where nothing was asked."""
        return urlencode(self.pairs)

    @property
    def filtered(self) -> bool:
        """Whether anything but a search and an order was given."""
        return bool(self.chosen or self.flags or self.ranges or self.scenario)


def read_asked(given: Iterable[tuple[str, str]]) -> Asked:
    """Read a question from the pairs of an address; what is unknown or no figure is passed over."""
    pairs = [(name, value.strip()[:LONGEST]) for name, value in given]
    pairs = [(name, value) for name, value in pairs if value and _known(name, value)]
    sort = _last(pairs, "sort") or "new"
    return Asked(
        q=_last(pairs, "q"),
        chosen=tuple(
            (name, values)
            for name in CHOICES
            if (values := tuple(dict.fromkeys(v for n, v in pairs if n == name)))
        ),
        flags=tuple(name for name in FLAGS if ("has", name) in pairs),
        ranges=tuple(_ranges(pairs)),
        scenario=_last(pairs, "scenario"),
        sort=sort,
        pairs=tuple(pair for pair in dict.fromkeys(pairs) if pair != ("sort", "new")),
    )


def _known(name: str, value: str) -> bool:
    if name == "has":
        return value in FLAGS
    if name == "sort":
        return value in SORTS
    side, _, figure = name.partition("_")
    if side in ("min", "max") and figure in RANGES:
        return _number(value) is not None
    return name in CHOICES or name in ("q", "scenario")


def _ranges(pairs: Sequence[tuple[str, str]]) -> Iterable[tuple[str, float | None, float | None]]:
    for name in RANGES:
        low, high = _number(_last(pairs, f"min_{name}")), _number(_last(pairs, f"max_{name}"))
        if low is not None or high is not None:
            yield name, low, high


def _last(pairs: Sequence[tuple[str, str]], name: str) -> str:
    return next((value for n, value in reversed(pairs) if n == name), "")


def _number(text: str) -> float | None:
    try:
        value = float(text)
    except ValueError:
        return None
    return value if math.isfinite(value) else None
