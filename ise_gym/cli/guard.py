"""``ise guard``: what the guard that keeps simulated users in their role is worth, and what it lets through."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from ise_gym.errors import UserError, nearest

if TYPE_CHECKING:
    from rich.text import Text

    from ise_gym.foreign.screen import Screen
    from ise_gym.simulator.measuring.driftset import LabelledTurn
    from ise_gym.simulator.measuring.measure import Evaluation, Share
    from ise_gym.trajectory.select.audit import AuditedTurn, Counted

app = typer.Typer(no_args_is_help=True, help="The guard that keeps simulated users in their role.")
SPLITS = ("held-out", "untuned-model", "tuning", "all")
OWN_SETS = ("real_set.jsonl.gz", "drift_set.jsonl")


@app.callback()
def _group() -> None:
    """Keep the commands below ``guard``."""


@app.command("eval")
def evaluate_set(
    set_file: Annotated[
        Path | None,
        typer.Option("--set", help="JSONL file of labelled turns.", show_default="the project's own"),
    ] = None,
    split: Annotated[
        str, typer.Option(help="held-out, untuned-model, tuning or all; both untuned ones by default.")
    ] = "",
    mistakes: Annotated[bool, typer.Option("--mistakes", help="List every wrong verdict as well.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON instead of tables.")] = False,
) -> None:
    """Print what the guard finds and wrongly refuses: what models said first, what was written second."""
    from ise_gym.simulator.measuring.driftset import read_set

    if split and split not in SPLITS:
        raise UserError(f"unknown split '{split}'; known: {', '.join(SPLITS)}.{nearest(split, SPLITS)}")
    files = [set_file] if set_file else own_sets()
    turns = [turn for file in files for turn in read_set(file)]
    groups = _groups(turns, split)
    if not groups:
        raise UserError(f"{', '.join(map(str, files))}: no turn of the split '{split or 'held-out'}'")
    if as_json:
        from ise_gym.cli.printing import print_json

        told = {title: _as_json(result, mistakes) for title, result in groups}
        print_json(told)
        return
    _show(groups, mistakes)


@app.command("audit")
def audit_store(
    store: Annotated[Path, typer.Argument(help="Trajectory store, or a JSONL file of trajectories.")],
    sample: Annotated[int, typer.Option(help="Turns to read.", min=1)] = 100,
    seed: Annotated[int, typer.Option(help="Which turns are drawn.")] = 0,
    answers: Annotated[
        Path | None, typer.Option(help="Where answers are kept.", show_default="audit.jsonl in the store")
    ] = None,
    refused: Annotated[
        bool, typer.Option("--refused", help="Read the drafts that the guard refused instead: was it right?")
    ] = False,
) -> None:
    """Show user turns that reached the agent, ask whether each is in role, and print the count with its interval.

    Each answer is kept at once; the same command goes on where the last one stopped.
    """
    from ise_gym.trajectory.select.audit import answers_path

    _audit(store, sample, seed, answers or answers_path(store, refused), refused)


def own_sets() -> list[Path]:
    """Return the project's own sets, which live with its tests: real turns first.

    Raises:
        UserError: this is an installed package, not a checkout.
    """
    folder = Path(__file__).resolve().parents[2] / "tests" / "simulator"
    files = [folder / name for name in OWN_SETS if (folder / name).is_file()]
    if not files:
        raise UserError("the project's own sets come with a checkout only; name a file with --set")
    return files


def _groups(turns: Sequence[LabelledTurn], split: str) -> list[tuple[str, Evaluation]]:
    from ise_gym.simulator.measuring.measure import evaluate

    splits = [split] if split else ["held-out", "untuned-model"]
    found = []
    for source, words in (("model", "spoken by models"), ("written", "written")):
        for one in splits:
            chosen = [t for t in turns if t.source == source and (one == "all" or t.split == one)]
            if chosen:
                found.append((f"{words}, {one}", evaluate(chosen)))
    return found


def _show(groups: Sequence[tuple[str, Evaluation]], mistakes: bool) -> None:
    from rich.table import Table

    from ise_gym.cli.printing import wide_console

    console = wide_console()
    summary = Table(title="The whole guard, with 95 % intervals", title_justify="left")
    for column in ("turns", "n", "drift found", "in role, refused", "refusals that are right"):
        summary.add_column(column, justify="left" if column == "turns" else "right")
    for title, result in groups:
        whole = result.whole
        summary.add_row(
            title, str(whole.turns), *map(str, (whole.recall, whole.false_refusals, whole.precision))
        )
    console.print(summary)
    for title, result in groups:
        table = Table(
            title=f"{title}: {result.turns} turns, {result.clean} of them in role", title_justify="left"
        )
        for column in ("detector", "recall of its kind", "fires on drift", "precision", "found by it alone"):
            table.add_column(column, justify="left" if column == "detector" else "right")
        for name, score in result.detectors.items():
            labelled = score.hits + score.misses
            if labelled or result.justified[name].of:
                recall = f"{score.recall:.3f} of {labelled}" if labelled else "–"
                only = str(result.whole.only.get(name, 0))
                table.add_row(name, recall, str(result.justified[name]), f"{score.precision:.3f}", only)
        console.print(table)
        for mistake in result.mistakes if mistakes else ():
            what = f"fired on {mistake.words!r}" if mistake.words else "was silent"
            console.print(
                f"{mistake.id}: {mistake.detector} {what}: {mistake.text}", markup=False, highlight=False
            )


def _as_json(result: Evaluation, mistakes: bool) -> dict[str, Any]:
    def share(value: Share) -> dict[str, Any]:
        low, high = value.interval
        return {"count": value.count, "of": value.of, "rate": value.rate, "low": low, "high": high}

    def score(name: str) -> dict[str, Any]:
        counts = result.detectors[name]
        return {
            "precision": counts.precision,
            "recall": counts.recall,
            "hits": counts.hits,
            "false_alarms": counts.false_alarms,
            "misses": counts.misses,
            "justified": share(result.justified[name]),
            "alone": result.whole.only.get(name, 0),
        }

    found: dict[str, Any] = {
        "turns": result.turns,
        "clean": result.clean,
        "whole": {
            "recall": share(result.whole.recall),
            "false_refusals": share(result.whole.false_refusals),
            "precision": share(result.whole.precision),
        },
        "detectors": {name: score(name) for name in result.detectors},
    }
    if mistakes:
        found["mistakes"] = [vars(mistake) for mistake in result.mistakes]
    return found


QUESTION = "in role? y = yes, n = no (why may follow), s = skip, q = stop > "


def _audit(store: Path, count: int, seed: int, answers: Path, refused: bool) -> None:
    """Show a sample's turns that have no answer yet, take answers, and print what they come to.

    Raises:
        UserError: no store there, no turns in it, or the file of answers is broken.
    """
    from ise_gym.foreign.screen import Screen
    from ise_gym.trajectory.select.audit import counted, keep_answer, read_answers, sample, what_is_counted
    from ise_gym.trajectory.store import read_trajectories

    turns = sample(read_trajectories(store), count, seed, refused)
    if not turns:
        raise UserError(f"{store}: no {'refused drafts' if refused else 'user turns'} in it to read")
    given = read_answers(answers)
    console = Screen()
    for number, turn in enumerate(turns, 1):
        if turn.key in given:
            continue
        _show_turn(console, turn, f"{number} of {len(turns)}")
        answer = _ask(console)
        if answer == "q":
            break
        if answer != "s":
            given[turn.key] = answer[0] == "y"
            keep_answer(answers, turn, given[turn.key], answer[1:].strip())
    _report(console, counted(turns, given, refused), what_is_counted(refused))


def _show_turn(console: Screen, turn: AuditedTurn, place: str) -> None:
    console.rule(place)
    console.print(_line("wanted", turn.wishes[:1200]), highlight=False)
    for who, words in turn.before:
        console.print(_line(who, words[:800]), highlight=False)
    console.print(_line("user", turn.text or "(nothing)", "bold"), highlight=False)


def _line(who: str, words: str, style: str = "dim") -> Text:
    from rich.text import Text

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


def _report(console: Screen, found: Sequence[Counted], what: str) -> None:
    if not found:
        console.print("No answer yet.")
    for each in found:
        low, high = each.interval
        console.print(
            f"{each.speaker}: {each.count} of {each.of} {what}: {each.count / each.of:.1%} [{low:.1%}, {high:.1%}]",
            highlight=False,
        )
