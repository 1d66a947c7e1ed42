"""Messages that an agent may send, and texts that it may post: the check of the right one is not to be upset by others."""

from __future__ import annotations

import base64
from types import SimpleNamespace
from typing import Any

import pytest
from harmless import harmless, named, refused
from hypothesis import given, settings
from hypothesis import strategies as st

from ise_gym.checks import build_check
from ise_gym.services.mail import MailServer
from ise_gym.workspace.backends.dummy import DummyWorkspace

SOUND = b"From: ada@x.test\r\nTo: bo@x.test\r\nSubject: Report\r\n\r\nIt is done.\r\n"
HEADERS = {
    "an open address": b"From: <",
    "an address of nothing": b"From: ",
    "open comments": b"From: " + b"(" * 5000,
    "nested comments": b"To: " + b"(" * 3000 + b")" * 3000,
    "open brackets": b"From: " + b"[" * 5000,
    "quotes": b"From: " + b'"' * 5001,
    "backslashes": b"From: " + b"\\" * 5001,
    "commas": b"To: " + b"," * 20_000,
    "groups": b"To: a:b:c:d:;;;;",
    "an encoded word cut short": b"Subject: =?utf-8?b?",
    "encoded words": b"Subject: " + b"=?utf-8?q?a?= " * 2000,
    "an unknown charset": b"Subject: =?x-nowhere?q?a?=",
    "a NUL": b"Subject: a\0b",
    "no UTF-8": b"Subject: \xff\xfe",
    "a content type of nothing": b"Content-Type: ",
    "a content type of signs": b"Content-Type: ;;;=;=",
    "an endless parameter": b"Content-Type: text/plain; " + b"a*0=x; " * 3000,
    "a parameter that goes on": b"Content-Type: text/plain; charset*=utf-8''%ff%fe",
    "a charset that is none": b"Content-Type: text/plain; charset=\xff",
    "a boundary of nothing": b"Content-Type: multipart/mixed; boundary=",
    "no boundary": b"Content-Type: multipart/mixed",
    "an encoding that is none": b"Content-Transfer-Encoding: base65",
    "base64 of signs": b"Content-Transfer-Encoding: base64\r\nContent-Type: text/plain",
    "a message in a message": b"Content-Type: message/rfc822",
    "a partial message": b"Content-Type: message/partial",
    "a date that never was": b"Date: 32 Foo 99999 99:99:99 +9999",
    "a reply to nothing": b"In-Reply-To: <<<>>>",
    "a disposition of signs": b"Content-Disposition: attachment; filename*=x'y'%zz",
    "dots": b"From: " + b"." * 5000 + b"@" + b"." * 5000,
    "at signs": b"From: " + b"@" * 5000,
    "routes": b"From: <@a,@b,@c:d@e>",
    "a thousand headers": b"X-A: b\r\n" * 1000 + b"X-A: b",
    "a header of 1 MB": b"X-A: " + b"x" * 1_000_000,
    "folds": b"Subject: " + b"\r\n " * 5000 + b"x",
    "a colon alone": b":",
    "no colon": b"Subject Report",
}  # fmt: skip


class _Host:
    """Stands for a workspace's services: one mail server."""

    def __init__(self, *messages: bytes) -> None:
        self.mail = MailServer([])
        for message in messages:
            self.mail.accept("ada@x.test", ["bo@x.test"], message)
        self.sites: dict[str, Any] = {}


def with_mail(monkeypatch: pytest.MonkeyPatch, *messages: bytes) -> DummyWorkspace:
    host = _Host(*messages)
    monkeypatch.setattr("ise_gym.checks.services.services_of", lambda _: host)
    return DummyWorkspace()


MAIL = {
    "to": "bo@x.test",
    "subject": "Report",
    "sender": "ada@x.test",
    "equals": "It is done.",
    "in_reply_to": "",
}


@pytest.mark.parametrize("header", **named(HEADERS))
def test_a_strange_message_does_not_hide_the_right_one(
    monkeypatch: pytest.MonkeyPatch, header: bytes
) -> None:
    strange = header + b"\r\nX-Ends: here\r\n\r\n--\r\nbody \xff\r\n"
    check = build_check("mail", MAIL)
    assert harmless(lambda: check.run(with_mail(monkeypatch, strange, SOUND), {})).passed
    refused(lambda: check.run(with_mail(monkeypatch, strange), {}))


@pytest.mark.parametrize("header", **named(HEADERS))
def test_a_strange_header_in_the_right_message_is_a_verdict(
    monkeypatch: pytest.MonkeyPatch, header: bytes
) -> None:
    mixed = b"Subject: Report\r\n" + header + b"\r\n\r\nIt was not done.\r\n"
    check = build_check("mail", {**MAIL, "attachments": {"a.txt": "a.txt"}})
    refused(lambda: check.run(with_mail(monkeypatch, mixed), {}))


@given(st.binary(max_size=300))
@settings(max_examples=100)
def test_any_message_gets_a_verdict(data: bytes) -> None:
    check = build_check("mail", MAIL)
    kept = [{"from": "a", "to": ["bo@x.test"], "data": base64.b64encode(data).decode()}]
    from ise_gym.checks.judging import POOL

    refused(lambda: POOL.judge(check, (kept, {})))


@pytest.mark.parametrize(
    "text",
    **named(
        {
            "a": "x" * 200_000,
            "spaces": " " * 200_000,
            "lines": "\n" * 200_000,
            "surrogate": "\ud800",
            "NUL": "\0" * 1000,
        }
    ),
)
def test_no_posted_text_upsets_the_check_of_a_channel(monkeypatch: pytest.MonkeyPatch, text: str) -> None:
    from ise_gym.services.chat import ChatSite

    channel = {
        "topic": text,
        "members": [text],
        "messages": [{"text": text, "posted": True, "reply_to": text}],
    }
    site = object.__new__(ChatSite)
    monkeypatch.setattr(ChatSite, "channel", lambda self, name: channel)
    host = SimpleNamespace(mail=None, sites={"chat.test": site})
    monkeypatch.setattr("ise_gym.checks.services.services_of", lambda _: host)
    check = build_check("chat", {"host": "chat.test", "channel": "ops", "matches": r"^(\w+\s*)+ done$"})
    refused(lambda: check.run(DummyWorkspace(), {}))
