"""Scheduled jobs: the grammar against a brute-force reading of it, and time that only moves when it is let."""

from __future__ import annotations

import datetime
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ise_gym.services.crontab import parse_cron
from ise_gym.services.jobs import START, JobModel, job_data, moment, read_job
from ise_gym.services.scheduler import MOST_RUNS, Ran, Scheduler, SchedulerError


def job(name: str = "Night report", **changes: Any) -> JobModel:
    given_ = {
        "name": name,
        "schedule": {"kind": "cron", "expr": "15 9 * * *"},
        "payload": {"kind": "command", "command": "true"},
    }
    return read_job({**given_, **changes})  # type: ignore[dict-item]


def fine(model: JobModel) -> Ran:
    return Ran(0, f"ran {model.payload.command}")


@pytest.mark.parametrize(
    ("expression", "after", "then"),
    [
        ("30 6 * * *", "2025-03-03T06:30", "2025-03-04T06:30"),
        ("0 7 * * 1-5", "2025-03-07T07:00", "2025-03-10T07:00"),
        ("0 7 * * sun", "2025-03-03T09:00", "2025-03-09T07:00"),
        ("0 7 * * 7", "2025-03-03T09:00", "2025-03-09T07:00"),
        ("0 0 29 2 *", "2025-03-03T09:00", "2028-02-29T00:00"),
        ("0 0 13 * fri", "2025-03-03T09:00", "2025-03-07T00:00"),  # either day field, if both are restricted
        ("0 0 13 * *", "2025-03-03T09:00", "2025-03-13T00:00"),
        ("5/20 9 * * *", "2025-03-03T09:05", "2025-03-03T09:25"),
        ("@monthly", "2025-03-03T09:00", "2025-04-01T00:00"),
        ("1,2 3-4 * jan,DEC *", "2025-03-03T09:00", "2025-12-01T03:01"),
    ],
)
def test_next_time(expression: str, after: str, then: str) -> None:
    assert parse_cron(expression).next_after(moment(after)) == moment(then)


def test_never() -> None:
    assert parse_cron("0 0 30 2 *").next_after(moment(START)) is None


@pytest.mark.parametrize(
    ("expression", "words"),
    [
        ("* * * *", "4 fields"),
        ("60 * * * *", "minute: '60' does not lie within 0-59"),
        ("* * 0 * *", "day"),
        ("* * * 13 *", "month"),
        ("* * * * mun", "weekday: 'mun' can't be read"),
        ("*/0 * * * *", "step"),
        ("9-5 * * * *", "9-5"),
        ("1,,2 * * * *", "minute: ''"),
        ("٣ * * * *", "can't be read"),
    ],
)
def test_broken_expressions_name_the_field(expression: str, words: str) -> None:
    with pytest.raises(ValueError, match=words.replace("?", r"\?")):
        parse_cron(expression)


_minutes = st.sampled_from(["*", "0", "*/7", "3-9", "10,50", "5-55/25"])
_hours = st.sampled_from(["*", "9", "*/5", "22-23", "0,12"])
_days = st.sampled_from(["*", "1", "28-31", "*/10"])
_months = st.sampled_from(["*", "2", "3-4", "jun"])
_weekdays = st.sampled_from(["*", "0", "mon-fri", "6,7"])


@settings(max_examples=40, deadline=None)
@given(
    st.tuples(_minutes, _hours, _days, _months, _weekdays),
    st.datetimes(datetime.datetime(2024, 1, 1), datetime.datetime(2027, 1, 1)),
)
def test_next_time_is_the_first_that_fits(
    fields: tuple[str, str, str, str, str], after: datetime.datetime
) -> None:
    expression = parse_cron(" ".join(fields))
    found = expression.next_after(after)
    assert found is not None and found > after

    def fits(at: datetime.datetime) -> bool:
        inside, week = at.day in expression.days, at.isoweekday() % 7 in expression.weekdays
        free = fields[2].startswith("*") or fields[4] == "*"
        day = (inside and week) if free else (inside or week)
        return (
            at.minute in expression.minutes
            and at.hour in expression.hours
            and at.month in expression.months
            and day
        )

    assert fits(found)
    step, limit = datetime.timedelta(minutes=1), min(found, after + datetime.timedelta(days=2))
    at = after.replace(second=0, microsecond=0) + step
    while at < limit:
        assert not fits(at)
        at += step


