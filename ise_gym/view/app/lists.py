"""The table of episodes: found, filtered, in parts, with what was found in them."""

from __future__ import annotations

import contextlib
from dataclasses import dataclass
from typing import Any

from markupsafe import Markup

from ise_gym.errors import UserError
from ise_gym.statistics import wilson
from ise_gym.trajectory.record import Trajectory
from ise_gym.trajectory.stats import VERIFIED
from ise_gym.view.app.text import Marks
from ise_gym.view.index.asked import Asked
from ise_gym.view.index.facts import parts_of
from ise_gym.view.index.words import Search
from ise_gym.view.labels import Label
from ise_gym.view.library import Library, Run

AT_ONCE = 50
EXCERPTS = 2
PLACES = {"user": "user", "agent": "agent", "thought": "reasoning", "call": "call", "result": "result"}


@dataclass(frozen=True)
class Excerpt:
    """Where a search stands in an episode."""

    message: int
    place: str
    html: Markup


@dataclass(frozen=True)
class Line:
    """One row of the table."""

    run: Run
    row: dict[str, Any]
    who: Markup
    intent: Markup
    excerpts: tuple[Excerpt, ...]
    hits: int
    labels: tuple[Label, ...]


def lines(library: Library, asked: Asked, begin: int) -> tuple[list[Line], int]:
    """Return a part of the table from a row on, and how many there are in all."""
    found = library.found(asked)
    shown = library.rows(found.places[begin : begin + AT_ONCE])
    return [_line(run, row, found.search) for run, row in shown], len(found.places)


def _line(run: Run, row: dict[str, Any], search: Search) -> Line:
    marks = Marks(search)
    labels = tuple(run.labels.of(row["episode_id"]))
    excerpts: list[Excerpt] = []
    hits = 0
    if search.groups:
        # of a record that can't be read the row says all that is known; opening it says what is wrong
        with contextlib.suppress(UserError):
            excerpts, hits = hits_in(run.record(row), marks)
    who, intent = marks.marked("about", row["who"]), marks.marked("about", row["intent"])
    return Line(run, row, who, intent, tuple(excerpts[:EXCERPTS]), hits, labels)


def hits_in(trajectory: Trajectory, marks: Marks) -> tuple[list[Excerpt], int]:
    """Return the first places of a search in a conversation, one a message, and how often it stands there."""
    found: list[Excerpt] = []
    total = 0
    for number, message in enumerate(trajectory.messages):
        for column, text in parts_of(message):
            count = marks.hits(column, text)
            total += count
            if count and len(found) < EXCERPTS and (not found or found[-1].message != number):
                found.append(Excerpt(number, PLACES[column], marks.excerpt(column, text)))
    return found, total


def summary(spread: dict[str, dict[str, int]], asked: Asked, total: int) -> dict[str, Any]:
    """Return what stands above the table: outcomes with their shares, and the pass rate with its interval."""
    outcomes = spread["outcome"]
    if chosen := asked.values("outcome"):
        outcomes = {name: count for name, count in outcomes.items() if name in chosen}
    verified = sum(n for o, n in outcomes.items() if o in VERIFIED)
    passed = outcomes.get("passed", 0)
    low, high = wilson(passed, verified)
    return {
        "total": total,
        "outcomes": outcomes,
        "passed": passed,
        "verified": verified,
        "rate": passed / verified if verified else None,
        "low": low,
        "high": high,
    }
