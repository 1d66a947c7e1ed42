"""Checks on in-box services: what was mailed, posted and scheduled, as the service itself keeps it.

They read the service's state on the harness side, so nothing that a command in the box writes can look like a sent
message; what a message says is read in a process with limits (`judged`). All texts ignore trailing whitespace, as
`TextCheck` does.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from email.message import EmailMessage
from email.utils import getaddresses
from typing import Any

from ise_gym.checks.base import PASSED, BaseCheck, Unreadable, failed, judged, read_bytes, shown
from ise_gym.checks.content import ABSENT, strings, text_problem
from ise_gym.foreign.values import Json
from ise_gym.scenario import CheckResult
from ise_gym.services.calendars import CalendarSite, Event
from ise_gym.services.chat import Channel, ChatSite
from ise_gym.services.host import ServiceHost, services_of
from ise_gym.services.mail import Sent, parsed
from ise_gym.workspace.base import SeedFile, Workspace


def _host(workspace: Workspace) -> ServiceHost:
    host = services_of(workspace)
    if host is None:
        raise Unreadable("no service runs for this workspace")
    return host


@dataclass(frozen=True)
class MailCheck(BaseCheck):
    """Passes when exactly one message with this subject was sent, to exactly these recipients (Cc and Bcc included)."""

    path: str = "."
    to: Any = ()
    subject: str = ""
    sender: str = ""
    equals: Any = ABSENT
    contains: Any = ()
    excludes: Any = ()
    matches: Any = ()
    attachments: Any = ABSENT
    in_reply_to: str = ""

    def __post_init__(self) -> None:
        super().__post_init__()
        if not strings(self.to, "to") or not isinstance(self.subject, str) or not self.subject:
            raise ValueError("mail needs `to` (an address or a list) and `subject`")
        text_problem("", ABSENT, (), self.excludes)
        strings(self.contains, "contains")
        if self.attachments is not ABSENT and not isinstance(self.attachments, Mapping):
            raise ValueError("mail: `attachments` maps file names to the workspace file each must equal")

    def is_about(self, path: str) -> bool:
        """Return whether the file is one that had to be attached."""
        return isinstance(self.attachments, Mapping) and path in self.attachments.values()

    def look(self, workspace: Workspace, start: Mapping[str, SeedFile]) -> CheckResult:
        """See `BaseCheck.run`."""
        server = _host(workspace).mail
        if server is None:
            raise Unreadable("no mail server runs for this workspace")
        files: dict[str, bytes | str] = {}
        for path in set({} if self.attachments is ABSENT else self.attachments.values()):
            try:
                files[path] = read_bytes(workspace, path)
            except Unreadable as problem:  # said only if all before it is right
                files[path] = str(problem)
        return judged(self, (list(server.state["sent"]), files))

    def judge(self, material: tuple[list[Sent], dict[str, bytes | str]]) -> CheckResult:
        """Judge the messages, as `MailServer` keeps them, and the files that attachments must equal."""
        kept, files = material
        wanted = " ".join(self.subject.split())
        sent = [(item["to"], parsed(item["data"])) for item in kept]
        sent = [item for item in sent if _subject(item[1]) == wanted]
        if len(sent) != 1:
            return failed(
                f"{len(sent)} messages with the subject {shown(self.subject)} were sent instead of one"
            )
        envelope, message = sent[0]
        expected = sorted(address.lower() for address in strings(self.to, "to"))
        if sorted(envelope) != expected:
            return failed(f"the message went to {shown(sorted(envelope))} instead of {shown(expected)}")
        author = [address.lower() for _, address in getaddresses([str(message.get("From", ""))])]
        if self.sender and author != [self.sender.lower()]:
            return failed(f"the message is from {shown(author)} instead of {shown(self.sender)}")
        if self.in_reply_to and str(message.get("In-Reply-To", "")).strip() != self.in_reply_to:
            return failed("the message is no reply to the right one")
        text = _body(message)
        if problem := text_problem(text, self.equals, self.contains, self.excludes, self.matches):
            return failed(f"the message's text {problem}")
        if self.attachments is not ABSENT:
            return self._attachments(files, message)
        return PASSED

    def _attachments(self, files: Mapping[str, bytes | str], message: EmailMessage) -> CheckResult:
        found = {part.get_filename() or "(unnamed)": part for part in message.iter_attachments()}
        if sorted(found) != sorted(self.attachments):
            return failed(
                f"the attachments are {shown(sorted(found))} instead of {shown(sorted(self.attachments))}"
            )
        for name, path in self.attachments.items():
            content = found[name].get_payload(decode=True) or b""
            expected = files[path]
            if isinstance(expected, str):
                raise Unreadable(expected)
            if bytes(content).replace(b"\r\n", b"\n") != expected.replace(b"\r\n", b"\n"):
                return failed(f"the attachment {name} is not the file {path}")
        return PASSED


@dataclass(frozen=True)
class OutboxCheck(BaseCheck):
    """Passes when so many messages were sent in all (none unless said otherwise), or so many to one address."""

    path: str = "."
    count: int = 0
    to: str = ""

    def look(self, workspace: Workspace, start: Mapping[str, SeedFile]) -> CheckResult:
        """See `BaseCheck.run`."""
        server = _host(workspace).mail
        if server is None:
            raise Unreadable("no mail server runs for this workspace")
        wanted = self.to.lower()
        sent = [item for item in server.state["sent"] if not wanted or wanted in map(str.lower, item["to"])]
        if len(sent) != self.count:
            return failed(
                f"{len(sent)} messages were sent{' to ' + self.to if self.to else ''}, not {self.count}"
            )
        return PASSED


def _subject(message: EmailMessage) -> str:
    """Return the subject with single spaces; "" for one that can't be read, which must not hide the other messages."""
    try:
        return " ".join(str(message.get("Subject", "")).split())
    except Exception:  # the parser of headers raises whatever its code runs into
        return ""


