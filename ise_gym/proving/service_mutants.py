"""Wrong answers that no file shows: messages that went to somebody else, say another figure, or were never sent.

The state of services is on the harness side, so a damaged one is put in its place while the checks look, and
taken away again.
"""

from __future__ import annotations

import base64
import copy
import email
import email.policy
import json
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from datetime import datetime, timedelta
from email.message import EmailMessage
from typing import Any, Protocol, TypeVar

from ise_gym.proving.mutants import figure_forms
from ise_gym.services.calendars import CalendarSite, CalendarState, Event
from ise_gym.services.chat import ChatSite, ChatState, Post
from ise_gym.services.host import ServiceHost
from ise_gym.services.mail import MailState

S = TypeVar("S")
_STRANGER = "somebody.else@elsewhere.example"
_MOST_FIGURES = 3


def damaged_services(host: ServiceHost, before: str) -> Iterator[str]:
    """Put each wrong state in place, yield what is wrong with it, and put the right one back.

    Args:
        host: the running services as the expert left them.
        before: `ServiceHost.save` from before the request.
    """
    earlier: Mapping[str, Any] = json.loads(before)["state"] if before else {}
    if host.mail is not None:
        first = len(earlier.get("mail:", {}).get("sent", ()))
        yield from _tried(host.mail, _mail_forms(host.mail.state, first))
    for name, site in host.sites.items():
        if isinstance(site, ChatSite):
            yield from _tried(site, _chat_forms(site.state, earlier.get(name, {})))
        elif isinstance(site, CalendarSite):
            yield from _tried(site, _calendar_forms(site.state, earlier.get(name, {})))
        elif (damages := getattr(site, "damages", None)) is not None:
            yield from _tried(site, damages(earlier.get(name, {})))


Form = tuple[str, Callable[[S], None]]
"""What is wrong, and how a copy of the state becomes so."""


class Holder(Protocol[S]):
    """A service: whatever keeps a state."""

    state: S


def _tried(holder: Holder[S], forms: Iterable[Form[S]]) -> Iterator[str]:
    for what, change in forms:
        with _in_place(holder, change):
            yield what


@contextmanager
def _in_place(holder: Holder[S], change: Callable[[S], None]) -> Iterator[None]:
    right = holder.state
    holder.state = copy.deepcopy(right)
    change(holder.state)
    try:
        yield
    finally:
        holder.state = right


def _mail_forms(state: MailState, first: int) -> Iterator[Form[MailState]]:
    for at in range(first, len(state["sent"])):
        item = state["sent"][at]
        message = email.message_from_bytes(base64.b64decode(item["data"]), policy=email.policy.default)
        assert isinstance(message, EmailMessage)
        title = f"the message '{message.get('Subject', '')}'"

        def unsent(state: MailState, at: int = at) -> None:
            del state["sent"][at]

        def elsewhere(state: MailState, at: int = at) -> None:
            state["sent"][at]["to"][0] = _STRANGER

        def twice(state: MailState, at: int = at) -> None:
            state["sent"].append(state["sent"][at])

        yield f"{title} was not sent", unsent
        yield f"{title} went to {_STRANGER} instead of {item['to'][0]}", elsewhere
        yield f"{title} was sent twice", twice
        if len(item["to"]) > 1:

            def forgotten(state: MailState, at: int = at) -> None:
                state["sent"][at]["to"].pop()

            yield f"{title} was not sent to {item['to'][-1]}", forgotten
        for what, data in _message_forms(message):

            def rewritten(state: MailState, at: int = at, data: bytes = data) -> None:
                state["sent"][at]["data"] = base64.b64encode(data).decode("ascii")

            yield f"{title} {what}", rewritten


def _message_forms(message: EmailMessage) -> Iterator[tuple[str, bytes]]:
    body = message.get_body(preferencelist=("plain", "html"))
    if body is not None:
        text = str(body.get_content())
        for damaged, number, changed in figure_forms(text, _MOST_FIGURES):
            other = copy.deepcopy(message)
            part = other.get_body(preferencelist=("plain", "html"))
            assert part is not None
            part.set_content(damaged, subtype=part.get_content_subtype())
            yield f"says {changed} for {number}", other.as_bytes()
    if any(True for _ in message.iter_attachments()):
        bare = EmailMessage()
        for name in ("From", "To", "Cc", "Subject", "In-Reply-To"):
            if name in message:
                bare[name] = str(message[name])
        bare.set_content("" if body is None else str(body.get_content()))
        yield "has no attachment", bare.as_bytes()


