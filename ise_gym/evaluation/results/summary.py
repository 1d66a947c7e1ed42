"""What one run amounts to: pass@1 with its interval, by group, with every error counted beside it."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass, field
from statistics import fmean
from typing import Any

from ise_gym.evaluation.ledger import OUTCOMES, Trial
from ise_gym.evaluation.results.intervals import METHOD, rate_interval
from ise_gym.evaluation.results.stats import pass_at_k, pass_hat_k_power, pass_hat_k_unbiased
from ise_gym.evaluation.run import Run
from ise_gym.evaluation.spending import Spent, spent
from ise_gym.statistics import Interval


@dataclass(frozen=True)
class Rate:
    """A pass rate over tasks.

    Attributes:
        tasks: tasks with at least one verdict; ``trials``: their verdicts; ``passed``: of them, passes.
        value: mean over tasks of the share of trials that passed, in [0, 1].
        interval: 95 %, see `ise_gym.evaluation.results.intervals`; ``method``: what it is called.
    """

    tasks: int
    trials: int
    passed: int
    value: float
    interval: Interval
    method: str = METHOD


NO_RATE = Rate(0, 0, 0, 0.0, (0.0, 1.0))


def rate_of(counts: Sequence[tuple[int, int]]) -> Rate:
    """Return the rate of tasks, each given as (passes, trials); there must be a trial in each."""
    if not counts:
        return NO_RATE
    shares = [passed / trials for passed, trials in counts]
    total = sum(trials for _, trials in counts)
    interval = rate_interval(shares, total / len(counts))
    return Rate(len(counts), total, sum(passed for passed, _ in counts), fmean(shares), interval)


def rate(verdicts: Iterable[Sequence[Trial]]) -> Rate:
    """Pass rate of tasks, each given by its graded trials; tasks without any are left out."""
    return rate_of([(sum(t.outcome == "pass" for t in trials), len(trials)) for trials in verdicts if trials])


def first_rate(verdicts: Iterable[Sequence[Trial]]) -> Rate:
    """Rate of passes at the first attempt; trials that don't know are left out, and tasks without any other."""
    known = ([t.first_attempt for t in trials if t.first_attempt is not None] for trials in verdicts)
    return rate_of([(sum(firsts), len(firsts)) for firsts in known if firsts])


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
        first: passes at the first attempt, over the tasks of which that is known.
        at_k: "pass@k" and both "pass^k" for each k up to the number of trials, over tasks with all trials graded, and
            "first-attempt pass^k" where that is known of all of them; ``intervals``: of those, 95 %.
        spent: totals over every attempt, errored and retried ones included.
        errors: outcome → reason → attempts that ended so, the commonest first.
        means: score, completion, robustness, safety (graded trials), counts a trial, seconds per trial.
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
    first: Rate = NO_RATE
    at_k: dict[str, float] = field(default_factory=dict)
    intervals: dict[str, Interval] = field(default_factory=dict)
    spent: Spent = field(default_factory=Spent)
    errors: dict[str, dict[str, int]] = field(default_factory=dict)
    changed: list[str] = field(default_factory=list)
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
    at_k, intervals = _at_k(list(verdicts.values()), card.trials)
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
        first=first_rate(verdicts.values()),
        at_k=at_k,
        intervals=intervals,
        spent=spent(run.every, run.trials.values()),
        errors=_errors(run.trials.values()),
        changed=list(card.changed),
        means=_means([trial for trials in verdicts.values() for trial in trials]),
        groups=_groups(run, verdicts),
        left_out=dict(card.left_out),
    )


def fixed_rate(run: Run) -> Rate:
    """Pass rate over the run's whole task list; trials without a verdict count as not passed."""
    trials = run.card.trials
    return rate_of(
        [(sum(t.outcome == "pass" for t in run.verdicts(task.id)), trials) for task in run.card.tasks]
    )


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


def _at_k(verdicts: Sequence[Sequence[Trial]], trials: int) -> tuple[dict[str, float], dict[str, Interval]]:
    """pass@k and pass^k, k = 2 … trials, as means over the tasks whose trials were all graded, and their intervals."""
    graded = [task for task in verdicts if len(task) == trials]
    if trials < 2 or not graded:
        return {}, {}
    passes = [sum(t.outcome == "pass" for t in task) for task in graded]
    figures: dict[str, list[float]] = {}
    for k in range(2, trials + 1):
        figures[f"pass@{k}"] = [pass_at_k(trials, c, k) for c in passes]
        figures[f"pass^{k} (unbiased)"] = [pass_hat_k_unbiased(trials, c, k) for c in passes]
        figures[f"pass^{k} (power)"] = [pass_hat_k_power(trials, c, k) for c in passes]
    if all(t.first_attempt is not None for task in graded for t in task):
        firsts = [sum(bool(t.first_attempt) for t in task) for task in graded]
        for k in range(2, trials + 1):
            figures[f"first-attempt pass^{k}"] = [pass_hat_k_unbiased(trials, c, k) for c in firsts]
    means = {name: fmean(values) for name, values in figures.items()}
    intervals = {
        name: rate_interval(values, trials) for name, values in figures.items() if "(power)" not in name
    }
    return {"tasks with all trials": float(len(graded)), **means}, intervals


def _errors(trials: Iterable[Trial]) -> dict[str, dict[str, int]]:
    """Outcome → reason → trials without a verdict, the commonest reason first."""
    found: dict[str, Counter[str]] = {}
    for trial in trials:
        if not trial.is_verdict:
            found.setdefault(trial.outcome, Counter())[_gist(trial.reason)] += 1
    return {outcome: dict(reasons.most_common()) for outcome, reasons in found.items()}


def _gist(reason: str) -> str:
    """Return a reason without the figures that make every one different."""
    return (
        re.sub(r"\b(?=[\w-]*\d)[0-9a-f-]{8,}\b|(?<![\w.])\d{4,}(?![\w.])", "…", reason)[:160]
        or "no reason given"
    )


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
