"""Figures as rich tables and as words; everything here only formats."""

from __future__ import annotations

from rich.console import Group
from rich.table import Table
from rich.text import Text

from ise_gym.evaluation.results.compare import Comparison, Pair
from ise_gym.evaluation.results.summary import Rate, RunSummary, broken_tools
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


def difference_text(pair: Pair) -> str:
    """Format a difference in percentage points with its interval."""
    found = pair.difference
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
    table.add_column(f"pass@1, fixed {comparison.fixed_tasks}", no_wrap=True)
    table.add_column("missing", justify="right")
    against = {pair.other: pair for pair in comparison.pairs}
    for number, side in enumerate(comparison.sides):
        pair = against.get(side.name) if number else None
        verdict = pair.verdict if pair else "baseline"
        style = {"better": "green", "worse": "red"}.get(verdict, "")
        table.add_row(
            side.name,
            side.agent,
            _two_lines(rate_text(side.common)),
            _two_lines(difference_text(pair)) if pair else "",
            p_text(pair.p_holm) if pair else "",
            Text(verdict, style=style),
            _two_lines(rate_text(side.fixed)),
            str(len(side.missing)),
        )
    return table


def _two_lines(text: str) -> str:
    """Put the interval below the figure, so that the table fits a terminal."""
    return text.replace(" [", "\n[")


def comparison_notes(comparison: Comparison) -> list[Text]:
    """What must be read with the table."""
    lines = [
        f"Intervals: 95 %, {comparison.sides[0].common.method}; of differences (points): paired bootstrap over tasks. "
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
    """One run: pass@1, outcomes, groups, means."""
    title = f"{summary.name}: {summary.suite} ({summary.protocol}), {summary.tasks} tasks × {summary.trials}"
    table = Table("", "", title=title, title_justify="left", show_header=False)
    table.add_row("agent", summary.agent)
    table.add_row("pass@1", f"{rate_text(summary.rate)}  ({summary.rate.method}, 95 %)")
    if not summary.complete:
        table.add_row("pass@1, missing as not passed", rate_text(summary.fixed))
    table.add_row("outcomes", outcomes_text(summary))
    for name, figure in summary.at_k.items():
        table.add_row(name, f"{figure:.0f}" if name.startswith("tasks") else percent(figure))
    for label, values in summary.groups.items():
        for value, found in values.items():
            table.add_row(f"{label}: {value}", rate_text(found))
    for name, mean in summary.means.items():
        table.add_row(f"mean {name}", f"{mean:.3f}" if abs(mean) < 10 else f"{mean:.1f}")
    for task, why in summary.left_out.items():
        table.add_row("left out", f"{task}: {why}")
    return table


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