def _chat_forms(state: ChatState, earlier: ChatState) -> Iterator[Form[ChatState]]:
    for name, channel in state["channels"].items():
        old = earlier.get("channels", {}).get(name)
        if old is None:

            def unmade(state: ChatState, name: str = name) -> None:
                del state["channels"][name]

            yield f"the channel {name} was not made", unmade
        if old is not None and old["topic"] != channel["topic"]:

            def untitled(state: ChatState, name: str = name, topic: str = old["topic"]) -> None:
                state["channels"][name]["topic"] = topic

            yield f"the topic of {name} is as before", untitled
        if old is not None and old["members"] != channel["members"]:

            def unset(state: ChatState, name: str = name, members: list[str] = old["members"]) -> None:
                state["channels"][name]["members"] = members

            yield f"the members of {name} are as before", unset
        known = {message["id"] for message in old["messages"]} if old else set()
        for at, message in enumerate(channel["messages"]):
            if message.get("posted") and message["id"] not in known:
                yield from _post_forms(state, name, at, message)


def _post_forms(state: ChatState, name: str, at: int, message: Post) -> Iterator[Form[ChatState]]:
    def unsent(state: ChatState) -> None:
        del state["channels"][name]["messages"][at]

    def twice(state: ChatState) -> None:
        state["channels"][name]["messages"].append({**message, "id": state["last_id"] + 1})

    yield f"nothing was posted to {name}", unsent
    yield f"the post to {name} was made twice", twice
    for other in [channel for channel in state["channels"] if channel != name][:1]:

        def elsewhere(state: ChatState, other: str = other) -> None:
            state["channels"][other]["messages"].append(state["channels"][name]["messages"].pop(at))

        yield f"the post for {name} went to {other}", elsewhere
    if "reply_to" in message:

        def loose(state: ChatState) -> None:
            del state["channels"][name]["messages"][at]["reply_to"]

        yield f"the post to {name} answers no message", loose
    for damaged, number, changed in figure_forms(message["text"], _MOST_FIGURES):

        def rewritten(state: ChatState, text: str = damaged) -> None:
            state["channels"][name]["messages"][at]["text"] = text

        yield f"the post to {name} says {changed} for {number}", rewritten


def _calendar_forms(state: CalendarState, earlier: CalendarState) -> Iterator[Form[CalendarState]]:
    for name, events in state["calendars"].items():
        old = {event["uid"]: event for event in earlier.get("calendars", {}).get(name, [])}
        for at, event in enumerate(events):
            if old.get(event["uid"]) == event:
                continue
            was = old.get(event["uid"])

            def undone(state: CalendarState, name: str = name, at: int = at, was: Event | None = was) -> None:
                state["calendars"][name][at : at + 1] = [was] if was else []

            def late(state: CalendarState, name: str = name, at: int = at) -> None:
                for key in ("start", "end"):
                    state["calendars"][name][at][key] = _hour_later(state["calendars"][name][at][key])

            def longer(state: CalendarState, name: str = name, at: int = at) -> None:
                state["calendars"][name][at]["end"] = _hour_later(state["calendars"][name][at]["end"])

            def twice(state: CalendarState, name: str = name, at: int = at) -> None:
                again: Event = {**state["calendars"][name][at], "uid": "again"}
                state["calendars"][name].append(again)

            title = f"the event '{event['summary']}' of {name}"
            yield f"{title} is {'as before' if event['uid'] in old else 'not there'}", undone
            yield f"{title} is an hour late", late
            yield f"{title} is an hour too long", longer
            yield f"{title} is there twice", twice
            if event.get("attendees"):

                def alone(state: CalendarState, name: str = name, at: int = at) -> None:
                    state["calendars"][name][at]["attendees"].pop()

                yield f"{title} lacks an attendee", alone
        for uid, event in old.items():
            if uid not in {item["uid"] for item in events}:

                def kept(state: CalendarState, name: str = name, event: Event = event) -> None:
                    state["calendars"][name].append(event)

                yield f"the event '{event['summary']}' of {name} is still there", kept


def _hour_later(time: str) -> str:
    moved = datetime.fromisoformat(time) + timedelta(hours=1)
    return moved.strftime("%Y-%m-%dT%H:%M")
