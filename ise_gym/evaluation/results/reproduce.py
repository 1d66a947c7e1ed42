"""The paper's Claw-Eval table beside the user's own runs, made by the paper's rule.

The paper compares over the tasks that every run was graded on: 114 of the T tasks, one trial each; which ones is not
published. So the runs given here share a common set of their own, whose list is hashed and printed, and no difference
to a row of the paper is paired: the intervals are all that can be held against each other.

Source: Intent, Simulate, Execute (arXiv 2606.11520), results on Claw-Eval; the pass counts follow from the
percentages, since 114 is the only size that gives all five.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from statistics import fmean
from typing import Any

from rich.table import Table
from rich.text import Text

from ise_gym.errors import UserError
from ise_gym.evaluation.ledger import Trial
from ise_gym.evaluation.results.summary import Rate, fixed_rate, rate, rate_of
from ise_gym.evaluation.results.tables import rate_text
from ise_gym.evaluation.run import Run, list_sha256
from ise_gym.statistics import wilson

PAPER_TASKS = 114
PLAIN = "Wilson"
"""The plain score interval: of the paper's rows, and for their sake of runs with one trial a task."""
GRADED = frozenset({"pass", "fail"})
"""What the paper counts as a valid result: a grade; a worker killed for time has none."""


@dataclass(frozen=True)
class Row:
    """One row: a model of the paper, or a run.

    Attributes:
        source: "paper" or the run's name.
        rate: passes over the common set. ``fixed``: over all T tasks of the run, ungraded ones as not passed.
        completion, robustness: means over the common set; None where the paper prints none.
        hat: pass^k over as many trials as a task has, with its interval; "" for one trial.
    """

    source: str
    model: str
    rate: Rate
    completion: float | None = None
    robustness: float | None = None
    fixed: Rate | None = None
    hat: str = ""


def _published(
    model: str, passed: int, completion: float | None = None, robustness: float | None = None
) -> Row:
    n = PAPER_TASKS
    return Row(
        "paper", model, Rate(n, n, passed, passed / n, wilson(passed, n), PLAIN), completion, robustness
    )


PAPER = (
    _published("Qwen3-8B", 22, 0.367, 0.925),
    _published("GPT-4o", 29),
    _published("Qwen3-8B, SFT on single-user-turn data", 32),
    _published("Qwen3-32B", 35),
    _published("Qwen3-8B, SFT on ISE data", 43, 0.533, 0.959),
)
"""The published rows, from the worst to the best."""


@dataclass(frozen=True)
class Reproduction:
    """The table and what must be read with it; ``common``: the T tasks that every run was graded on."""

    rows: tuple[Row, ...]
    common: list[str]
    notes: list[str]

    def to_json(self) -> dict[str, Any]:
        """Return plain JSON."""
        return {**asdict(self), "common_sha256": list_sha256(self.common)}

    def table(self) -> Table:
        """Return what the terminal shows."""
        table = Table(title="Claw-Eval, general tasks: the paper and your runs", title_justify="left")
        for name in ("", "model"):
            table.add_column(name, overflow="fold")
        for name in (
            "pass@1 (95 % Wilson)",
            "completion",
            "robustness",
            "all T tasks, ungraded as not passed",
            "pass^k",
        ):
            table.add_column(name, no_wrap=True)
        for number, row in enumerate(self.rows):
            table.add_row(
                row.source,
                row.model,
                rate_text(row.rate),
                _mean(row.completion),
                _mean(row.robustness),
                rate_text(row.fixed) if row.fixed else "–",
                row.hat or "–",
                end_section=number == len(PAPER) - 1,
            )
        return table

    def remarks(self) -> list[Text]:
        """The notes as text."""
        return [Text(f"Note: {note}", style="dim") for note in self.notes]

    def to_markdown(self) -> str:
        """Return the table in the paper's layout, with the notes below."""
        lines = [
            "| Source | Model | Pass@1 (95 %) | Completion | Robustness | Pass^k (95 %) |",
            "|---|---|---|---|---|---|",
            *(
                f"| {row.source} | {row.model} | {rate_text(row.rate)} | {_mean(row.completion)} | "
                f"{_mean(row.robustness)} | {row.hat or '–'} |"
                for row in self.rows
            ),
            "",
            *(f"- {note}" for note in self.notes),
        ]
        return "\n".join(lines) + "\n"


