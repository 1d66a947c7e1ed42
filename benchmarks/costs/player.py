"""Plays frozen intents in this process, one when asked, and says where the processor time of each went.

    python benchmarks/costs/player.py TREE START COUNT

``TREE`` is a checkout; its ``ise_gym`` plays. Each line on stdin asks for the next episode; the answer is a line
of JSON. `episode_cost.py` starts one a checkout and lets them take turns.
"""

from __future__ import annotations

import functools
import json
import os
import resource
import sys
import time
from collections import Counter, defaultdict
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

HERE = Path(__file__).resolve()
TREE = Path(sys.argv[1] if len(sys.argv) > 1 else HERE.parents[2]).resolve()
sys.path[:] = [str(TREE), str(HERE.parents[2] / "tests"), str(HERE.parents[1]), *sys.path[1:]]

import gymnasium  # noqa: E402
from costs.exits import Exits  # noqa: E402

from golden.played import sources  # noqa: E402
from ise_gym.agents import make_agent  # noqa: E402
from ise_gym.checks.judging.pool import POOL  # noqa: E402
from ise_gym.episode.goals import GoalBoard  # noqa: E402
from ise_gym.rollout.play import play_episode  # noqa: E402
from ise_gym.trajectory.record import content_hash, to_line  # noqa: E402
from ise_gym.workspace.backends.bubblewrap import BubblewrapBox  # noqa: E402
from ise_gym.workspace.client.channel import Channel  # noqa: E402

F = TypeVar("F", bound=Callable[..., Any])

SHELLS = ("bash", "sh", "dash")
STARTERS = ("bwrap", "setpriv")
LOOKS = ("tree", "fetch", "stop", "continue")


def spent(pid: int) -> float:
    """Seconds of processor time of a process's first thread so far; 0 when it is gone."""
    try:
        return int(Path(f"/proc/{pid}/schedstat").read_bytes().split()[0]) / 1e9
    except OSError:
        return 0.0


class Meter:
    """Adds up seconds by part: programs as they end, inits and judges as they are asked, the harness by its own clock.

    Attributes:
        parts: part → seconds since `take`.
        own: seconds that measuring itself took in this process since `take`; ``all_own``: before.
    """

    def __init__(self) -> None:
        self.parts: defaultdict[str, float] = defaultdict(float)
        self.starts: Counter[str] = Counter()
        self.programs: defaultdict[str, float] = defaultdict(float)
        self.own = self.all_own = 0.0
        self.exits = Exits()
        self._checking = False
        self._uids: set[int] = set()
        self._seen: dict[int, float] = {}
        self._inits: dict[int, int] = {}
        self._clock = time.process_time()
        self._install()

    def note(self) -> None:
        """File what ended since the last call under the present phase."""
        begun = time.thread_time()
        for ended in self.exits.read():
            if ended.uid not in self._uids:
                continue
            if self._seen.pop(ended.pid, None) is not None:
                continue  # an init, whose time was told to the nanosecond while it lived
            part = self._part(ended.program)
            self.parts[part] += ended.seconds
            self.starts[part] += 1
            self.programs[f"{part.partition(':')[0]}: {ended.program}"] += ended.seconds
        self.own += time.thread_time() - begun

    def _part(self, program: str) -> str:
        if program in STARTERS:
            return "box: its start"
        where = "checks" if self._checking else "played"
        if program.startswith("python3"):
            return f"{where}: python3"
        if program.startswith("git"):
            return f"{where}: git"
        if program in ("mail", "sendmail"):
            return f"{where}: mail"
        return f"{where}: {'shells' if program in SHELLS else 'other programs'}"

    def _init_worked(self, pid: int, part: str) -> None:
        begun = time.thread_time()
        if now := spent(pid):
            self.parts[part] += now - self._seen.get(pid, 0.0)
            self._seen[pid] = now
        self.own += time.thread_time() - begun

    def take(self) -> dict[str, dict[str, float]]:
        """Return seconds and starts by part since the last call."""
        self.note()
        for judge in tuple(POOL._all):
            pid = judge._process.pid
            before = self._seen.get(pid, 0.0)
            self._seen[pid] = max(before, spent(pid))
            self.parts["harness: judge"] += self._seen[pid] - before
        now = time.process_time()
        self.parts["harness"] += now - self._clock - self.own
        self.all_own += self.own
        self._clock, self.own = now, 0.0
        starts: dict[str, float] = {**self.starts}
        found = {"seconds": dict(self.parts), "starts": starts, "programs": dict(self.programs)}
        self.parts, self.starts, self.programs = defaultdict(float), Counter(), defaultdict(float)
        return found

    def _install(self) -> None:
        """Wrap what starts a box, what asks its init, and what judges."""
        meter = self

        @wrapping(BubblewrapBox, "_start")
        def start(call: Callable[..., None], box: Any, *given: Any) -> None:
            meter._uids.add(box.uid)
            call(box, *given)

        @wrapping(BubblewrapBox, "_child_pid")
        def child_pid(call: Callable[..., int], box: Any, *given: Any) -> int:
            pid = call(box, *given)
            meter._inits[id(box.channel)] = pid
            meter._seen[pid] = 0.0
            return pid

        @wrapping(Channel, "request")
        def request(call: Callable[..., Any], channel: Any, op: str, *given: Any, **named: Any) -> Any:
            try:
                return call(channel, op, *given, **named)
            finally:
                pid = meter._inits[id(channel)]
                if op == "configure":
                    meter._init_worked(pid, "box: its start")
                elif op in LOOKS:
                    meter._init_worked(pid, "init: digests" if op in ("tree", "fetch") else "init: stops")
                else:
                    meter._init_worked(pid, "init: files and commands")

        @wrapping(GoalBoard, "judge")
        def judge(call: Callable[..., Any], board: Any, *given: Any, **named: Any) -> Any:
            meter.note()
            meter._checking = True
            try:
                return call(board, *given, **named)
            finally:
                meter.note()
                meter._checking = False


