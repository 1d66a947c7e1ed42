"""``ise tasks``: list tasks, start a new one, and prove that each is sound."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated, Any

import typer

app = typer.Typer(help="List tasks, start a new one, or prove that they are sound.", no_args_is_help=True)

Folders = Annotated[
    list[Path] | None,
    typer.Option(
        "--folder",
        help="Tasks of this folder (DOMAIN/TASK.yaml below it) instead of the catalog's; repeatable, "
        "and 'catalog' names the catalog's own.",
        show_default=False,
    ),
]


@app.command("list")
def list_tasks(
    folder: Folders = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON instead of a table.")] = False,
) -> None:
    """List every task with its domain and tier."""
    from ise_gym.tasks.file import load_tasks

    rows = [
        {"domain": task.domain, "name": name, "tier": task.model.tier, "title": task.model.title}
        for name, task in sorted(load_tasks(folder).items())
    ]
    if as_json:
        from ise_gym.cli.printing import print_json

        print_json(rows)
        return
    from rich.table import Table

    from ise_gym.foreign.screen import Screen

    table = Table(*rows[0])
    for row in rows:
        table.add_row(*row.values())
    table.caption = f"{len(rows)} tasks in {len({r['domain'] for r in rows})} domains"
    Screen().print(table)


@app.command("new")
def new(
    domain: Annotated[str, typer.Argument(help="Its domain, such as file-io, or one of your own.")],
    name: Annotated[str, typer.Argument(help="Its name: lower-case words joined by hyphens.")],
    folder: Annotated[
        Path | None,
        typer.Option(
            help="Folder of tasks to write it to.",
            show_default="the catalog's own in a checkout, else ./tasks",
        ),
    ] = None,
) -> None:
    """Write a task file to start from: small, complete, and passing `ise tasks check`."""
    from ise_gym.tasks.scaffold import new_task

    path = new_task(domain, name, folder)
    typer.echo(str(path))
    typer.echo(f"Change it step by step, checking each time: ise tasks check {path} --seeds 3", err=True)


@app.command()
def check(
    names: Annotated[
        list[str] | None,
        typer.Argument(help="domain/task, task, domain, or a .yaml file; default: all.", show_default=False),
    ] = None,
    seeds: Annotated[int, typer.Option(min=1, help="Instances of each task.")] = 20,
    workers: Annotated[
        int | None,
        typer.Option(
            "--workers",
            "-w",
            min=1,
            help="Worker processes; default: two per core, since they mostly wait for programs in the sandbox.",
        ),
    ] = None,
    thorough: Annotated[
        int,
        typer.Option(
            min=0,
            help="Seeds on which doing nothing, leaving out key steps and wrong answers are tried as well; on the "
            "others only the expert is run.",
        ),
    ] = 3,
    folder: Folders = None,
    backend: Annotated[str, typer.Option(help="Workspace backend.")] = "auto",
    out: Annotated[Path | None, typer.Option("--json", help="Also write the report to this file.")] = None,
) -> None:
    """Prove tasks: the expert passes, knowing only what it was shown; doing nothing and wrong answers fail.

    Exit code 0 when every task is proved, else 1.
    """
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

    from ise_gym.foreign.screen import Screen
    from ise_gym.proving.catalog import Row, check_tasks
    from ise_gym.storage.atomic import replacing

    console = Screen(stderr=True)
    columns = (TextColumn("[bold]tasks"), BarColumn(), MofNCompleteColumn(), TextColumn("{task.description}"))
    with Progress(
        *columns, TimeElapsedColumn(), console=console, disable=not console.is_terminal
    ) as progress:
        bar = progress.add_task("")

        def advance(row: Row, done: int, total: int) -> None:
            progress.update(bar, completed=done, total=total, description=row.task)

        report = check_tasks(
            names or [], seeds, workers, advance, folders=folder, backend=backend, thorough=thorough
        )
    if out is not None:
        with replacing(out) as file:
            file.write((json.dumps(report.to_json(), indent=2, ensure_ascii=False) + "\n").encode())
    _show(report.to_json())
    if not report.ok:
        raise typer.Exit(1)


def _show(report: dict[str, Any]) -> None:
    from rich.table import Table
    from rich.text import Text

    from ise_gym.foreign.screen import Screen

    console = Screen()
    for row in report["rows"]:
        for finding in row["findings"]:
            seed = "file" if finding["seed"] < 0 else f"seed {finding['seed']}"
            console.print(Text(f"{row['task']} ({seed}) {finding['kind']}: {finding['detail']}"))
    table = Table(title="Tasks proved", title_justify="left")
    table.add_column("domain")
    for column in ("tasks", "proved", "instances", "mutants", "survived", "seconds"):
        table.add_column(column, justify="right")
    for domain, counts in report["domains"].items():
        proved = counts["tasks"] - counts["failed"]
        cells = (counts["tasks"], proved, counts["instances"], counts["mutants"], counts["survived"])
        table.add_row(domain, *map(str, cells), f"{counts['seconds']:.1f}")
    table.add_section()
    instances = sum(row["seeds"] for row in report["rows"])
    proved = report["tasks"] - report["failed"]
    totals = (report["tasks"], proved, instances, report["mutants"], report["mutants_survived"])
    table.add_row("all", *map(str, totals), f"{report['seconds']:.1f}")
    console.print(table)
