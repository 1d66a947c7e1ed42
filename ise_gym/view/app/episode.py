"""All that the page of one episode shows, put together."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from ise_gym.foreign.values import Json
from ise_gym.trajectory.record import Finding, Trajectory
from ise_gym.trajectory.wishes import Given, Wish, given
from ise_gym.view.app.text import Marks
from ise_gym.view.app.tree import Tree, tree_at
from ise_gym.view.app.turns import Moment, Section, sections_of
from ise_gym.view.index.asked import Asked
from ise_gym.view.index.words import read
from ise_gym.view.library import Library, Run

WIDEST = 25.0
"""Of a mark in the strip, which is 1000 wide."""


@dataclass(frozen=True)
class GoalShown:
    """A sub-goal: whether it holds at the end, the message after which it last turned, and why it does not hold."""

    name: str
    holds: bool
    turned: int | None
    why: Finding | None


@dataclass(frozen=True)
class Tick:
    """A mark of the strip that shows a whole episode at a glance."""

    anchor: str
    x: float
    width: float
    kind: str
    above: str
    title: str


@dataclass(frozen=True)
class EpisodePage:
    """What the page shows."""

    run: Run
    row: dict[str, Any]
    record: Trajectory
    sections: list[Section]
    given: Given
    wishes: list[tuple[Wish, list[GoalShown]]]
    goals: list[GoalShown]
    tree: Tree
    ticks: list[Tick]
    before: tuple[Run, dict[str, Any]] | None
    after: tuple[Run, dict[str, Any]] | None
    place: int
    total: int
    others: list[tuple[Run, dict[str, Any]]]
    hits: int


def episode_page(library: Library, run: Run, row: dict[str, Any], asked: Asked) -> EpisodePage:
    """Read an episode and put its page together; ``asked`` is the list that it was opened from.

    Raises:
        UserError: its record can't be read.
    """
    record = run.record(row)
    marks = Marks(read(asked.q))
    sections = sections_of(record, marks)
    began = given(record)
    goals = _goals(record)
    by_name = {goal.name: goal for goal in goals}
    wishes = [(wish, [by_name[name] for name in wish.goals if name in by_name]) for wish in began.wishes]
    named = {name for wish in began.wishes for name in wish.goals}
    last = record.steps[-1].message if record.steps else 0
    before, after, place, total = _neighbours(library, run, row, asked)
    others = [
        (r, o) for r, o in library.of_intent(row["scenario_id"]) if (r.name, o["id"]) != (run.name, row["id"])
    ]
    return EpisodePage(
        run=run,
        row=row,
        record=record,
        sections=sections,
        given=began,
        wishes=wishes,
        goals=[goal for goal in goals if goal.name not in named],
        tree=tree_at(began.files, record.steps, last),
        ticks=_ticks(sections),
        before=before,
        after=after,
        place=place,
        total=total,
        others=others,
        hits=sum(str(part).count("<mark>") for section in sections for part in _texts(section)),
    )


def _texts(section: Section) -> list[Any]:
    found: list[Any] = []
    for moment in section.moments:
        found += [moment.content, moment.thought]
        for call in moment.calls:
            found += [call.head, *(shown.html for _, shown in call.arguments)]
            found += [call.output.html] if call.output else []
    return found


def _goals(record: Trajectory) -> list[GoalShown]:
    turned = {name: step.message for step in record.steps for name in step.flipped}
    why = {finding.subgoal: finding for finding in record.findings}
    return [
        GoalShown(name, holds, turned.get(name), why.get(name)) for name, holds in record.subgoals.items()
    ]


def _neighbours(library: Library, run: Run, row: dict[str, Json], asked: Asked) -> tuple[Any, Any, int, int]:
    places = library.found(asked).places
    here = (library.runs.index(run), row["id"])
    if here not in places:
        return None, None, 0, len(places)
    at = places.index(here)
    near = [places[at - 1]] if at else []
    near += [places[at + 1]] if at + 1 < len(places) else []
    rows = library.rows(near)
    before = rows[0] if at else None
    after = rows[-1] if at + 1 < len(places) else None
    return before, after, at + 1, len(places)


def _ticks(sections: list[Section]) -> list[Tick]:
    moments = [m for section in sections for m in section.moments if m.role != "system"]
    width = min(1000 / max(len(moments), 1), WIDEST)
    return [_tick(moment, number * width, width) for number, moment in enumerate(moments)]


def _tick(moment: Moment, x: float, width: float) -> Tick:
    failed = [call for call in moment.calls if call.failed]
    kind = "user" if moment.role == "user" else "bad" if failed else "call" if moment.calls else "say"
    above = "guard" if moment.refused else ""
    if moment.goals:
        above = "up" if all(holds for _, holds, _ in moment.goals) else "down"
    words = [f"{moment.number} {moment.role}", *(f"{call.name}: {call.badge}" for call in moment.calls)]
    words += [f"{'now holds' if holds else 'holds no more'}: {name}" for name, holds, _ in moment.goals]
    words += [f"guard refused a draft: {event.detector}" for event in moment.refused]
    return Tick(moment.anchor, round(x, 2), round(width * 0.8, 2), kind, above, " · ".join(words))
