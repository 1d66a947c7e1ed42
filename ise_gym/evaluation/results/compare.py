"""Paired comparison of runs over the tasks that all of them were judged on.

The first run is the baseline. The common set is the paper's denominator, but it depends on outcomes (a model
that crashes on hard tasks shrinks it), so the figure over the fixed task list stands beside it, and the list's
hash is printed. "Not significant" is said where it is so, with the difference that so many tasks could have shown.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from ise_gym.errors import UserError
from ise_gym.evaluation.ledger import VERDICTS
from ise_gym.evaluation.results.stats import (
    Bootstrap,
    holm,
    mcnemar_exact,
    minimum_detectable_difference,
    paired_bootstrap,
)
from ise_gym.evaluation.results.summary import Rate, fixed_rate, rate, share_passed
from ise_gym.evaluation.run import Run, list_sha256, load_run

ALPHA = 0.05


@dataclass(frozen=True)
class Side:
    """One run within a comparison.

    Attributes:
        common: pass@1 over the common set. ``fixed``: over the fixed list, missing counted as not passed.
        missing: tasks of the fixed list without a verdict → the outcome that they have instead.
    """

    name: str
    agent: str
    common: Rate
    fixed: Rate
    missing: dict[str, str]


@dataclass(frozen=True)
class Pair:
    """A run against the baseline, over the common set.

    Attributes:
        better, worse, equal: tasks on which the run passes more often than the baseline, less often, equally.
        difference: mean difference of pass rates (run - baseline) with its paired bootstrap over tasks.
        p: exact McNemar; with several trials a task the same test on the signs of the per-task differences.
        p_holm: adjusted for the number of runs compared.
        detectable: smallest true difference found with 80 % power, given the observed disagreement.
    """

    baseline: str
    other: str
    better: int
    worse: int
    equal: int
    difference: Bootstrap
    p: float
    p_holm: float
    detectable: float | None

    @property
    def significant(self) -> bool:
        """Whether the adjusted p-value is below 0.05."""
        return self.p_holm < ALPHA

    @property
    def verdict(self) -> str:
        """What may be said of the difference."""
        if not self.significant:
            return "not significant"
        return "better" if self.difference.mean > 0 else "worse"


@dataclass(frozen=True)
class Comparison:
    """Runs of one suite and protocol, the first being the baseline."""

    suite: str
    protocol: str
    fixed_tasks: int
    common: list[str]
    sides: list[Side]
    pairs: list[Pair]
    warnings: list[str]

    @property
    def common_sha256(self) -> str:
        """Hash of the common set."""
        return list_sha256(self.common)

    def to_json(self) -> dict[str, Any]:
        """Return plain JSON."""
        value = asdict(self)
        value["common_sha256"] = self.common_sha256
        for pair, plain in zip(self.pairs, value["pairs"], strict=True):
            plain["verdict"] = pair.verdict
        return value

    def for_report(self) -> dict[str, Any]:
        """Return what ``ise report --comparison`` reads: pass@1 of each run, and the first pair's test."""
        first = self.pairs[0]
        return {
            "title": f"pass@1 on {self.suite}, {len(self.common)} tasks",
            "runs": [
                {
                    "label": f"{side.name} ({side.agent})",
                    "passed": side.common.passed,
                    "total": side.common.trials,
                    "low": side.common.interval[0],
                    "high": side.common.interval[1],
                }
                for side in self.sides
            ],
            "p_value": first.p,
            "gained": first.better,
            "lost": first.worse,
            "note": f"{first.other} against {first.baseline}: {first.verdict} (exact McNemar, 95 % intervals)",
        }


def compare(*runs: Run | Path | str, resamples: int = 10_000) -> Comparison:
    """Compare runs, the first being the baseline.

    Args:
        runs: two or more run folders, or runs already loaded.
        resamples: bootstrap samples.

    Raises:
        UserError: fewer than two runs, not a run, or runs of different suites or protocols.
    """
    loaded = [run if isinstance(run, Run) else load_run(run) for run in runs]
    if len(loaded) < 2:
        raise UserError(f"a comparison needs at least two runs, got {len(loaded)}.")
    first = loaded[0]
    for other in loaded[1:]:
        _check_comparable(first, other)
    names = _names(loaded)
    ids = [task.id for task in first.card.tasks]
    others = [{task.id for task in run.card.tasks} for run in loaded[1:]]
    common = [task for task in ids if all(run.verdicts(task) for run in loaded)]
    sides = [_side(name, run, common) for name, run in zip(names, loaded, strict=True)]
    pairs = _pairs(names, loaded, common, resamples)
    return Comparison(
        suite=first.card.suite,
        protocol=first.card.protocol,
        fixed_tasks=len(ids),
        common=common,
        sides=sides,
        pairs=pairs,
        warnings=_warnings(names, loaded, others, set(ids)),
    )


