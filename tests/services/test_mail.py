"""The SMTP conversation, line by line."""

import io

import pytest

from ise_gym.services.mail import MOST_BYTES, MailServer, converse

RULES = [{"domain": "a.example", "refused": ["Gone@b.example"], "greylisted": ["slow@b.example"]}]


def talk(server: MailServer, *lines: str | bytes) -> list[str]:
    data = b"".join(line if isinstance(line, bytes) else line.encode() + b"\r\n" for line in lines)
    said: list[str] = []
    converse(server, io.BytesIO(data), said.append)
    return said


def codes(said: list[str]) -> list[str]:
    return [line[:3] for line in said]


def test_a_message_is_kept_as_it_was_sent() -> None:
    server = MailServer(RULES)
    said = talk(
        server, "HELO box", "MAIL FROM:<me@a.example>", "RCPT TO:<You@b.example>", "RCPT TO:<you@b.example>", "DATA",
        "Subject: Hi", "", "..dotted", ".", "QUIT",
    )  # fmt: skip
    assert codes(said) == ["220", "250", "250", "250", "250", "354", "250", "221"]
    ((sender, recipients, message),) = server.sent()
    assert (sender, recipients, message["Subject"]) == ("me@a.example", ["you@b.example"], "Hi")
    assert message.get_content().strip() == ".dotted"


def test_refusals_are_for_good_or_for_once() -> None:
    server = MailServer(RULES)
    ask = ["MAIL FROM:<me@a.example>", "RCPT TO:<gone@b.example>", "RCPT TO:<slow@b.example>"]
    assert codes(talk(server, *ask))[2:] == ["550", "450"]
    again = MailServer(RULES, server.state)
    assert codes(talk(again, *ask))[2:] == ["550", "250"]
    assert again.sent() == []


@pytest.mark.parametrize(
    "lines, last",
    [
        (["RCPT TO:<a@b.example>"], "503"),
        (["MAIL FROM:me"], "501"),
        (["MAIL FROM:<>", "RCPT TO:<nobody>"], "501"),
        (["MAIL FROM:<>", "DATA"], "503"),
        (["MAIL FROM:<a@b.example>", "RSET", "RCPT TO:<a@b.example>"], "503"),
        (["EXPN all"], "502"),
        ([b"\xff\xfe\r\n"], "502"),
    ],
)
def test_wrong_commands_are_answered(lines: list[str], last: str) -> None:
    server = MailServer(RULES)
    assert codes(talk(server, *lines))[-1] == last
    assert server.sent() == []


def test_a_message_without_an_end_or_too_large_is_not_kept() -> None:
    server = MailServer(RULES)
    head = ["MAIL FROM:<a@a.example>", "RCPT TO:<b@b.example>", "DATA"]
    talk(server, *head, "Subject: cut off")
    line = b"x" * 4000 + b"\n"
    assert codes(talk(server, *head, line * (MOST_BYTES // 4000 + 1), "."))[-1] == "552"
    assert server.sent() == []
