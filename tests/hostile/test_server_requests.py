"""What a client of the box's services can send: answered, within bounds of time and memory, or refused by number."""

from __future__ import annotations

import io
import json
import time
from typing import Any

import pytest
from made.shapes import SHAPES, filled

from ise_gym.services import calendars, chat, mail
from ise_gym.services.calendars import CalendarSite, Event, from_ics, to_ics
from ise_gym.services.chat import ChatSite
from ise_gym.services.mail import MailServer, converse
from ise_gym.services.site import Request, Response
from ise_gym.services.web import MOST_TARGETS, WebSite

REQUEST_S = 1.0
ICS = {"content-type": "text/calendar"}
EVENT = (
    "BEGIN:VCALENDAR\r\nBEGIN:VEVENT\r\nUID:x\r\nDTSTART:20250304T093000\r\nDTEND:20250304T100000\r\n"
    "SUMMARY:Stand-up\r\nEND:VEVENT\r\nEND:VCALENDAR\r\n"
)


def calendar() -> CalendarSite:
    return CalendarSite(
        {"host": "cal.a.example", "calendars": [{"name": "ann"}, {"name": "room", "exclusive": True}]}
    )


def team() -> ChatSite:
    channels = [{"name": "general"}, {"name": "random"}]
    return ChatSite(
        {"host": "c.a.example", "me": "bot", "token": "t", "now": "2025-01-01T09:00", "channels": channels}
    )


def post(site: Any, path: str, body: bytes, method: str = "POST", **headers: str) -> Response:
    heads = {"authorization": "Bearer t", **{k.replace("_", "-"): v for k, v in headers.items()}}
    begun = time.process_time()
    answer: Response = site.answer(Request(method, "a", path, {}, heads, body, path))
    assert time.process_time() - begun < REQUEST_S
    return answer


@pytest.mark.parametrize("shape", SHAPES)
def test_a_calendar_takes_every_shape(shape: str) -> None:
    words = filled(SHAPES[shape], 208_000)
    site = calendar()
    for text in (
        words,
        words[:30_000],
        "BEGIN:VEVENT\n" + words[:30_000],
        EVENT.replace("Stand-up", words[:10_000]),
    ):
        answer = post(
            site, "/calendars/ann/events", text.encode("utf-8", "replace"), content_type="text/calendar"
        )
        assert answer.status in (201, 400, 413, 422)
        post(site, "/calendars/ann/events", json.dumps({"summary": words[:9_000]}).encode("utf-8", "replace"))
    post(site, "/calendars/ann/events", b"", "GET")


@pytest.mark.parametrize(
    "unit",
    ["BEGIN:VEVENT\n", "BEGIN:VEVENT ", "END:VEVENT\n", "SUMMARY:x\n", "\n ", "\r\n\t", "A;B=c", 'A;B="', "\\,", "DTSTART:2", "BEGIN:VALARM\n"],
)  # fmt: skip
def test_calendars_of_repeated_parts_cost_a_moment(unit: str) -> None:
    begun = time.process_time()
    from_ics(filled(unit, 32_000))
    from_ics("BEGIN:VEVENT\n" + filled(unit, 32_000) + "END:VEVENT\n")
    assert time.process_time() - begun < REQUEST_S


@pytest.mark.parametrize(
    ("text", "found"),
    [
        (EVENT, {"start": "2025-03-04T09:30", "end": "2025-03-04T10:00", "summary": "Stand-up"}),
        (
            EVENT.replace("\r\n", "\n"),
            {"start": "2025-03-04T09:30", "end": "2025-03-04T10:00", "summary": "Stand-up"},
        ),
        (EVENT.replace("Stand-up", "Tea\\, cake\\; a\\\\b\\nnext"), {"summary": "Tea, cake; a\\b\nnext"}),
        (EVENT.replace("Stand-up", "a very\r\n  long line"), {"summary": "a very long line"}),
        (EVENT.replace("SUMMARY:", "SUMMARY;LANGUAGE=en:"), {"summary": "Stand-up"}),
        (EVENT.replace("DTSTART:", "DTSTART;TZID=Europe/Berlin:"), {"start": "2025-03-04T09:30"}),
        (EVENT.replace("SUMMARY", "summary"), {"summary": "Stand-up"}),
        (
            EVENT.replace("END:VEVENT", "ATTENDEE:MAILTO:a@b.c\r\nATTENDEE;CN=X:mailto:d@e.f\r\nEND:VEVENT"),
            {"attendees": ["a@b.c", "d@e.f"]},
        ),
        (EVENT.replace("END:VEVENT", "LOCATION:Room 1\r\nEND:VEVENT"), {"location": "Room 1"}),
        (
            EVENT.replace("END:VEVENT", "BEGIN:VALARM\r\nSUMMARY:no\r\nEND:VALARM\r\nEND:VEVENT"),
            {"summary": "Stand-up"},
        ),
        (EVENT.replace("T093000", ""), None),
        (EVENT.replace("T093000", "T0930"), {"start": "2025-03-04T09:30"}),
        (EVENT.replace("T093000", "T093000Z"), {"start": "2025-03-04T09:30"}),
        (EVENT.replace("END:VEVENT\r\n", ""), None),
        (EVENT.replace("VEVENT", "VTODO"), None),
        ("", None),
    ],
)
def test_the_first_event_is_read_as_before(text: str, found: dict[str, Any] | None) -> None:
    event = from_ics(text)
    assert (event is None) if found is None else event is not None and found.items() <= event.items()


