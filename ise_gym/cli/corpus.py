"""What is done with recorded trajectories: ``ise stats``, ``show``, ``export``, ``import``, ``report``."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer

from ise_gym.errors import UserError, nearest

EXPORTS = ("isetrace", "openai", "trl")
IMPORTS = ("isetrace",)


def register(app: typer.Typer) -> None:
    """Add the commands."""
    app.command()(stats)
    app.command()(show)
    app.command()(export)
    app.command("import")(import_files)
    app.command()(report)


def stats(
    store: Annotated[Path, typer.Argument(help="Trajectory store, or a JSONL file of trajectories.")],
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON instead of tables.")] = False,
) -> None:
    """Show the shape of the trajectories beside ISETrace's, outcomes, tools, recoveries and the role guard."""
    from ise_gym.trajectory.stats import store_stats

    summary = store_stats(store)
    if as_json:
        typer.echo(json.dumps(summary, indent=2, ensure_ascii=False))
        return
    from rich.console import Console

    from ise_gym.trajectory import tables

    console = Console()
    console.print(tables.shape_table(summary))
    console.print(tables.outcome_table(summary))
    console.print(tables.tool_table(summary))
    for kind in ("complexity", "domains", "tasks"):
        console.print(tables.group_table(summary, kind))
    if summary["guard"]:
        console.print(tables.guard_table(summary))


def show(
    store: Annotated[Path, typer.Argument(help="Trajectory store, or a JSONL file of trajectories.")],
    episode: Annotated[
        str, typer.Argument(help="Episode id (its beginning is enough), or its number from 1.")
    ] = "1",
    full: Annotated[bool, typer.Option("--full", help="Don't shorten long tool output.")] = False,
) -> None:
    """Print one episode's conversation: every turn, call and result."""
    from rich.console import Console

    from ise_gym.trajectory.conversation import find_episode, print_conversation

    print_conversation(find_episode(store, episode), Console(), full=full)


def export(
    store: Annotated[Path, typer.Argument(help="Trajectory store, or a JSONL file of trajectories.")],
    format: Annotated[str, typer.Option("--format", "-f", help="isetrace, openai or trl.")],
    out: Annotated[Path, typer.Option(help="File to write.")],
    passed_only: Annotated[bool, typer.Option(help="Only episodes that passed.")] = False,
) -> None:
    """Write trajectories in another format, one JSON object a line."""
    _known(format, EXPORTS, "export format")
    from ise_gym.trajectory.export import export_file

    count = export_file(store, format, out, passed_only=passed_only)
    typer.echo(f"{count} episodes → {out}", err=True)


def import_files(
    files: Annotated[list[Path], typer.Argument(help="Files to read: JSON, JSONL, plain or .gz/.zst.")],
    out: Annotated[Path, typer.Option(help="Folder of the trajectory store to make.")],
    source: Annotated[str, typer.Option("--from", help="Format of the files: isetrace.")] = "isetrace",
) -> None:
    """Read foreign records into a trajectory store; what was repaired or left out is counted and said."""
    _known(source, IMPORTS, "import format")
    from rich.console import Console

    from ise_gym.trajectory.importer import import_isetrace

    counts = import_isetrace(files, out)
    console = Console(stderr=True)
    console.print(f"{counts.imported} episodes → {out}", highlight=False, markup=False)
    for what, count in sorted(counts.repairs.items()):
        console.print(f"repaired: {what}: {count}", highlight=False, markup=False)
    for what, count in sorted(counts.skipped.items()):
        console.print(f"skipped: {what}: {count}", highlight=False, markup=False)


def report(
    stores: Annotated[list[Path], typer.Argument(help="Trajectory stores.")],
    out: Annotated[Path, typer.Option(help="HTML file to write.")],
    title: Annotated[str, typer.Option(help="Heading of the report.")] = "Trajectories",
    episodes: Annotated[int, typer.Option(min=0, help="Most episodes in the browser part.")] = 300,
) -> None:
    """Write a self-contained HTML report: figures, charts and a browser for the episodes."""
    from ise_gym.report import write_report

    write_report(out, stores, title=title, max_episodes=episodes)
    typer.echo(str(out))


def _known(name: str, known: tuple[str, ...], kind: str) -> None:
    if name not in known:
        raise UserError(f"unknown {kind} '{name}'; known: {', '.join(known)}.{nearest(name, known)}")
