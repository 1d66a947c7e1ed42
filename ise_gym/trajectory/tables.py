"""Statistics as tables for the terminal."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from rich.table import Table

from ise_gym.trajectory.stats import ISETRACE

LABELS: Mapping[str, str] = {
    "user_turns": "user turns",
    "messages": "messages",
    "tool_calls": "tool calls",
    "distinct_tools": "distinct tools",
}
ROWS_SHOWN = 25


def shape_table(summary: Mapping[str, Any]) -> Table:
    """Return the shape of a corpus beside ISETrace's figures (`ise_gym.trajectory.stats.Stats.summary`)."""
    table = Table(title="Shape of the trajectories", title_justify="left")
    for column in ("per trajectory", "mean", "median", "p90", "max", "ISETrace mean"):
        table.add_column(column, justify="left" if column == "per trajectory" else "right")
    for name, label in LABELS.items():
        d = summary["shape"][name]
        table.add_row(
            label,
            figure(d["mean"], 2),
            figure(d["median"]),
            figure(d["p90"]),
            figure(d["max"]),
            figure(ISETRACE[name], 2),
        )
    table.add_section()
    table.add_row(
        "6–10 user turns",
        percent(summary["share_6_to_10_user_turns"]),
        "",
        "",
        "",
        percent(ISETRACE["share_6_to_10"]),
    )
    recovery = summary["failure_recovery"]
    table.add_row("failure → recovery", percent(recovery["share"]), "", "", "", "not counted")
    table.add_row("episodes", f"{summary['episodes']:,}", "", "", "", f"{int(ISETRACE['episodes']):,}")
    return table


def outcome_table(summary: Mapping[str, Any]) -> Table:
    """Return outcomes, the pass rate with its interval, and what was kept apart."""
    table = Table(title="Outcomes", title_justify="left")
    table.add_column("outcome")
    table.add_column("episodes", justify="right")
    table.add_column("share", justify="right")
    n, rate = summary["episodes"], summary["pass_rate"]
    for outcome, count in summary["outcomes"].items():
        table.add_row(outcome, f"{count:,}", percent(count / n if n else None))
    table.add_section()
    table.add_row(
        "pass rate, 95 % Wilson",
        "",
        f"{percent(rate['rate'])} [{percent(rate['low'])}, {percent(rate['high'])}]",
    )
    if judged := summary["judged"]:
        table.add_row(
            "judged by a model to have passed",
            f"{judged['passed']:,} of {judged['total']:,}",
            f"{percent(judged['rate'])} [{percent(judged['low'])}, {percent(judged['high'])}]",
        )
    goals, recovery = summary["subgoals"], summary["failure_recovery"]
    table.add_row("sub-goals that hold", f"{goals['held']:,}", f"of {goals['total']:,}")
    failed = recovery.get("failed_calls", 0)
    table.add_row(
        "failed calls that were recovered", f"{recovery.get('recovered_calls', 0):,}", f"of {failed:,}"
    )
    if (inside := summary["delegated"])["sessions"]:
        table.add_row("sub-sessions", f"{inside['sessions']:,}", f"in {inside['episodes']:,} episodes")
    for kind, count in summary["infrastructure_errors"].items():
        table.add_row(f"infrastructure: {kind}", f"{count:,}", "kept apart")
    return table


def tool_table(summary: Mapping[str, Any]) -> Table:
    """Return which tools were used by how many trajectories."""
    table = Table(title="Tools", title_justify="left")
    table.add_column("tool")
    for column in ("trajectories", "share", "calls", "failed"):
        table.add_column(column, justify="right")
    for tool, use in list(summary["tools"].items())[:ROWS_SHOWN]:
        table.add_row(
            tool, f"{use['trajectories']:,}", percent(use["share"]), f"{use['calls']:,}", f"{use['failed']:,}"
        )
    return table


def group_table(summary: Mapping[str, Any], kind: str) -> Table:
    """Return episodes and pass rate by domain, task or complexity (``kind`` is the summary's key)."""
    table = Table(title=kind.capitalize(), title_justify="left")
    table.add_column("name")
    table.add_column("episodes", justify="right")
    table.add_column("passed", justify="right")
    groups = list(summary[kind].items())
    for name, counts in groups[:ROWS_SHOWN]:
        table.add_row(name, f"{counts['episodes']:,}", percent(counts["passed"] / counts["episodes"]))
    if len(groups) > ROWS_SHOWN:
        table.add_row(f"and {len(groups) - ROWS_SHOWN} more", "", "")
    return table


def guard_table(summary: Mapping[str, Any]) -> Table:
    """Return the role guard's counts."""
    table = Table(title="Role guard", title_justify="left")
    table.add_column("count")
    table.add_column("", justify="right")
    for name, count in summary["guard"].items():
        table.add_row(name, f"{count:,}")
    return table


def percent(value: float | None) -> str:
    """Format a fraction.

    >>> percent(0.377), percent(None)
    ('37.7 %', '–')
    """
    return "–" if value is None else f"{100 * value:.1f} %"


def figure(value: float | None, places: int = 0) -> str:
    """Format a number.

    >>> figure(8.123, 2), figure(1234), figure(None)
    ('8.12', '1,234', '–')
    """
    return "–" if value is None else f"{value:,.{places}f}"
