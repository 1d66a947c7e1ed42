"""Says what a pool holds and what was left out, as tables for a terminal.

A pool of fifty thousand lines can't be looked at; whether a stage removed the right thing can, from its counts
and a few examples.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from ise_gym.foreign.values import Json

_EXAMPLES_SHOWN = 3


def pool_report(manifest: Mapping[str, Json]) -> RenderableType:
    """Return the report on a pool from its ``manifest.json``: stages, examples, coverage of the axes."""
    return Group(_stages(manifest), *_examples(manifest), _axes(manifest), _space(manifest))


def _stages(manifest: Mapping[str, Any]) -> Table:
    table = Table(title="From draws to pool", title_justify="left")
    for column in ("stage", "removed", "left"):
        table.add_column(column, justify="left" if column == "stage" else "right")
    left = manifest["drawn"]
    table.add_row("drawn", "", f"{left:,}")
    faulty = manifest["quality"]["refused"]
    left -= faulty
    table.add_row("quality (grammar, placeholders)", f"{faulty:,}", f"{left:,}")
    for stage, found in manifest["dedup"].items():
        left -= found["removed"]
        table.add_row(f"{stage} duplicates", f"{found['removed']:,}", f"{left:,}")
    table.add_section()
    table.add_row("in the pool", f"{manifest['drawn'] - manifest['count']:,}", f"{manifest['count']:,}")
    return table


def _examples(manifest: Mapping[str, Any]) -> list[Text]:
    lines = [
        Text(f"{example['id']}: {example['problem']}")
        for example in manifest["quality"]["examples"][:_EXAMPLES_SHOWN]
    ]
    for stage, found in manifest["dedup"].items():
        for example in found["examples"][:_EXAMPLES_SHOWN]:
            excerpt = " ".join(example["text"].split())[:90]
            lines.append(Text(f"{stage}: {example['removed']} repeats {example['kept']}: {excerpt} …"))
    return lines


def _axes(manifest: Mapping[str, Any]) -> Table:
    table = Table(title="Axes", title_justify="left")
    table.add_column("axis")
    for column in ("values", "fewest", "most"):
        table.add_column(column, justify="right")
    for axis in ("complexity", "register", "domains", "domain_sets", "tasks"):
        counts = manifest[axis]
        if counts:
            fewest, most = min(counts, key=counts.get), max(counts, key=counts.get)
            table.add_row(
                axis, f"{len(counts):,}", f"{counts[fewest]:,} ({fewest})", f"{counts[most]:,} ({most})"
            )
    return table


def _space(manifest: Mapping[str, Json]) -> Text:
    return Text(
        f"{manifest['requests']:,} requests, {manifest['distinct_task_instances']:,} distinct task instances; the "
        f"space P × 2^D × T* × C has {manifest['points_of_the_space']:,} points "
        f"({manifest['points_of_the_space']:.1e}) before any parameter is drawn."
    )
