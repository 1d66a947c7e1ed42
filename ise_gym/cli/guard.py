"""``ise guard eval``: how good the role guard's detectors are, on labelled user turns."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, cast

import typer

from ise_gym.errors import UserError, nearest

app = typer.Typer(no_args_is_help=True, help="The guard that keeps simulated users in their role.")
SPLITS = ("held-out", "tuning", "all")


@app.callback()
def _group() -> None:
    """Keep ``eval`` a subcommand."""


@app.command("eval")
def evaluate_set(
    set_file: Annotated[
        Path | None,
        typer.Option("--set", help="JSONL file of labelled turns.", show_default="the project's own"),
    ] = None,
    split: Annotated[str, typer.Option(help="held-out, tuning or all.")] = "held-out",
    mistakes: Annotated[bool, typer.Option("--mistakes", help="List every wrong verdict as well.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON instead of a table.")] = False,
) -> None:
    """Print precision and recall of every detector, with counts."""
    from ise_gym.simulator.driftset import Split, evaluate, read_set

    if split not in SPLITS:
        raise UserError(f"unknown split '{split}'; known: {', '.join(SPLITS)}.{nearest(split, SPLITS)}")
    file = set_file or own_set()
    result = evaluate(read_set(file), None if split == "all" else cast(Split, split))
    if not result.turns:
        raise UserError(f"{file}: it has no turns of the split '{split}'")
    if as_json:
        from ise_gym.cli.printing import print_json

        print_json(_as_json(result, split, mistakes))
        return
    from rich.table import Table

    from ise_gym.foreign.screen import Screen

    table = Table(
        title=f"Role guard on {result.turns} turns ({split}), {result.clean} of them clean",
        title_justify="left",
    )
    for column in ("detector", "precision", "recall", "right", "false alarms", "missed"):
        table.add_column(column, justify="left" if column == "detector" else "right")
    for name, score in (*result.detectors.items(), ("overall", result.overall)):
        if name == "overall":
            table.add_section()
        rates = (f"{score.precision:.3f}", f"{score.recall:.3f}")
        table.add_row(name, *rates, str(score.hits), str(score.false_alarms), str(score.misses))
    console = Screen()
    console.print(table)
    console.print(f"Clean turns flagged by any detector: {result.flagged_clean} of {result.clean}")
    if mistakes:
        for mistake in result.mistakes:
            what = f"fired on {mistake.words!r}" if mistake.words else "was silent"
            console.print(
                f"{mistake.id}: {mistake.detector} {what}: {mistake.text}", markup=False, highlight=False
            )


def own_set() -> Path:
    """Return the project's own set, which lives with its tests.

    Raises:
        UserError: this is an installed package, not a checkout.
    """
    file = Path(__file__).resolve().parents[2] / "tests" / "simulator" / "drift_set.jsonl"
    if not file.is_file():
        raise UserError("the project's own set is only in a checkout; name a file with --set")
    return file


def _as_json(result: Any, split: str, mistakes: bool) -> dict[str, Any]:
    def score(counts: Any) -> dict[str, Any]:
        return {
            "precision": counts.precision,
            "recall": counts.recall,
            "hits": counts.hits,
            "false_alarms": counts.false_alarms,
            "misses": counts.misses,
        }

    found: dict[str, Any] = {
        "split": split,
        "turns": result.turns,
        "clean": result.clean,
        "flagged_clean": result.flagged_clean,
        "overall": score(result.overall),
        "detectors": {name: score(counts) for name, counts in result.detectors.items()},
    }
    if mistakes:
        found["mistakes"] = [vars(mistake) for mistake in result.mistakes]
    return found
