"""What a scheduled job may be, checked where it enters: from a task file or from a tool call alike."""

from __future__ import annotations

import datetime
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from ise_gym.foreign.values import Json
from ise_gym.services.crontab import parse_cron

START = "2025-03-03T09:00"
"""Simulated time at which every episode begins (a Monday): one for all, since several tasks may share a scheduler."""

JobId = Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9_.-]*$", max_length=80)]


class _Model(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class ScheduleModel(_Model):
    """When: once ``at`` a moment, ``every`` so many milliseconds (whole minutes), or by a ``cron`` expression."""

    kind: Literal["at", "every", "cron"]
    at: Annotated[str, Field(pattern=r"^\d{4}-\d\d-\d\dT\d\d:\d\d(:00)?Z?$")] | None = None
    every_ms: Annotated[int, Field(ge=60_000, multiple_of=60_000)] | None = Field(
        default=None, alias="everyMs"
    )
    expr: str | None = None

    @model_validator(mode="after")
    def _own_key(self) -> ScheduleModel:
        needed = {"at": "at", "every": "everyMs", "cron": "expr"}[self.kind]
        values = {"at": self.at, "everyMs": self.every_ms, "expr": self.expr}
        given = [name for name, value in values.items() if value is not None]
        if given != [needed]:
            raise ValueError(f"a schedule of kind '{self.kind}' needs '{needed}' and nothing else")
        if self.expr is not None:
            parse_cron(self.expr)
        if self.at is not None:
            moment(self.at)
        return self

    def next_after(self, now: datetime.datetime, anchor: datetime.datetime) -> datetime.datetime | None:
        """Return when it is due next after ``now``; intervals count from ``anchor``."""
        if self.at is not None:
            once = moment(self.at)
            return once if once > now else None
        if self.every_ms is not None:
            step = datetime.timedelta(milliseconds=self.every_ms)
            return anchor + ((now - anchor) // step + 1) * step
        assert self.expr is not None
        return parse_cron(self.expr).next_after(now)


class PayloadModel(_Model):
    """What: run a ``command`` in the box, or put a ``systemEvent`` before the agent at its next heartbeat."""

    kind: Literal["command", "systemEvent"]
    command: str | None = None
    workdir: str | None = None
    timeout_seconds: Annotated[int, Field(ge=1, le=120)] | None = Field(default=None, alias="timeoutSeconds")
    text: str | None = None

    @model_validator(mode="after")
    def _own_key(self) -> PayloadModel:
        if self.kind == "command":
            if not (self.command or "").strip() or self.text is not None:
                raise ValueError("a payload of kind 'command' needs 'command' (and no 'text')")
        elif not (self.text or "").strip() or self.command or self.workdir or self.timeout_seconds:
            raise ValueError("a payload of kind 'systemEvent' needs 'text' and nothing else")
        if "\0" in (self.command or "") + (self.workdir or ""):
            raise ValueError("a payload can't contain a NUL character")
        return self


class JobModel(_Model):
    """One job. Without an ``id`` it is named after its ``name``."""

    id: JobId | None = None
    name: Annotated[str, Field(min_length=1, max_length=120)]
    description: str = ""
    schedule: ScheduleModel
    payload: PayloadModel
    enabled: bool = True
    delete_after_run: bool = Field(default=False, alias="deleteAfterRun")


class CronModel(_Model):
    """Jobs that are there at the start; ``name`` ends like a host name, so that tasks never collide."""

    domain: Annotated[str, Field(pattern=r"^[a-z0-9-]+(\.[a-z0-9-]+)+$")]
    jobs: list[JobModel] = Field(default_factory=list)


def job_data(job: JobModel) -> dict[str, Any]:
    """Return a job as JSON, with the names that a caller uses."""
    return job.model_dump(by_alias=True, exclude_none=True)


def read_job(data: Json) -> JobModel:
    """Check a job.

    Raises:
        ValueError: what is wrong, in one line.
    """
    try:
        return JobModel.model_validate(data)
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"])
        text = first["msg"].removeprefix("Value error, ")
        raise ValueError(f"{where}: {text}" if where else text) from None


def moment(text: str) -> datetime.datetime:
    """Read a moment of simulated time (UTC, by the minute).

    Raises:
        ValueError: no such day or hour.
    """
    return datetime.datetime.fromisoformat(text.rstrip("Z")).replace(tzinfo=None)


def written(time: datetime.datetime | None) -> str | None:
    """Write a moment by the minute."""
    return None if time is None else time.strftime("%Y-%m-%dT%H:%M")
