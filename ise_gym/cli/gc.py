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
            help="Instead, delete the objects in this snapshot store that no snapshot refers to.",
            show_default="none",
        ),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON instead of text.")] = False,
) -> None:
    """Remove containers of harnesses on this host that no longer run, and boxes that were cut off while starting.

    Both normally end with their harness.
    """
    if snapshots is not None:
        _collect_objects(snapshots, as_json)
        return
    from ise_gym.errors import UserError
    from ise_gym.workspace.backends.bubblewrap import collect_orphans
    from ise_gym.workspace.backends.docker import collect_garbage

    boxes = collect_orphans()
    try:
        removed, skipped = collect_garbage(), None
    except UserError as error:  # a machine without docker still has boxes
        removed, skipped = [], str(error)
    if as_json:
        typer.echo(json.dumps({"removed": removed, "boxes": boxes, "containers_not_looked_at": skipped}))
        return
    if boxes:
        typer.echo(
            f"killed {len(boxes)} box(es) that were cut off while starting: {', '.join(map(str, boxes))}"
        )
    if removed:
        typer.echo(f"removed {len(removed)} container(s): {', '.join(removed)}")
    if not boxes and not removed:
        typer.echo("nothing to remove")
    if skipped:
        typer.echo(f"containers were not checked: {skipped}")


def _collect_objects(folder: Path, as_json: bool) -> None:
    from ise_gym.errors import UserError
    from ise_gym.workspace.snapshots.store import SnapshotStore

    if not (folder / "objects").is_dir():
        raise UserError(f"{folder} is not a snapshot store: it has no folder 'objects'")
    files, size = SnapshotStore(folder).collect_garbage()
    typer.echo(
        json.dumps({"files": files, "bytes": size}) if as_json else f"deleted {files} file(s), {size} bytes"
    )
