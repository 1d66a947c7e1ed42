"""Whether a model was trained on the tasks that it is about to be judged on.

The catalog keeps held-out instances apart by their fingerprint, but training data may come from elsewhere, or from a
rollout of the suite itself, and an export carries no fingerprints at all. So four things are looked up: the instances'
fingerprints, the scenarios' ids, the split that a record names, and the words in which the suite's tasks are asked.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ise_gym.errors import UserError
from ise_gym.evaluation.manifest import HELD_OUT, Manifest
from ise_gym.evaluation.suite import SuiteSource
from ise_gym.trajectory.store import raw_records

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
        paths: trajectory stores, JSONL files of trajectories, and exports: JSONL or Parquet rows with ``messages``
            (the formats openai, trl and isetrace).

    Raises:
        UserError: a path that is none of these.
    """
    prints, ids = manifest.fingerprints(), {entry.id for _, entry in manifest.numbered()}
    asked = _words_of(manifest)
    found = Overlap()
    for path in paths:
        for where, row in rows(path):
            found.trajectories += 1
            name = str(row.get("episode_id") or row.get("session_id") or row.get("id") or where)
            carried = fingerprints_of(row)
            found.without += not carried
            for shared in carried & prints:
                found.note("instances", shared, name)
            if (scenario := str(row.get("scenario_id") or row.get("intent_id") or "")) in ids:
                found.note("scenarios", scenario, name)
            if _split_of(row) == HELD_OUT:
                found.note("split", name, name)
            said = _said(row.get("messages") or ())
            for scenario, requests in asked.items():
                if all(request in said for request in requests):
                    found.note("words", scenario, name)
    return found


def rows(path: str | Path) -> Iterator[tuple[str, Mapping[str, Any]]]:
    """Yield (where, row) of every record of a store, a JSONL file or a Parquet file.

    Raises:
        UserError: nothing there, or a row without ``messages``.
    """
    found = _parquet_rows(Path(path)) if Path(path).suffix == ".parquet" else _json_rows(path)
    for where, row in found:
        if not isinstance(row, Mapping) or not isinstance(row.get("messages"), list):
            raise UserError(
                f"{where}: it is not a conversation (no list 'messages'). Give a store, or an export of one "
                "(`ise export` in the formats openai, trl and isetrace, as JSONL or Parquet)."
            )
        yield where, row


def _json_rows(path: str | Path) -> Iterator[tuple[str, Any]]:
    for file, number, line in raw_records(path):
        where = f"{file}, line {number}"
        try:
            yield where, json.loads(line)
        except ValueError as error:
            raise UserError(f"{where}: it is not JSON ({error}).") from error


def _parquet_rows(path: Path) -> Iterator[tuple[str, Any]]:
    try:
        import pyarrow.parquet as pq
    except ImportError as error:
        raise UserError(f"{path}: reading Parquet needs pyarrow: pip install 'ise-gym[train]'.") from error
    try:
        file = pq.ParquetFile(path)
    except (OSError, ValueError) as error:
        raise UserError(f"{path}: it can't be read as Parquet ({error}).") from error
    number = 0
    for batch in file.iter_batches(batch_size=256):
        for row in batch.to_pylist():
            number += 1
            yield f"{path}, row {number}", {name: _decoded(value) for name, value in row.items()}


def _decoded(value: object) -> Any:
    """Decode the JSON texts that a column of messages holds."""
    if isinstance(value, list):
        return [json.loads(item) if isinstance(item, str) else item for item in value]
    return value


def fingerprints_of(row: Mapping[str, object]) -> set[str]:
    """Return the fingerprints of task instances that a record carries, in its own metadata or an export's."""
    value = _metadata(row).get("fingerprints") or ()
    return {str(one) for one in (value.values() if isinstance(value, Mapping) else value)}


def _metadata(row: Mapping[str, object]) -> Mapping[str, Any]:
    metadata = row.get("metadata")
    if not isinstance(metadata, Mapping):
        return {}
    inner = metadata.get("ise_gym")  # an isetrace record keeps the rest of ours there
    kept = inner.get("metadata") if isinstance(inner, Mapping) else None
    return kept if isinstance(kept, Mapping) else metadata


def _split_of(row: Mapping[str, object]) -> str:
    metadata = row.get("metadata")
    inner = metadata.get("ise_gym") if isinstance(metadata, Mapping) else None
    return str(row.get("split") or (inner.get("split") if isinstance(inner, Mapping) else "") or "")


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
