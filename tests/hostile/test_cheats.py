"""No technique of tampering makes a failed check pass, `step` raise, or an episode count for nothing."""

from __future__ import annotations

# Fixtures are imported by name, since the folders of tests are no packages.
# ruff: noqa: F811
import time
from collections.abc import Mapping

import gymnasium as gym
import pytest
from jails import daemon, hostile_env, jail, pool  # noqa: F401
from technique import Technique
from techniques import DONE, TECHNIQUES, attempt

from ise_gym.checks import build_check
from ise_gym.checks.base import normal_path
from ise_gym.checks.command import ENVIRONMENT, without_working_folder
from ise_gym.episode.goals import GoalBoard
from ise_gym.scenario import Request, SubGoal
from ise_gym.workspace import Workspace
from made_scenarios import make_scenario


@pytest.mark.parametrize("technique", TECHNIQUES.values(), ids=lambda technique: technique.name)
def test_no_technique_succeeds(hostile_env: gym.Env, technique: Technique) -> None:
    assert attempt(hostile_env, technique) == ""


def verified(box: Workspace, kind: str, spec: Mapping[str, object]) -> str:
    """Verify one sub-goal as an episode does; returns why it does not hold."""
    goal = SubGoal("it", (build_check(kind, spec),))  # type: ignore[arg-type]
    board = GoalBoard(make_scenario(requests=(Request(name="r/r", text="x", subgoals=(goal,)),)))
    board.reach("r/r")
    board.judge(box, box.manifest)
    return board.reasons["r/r: it"]


SERVER = (
    "import http.server as h; h.HTTPServer(('127.0.0.1', 8090), h.SimpleHTTPRequestHandler).serve_forever()"
)
FETCH = [
    "python3",
    "-c",
    "import urllib.request as u; print(u.urlopen('http://127.0.0.1:8090/status.txt').read().decode())",
]


def test_a_server_of_the_agents_answers_only_a_check_that_says_it_is_live(jail: Workspace) -> None:
    jail.write("status.txt", DONE)
    jail.spawn(f'exec python3 -c "{SERVER}"')
    wait = "import socket, time\nfor _ in range(100):\n try: socket.create_connection(('127.0.0.1', 8090)); break\n except OSError: time.sleep(0.05)"
    jail.exec(["python3", "-c", wait])
    spec = {"argv": FETCH, "contains": "status: done", "timeout": 2}
    assert "did not end within 2 s" in verified(jail, "command", spec)
    assert verified(jail, "command", {**spec, "live": True}) == ""


def test_commands_go_on_after_they_were_judged_and_what_was_stopped_stays_so(jail: Workspace) -> None:
    running = jail.spawn("for n in 1 2 3 4 5 6; do echo $n; sleep 0.1; done")
    resting = jail.spawn("kill -STOP $$; echo woken")
    jail.poll(resting, 0.3)
    assert verified(jail, "exists", {"path": "no"}) == "no does not exist"
    assert jail.poll(running, 5).exit_code == 0
    assert jail.poll(resting, 0.3).running


WAKES_ITSELF = """
import fcntl, os, signal
fd = os.open('/workspace', os.O_RDONLY)
fcntl.fcntl(fd, 10, signal.SIGCONT)
fcntl.fcntl(fd, fcntl.F_NOTIFY, 0x80000001 | 2)
while 1: signal.pause()
"""


def test_what_the_kernel_wakes_is_found_and_killed(jail: Workspace) -> None:
    jail.write("wakes.py", WAKES_ITSELF.encode())
    woken = jail.spawn("exec python3 wakes.py")
    other = jail.spawn("exec sleep 100")
    jail.poll(woken, 0.3)
    jail.freeze()
    assert jail.thaw() and jail.poll(woken, 0.1).running
    jail.freeze()
    jail.exec(["bash", "-c", "ls; cat wakes.py > /dev/null; sleep 0.05"], sweep=True)
    assert not jail.thaw()
    assert not jail.poll(woken, 2).running and not jail.poll(other, 2).running


def test_who_stands_still_goes_on_however_busy_it_is(jail: Workspace) -> None:
    busy = [
        jail.spawn("while :; do :; done"),
        jail.spawn("while :; do sleep 0.001; done"),
        jail.spawn("exec python3 -c 'import threading, time\nfor _ in range(8): threading.Thread(target=lambda: [time.sleep(0.0001) for _ in iter(int, 1)]).start()'"),
        jail.spawn("while :; do head -c 1M /dev/zero > big; sync; done"),
    ]  # fmt: skip
    for _ in range(20):
        jail.freeze()
        jail.exec(["/bin/true"], sweep=True)
        assert jail.thaw()
        jail.exec(["sleep", "0.02"])
    assert all(jail.poll(one, 0).running for one in busy)


def test_who_waits_for_a_stopped_child_keeps_nobody_waiting(jail: Workspace) -> None:
    forks = jail.spawn("exec python3 -c 'import ctypes, time\nctypes.CDLL(None).vfork()\ntime.sleep(100)'")
    jail.poll(forks, 0.5)
    states = jail.exec(["bash", "-c", "cat /proc/[0-9]*/stat | grep -c 'python3) D'"], sweep=True)
    assert states.output.strip() == b"1"
    began = time.monotonic()
    jail.freeze()
    assert time.monotonic() - began < 1
    assert jail.thaw() and jail.poll(forks, 0).running


