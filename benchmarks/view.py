"""How fast is the viewer on a large store? Index, open, search, filter, and an episode, on a store of ISETrace's shape.

    python benchmarks/view.py [--episodes 25000] [--folder FOLDER]

Episodes are synthetic and distinct: 8 user turns, about 72 messages and 28 calls in the mean, each with words of its
own, about 66 kB a record. Indexing is a process of its own, and is killed once and gone on with; opening is a new
process too, from its start to the first page. The store is kept where a folder is named, and used again.
"""

from __future__ import annotations

import argparse
import os
import random
import resource
import signal
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.parse
import urllib.request
from collections.abc import Callable
from pathlib import Path
from typing import Any

from ise_gym.messages import assistant, system, tool_call, tool_result, user
from ise_gym.trajectory.record import FileChanges, Outcome, Step, Trajectory
from ise_gym.trajectory.store import TrajectoryStore, has_records

TOOLS = ("exec", "read", "write", "edit", "web_fetch", "web_search", "memory_search", "process")
DOMAINS = ("file-io", "code-runtime", "source-chain", "web-extraction", "agent-memory", "multimedia")


def episode(number: int, words: list[str]) -> Trajectory:
    """Return an episode of its own words."""
    draw = random.Random(number)

    def text(low: int, high: int) -> str:
        return " ".join(draw.choices(words, k=draw.randint(low, high)))

    messages: list[Any] = [system(text(200, 200))]
    steps: list[Step] = []
    for turn in range(draw.randint(6, 10)):
        messages.append(user(text(20, 60)))
        for call in range(draw.randint(1, 6)):
            key = f"call_{turn}_{call}"
            tool, failed = draw.choice(TOOLS), draw.random() < 0.1
            files = (
                FileChanges(created=[f"out/{text(1, 1)}"], diffs={"out/a": "+" + text(10, 40)})
                if call == 1
                else None
            )
            steps.append(Step(message=len(messages), reward=0.0, digest=f"{number:064x}", files=files))
            messages.append(assistant("", [tool_call(tool, {"command": text(5, 40)}, key)], text(0, 30)))
            messages.append(tool_result(key, tool, text(40, 300), success=not failed, exit_code=int(failed)))
        steps.append(Step(message=len(messages), reward=0.1, score=0.1 * turn))
        messages.append(assistant(text(20, 80)))
    outcomes: tuple[Outcome, ...] = ("passed", "passed", "failed", "truncated")
    outcome = draw.choice(outcomes)
    messages[-1]["content"] += f" finished number{number}"
    return Trajectory(
        episode_id=f"episode-{number:06d}",
        scenario_id=f"intent-{number % 20_000}",
        seed=number,
        intent=text(60, 160),
        persona={"name": text(2, 2).title(), "role": text(2, 2)},
        domains=draw.sample(DOMAINS, 3),
        tasks=[f"{draw.choice(DOMAINS)}/task-{draw.randrange(60)}" for _ in range(4)],
        complexity=draw.choice(("simple", "medium", "complex")),
        outcome=outcome,
        score=1.0 if outcome == "passed" else 0.5,
        subgoals={f"goal {n}": outcome == "passed" or n % 2 == 0 for n in range(6)},
        messages=messages,
        tools=[],
        steps=steps,
        agent={"name": draw.choice(("model-a", "model-b"))},
        user={"name": "scripted", "guard": {"turns": 8, "drifted": number % 9 == 0}},
    )


def fill(folder: Path, count: int) -> None:
    """Write the store, unless it is there."""
    if folder.is_dir() and has_records(folder):
        return
    draw = random.Random(0)
    words = [
        "".join(draw.choices("abcdefghijklmnopqrstuvwxyz", k=draw.randint(3, 10))) for _ in range(30_000)
    ]
    with TrajectoryStore(folder, sync_s=60) as store:
        for number in range(count):
            store.append(episode(number, words))


def timed(work: Callable[[], object]) -> float:
    """Return the seconds that something takes."""
    began = time.perf_counter()
    work()
    return time.perf_counter() - began


