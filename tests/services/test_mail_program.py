"""The box's ``mail`` sends what is short and plain in a way of its own: word for word as it would be written by `email`."""

from __future__ import annotations

import os
import random
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from ise_gym.resources import read_text
from ise_gym.services.mail import MOST_MESSAGES, MailServer, converse

ASK = "if send_plain(sys.argv[1:]):"
WHO = (
    "ana@a.example",
    "b.c+d@b.example",
    "gone@b.example",
    "slow@b.example",
    "Ana Lee <ana@a.example>",
    "a@b@c",
    ".a@b.c",
    "a",
)
SAID = (
    "Report",
    "Re:  two blanks",
    " begins blank",
    "Grüße",
    "=?utf-8?q?x?=",
    "x" * 90,
    "",
    "a\tb",
    "long " * 14,
    "t. 3 %",
)
TEXTS = (
    b"Total: 3\n", b"", b"\n", b"no end", b"a\n\nb\n\n", b".\n..\n.x\n", b"From me\n", b"x\nFrom me\n", b"a\r\nb\r", b"\t- tab\n",
    "Grüße\n".encode(), b"y" * 78 + b"\n", b"y" * 79 + b"\n", b"z" * 999 + b"\n", b"nul\0\n", b"\xff\xfe\n", b"feed\x0cend\n", b" \n",
)  # fmt: skip


@pytest.fixture(scope="module")
def programs(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """The program, and one that never takes its own way."""
    folder = tmp_path_factory.mktemp("bin")
    text = read_text("os/services/bin/mail")
    assert text.count(ASK) == 1
    for name, source in (("mail", text), ("slow/mail", text.replace(ASK, "if False:"))):
        path = folder / name
        path.parent.mkdir(exist_ok=True)
        path.write_text(source)
        path.with_name("sendmail").write_text(read_text("os/services/bin/sendmail"))
    return folder / "mail", folder / "slow/mail"


def cases() -> Iterator[tuple[list[str], bytes]]:
    """Yield arguments and text, plain ones and all kinds of others."""
    plain = ["-r", WHO[0], "-s", SAID[0]]
    for text in TEXTS:
        yield [*plain, WHO[1]], text
    for said in SAID:
        yield ["-r", WHO[0], "-s", said, WHO[1]], TEXTS[0]
    for who in WHO:
        yield [*plain, who], TEXTS[0]
        yield ["-r", who, "-s", "S", WHO[1]], TEXTS[0]
        yield [*plain, "-c", who, WHO[1]], TEXTS[0]
    yield [*plain, "gone@b.example", "slow@b.example", WHO[1], "-b", "hidden@b.example"], TEXTS[0]
    yield [*plain, "gone@b.example", "slow@b.example"], TEXTS[0]
    yield [*plain, WHO[1], WHO[1]], TEXTS[0]
    yield [*plain, "gone@b.example", "gone@b.example"], TEXTS[0]
    yield [*plain, WHO[1], "-c", WHO[0], "late@b.example"], TEXTS[0]
    yield [WHO[1], *plain, "--in-reply-to", "<a.1@b.example>"], TEXTS[0]
    yield [WHO[1], *plain, "--in-reply-to", "a b"], TEXTS[0]
    yield [*plain, f"{WHO[1]},{WHO[0]}"], TEXTS[0]
    yield [*plain, *(f"person.{n}@b.example" for n in range(9))], TEXTS[0]
    for broken in (
        ["-r"],
        plain,
        [*plain, "-x", WHO[1]],
        ["-s", "S", WHO[1]],
        [*plain[:3], "-S", WHO[1]],
        ["-h"],
    ):
        yield broken, TEXTS[0]
    draw = random.Random(4)
    for _ in range(20):
        text = b"".join(bytes(draw.choices(b"ab .\nF", k=9)) for _ in range(draw.randrange(9)))
        yield [*plain, *draw.sample(WHO[:4], 2)], text


class Server:
    """The services' mail server on this machine's loopback."""

    def __init__(self, full: bool = False) -> None:
        self.mail = MailServer([{"domain": "a.example", "refused": [WHO[2]], "greylisted": [WHO[3]]}])
        if full:
            self.mail.state["sent"] = [{"from": "", "to": [], "data": ""}] * MOST_MESSAGES
        self.door = socket.create_server(("127.0.0.1", 0))
        threading.Thread(target=self._serve, daemon=True).start()

    def _serve(self) -> None:
        while True:
            try:
                end, _ = self.door.accept()
            except OSError:
                return
            with end, end.makefile("rb") as lines:
                converse(self.mail, lines, lambda text, end=end: end.sendall(text.encode() + b"\r\n"))  # type: ignore[misc]

    def run(self, program: Path, argv: list[str], text: bytes) -> tuple[int, bytes, bytes, list[object]]:
        """Run the program; returns how it ended, what it printed, and all that was sent."""
        before = len(self.mail.state["sent"])
        port = str(self.door.getsockname()[1])
        done = subprocess.run(
            [sys.executable, "-IS", str(program), *argv],
            input=text,
            capture_output=True,
            env={"SMTP_HOST": "127.0.0.1", "SMTP_PORT": port, "LC_ALL": "C.UTF-8", "PATH": os.defpath},
            timeout=60,
        )
        said = done.stderr if b"Traceback" not in done.stderr else done.stderr.splitlines()[-1]
        return done.returncode, done.stdout, said, list(self.mail.state["sent"][before:])

    def close(self) -> None:
        self.door.close()


def test_whatever_is_mailed_both_ways_do_the_same(programs: tuple[Path, Path]) -> None:
    quick, slow = Server(), Server()
    own = 0
    for argv, text in cases():
        found = quick.run(programs[0], argv, text)
        assert found == slow.run(programs[1], argv, text), (argv, text)
        own += bool(found[3])
    assert own > 40
    quick.close()
    slow.close()


def test_a_full_server_says_so_both_ways(programs: tuple[Path, Path]) -> None:
    argv = ["-r", WHO[0], "-s", "S", WHO[1]]
    found = []
    for program in programs:
        server = Server(full=True)
        found.append(server.run(program, argv, b"one too many\n"))
        server.close()
    assert found[0] == found[1]
    assert found[0][0] == 1 and b"452" in found[0][2]


def test_a_plain_message_needs_none_of_the_modules_that_others_do(programs: tuple[Path, Path]) -> None:
    server = Server()
    port = str(server.door.getsockname()[1])
    done = subprocess.run(
        [sys.executable, "-IS", "-X", "importtime", str(programs[0]), "-r", WHO[0], "-s", "S", WHO[1]],
        input=b"Total: 3\n",
        capture_output=True,
        env={"SMTP_HOST": "127.0.0.1", "SMTP_PORT": port, "LC_ALL": "C.UTF-8"},
        timeout=60,
    )
    server.close()
    assert done.returncode == 0 and len(server.mail.state["sent"]) == 1
    imported = {line.rpartition(b"|")[2].strip() for line in done.stderr.splitlines()}
    assert b"_socket" in imported
    assert not imported & {b"argparse", b"email", b"smtplib", b"re"}