def _body(message: EmailMessage) -> str:
    try:
        part = message.get_body(preferencelist=("plain", "html"))
        return "" if part is None else str(part.get_content()).replace("\r\n", "\n")
    except (LookupError, ValueError, AttributeError) as error:
        raise Unreadable(f"the message can't be read: {type(error).__name__}") from None


@dataclass(frozen=True)
class ChatCheck(BaseCheck):
    """Passes when the channel is as stated: exactly ``count`` messages posted that fit, its topic, its members."""

    path: str = "."
    host: str = ""
    channel: str = ""
    equals: Any = ABSENT
    contains: Any = ()
    excludes: Any = ()
    matches: Any = ()
    reply_to: Any = None
    count: int = 1
    topic: Any = ABSENT
    members: Any = ABSENT

    def __post_init__(self) -> None:
        super().__post_init__()
        if not self.host or not self.channel:
            raise ValueError("chat needs `host` and `channel`")
        text_problem("", ABSENT, (), self.excludes)
        strings(self.contains, "contains")
        strings(self.matches, "matches")

    def look(self, workspace: Workspace, start: Mapping[str, SeedFile]) -> CheckResult:
        """See `BaseCheck.run`."""
        site = _host(workspace).sites.get(self.host)
        if not isinstance(site, ChatSite):
            raise Unreadable(f"no chat answers to {self.host}")
        channel = site.channel(self.channel)
        if channel is None:
            return failed(f"there is no channel {self.channel}")
        return judged(self, channel)

    def judge(self, material: Channel) -> CheckResult:
        """Judge the channel as `ChatSite` keeps it."""
        channel = material
        if self.topic is not ABSENT and channel["topic"].strip() != str(self.topic).strip():
            return failed(f"the topic of {self.channel} is {shown(channel['topic'])}")
        if self.members is not ABSENT and sorted(channel["members"]) != sorted(
            strings(self.members, "members")
        ):
            return failed(f"the members of {self.channel} are {shown(sorted(channel['members']))}")
        asks_for_text = self.equals is not ABSENT or self.contains or self.excludes or self.matches
        if not asks_for_text:
            return PASSED
        posted = [m for m in channel["messages"] if m.get("posted")]
        problems = [
            text_problem(m["text"], self.equals, self.contains, self.excludes, self.matches) for m in posted
        ]
        fitting = [
            m
            for m, wrong in zip(posted, problems, strict=True)
            if not wrong and (self.reply_to is None or m.get("reply_to") == self.reply_to)
        ]
        if len(fitting) != self.count:
            why = next((p for p in reversed(problems) if p), "")
            return failed(
                f"{len(fitting)} of {len(posted)} messages posted to {self.channel} fit instead of {self.count} {why}"
            )
        return PASSED


@dataclass(frozen=True)
class CalendarCheck(BaseCheck):
    """Passes when a calendar holds (``has``) and lacks (``lacks``) such events; ``total`` fixes their number.

    An event fits when every key that is given equals; attendees in any order.
    """

    path: str = "."
    host: str = ""
    calendar: str = ""
    has: Any = ()
    lacks: Any = ()
    total: int = -1

    def __post_init__(self) -> None:
        super().__post_init__()
        if not self.host or not self.calendar:
            raise ValueError("calendar needs `host` and `calendar`")
        for event in (*_mappings(self.has), *_mappings(self.lacks)):
            if not isinstance(event, Mapping) or not event:
                raise ValueError(
                    "calendar: `has` and `lacks` are mappings such as {summary: …, start: …}, or lists"
                )

    def look(self, workspace: Workspace, start: Mapping[str, SeedFile]) -> CheckResult:
        """See `BaseCheck.run`."""
        site = _host(workspace).sites.get(self.host)
        if not isinstance(site, CalendarSite):
            raise Unreadable(f"no calendar answers to {self.host}")
        events = site.events(self.calendar)
        if events is None:
            return failed(f"there is no calendar {self.calendar}")
        for wanted in _mappings(self.has):
            if sum(_fits(event, wanted) for event in events) != 1:
                return failed(f"not exactly one event fits {shown(dict(wanted))}")
        for unwanted in _mappings(self.lacks):
            if any(_fits(event, unwanted) for event in events):
                return failed(f"an event fits {shown(dict(unwanted))}")
        if self.total >= 0 and len(events) != self.total:
            return failed(f"there are {len(events)} events instead of {self.total}")
        return PASSED


def _mappings(value: Mapping[str, Json] | Sequence[Mapping[str, Json]]) -> list[Mapping[str, Json]]:
    return [value] if isinstance(value, Mapping) else list(value)


def _fits(event: Event, wanted: Mapping[str, Json]) -> bool:
    fields: Mapping[str, Any] = event
    for key, value in wanted.items():
        found = fields.get(key)
        if isinstance(value, (list, tuple)):
            if sorted(map(str, found or [])) != sorted(map(str, value)):
                return False
        elif found != value:
            return False
    return True
