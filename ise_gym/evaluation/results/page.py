"""Runs as one HTML file that needs nothing else: figures first, then every trial with all that explains its score.

A score is only worth what can be looked up behind it: the conversation, the calls and their results, what the grader
and the judge said, and every attempt that ended in an error.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from importlib import resources
from pathlib import Path
from typing import Any

import jinja2

from ise_gym.evaluation.ledger import Trial
from ise_gym.evaluation.results.conversations import Conversations, Line
from ise_gym.evaluation.results.summary import RunSummary, broken_tools, summarise
from ise_gym.evaluation.results.tables import at_k_text, error_lines, outcomes_text, rate_text, spent_lines
from ise_gym.evaluation.results.terms import changed_text
from ise_gym.evaluation.run import Run
from ise_gym.storage.atomic import replacing

TEXT_LIMIT = 6000
"""Characters of one line that are shown; what is left out is counted."""

COLOURS = {"pass": "good", "fail": "bad", "timeout": "warn"}


@dataclass(frozen=True)
class TrialView:
    """One trial as the page shows it: its last attempt, earlier ones by their reasons."""

    trial: Trial
    lines: list[Line]
    earlier: list[Trial]

    @property
    def colour(self) -> str:
        """Class of its outcome."""
        return COLOURS.get(self.trial.outcome, "muted")

    @property
    def judged(self) -> list[dict[str, Any]]:
        """What grader and judge noted."""
        return [note for note in self.trial.notes if "broken_tool" not in note]


@dataclass(frozen=True)
class RunView:
    """One run as the page shows it."""

    run: Run
    summary: RunSummary
    trials: list[TrialView]

    @property
    def facts(self) -> list[tuple[str, str]]:
        """The head of the page's section."""
        card, found = self.run.card, self.summary
        facts = [
            ("agent", card.agent),
            ("suite", f"{card.suite}, protocol {card.protocol}"),
            ("pass@1", f"{rate_text(found.rate)} ({found.rate.method}, 95 %)"),
            *([("pass at first attempt", rate_text(found.first))] if found.first.tasks else []),
            ("missing as not passed", rate_text(found.fixed)),
            *((name, at_k_text(found.at_k, found.intervals, name)) for name in found.intervals),
            ("outcomes", outcomes_text(found)),
            *(("", line) for line in error_lines(found)),
            *spent_lines(found),
            *([("note", changed_text(found.changed))] if found.changed else []),
        ]
        facts += [(f"mean {name}", f"{value:.3f}") for name, value in found.means.items()]
        facts += [(name, str(value)) for name, value in card.options.items()]
        facts += [(f"version of {name}", value) for name, value in card.versions.items()]
        return facts

    @property
    def groups(self) -> list[tuple[str, str, str]]:
        """Label, value and rate of every group."""
        return [
            (label, value, rate_text(rate))
            for label, values in self.summary.groups.items()
            for value, rate in values.items()
        ]

    @property
    def broken(self) -> list[tuple[str, str, str]]:
        """Tool, why it can't work, and the tasks that offer it."""
        return [(tool, why, ", ".join(tasks)) for (tool, why), tasks in broken_tools(self.run).items()]


def to_html(runs: Sequence[Run]) -> str:
    """Return the page."""
    text = resources.files("ise_gym.evaluation.results").joinpath("page.html.j2").read_text(encoding="utf-8")
    environment = jinja2.Environment(autoescape=True, trim_blocks=True, lstrip_blocks=True)
    environment.filters["shown"] = shown
    return environment.from_string(text).render(runs=[_view(run) for run in runs])


def write_html(runs: Sequence[Run], path: str | Path) -> None:
    """Write the page to a file, whole or not at all."""
    with replacing(Path(path)) as file:
        file.write(to_html(runs).encode())


def shown(text: str, limit: int = TEXT_LIMIT) -> str:
    """Shorten a text and say by how much.

    >>> shown("abcdef", 4)
    'abcd\\n… 2 more characters'
    """
    return text if len(text) <= limit else f"{text[:limit]}\n… {len(text) - limit} more characters"


def _view(run: Run) -> RunView:
    kept = Conversations(run)
    attempts: dict[tuple[str, int], list[Trial]] = {}
    for trial in run.every:
        attempts.setdefault(trial.key, []).append(trial)
    trials = [
        TrialView(trial, kept.of(trial), attempts.get(trial.key, [trial])[:-1])
        for trial in run.trials.values()
    ]
    return RunView(run, summarise(run), trials)