def test_time_passes_only_by_advance_and_runs_come_in_order() -> None:
    scheduler = Scheduler([])
    scheduler.add(job("B", schedule={"kind": "at", "at": "2025-03-03T09:20"}))
    scheduler.add(job("A", schedule={"kind": "every", "everyMs": 600_000}))
    assert scheduler.now == moment(START)
    ran = scheduler.advance(scheduler.next_heartbeat(), fine)
    assert [(r["at"][-5:], r["jobId"]) for r in ran] == [
        ("09:10", "a"),
        ("09:20", "a"),
        ("09:20", "b"),
        ("09:30", "a"),
    ]
    assert scheduler.state["now"] == "2025-03-03T09:30"
    assert scheduler.get("b")["state"]["nextRun"] is None


def test_failures_are_counted_and_a_one_shot_job_goes_only_when_it_went_well() -> None:
    scheduler = Scheduler([])
    scheduler.add(job("Once", schedule={"kind": "at", "at": "2025-03-03T10:00"}, deleteAfterRun=True))
    assert scheduler.run("once", lambda model: Ran(3, "no"))["status"] == "error"
    assert scheduler.run("once", lambda model: Ran(None, ""))["status"] == "timeout"
    assert scheduler.get("once")["state"]["errors"] == 2
    scheduler.run("once", fine)
    assert scheduler.jobs == {} and len(scheduler.runs) == 3


def test_a_flood_of_runs_stops_and_goes_on() -> None:
    scheduler = Scheduler([])
    scheduler.add(job("Often", schedule={"kind": "every", "everyMs": 60_000}))
    until = scheduler.now + datetime.timedelta(minutes=MOST_RUNS + 5)
    assert len(scheduler.advance(until, fine)) == MOST_RUNS
    assert scheduler.now < until
    assert len(scheduler.advance(until, fine)) == 5
    assert scheduler.now == until


def test_update_merges_within_a_kind_and_refuses_what_is_no_job() -> None:
    scheduler = Scheduler([])
    scheduler.add(job())
    changed = scheduler.update("night-report", {"schedule": {"expr": "0 12 * * *"}, "enabled": True})
    assert changed["schedule"] == {"kind": "cron", "expr": "0 12 * * *"}
    assert changed["state"]["nextRun"] == "2025-03-03T12:00"
    changed = scheduler.update("night-report", {"schedule": {"kind": "every", "everyMs": 3_600_000}})
    assert changed["schedule"] == {"kind": "every", "everyMs": 3_600_000}
    assert scheduler.update("night-report", {"enabled": False})["state"]["nextRun"] is None
    before = dict(scheduler.get("night-report"))
    for patch in (
        {"schedule": {"kind": "cron", "expr": "x"}},
        {"id": "other"},
        {"colour": "red"},
        {"name": ""},
    ):
        with pytest.raises(SchedulerError):
            scheduler.update("night-report", patch)
    assert scheduler.get("night-report") == before


def test_ids_are_unique_and_given_ones_are_kept() -> None:
    scheduler = Scheduler([{"domain": "a.example", "jobs": [job_data(job("X", id="fixed"))]}])
    assert [scheduler.add(job("X y!"))["id"] for _ in range(3)] == ["x-y", "x-y-2", "x-y-3"]
    with pytest.raises(SchedulerError, match="already"):
        scheduler.add(job("Z", id="fixed"))
    with pytest.raises(SchedulerError, match="never comes"):
        scheduler.add(job("Past", schedule={"kind": "at", "at": "2020-01-01T00:00"}))


@pytest.mark.parametrize(
    "broken",
    [
        {"schedule": {"kind": "cron", "expr": "* * * * *", "everyMs": 60000}},
        {"schedule": {"kind": "every", "everyMs": 1500}},
        {"schedule": {"kind": "at", "at": "2025-13-01T00:00"}},
        {"payload": {"kind": "command", "command": " "}},
        {"payload": {"kind": "systemEvent", "text": "x", "command": "y"}},
        {"payload": {"kind": "command", "command": "a\0b"}},
        {"id": "Not An Id"},
    ],
)
def test_broken_jobs_are_refused(broken: dict[str, Any]) -> None:
    with pytest.raises(ValueError):
        job(**broken)


def test_events_wait_for_the_heartbeat() -> None:
    scheduler = Scheduler([])
    scheduler.add(job("Remind", payload={"kind": "systemEvent", "text": "stretch"}))
    scheduler.advance(scheduler.next_heartbeat(), fine)
    assert scheduler.take_events() == [{"at": "2025-03-03T09:15", "text": "stretch"}]
    assert scheduler.take_events() == []