def index(folder: Path, kill_after_s: float = 0.0) -> float:
    """Bring the index up to date in a process of its own; kill it after a while where asked."""
    began = time.perf_counter()
    command = [sys.executable, "-m", "ise_gym.cli", "view", str(folder), "--index-only"]
    process = subprocess.Popen(command, stderr=subprocess.DEVNULL, start_new_session=True)
    try:
        process.wait(timeout=kill_after_s or None)
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()
    return time.perf_counter() - began


class Viewer:
    """A viewer in a process of its own."""

    def __init__(self, folder: Path) -> None:
        command = [sys.executable, "-m", "ise_gym.cli", "view", str(folder), "--no-open"]
        environment = {**os.environ, "ISE_VIEW_TOKEN": "benchmark"}
        self._process = subprocess.Popen(
            command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL
        )
        assert self._process.stdout is not None
        self._address = self._process.stdout.readline().decode().strip().partition("/?")[0]
        self._cookie = f"ise_view_{self._address.rpartition(':')[2]}=benchmark"

    def get(self, path: str, part: bool = False) -> str:
        """Return a page."""
        headers = {"Cookie": self._cookie, **({"HX-Request": "true"} if part else {})}
        request = urllib.request.Request(self._address + path, headers=headers)
        with urllib.request.urlopen(request, timeout=60) as answer:
            return str(answer.read().decode())

    def first(self) -> str:
        """Return the first page, asked for until the server answers."""
        while True:
            try:
                return self.get("/")
            except OSError:
                time.sleep(0.01)

    def close(self) -> None:
        """End the process."""
        self._process.terminate()
        self._process.wait()


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--episodes", type=int, default=25_000)
    parser.add_argument("--folder", type=Path, help="keep the store there")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        folder = given.folder or Path(scratch) / "store"
        made = timed(lambda: fill(folder, given.episodes))
        size = sum(path.stat().st_size for path in (folder / "shards").iterdir())
        print(
            f"{given.episodes:,} episodes, {size / 1e9:.2f} GB ({size / given.episodes / 1e3:.0f} kB each), "
            f"made in {made:.0f} s"
        )
        for path in (folder / ".view").glob("*"):
            path.unlink()
        cut = index(folder, kill_after_s=8.0)
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        rest = index(folder)
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        busy = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
        bytes_of_index = sum(path.stat().st_size for path in (folder / ".view").iterdir())
        print(
            f"indexed in {cut + rest:.1f} s on {os.cpu_count()} cores, killed after {cut:.0f} s "
            f"and gone on with; {bytes_of_index / 1e9:.2f} GB; "
            f"CPU time after the kill {busy:.0f} s; load of the machine {os.getloadavg()[0]:.1f}"
        )
        print(f"nothing new to index: {index(folder):.2f} s")
        measure(folder, given.episodes)


def measure(folder: Path, count: int) -> None:
    """Open a warm index and ask."""
    opened = []
    for _ in range(5):
        began = time.perf_counter()
        viewer = Viewer(folder)
        page = viewer.first()
        opened.append(time.perf_counter() - began)
        assert f"<b>{count:,}</b> episodes" in page, "not all of them are there"
        viewer.close()
    print(
        f"opened, from the command to the first page: {statistics.median(opened):.2f} s (of 5: {min(opened):.2f} "
        f"to {max(opened):.2f})"
    )
    viewer = Viewer(folder)
    viewer.first()
    asked = {
        "one word that one episode has": f"/?q=number{count // 2}",
        "a beginning that most have": "/?q=ab",
        "two words and two filters": "/?q=ab+co&outcome=failed&tool=edit",
        "filters alone": "/?outcome=failed&domain=file-io&has=refused",
        "by length": "/?sort=long",
        "an episode": f"/episode?run={urllib.parse.quote(folder.name)}&id=episode-{count // 2:06d}",
    }
    for what, path in asked.items():
        first = timed(lambda: viewer.get(path, part=path.startswith("/?")))  # noqa: B023 - used in this round only
        again = timed(lambda: viewer.get(path, part=path.startswith("/?")))  # noqa: B023
        print(f"{what}: {first * 1000:.0f} ms, again {again * 1000:.0f} ms")
    viewer.close()


if __name__ == "__main__":
    main()
