"""The labelling screens: user turns read for `ise guard audit`, and points of a rubric read beside a judge."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ise_gym.evaluation.judging.agreement import agreement, sentence
from ise_gym.evaluation.judging.material import rubric_of
from ise_gym.foreign.values import Json
from ise_gym.storage.appendlog import append_one
from ise_gym.trajectory.record import Trajectory
from ise_gym.trajectory.select.audit import (
    AuditedTurn,
    Counted,
    answers_path,
    counted,
    read_answers,
    sample,
)
from ise_gym.trajectory.shards import beside
from ise_gym.trajectory.store import read_trajectories
from ise_gym.view.library import Library, Run

UNSURE = "unsure"


@dataclass(frozen=True)
class AuditPage:
    """Where an audit stands: the turn to read next (None when all are), and what the answers come to."""

    turn: AuditedTurn | None
    done: int
    of: int
    counted: list[Counted]
    refused: bool


class Audits:
    """Samples of user turns, drawn once for each run, size, seed and kind; the answers are those of the command."""

    def __init__(self) -> None:
        self._drawn: dict[tuple[Any, ...], list[AuditedTurn]] = {}
        self._lock = threading.Lock()

    def turns(self, run: Run, count: int, seed: int, refused: bool) -> list[AuditedTurn]:
        """Return the sample, the same that `ise guard audit` draws."""
        with self._lock:
            key = (run.name, count, seed, refused)
            if key not in self._drawn:
                self._drawn[key] = sample(read_trajectories(run.source), count, seed, refused)
            return self._drawn[key]

    def page(self, run: Run, count: int, seed: int, refused: bool, skipped: frozenset[str]) -> AuditPage:
        """Return where an audit stands.

        Raises:
            UserError: a file of answers or the store can't be read.
        """
        turns = self.turns(run, count, seed, refused)
        given = read_answers(answers_path(run.source, refused))
        left = [turn for turn in turns if turn.key not in given and turn.key not in skipped]
        done = sum(turn.key in given for turn in turns)
        return AuditPage(left[0] if left else None, done, len(turns), counted(turns, given, refused), refused)


def verdicts_file(run: Run) -> Path:
    """Return where a person's verdicts on points are kept."""
    return beside(run.source, "judge-labels.jsonl")


def read_verdicts(path: Path) -> dict[tuple[str, str], bool | None]:
    """Return (episode, point) → met, None for unsure; a later verdict replaces an earlier one."""
    found: dict[tuple[str, str], bool | None] = {}
    if not path.exists():
        return found
    for line in path.read_bytes().split(b"\n")[:-1]:
        try:
            entry = json.loads(line)
            met = entry["met"]
            found[entry["episode"], entry["point"]] = met if isinstance(met, bool) else None
        except (ValueError, KeyError, TypeError):
            continue  # not one of ours; nothing is taken from it
    return found


def keep_verdict(run: Run, episode: str, point: str, met: bool | None, by: str) -> None:
    """Append a verdict, on disk when this returns."""
    at = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
    append_one(verdicts_file(run), {"episode": episode, "point": point, "met": met, "by": by, "at": at})


@dataclass(frozen=True)
class JudgePage:
    """An episode whose points are to be read; ``points``: (text, verdict, what the judge found once that is given)."""

    run: Run
    row: dict[str, Any]
    record: Trajectory
    points: list[tuple[str, str, bool | None]]
    done: bool
    agreement: str


def judge_page(library: Library, run: Run, row: dict[str, Json]) -> JudgePage:
    """Return the points of one episode; the judge's verdicts show only when all of a person's are there."""
    record = run.record(row)
    given = read_verdicts(verdicts_file(run))
    texts = list(rubric_of(record).values())
    done = all((record.episode_id, text) in given for text in texts)
    judged = {str(p.get("point")): bool(p.get("met")) for p in _points(record)} if done else {}
    words = {True: "met", False: "not met", None: UNSURE}
    points = [
        (
            text,
            words[given[record.episode_id, text]] if (record.episode_id, text) in given else "",
            judged.get(text),
        )
        for text in texts
    ]
    return JudgePage(run, row, record, points, done, sentence(agreement(list(_pairs(library, run, given)))))


def _points(record: Trajectory) -> list[dict[str, Any]]:
    listed = record.judged.get("points")
    return [point for point in listed if isinstance(point, dict)] if isinstance(listed, list) else []


def _pairs(
    library: Library, run: Run, given: dict[tuple[str, str], bool | None]
) -> Iterator[tuple[bool, bool]]:
    for episode in dict.fromkeys(name for name, _ in given):
        row = library.find(run, episode)
        if row is None or not row["judged"]:
            continue
        for point in _points(run.record(row)):
            met = given.get((episode, str(point.get("point"))))
            if met is not None:
                yield bool(point.get("met")), met