def test_an_honest_repository_is_judged_as_it_is(jail: Workspace) -> None:
    commands = (
        "git init -q -b main repo; cd repo; echo '*.log' > .gitignore; mkdir d; echo 1 > a; echo 2 > 'd/b c'; git add -A; "
        "git commit -qm One; git tag v1; git branch config; ln -s a l; git add l; git commit -qm Two; touch x.log; git rm -q a; touch a"
    )
    jail.exec(["bash", "-c", commands])
    clean = {"argv": ["git", "-C", "repo", "status", "--porcelain"]}
    assert verified(jail, "command", {**clean, "equals": "D  a\n?? a"}) == ""
    jail.exec(["bash", "-c", "cd repo; git checkout -q HEAD -- a; touch a"])
    assert verified(jail, "command", {**clean, "equals": ""}) == ""
    inside = {"argv": ["bash", "-c", "test -d repo && git -C repo status --porcelain"], "equals": ""}
    assert verified(jail, "command", inside) == ""
    jail.exec(["bash", "-c", "cd repo; echo 9 > a; git update-index --assume-unchanged a"])
    assert "reads ' M a' instead of ''" in verified(jail, "command", {**clean, "equals": ""})
    assert "ended with 128" in verified(
        jail, "command", {"argv": ["git", "-C", "no", "status"], "equals": ""}
    )
    assert jail.exec(["bash", "-c", "ls /tmp | wc -l"]).output == b"0\n"


def test_what_a_checks_command_leaves_running_is_killed_before_the_next(jail: Workspace) -> None:
    leave = "(setsid sh -c 'while :; do echo status: done > status.txt; done' &) ; kill -CONT -1; exit 0"
    assert verified(jail, "command", {"argv": ["bash", "-c", leave]}) == ""
    jail.write("status.txt", b"status: open\n")
    count = jail.exec(["bash", "-c", "grep -l 'status: done' /proc/[0-9]*/cmdline | grep -vc self"]).output
    assert jail.read("status.txt") == b"status: open\n", count


def test_the_agents_processes_stand_still_while_a_check_runs(jail: Workspace) -> None:
    jail.spawn("while :; do date +%N > next.txt; mv next.txt clock.txt; done")  # never there and empty
    jail.exec(["sleep", "0.2"])
    twice = 'a=$(cat clock.txt); sleep 0.3; [ "$a" = "$(cat clock.txt)" ] && echo still'
    assert verified(jail, "command", {"argv": ["bash", "-c", twice], "equals": "still"}) == ""
    assert "instead of 'still'" in verified(
        jail, "command", {"argv": ["bash", "-c", twice], "equals": "still", "exit_code": 1, "live": True}
    )


def test_python_programs_of_checks_import_nothing_from_the_working_folder(jail: Workspace) -> None:
    for name in ("json", "wave", "csv", "unittest", "sys", "os", "re", "encodings"):
        jail.write(f"{name}.py", b"raise SystemExit('shadowed')\n")
        jail.write(f"{name}/__init__.py", b"raise SystemExit('shadowed')\n")
    program = "import json, wave, csv, unittest, sys, os, re; print(json.dumps(1), '' in sys.path)"
    for argv in (
        ["python3", "-c", program],
        ["python3", "-B", "-c", program],
        ["timeout", "9", "python3", "-c", program],
    ):
        assert verified(jail, "command", {"argv": argv, "equals": "1 False"}) == ""


def test_a_program_is_prefixed_only_where_python_reads_it_as_one() -> None:
    assert without_working_folder(["/usr/bin/python3", "a.py", "-c", "x"]) == [
        "/usr/bin/python3",
        "a.py",
        "-c",
        "x",
    ]
    assert without_working_folder(["/usr/bin/grep", "-c", "x"]) == ["/usr/bin/grep", "-c", "x"]
    found = without_working_folder(["/usr/bin/python3", "-B", "-c", "x", "y"])
    assert found[:3] == ["/usr/bin/python3", "-B", "-c"] and found[3].endswith("\nx") and found[4] == "y"


def test_expected_values_are_nowhere_in_the_box_while_a_command_is_judged(jail: Workspace) -> None:
    jail.write(
        "look.sh",
        b"cat /proc/[0-9]*/cmdline /proc/[0-9]*/environ 2>/dev/null | tr '\\0' '\\n' | grep -c secret-[v]alue",
    )
    reason = verified(
        jail, "command", {"argv": ["bash", "look.sh"], "equals": "secret-value", "exit_code": 1}
    )
    assert "reads '0' instead of 'secret-value'" in reason


def test_the_environment_of_a_check_is_fixed(jail: Workspace) -> None:
    jail.exec(
        [
            "bash",
            "-c",
            "echo 'export EVIL=1' | tee $HOME/.bashrc $HOME/.profile $HOME/.bash_profile > /dev/null",
        ]
    )
    assert (
        verified(jail, "command", {"argv": ["env"], "excludes": ["EVIL", "PYTHONPATH", "BASH_ENV", "LD_"]})
        == ""
    )
    assert ENVIRONMENT["HOME"] == "/nonexistent" and normal_path("a/./b") == "a/b"
