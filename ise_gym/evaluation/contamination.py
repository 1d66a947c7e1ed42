"""Whether a model was trained on the tasks that it is about to be judged on.

The catalog keeps held-out instances apart by their fingerprint, but a store may come from elsewhere, or from a
rollout of the suite itself; so the instances of every training trajectory are looked up in the suite.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ise_gym.errors import UserError
from ise_gym.trajectory.store import read_trajectories


@dataclass
class Overlap:
    """What a check found.

    Attributes:
        trajectories: how many were looked at; ``without``: of them, how many carry no fingerprints.
        shared: fingerprint of the suite → episodes that were trained on it.
    """

    trajectories: int = 0
    without: int = 0
    shared: dict[str, list[str]] = field(default_factory=dict)

    def require_clean(self, suite: str) -> None:
        """Refuse to go on when training and suite share an instance.

        Raises:
            UserError: how many, with examples.
        """
        if self.shared:
            episodes = sorted({episode for found in self.shared.values() for episode in found})
            raise UserError(
                f"contaminated: {len(self.shared)} task instances of suite {suite} occur in {len(episodes)} training "
                f"episodes (for example {', '.join(episodes[:3])}). Train on other data, or pass "
                "--allow-contaminated to run anyway (the run card records it)."
            )


def check_stores(fingerprints: Iterable[str], stores: Iterable[str | Path]) -> Overlap:
    """Look for a suite's task instances in trajectory stores (or JSONL files of trajectories).

    Raises:
        UserError: a path that is no store.
    """
    wanted, found = set(fingerprints), Overlap()
    for store in stores:
        for trajectory in read_trajectories(store):
            found.trajectories += 1
            prints = prints_of(trajectory.metadata)
            found.without += not prints
            for shared in prints & wanted:
                found.shared.setdefault(shared, []).append(trajectory.episode_id)
    return found


def prints_of(metadata: Mapping[str, Any]) -> set[str]:
    """Fingerprints that a trajectory's metadata carries."""
    value = metadata.get("fingerprints") or ()
    return {str(one) for one in (value.values() if isinstance(value, Mapping) else value)}
