"""Team chat behind an HTTP interface with tokens.

Time in it is counted, not taken from a clock: each new message is one minute after the last new one.
"""

from __future__ import annotations

import datetime
from collections.abc import Mapping, Sequence
from typing import Any, NotRequired, TypedDict

from ise_gym.foreign.values import Json
from ise_gym.services.site import Faults, Request, Response, Room, as_json, problem
from ise_gym.services.spec import ChatModel

PAGE = 20
MOST_BYTES = 256 << 10
"""Bytes of one request's body."""
MOST_KEPT = 8 << 20
"""Bytes of all that one team's chat takes in."""
HELP = """Team chat. Every call but POST /api/token needs the header "Authorization: Bearer TOKEN". Bodies are JSON.
GET  /api/channels                          channels with topic, members and number of messages
POST /api/channels                          {"name", "topic"}: make a channel
PUT  /api/channels/NAME/topic               {"topic"}
POST /api/channels/NAME/members             {"user"}: add somebody
GET  /api/channels/NAME/messages            oldest first; ?after=ID, ?limit=N (at most 20); "next" is null at the end
POST /api/channels/NAME/messages            {"text"}, and "reply_to": ID to answer a message
GET  /api/users                             who is who
POST /api/token                             {"refresh": SECRET}: a fresh token
"""


class Post(TypedDict):
    """One message of a channel; ``posted`` marks those that came over the interface."""

    id: int
    author: str
    time: str
    text: str
    reply_to: NotRequired[Json]
    posted: NotRequired[bool]


class Channel(TypedDict):
    """One channel as it is now, messages oldest first."""

    name: str
    topic: str
    members: list[str]
    messages: list[Post]


class ChatState(TypedDict):
    """All that requests change: channels, counts, and how often each fault has shown."""

    channels: dict[str, Channel]
    faults: list[int]
    posted: int
    last_id: int


