"""What two runs of the same command may rightly differ in, as rules.

The box pins what can be pinned (see `docs/workspace.md`). What is left are clocks, process ids, temporary
names, addresses and random ids, which programs print. A replay that differs in nothing else is equal; the
rules that were needed are named.

A point in time is masked only where it is *now*: inside the seconds of its own episode. So a date that stands
in the data is compared like any other text.
"""

from __future__ import annotations

import re
from calendar import timegm
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime

SLACK_S = 60.0
"""Added on both sides of an episode: clocks are printed to the minute, and a record's begin is cut to the second."""

_DAY = "(?:Mon|Tue|Wed|Thu|Fri|Sat|Sun)"
_MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")
_MONTH = f"(?:{'|'.join(_MONTHS)})"
_CLOCK = r"\d\d:\d\d(?::\d\d(?:[.,]\d{1,9})?)?"

_TIME = re.compile(
    rf"(?P<iso>\b\d{{4}}-\d\d-\d\d[T _]{_CLOCK}(?:Z\b| ?[+-]00:?00\b)?)"
    rf"|(?P<unix>\b{_DAY} {_MONTH} [ \d]\d {_CLOCK}(?: UTC)? \d{{4}}\b)"
    rf"|(?P<mail>\b{_DAY}, \d\d? {_MONTH} \d{{4}} {_CLOCK}(?: (?:GMT|UTC|\+0000))?)"
    rf"|(?P<log>\b\d\d/{_MONTH}/\d{{4}}[: ]{_CLOCK}(?: \+0000)?)"
    rf"|(?P<list>\b{_MONTH} [ \d]\d {_CLOCK})"
    r"|(?P<date>\b\d{4}-\d\d-\d\d\b)"
    r"|(?P<packed>\b\d{8}[T_-]?\d{6}Z?\b|\b\d{8}\b)"
    r"|(?P<epoch>\b\d{10}(?:\.\d{1,9}|\d{3}|\d{6}|\d{9})?\b)"
    r"|(?P<clock>\b\d\d:\d\d:\d\d(?:[.,]\d{1,9})?\b)"
)

_PATTERNS: tuple[tuple[str, re.Pattern[str], str], ...] = (
    (
        "duration",
        re.compile(r"\b\d+m\d+[.,]\d+s\b|\b\d+[.,]\d+ ?(?:s|ms|µs|us|sec|secs|seconds|usec)\b"),
        "<duration>",
    ),
    ("address", re.compile(r"\b0x[0-9a-f]{8,16}\b"), "<address>"),
    (
        "temporary name",
        re.compile(r"(?<=/)tmp(?:\.[A-Za-z0-9]{6,12}|[a-z0-9_]{8})\b"),
        "<temporary>",
    ),
    (
        "process id",
        re.compile(
            r"(?m)(?:(?<=^\[\d\] )|(?<=\bpid )|(?<=\bpid=)|(?<=\bpid: )|(?<=\bPID )|(?<=\bPID: ))\d+\b"
            r"|(?<=: )[ ]+\d+(?= (?:Killed|Terminated|Segmentation fault|Aborted|Hangup|Alarm clock)\b)"
        ),
        "<pid>",
    ),
    (
        "random id",
        re.compile(r"\b[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}\b"),
        "<uuid>",
    ),
)

REFUSAL = "wording of a refused call"
"""The rule for what the harness says of a call that it never ran."""

_REFUSAL = re.compile(
    r"(Unknown tool '|The tool call could not be read: "
    r"|[\w.-]{1,80}: (?:bad arguments: |the arguments are not a JSON object: ))"
)

RULES: tuple[str, ...] = ("time", *(name for name, _, _ in _PATTERNS), REFUSAL)
"""Every rule's name."""


@dataclass(frozen=True)
class Window:
    """The seconds since the epoch during which an episode ran."""

    begin: float
    end: float

    @classmethod
    def of(cls, started_at: str, seconds: float) -> Window:
        """Read a trajectory's timings; an empty window when it has none."""
        try:
            begin = datetime.fromisoformat(started_at.replace("Z", "+00:00")).timestamp()
        except ValueError:
            return cls(0.0, -1.0)
        return cls(begin - SLACK_S, begin + seconds + SLACK_S)

    def holds(self, instant: float, width: float) -> bool:
        """Whether some moment of [instant, instant + width) lies inside."""
        return instant < self.end and instant + width > self.begin


