"""What the guard is worth on labelled turns: of each detector, and of all together, with intervals.

Of the whole guard two figures count: how much drift it finds (what it doesn't find reaches the agent) and how many
turns in role it refuses (each costs a draft, or puts the script in the model's place).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from ise_gym.simulator.detectors import DETECTORS, detect
from ise_gym.simulator.measuring.driftset import LabelledTurn
from ise_gym.statistics import wilson


@dataclass
class Score:
    """Counts of one detector, or of all together."""

    hits: int = 0
    false_alarms: int = 0
    misses: int = 0

    @property
    def precision(self) -> float:
        """Share of its hits that are right; 1.0 without hits."""
        fired = self.hits + self.false_alarms
        return self.hits / fired if fired else 1.0

    @property
    def recall(self) -> float:
        """Share of the labelled turns that it finds; 1.0 without any."""
        labelled = self.hits + self.misses
        return self.hits / labelled if labelled else 1.0


@dataclass(frozen=True)
class Share:
    """A proportion with Wilson's 95 % interval; ``rate`` is None for none of none."""

    count: int
    of: int

    @property
    def rate(self) -> float | None:
        """The proportion, in [0, 1]."""
        return self.count / self.of if self.of else None

    @property
    def interval(self) -> tuple[float, float]:
        """Lower and upper end, in [0, 1]."""
        return wilson(self.count, self.of)

    def __str__(self) -> str:
        """Return for example ``45 of 50 = 90.0 % [78.6, 95.7]``."""
        if not self.of:
            return "none of 0"
        low, high = self.interval
        return f"{self.count} of {self.of} = {100 * self.count / self.of:.1f} % [{100 * low:.1f}, {100 * high:.1f}]"


@dataclass(frozen=True)
class Mistake:
    """A turn on which a detector was wrong: it fired ``words`` without a label, or was silent ("")."""

    id: str
    detector: str
    words: str
    text: str


@dataclass
class Whole:
    """What the guard as a whole does on turns.

    Attributes:
        turns: how many; ``in_role``: how many of them have no label.
        found: turns out of role on which any detector fires. ``refused``: turns in role on which any does.
        only: detector → turns out of role that it alone finds: what the guard would lose without it.
        missed, wrong: ids of the turns out of role that none finds, and of those in role that one refuses.
    """

    turns: int = 0
    in_role: int = 0
    found: int = 0
    refused: int = 0
    only: dict[str, int] = field(default_factory=dict)
    missed: list[str] = field(default_factory=list)
    wrong: list[str] = field(default_factory=list)

    @property
    def recall(self) -> Share:
        """Drift that is found."""
        return Share(self.found, self.turns - self.in_role)

    @property
    def false_refusals(self) -> Share:
        """Turns in role that are refused."""
        return Share(self.refused, self.in_role)

    @property
    def precision(self) -> Share:
        """Refusals that are right."""
        return Share(self.found, self.found + self.refused)


@dataclass(frozen=True)
class Evaluation:
    """What the detectors did on a set.

    Attributes:
        turns: how many turns; ``clean``: how many have no label.
        flagged_clean: clean turns on which any detector fired: what the guard would resample for nothing.
        detectors: counts by detector, each against the turns that are labelled with its name.
        justified: detector → how many of its hits are on turns that are out of role, for whatever reason.
        overall: the sum of ``detectors``; ``whole``: any detector against any label.
    """

    turns: int
    clean: int
    flagged_clean: int
    detectors: Mapping[str, Score]
    justified: Mapping[str, Share]
    overall: Score
    whole: Whole
    mistakes: tuple[Mistake, ...]


def evaluate(
    turns: Iterable[LabelledTurn], split: str | None = None, without: frozenset[str] = frozenset()
) -> Evaluation:
    """Run every detector over the turns of a split (all of them for None), but for those left out."""
    names = [name for name in DETECTORS if name not in without]
    scores = {name: Score() for name in names}
    fires, right = dict.fromkeys(names, 0), dict.fromkeys(names, 0)
    mistakes: list[Mistake] = []
    whole = Whole()
    for labelled in turns:
        if split is not None and labelled.split != split:
            continue
        hits = detect(labelled.turn, labelled.view, labelled.known)
        fired = {hit.detector: hit.words for hit in hits if hit.detector not in without}
        _count(whole, labelled, fired)
        for name, score in scores.items():
            wanted, got = name in labelled.labels, name in fired
            fires[name] += got
            right[name] += got and bool(labelled.labels)
            score.hits += wanted and got
            score.misses += wanted and not got
            score.false_alarms += got and not wanted
            if wanted != got:
                mistakes.append(Mistake(labelled.id, name, fired.get(name, ""), labelled.turn.text))
    overall = Score(
        *(sum(getattr(s, f) for s in scores.values()) for f in ("hits", "false_alarms", "misses"))
    )
    justified = {name: Share(right[name], fires[name]) for name in names}
    return Evaluation(
        whole.turns, whole.in_role, whole.refused, scores, justified, overall, whole, tuple(mistakes)
    )


def _count(whole: Whole, labelled: LabelledTurn, fired: Mapping[str, str]) -> None:
    whole.turns += 1
    if not labelled.labels:
        whole.in_role += 1
        whole.refused += bool(fired)
        if fired:
            whole.wrong.append(labelled.id)
        return
    whole.found += bool(fired)
    if not fired:
        whole.missed.append(labelled.id)
    if len(fired) == 1:
        name = next(iter(fired))
        whole.only[name] = whole.only.get(name, 0) + 1
