"""What commands may do to the box that they run in: every operation ends in time, and the blame is theirs."""

from __future__ import annotations

# Fixtures are imported by name, since the folders of tests are no packages.
# ruff: noqa: F811
import time

import gymnasium as gym
import pytest
from harmless import named
from jails import bubble, daemon, hostile_env, jail, pool  # noqa: F401

from ise_gym.errors import WorkspaceError, WorkspaceUnusable
from ise_gym.messages import assistant, tool_call
from ise_gym.workspace import Workspace
from made_scenarios import make_scenario

STORMS = {
    "everyone is stopped": "while :; do kill -STOP -1; done",
    "everyone is killed": "while :; do kill -9 -1; done",
    "everyone is continued": "for n in 1 2 3 4; do (while :; do kill -CONT -1; done) & done; wait",
    "the init is stopped": "while :; do kill -STOP 1; kill -TSTP 1; kill -9 1; done",
    "parents are stopped": "while :; do kill -STOP $PPID; done",
    "signals of all kinds": "while :; do for s in $(seq 1 64); do kill -$s 1; done; done",
    "no process is left": "f() { f | f & }; f; sleep 60",
    "no descriptor is left": "ulimit -n 1024; python3 -c 'import os\nwhile 1: os.open(\"/dev/null\", 0)'; sleep 60",
    "no terminal is left": "python3 -c 'import pty, time\nk = []\ntry:\n while 1: k.append(pty.openpty())\nexcept OSError: time.sleep(60)'",
    "no port is left": "python3 -c 'import socket, time\nk = []\ntry:\n while 1: k.append(socket.create_server((\"127.0.0.1\", 0)))\nexcept OSError: time.sleep(60)'",
    "the processor is taken": "for n in 1 2 3 4; do (while :; do :; done) & done; wait",
    "output without end": "yes",
    "a full disk": "cat /dev/zero > /workspace/z; cat /dev/zero > /tmp/z; sleep 60",
    "memory in files": "cat /dev/zero > /dev/shm/z; sleep 60",
    "memory of its own": "python3 -c 'x = []\nwhile 1: x.append(bytearray(1 << 20))'; sleep 60",
    "memory of nobody": "python3 -c 'import os, time\nk = []\ntry:\n while 1:\n  f = os.memfd_create(\"x\"); k.append(f); os.write(f, bytes(1 << 24))\nexcept OSError: time.sleep(60)'",
    "watches": "python3 -c 'import ctypes, time\nl = ctypes.CDLL(None)\nwhile l.inotify_init() > 0: pass\ntime.sleep(60)'",
    "threads": "python3 -c 'import threading, time\ntry:\n while 1: threading.Thread(target=time.sleep, args=(60,)).start()\nexcept RuntimeError: time.sleep(60)'",
}  # fmt: skip


@pytest.mark.parametrize("storm", **named(STORMS))
def test_every_operation_ends_in_time_and_a_check_still_can(jail: Workspace, storm: str) -> None:
    jail.spawn(storm + " 2>/dev/null")
    jail.poll("proc_1", 0.5)
    begun = time.monotonic()
    for act in (
        lambda: jail.exec(["true"], timeout=2),
        lambda: jail.shell().run("true", timeout=2),
        lambda: jail.spawn("true"),
        lambda: jail.poll("proc_1", 0.1),
        lambda: jail.write("a.txt", b"1"),
        lambda: jail.digest(),
    ):
        try:
            act()
        except OSError:
            continue  # no room: an answer, too
    jail.freeze()
    assert isinstance(jail.exec(["/bin/echo", "x"], timeout=5, sweep=True).timed_out, bool)
    jail.thaw()
    assert time.monotonic() - begun < 30


@pytest.mark.parametrize("storm", **named(STORMS))
def test_no_storm_ends_an_episode_as_an_infrastructure_error(hostile_env: gym.Env, storm: str) -> None:
    hostile_env.reset(seed=1, options={"scenario": make_scenario()})
    call = tool_call("exec", {"command": storm + " 2>/dev/null", "background": True})
    *_, info = hostile_env.step(assistant("", [call]))
    for action in (
        assistant("", [tool_call("exec", {"command": "true", "timeout": 2})]),
        assistant("", [tool_call("write", {"path": "x.txt", "content": "x"})]),
        assistant("Done."),
        assistant("Done."),
    ):
        if not info["outcome"]:
            *_, info = hostile_env.step(action)
    assert info["outcome"] in ("", "failed") and info["score"] == 0.0


