"""Services in a live box: reached from inside only, out of its commands' hands, saved and forked with it."""

from __future__ import annotations

import json
import socket
from collections.abc import Iterator
from typing import Any

import pytest

from ise_gym.checks import build_check
from ise_gym.errors import UserError, WorkspaceError
from ise_gym.messages import assistant, tool_call
from ise_gym.scenario import Persona, PlanStep, Request, Scenario, SubGoal
from ise_gym.services import make_spec, services_of, start_services
from ise_gym.services.host import HTTP_PORT
from ise_gym.services.spec import ServiceSpec
from ise_gym.workspace import open_workspace
from ise_gym.workspace.backends.dummy import DummyWorkspace
from ise_gym.workspace.base import Limits
from ise_gym.workspace.client.remote import BoxWorkspace

WORLD: list[ServiceSpec] = [
    make_spec("web", {"host": "www.a.example", "title": "A", "pages": [{"path": "/", "body": "<h1>Hello</h1>"}],
                      "faults": [{"path": "/", "status": 503, "after": 1}]}),
    make_spec("chat", {"host": "chat.a.example", "me": "bot", "token": "t", "now": "2025-01-01T09:00",
                       "channels": [{"name": "general"}]}),
    make_spec("calendar", {"host": "cal.a.example", "calendars": [{"name": "ann"}]}),
    make_spec("mail", {"domain": "a.example", "refused": ["gone@b.example"], "greylisted": ["slow@b.example"]}),
]  # fmt: skip
GET = "import sys, urllib.request as u; print(u.urlopen(sys.argv[1]).read().decode(), end='')"
POST = (
    "import sys, urllib.request as u; r = u.Request(sys.argv[1], sys.argv[2].encode(), {'Authorization': 'Bearer t'}); "
    "print(u.urlopen(r).status)"
)


@pytest.fixture(scope="module")
def box() -> Iterator[BoxWorkspace]:
    workspace = open_workspace("auto", limits=Limits(memory_mb=256, disk_mb=64, command_timeout_s=30.0))
    assert isinstance(workspace, BoxWorkspace)
    yield workspace
    workspace.close()


@pytest.fixture
def world(box: BoxWorkspace) -> BoxWorkspace:
    box.reset()
    start_services(box, WORLD)
    return box


def python(box: BoxWorkspace, code: str, *words: str) -> tuple[int | None, str]:
    done = box.exec(["python3", "-c", code, *words])
    return done.exit_code, done.output.decode()


def passes(box: BoxWorkspace, kind: str, **spec: Any) -> bool:
    return build_check(kind, spec).run(box, {}).passed


def test_pages_come_by_name_and_faults_by_count(world: BoxWorkspace) -> None:
    assert "<h1>Hello</h1>" in python(world, GET, "http://www.a.example/")[1]
    code, text = python(world, GET, "http://www.a.example/")
    assert code == 1 and "503" in text
    assert python(world, GET, "http://www.a.example/")[0] == 0
    assert "502" in python(world, GET, "http://real.example/")[1]


def test_nothing_of_it_is_on_this_machine(world: BoxWorkspace) -> None:
    with socket.socket() as probe:
        probe.settimeout(1.0)
        assert probe.connect_ex(("127.0.0.1", HTTP_PORT)) != 0


def test_the_box_holds_neither_server_nor_state(world: BoxWorkspace) -> None:
    done = world.exec(
        [
            "bash",
            "-c",
            "ls /proc | grep -c '^[0-9]'; grep -rl Hello /tmp /home /workspace 2>/dev/null | wc -l",
        ]
    )
    processes, files = done.output.split()
    assert int(processes) <= 6 and int(files) == 0  # the agent, bash, ls, grep, the substituted shells
    # whatever the box kills, the service stays
    world.exec(["bash", "-c", "kill -9 -1; true"])
    assert "Hello" in python(world, GET, "http://www.a.example/")[1]


