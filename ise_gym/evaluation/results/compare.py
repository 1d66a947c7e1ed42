"""Paired comparison of runs over the tasks that all of them were judged on.

The first run is the baseline. The common set is the paper's denominator, but it depends on outcomes (a model
that crashes on hard tasks shrinks it), so the figure over the fixed task list is beside it, and the list's
hash is printed. "Not significant" is said where it is so, with the difference that so many tasks could have shown.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from ise_gym.errors import UserError
from ise_gym.evaluation.ledger import VERDICTS
from ise_gym.evaluation.results.intervals import Difference, difference
from ise_gym.evaluation.results.stats import holm, mcnemar_exact, minimum_detectable_difference
from ise_gym.evaluation.results.summary import (
    NO_RATE,
    Rate,
    first_rate,
    fixed_rate,
    rate,
    share_passed,
    summarise,
)
from ise_gym.evaluation.results.terms import (
    PACKAGES,
    SEED,
    changed_text,
    check_comparable,
    other_terms,
    unknown_terms,
)
from ise_gym.evaluation.run import Run, list_sha256, load_run
from ise_gym.statistics import Interval

ALPHA = 0.05


@dataclass(frozen=True)
class Side:
    """One run within a comparison.

    Attributes:
        common: pass@1 over the common set. ``fixed``: over the fixed list, missing counted as not passed.
        missing: tasks of the fixed list without a verdict → the outcome that they have instead.
        first: passes at the first attempt, over the common set, where they are known.
        at_k: pass@k and pass^k as of `ise_gym.evaluation.results.summary.RunSummary`; ``intervals``: theirs.
    """

    name: str
    agent: str
    common: Rate
    fixed: Rate
    missing: dict[str, str]
    first: Rate = NO_RATE
    at_k: dict[str, float] = field(default_factory=dict)
    intervals: dict[str, Interval] = field(default_factory=dict)


@dataclass(frozen=True)
class Pair:
    """A run against the baseline, over the common set.

    Attributes:
        better, worse, equal: tasks on which the run passes more often than the baseline, less often, equally.
        difference: mean difference of pass rates (run - baseline) with its 95 % interval over tasks.
        p: exact McNemar; with several trials per task the same test on the signs of the per-task differences.
        p_holm: adjusted for the number of runs compared.
        detectable: smallest true difference found with 80 % power, given the observed disagreement.
        first: the same difference for passes at the first attempt, over the tasks where both know them.
        differs: terms that the two runs don't share (`ise_gym.evaluation.results.terms`), apart from the agent's own.
    """

    baseline: str
    other: str
    better: int
    worse: int
    equal: int
    difference: Difference
    p: float
    p_holm: float
    detectable: float | None
    first: Difference | None = None
    differs: tuple[str, ...] = ()

    @property
    def significant(self) -> bool:
        """Whether the adjusted p-value is below 0.05."""
        return self.p_holm < ALPHA

    @property
    def verdict(self) -> str:
        """What may be said of the difference: not that a model is better where more than the model differs."""
        if not self.significant:
            return "not significant"
        word = "better" if self.difference.mean > 0 else "worse"
        return f"{word}, but {', '.join(self.differs)} differ" if self.differs else word


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


def compare(*runs: Run | Path | str) -> Comparison:
    """Compare runs, the first being the baseline.

    Args:
        runs: two or more run folders, or runs already loaded.

    Raises:
        UserError: fewer than two runs, not a run, or runs of different suites or protocols, or of a suite whose tasks
            were changed between them.
    """
    loaded = [run if isinstance(run, Run) else load_run(run) for run in runs]
    if len(loaded) < 2:
        raise UserError(f"a comparison needs at least two runs, got {len(loaded)}.")
    first = loaded[0]
    for other in loaded[1:]:
        check_comparable(first, other)
    names = _names(loaded)
    ids = [task.id for task in first.card.tasks]
    others = [{task.id for task in run.card.tasks} for run in loaded[1:]]
    common = [task for task in ids if all(run.verdicts(task) for run in loaded)]
    terms = [other_terms(first, run) for run in loaded[1:]]
    sides = [_side(name, run, common) for name, run in zip(names, loaded, strict=True)]
    pairs = _pairs(names, loaded, common, terms)
    return Comparison(
        suite=first.card.suite,
        protocol=first.card.protocol,
        fixed_tasks=len(ids),
        common=common,
        sides=sides,
        pairs=pairs,
        warnings=_warnings(names, loaded, others, set(ids), terms),
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
    summary = summarise(run)
    return Side(
        name=name,
        agent=run.card.agent,
        common=rate(run.verdicts(task) for task in common),
        fixed=fixed_rate(run),
        missing=missing,
        first=first_rate(run.verdicts(task) for task in common),
        at_k=summary.at_k,
        intervals=summary.intervals,
    )


_NOTED = frozenset({"agent_options", "contamination", PACKAGES, SEED})
"""What is noted and puts no verdict in question: what belongs to the agent, which is compared, and chance."""


def _pairs(
    names: Sequence[str], runs: Sequence[Run], common: Sequence[str], terms: Sequence[Mapping[str, str]]
) -> list[Pair]:
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
            difference=difference(base, shares),
            p=p,
            p_holm=p_holm,
            detectable=minimum_detectable_difference(n, (better + worse) / n),
            first=_first_difference(runs[0], run, common),
            differs=tuple(term for term in differs if term not in _NOTED),
        )
        for name, run, (shares, better, worse, p), p_holm, differs in zip(
            names[1:], runs[1:], rows, adjusted, terms, strict=True
        )
    ]


def _first_difference(base: Run, run: Run, common: Sequence[str]) -> Difference | None:
    known = [(first_rate([base.verdicts(task)]), first_rate([run.verdicts(task)])) for task in common]
    both = [(a.value, b.value) for a, b in known if a.tasks and b.tasks]
    return difference([a for a, _ in both], [b for _, b in both]) if both else None


def _warnings(
    names: Sequence[str],
    runs: Sequence[Run],
    others: Sequence[set[str]],
    ids: set[str],
    terms: Sequence[Mapping[str, str]],
) -> list[str]:
    found = []
    for name, run in zip(names, runs, strict=True):
        if told := unknown_terms(run):
            found.append(f"{name} {told}.")
        if run.card.changed:
            found.append(f"{name}: {changed_text(run.card.changed)}.")
    for name, run, theirs, differs in zip(names[1:], runs[1:], others, terms, strict=True):
        if theirs != ids:
            found.append(
                f"{name} has another task list than {names[0]} ({len(theirs)} tasks, {len(theirs & ids)} in "
                "both): compare the common set only."
            )
        found += [
            told + "." if told.startswith(run.name) else f"{name} and {names[0]}: {told}."
            for told in differs.values()
        ]
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
