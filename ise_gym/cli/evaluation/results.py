"""``ise eval compare``, ``report``, ``reproduce``, ``explain``: what runs amount to."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Annotated

import typer

from ise_gym.cli.printing import print_json, wide_console
from ise_gym.errors import UserError
from ise_gym.storage.atomic import replacing

AsJson = Annotated[bool, typer.Option("--json", help="Print JSON instead of tables.")]
AsMarkdown = Annotated[bool, typer.Option("--markdown", help="Print a Markdown table.")]


def register(app: typer.Typer) -> None:
    """Add the commands."""
    app.command()(compare)
    app.command()(report)
    app.command()(reproduce)
    app.command()(explain)


def compare(
    runs: Annotated[list[Path], typer.Argument(help="Run folders; the first is the baseline.")],
    as_json: AsJson = False,
    for_report: Annotated[
        Path | None,
        typer.Option(
            help="Also write what `ise report --comparison` reads to this file.", show_default="none"
        ),
    ] = None,
) -> None:
    """Compare runs of one suite, task by task.

    Over the tasks that every run was judged on: pass@1 and first attempts with their intervals, the paired difference
    with its own, the exact McNemar p-value. Beside it: the fixed task list, missing counted as not passed.
    """
    from ise_gym.evaluation.results.compare import compare as compare_runs
    from ise_gym.evaluation.results.tables import comparison_view

    found = compare_runs(*runs)
    if for_report is not None:
        with replacing(for_report) as file:
            file.write(json.dumps(found.for_report(), ensure_ascii=False, indent=2).encode())
    if as_json:
        print_json(found.to_json())
    else:
        wide_console().print(comparison_view(found))


def report(
    runs: Annotated[list[Path], typer.Argument(help="Run folders.")],
    as_json: AsJson = False,
    as_csv: Annotated[bool, typer.Option("--csv", help="Print CSV, one line per trial.")] = False,
    as_markdown: AsMarkdown = False,
    html: Annotated[
        Path | None,
        typer.Option(
            help="Write a page with every trial's conversation, calls and judgement to this file.",
            show_default="none",
        ),
    ] = None,
) -> None:
    """Report runs: by difficulty, by outcome, with every error counted."""
    from ise_gym.evaluation.results import report as reports
    from ise_gym.evaluation.results.summary import summarise
    from ise_gym.evaluation.results.tables import broken_text, summary_table
    from ise_gym.evaluation.run import load_run

    if as_json + as_csv + as_markdown > 1:
        raise UserError("give one of --json, --csv and --markdown.")
    loaded = [load_run(path) for path in runs]
    if html is not None:
        from ise_gym.evaluation.results.page import write_html

        write_html(loaded, html)
    if as_json:
        print_json(reports.to_json(loaded))
    elif as_csv:
        sys.stdout.write(reports.to_csv(loaded))
    elif as_markdown:
        sys.stdout.write(reports.to_markdown(loaded))
    else:
        for one in loaded:
            wide_console().print(summary_table(summarise(one)), *broken_text(one))


def reproduce(
    runs: Annotated[
        list[Path] | None, typer.Argument(help="Folders of `ise claweval run`.", show_default="none")
    ] = None,
    as_json: AsJson = False,
    as_markdown: AsMarkdown = False,
) -> None:
    """Print the paper's Claw-Eval table beside your runs, over the tasks that each of them was graded on."""
    from ise_gym.evaluation.results.reproduce import reproduce as rows_of
    from ise_gym.evaluation.run import load_run

    found = rows_of([load_run(path) for path in runs or ()])
    if as_json:
        print_json(found.to_json())
    elif as_markdown:
        sys.stdout.write(found.to_markdown())
    else:
        wide_console().print(found.table(), *found.remarks())


def explain(
    run: Annotated[Path, typer.Argument(help="Run folder, or a store of trajectories.")],
    task: Annotated[
        str, typer.Argument(help="Id of a task, or its beginning.", show_default="all that failed")
    ] = "",
) -> None:
    """Say why trials did not pass at the first attempt: failed sub-goals, expected and found, and at which turn."""
    from ise_gym.evaluation.results.explain import explained

    for line in explained(run, task):
        wide_console().print(line, markup=False, highlight=False, soft_wrap=True)
