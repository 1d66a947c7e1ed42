"""Chooses among episodes by their facts: the best of each intent, nothing twice, no more of anything than its share.

Everything is a function of the facts and the seed, not of the order in which episodes are in a store.
"""

from __future__ import annotations

import hashlib
import math
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from ise_gym.errors import UserError
from ise_gym.intents.pool.dedup import Deduplicator
from ise_gym.trajectory.select.facts import Facts
from ise_gym.trajectory.select.rules import EPISODE_RULES, SET_RULES, Selection

STALE = 0.5
"""An episode falls to the cap of skeletons or sentences when more than this share of its own are used up."""


@dataclass
class Chosen:
    """What a selection chose.

    Attributes:
        seen: episodes looked at.
        kept: ids of the chosen ones, in the order in which they were chosen.
        fell: id → (the first rule that it fell to, why).
        broken: rule → how many episodes break it, alone or with others, switched on or not.
        alone: rule → how many break only this one of the rules that are switched on.
    """

    seen: int = 0
    kept: list[str] = field(default_factory=list)
    fell: dict[str, tuple[str, str]] = field(default_factory=dict)
    broken: Counter[str] = field(default_factory=Counter)
    alone: Counter[str] = field(default_factory=Counter)

    def by_rule(self) -> dict[str, int]:
        """Return rule → how many fell to it first, in the order of the rules, with zeros."""
        first = Counter(rule for rule, _ in self.fell.values())
        return {rule: first[rule] for rule in (*EPISODE_RULES, *SET_RULES)}


def choose(facts: Sequence[Facts], rules: Selection) -> Chosen:
    """Choose episodes.

    Raises:
        UserError: near duplicates are looked for without the datasketch library, or shares leave nothing.
    """
    result = Chosen(seen=len(facts))
    fit = [entry for entry in facts if _fit(entry, rules, result)]
    kept = sorted(fit, key=lambda entry: _drawn(rules.seed, entry.intent, entry.id))
    for rule, apply in _STAGES.items():
        if not rules.on(rule) or not kept:
            continue
        before = kept
        why: dict[str, str] = {}
        kept = apply(before, rules, why)
        left = {entry.id for entry in kept}
        for entry in before:
            if entry.id not in left:
                result.fell[entry.id] = (rule, why.get(entry.id, ""))
                result.broken[rule] += 1
    result.kept = [entry.id for entry in kept]
    return result


def _fit(entry: Facts, rules: Selection, result: Chosen) -> bool:
    """Apply the rules that look at one episode alone, counting each that it breaks."""
    result.broken.update(entry.broken.keys())
    counted = [rule for rule in EPISODE_RULES if rule in entry.broken and rules.on(rule)]
    if len(counted) == 1:
        result.alone[counted[0]] += 1
    if counted:
        result.fell[entry.id] = (counted[0], entry.broken[counted[0]])
    return not counted


def _drawn(seed: int, *parts: str) -> str:
    return hashlib.sha256("\0".join((str(seed), *parts)).encode()).hexdigest()


Why = dict[str, str]
Stage = Callable[[Sequence[Facts], Selection, Why], list[Facts]]


def _best(fit: Sequence[Facts], rules: Selection, why: Why) -> list[Facts]:
    """Keep the best of each intent; where that loses recovered failures, one with them stands in for one without."""
    if not rules.best:
        return list(fit)
    groups: dict[str, list[Facts]] = defaultdict(list)
    for entry in fit:
        groups[entry.intent].append(entry)
    ranked = {intent: sorted(own, key=lambda e: _rank(e, rules)) for intent, own in groups.items()}
    chosen = {intent: own[: rules.best] for intent, own in ranked.items()}
    share = sum(e.recovered for e in fit) / len(fit) if rules.recovery is None else rules.recovery
    _keep_recoveries(ranked, chosen, share)
    why.update((entry.id, f"of {len(groups[entry.intent])} samples") for entry in fit)
    picked = {entry.id for own in chosen.values() for entry in own}
    return [entry for entry in fit if entry.id in picked]


def _rank(entry: Facts, rules: Selection) -> tuple[object, ...]:
    keys: Mapping[str, tuple[float, ...]] = {
        "grounded": (-entry.grounded,),
        "failed": (entry.failed,),
        "short": (entry.messages, entry.volume),
    }
    return (*(keys[name] for name in rules.best_by), _drawn(rules.seed, entry.id))


