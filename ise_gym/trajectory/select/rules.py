"""The rules of a selection: what each asks, what it is called, and the settings that switch it.

A rule of the first kind looks at one episode alone. One of the second kind looks at what was kept so far, so the order
in which episodes are looked at matters: it is drawn from the seed.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from ise_gym.errors import UserError, nearest

EPISODE_RULES: Mapping[str, str] = {
    "outcome": "it passed: verified by checks, or judged so where no check decides",
    "claims": "the agent claimed nothing that the evidence denies",
    "grounding": "every figure, path and address of a reply stands in what the agent saw before it",
    "whole": "no message is cut off or broken",
    "thinking": "the agent thought before it spoke or called (only where --thinking asks for it)",
    "guard": "no user turn was refused by the role guard, replaced by the script, or drifted past it",
    "secrets": "nothing in it looks like a credential",
    "personal": "nothing in it looks like personal data",
}
"""Rules that look at one episode alone, in the order in which they are named."""

SET_RULES: Mapping[str, str] = {
    "best": "it is among the best of its intent",
    "duplicate": "the agent's side, names and figures masked, is not nearly that of one kept before",
    "task": "none of its tasks has as many episodes as one may have",
    "skeleton": "most of its requests are worked on by a plan that is not used up",
    "sentence": "most of the agent's sentences are not used up",
    "language": "its language has not more than its share",
    "length": "its length has not more than its share",
    "recovery": "episodes without a recovered failure have not more than their share",
    "count": "it is among the first that were asked for",
}
"""Rules that look at what was kept before, in the order in which they are applied."""

RULES: Mapping[str, str] = {**EPISODE_RULES, **SET_RULES}

FOLDER = "selection"
"""Of a selected store: what was read and decided, the card and the page."""

LENGTHS: Mapping[str, tuple[int, float]] = {
    "short": (0, 8_000),
    "medium": (8_000, 32_000),
    "long": (32_000, float("inf")),
}
"""Class of length → characters of an episode's messages without the system's, from and below."""

ORDERS: Mapping[str, str] = {
    "grounded": "the share of figures, paths and addresses that stand in what the agent saw",
    "failed": "the fewest calls that failed",
    "short": "the fewest messages, then characters",
}
"""What "best of its intent" may mean, in the order given."""


@dataclass(frozen=True)
class Selection:
    """What a training set is made of; the defaults are the rules that cost nothing good.

    Attributes:
        outcomes: allowed outcomes.
        without: names of `RULES` that are switched off.
        best: most episodes of one intent; 0 is any number.
        best_by: names of `ORDERS`, the first decides.
        thinking: least share of the agent's messages that have a thought, in [0, 1]; 0 asks for none.
        near: estimated Jaccard similarity from which two agent sides count as the same; 0 compares nothing.
        per_task, per_skeleton, per_sentence: most episodes with one task, plan skeleton, sentence; 0 is any number.
        languages, lengths: class → its most share; a class that isn't named is not bounded.
        recovery: least share of episodes with a recovered failure. None keeps the share that the fit episodes have
            when the best of an intent are chosen, and drops none for it.
        count: most episodes; 0 is any number.
        seed: of the order.
    """

    outcomes: tuple[str, ...] = ("passed", "judged_passed")
    without: tuple[str, ...] = ()
    best: int = 1
    best_by: tuple[str, ...] = tuple(ORDERS)
    thinking: float = 0.0
    near: float = 0.9
    per_task: int = 0
    per_skeleton: int = 0
    per_sentence: int = 0
    languages: Mapping[str, float] = field(default_factory=dict)
    lengths: Mapping[str, float] = field(default_factory=dict)
    recovery: float | None = None
    count: int = 0
    seed: int = 0

    def __post_init__(self) -> None:
        """Refuse what nothing can keep.

        Raises:
            UserError: an unknown name, or a figure out of its range.
        """
        for name in self.without:
            _known(name, RULES, "rule")
        for name in self.best_by:
            _known(name, ORDERS, "order")
        for name in self.lengths:
            _known(name, LENGTHS, "length")
        for name, value in (
            ("thinking", self.thinking),
            ("near", self.near),
            ("recovery", self.recovery or 0.0),
        ):
            if not 0 <= value <= 1:
                raise UserError(f"--{name} {value:g} is no share: give a number from 0 to 1.")
        for name in ("best", "per_task", "per_skeleton", "per_sentence", "count"):
            if getattr(self, name) < 0:
                raise UserError(f"--{name.replace('_', '-')} {getattr(self, name)} is below 0.")
        for kind, shares in (("language", self.languages), ("length", self.lengths)):
            _check_shares(kind, shares)

    def on(self, rule: str) -> bool:
        """Tell whether a rule is switched on."""
        return rule not in self.without

    def episode_rules(self) -> dict[str, object]:
        """Return the settings that the verdict on one episode alone depends on."""
        return {"outcomes": list(self.outcomes), "thinking": self.thinking}


def _known(name: str, known: Mapping[str, object], kind: str) -> None:
    if name not in known:
        raise UserError(f"unknown {kind} '{name}'; known: {', '.join(known)}.{nearest(name, tuple(known))}")


def _check_shares(kind: str, shares: Mapping[str, float]) -> None:
    for name, share in shares.items():
        if not 0 <= share <= 1:
            raise UserError(f"--{kind} {name}={share:g} is no share: give a number from 0 to 1.")
    if shares and sum(shares.values()) < 1 - 1e-9 and kind == "length" and set(shares) == set(LENGTHS):
        raise UserError(
            f"--{kind}: the shares of all classes sum to {sum(shares.values()):g}; they must reach 1."
        )
