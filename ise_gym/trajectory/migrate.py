"""Records of older schema versions → the present one, as they are read.

A record names its version, and each function here goes one version up, so a store may hold lines of several: what
was recorded is never rewritten. A new version adds a function, raises `ise_gym.trajectory.record.SCHEMA_VERSION` by
one, and adds a sample of the version before to the tests.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from ise_gym.foreign.values import Json
from ise_gym.trajectory.record import SCHEMA_VERSION

Record = dict[str, Any]


def from_0(record: Record) -> Record:
    """Drafts had ``success`` and ``error`` for an outcome, one reward a step, and the persona's name alone."""
    new = {k: v for k, v in record.items() if k not in ("success", "error", "rewards", "persona")}
    error = str(record.get("error") or "")
    if error:
        new["outcome"], new["reason"] = "infrastructure_error", error
    else:
        new["outcome"] = "passed" if record.get("success") else "failed"
    rewards = record.get("rewards") or []
    spoken = [n for n, m in enumerate(record.get("messages") or []) if m["role"] == "assistant"]
    score, steps = 0.0, []
    for position, reward in zip(spoken, rewards, strict=False):
        score += reward
        steps.append({"message": position, "reward": reward, "score": score})
    new["steps"], new["score"] = steps, score
    new["persona"] = {"name": record["persona"]} if record.get("persona") else {}
    return {**new, "schema_version": 1}


def from_1(record: Record) -> Record:
    """A score of 0 stood where nothing was verified; all else that version 2 has is absent where it is not known."""
    new = {**record, "schema_version": 2}
    if record.get("outcome") == "unverified":
        new["score"] = None
    return new


MIGRATIONS: Mapping[int, Callable[[Record], Record]] = {0: from_0, 1: from_1}
"""Version → what turns a record of it into one of the next."""

READABLE: tuple[int, ...] = (*sorted(MIGRATIONS), SCHEMA_VERSION)
"""Versions that this release reads."""


def upgraded(record: Json) -> Any:
    """Return a record in the present version; what is no record of a known version comes back as it is.

    >>> upgraded({"schema_version": 0, "success": True, "rewards": [1.0],
    ...           "messages": [{"role": "assistant", "content": "Done."}]})["outcome"]
    'passed'
    """
    while isinstance(record, dict) and record.get("schema_version") in MIGRATIONS:
        record = MIGRATIONS[record["schema_version"]](record)
    return record