def test_a_port_of_the_world_cant_be_taken_over(world: BoxWorkspace) -> None:
    code, text = python(
        world,
        "import socket; s = socket.socket(); s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1); "
        f"s.bind(('127.0.0.1', {HTTP_PORT}))",
    )
    assert code == 1 and "Address already in use" in text


def test_reset_ends_the_world(box: BoxWorkspace, world: BoxWorkspace) -> None:
    box.reset()
    assert services_of(box) is None
    assert python(box, GET, "http://www.a.example/")[0] == 1
    assert box.exec(["bash", "-c", "echo -n $http_proxy; command -v sendmail"]).output == b""


def test_snapshot_restore_and_fork_carry_the_state(world: BoxWorkspace) -> None:
    say = ("http://chat.a.example/api/channels/general/messages", '{"text": "one"}')
    assert python(world, POST, *say)[1].strip() == "201"
    saved = world.snapshot()
    assert python(world, POST, *say)[1].strip() == "201"
    other = world.fork()
    try:
        assert passes(other, "chat", host="chat.a.example", channel="general", equals="one", count=2)
        assert python(other, POST, *say)[1].strip() == "201"
        assert passes(world, "chat", host="chat.a.example", channel="general", equals="one", count=2)
    finally:
        other.close()
    world.restore(saved)
    assert passes(world, "chat", host="chat.a.example", channel="general", equals="one", count=1)
    assert "Hello" in python(world, GET, "http://www.a.example/")[1]


def test_mail_commands_send_attach_and_say_what_failed(world: BoxWorkspace) -> None:
    world.write("r.csv", b"a,b\n1,2\n")
    send = "echo 'Total: 3' | mail -r me@a.example -s 'The report' -c boss@b.example -a r.csv you@b.example"
    assert world.exec(["bash", "-c", send]).exit_code == 0
    wanted = {"subject": "The report", "to": ["you@b.example", "boss@b.example"]}
    assert passes(
        world, "mail", **wanted, sender="me@a.example", contains="Total: 3", attachments={"r.csv": "r.csv"}
    )
    assert not passes(world, "mail", **{**wanted, "to": "you@b.example"})
    assert not passes(world, "mail", **wanted, contains="Total: 4")
    assert not passes(world, "mail", **wanted, sender="boss@b.example")
    world.write("r.csv", b"a,b\n1,3\n")
    assert not passes(world, "mail", **wanted, attachments={"r.csv": "r.csv"})
    assert not passes(world, "mail", **wanted, attachments={})
    codes = "for a in gone slow slow; do echo x | mail -r me@a.example -s S $a@b.example; echo $?; done"
    output = world.exec(["bash", "-c", codes]).output.decode()
    assert [line for line in output.splitlines() if line.isdigit()] == ["67", "75", "0"]
    assert passes(world, "mail", subject="S", to="slow@b.example")
    raw = "printf 'From: me@a.example\\nTo: x@b.example\\nBcc: y@b.example\\nSubject: T\\n\\nhi\\n' | sendmail -t"
    assert world.exec(["bash", "-c", raw]).exit_code == 0
    assert passes(world, "mail", subject="T", to=["x@b.example", "y@b.example"], equals="hi")
    # once more makes two of them, and no file can stand for a message
    world.exec(["bash", "-c", raw])
    assert not passes(world, "mail", subject="T", to=["x@b.example", "y@b.example"])


