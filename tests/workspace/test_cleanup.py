"""Nothing of a box outlives its workspace or its harness, however that ends."""

from __future__ import annotations

import json
import os
import secrets
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest

from ise_gym.env.settings import EnvSettings
from ise_gym.workspace import Limits, open_workspace, self_check
from ise_gym.workspace.backends.bubblewrap import patient_pipe
from ise_gym.workspace.isolation import launcher, orphans
from ise_gym.workspace.isolation.parts import memory_file
from sandboxes import own_groups

HARNESS = """
import os, signal, sys, threading, time
signal.signal(signal.SIGINT, signal.default_int_handler)  # a background job inherits it as ignored
sys.path.insert(0, {root!r})
from ise_gym.workspace import open_workspace
box = open_workspace("bubblewrap")
def work():
    box.exec(["/bin/bash", "-c", "(setsid setsid sleep {tag} &); sleep {tag} & echo ok"])
    box.shell().run("sleep {tag} &")
    box.spawn("sleep {tag}")
    {extra}
thread = threading.Thread(target=work)
thread.start()
thread.join()
print("ready", flush=True)
time.sleep(60)
"""
ROOT = str(Path(__file__).resolve().parents[2])


def matching(tag: str) -> list[int]:
    found = []
    for folder in Path("/proc").iterdir():
        if folder.name.isdigit():
            try:
                words = (folder / "cmdline").read_bytes().split(b"\0")
            except OSError:
                continue
            if tag.encode() in words:
                found.append(int(folder.name))
    return found


def wait_for(condition: Callable[[], bool], seconds: float = 10.0) -> bool:
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        if condition():
            return True
        time.sleep(0.05)
    return condition()


@pytest.fixture(autouse=True)
def _needs_bubblewrap() -> None:
    check = self_check("bubblewrap")
    if not check.ok:
        pytest.skip(check.message)


def children_of(pid: int) -> set[int]:
    """All descendants of a process, as the host sees them."""
    parents: dict[int, int] = {}
    for folder in Path("/proc").iterdir():
        if folder.name.isdigit():
            try:
                parents[int(folder.name)] = int((folder / "stat").read_bytes().rpartition(b")")[2].split()[1])
            except OSError:
                continue
    found = {pid}
    while True:
        more = {child for child, parent in parents.items() if parent in found} - found
        if not more:
            return found - {pid}
        found |= more


@pytest.mark.parametrize(
    "number", [signal.SIGKILL, signal.SIGTERM, signal.SIGINT], ids=["KILL", "TERM", "INT"]
)
@pytest.mark.parametrize("extra", ["pass", "box.reset(); box.spawn('sleep {tag}')"], ids=["fresh", "reset"])
def test_everything_dies_with_the_harness(number: int, extra: str) -> None:
    tag = f"7777.{secrets.randbelow(10**9)}"
    code = HARNESS.format(root=ROOT, tag=tag, extra=extra.format(tag=tag))
    harness = subprocess.Popen(
        [sys.executable, "-c", code], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL
    )
    try:
        assert harness.stdout is not None and harness.stdout.readline() == b"ready\n"
        assert wait_for(lambda: bool(matching(tag)))
        family = children_of(harness.pid)
        harness.send_signal(number)
        harness.wait(10)
        assert wait_for(lambda: not matching(tag))
        assert wait_for(
            lambda: not any(Path(f"/proc/{pid}/cmdline").exists() and _alive(pid) for pid in family)
        )
    finally:
        harness.kill()
        harness.wait()
        assert harness.stdout is not None
        harness.stdout.close()


def _alive(pid: int) -> bool:
    try:
        return (Path("/proc") / str(pid) / "stat").read_bytes().rpartition(b")")[2].split()[0] not in (
            b"Z",
            b"X",
        )
    except OSError:
        return False


def test_close_ends_everything_and_gives_back_every_descriptor() -> None:
    open_workspace("bubblewrap").close()
    before_fds, before_threads = len(os.listdir("/proc/self/fd")), threading.active_count()  # noqa: PTH208
    before = children_of(os.getpid())
    tag = f"7778.{secrets.randbelow(10**9)}"
    for _ in range(3):
        box = open_workspace("bubblewrap", Limits(disk_mb=16))
        box.spawn(f"sleep {tag}")
        shell = box.shell()
        shell.run(f"sleep {tag} &")
        box.reset()
        box.shell().run("true")
        box.fork().close()
        box.close()
    assert not matching(tag)
    assert wait_for(lambda: children_of(os.getpid()) <= before)
    assert wait_for(lambda: len(os.listdir("/proc/self/fd")) == before_fds)  # noqa: PTH208
    assert threading.active_count() <= before_threads


@pytest.mark.parametrize("ahead", [True, False])
def test_a_box_is_made_ahead_unless_the_env_says_no(ahead: bool) -> None:
    settings = EnvSettings(backend="bubblewrap", spare_box=ahead)
    before = children_of(os.getpid())

    def processes() -> int:
        launcher.submit(lambda: None).result()  # what was asked of the one launcher is done
        return len(children_of(os.getpid()) - before)

    with closing(settings.open_workspace()) as box:
        each = processes()
        for _ in range(2):
            box.write("a", b"1")
            box.reset()
            assert processes() == each * (1 + ahead)
        box.write("a", b"1")
        with closing(box.fork()) as other:
            assert processes() == each * (2 + ahead)
            other.write("a", b"2")
            other.reset()
            assert processes() == each * (2 + 2 * ahead)
        assert box.read("a") == b"1"


