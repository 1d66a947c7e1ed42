"""``ise tasks``: list the catalog's tasks and prove that each is sound."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated, Any

import typer

app = typer.Typer(help="List the tasks of the catalog, or prove that they are sound.", no_args_is_help=True)


@app.command("list")
def list_tasks(
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON instead of a table.")] = False,
) -> None:
    """List every task with its domain and tier."""
    from ise_gym.intents.taskfile import load_tasks

    rows = [
        {"domain": task.domain, "name": name, "tier": task.model.tier, "title": task.model.title}
        for name, task in sorted(load_tasks().items())
    ]
    if as_json:
        typer.echo(json.dumps(rows, indent=2, ensure_ascii=False))
        return
    from rich.console import Console
    from rich.table import Table

    table = Table(*rows[0])
    for row in rows:
        table.add_row(*row.values())
    table.caption = f"{len(rows)} tasks in {len({r['domain'] for r in rows})} domains"
    Console().print(table)


@app.command()
def check(
    names: Annotated[
        list[str] | None,
        typer.Argument(help="domain/task, task, domain, or a .yaml file; default: all.", show_default=False),
    ] = None,
    seeds: Annotated[int, typer.Option(min=1, help="Instances of each task.")] = 20,
    workers: Annotated[int, typer.Option("--workers", "-w", min=1, help="Worker processes.")] = 2,
    backend: Annotated[str, typer.Option(help="Workspace backend.")] = "auto",
    out: Annotated[Path | None, typer.Option("--json", help="Also write the report to this file.")] = None,
) -> None:
    """Prove tasks: the expert passes, doing nothing fails, and the plan without any key step fails.

    Exit code 0 when every task is proved, else 1.
    """
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

    from ise_gym.rollout.prove import Row, check_tasks
    from ise_gym.trajectory.atomic import replacing

    console = Console(stderr=True)
    columns = (TextColumn("[bold]tasks"), BarColumn(), MofNCompleteColumn(), TextColumn("{task.description}"))
    with Progress(
        *columns, TimeElapsedColumn(), console=console, disable=not console.is_terminal
    ) as progress:
        bar = progress.add_task("")

        def advance(row: Row, done: int, total: int) -> None:
            progress.update(bar, completed=done, total=total, description=row.task)

        report = check_tasks(names or [], seeds, workers, advance, backend=backend)
    if out is not None:
        with replacing(out) as file:
            file.write((json.dumps(report.to_json(), indent=2, ensure_ascii=False) + "\n").encode())
    _show(report.to_json())
    if not report.ok:
        raise typer.Exit(1)


def _show(report: dict[str, Any]) -> None:
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    console = Console()
    for row in report["rows"]:
        for finding in row["findings"]:
            seed = "file" if finding["seed"] < 0 else f"seed {finding['seed']}"
            console.print(Text(f"{row['task']} ({seed}) {finding['kind']}: {finding['detail']}"))
    domains: dict[str, list[dict[str, Any]]] = {}
    for row in report["rows"]:
        domains.setdefault(row["task"].split("/")[0], []).append(row)
    table = Table(title="Tasks proved", title_justify="left")
    table.add_column("domain")
    for column in ("tasks", "proved", "instances", "seconds"):
        table.add_column(column, justify="right")
    for domain, rows in sorted(domains.items()):
        proved = sum(r["ok"] for r in rows)
        instances = sum(r["seeds"] for r in rows)
        table.add_row(
            domain, str(len(rows)), str(proved), str(instances), f"{sum(r['seconds'] for r in rows):.1f}"
        )
    table.add_section()
    table.add_row("all", str(report["tasks"]), str(report["tasks"] - report["failed"]), "", "")
    console.print(table)
