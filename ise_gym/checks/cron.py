"""Checks on scheduled jobs, as the scheduler itself keeps them on the harness side."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ise_gym.checks.base import PASSED, BaseCheck, Unreadable, failed, shown
from ise_gym.foreign.values import Json
from ise_gym.scenario import CheckResult
from ise_gym.services.crontab import parse_cron
from ise_gym.services.host import services_of
from ise_gym.workspace.base import SeedFile, Workspace


@dataclass(frozen=True)
class CronCheck(BaseCheck):
    """Passes when the schedule holds (``has``) and lacks (``lacks``) such jobs, and ``ran`` lists runs that took place.

    A job fits when every key given equals; keys are those of a job, with the ones of schedule and payload on the same
    level (``{name: …, expr: …, command: …, enabled: true}``). Expressions that mean the same are equal. A run fits by
    ``jobId``, ``name``, ``status``, ``exitCode`` and ``output``; at least one must.
    """

    path: str = "."
    has: Any = ()
    lacks: Any = ()
    ran: Any = ()

    def __post_init__(self) -> None:
        super().__post_init__()
        given = [*_mappings(self.has), *_mappings(self.lacks), *_mappings(self.ran)]
        if not given or not all(isinstance(item, Mapping) and item for item in given):
            raise ValueError(
                "cron: `has`, `lacks` and `ran` are mappings such as {name: …}, or lists of them"
            )

    def look(self, workspace: Workspace, start: Mapping[str, SeedFile]) -> CheckResult:
        """See `BaseCheck.run`."""
        host = services_of(workspace)
        if host is None:
            raise Unreadable("nothing was scheduled in this workspace")
        jobs = [
            {**{k: v for k, v in entry.items() if k not in ("schedule", "payload", "state")},
             **entry["payload"], **entry["schedule"]}
            for entry in host.scheduler.jobs.values()
        ]  # fmt: skip
        for wanted in _mappings(self.has):
            if sum(_fits(job, wanted) for job in jobs) != 1:
                return failed(f"not exactly one job fits {shown(dict(wanted))}; jobs: {shown(jobs)}")
        for unwanted in _mappings(self.lacks):
            if any(_fits(job, unwanted) for job in jobs):
                return failed(f"a job fits {shown(dict(unwanted))}")
        for wanted in _mappings(self.ran):
            if not any(_fits(record, wanted) for record in host.scheduler.runs):
                return failed(f"no run fits {shown(dict(wanted))}; last: {shown(host.scheduler.runs[-1:])}")
        return PASSED


def _mappings(value: Mapping[str, Json] | Sequence[Mapping[str, Json]]) -> list[Mapping[str, Json]]:
    return [value] if isinstance(value, Mapping) else list(value)


def _fits(found: Mapping[str, Json], wanted: Mapping[str, Json]) -> bool:
    return all(_equal(key, found.get(key), value) for key, value in wanted.items())


def _equal(key: str, found: Json, wanted: Json) -> bool:
    if key == "expr" and isinstance(found, str) and isinstance(wanted, str):
        return parse_cron(found) == parse_cron(wanted)
    if isinstance(found, str) and isinstance(wanted, str):
        return found.strip() == wanted.strip()
    return bool(found == wanted)