def test_no_control_group_is_left() -> None:
    launcher.submit(lambda: None).result()  # the boxes of earlier tests have been started
    before = set(own_groups())
    box = open_workspace("bubblewrap")
    box.reset()
    box.close()
    assert wait_for(lambda: set(own_groups()) <= before)


def test_a_box_outlives_the_thread_that_asked_for_it() -> None:
    made = []
    thread = threading.Thread(target=lambda: made.append(open_workspace("bubblewrap")))
    thread.start()
    thread.join()
    time.sleep(0.3)
    try:
        assert made[0].exec(["echo", "alive"]).output == b"alive\n"
    finally:
        made[0].close()


def test_a_forked_copy_does_not_end_the_parents_box() -> None:
    box = open_workspace("bubblewrap")
    pid = os.fork()
    if pid == 0:
        box.close()
        os._exit(0)
    os.waitpid(pid, 0)
    assert box.exec(["echo", "mine"]).output == b"mine\n"
    box.close()


def test_a_script_that_forgets_to_close_ends_cleanly() -> None:
    code = (
        f"import sys; sys.path.insert(0, {ROOT!r})\nfrom ise_gym.workspace import open_workspace\n"
        "box = open_workspace('bubblewrap'); box.reset(); box.shell().run('sleep 50 &'); print('end')"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=30)
    assert (done.stdout, done.stderr, done.returncode) == ("end\n", "", 0)


def test_forked_processes_open_their_own_workspaces() -> None:
    box = open_workspace("bubblewrap")
    reader, writer = os.pipe()
    pid = os.fork()
    if pid == 0:  # the child: report and leave without running the parent's clean-up
        code = 1
        try:
            own = open_workspace("bubblewrap")
            os.write(writer, own.exec(["/bin/bash", "-c", "echo child"]).output)
            own.close()
            code = 0
        finally:
            os._exit(code)
    os.close(writer)
    with os.fdopen(reader, "rb") as pipe:
        assert pipe.read() == b"child\n"
    assert os.waitpid(pid, 0)[1] == 0
    assert box.exec(["echo", "parent"]).output == b"parent\n"
    box.close()


STARTING = """
import sys
sys.path.insert(0, {root!r})
from ise_gym.workspace import open_workspace
print("ready", flush=True)
while True:
    open_workspace("bubblewrap").close()
"""


@pytest.mark.parametrize("to", ["harness", "group"])
def test_a_harness_killed_while_boxes_start_leaves_none(to: str) -> None:
    before = set(orphans.find("/.agent"))
    for round_ in range(12):
        harness = subprocess.Popen(
            [sys.executable, "-c", STARTING.format(root=ROOT)],
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )
        assert harness.stdout is not None and harness.stdout.readline() == b"ready\n"
        time.sleep(0.15 + round_ * 0.0037)  # another moment of a start each time
        (os.kill if to == "harness" else os.killpg)(harness.pid, signal.SIGKILL)
        harness.wait(10)
        harness.stdout.close()
    # bwrap itself leaves a moment of microseconds in which its death orphans its child; that is what gc is for
    wait_for(lambda: set(orphans.find("/.agent")) <= before)
    left = set(orphans.find("/.agent")) - before
    assert len(left) <= 1
    assert left <= set(orphans.collect("/.agent"))


def test_bwrap_says_who_its_child_is_when_nobody_is_left_to_read() -> None:
    reader, writer = patient_pipe()
    os.close(reader)
    words = ["--unshare-pid", "--unshare-user", "--ro-bind", "/", "/", "--info-fd", str(writer)]
    try:
        done = subprocess.run(["bwrap", *words, "--", "/bin/true"], pass_fds=(writer,), timeout=30)
    finally:
        os.close(writer)
    assert done.returncode == 0, "bwrap died of SIGPIPE before its child could go on"


def test_gc_finds_a_box_that_lost_its_bwrap_while_starting() -> None:
    blocked, gate = os.pipe()  # bwrap waits here, its child for bwrap
    info, info_w = os.pipe()
    words = ["--unshare-pid", "--unshare-user", "--ro-bind", "/", "/", "--as-pid-1", "--info-fd", str(info_w)]
    args = memory_file(
        "args", b"\0".join(w.encode() for w in [*words, "--userns-block-fd", str(blocked)]) + b"\0"
    )
    command = ["bwrap", "--args", str(args), "--", "/usr/bin/python3", "-I", "-S", "/.agent", "9"]
    starting = subprocess.Popen(command, pass_fds=(args, blocked, info_w), stdin=subprocess.DEVNULL)
    said = b""
    while b"}" not in said:  # bwrap writes it in pieces
        said += os.read(info, 4096)
    child = json.loads(said)["child-pid"]
    assert child not in orphans.find("/.agent"), "its bwrap is there and may go on"
    starting.kill()
    starting.wait()
    for fd in (blocked, gate, info, info_w, args):
        os.close(fd)
    assert wait_for(lambda: child in orphans.find("/.agent"))
    done = subprocess.run(
        [sys.executable, "-m", "ise_gym.cli", "gc", "--json"], capture_output=True, text=True
    )
    assert done.returncode == 0 and child in json.loads(done.stdout)["boxes"], done.stderr
    assert wait_for(lambda: not _alive(child))