def test_calendar_check_looks_at_every_key(world: BoxWorkspace) -> None:
    event = {
        "summary": "Talk",
        "start": "2025-01-01T09:00",
        "end": "2025-01-01T10:00",
        "attendees": ["b@x.example", "a@x.example"],
    }
    assert (
        python(world, POST, "http://cal.a.example/calendars/ann/events", json.dumps(event))[1].strip()
        == "201"
    )
    on = {"host": "cal.a.example", "calendar": "ann"}
    assert passes(
        world, "calendar", **on, total=1, has={"summary": "Talk", "attendees": ["a@x.example", "b@x.example"]}
    )
    assert not passes(world, "calendar", **on, has={"summary": "Talk", "end": "2025-01-01T11:00"})
    assert not passes(world, "calendar", **on, lacks={"summary": "Talk"})
    assert not passes(world, "calendar", **on, total=2)
    assert not passes(world, "calendar", host="cal.a.example", calendar="bob", total=0)


def test_noise_on_the_ports_harms_nobody(world: BoxWorkspace) -> None:
    noise = (
        "import socket\n"
        "for data in (b'\\x00\\xff' * 400, b'GET ' + b'a' * 70000, b'POST http://www.a.example/ HTTP/1.1\\r\\nContent-Length: -4\\r\\n\\r\\n',"
        " b'GET http://[ HTTP/1.1\\r\\n\\r\\n', b'CONNECT x:443 HTTP/1.1\\r\\n\\r\\n', b'BREW / HTTP/1.1\\r\\n' + b'X: y\\r\\n' * 200 + b'\\r\\n', b''):\n"
        f"    for port in ({HTTP_PORT}, 2525):\n"
        "        s = socket.create_connection(('127.0.0.1', port)); s.sendall(data); s.close()\n"
        f"held = [socket.create_connection(('127.0.0.1', {HTTP_PORT})) for _ in range(100)]\n"
    )
    assert python(world, noise)[0] == 0
    for _ in range(50):
        code, text = python(world, GET, "http://www.a.example/")
        if code == 0:
            break
    assert "Hello" in text


@pytest.mark.parametrize("kind, spec", [
    ("mail", {"to": "a@b.example", "subject": "S"}),
    ("chat", {"host": "chat.a.example", "channel": "general", "equals": "x", "count": 0}),
    ("calendar", {"host": "cal.a.example", "calendar": "ann", "total": 0}),
])  # fmt: skip
def test_checks_fail_where_no_service_runs(box: BoxWorkspace, kind: str, spec: dict[str, Any]) -> None:
    box.reset()
    result = build_check(kind, spec).run(box, {})
    assert not result.passed and "no service runs" in result.reason


def test_a_workspace_that_cant_hold_services_says_so() -> None:
    with pytest.raises(UserError, match="bubblewrap or docker"):
        start_services(DummyWorkspace(), WORLD)
    local = open_workspace("unsafe-local")
    try:
        with pytest.raises(WorkspaceError, match="shares this machine's network"):
            start_services(local, WORLD)
    finally:
        local.close()


def test_an_episode_pays_for_a_sent_message_and_survives_restore() -> None:
    from ise_gym.env import ISEEnv

    check = build_check("mail", {"to": "you@b.example", "subject": "Hi", "contains": "there"})
    send = {"command": "echo there | mail -r me@a.example -s Hi you@b.example"}
    request = Request(
        "post/send", "Please mail you@b.example.", subgoals=(SubGoal("sent", (check,)),),
        plan=(PlanStep("exec", send, key=True),), reply="Sent.",
    )  # fmt: skip
    scenario = Scenario(
        "mail-1", 1, "mail", Persona("Ann", "clerk", "trade"), (request,), services=tuple(WORLD)
    )
    with_services = ISEEnv()
    try:
        with_services.reset(seed=1, options={"scenario": scenario})
        *_, before = with_services.step(assistant("", [tool_call("exec", {"command": "true"}, "c0")]))
        saved = with_services.snapshot()
        with_services.step(assistant("", [tool_call("exec", send, "c1")]))
        _, reward, *_ = with_services.step(assistant("Sent."))
        assert reward == 1.0 and before["score"] == 0.0
        with_services.restore(saved)
        _, reward, *_ = with_services.step(assistant("Sent."))
        assert reward == 0.0
    finally:
        with_services.close()
