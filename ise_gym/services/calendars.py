"""Calendars behind an HTTP interface: iCalendar to read, JSON or iCalendar to write."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Any, TypedDict

from pydantic import ValidationError

from ise_gym.foreign.values import Json
from ise_gym.services.site import Faults, Request, Response, as_json, problem
from ise_gym.services.spec import CalendarModel, EventModel

HELP = """Calendars. Times are local: YYYY-MM-DDTHH:MM.
GET    /calendars                           names of all calendars
GET    /calendars/NAME.ics                  the whole calendar as iCalendar
GET    /calendars/NAME/events               as JSON; ?from=… and ?to=… (date or time) keep what lies between
POST   /calendars/NAME/events               {"summary", "start", "end", "location", "attendees": [addresses]}, or
                                            one VEVENT as text/calendar; 409 when a room is taken
PUT    /calendars/NAME/events/UID           the same, replaces the event
DELETE /calendars/NAME/events/UID
"""

MOST_BYTES = 32 << 10
"""Bytes of one event as it is sent."""
MOST_EVENTS = 500
"""Events that one calendar keeps."""


class Event(TypedDict):
    """One event; times are local, as ``YYYY-MM-DDTHH:MM``."""

    uid: str
    summary: str
    start: str
    end: str
    location: str
    attendees: list[str]


class CalendarState(TypedDict):
    """All that requests change: events by calendar, how many were made, and how often each fault has shown."""

    calendars: dict[str, list[Event]]
    made: int
    faults: list[int]


class CalendarSite:
    """A `Site` that keeps events."""

    def __init__(self, data: Mapping[str, Json], state: CalendarState | None = None) -> None:
        self._model = CalendarModel.model_validate(data)
        fresh: CalendarState = {
            "faults": [],
            "made": 0,
            "calendars": {c.name: [_event(e) for e in c.events] for c in self._model.calendars},
        }
        self.state = state or fresh
        self._exclusive = {c.name for c in self._model.calendars if c.exclusive}
        self._faults = Faults(self._model.faults, self.state["faults"])

    def events(self, calendar: str) -> list[Event] | None:
        """Return a calendar's events in order of time, None when there is no such calendar."""
        found = self.state["calendars"].get(calendar)
        return None if found is None else sorted(found, key=lambda event: (event["start"], event["uid"]))

    def answer(self, request: Request) -> Response:
        """Answer one call of the interface."""
        fault, _ = self._faults.meet(request)
        if fault is not None:
            return fault
        parts = [part for part in request.path.split("/") if part]
        match request.method, *parts:
            case "GET", *_ if not parts:
                return Response(200, HELP.encode())
            case "GET", "calendars":
                return as_json(200, {"calendars": list(self.state["calendars"])})
            case "GET", "calendars", file if file.endswith(".ics"):
                events = self.events(file.removesuffix(".ics"))
                if events is not None:
                    return Response(200, to_ics(events).encode(), "text/calendar; charset=utf-8")
            case "GET", "calendars", name, "events":
                events = self.events(name)
                if events is not None:
                    return as_json(200, {"events": _between(events, request.query)})
            case "POST", "calendars", name, "events" if name in self.state["calendars"]:
                return self._put(request, name, "")
            case (("PUT" | "DELETE"), "calendars", name, "events", uid) if name in self.state["calendars"]:
                known = [event["uid"] for event in self.state["calendars"][name]]
                if uid not in known:
                    return problem(404, "no_such_event")
                if request.method == "PUT":
                    return self._put(request, name, uid)
                self.state["calendars"][name] = [e for e in self.state["calendars"][name] if e["uid"] != uid]
                return as_json(200, {"deleted": uid})
        return problem(404, "not_found", f"calendars: {', '.join(self.state['calendars'])}; help at /")

    def _put(self, request: Request, name: str, uid: str) -> Response:
        if len(request.body) > MOST_BYTES:
            return problem(413, "too_large", f"an event has at most {MOST_BYTES} bytes")
        if not uid and len(self.state["calendars"][name]) >= MOST_EVENTS:
            return problem(507, "calendar_full", f"a calendar keeps at most {MOST_EVENTS} events")
        if "calendar" in request.headers.get("content-type", ""):
            given = from_ics(request.body.decode("utf-8", "replace"))
        else:
            given = request.json()
        if given is None:
            return problem(400, "no_event", 'send {"summary", "start", "end"} as JSON, or one VEVENT')
        if refused := set(given) - {"summary", "start", "end", "location", "attendees", "uid"}:
            return problem(400, "unknown_key", ", ".join(sorted(refused)))
        new = f"event-{self.state['made'] + 1}"
        try:
            event = _event(EventModel.model_validate({**given, "uid": uid or new}))
        except ValidationError as error:
            first = error.errors()[0]
            return problem(422, "bad_event", f"{'.'.join(map(str, first['loc']))}: {first['msg']}")
        others = [e for e in self.state["calendars"][name] if e["uid"] != uid]
        if name in self._exclusive:
            for other in others:
                if event["start"] < other["end"] and other["start"] < event["end"]:
                    return problem(409, "taken", f"{other['start']} to {other['end']}: {other['summary']}")
        self.state["calendars"][name] = [*others, event]
        self.state["made"] += not uid
        return as_json(200 if uid else 201, event)


