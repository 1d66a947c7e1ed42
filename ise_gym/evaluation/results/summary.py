"""What one run amounts to: pass@1 with its interval, by group, with every error counted beside it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass, field
from statistics import fmean
from typing import Any

from ise_gym.evaluation.ledger import OUTCOMES, Trial
from ise_gym.evaluation.results.stats import (
    bootstrap_mean,
    pass_at_k,
    pass_hat_k_power,
    pass_hat_k_unbiased,
)
from ise_gym.evaluation.run import Run
from ise_gym.statistics import Interval, wilson


@dataclass(frozen=True)
class Rate:
    """A pass rate over tasks.

    Attributes:
        tasks: tasks with at least one verdict; ``trials``: their verdicts; ``passed``: of them, passes.
        value: mean over tasks of the share of trials that passed, in [0, 1].
        interval: 95 %; ``method``: "Wilson" for one trial a task, else "bootstrap over tasks".
    """

    tasks: int
    trials: int
    passed: int
    value: float
    interval: Interval
    method: str


def rate(verdicts: Iterable[Sequence[Trial]]) -> Rate:
    """Pass rate of tasks, each given by its graded trials; tasks without any are left out."""
    played = [trials for trials in verdicts if trials]
    if not played:
        return Rate(0, 0, 0, 0.0, (0.0, 1.0), "Wilson")
    shares = [share_passed(trials) for trials in played]
    total = sum(len(trials) for trials in played)
    passed = sum(trial.outcome == "pass" for trials in played for trial in trials)
    if total == len(played):
        return Rate(len(played), total, passed, passed / total, wilson(passed, total), "Wilson")
    found = bootstrap_mean(shares)
    interval = (found.low, found.high)
    return Rate(len(played), total, passed, found.mean, interval, "bootstrap over tasks")


def share_passed(trials: Sequence[Trial]) -> float:
    """Share of a task's graded trials that passed; there must be one."""
    return sum(trial.outcome == "pass" for trial in trials) / len(trials)


@dataclass(frozen=True)
class RunSummary:
    """One run's figures.

    Attributes:
        rate: pass@1 over the tasks that have a verdict. ``fixed``: over the whole task list of the run, a task
            without a verdict counting as not passed.
        outcomes: outcome → trials; ``not_played``: trials of the list without any line in the ledger.
        at_k: "pass@k" and both "pass^k" for each k up to the number of trials, over tasks with all trials graded.
        means: score, completion, robustness, safety (graded trials), counts a trial, seconds a trial.
        groups: label → value → rate.
    """

    name: str
    suite: str
    protocol: str
    agent: str
    tasks: int
    trials: int
    rate: Rate
    fixed: Rate
    outcomes: dict[str, int]
    not_played: int
    at_k: dict[str, float] = field(default_factory=dict)
    means: dict[str, float] = field(default_factory=dict)
    groups: dict[str, dict[str, Rate]] = field(default_factory=dict)
    left_out: dict[str, str] = field(default_factory=dict)

    def to_json(self) -> dict[str, Any]:
        """Return plain JSON."""
        return asdict(self)

    @property
    def complete(self) -> bool:
        """Whether every trial of the list has a verdict."""
        return not self.not_played and not any(
            self.outcomes[o] for o in ("infrastructure_error", "judge_error")
        )


def summarise(run: Run) -> RunSummary:
    """Compute a run's figures from its ledger."""
    card = run.card
    verdicts = {task.id: run.verdicts(task.id) for task in card.tasks}
    counted = Counter(trial.outcome for trial in run.trials.values())
    planned = len(card.tasks) * card.trials
    return RunSummary(
        name=run.name,
        suite=card.suite,
        protocol=card.protocol,
        agent=card.agent,
        tasks=len(card.tasks),
        trials=card.trials,
        rate=rate(verdicts.values()),
        fixed=fixed_rate(run),
        outcomes={outcome: counted[outcome] for outcome in OUTCOMES},
        not_played=planned - len(run.trials),
        at_k=_at_k(list(verdicts.values()), card.trials),
        means=_means([trial for trials in verdicts.values() for trial in trials]),
        groups=_groups(run, verdicts),
        left_out=dict(card.left_out),
    )


def fixed_rate(run: Run) -> Rate:
    """Pass rate over the run's whole task list; trials without a verdict count as not passed."""
    card = run.card
    passes = [sum(t.outcome == "pass" for t in run.verdicts(task.id)) for task in card.tasks]
    n, total = len(passes), len(passes) * card.trials
    if not n:
        return Rate(0, 0, 0, 0.0, (0.0, 1.0), "Wilson")
    if card.trials == 1:
        return Rate(n, total, sum(passes), sum(passes) / n, wilson(sum(passes), n), "Wilson")
    found = bootstrap_mean([passed / card.trials for passed in passes])
    return Rate(n, total, sum(passes), found.mean, (found.low, found.high), "bootstrap over tasks")


def broken_tools(run: Run) -> dict[tuple[str, str], list[str]]:
    """Return the tools that can only fail, as trials noted them: (tool, why) → tasks that offer it."""
    found: dict[tuple[str, str], list[str]] = {}
    for trial in run.trials.values():
        for note in trial.notes:
            if "broken_tool" in note:
                tasks = found.setdefault((note["broken_tool"], note["why"]), [])
                if trial.task not in tasks:
                    tasks.append(trial.task)
    return dict(sorted(found.items()))


def _at_k(verdicts: Sequence[Sequence[Trial]], trials: int) -> dict[str, float]:
    """pass@k and pass^k, k = 2 … trials, as means over the tasks whose trials were all graded."""
    whole = [sum(t.outcome == "pass" for t in task) for task in verdicts if len(task) == trials]
    if trials < 2 or not whole:
        return {}
    figures = {"tasks with all trials": float(len(whole))}
    for k in range(2, trials + 1):
        figures[f"pass@{k}"] = fmean(pass_at_k(trials, c, k) for c in whole)
        figures[f"pass^{k} (unbiased)"] = fmean(pass_hat_k_unbiased(trials, c, k) for c in whole)
        figures[f"pass^{k} (power)"] = fmean(pass_hat_k_power(trials, c, k) for c in whole)
    return figures


def _means(trials: Sequence[Trial]) -> dict[str, float]:
    figures: dict[str, float] = {}
    for name in ("score", "completion", "robustness", "safety"):
        values = [value for trial in trials if (value := getattr(trial, name)) is not None]
        if values:
            figures[name] = fmean(values)
    for part in ("counts", "costs", "timings"):
        for name in sorted({key for trial in trials for key in getattr(trial, part)}):
            figures[name] = fmean(getattr(trial, part).get(name, 0) for trial in trials)
    return figures


def _groups(run: Run, verdicts: dict[str, list[Trial]]) -> dict[str, dict[str, Rate]]:
    found: dict[str, dict[str, list[list[Trial]]]] = {}
    for task in run.card.tasks:
        for label, value in task.labels.items():
            found.setdefault(label, {}).setdefault(value, []).append(verdicts[task.id])
    return {
        label: {value: rate(found[label][value]) for value in sorted(found[label])}
        for label in found
        if len(found[label]) > 1
    }
