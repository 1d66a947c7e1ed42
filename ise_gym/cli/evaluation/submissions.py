"""``ise eval submit``, ``validate``, ``baselines``: runs that others can check, and the table of them."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer

from ise_gym.errors import UserError
from ise_gym.foreign.screen import Screen


def register(app: typer.Typer) -> None:
    """Add the commands."""
    app.command()(submit)
    app.command()(validate)
    app.command()(baselines)


def submit(
    run: Annotated[Path, typer.Argument(help="Run folder; every trial must have a verdict.")],
    out: Annotated[Path, typer.Option(help="Folder of the submission, e.g. eval/baselines/SUITE/NAME.")],
    name: Annotated[str, typer.Option(help="Name of the row.", show_default="the run folder's")] = "",
    by: Annotated[str, typer.Option(help="Who made it.")] = "",
    notes: Annotated[str, typer.Option(help="What others should know, in a sentence.")] = "",
) -> None:
    """Write a run as a submission: its card, ledger and conversations, its figures, and a hash over all of it."""
    from ise_gym.evaluation.submission import remarks
    from ise_gym.evaluation.submission import submit as write

    made = write(run, out, name=name, by=by, notes=notes)
    console = Screen()
    console.print(f"{out}: {made.name}, sha256 {made.sha256[:12]}", highlight=False)
    for remark in remarks(made):
        console.print(f"Note: {remark}.", highlight=False)


def validate(
    submissions: Annotated[list[Path], typer.Argument(help="Folders of submissions.")],
) -> None:
    """Recompute all that submissions say: hashes, figures, verdicts, seeds, tasks. Exit code 1 when one is wrong."""
    from ise_gym.evaluation.submission import problems, read_submission, row

    console, wrong = Screen(), False
    for folder in submissions:
        found = problems(folder)
        wrong |= bool(found)
        made = read_submission(folder)
        for problem in found:
            console.print(f"{folder}: {problem}.", highlight=False)
        if not found:
            told = row(made)
            console.print(
                f"{folder}: valid. {made.suite}: first attempt {told['first attempt']}, pass@1 {told['pass@1']}.",
                highlight=False,
            )
            if told["remarks"] != "–":
                console.print(f"Note: {told['remarks']}.", highlight=False)
    if wrong:
        raise typer.Exit(1)


def baselines(
    folder: Annotated[
        Path | None, typer.Argument(help="Folder of submissions.", show_default="eval/baselines")
    ] = None,
) -> None:
    """Print the Markdown table of all submissions below a folder."""
    from ise_gym.evaluation.submission import table
    from ise_gym.resources import data_dir

    folder = folder or data_dir("eval") / "baselines"
    if not folder.is_dir():
        raise UserError(
            f"{folder}: there is no such folder. Give a folder of submissions (`ise eval submit`)."
        )
    sys.stdout.write(table(folder))