def wrapping(owner: type, name: str) -> Callable[[F], F]:
    """Put a function around a method: it gets the method first."""

    def put(function: F) -> F:
        setattr(owner, name, functools.partialmethod(_around, function, getattr(owner, name)))
        return function

    return put


def _around(
    self: Any, function: Callable[..., Any], method: Callable[..., Any], *given: Any, **named: Any
) -> Any:
    return function(method, self, *given, **named)


def processor() -> float:
    """Seconds of this process and of all whose end was waited for."""
    kinds = (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)
    return sum(found.ru_utime + found.ru_stime for found in map(resource.getrusage, kinds))


def main() -> None:
    """Answer each line with an episode."""
    imported = processor()
    source, (start, count) = sources()["composed"], map(int, sys.argv[2:4])
    for seed in range(start, start + count):  # each task is read and compiled at its first use
        source.scenario(seed)
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)
    ready = processor()

    def say(what: object) -> None:
        answers.write(json.dumps(what) + "\n")
        answers.flush()

    say({"imports": imported, "tasks": ready - imported})
    meter = Meter()
    env = gymnasium.make("ISE-OS-v0", backend="bubblewrap")
    meter.take()
    begun, measuring = processor(), meter.all_own
    for seed in range(start, start + count):
        if not sys.stdin.readline():
            break
        scenario = source.scenario(seed)
        trajectory = play_episode(env, make_agent("expert" if seed % 2 else "expert:0.8"), scenario, seed)
        to_line(trajectory)
        found = meter.take()
        calls = sum(len(message.get("tool_calls") or ()) for message in trajectory.messages)
        say(
            {
                **found,
                "seed": seed,
                "calls": calls,
                "outcome": trajectory.outcome,
                "hash": content_hash(trajectory),
            }
        )
        meter._clock = time.process_time()
    env.close()
    POOL.close()
    left = meter.take()["seconds"]
    say({"left": left, "all": processor() - begun - (meter.all_own - measuring)})


if __name__ == "__main__":
    main()