def _check_comparable(a: Run, b: Run) -> None:
    where = f"{a.path} and {b.path} can't be compared"
    if a.card.suite != b.card.suite:
        raise UserError(f"{where}: the suites are {a.card.suite!r} and {b.card.suite!r}.")
    if a.card.protocol != b.card.protocol:
        raise UserError(
            f"{where}: the protocols are {a.card.protocol!r} and {b.card.protocol!r}, and their figures "
            "mean different things. Run both with the same --protocol."
        )
    if a.card.suite_sha256 != b.card.suite_sha256:
        raise UserError(
            f"{where}: both played {a.card.suite!r}, but in different versions "
            f"({a.card.suite_sha256[:12]} and {b.card.suite_sha256[:12]}). Run one of them again."
        )


def _names(runs: Sequence[Run]) -> list[str]:
    """Folder names, made distinct by as much of the path as it takes."""
    names = [run.path.name for run in runs]
    if len(set(names)) == len(names):
        return names
    return [str(run.path) for run in runs]


def _side(name: str, run: Run, common: Sequence[str]) -> Side:
    missing: dict[str, str] = {}
    for task in run.card.tasks:
        if not run.verdicts(task.id):
            found = [t.outcome for (key, _), t in run.trials.items() if key == task.id]
            missing[task.id] = found[0] if found else "not played"
    return Side(
        name=name,
        agent=run.card.agent,
        common=rate(run.verdicts(task) for task in common),
        fixed=fixed_rate(run),
        missing=missing,
    )


def _pairs(names: Sequence[str], runs: Sequence[Run], common: Sequence[str], resamples: int) -> list[Pair]:
    if not common:
        return []
    base = [share_passed(runs[0].verdicts(task)) for task in common]
    rows = []
    for run in runs[1:]:
        shares = [share_passed(run.verdicts(task)) for task in common]
        better = sum(b > a for a, b in zip(base, shares, strict=True))
        worse = sum(b < a for a, b in zip(base, shares, strict=True))
        rows.append((shares, better, worse, mcnemar_exact(better, worse)))
    adjusted = holm([row[3] for row in rows])
    n = len(common)
    return [
        Pair(
            baseline=names[0],
            other=name,
            better=better,
            worse=worse,
            equal=n - better - worse,
            difference=paired_bootstrap(base, shares, resamples=resamples),
            p=p,
            p_holm=p_holm,
            detectable=minimum_detectable_difference(n, (better + worse) / n),
        )
        for name, (shares, better, worse, p), p_holm in zip(names[1:], rows, adjusted, strict=True)
    ]


def _warnings(
    names: Sequence[str], runs: Sequence[Run], others: Sequence[set[str]], ids: set[str]
) -> list[str]:
    found = []
    for name, run, theirs in zip(names[1:], runs[1:], others, strict=True):
        if theirs != ids:
            found.append(
                f"{name} has another task list than {names[0]} ({len(theirs)} tasks, {len(theirs & ids)} in "
                "both): compare the common set only."
            )
        keys = sorted({*run.card.options, *runs[0].card.options})
        for key in keys:
            mine, base = run.card.options.get(key), runs[0].card.options.get(key)
            if mine != base:
                found.append(f"{name} ran with {key}={mine!r}, {names[0]} with {base!r}.")
        if run.card.trials != runs[0].card.trials:
            found.append(f"{name} has {run.card.trials} trials a task, {names[0]} {runs[0].card.trials}.")
    for name, run in zip(names, runs, strict=True):
        errors = sum(t.outcome not in VERDICTS for t in run.trials.values())
        unplayed = len(run.card.tasks) * run.card.trials - len(run.trials)
        if errors or unplayed:
            found.append(
                f"{name} is not complete: {errors} trials ended in an error and {unplayed} were not played. "
                "The same run command resumes it."
            )
    return found
