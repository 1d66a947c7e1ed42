"""Sites asked directly, without a box: pages, faults by count, chat, calendars."""

import json
from typing import Any, cast

import pytest

from ise_gym.services.calendars import CalendarSite, Event, from_ics, to_ics
from ise_gym.services.chat import ChatSite
from ise_gym.services.host import ServiceHost
from ise_gym.services.site import Request, Site
from ise_gym.services.spec import make_spec
from ise_gym.services.web import WebSite

SHOP = {
    "host": "shop.a.example",
    "title": "A & B",
    "layout": "shop",
    "pages": [
        {"path": "/", "title": "Home", "body": "<h1>Home</h1>"},
        {"path": "/list?page=2", "body": "<p>second"},
        {"path": "/old", "location": "/"},
        {"path": "/data.json", "json": {"a": [1]}},
    ],
    "faults": [
        {"path": "/list*", "status": 429, "times": 2, "after": 1, "headers": {"Retry-After": "1"}},
        {"path": "/data.json", "cut": True},
    ],
}
CHAT: dict[str, Any] = {
    "host": "chat.a.example",
    "me": "bot",
    "token": "good",
    "expired": ["stale"],
    "refresh": "secret",
    "now": "2025-01-01T23:59",
    "users": [{"login": "ann", "name": "Ann"}, {"login": "bot", "name": "Bot"}],
    "channels": [
        {
            "name": "general",
            "messages": [
                {"author": "ann", "text": f"m{i}", "time": f"2025-01-01T08:{i:02d}"} for i in range(25)
            ],
        },
        {"name": "late", "messages": [{"author": "ann", "text": "x", "time": "2025-01-01T08:10"}]},
    ],
}
ROOM: dict[str, Any] = {
    "host": "cal.a.example",
    "calendars": [
        {
            "name": "room",
            "exclusive": True,
            "events": [
                {"uid": "e1", "summary": "x, y", "start": "2025-01-01T08:00", "end": "2025-01-01T09:00"}
            ],
        },
        {"name": "ann"},
    ],
}


def ask(site: Site, method: str, target: str, body: Any = None, **headers: str) -> tuple[int, Any]:
    path, _, query = target.partition("?")
    pairs = dict(item.split("=") for item in query.split("&") if item)
    data = body if isinstance(body, bytes) else b"" if body is None else json.dumps(body).encode()
    names = {name.replace("_", "-"): value for name, value in headers.items()}
    reply = site.answer(Request(method, "", path, pairs, names, data, target))
    text = reply.body.decode()
    return reply.status, json.loads(text) if reply.content_type == "application/json" else text


def test_pages_wear_the_layout_and_answer_to_their_query() -> None:
    site = WebSite(SHOP)  # type: ignore[arg-type]
    status, text = ask(site, "GET", "/")
    assert status == 200 and "<h1>Home</h1>" in text and "A &amp; B" in text
    assert ask(site, "GET", "/list?page=2")[0] == 200
    assert ask(site, "GET", "/list?page=3")[0] == 429 and ask(site, "GET", "/nothing")[0] == 404
    assert ask(site, "POST", "/", {})[0] == 405
    assert site.answer(Request("GET", "", "/old", target="/old")).headers["Location"] == "/"
    assert site.state["hits"] == {"/": 1, "/list?page=2": 1, "/old": 1}


def test_faults_come_by_count_and_survive_saving() -> None:
    site = WebSite(SHOP)  # type: ignore[arg-type]
    seen = [ask(site, "GET", "/list?page=2")[0] for _ in range(2)]
    later = WebSite(SHOP, json.loads(json.dumps(site.state)))  # type: ignore[arg-type]
    assert seen + [ask(later, "GET", "/list?page=2")[0] for _ in range(2)] == [200, 429, 429, 200]
    assert [site.answer(Request("GET", "", "/data.json", target="/data.json")).cut for _ in range(2)] == [
        True,
        False,
    ]


@pytest.mark.parametrize(
    "token, error",
    [
        ("", "missing_token"),
        ("Bearer wrong", "invalid_token"),
        ("Bearer stale", "token_expired"),
        ("Basic good", "missing_token"),
    ],
)
def test_chat_refuses_bad_tokens(token: str, error: str) -> None:
    status, said = ask(ChatSite(CHAT), "GET", "/api/channels", authorization=token)
    assert (status, said["error"]) == (401, error)


def test_chat_token_is_renewed_for_the_secret_only() -> None:
    site = ChatSite(CHAT)
    assert ask(site, "POST", "/api/token", {"refresh": "guess"})[0] == 401
    assert ask(site, "POST", "/api/token", {"refresh": "secret"}) == (200, {"token": "good"})


def test_chat_pages_posts_and_counts_time() -> None:
    site = ChatSite(CHAT)
    auth = {"authorization": "Bearer good"}
    _, first = ask(site, "GET", "/api/channels/general/messages", **auth)
    _, rest = ask(site, "GET", f"/api/channels/general/messages?after={first['next']}", **auth)
    assert len(first["messages"]) == 20 and [m["text"] for m in rest["messages"]] == [
        f"m{i}" for i in range(20, 25)
    ]
    assert rest["next"] is None
    status, made = ask(site, "POST", "/api/channels/late/messages", {"text": "hi", "reply_to": 12}, **auth)
    assert status == 201 and made == {
        "id": 27,
        "author": "bot",
        "time": "2025-01-02T00:00",
        "text": "hi",
        "reply_to": 12,
    }
    assert ask(site, "POST", "/api/channels/late/messages", {"text": "hi", "reply_to": 99}, **auth)[0] == 404
    assert ask(site, "POST", "/api/channels/late/messages", {"text": " "}, **auth)[0] == 400
    assert ask(site, "POST", "/api/channels/late/messages", b"no json", **auth)[0] == 400
    channel = site.channel("late")
    assert channel is not None and [m.get("posted") for m in channel["messages"]] == [None, True]


