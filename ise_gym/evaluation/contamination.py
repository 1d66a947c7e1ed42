"""Whether a model was trained on the tasks that it is about to be judged on.

The catalog keeps held-out instances apart by their fingerprint, but training data may come from elsewhere, or from a
rollout of the suite itself, and an export carries no fingerprints at all. So four things are looked up: the instances'
fingerprints, the scenarios' ids, the split that a record names, and the words in which the suite's tasks are asked.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ise_gym.errors import UserError
from ise_gym.evaluation.manifest import HELD_OUT, Manifest
from ise_gym.evaluation.suite import SuiteSource
from ise_gym.evaluation.trained import conversations

SHORTEST = 20
"""Letters and digits of a scenario's requests below which its words are too few to tell anything."""

BY = {
    "instances": "task instances",
    "scenarios": "scenarios by id",
    "split": "episodes of the held-out split",
    "words": "scenarios by their words",
}
"""How an overlap was found → what is counted."""


@dataclass
class Overlap:
    """What a check found.

    Attributes:
        trajectories: how many were looked at; ``without``: of them, how many carry no fingerprints.
        found: how (`BY`) → what of the suite → episodes (or file and line) that were trained on it.
    """

    trajectories: int = 0
    without: int = 0
    found: dict[str, dict[str, list[str]]] = field(default_factory=dict)

    @property
    def shared(self) -> dict[str, list[str]]:
        """Fingerprint of the suite → episodes that were trained on it."""
        return self.found.get("instances", {})

    def note(self, how: str, what: str, episode: str) -> None:
        """Count one."""
        self.found.setdefault(how, {}).setdefault(what, []).append(episode)

    def figures(self) -> dict[str, int]:
        """Return the counts that a run card keeps."""
        return {
            "trajectories": self.trajectories,
            "without_fingerprints": self.without,
            **{f"shared_{how}": len(self.found.get(how, {})) for how in BY},
        }

    def text(self) -> str:
        """Say what was looked at and what was found."""
        bare = (
            f" ({self.without} carry no fingerprints: looked up by id, split and words)"
            if self.without
            else ""
        )
        counts = ", ".join(f"{len(found)} {BY[how]}" for how, found in self.found.items())
        return f"{self.trajectories} training conversations{bare} share {counts or 'nothing'} with the suite"

    def require_clean(self, suite: str) -> None:
        """Refuse to go on when training and suite share anything.

        Raises:
            UserError: how much, with examples.
        """
        if self.found:
            episodes = sorted(
                {one for found in self.found.values() for where in found.values() for one in where}
            )
            counts = ", ".join(f"{len(found)} {BY[how]}" for how, found in self.found.items())
            raise UserError(
                f"contaminated: {counts} of suite {suite} occur in {len(episodes)} of {self.trajectories} training "
                f"conversations (for example {', '.join(episodes[:3])}). Train on other data, or pass "
                "--allow-contaminated to run anyway (the run card records it)."
            )


def check_training_data(manifest: Manifest, paths: Iterable[str | Path]) -> Overlap:
    """Look for a suite's tasks in training data.

    Args:
        manifest: the suite.
        paths: what `ise_gym.evaluation.trained.conversations` reads.

    Raises:
        UserError: a path that is none of these.
    """
    prints, ids = manifest.fingerprints(), {entry.id for _, entry in manifest.numbered()}
    asked = _words_of(manifest)
    found = Overlap()
    for path in paths:
        for where, row in conversations(path):
            found.trajectories += 1
            name = str(row.get("episode_id") or row.get("session_id") or row.get("id") or where)
            carried = fingerprints_of(row)
            found.without += not carried
            for shared in carried & prints:
                found.note("instances", shared, name)
            if (scenario := _scenario_of(row)) in ids:
                found.note("scenarios", scenario, name)
            if _split_of(row) == HELD_OUT:
                found.note("split", name, name)
            said = _said(row["messages"])
            for scenario, requests in asked.items():
                if all(request in said for request in requests):
                    found.note("words", scenario, name)
    return found


def fingerprints_of(row: Mapping[str, object]) -> set[str]:
    """Return the fingerprints of task instances that a record carries, in its own metadata or an export's."""
    value = _metadata(row).get("fingerprints") or ()
    return {str(one) for one in (value.values() if isinstance(value, Mapping) else value)}


def _metadata(row: Mapping[str, object]) -> Mapping[str, Any]:
    kept = _ours(row).get("metadata", row.get("metadata"))
    return kept if isinstance(kept, Mapping) else {}


def _ours(row: Mapping[str, object]) -> Mapping[str, Any]:
    """Return the rest of our own record that an export keeps: isetrace under ``metadata``, ATIF under ``extra``."""
    for name in ("metadata", "extra"):
        outer = row.get(name)
        inner = outer.get("ise_gym") if isinstance(outer, Mapping) else None
        if isinstance(inner, Mapping):
            return inner
    return {}


def _split_of(row: Mapping[str, object]) -> str:
    return str(row.get("split") or _ours(row).get("split") or "")


def _scenario_of(row: Mapping[str, object]) -> str:
    return str(row.get("scenario_id") or row.get("intent_id") or _ours(row).get("scenario_id") or "")


def _words_of(manifest: Manifest) -> dict[str, list[str]]:
    """Scenario → the letters of its requests, for those that have enough of them."""
    asked = {
        scenario.id: [_letters(request.text) for request in scenario.requests]
        for scenario in SuiteSource(manifest)
    }
    return {name: requests for name, requests in asked.items() if sum(map(len, requests)) >= SHORTEST}


def _said(messages: Sequence[object]) -> str:
    words = (
        str(m.get("content") or "") for m in messages if isinstance(m, Mapping) and m.get("role") == "user"
    )
    return "\n".join(map(_letters, words))


def _letters(text: str) -> str:
    """Only letters and digits, in lower case: what a voice adds around a request doesn't hide it."""
    return "".join(c for c in text.lower() if c.isalnum())
