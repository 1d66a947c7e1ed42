"""``ise gc``: remove what killed harnesses left behind."""

from __future__ import annotations

import json
from typing import Annotated

import typer


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command()(gc)


def gc(
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON instead of text.")] = False,
) -> None:
    """Remove containers of harnesses on this host that no longer run.

    bubblewrap boxes end with their harness by themselves, and so do containers in all but rare cases.
    """
    from ise_gym.workspace.container import collect_garbage

    removed = collect_garbage()
    if as_json:
        typer.echo(json.dumps({"removed": removed}))
    elif removed:
        typer.echo(f"removed {len(removed)} container(s): {', '.join(removed)}")
    else:
        typer.echo("nothing to remove")
