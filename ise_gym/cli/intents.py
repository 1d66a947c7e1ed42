"""``ise intents``: draw intents from the catalog."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

app = typer.Typer(help="Draw intents from the 4D catalog.", no_args_is_help=True)


@app.command()
def generate(
    count: Annotated[int, typer.Option(min=1, help="How many intents.")],
    out: Annotated[Path, typer.Option(help="Folder to write intents.jsonl into.")],
    seed: Annotated[int, typer.Option(min=0, help="Seed; the same seed gives the same intents.")] = 0,
    split: Annotated[str, typer.Option(help="train or eval: they share no task instance.")] = "train",
    domains: Annotated[
        list[str] | None, typer.Option(help="Only these domains (give it several times).", show_default="all")
    ] = None,
    tier: Annotated[
        str | None, typer.Option(help="Only tasks of this tier: easy, medium, hard.", show_default="all")
    ] = None,
    tasks_per_intent: Annotated[
        str, typer.Option(help="Tasks in an intent: a number or a range such as 3-6.")
    ] = "3-6",
) -> None:
    """Draw intents: who asks, in which domains, which tasks, how complex."""
    from ise_gym.intents.source import generate as draw

    options: dict[str, Any] = {"split": split, "tasks_per_intent": parse_range(tasks_per_intent)}
    if domains:
        options["domains"] = [name for entry in domains for name in entry.split(",") if name]
    if tier:
        options["tier"] = tier
    path = draw(count, seed, out, **options)
    typer.echo(str(path))


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
