"""The four role principles of a simulated user, as code: what a model is told, who watches over it, how it is measured.

Named after the Simulate stage of arXiv 2606.11520; the wording of the prompts is this project's own. A principle
that is only a sentence in a prompt cannot be checked, so each has its detectors, and its measure is the share of
turns that keep it. A detector says itself which principle it watches over (`ise_gym.simulator.detectors.base.watches`),
so one from a package counts as the built-in ones do.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from ise_gym.simulator.detectors import DETECTORS
from ise_gym.simulator.detectors.base import principle_watched
from ise_gym.simulator.roles import PROMPTS


@dataclass(frozen=True)
class Principle:
    """One role principle.

    Attributes:
        name: as the statistics call it.
        prompt: what a model that plays the user is told.
    """

    name: str
    prompt: str

    @property
    def detectors(self) -> tuple[str, ...]:
        """Names of the detectors that fire when it is broken, those of installed packages included."""
        return tuple(name for name in DETECTORS if principle_of(name) == self.name)

    def kept(self, turns: Sequence[Iterable[str]]) -> float:
        """Return the share of turns that keep the principle, in [0, 1]; 1.0 for no turns.

        Args:
            turns: for each user turn the names of the detectors that fired.

        >>> PRINCIPLES["register_matching"].kept([[], ["register_break"], ["empty_turn"], []])
        0.75
        """
        broken = sum(1 for fired in turns if set(fired) & set(self.detectors))
        return 1.0 - broken / len(turns) if turns else 1.0


PRINCIPLES: Mapping[str, Principle] = {name: Principle(name, prompt) for name, prompt in PROMPTS.items()}
"""Name → principle, in the order of the paper."""


def principle_of(detector: str) -> str:
    """Return the principle that a detector watches over; "" for one that names none, and for a judge's verdict."""
    return principle_watched(DETECTORS[detector]) if detector in DETECTORS else ""


def scorecard(turns: Sequence[Iterable[str]]) -> dict[str, float]:
    """Return the measure of every principle over turns given as fired detectors."""
    listed = [tuple(fired) for fired in turns]
    return {name: principle.kept(listed) for name, principle in PRINCIPLES.items()}