def _keep_recoveries(
    ranked: Mapping[str, Sequence[Facts]], chosen: Mapping[str, list[Facts]], share: float
) -> None:
    """Exchange the last chosen of an intent for its best sample with a recovery, until the share is reached."""
    total = sum(map(len, chosen.values()))
    have = sum(entry.recovered for own in chosen.values() for entry in own)
    for intent, own in chosen.items():
        if have >= math.floor(share * total + 1e-9):
            return
        if any(entry.recovered for entry in own):
            continue
        instead = next((entry for entry in ranked[intent][len(own) :] if entry.recovered), None)
        if instead is not None:
            own[-1] = instead
            have += 1


def _distinct(fit: Sequence[Facts], rules: Selection, why: Why) -> list[Facts]:
    """Keep the first of those whose masked agent side is nearly the same."""
    if not rules.near:
        return list(fit)
    index = Deduplicator("minhash", rules.near)
    sides: dict[str, str] = {}
    kept: list[Facts] = []
    for entry in fit:
        twin = sides.get(entry.side) or index.twin(entry.id, entry.minhash)
        if twin:
            why[entry.id] = f"nearly {twin}"
            continue
        sides[entry.side] = entry.id
        kept.append(entry)
    return kept


def _cap(setting: str, items: Callable[[Facts], Iterable[str]], share: float, what: str) -> Stage:
    """An episode falls when more than a share of its own items are in as many kept ones as the setting allows."""

    def apply(fit: Sequence[Facts], rules: Selection, why: Why) -> list[Facts]:
        most = getattr(rules, setting)
        if not most:
            return list(fit)
        used: Counter[str] = Counter()
        kept = []
        for entry in fit:
            own = set(items(entry))
            stale = sum(used[item] >= most for item in own)
            if own and stale > share * len(own):
                why[entry.id] = f"{stale} of its {len(own)} {what} are used up"
                continue
            used.update(own)
            kept.append(entry)
        return kept

    return apply


def _shares(kind: str, setting: str, of: Callable[[Facts], str]) -> Stage:
    def apply(fit: Sequence[Facts], rules: Selection, why: Why) -> list[Facts]:
        return _bounded(fit, getattr(rules, setting), of, kind)

    return apply


def _recovering(fit: Sequence[Facts], rules: Selection, why: Why) -> list[Facts]:
    if rules.recovery is None:
        return list(fit)
    return _bounded(
        fit, {"none": 1 - rules.recovery}, lambda e: "some" if e.recovered else "none", "recovery"
    )


def _bounded(
    fit: Sequence[Facts], most: Mapping[str, float], of: Callable[[Facts], str], kind: str
) -> list[Facts]:
    """Drop the last of each class that has more than its share, until none has.

    Raises:
        UserError: nothing would be left; says what there is.
    """
    kept = list(fit)
    while True:
        counts = Counter(of(entry) for entry in kept)
        over = [(c, counts[c]) for c in most if counts[c] > most[c] * len(kept) + 1e-9]
        if not over:
            break
        name, count = max(over, key=lambda pair: (pair[1] - most[pair[0]] * len(kept), pair[0]))
        rest = len(kept) - count
        room = rest * most[name] / (1 - most[name]) if most[name] < 1 else count
        surplus = max(count - math.floor(room + 1e-9), 1)
        drop = {entry.id for entry in [e for e in kept if of(e) == name][-surplus:]}
        kept = [entry for entry in kept if entry.id not in drop]
    if not kept:
        there = ", ".join(f"{c}: {n}" for c, n in sorted(Counter(map(of, fit)).items()))
        asked = ", ".join(f"{c}={share:g}" for c, share in most.items())
        raise UserError(
            f"the shares of {kind} ({asked}) leave nothing of what there is ({there}); loosen them."
        )
    return kept


def _first(fit: Sequence[Facts], rules: Selection, why: Why) -> list[Facts]:
    return list(fit[: rules.count]) if rules.count else list(fit)


_STAGES: Mapping[str, Stage] = {
    "best": _best,
    "duplicate": _distinct,
    "task": _cap("per_task", lambda entry: entry.tasks, 0.0, "tasks"),
    "skeleton": _cap("per_skeleton", lambda entry: entry.skeletons, STALE, "plans"),
    "sentence": _cap("per_sentence", lambda entry: entry.sentences, STALE, "sentences"),
    "language": _shares("language", "languages", lambda entry: entry.language),
    "length": _shares("length", "lengths", lambda entry: entry.length),
    "recovery": _recovering,
    "count": _first,
}
