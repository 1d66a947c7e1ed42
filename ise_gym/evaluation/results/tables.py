"""Figures as rich tables and as words; everything here only formats."""

from __future__ import annotations

from collections.abc import Mapping

from rich.console import Group
from rich.table import Table
from rich.text import Text

from ise_gym.evaluation.results.compare import Comparison, Pair, Side
from ise_gym.evaluation.results.intervals import Difference
from ise_gym.evaluation.results.summary import Rate, RunSummary, broken_tools
from ise_gym.evaluation.results.terms import changed_text
from ise_gym.evaluation.results.tiers import Tiers
from ise_gym.evaluation.run import Run
from ise_gym.statistics import Interval


def percent(value: float) -> str:
    """Format a fraction: 0.377 → "37.7 %"."""
    return f"{100 * value:.1f} %"


def interval_text(interval: Interval) -> str:
    """Format an interval of fractions in percent."""
    return f"[{100 * interval[0]:.1f}, {100 * interval[1]:.1f}]"


def rate_text(rate: Rate) -> str:
    """Format "43/114 = 37.7 % [29.4, 46.9]", or a dash when nothing was graded."""
    if not rate.tasks:
        return "–"
    return f"{rate.passed}/{rate.trials} = {percent(rate.value)} {interval_text(rate.interval)}"


def p_text(p: float) -> str:
    """Format a p-value."""
    return "< 0.001" if p < 0.001 else f"{p:.3f}"


def difference_text(found: Difference) -> str:
    """Format a difference in percentage points with its interval."""
    return f"{100 * found.mean:+.1f} [{100 * found.low:+.1f}, {100 * found.high:+.1f}]"


def comparison_view(comparison: Comparison) -> Group:
    """The table, and below it what must be read with it."""
    return Group(comparison_table(comparison), *comparison_notes(comparison))


def comparison_table(comparison: Comparison) -> Table:
    """One row a run; differences are against the first."""
    n = len(comparison.common)
    title = f"{comparison.suite} ({comparison.protocol}): {n} tasks judged in every run, of {comparison.fixed_tasks}"
    table = Table(title=title, title_justify="left")
    table.add_column("run")
    table.add_column("agent", overflow="fold")
    table.add_column(f"pass@1, common {n}", no_wrap=True)
    table.add_column("difference", no_wrap=True)
    table.add_column("p", justify="right", no_wrap=True)
    table.add_column("verdict")
    at_first = any(side.first.tasks for side in comparison.sides)
    if at_first:
        table.add_column("first attempt", no_wrap=True)
    hat = _hat(comparison)
    if hat:
        table.add_column(hat.removesuffix(" (unbiased)"), no_wrap=True)
    table.add_column(f"pass@1, fixed {comparison.fixed_tasks}", no_wrap=True)
    table.add_column("missing", justify="right")
    against = {pair.other: pair for pair in comparison.pairs}
    for number, side in enumerate(comparison.sides):
        pair = against.get(side.name) if number else None
        verdict = pair.verdict if pair else "baseline"
        style = {"better": "green", "worse": "red"}.get(verdict, "")
        beside = [_first_text(side, pair)] if at_first else []
        beside += [_two_lines(at_k_text(side.at_k, side.intervals, hat))] if hat else []
        table.add_row(
            side.name,
            side.agent,
            _two_lines(rate_text(side.common)),
            _two_lines(difference_text(pair.difference)) if pair else "",
            p_text(pair.p_holm) if pair else "",
            Text(verdict, style=style),
            *beside,
            _two_lines(rate_text(side.fixed)),
            str(len(side.missing)),
        )
    return table


def _hat(comparison: Comparison) -> str:
    """Name of the pass^k of the largest k that every run has; "" when there is none."""
    names = [name for name in comparison.sides[0].at_k if name.startswith("pass^") and "unbiased" in name]
    shared = [name for name in names if all(name in side.at_k for side in comparison.sides)]
    return shared[-1] if shared else ""


def _first_text(side: Side, pair: Pair | None) -> str:
    against = f"\n{difference_text(pair.first)}" if pair and pair.first else ""
    return _two_lines(rate_text(side.first)) + against.replace("\n", "\nΔ ")


def at_k_text(at_k: Mapping[str, float], intervals: Mapping[str, Interval], name: str) -> str:
    """Format pass@k or pass^k with its interval: "50.0 % [40.1, 59.9]", or a dash."""
    if name not in at_k:
        return "–"
    interval = intervals.get(name)
    return percent(at_k[name]) + (f" {interval_text(interval)}" if interval else "")


def _two_lines(text: str) -> str:
    """Put the interval below the figure, so that the table fits a terminal."""
    return text.replace(" [", "\n[")


def comparison_notes(comparison: Comparison) -> list[Text]:
    """What must be read with the table."""
    lines = [
        f"Intervals: 95 %, {comparison.sides[0].common.method}; of differences (points): paired over tasks. "
        + ("p: exact McNemar" if len(comparison.pairs) < 2 else "p: exact McNemar, Holm-adjusted")
        + f". Common set {comparison.common_sha256[:12]}. In the fixed column a missing task counts as not passed."
    ]
    if not comparison.common:
        lines.append("No task was judged in every run: nothing can be compared.")
    lines += [detectable_text(pair, len(comparison.common)) for pair in comparison.pairs]
    lines += [f"Note: {warning}" for warning in comparison.warnings]
    return [Text(line, style="dim") for line in lines]


