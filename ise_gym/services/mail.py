"""Mail: an SMTP server that keeps what it accepted, for the checks to read.

The protocol is small enough to be spoken here (RFC 5321: HELO, EHLO, MAIL, RCPT, DATA, RSET, NOOP, QUIT); the standard
library has had no server for it since Python 3.12.
"""

from __future__ import annotations

import base64
import email
import email.policy
import re
from collections.abc import Callable, Iterable, Mapping
from email.message import EmailMessage
from functools import lru_cache
from typing import BinaryIO, TypedDict

from ise_gym.foreign.values import Json
from ise_gym.services.site import Room
from ise_gym.services.spec import MailModel

LINE = 4096
MOST_BYTES = 6 << 20
MOST_RECIPIENTS = 100
MOST_KEPT = 24 << 20
"""Bytes of all that one box's mail server accepts, and"""
MOST_MESSAGES = 2_000
"""messages of it."""
_ADDRESS = re.compile(r"^(?:FROM|TO):\s*<([^<>\s]*)>", re.IGNORECASE)


Sent = TypedDict("Sent", {"from": str, "to": list[str], "data": str})
"""One accepted message: envelope sender, envelope recipients, the message (base64)."""


class MailState(TypedDict):
    """All that clients change: what was sent, in order, and the greylisted recipients turned away once already."""

    sent: list[Sent]
    greeted: list[str]


class MailServer:
    """What is behind the SMTP port: the rules of all mail services of a scenario, and what was sent.

    Attributes:
        state: ``sent``: envelope sender, envelope recipients and the message (base64), in order of arrival;
            ``greeted``: greylisted recipients that were turned away once already.
    """

    def __init__(self, data: Iterable[Mapping[str, Json]], state: MailState | None = None) -> None:
        models = [MailModel.model_validate(item) for item in data]
        self._refused = {address.lower() for model in models for address in model.refused}
        self._greylisted = {address.lower() for model in models for address in model.greylisted}
        self.state: MailState = state or {"sent": [], "greeted": []}
        self._room = Room(MOST_KEPT - sum(len(item["data"]) * 3 // 4 for item in self.state["sent"]))

    def recipient(self, address: str) -> str:
        """Return the reply to a recipient: 250, or why not."""
        if address.count("@") != 1 or address.startswith("@") or address.endswith("@"):
            return "501 5.1.3 bad recipient address"
        if address in self._refused:
            return f"550 5.1.1 <{address}>: no such mailbox here"
        if address in self._greylisted and address not in self.state["greeted"]:
            self.state["greeted"].append(address)
            return f"450 4.2.0 <{address}>: greylisted, please try again"
        return "250 2.1.5 ok"

    def accept(self, sender: str, recipients: list[str], data: bytes) -> str:
        """Keep a message and return the reply."""
        if len(self.state["sent"]) >= MOST_MESSAGES or not self._room.take(len(data)):
            return "452 4.3.1 the mail server is full"
        packed = base64.b64encode(data).decode("ascii")
        self.state["sent"].append({"from": sender, "to": recipients, "data": packed})
        return f"250 2.0.0 ok, queued as {len(self.state['sent'])}"

    def sent(self) -> list[tuple[str, list[str], EmailMessage]]:
        """Return what was accepted so far: envelope sender, envelope recipients, message (to read, not to change)."""
        return [(item["from"], item["to"], parsed(item["data"])) for item in self.state["sent"]]


@lru_cache(maxsize=128)
def parsed(packed: str) -> EmailMessage:
    """Parse a kept message (base64), once for all checks of an episode."""
    found = email.message_from_bytes(base64.b64decode(packed), policy=email.policy.default)
    assert isinstance(found, EmailMessage)
    return found


def converse(server: MailServer, lines: BinaryIO, say: Callable[[str], None]) -> None:
    """Hold one SMTP conversation to its end.

    Args:
        server: gets what is accepted; the caller keeps others out while this one is asked.
        lines: the client's side.
        say: sends one reply line.
    """
    sender: str | None = None
    recipients: list[str] = []
    say("220 mail ready")
    while line := lines.readline(LINE):
        verb, _, rest = line.decode("utf-8", "replace").strip().partition(" ")
        verb = verb.upper()
        address = _ADDRESS.match(rest)
        if verb == "QUIT":
            say("221 2.0.0 bye")
            return
        if verb == "EHLO":
            say("250-mail")
            say("250-8BITMIME")
            say(f"250 SIZE {MOST_BYTES}")
        elif verb in ("HELO", "NOOP"):
            say("250 2.0.0 ok")
        elif verb == "RSET":
            sender, recipients = None, []
            say("250 2.0.0 ok")
        elif verb == "MAIL":
            if address is None:
                say("501 5.5.4 MAIL FROM:<address> expected")
                continue
            sender, recipients = address[1].lower(), []
            say("250 2.1.0 ok")
        elif verb == "RCPT":
            if sender is None or address is None or len(recipients) >= MOST_RECIPIENTS:
                say("503 5.5.1 MAIL first, then RCPT TO:<address>, not too many")
                continue
            reply = server.recipient(address[1].lower())
            if reply.startswith("250") and address[1].lower() not in recipients:
                recipients.append(address[1].lower())
            say(reply)
        elif verb == "DATA":
            if sender is None or not recipients:
                say("503 5.5.1 no valid recipients")
                continue
            say("354 end with a lone dot")
            data = _message(lines)
            say("552 5.3.4 message too large" if data is None else server.accept(sender, recipients, data))
            sender, recipients = None, []
        else:
            say("502 5.5.2 command not known")


def _message(lines: BinaryIO) -> bytes | None:
    """Read up to the lone dot; None when it was too large."""
    kept: list[bytes] = []
    size, fresh = 0, True
    while line := lines.readline(LINE):
        if fresh and line.rstrip(b"\r\n") == b"." and line.endswith(b"\n"):
            return b"".join(kept) if size <= MOST_BYTES else None
        if fresh and line.startswith(b"."):
            line = line[1:]
        fresh = line.endswith(b"\n")
        size += len(line)
        if size <= MOST_BYTES:
            kept.append(line)
    return None