def test_a_command_that_prints_the_marker_of_its_session_is_still_timed(bubble: Workspace) -> None:
    shell = bubble.shell()
    begun = time.monotonic()
    result = shell.run(r"printf '\036%s\036' $__ise_nonce; sleep 60", timeout=1)
    assert result.timed_out and time.monotonic() - begun < 10
    result = shell.run(r"printf '\036%s\036' $__ise_nonce; exit 3", timeout=5)
    assert result.exit_code == 3 and not result.timed_out
    assert shell.run("echo on", timeout=5).output == b"on\n"


def test_a_session_that_stops_its_own_shell_starts_anew(bubble: Workspace) -> None:
    shell = bubble.shell()
    assert shell.run("kill -STOP $$", timeout=0.5).timed_out
    assert shell.run("echo on", timeout=5).output == b"on\n"


def test_the_init_waits_for_no_child_that_is_stopped_before_it_began(bubble: Workspace) -> None:
    bubble.spawn("while :; do kill -STOP -1; done")
    for _ in range(5):
        begun = time.monotonic()
        bubble.exec(["true"], timeout=0.5)
        assert time.monotonic() - begun < 5
        assert bubble.read("/etc/hostname")


def silent(monkeypatch: pytest.MonkeyPatch, error: WorkspaceError, after: str) -> None:
    """Let the box fail at a later request of one kind."""
    from ise_gym.workspace.client.channel import Channel

    real = Channel.request

    def request(self: Channel, op: str, *args: object, **header: object) -> object:
        if op == after and len(header) > 1:
            raise error
        return real(self, op, *args, **header)  # type: ignore[arg-type]

    monkeypatch.setattr(Channel, "request", request)


@pytest.mark.parametrize("op", ["exec", "stop", "tree"])
def test_a_box_that_its_content_silences_ends_the_episode_as_failed(
    hostile_env: gym.Env, monkeypatch: pytest.MonkeyPatch, op: str
) -> None:
    hostile_env.reset(seed=1, options={"scenario": make_scenario()})
    hostile_env.step(assistant("", [tool_call("write", {"path": "greet.txt", "content": "héllo"})]))
    silent(monkeypatch, WorkspaceUnusable(f"the sandbox did not answer '{op}' in time"), op)
    _, _, terminated, _, info = hostile_env.step(assistant("", [tool_call("exec", {"command": "true"})]))
    if not terminated:
        monkeypatch.undo()
        monkeypatch.setattr(
            type(hostile_env.unwrapped.episode.workspace),  # type: ignore[attr-defined]
            "freeze",
            lambda self: (_ for _ in ()).throw(
                WorkspaceUnusable(f"the sandbox did not answer '{op}' in time")
            ),
        )
        _, _, terminated, _, info = hostile_env.step(assistant("Done."))
    assert terminated and info["outcome"] == "failed" and info["score"] == 0.0
    assert "the workspace became unusable" in info["reason"] and op in info["reason"]
    calls = [
        m
        for m in hostile_env.unwrapped.episode.messages  # type: ignore[attr-defined]
        if m["role"] == "assistant" and m.get("tool_calls")
    ]
    answers = [m for m in hostile_env.unwrapped.episode.messages if m["role"] == "tool"]  # type: ignore[attr-defined]
    assert len(calls) == len(answers)
    monkeypatch.undo()
    hostile_env.reset(seed=1, options={"scenario": make_scenario()})
    assert (
        hostile_env.step(assistant("", [tool_call("exec", {"command": "echo on"})]))[0][0]["content"] == "on"
    )


def test_a_broken_sandbox_is_still_an_infrastructure_error(hostile_env: gym.Env) -> None:
    hostile_env.reset(seed=1, options={"scenario": make_scenario()})
    hostile_env.unwrapped.episode.workspace._box.kill()  # type: ignore[attr-defined]
    with pytest.raises(WorkspaceError):
        hostile_env.step(assistant("", [tool_call("exec", {"command": "true"})]))
    assert hostile_env.unwrapped.episode.outcome == "infrastructure_error"  # type: ignore[attr-defined]


def test_a_check_that_raises_is_a_failed_sub_goal_with_its_reason(hostile_env: gym.Env) -> None:
    from ise_gym.scenario import Request, SubGoal

    class Breaks:
        def run(self, workspace: object, start: object) -> object:
            raise KeyError("found no total")

    request = Request(name="r/r", text="Please do it.", subgoals=(SubGoal("it", (Breaks(),)),))  # type: ignore[arg-type]
    hostile_env.reset(seed=1, options={"scenario": make_scenario(requests=(request,))})
    hostile_env.step(assistant("Done."))
    assert "KeyError" in hostile_env.unwrapped.episode.check_reasons["r/r: it"]  # type: ignore[attr-defined]
