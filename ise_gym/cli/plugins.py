"""``ise plugins``: every name of every kind, and where it comes from."""

from __future__ import annotations

import json
from typing import Annotated

import typer

from ise_gym.builtin import KINDS
from ise_gym.errors import UserError, nearest


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command()(plugins)


def plugins(
    kind: Annotated[str, typer.Argument(help="Only this kind, such as agent or check.")] = "",
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON instead of a table.")] = False,
) -> None:
    """List agents, users, tools, checks, backends and the like by name, with the package that each comes from.

    Other packages add to these by entry points of the groups ise_gym.KIND; wherever a name is taken, module:Name of
    your own code is taken too.
    """
    from ise_gym.registry import entries

    if kind and kind not in KINDS:
        raise UserError(f"there is no kind '{kind}'.{nearest(kind, KINDS)} Known: {', '.join(KINDS)}.")
    found = [entry for name in KINDS if name == (kind or name) for entry in entries(name).values()]
    if as_json:
        rows = [{"kind": e.kind, "name": e.name, "value": e.value, "origin": e.origin} for e in found]
        typer.echo(json.dumps(rows, indent=2))
        return
    from rich.table import Table

    from ise_gym.foreign.screen import Screen

    table = Table("kind", "name", "comes from", "module:Name")
    for entry in found:
        table.add_row(entry.kind, entry.name, entry.origin, entry.value)
    Screen().print(table)