def detectable_text(pair: Pair, n: int) -> str:
    """Say what the comparison could have shown."""
    disagree = pair.better + pair.worse
    counts = f"{pair.better} tasks better, {pair.worse} worse, {pair.equal} equal"
    start = f"{pair.other} against {pair.baseline}: {counts}; "
    if pair.detectable is None:
        return start + (
            f"with {disagree} of {n} tasks in disagreement no difference could be found with 80 % power."
        )
    return start + (
        f"smallest difference found with 80 % power at n = {n} and {percent(disagree / n)} disagreement: "
        f"{100 * pair.detectable:.1f} points."
    )


def summary_table(summary: RunSummary) -> Table:
    """One run: passes, outcomes and why trials have none, what it cost, groups, means."""
    title = f"{summary.name}: {summary.suite} ({summary.protocol}), {summary.tasks} tasks × {summary.trials}"
    table = Table("", "", title=title, title_justify="left", show_header=False)
    table.add_row("agent", summary.agent)
    table.add_row("pass@1", f"{rate_text(summary.rate)}  ({summary.rate.method}, 95 %)")
    if summary.first.tasks:
        table.add_row("pass at first attempt", rate_text(summary.first))
    if not summary.complete:
        table.add_row("pass@1, missing as not passed", rate_text(summary.fixed))
    for name, figure in summary.at_k.items():
        counts = name.startswith("tasks")
        table.add_row(name, f"{figure:.0f}" if counts else at_k_text(summary.at_k, summary.intervals, name))
    table.add_row("outcomes", outcomes_text(summary))
    for line in error_lines(summary):
        table.add_row("", Text(line, style="dim"))
    for name, value in spent_lines(summary):
        table.add_row(name, value)
    if summary.changed:
        table.add_row("note", changed_text(summary.changed))
    for label, values in summary.groups.items():
        for value, found in values.items():
            table.add_row(f"{label}: {value}", rate_text(found))
    for name, mean in summary.means.items():
        table.add_row(f"mean {name}", f"{mean:.3f}" if abs(mean) < 10 else f"{mean:.1f}")
    for task, why in summary.left_out.items():
        table.add_row("left out", f"{task}: {why}")
    return table


REASONS = 3
"""Reasons of one outcome that are shown; the others are counted."""


def tiers_view(found: Tiers) -> Group:
    """Pass rates by suite, agent and tier; below them how many tasks are where, by file and as measured."""
    table = Table("suite", "agent", "tier", "tasks", "pass@1", "first attempt")
    for line in found.lines:
        rates = rate_text(line.passed), rate_text(line.first)
        table.add_row(line.suite, line.agent, line.tier, str(line.passed.tasks), *rates)
    moved = Table("tier in the file", *(f"measured {tier}" for tier in _TIERS))
    for tier in _TIERS:
        own = [task.tier for task in found.tasks if task.authored == tier]
        moved.add_row(tier, *(str(own.count(measured)) for measured in _TIERS))
    notes = [Text(f"{len(found.tasks)} catalog tasks measured, by first attempts, as the mean over agents.")]
    if found.uninformative:
        names = ", ".join(found.uninformative)
        notes.append(Text(f"They passed all or nothing, and so tell no task from another: {names}."))
    return Group(table, moved, *notes)


_TIERS = ("easy", "medium", "hard")


def error_lines(summary: RunSummary) -> list[str]:
    """Say why trials have no verdict, the commonest reasons first, and how to go on."""
    lines = []
    for outcome, reasons in summary.errors.items():
        shown = list(reasons.items())[:REASONS]
        lines += [f"{outcome.replace('_', ' ')}: {count} × {reason}" for reason, count in shown]
        if rest := sum(reasons.values()) - sum(count for _, count in shown):
            lines.append(f"{outcome.replace('_', ' ')}: {rest} more, for other reasons")
    if not summary.complete:
        lines.append("run the same command again to play what has no verdict; what has one stays as it is")
    return lines


def spent_lines(summary: RunSummary) -> list[tuple[str, str]]:
    """Return the totals as (name, words): hours, tokens and dollars of all attempts."""
    found = summary.spent
    if not found.attempts:
        return []
    lost = f", {found.lost} of them without a verdict or played again" if found.lost else ""
    lines = [("spent", f"{found.hours:.2f} hours of play in {found.attempts} attempts{lost}")]
    if found.tokens:
        lines.append(("tokens", ", ".join(f"{name} {count:,}" for name, count in found.tokens.items())))
    if (total := found.total_dollars) is not None:
        each = ", ".join(f"{seat} {cost:,.2f}" for seat, cost in found.dollars.items())
        lines.append(("dollars", f"{total:,.2f} ({each})"))
    return lines


def broken_text(run: Run) -> list[str]:
    """Name the tools of a run's tasks that can only fail, one line each."""
    return [
        f"broken tool {tool} in {', '.join(tasks)}: {why}" for (tool, why), tasks in broken_tools(run).items()
    ]


def outcomes_text(summary: RunSummary) -> str:
    """Every outcome that occurred, errors never hidden."""
    parts = [f"{count} {outcome.replace('_', ' ')}" for outcome, count in summary.outcomes.items() if count]
    if summary.not_played:
        parts.append(f"{summary.not_played} not played")
    return ", ".join(parts) or "nothing played"
