"""Reports of runs for people and for other programs: JSON, CSV (one line a trial) and Markdown."""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence
from typing import Any

from ise_gym.evaluation.results.summary import RunSummary, broken_tools, summarise
from ise_gym.evaluation.results.tables import (
    at_k_text,
    error_lines,
    outcomes_text,
    rate_text,
    spent_lines,
)
from ise_gym.evaluation.results.terms import changed_text
from ise_gym.evaluation.run import Run

_COLUMNS = (
    "suite",
    "protocol",
    "task",
    "trial",
    "attempt",
    "seed",
    "outcome",
    "reason",
    "score",
    "first_attempt",
)
_DIMENSIONS = ("completion", "robustness", "safety")


def to_json(runs: Sequence[Run]) -> dict[str, Any]:
    """Return every figure of every run, and the outcome of every trial."""
    return {
        "runs": [
            {
                **summarise(run).to_json(),
                "seed": run.card.seed,
                "options": run.card.options,
                "versions": run.card.versions,
                "suite_sha256": run.card.suite_sha256,
                "content": run.card.content,
                "task_list_sha256": run.card.task_list_sha256(),
                "broken_tools": [
                    {"tool": tool, "why": why, "tasks": tasks}
                    for (tool, why), tasks in broken_tools(run).items()
                ],
                "results": [
                    {"task": t.task, "trial": t.trial, "outcome": t.outcome, "score": t.score}
                    | ({} if t.first_attempt is None else {"first_attempt": t.first_attempt})
                    for t in run.trials.values()
                ],
            }
            for run in runs
        ]
    }


def to_csv(runs: Sequence[Run]) -> str:
    """Return one line a trial (its last attempt); labels and counts are columns of their own."""
    trials = [(run, trial) for run in runs for trial in run.trials.values()]
    labels = sorted({name for _, trial in trials for name in trial.labels})
    counts, costs, timings = (
        sorted({name for _, trial in trials for name in getattr(trial, part)})
        for part in ("counts", "costs", "timings")
    )
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(["run", "agent", *_COLUMNS, *_DIMENSIONS, *labels, *counts, *costs, *timings])
    for run, trial in trials:
        row = [getattr(trial, name) for name in (*_COLUMNS, *_DIMENSIONS)]
        writer.writerow(
            [
                run.name,
                run.card.agent,
                *("" if value is None else value for value in row),
                *(trial.labels.get(name, "") for name in labels),
                *(trial.counts.get(name, "") for name in counts),
                *(trial.costs.get(name, "") for name in costs),
                *(trial.timings.get(name, "") for name in timings),
            ]
        )
    return out.getvalue()


def to_markdown(runs: Sequence[Run]) -> str:
    """Return a table in the paper's layout: one row a run, pass@1 with interval, the dimensions, every error."""
    summaries = [summarise(run) for run in runs]
    dimensions = [name for name in _DIMENSIONS if any(name in summary.means for summary in summaries)]
    at_first = any(summary.first.tasks for summary in summaries)
    hat = next(
        (name for name in reversed(summaries[0].at_k) if name.startswith("pass^") and "unbiased" in name), ""
    )
    header = [
        "Run",
        "Agent",
        "Suite",
        "Tasks",
        "Pass@1 (95 %)",
        *(["First attempt (95 %)"] if at_first else []),
        *([_plain(hat)] if hat else []),
        *(d.capitalize() for d in dimensions),
        "Outcomes",
    ]
    lines = ["| " + " | ".join(header) + " |", "|" + "---|" * len(header)]
    for summary in summaries:
        cells = [
            summary.name,
            summary.agent,
            f"{summary.suite} ({summary.protocol})",
            str(summary.tasks),
            rate_text(summary.rate),
            *([rate_text(summary.first)] if at_first else []),
            *([at_k_text(summary.at_k, summary.intervals, hat)] if hat else []),
            *(f"{summary.means[d]:.3f}" if d in summary.means else "–" for d in dimensions),
            outcomes_text(summary),
        ]
        lines.append("| " + " | ".join(_escape(cell) for cell in cells) + " |")
    for summary in summaries:
        lines += _groups(summary)
        lines += _spent(summary)
    for run in runs:
        lines += _broken(run)
    return "\n".join(lines) + "\n"


def _groups(summary: RunSummary) -> list[str]:
    lines = []
    for label, values in summary.groups.items():
        lines += [
            "",
            f"**{_escape(summary.name)}** by {label}:",
            "",
            f"| {label} | Tasks | Pass@1 (95 %) |",
            "|---|---|---|",
        ]
        lines += [
            f"| {_escape(value)} | {rate.tasks} | {rate_text(rate)} |" for value, rate in values.items()
        ]
    if summary.at_k:
        figures = (
            f"{name} {at_k_text(summary.at_k, summary.intervals, name)}"
            for name in summary.at_k
            if not name.startswith("tasks")
        )
        lines += ["", f"**{_escape(summary.name)}**: " + ", ".join(figures)]
    return lines


def _spent(summary: RunSummary) -> list[str]:
    told = [f"{name}: {words}" for name, words in spent_lines(summary)] + error_lines(summary)
    told += [changed_text(summary.changed)] if summary.changed else []
    return ["", f"**{_escape(summary.name)}**", "", *(f"- {_escape(line)}" for line in told)] if told else []


def _plain(name: str) -> str:
    return f"{name.removesuffix(' (unbiased)').capitalize()} (95 %)"


def _broken(run: Run) -> list[str]:
    found = broken_tools(run)
    if not found:
        return []
    lines = [
        "",
        f"**{_escape(run.name)}**: tools that can only fail",
        "",
        "| tool | why | tasks |",
        "|---|---|---|",
    ]
    return lines + [
        f"| {tool} | {_escape(why)} | {', '.join(tasks)} |" for (tool, why), tasks in found.items()
    ]


def _escape(text: str) -> str:
    return text.replace("|", "\\|").replace("\n", " ")
