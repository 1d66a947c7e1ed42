"""Asks at the terminal whether user turns are in role, and keeps each answer at once."""

from __future__ import annotations

import json
import os
from collections import Counter
from pathlib import Path

from rich.text import Text

from ise_gym.errors import UserError
from ise_gym.foreign.screen import Screen
from ise_gym.statistics import wilson
from ise_gym.trajectory.audit import AuditedTurn, sample
from ise_gym.trajectory.store import read_trajectories

QUESTION = "in role? y = yes, n = no (why may follow), s = skip, q = stop > "


def audit(store: Path, count: int, seed: int, answers: Path, refused: bool) -> None:
    """Show a sample's turns that have no answer yet, take answers, and print what they come to.

    Raises:
        UserError: no store there, no turns in it, or the file of answers is broken.
    """
    if not store.is_dir():
        raise UserError(f"{store}: no such folder; give a store of trajectories")
    turns = sample(read_trajectories(store), count, seed, refused)
    if not turns:
        raise UserError(f"{store}: no {'refused drafts' if refused else 'user turns'} in it to read")
    given = read_answers(answers)
    console = Screen()
    for number, turn in enumerate(turns, 1):
        if turn.key in given:
            continue
        _show(console, turn, f"{number} of {len(turns)}")
        answer = _ask(console)
        if answer == "q":
            break
        if answer != "s":
            given[turn.key] = answer[0] == "y"
            _keep(answers, turn, given[turn.key], answer[1:].strip())
    _report(console, turns, given, refused)


def read_answers(path: Path) -> dict[str, bool]:
    """Return turn → in role, of a file of answers; a later answer replaces an earlier one.

    Raises:
        UserError: a line is no answer.
    """
    given: dict[str, bool] = {}
    if not path.exists():
        return given
    for number, line in enumerate(path.read_text(encoding="utf-8").split("\n"), 1):
        if not line.strip():
            continue
        try:
            told = json.loads(line)
            given[str(told["turn"])] = bool(told["in_role"])
        except (ValueError, KeyError, TypeError) as error:
            raise UserError(f"{path}, line {number}: not an answer of an audit; remove the line") from error
    return given


def _show(console: Screen, turn: AuditedTurn, place: str) -> None:
    console.rule(place)
    console.print(_line("wanted", turn.wishes[:1200]), highlight=False)
    for who, words in turn.before:
        console.print(_line(who, words[:800]), highlight=False)
    console.print(_line("user", turn.text or "(nothing)", "bold"), highlight=False)


def _line(who: str, words: str, style: str = "dim") -> Text:
    return Text.assemble((f"{who}: ", style), words)


def _ask(console: Screen) -> str:
    while True:
        try:
            answer = input(QUESTION).strip()
        except EOFError:
            return "q"
        if answer[:1].lower() in ("y", "n", "s", "q"):
            return answer[:1].lower() + answer[1:]
        console.print("y, n, s or q")


def _keep(path: Path, turn: AuditedTurn, in_role: bool, why: str) -> None:
    line = {"turn": turn.key, "in_role": in_role, "speaker": turn.speaker, "why": why, "text": turn.text}
    with path.open("a", encoding="utf-8") as file:
        file.write(json.dumps(line, ensure_ascii=False) + "\n")
        file.flush()
        os.fsync(file.fileno())


def _report(console: Screen, turns: list[AuditedTurn], given: dict[str, bool], refused: bool) -> None:
    answered = [turn for turn in turns if turn.key in given]
    if not answered:
        console.print("No answer yet.")
        return
    by_speaker = Counter(turn.speaker for turn in answered)
    what = "refused drafts that were in role" if refused else "turns out of role that reached the agent"
    for speaker, total in [("all", len(answered)), *sorted(by_speaker.items())]:
        chosen = [turn for turn in answered if speaker in ("all", turn.speaker)]
        count = sum(given[turn.key] == refused for turn in chosen)
        low, high = wilson(count, total)
        console.print(
            f"{speaker}: {count} of {total} {what}: {count / total:.1%} [{low:.1%}, {high:.1%}]",
            highlight=False,
        )