class ChatSite:
    """A `Site` that keeps channels and messages."""

    def __init__(self, data: Mapping[str, Json], state: ChatState | None = None) -> None:
        self._model = ChatModel.model_validate(data)
        self.state: ChatState = state or _first_state(self._model)
        self._faults = Faults(self._model.faults, self.state["faults"])
        self._room = Room(MOST_KEPT, self.state["channels"])

    def channel(self, name: str) -> Channel | None:
        """Return one channel as it is now: name, topic, members, messages."""
        return self.state["channels"].get(name)

    def answer(self, request: Request) -> Response:
        """Answer one call of the interface."""
        fault, _ = self._faults.meet(request)
        if fault is not None:
            return fault
        parts = [part for part in request.path.split("/") if part]
        if parts in ([], ["api"]):
            return Response(200, HELP.encode())
        if parts[0] != "api":
            return problem(404, "not_found", "see /api")
        if parts[1:] == ["token"] and request.method == "POST":
            return self._token(request)
        if refusal := self._refusal(request):
            return refusal
        if len(request.body) > MOST_BYTES:
            return problem(413, "too_large", f"a request has at most {MOST_BYTES} bytes")
        if request.body and not self._room.take(len(request.body)):
            return problem(507, "chat_is_full", "this team's chat keeps no more")
        match request.method, *parts[1:]:
            case "GET", "channels":
                return as_json(200, {"channels": [_summary(c) for c in self.state["channels"].values()]})
            case "POST", "channels":
                return self._make(request)
            case "GET", "users":
                return as_json(200, {"users": self._model.users, "me": self._model.me})
            case _, "channels", name, ("messages" | "topic" | "members") as what:
                channel = self.channel(name)
                if channel is None:
                    return problem(404, "no_such_channel", f"channels: {', '.join(self.state['channels'])}")
                return self._in_channel(request, channel, what)
        return problem(404, "not_found", "see /api")

    def _token(self, request: Request) -> Response:
        given = (request.json() or {}).get("refresh")
        if not self._model.refresh or given != self._model.refresh:
            return problem(401, "bad_refresh_secret")
        return as_json(200, {"token": self._model.token})

    def _refusal(self, request: Request) -> Response | None:
        scheme, _, token = request.headers.get("authorization", "").partition(" ")
        if scheme.lower() != "bearer" or not token:
            return problem(401, "missing_token", "send the header Authorization: Bearer TOKEN")
        if token in self._model.expired:
            return problem(401, "token_expired", 'POST /api/token with {"refresh": SECRET} gives a fresh one')
        return None if token == self._model.token else problem(401, "invalid_token")

    def _make(self, request: Request) -> Response:
        given = request.json() or {}
        name = given.get("name")
        if (
            not isinstance(name, str)
            or not name.replace("-", "").replace("_", "").isalnum()
            or not name.islower()
        ):
            return problem(400, "bad_name", "a name is lower-case letters, digits, - and _")
        if name in self.state["channels"]:
            return problem(409, "channel_exists")
        topic = given.get("topic", "")
        if isinstance(topic, dict | list):
            return problem(400, "topic_is_no_text")
        channel: Channel = {
            "name": name,
            "topic": str(topic),
            "members": [self._model.me],
            "messages": [],
        }
        self.state["channels"][name] = channel
        return as_json(201, _summary(channel))

    def _in_channel(self, request: Request, channel: Channel, what: str) -> Response:
        given = request.json()
        if request.method == "GET" and what == "messages":
            return _page(channel["messages"], request.query)
        if request.method not in ("POST", "PUT"):
            return problem(405, "method_not_allowed", "see /api")
        if given is None:
            return problem(400, "body_is_no_json_object")
        if what == "topic":
            if isinstance(given.get("topic"), dict | list):
                return problem(400, "topic_is_no_text")
            channel["topic"] = str(given.get("topic", ""))
            return as_json(200, _summary(channel))
        if what == "members":
            user = given.get("user")
            if not isinstance(user, str) or user not in [person.get("login") for person in self._model.users]:
                return problem(404, "no_such_user")
            if user not in channel["members"]:
                channel["members"].append(user)
            return as_json(200, _summary(channel))
        return self._post(channel, given)

    def _post(self, channel: Channel, given: dict[str, Json]) -> Response:
        text, reply_to = given.get("text"), given.get("reply_to")
        if not isinstance(text, str) or not text.strip():
            return problem(400, "text_is_missing")
        if reply_to is not None and reply_to not in [m["id"] for m in channel["messages"]]:
            return problem(404, "no_such_message")
        self.state["posted"] += 1
        now = datetime.datetime.fromisoformat(self._model.now) + datetime.timedelta(
            minutes=self.state["posted"]
        )
        self.state["last_id"] += 1
        message: Post = {
            "id": self.state["last_id"],
            "author": self._model.me,
            "time": now.strftime("%Y-%m-%dT%H:%M"),
            "text": text,
        }
        if reply_to is not None:
            message["reply_to"] = reply_to
        channel["messages"].append({**message, "posted": True})
        return as_json(201, message)


def _first_state(model: ChatModel) -> ChatState:
    said = [(m.time, c.name, i) for c in model.channels for i, m in enumerate(c.messages)]
    ids = {key: number for number, key in enumerate(sorted(said), start=1)}
    channels: dict[str, Channel] = {
        c.name: {
            "name": c.name,
            "topic": c.topic,
            "members": list(c.members),
            "messages": [
                {"id": ids[(m.time, c.name, i)], "author": m.author, "time": m.time, "text": m.text}
                for i, m in enumerate(c.messages)
            ],
        }
        for c in model.channels
    }
    return {"faults": [], "channels": channels, "last_id": len(ids), "posted": 0}


def _summary(channel: Channel) -> dict[str, Any]:
    return {
        "name": channel["name"],
        "topic": channel["topic"],
        "members": list(channel["members"]),
        "messages": len(channel["messages"]),
    }


def _page(messages: Sequence[Post], query: Mapping[str, str]) -> Response:
    try:
        after, limit = int(query.get("after", 0)), max(1, min(int(query.get("limit", PAGE)), PAGE))
    except ValueError:
        return problem(400, "after_and_limit_are_numbers")
    rest = [{k: v for k, v in m.items() if k != "posted"} for m in messages if m["id"] > after]
    shown = rest[:limit]
    following = shown[-1]["id"] if len(rest) > limit else None
    return as_json(200, {"messages": shown, "next": following})
