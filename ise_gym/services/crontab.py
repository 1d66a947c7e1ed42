"""When a job is due: the five-field cron expression, one moment, or a steady interval.

The grammar is crontab(5)'s: ``*``, lists, ranges, steps and English names in five fields, and the ``@daily`` family.
As there, a job runs when either its day of month or its day of week fits, if both are restricted.
"""

from __future__ import annotations

import datetime
from dataclasses import dataclass
from functools import lru_cache

_NICKNAMES = {
    "@hourly": "0 * * * *",
    "@daily": "0 0 * * *",
    "@midnight": "0 0 * * *",
    "@weekly": "0 0 * * 0",
    "@monthly": "0 0 1 * *",
    "@yearly": "0 0 1 1 *",
    "@annually": "0 0 1 1 *",
}
_MONTHS = ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec")
_DAYS = ("sun", "mon", "tue", "wed", "thu", "fri", "sat")
_HORIZON_DAYS = 366 * 8  # a 29 February is at most eight years away


@dataclass(frozen=True)
class CronExpression:
    """A parsed expression: the values that each field admits, and whether the two day fields are restricted."""

    minutes: frozenset[int]
    hours: frozenset[int]
    days: frozenset[int]
    months: frozenset[int]
    weekdays: frozenset[int]
    any_day: bool
    any_weekday: bool

    def next_after(self, moment: datetime.datetime) -> datetime.datetime | None:
        """Return the first minute after ``moment`` at which it fires; None when it never does (30 February)."""
        start = moment.replace(second=0, microsecond=0) + datetime.timedelta(minutes=1)
        day = start.date()
        for _ in range(_HORIZON_DAYS):
            if self._fits(day):
                for hour in sorted(self.hours):
                    for minute in sorted(self.minutes):
                        found = datetime.datetime.combine(day, datetime.time(hour, minute))
                        if found >= start:
                            return found
            day += datetime.timedelta(days=1)
        return None

    def _fits(self, day: datetime.date) -> bool:
        if day.month not in self.months:
            return False
        in_month, in_week = day.day in self.days, day.isoweekday() % 7 in self.weekdays
        if self.any_day or self.any_weekday:
            return in_month and in_week
        return in_month or in_week


@lru_cache(maxsize=256)
def parse_cron(text: str) -> CronExpression:
    """Read a cron expression.

    Raises:
        ValueError: not five fields, or a field that can't be read; the field is named.

    >>> parse_cron("*/15 8-10 * * mon-fri").next_after(datetime.datetime(2025, 3, 7, 10, 45)).isoformat()
    '2025-03-10T08:00:00'
    """
    fields = _NICKNAMES.get(text.strip().lower(), text).split()
    if len(fields) != 5:
        raise ValueError(
            f"'{text}' has {len(fields)} fields; a cron expression has five: minute hour day month weekday"
        )
    minute, hour, day, month, weekday = fields
    weekdays = _field(weekday, "weekday", 0, 7, _DAYS, 0)
    return CronExpression(
        _field(minute, "minute", 0, 59),
        _field(hour, "hour", 0, 23),
        _field(day, "day", 1, 31),
        _field(month, "month", 1, 12, _MONTHS, 1),
        frozenset(value % 7 for value in weekdays),
        day.startswith("*"),
        weekday.startswith("*"),
    )


def _field(
    text: str, name: str, least: int, most: int, words: tuple[str, ...] = (), base: int = 0
) -> frozenset[int]:
    values: set[int] = set()
    for part in text.split(","):
        span, slash, step_text = part.partition("/")
        step = _number(step_text, name, (), 0) if slash else 1
        if step < 1:
            raise ValueError(f"{name}: the step in '{part}' must be at least 1")
        first_text, dash, last_text = span.partition("-")
        if span == "*":
            first, last = least, most
        else:
            first = _number(first_text, name, words, base)
            last = _number(last_text, name, words, base) if dash else most if slash else first
        if not least <= first <= last <= most:
            raise ValueError(f"{name}: '{part}' does not lie within {least}-{most}")
        values.update(range(first, last + 1, step))
    return frozenset(values)


def _number(text: str, name: str, words: tuple[str, ...], base: int) -> int:
    if text.isascii() and text.isdigit() and len(text) <= 4:
        return int(text)
    if text.lower() in words:
        return words.index(text.lower()) + base
    raise ValueError(f"{name}: '{text}' can't be read")