def masked(text: str, window: Window) -> tuple[str, frozenset[str]]:
    """Replace what may differ between two runs.

    Args:
        text: what a tool gave.
        window: when that run was.

    Returns:
        The text with placeholders, and the names of the rules that found something.

    >>> window = Window.of("2026-03-01T10:00:00Z", 5.0)
    >>> masked("made Mar  1 10:00, due 2026-04-01, took 0.02s", window)[0]
    'made <time>, due 2026-04-01, took <duration>'
    """
    used: set[str] = set()

    def stamp(match: re.Match[str]) -> str:
        for instant, width in _instants(match, window):
            if window.holds(instant, width):
                used.add("time")
                return "<time>"
        return match[0]

    text = _TIME.sub(stamp, text)
    for name, pattern, placeholder in _PATTERNS:
        text, count = pattern.subn(placeholder, text)
        if count:
            used.add(name)
    return text, frozenset(used)


def refused_alike(recorded: str, replayed: str) -> bool:
    """Tell whether both texts refuse a call for the same kind of reason; later releases word the advice better.

    >>> refused_alike("read: bad arguments: 'path' is missing.", "read: bad arguments: give 'path'. For example: …")
    True
    """
    then, now = _REFUSAL.match(recorded), _REFUSAL.match(replayed)
    return then is not None and now is not None and then[1] == now[1]


def _instants(match: re.Match[str], window: Window) -> Iterator[tuple[float, float]]:
    """Yield (instant, width in seconds) that a matched text may mean; nothing when it is no time at all."""
    try:
        yield from _READERS[str(match.lastgroup)](match[0], window)
    except ValueError:
        return  # such as month 13: plain digits


def _moment(date: tuple[int, int, int], clock: str) -> tuple[float, float]:
    hour, minute, *rest = re.split(r"[:.,]", clock)
    second = int(rest[0]) if rest else 0
    moment = datetime(*date, int(hour), int(minute), second, tzinfo=UTC)
    return moment.timestamp(), 1.0 if rest else 60.0


def _numbered(text: str) -> tuple[int, int, int]:
    year, month, day = text.split("-")
    return int(year), int(month), int(day)


def _iso(text: str, window: Window) -> Iterator[tuple[float, float]]:
    found = re.match(rf"(.{{10}}).({_CLOCK})", text)
    assert found is not None
    yield _moment(_numbered(found[1]), found[2])


def _worded(text: str, window: Window) -> Iterator[tuple[float, float]]:
    """Read a time with the month as a word; one without a year is of the window's."""
    day = re.search(rf"(\d\d?)[ /]({_MONTH})|({_MONTH}) ([ \d]\d)", text)
    clock = re.search(rf"(?<!\d){_CLOCK}", text)
    year = re.search(r"(?<!\d)\d{4}(?!\d)", text)
    assert day is not None and clock is not None
    number, month = day[1] or day[4], _MONTHS.index(day[2] or day[3]) + 1
    if year:
        yield _moment((int(year[0]), month, int(number)), clock[0])
    else:
        for each in sorted({_date_of(window.begin).year, _date_of(window.end).year}):
            yield _moment((each, month, int(number)), clock[0])


def _date_of(instant: float) -> datetime:
    return datetime.fromtimestamp(instant, UTC)


def _date(text: str, window: Window) -> Iterator[tuple[float, float]]:
    year, month, day = _numbered(text)
    yield datetime(year, month, day, tzinfo=UTC).timestamp(), 86_400.0


def _packed(text: str, window: Window) -> Iterator[tuple[float, float]]:
    digits = re.sub(r"\D", "", text)
    date = int(digits[:4]), int(digits[4:6]), int(digits[6:8])
    if len(digits) == 8:
        yield datetime(*date, tzinfo=UTC).timestamp(), 86_400.0
    else:
        yield _moment(date, f"{digits[8:10]}:{digits[10:12]}:{digits[12:14]}")


def _epoch(text: str, window: Window) -> Iterator[tuple[float, float]]:
    whole, _, part = text.partition(".")
    scale = 10 ** (len(whole) - 10)
    yield int(whole) / scale + (float(f"0.{part}") if part else 0.0), 1.0


def _clock(text: str, window: Window) -> Iterator[tuple[float, float]]:
    for t in (window.begin, window.end):
        day = _date_of(t)
        midnight = timegm((day.year, day.month, day.day, 0, 0, 0))
        hour, minute, second = (int(part) for part in re.split(r"[:.,]", text)[:3])
        if hour > 23 or minute > 59 or second > 60:
            return
        yield midnight + 3600.0 * hour + 60 * minute + second, 1.0


_READERS: dict[str, Callable[[str, Window], Iterator[tuple[float, float]]]] = {
    "iso": _iso,
    "unix": _worded,
    "mail": _worded,
    "log": _worded,
    "list": _worded,
    "date": _date,
    "packed": _packed,
    "epoch": _epoch,
    "clock": _clock,
}