def test_what_is_written_is_read_again() -> None:
    event: Event = {
        "uid": "a", "start": "2025-03-04T09:30", "end": "2025-03-04T10:00", "summary": "a, b; c\\d\ne", "location": "x",
        "attendees": ["a@b.c"],
    }  # fmt: skip
    assert from_ics(to_ics([event])) == {key: value for key, value in event.items() if key != "uid"}


def test_a_calendar_has_room_for_so_many_events(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(calendars, "MOST_EVENTS", 3)
    site = calendar()
    codes = [
        post(site, "/calendars/ann/events", EVENT.encode(), content_type="text/calendar").status
        for _ in range(5)
    ]
    assert codes == [201, 201, 201, 507, 507]
    assert (
        post(
            site, "/calendars/ann/events/event-1", EVENT.encode(), "PUT", content_type="text/calendar"
        ).status
        == 200
    )


def test_a_chat_grows_within_its_budget(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(chat, "MOST_KEPT", 400_000)
    site = team()
    big = json.dumps({"text": "x" * 100_000}).encode()
    codes = [post(site, "/api/channels/general/messages", big).status for _ in range(60)]
    assert codes[:3] == [201, 201, 201] and set(codes[3:]) == {507}
    assert len(json.dumps(site.state)) < 500_000
    assert post(site, "/api/channels/general/messages", b"", "GET").status == 200
    again = ChatSite(site._model.model_dump(), json.loads(json.dumps(site.state)))  # as from a snapshot
    assert post(again, "/api/channels/general/messages", big).status == 507


def test_a_request_to_the_chat_has_a_size() -> None:
    site = team()
    assert (
        post(site, "/api/channels/general/messages", json.dumps({"text": "x" * 7_000_000}).encode()).status
        == 413
    )
    assert len(json.dumps(site.state)) < 1_000


@pytest.mark.parametrize("body", [b"", b"{", b"[" * 200_000, b"7", b"null", b'{"text": 7}', b'{"text": ""}', b'{"text": "x", "reply_to": []}',
    b'{"text": "x", "reply_to": {}}', b'{"topic": [[]]}', b'{"user": []}', b'{"user": {}}', b'{"name": []}', b'{"refresh": {}}',
    b'{"text": "\\ud800"}', b"\xff", b'{"text": NaN}', b'{"name": "' + b"a" * 200_000 + b'"}'])  # fmt: skip
@pytest.mark.parametrize("path", ["/api/channels", "/api/channels/general/messages", "/api/channels/general/topic",
    "/api/channels/general/members", "/api/token", "/calendars/ann/events"])  # fmt: skip
def test_no_body_raises(path: str, body: bytes) -> None:
    for site in (team(), calendar()):
        for method in ("POST", "PUT", "GET", "DELETE", "PATCH"):
            assert 200 <= post(site, path, body, method).status < 600
        for made in site.state.values():
            json.dumps(made).encode("utf-8", "surrogatepass")


def test_pages_count_hits_within_bounds() -> None:
    site = WebSite(
        {
            "host": "w.a.example",
            "title": "A",
            "pages": [{"path": "/", "body": "x"}, {"path": "/b", "body": "y"}],
        }
    )
    for number in range(MOST_TARGETS + 500):
        path = f"/?q={number}" + "x" * 5_000
        site.answer(Request("GET", "w", "/", {"q": str(number)}, {}, b"", path))
    site.answer(Request("GET", "w", "/b", {}, {}, b"", "/b"))
    hits = site.state["hits"]
    assert len(hits) <= MOST_TARGETS + 2 and max(map(len, hits)) <= 1_000
    assert hits["/"] == 500 and hits["/b"] == 1


def talk(server: MailServer, *lines: bytes) -> list[str]:
    said: list[str] = []
    converse(server, io.BytesIO(b"".join(lines)), said.append)
    return said


def letter(size: int) -> list[bytes]:
    return [
        b"MAIL FROM:<a@a.example>\r\n",
        b"RCPT TO:<b@a.example>\r\n",
        b"DATA\r\n",
        (b"x" * 900 + b"\r\n") * (size // 902),
        b".\r\n",
    ]


def test_mail_is_kept_within_its_budget(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(mail, "MOST_KEPT", 1_000_000)
    server = MailServer([{"domain": "a.example"}])
    said = [
        line
        for _ in range(20)
        for line in talk(server, *letter(300_000))
        if line[:3] in ("250", "452", "552")
    ]
    assert sum("queued" in line for line in said) == 3
    assert sum(line.startswith("452 4.3.1") for line in said) == 17
    assert len(json.dumps(server.state)) < 2_000_000
    again = MailServer([{"domain": "a.example"}], json.loads(json.dumps(server.state)))
    assert any(line.startswith("452 4.3.1") for line in talk(again, *letter(300_000)))


@pytest.mark.parametrize(
    "shape", ["one letter", "spaces", "angle brackets", "nulls", "newlines", "addresses", "full stops"]
)
def test_no_talk_raises(shape: str) -> None:
    words = filled(SHAPES[shape], 100_000).encode()
    begun = time.process_time()
    talk(
        MailServer([{"domain": "a.example"}]),
        words,
        b"\r\nMAIL FROM:<",
        words,
        b"\r\nRCPT TO:<",
        words,
        b"\r\nQUIT\r\n",
    )
    assert time.process_time() - begun < REQUEST_S