def test_chat_channels_are_made_and_joined() -> None:
    site = ChatSite(CHAT)
    auth = {"authorization": "Bearer good"}
    assert ask(site, "POST", "/api/channels", {"name": "new-one", "topic": "t"}, **auth)[0] == 201
    assert ask(site, "POST", "/api/channels", {"name": "new-one"}, **auth)[0] == 409
    assert ask(site, "POST", "/api/channels", {"name": "No Good"}, **auth)[0] == 400
    assert ask(site, "POST", "/api/channels/new-one/members", {"user": "ann"}, **auth)[1]["members"] == [
        "bot",
        "ann",
    ]
    assert ask(site, "POST", "/api/channels/new-one/members", {"user": "eve"}, **auth)[0] == 404
    assert ask(site, "PUT", "/api/channels/new-one/topic", {"topic": "u"}, **auth)[1]["topic"] == "u"
    assert ask(site, "GET", "/api/channels/none/messages", **auth)[0] == 404


def test_a_room_is_never_booked_twice() -> None:
    site = CalendarSite(ROOM)
    clash = {"summary": "b", "start": "2025-01-01T08:59", "end": "2025-01-01T10:00"}
    assert ask(site, "POST", "/calendars/room/events", clash)[0] == 409
    assert ask(site, "POST", "/calendars/ann/events", clash)[0] == 201
    touching = {**clash, "start": "2025-01-01T09:00"}
    status, made = ask(site, "POST", "/calendars/room/events", touching)
    assert status == 201
    move = {**touching, "start": "2025-01-01T07:00", "end": "2025-01-01T08:30"}
    assert ask(site, "PUT", f"/calendars/room/events/{made['uid']}", move)[0] == 409
    assert ask(site, "DELETE", f"/calendars/room/events/{made['uid']}")[0] == 200
    assert [e["uid"] for e in site.events("room") or []] == ["e1"]


@pytest.mark.parametrize(
    "event, status",
    [
        ({"summary": "x", "start": "2025-01-01T10:00", "end": "2025-01-01T09:00"}, 422),
        ({"summary": "x", "start": "today", "end": "2025-01-01T09:00"}, 422),
        ({"summary": "x"}, 422),
        ({"title": "x", "start": "2025-01-01T08:00", "end": "2025-01-01T09:00"}, 400),
        (b"[1]", 400),
    ],
)
def test_bad_events_are_refused(event: Any, status: int) -> None:
    site = CalendarSite(ROOM)
    assert ask(site, "POST", "/calendars/ann/events", event)[0] == status
    assert site.events("ann") == []


def test_icalendar_there_and_back() -> None:
    site = CalendarSite(ROOM)
    event = (site.events("room") or [])[0]
    text = to_ics([{**event, "location": "Hall; left", "attendees": ["a@b.example"]}])
    assert "SUMMARY:x\\, y\r\n" in text
    again = from_ics(text)
    assert again is not None
    again.pop("uid", None)
    assert again == {
        "summary": "x, y", "start": event["start"], "end": event["end"], "location": "Hall; left", "attendees": ["a@b.example"],
    }  # fmt: skip
    sent = {**again, "start": "2025-02-01T08:00", "end": "2025-02-01T09:00"}
    body = to_ics([cast("Event", {**sent, "uid": "ignored"})]).encode()
    status, made = ask(site, "POST", "/calendars/ann/events", body, content_type="text/calendar")
    assert status == 201 and made["uid"] == "event-1" and made["location"] == "Hall; left"


def test_events_are_kept_between_two_moments() -> None:
    site = CalendarSite(ROOM)
    assert len(ask(site, "GET", "/calendars/room/events?from=2025-01-01&to=2025-01-01")[1]["events"]) == 1
    assert ask(site, "GET", "/calendars/room/events?from=2025-01-01T09:00")[1]["events"] == []
    assert ask(site, "GET", "/calendars/room/events?to=2024-12-31")[1]["events"] == []


@pytest.mark.parametrize(
    "kind, data, words",
    [
        ("web", {**SHOP, "host": "no host"}, "host"),
        ("web", {**SHOP, "pages": [{"path": "/", "text": "a", "csv": "b"}]}, "exactly one of"),
        ("webb", SHOP, "Did you mean 'web'"),
        ("mail", {"domain": "a.example", "refuse": []}, "refuse"),
        (
            "calendar",
            {
                "host": "c.example",
                "calendars": [
                    {
                        "name": "a",
                        "events": [
                            {
                                "uid": "u",
                                "summary": "s",
                                "start": "2025-01-01T09:00",
                                "end": "2025-01-01T09:00",
                            }
                        ],
                    }
                ],
            },
            "end must come after",
        ),
    ],
)
def test_broken_specs_are_named(kind: str, data: Any, words: str) -> None:
    with pytest.raises(ValueError, match=words):
        make_spec(kind, data)


def test_unknown_hosts_are_a_bad_gateway_and_names_are_unique() -> None:
    from ise_gym.errors import UserError

    host = ServiceHost([make_spec("web", SHOP)])
    assert host.answer(Request("GET", "elsewhere.example", "/")).status == 502
    assert host.answer(Request("GET", "SHOP.a.example", "/", target="/")).status == 200
    with pytest.raises(UserError, match=r"shop\.a\.example"):
        ServiceHost([make_spec("web", SHOP), make_spec("web", SHOP)])
