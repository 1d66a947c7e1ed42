"""The harness's side of judging: a few warm processes, shared by all threads, replaced when they die."""

from __future__ import annotations

import atexit
import json
import os
import pickle
import signal
import socket
import subprocess
import sys
import threading
from pathlib import Path
from typing import Protocol

from ise_gym.checks.judging.process import HEAD, SECONDS, receive
from ise_gym.errors import WorkspaceError
from ise_gym.scenario import CheckResult


class Judging(Protocol):
    """What is sent over: pickled, with what it found in the box."""

    def judge(self, material: object) -> CheckResult:
        """Say whether what was found is right."""
        ...


WALL_S = 60.0
"""When a judge that neither answers nor dies is given up: its limit is processor time, and a machine may be busy."""

_START_S = 60.0
_MOST_ANSWER = 1 << 16
# The package's own __init__ registers the env with Gymnasium, whose import takes ten times as long as the checks'.
_BOOT = """
import sys, types
sys.path[:] = sys.argv[2:]
package = types.ModuleType("ise_gym")
package.__path__ = [sys.path[0] + "/ise_gym"]
package.__version__ = ""
sys.modules["ise_gym"] = package
from ise_gym.public import public
package.__getattr__ = public
from ise_gym.checks.judging.process import main
main(sys.argv[1:2])
"""


_HOME = str(Path(__file__).resolve().parents[3])


def _searched() -> tuple[str, ...]:
    """Return the folders in which modules are found: a judge reads checks that were defined outside of the package."""
    return (_HOME, *(path for path in sys.path if path))


class _Judge:
    """One process."""

    def __init__(self) -> None:
        ours, theirs = socket.socketpair()
        self.searched = _searched()
        try:
            self._process = subprocess.Popen(
                [sys.executable, "-I", "-c", _BOOT, str(theirs.fileno()), *self.searched],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
                pass_fds=(theirs.fileno(),),
                env={"LC_ALL": "C.UTF-8", "PYTHONHASHSEED": "0"},
                cwd="/",
            )
        finally:
            theirs.close()
        self._sock = ours
        self._sock.settimeout(_START_S)
        try:
            ready = receive(self._sock, 0)
        except OSError:
            ready = None
        if ready is None:
            self.end()
            raise WorkspaceError(f"the process that reads files for checks did not start ({sys.executable})")
        self._sock.settimeout(WALL_S)

    def ask(self, frame: bytes) -> CheckResult | None:
        """Judge; None when the process died or went silent over it."""
        try:
            self._sock.sendall(HEAD.pack(len(frame)))
            self._sock.sendall(frame)
            answer = receive(self._sock, _MOST_ANSWER)
        except OSError:
            return None
        if answer is None:
            return None
        passed, reason = json.loads(answer)
        return CheckResult(passed, reason)

    def end(self) -> int:
        """Kill and bury it; returns how it had ended (``subprocess.Popen.returncode``)."""
        self._sock.close()
        try:
            return self._process.wait(0.2)
        except subprocess.TimeoutExpired:
            self._process.kill()
            return self._process.wait()

    def forget(self) -> None:
        """Close a forked copy's end, or the process would never learn that the harness is gone."""
        self._sock.close()


class JudgePool:
    """Judges by need: the first is started with the first question, others when several threads ask at once.

    Args:
        most: how many may work at a time.
    """

    def __init__(self, most: int = 0) -> None:
        self.most = most or max(2, min(8, os.cpu_count() or 2))
        self._forget()

    def _forget(self) -> None:
        for judge in getattr(self, "_all", ()):
            judge.forget()
        self._all: set[_Judge] = set()
        self._idle: list[_Judge] = []
        self._lock = threading.Lock()
        self._room = threading.Semaphore(self.most)

    def judge(self, check: Judging, material: object) -> CheckResult:
        """Return ``check.judge(material)``; a judge that dies over it has failed the check.

        Raises:
            WorkspaceError: no judge can be started at all.
        """
        frame = pickle.dumps((check, material), protocol=pickle.HIGHEST_PROTOCOL)
        with self._room:
            for attempt in (1, 2):
                judge = self._take()
                result = judge.ask(frame)
                if result is not None:
                    with self._lock:
                        self._idle.append(judge)
                    return result
                with self._lock:
                    self._all.discard(judge)
                code = judge.end()
                if code == -signal.SIGPROF:
                    return CheckResult(
                        False, f"what was found takes more than {SECONDS:g} s of processor time to read"
                    )
                if attempt == 1:
                    continue  # killed from outside, perhaps: a second one decides
        return CheckResult(False, f"what was found ends the process that reads it (status {code})")

    def _take(self) -> _Judge:
        searched, stale = _searched(), []
        try:
            with self._lock:
                while self._idle:
                    judge = self._idle.pop()
                    if judge.searched == searched:
                        return judge
                    self._all.discard(judge)
                    stale.append(judge)  # the module of a plug-in may have become importable since it started
        finally:
            for judge in stale:
                judge.end()
        judge = _Judge()
        with self._lock:
            self._all.add(judge)
        return judge

    def close(self) -> None:
        """End the idle ones; the pool can be used again."""
        with self._lock:
            idle, self._idle = self._idle, []
            self._all.difference_update(idle)
        for judge in idle:
            judge.end()


POOL = JudgePool()
"""This process's judges."""

os.register_at_fork(after_in_child=POOL._forget)
atexit.register(POOL.close)
