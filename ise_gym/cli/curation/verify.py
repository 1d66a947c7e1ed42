"""``ise verify``: is a store what was written into it, and if not, what to do."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from ise_gym.cli.corpus import Workers

if TYPE_CHECKING:
    from ise_gym.trajectory.scan.verify import ShardReport, Verified

_MOST = 20
"""Damaged lines, and episodes, that are named; ``--json`` has them all."""


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command()(verify)


def verify(
    store: Annotated[Path, typer.Argument(help="Trajectory store.")],
    repair: Annotated[
        bool,
        typer.Option("--repair", help="Move what is damaged to STORE/torn; its episodes count as not done."),
    ] = False,
    workers: Workers = 0,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Compare every line of a store with its checksum, and name what is damaged, cut off or deleted.

    A store of an older release gets its checksums by this. Exit status 1 while something is damaged.
    """
    from ise_gym.trajectory.scan.verify import verify_store

    found = verify_store(store, repair=repair, workers=workers)
    if as_json:
        from ise_gym.cli.printing import print_json

        print_json(_as_json(found))
    else:
        for report in found.shards:
            for line in _lines(report):
                typer.echo(line)
        typer.echo(_summary(store, found))
    if not found.whole:
        raise typer.Exit(1)


def _lines(report: ShardReport) -> list[str]:
    if report.deleted:
        return [f"{report.name}: deleted; it held {len(report.gone)} records: {_named(report.gone)}"]
    lines = [str(damage) for damage in report.damaged[:_MOST]]
    if len(report.damaged) > _MOST:
        lines.append(f"{report.name}: and {len(report.damaged) - _MOST} more damaged lines")
    lines += [f"{damage} → {side}" for damage, side in report.aside]
    if report.gone:
        lines.append(f"{report.name}: {len(report.gone)} records are cut off: {_named(report.gone)}")
    if report.torn:
        lines.append(f"{report.name}: half a line at its end, {report.torn} bytes")
    if report.busy:
        lines.append(f"{report.name}: somebody is writing there, so it was not repaired")
    return lines


def _named(episodes: list[str]) -> str:
    more = f" and {len(episodes) - _MOST} more" if len(episodes) > _MOST else ""
    return ", ".join(episodes[:_MOST]) + more


def _summary(store: Path, found: Verified) -> str:
    damaged = sum(len(report.damaged) for report in found.shards)
    aside = sum(len(report.aside) for report in found.shards)
    gone = sum(len(report.gone) for report in found.shards)
    added = sum(report.added for report in found.shards)
    said = f"{found.lines:,} records in {sum(not report.deleted for report in found.shards)} shards are whole"
    said += f" ({added:,} newly indexed)" if added else ""
    for count, what in ((damaged, "damaged"), (aside, "set aside"), (gone, "gone")):
        said += f"; {count} {what}" if count else ""
    if not found.whole:
        said += f". `ise verify {store} --repair` sets aside what is damaged; nothing else is lost."
    elif aside or gone:
        said += ". The same `ise rollout` as before plays those episodes again."
    return said


def _as_json(found: Verified) -> dict[str, Any]:
    return {
        "whole": found.whole,
        "records": found.lines,
        "shards": [
            {
                "shard": report.name,
                "records": report.lines,
                "newly_indexed": report.added,
                "damaged": [
                    {"line": d.line, "start": d.start, "end": d.end, "episodes": d.episodes, "why": d.why}
                    for d in report.damaged
                ],
                "set_aside": [
                    {"line": d.line, "episodes": d.episodes, "why": d.why, "file": str(side)}
                    for d, side in report.aside
                ],
                "gone": report.gone,
                "torn_bytes": report.torn,
                "busy": report.busy,
                "deleted": report.deleted,
            }
            for report in found.shards
        ],
    }
