"""``ise intents``: draw intents from the catalog."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

app = typer.Typer(help="Draw intents from the 4D catalog.", no_args_is_help=True)


@app.command()
def generate(
    count: Annotated[int, typer.Option(min=1, help="How many intents.")],
    out: Annotated[Path, typer.Option(help="Folder to write intents.jsonl into.")],
    seed: Annotated[int, typer.Option(min=0, help="Seed; the same seed gives the same intents.")] = 0,
    split: Annotated[str, typer.Option(help="train or eval: they share no task instance.")] = "train",
    domains: Annotated[
        list[str] | None,
        typer.Option(
            help="Only these domains (comma-separated, or given several times).", show_default="all"
        ),
    ] = None,
    tier: Annotated[
        list[str] | None,
        typer.Option(help="Only tasks of these tiers: easy, medium, hard.", show_default="all"),
    ] = None,
    tasks_per_intent: Annotated[
        str, typer.Option(help="Tasks in an intent: a number or a range such as 3-6.")
    ] = "3-6",
) -> None:
    """Draw intents: who asks, in which domains, which tasks, how complex."""
    from rich.console import Console
    from rich.progress import Progress

    from ise_gym.intents.source import generate as draw

    console = Console(stderr=True)
    with Progress(console=console, disable=not console.is_terminal) as progress:
        bar = progress.add_task("intents", total=count)
        path = draw(
            count,
            seed,
            out,
            on_progress=lambda done, total: progress.update(bar, completed=done),
            split=split,
            domains=_names(domains),
            tier=_names(tier),
            tasks_per_intent=parse_range(tasks_per_intent),
        )
    typer.echo(str(path))


def _names(given: list[str] | None) -> list[str] | None:
    """Split ``a,b`` and drop blanks; None when nothing is left."""
    return [name.strip() for entry in given or () for name in entry.split(",") if name.strip()] or None


def parse_range(text: str) -> tuple[int, int]:
    """Read ``4`` or ``3-6`` as (least, most).

    >>> parse_range("3-6"), parse_range("4")
    ((3, 6), (4, 4))
    """
    low, dash, high = text.partition("-")
    try:
        least, most = int(low), int(high if dash else low)
    except ValueError:
        least, most = 1, 0
    if not 1 <= least <= most:
        raise typer.BadParameter(f"'{text}' is neither a number nor a range such as 3-6")
    return least, most