def _event(model: EventModel) -> Event:
    return {
        "uid": model.uid,
        "summary": model.summary,
        "start": model.start,
        "end": model.end,
        "location": model.location,
        "attendees": list(model.attendees),
    }


def _between(events: Iterable[Event], query: Mapping[str, str]) -> list[Event]:
    first, last = query.get("from", ""), query.get("to", "9999")
    last = last + "T24" if len(last) == 10 else last
    return [event for event in events if event["end"] > first and event["start"] < last]


def to_ics(events: Iterable[Event]) -> str:
    """Write events as iCalendar (RFC 5545) with floating times; lines end in CRLF."""
    lines = ["BEGIN:VCALENDAR", "VERSION:2.0", "PRODID:-//ise_gym//calendar//EN"]
    for event in events:
        lines += ["BEGIN:VEVENT", f"UID:{event['uid']}"]
        lines += [f"DTSTART:{_compact(event['start'])}", f"DTEND:{_compact(event['end'])}"]
        lines.append(f"SUMMARY:{_escaped(event['summary'])}")
        if event["location"]:
            lines.append(f"LOCATION:{_escaped(event['location'])}")
        lines += [f"ATTENDEE:mailto:{address}" for address in event["attendees"]]
        lines.append("END:VEVENT")
    return "".join(line + "\r\n" for line in [*lines, "END:VCALENDAR"])


def from_ics(text: str) -> dict[str, Any] | None:
    """Read the first VEVENT of an iCalendar text; None when there is none.

    >>> from_ics("BEGIN:VEVENT\\nDTSTART:20250304T0930\\nDTEND:20250304T100000\\nSUMMARY:Stand-up\\nEND:VEVENT")
    {'start': '2025-03-04T09:30', 'end': '2025-03-04T10:00', 'summary': 'Stand-up'}
    """
    properties = _first_event(text)
    if properties is None:
        return None
    found: dict[str, Any] = {}
    for name, value in properties:
        if name in ("DTSTART", "DTEND"):
            stamp = _STAMP.fullmatch(value.strip())
            if stamp is None:
                return None
            found["start" if name == "DTSTART" else "end"] = "{}-{}-{}T{}:{}".format(*stamp.groups())
        elif name in ("SUMMARY", "LOCATION"):
            found[name.lower()] = value.strip()
        elif name == "ATTENDEE":
            found.setdefault("attendees", []).append(_MAILTO.sub("", value.strip()))
    return found


_STAMP = re.compile(r"(\d{4})(\d\d)(\d\d)T(\d\d)(\d\d)\d{0,2}Z?")
_MAILTO = re.compile("^mailto:", re.IGNORECASE)


def _first_event(text: str) -> list[tuple[str, str]] | None:
    """Return (name, unescaped value) of the first VEVENT's own properties; None when none begins and ends."""
    from icalendar.parser import Contentlines

    properties: list[tuple[str, str]] = []
    inside: list[str] = []
    for line in Contentlines.from_ical(text):  # type: ignore[no-untyped-call]
        if not line:
            continue
        try:
            name, _, value = line.parts()
        except ValueError:  # no content line: nothing that an event is made of
            continue
        name, kind = name.upper(), value.strip().upper()
        if name == "BEGIN" and (inside or kind == "VEVENT"):
            inside.append(kind)
        elif name == "END":
            if not inside or kind != inside[-1]:
                continue
            inside.pop()
            if not inside:
                return properties
        elif len(inside) == 1:
            properties.append((name, value))
    return None


def _compact(moment: str) -> str:
    return moment.replace("-", "").replace(":", "") + "00"


def _escaped(text: str) -> str:
    return re.sub(r"([\\;,])", r"\\\1", text).replace("\n", "\\n")
