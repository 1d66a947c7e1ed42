"""Processor time of an episode, by part, before and after a change.

    python benchmarks/costs/episode_cost.py [--episodes 200] [--start 0] [--before REVISION] [--json FILE]

Plays frozen intents (the tasks of `tests/golden/tasks.txt`, seeds ``start …``) with the scripted expert on bubblewrap,
the record included, in one process, and prints the processor time of an episode by part. ``--before`` names a commit:
it is checked out beside this tree, both play each episode in turns, and the table shows both, their ratio, and how many
records are equal (`content_hash`: all but ``timings``). Needs root, for the kernel's notices of programs that end
(`exits.py`).

``checks`` are programs that a sub-goal's check runs, ``played`` those that a tool call, a service or a task's start
runs. ``init`` is the one process in the box that serves the harness. The sum of the parts is held against what the
kernel counts for the process and all its children, measuring left out: the rest is ``not told apart``, such as what
freeing a program's memory takes after its notice.
"""

from __future__ import annotations

import argparse
import json
import random
import signal
import subprocess
import sys
import tempfile
from collections import Counter, defaultdict
from contextlib import ExitStack
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
PLAYER = Path(__file__).with_name("player.py")


class Player:
    """A process that plays with the code of one checkout."""

    def __init__(self, tree: Path, start: int, count: int) -> None:
        self._process = subprocess.Popen(
            [sys.executable, str(PLAYER), str(tree), str(start), str(count)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            cwd=tree,
            process_group=0,  # Ctrl-C ends the turns, and what was played is shown
        )
        self.episodes: list[dict[str, Any]] = []
        self.ready = self._answer()
        self.end: dict[str, Any] = {}

    def _answer(self) -> dict[str, Any]:
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        if not line:
            raise SystemExit(f"the player ended with status {self._process.wait()}")
        found: dict[str, Any] = json.loads(line)
        return found

    def play(self) -> None:
        """Play the next episode."""
        assert self._process.stdin is not None
        self._process.stdin.write("\n")
        self._process.stdin.flush()
        self.episodes.append(self._answer())

    def close(self) -> None:
        """Read the sums and let it end."""
        assert self._process.stdin is not None
        self._process.stdin.close()
        self.end = self._answer()
        self._process.wait()

    def means(self, what: str) -> dict[str, float]:
        """Part → mean an episode of ``seconds`` or ``starts``."""
        sums: defaultdict[str, float] = defaultdict(float)
        for episode in self.episodes:
            for part, value in episode[what].items():
                sums[part] += value
        if what == "seconds":
            for part, value in self.end["left"].items():
                sums[part] += value
            sums["not told apart"] = self.end["all"] - sum(sums.values())
        return {part: total / len(self.episodes) for part, total in sums.items()}


def checkout(revision: str, stack: ExitStack) -> Path:
    """Check a commit out into a folder of its own, for as long as the stack lasts."""
    folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="ise-before-")), "tree")
    git = ["git", "-C", str(ROOT), "worktree"]
    subprocess.run([*git, "add", "--quiet", "--detach", str(folder), revision], check=True)
    stack.callback(subprocess.run, [*git, "remove", "--force", str(folder)], check=True)
    return folder


def interval(before: list[float], after: list[float]) -> tuple[float, float]:
    """95 % bootstrap interval of the ratio of two sums over the same episodes."""
    draw = random.Random(0)
    ratios = []
    for _ in range(2000):
        chosen = draw.choices(range(len(before)), k=len(before))
        ratios.append(sum(after[n] for n in chosen) / sum(before[n] for n in chosen))
    ratios.sort()
    return ratios[49], ratios[1949]


def main() -> None:
    """Play, print, and write JSON when asked."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--episodes", type=int, default=200)
    parser.add_argument("--start", type=int, default=0)
    parser.add_argument("--before", metavar="REVISION", help="a commit to play beside this tree")
    parser.add_argument("--programs", type=int, default=0, help="how many single programs to show as well")
    parser.add_argument("--json", type=Path)
    given = parser.parse_args()
    with ExitStack() as stack:
        trees = {"now": ROOT}
        if given.before:
            trees = {"before": checkout(given.before, stack), **trees}
        players = {name: Player(tree, given.start, given.episodes) for name, tree in trees.items()}
        stopped: list[int] = []
        signal.signal(signal.SIGINT, lambda number, _: stopped.append(number))
        for number in range(given.episodes):
            if stopped:
                break
            if sys.stderr.isatty():
                print(f"\r{number} of {given.episodes}", end="", file=sys.stderr)
            for name in list(players)[:: 1 if number % 2 else -1]:
                players[name].play()
        for player in players.values():
            player.close()
    show(players, given.programs)
    if given.json:
        found = {
            name: {"ready": p.ready, "episodes": p.episodes, "end": p.end} for name, p in players.items()
        }
        given.json.write_text(json.dumps(found, indent=1) + "\n")


def show(players: dict[str, Player], programs: int) -> None:
    """Print the table of parts, then what is equal."""
    seconds = {name: player.means("seconds") for name, player in players.items()}
    starts = players["now"].means("starts")
    names = list(players)
    print(
        f"{'milliseconds of processor time':34}"
        + "".join(f"{name:>9}" for name in names)
        + "   ratio  starts"
    )
    for part in sorted(
        {part for of in seconds.values() for part in of}, key=lambda p: -seconds[names[0]].get(p, 0.0)
    ):
        row(part, [seconds[name].get(part, 0.0) for name in names], starts.get(part))
    row("an episode", [sum(seconds[name].values()) for name in names], None)
    for part in ("imports", "tasks"):
        row(f"once a process: {part}", [players[name].ready[part] for name in names], None)
    single = {name: player.means("programs") for name, player in players.items()}
    for program, _ in Counter(single["now"]).most_common(programs):
        row(program, [single[name].get(program, 0.0) for name in names], None)
    now = players["now"].episodes
    passed = sum(episode["outcome"] == "passed" for episode in now)
    print(f"{len(now)} episodes, {sum(e['calls'] for e in now) / len(now):.1f} calls each, {passed} passed")
    if "before" in players:
        then = players["before"].episodes
        low, high = interval(*([sum(e["seconds"].values()) for e in side] for side in (then, now)))
        print(f"ratio of an episode's time: 95 % interval [{low:.3f}, {high:.3f}]")
        others = [b["seed"] for a, b in zip(then, now, strict=True) if a["hash"] != b["hash"]]
        print(
            f"records equal: {len(now) - len(others)} of {len(now)}"
            + (f"; not: seeds {others}" if others else "")
        )


def row(part: str, values: list[float], starts: float | None) -> None:
    """Print one line in milliseconds."""
    ratio = f"{values[-1] / values[0]:8.2f}" if len(values) > 1 and values[0] else " " * 8
    print(
        f"{part:34}"
        + "".join(f"{1000 * v:9.1f}" for v in values)
        + ratio
        + (f"{starts:8.1f}" if starts else "")
    )


if __name__ == "__main__":
    main()
