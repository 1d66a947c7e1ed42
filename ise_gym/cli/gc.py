"""``ise gc``: remove what killed harnesses left behind."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command()(gc)


def gc(
    snapshots: Annotated[
        Path | None,
        typer.Option(
            help="Instead, delete what no snapshot of this snapshot store names.", show_default="none"
        ),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON instead of text.")] = False,
) -> None:
    """Remove containers of harnesses on this host that no longer run.

    bubblewrap boxes end with their harness by themselves, and so do containers in all but rare cases.
    """
    if snapshots is not None:
        _collect_objects(snapshots, as_json)
        return
    from ise_gym.workspace.container import collect_garbage

    removed = collect_garbage()
    if as_json:
        typer.echo(json.dumps({"removed": removed}))
    elif removed:
        typer.echo(f"removed {len(removed)} container(s): {', '.join(removed)}")
    else:
        typer.echo("nothing to remove")


def _collect_objects(folder: Path, as_json: bool) -> None:
    from ise_gym.errors import UserError
    from ise_gym.workspace.snapshot_store import SnapshotStore

    if not (folder / "objects").is_dir():
        raise UserError(f"{folder} is not a snapshot store: it has no folder 'objects'")
    files, size = SnapshotStore(folder).collect_garbage()
    typer.echo(
        json.dumps({"files": files, "bytes": size}) if as_json else f"deleted {files} file(s), {size} bytes"
    )