def reproduce(runs: Sequence[Run]) -> Reproduction:
    """Make the table.

    Args:
        runs: runs of the claweval suite under one protocol; without any, the paper's rows alone.

    Raises:
        UserError: a run of another suite, without T tasks, or of another protocol or version than the first.
    """
    general = [_general(run) for run in runs]
    for run in general:
        _check(run, general[0])
    first = [task.id for task in general[0].card.tasks] if general else []
    common = [task for task in first if all(_graded(run, task) for run in general)]
    return Reproduction((*PAPER, *(_row(run, common) for run in general)), common, _notes(general, common))


def _check(run: Run, first: Run) -> None:
    if run.card.suite != "claweval":
        raise UserError(f"{run.path} is a run of {run.card.suite!r}; the paper's table is about claweval.")
    if not run.card.tasks:
        raise UserError(f"{run.path} has no T tasks; the paper's table is about those. Run with --tasks T.")
    for name in ("protocol", "suite_sha256"):
        if getattr(run.card, name) != getattr(first.card, name):
            raise UserError(
                f"{run.path} and {first.path} can't be in one table: their {name} differs. Run one of them again."
            )


def _general(run: Run) -> Run:
    """Leave the other splits out of a run."""
    tasks = [task for task in run.card.tasks if task.id.startswith("T")]
    return replace(run, card=run.card.model_copy(update={"tasks": tasks}))


def _graded(run: Run, task: str) -> list[Trial]:
    return [trial for trial in run.verdicts(task) if trial.outcome in GRADED]


def _row(run: Run, common: Sequence[str]) -> Row:
    graded = [_graded(run, task) for task in common]
    return Row(
        run.name,
        run.card.agent,
        _plain_rate(graded),
        _over_tasks(graded, "completion"),
        _over_tasks(graded, "robustness"),
        fixed_rate(run),
        _hat(graded, run.card.trials),
    )


def _plain_rate(graded: Sequence[Sequence[Trial]]) -> Rate:
    """The rate as the paper's rows have it, where there is one trial a task."""
    found = rate(graded)
    if found.trials != found.tasks:
        return found
    return replace(found, interval=wilson(found.passed, found.trials), method=PLAIN)


def _hat(graded: Sequence[Sequence[Trial]], trials: int) -> str:
    whole = [trial for trial in graded if len(trial) == trials]
    if trials < 2 or not whole:
        return ""
    every = rate_of([(int(all(t.outcome == "pass" for t in task)), 1) for task in whole])
    return f"pass^{trials} {rate_text(every)}"


def _over_tasks(graded: Sequence[Sequence[Trial]], name: str) -> float | None:
    means = [
        fmean(values)
        for trials in graded
        if (values := [value for trial in trials if (value := getattr(trial, name)) is not None])
    ]
    return fmean(means) if means else None


def _notes(runs: Sequence[Run], common: Sequence[str]) -> list[str]:
    notes = [
        "the paper's rows are printed passes over 114 tasks; which 114 is not published, so nothing here is paired "
        "with them: of two rows whose intervals overlap, neither is shown to be better.",
    ]
    if not runs:
        return notes
    notes.append(
        f"your rows are over the {len(common)} T tasks that each of your runs was graded on "
        f"(list {list_sha256(list(common))[:12]}); with other runs beside them this set would be another."
    )
    protocol = runs[0].card.protocol
    if protocol != "upstream":
        notes.append(
            f"your runs were played under the protocol '{protocol}', the paper's in the benchmark's own loop."
        )
    for run in runs:
        options = run.card.options
        if options.get("sandbox", "none") == "none":
            notes.append(f"{run.name} had no sandbox tools; the official run offers nine in every task.")
        judge = str(options.get("judge", "none"))
        if not judge.startswith("openai:"):
            notes.append(f"{run.name} was graded with the judge '{judge}': its figures measure no model.")
        if run.card.trials > 1:
            notes.append(f"{run.name} has {run.card.trials} trials a task; the paper has one.")
        if run.card.left_out:
            notes.append(f"{run.name} left {len(run.card.left_out)} tasks out.")
    return notes


def _mean(value: float | None) -> str:
    return "–" if value is None else f"{value:.3f}"
