"""Scheduled jobs on simulated time: it moves when the agent lets it, never by a clock.

So an episode's jobs run at the same moments, in the same order, on any machine. Commands are real and run in the
box; the list of jobs, their history and the time are state of the harness, saved with the other services.
"""

from __future__ import annotations

import datetime
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from ise_gym.foreign.values import Json
from ise_gym.services.jobs import START, CronModel, JobModel, job_data, moment, read_job, written

HEARTBEAT_MIN = 30
"""Simulated minutes between two heartbeats; they fall on whole half hours."""

MOST_JOBS = 200
MOST_RUNS = 100
"""Most runs that one waking starts; what is left stays due."""

_TAIL = 400
_KEPT_RUNS = 500


@dataclass(frozen=True)
class Ran:
    """How one command of a job ended: its exit status (None: timed out) and the end of its output."""

    exit_code: int | None
    output: str


Runner = Callable[[JobModel], Ran]
"""Runs a job's command in the box."""


class SchedulerError(Exception):
    """A request that can't be met; ``kind`` is not_found, bad_arguments, not_due or full."""

    def __init__(self, message: str, kind: str) -> None:
        super().__init__(message)
        self.kind = kind


class Scheduler:
    """The jobs of one episode.

    Args:
        data: the scenario's cron services; their jobs are there at the start.
        state: what an earlier one's ``state`` was, to go on from there.

    Attributes:
        state: all that changes, as JSON: now, jobs, runs, events.
    """

    def __init__(self, data: Iterable[Mapping[str, Json]], state: dict[str, Json] | None = None) -> None:
        self.state: dict[str, Any] = state or {"now": START, "jobs": {}, "runs": [], "events": []}
        if state is None:
            for service in data:
                for job in CronModel.model_validate(service).jobs:
                    self.add(job)

    @property
    def now(self) -> datetime.datetime:
        """Simulated time."""
        return moment(self.state["now"])

    @property
    def jobs(self) -> dict[str, dict[str, Any]]:
        """Jobs by id, as they are now: the definition, and ``state`` with nextRun, lastRun, lastStatus, errors."""
        found: dict[str, dict[str, Any]] = self.state["jobs"]
        return found

    @property
    def runs(self) -> list[dict[str, Any]]:
        """What ran so far, oldest first: jobId, name, at, status, exitCode, output."""
        found: list[dict[str, Any]] = self.state["runs"]
        return found

    def get(self, job_id: str) -> dict[str, Any]:
        """Return one job.

        Raises:
            SchedulerError: there is none of this id.
        """
        if job_id not in self.jobs:
            known = ", ".join(sorted(self.jobs)) or "none"
            raise SchedulerError(f"no job '{job_id}'. Jobs: {known}", "not_found")
        return self.jobs[job_id]

    def add(self, job: JobModel) -> dict[str, Any]:
        """Take on a job and return it with its id.

        Raises:
            SchedulerError: the id is taken, there are too many jobs, or it would never run.
        """
        if len(self.jobs) >= MOST_JOBS:
            raise SchedulerError(f"there are {MOST_JOBS} jobs already; remove one first", "full")
        job_id = job.id or self._free_id(job.name)
        if job_id in self.jobs:
            raise SchedulerError(f"there is a job '{job_id}' already", "bad_arguments")
        entry = {
            **job_data(job),
            "id": job_id,
            "state": {"since": self.state["now"], "lastRun": None, "lastStatus": None, "errors": 0},
        }
        self._plan(entry)
        if job.enabled and entry["state"]["nextRun"] is None:
            raise SchedulerError(
                f"this schedule never comes after {self.state['now']}, which is now", "bad_arguments"
            )
        self.jobs[job_id] = entry
        return entry

    def update(self, job_id: str, patch: Mapping[str, Any]) -> dict[str, Any]:
        """Change a job; a schedule or payload of the same kind is changed key by key, of another kind replaced.

        Raises:
            SchedulerError: no such job, or the result is none.
        """
        entry = self.get(job_id)
        if "id" in patch or "state" in patch:
            raise SchedulerError("'id' and 'state' of a job can't be changed", "bad_arguments")
        wanted = {key: value for key, value in entry.items() if key != "state"}
        for key, value in patch.items():
            old = wanted.get(key)
            same_kind = (
                isinstance(old, dict)
                and isinstance(value, Mapping)
                and value.get("kind", old["kind"]) == old["kind"]
            )
            wanted[key] = {**old, **value} if same_kind and isinstance(old, dict) else value
        try:
            job = read_job(wanted)
        except ValueError as error:
            raise SchedulerError(str(error), "bad_arguments") from None
        changed = {**job_data(job), "id": job_id, "state": dict(entry["state"])}
        if "schedule" in patch:
            changed["state"]["since"] = self.state["now"]
        self._plan(changed)
        if job.enabled and "schedule" in patch and changed["state"]["nextRun"] is None:
            raise SchedulerError(
                f"this schedule never comes after {self.state['now']}, which is now", "bad_arguments"
            )
        self.jobs[job_id] = changed
        return changed

    def remove(self, job_id: str) -> None:
        """Forget a job; its runs stay in the history.

        Raises:
            SchedulerError: no such job.
        """
        self.get(job_id)
        del self.jobs[job_id]

    def run(self, job_id: str, runner: Runner, *, only_if_due: bool = False) -> dict[str, Any]:
        """Run a job now, whatever its schedule says (unless ``only_if_due``), and return the run.

        Raises:
            SchedulerError: no such job, or it is not due.
        """
        entry = self.get(job_id)
        due = entry["state"]["nextRun"]
        if only_if_due and (due is None or moment(due) > self.now):
            raise SchedulerError(f"'{job_id}' is not due: its next run is {due or 'never'}", "not_due")
        return self._start(entry, runner)

    def advance(self, to: datetime.datetime, runner: Runner) -> list[dict[str, Any]]:
        """Let time pass and run what falls due, in order of time and then of id; return the runs.

        After `MOST_RUNS` runs time stands still at the last one's minute.
        """
        done: list[dict[str, Any]] = []
        while len(done) < MOST_RUNS:
            due = [
                (entry["state"]["nextRun"], job_id)
                for job_id, entry in self.jobs.items()
                if entry["state"]["nextRun"] is not None and moment(entry["state"]["nextRun"]) <= to
            ]
            if not due:
                self.state["now"] = written(max(to, self.now))
                break
            at, job_id = min(due)
            self.state["now"] = max(at, self.state["now"])
            done.append(self._start(self.jobs[job_id], runner))
        return done

    def next_heartbeat(self) -> datetime.datetime:
        """Return the first whole half hour after now."""
        now = self.now
        midnight = now.replace(hour=0, minute=0)
        step = datetime.timedelta(minutes=HEARTBEAT_MIN)
        return midnight + ((now - midnight) // step + 1) * step

    def note(self, text: str) -> None:
        """Put an event before the agent, for its next heartbeat."""
        self.state["events"].append({"at": self.state["now"], "text": text})

    def take_events(self) -> list[dict[str, str]]:
        """Return the events since the last heartbeat, and forget them."""
        events: list[dict[str, str]] = self.state["events"]
        self.state["events"] = []
        return events

    def _start(self, entry: dict[str, Any], runner: Runner) -> dict[str, Any]:
        at = self.state["now"]
        job = read_job({key: value for key, value in entry.items() if key != "state"})
        if job.payload.kind == "command":
            ran = runner(job)
        else:
            self.note(str(job.payload.text))
            ran = Ran(0, str(job.payload.text))
        status = "ok" if ran.exit_code == 0 else "timeout" if ran.exit_code is None else "error"
        output = ran.output if len(ran.output) <= _TAIL else "…" + ran.output[-_TAIL:]
        record = {
            "jobId": entry["id"],
            "name": job.name,
            "at": at,
            "status": status,
            "exitCode": ran.exit_code,
            "output": output,
        }
        self.runs.append(record)
        del self.runs[:-_KEPT_RUNS]
        state = entry["state"]
        state["lastRun"], state["lastStatus"] = at, status
        state["errors"] = 0 if status == "ok" else state["errors"] + 1
        self._plan(entry)
        if job.delete_after_run and status == "ok":
            self.jobs.pop(entry["id"], None)
        return record

    def _plan(self, entry: dict[str, Any]) -> None:
        job = read_job({key: value for key, value in entry.items() if key != "state"})
        since = moment(entry["state"]["since"])
        entry["state"]["nextRun"] = written(job.schedule.next_after(self.now, since)) if job.enabled else None

    def _free_id(self, name: str) -> str:
        base = re.sub(r"[^a-z0-9]+", "-", name.lower()).strip("-")[:60] or "job"
        if base not in self.jobs:
            return base
        return next(f"{base}-{n}" for n in range(2, MOST_JOBS + 3) if f"{base}-{n}" not in self.jobs)
