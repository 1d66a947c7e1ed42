"""How much memory and time a large corpus takes to read: ``ise stats``, ``ise filter``, ``ise export``.

    python benchmarks/corpus.py [--episodes 25000] [--kilobytes 100] [--folder DIR] [--limit-mb 1000]

Writes so many made-up episodes of about the paper's shape (8 user turns, 29 calls), each a record of so many
kilobytes, then runs each command as a process of its own and prints its wall time, CPU time and peak resident memory.
Exit code 1 when one took more memory than ``--limit-mb``. Everything written is deleted; at any time it needs room for
the corpus twice.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from ise_gym.messages import assistant, system, tool_call, tool_result, user  # noqa: E402
from ise_gym.tools import tool_schemas  # noqa: E402
from ise_gym.trajectory.record import Step, Timings, Trajectory, episode_id, to_line  # noqa: E402
from ise_gym.trajectory.store import TrajectoryStore  # noqa: E402

TURNS, CALLS_A_TURN = 8, (4, 4, 4, 4, 4, 3, 3, 3)
TOOLS = ["exec", "read", "write", "edit", "process", "memory_search"]
WORDS = (
    "report",
    "invoice",
    "folder",
    "gate",
    "kettle",
    "harbour",
    "2025-03-17",
    "total",
    "rows",
    "the",
    "of",
    "and",
)


def episode(number: int, kilobytes: int) -> Trajectory:
    """Make one up: equal numbers give equal episodes."""
    draw = random.Random(number)
    size = kilobytes * 1000 // (sum(CALLS_A_TURN) + 2 * TURNS)

    def text(length: int) -> str:
        words = " ".join(draw.choices(WORDS, k=length // 6 + 1))
        return words[:length].replace(" the ", "\n")

    messages: list[Any] = [system(text(3000))]
    steps: list[Step] = []
    for turn, calls in enumerate(CALLS_A_TURN):
        messages.append(user(f"Request {number}.{turn}: {text(200)}"))
        for call in range(calls):
            name, call_id = draw.choice(TOOLS), f"call_{turn}_{call}"
            failed = draw.random() < 0.1
            steps.append(Step(message=len(messages), reward=0.0, digest=f"{draw.getrandbits(256):064x}"))
            messages.append(assistant("", [tool_call(name, {"command": text(120)}, call_id)]))
            messages.append(tool_result(call_id, name, text(size), success=not failed, exit_code=int(failed)))
        steps.append(Step(message=len(messages), reward=1 / TURNS, score=(turn + 1) / TURNS))
        messages.append(assistant(text(size)))
    passed = draw.random() < 0.9
    return Trajectory(
        episode_id=episode_id(f"made-{number}", number, "made-up"),
        scenario_id=f"made-{number}",
        seed=number,
        intent=text(400),
        persona={"name": f"Person {number}", "role": "clerk", "industry": "museums"},
        domains=draw.sample(["file-io", "code-runtime", "agent-memory", "web-extraction"], 2),
        tasks=[f"file-io/task-{draw.randrange(20)}" for _ in range(4)],
        complexity=draw.choice(["simple", "medium", "complex"]),
        outcome="passed" if passed else "failed",
        score=1.0 if passed else 0.5,
        subgoals={f"goal-{n}": passed for n in range(4)},
        messages=messages,
        tools=[dict(schema) for schema in tool_schemas(TOOLS)],
        steps=steps,
        agent={"name": "made-up"},
        user={"name": "made-up", "guard": {"turns": TURNS, "drifted": 0}},
        timings=Timings(total_s=1.0),
    )


def write(store: Path, count: int, kilobytes: int) -> None:
    with TrajectoryStore(store, run={"benchmark": "corpus"}) as writer:
        for number in range(count):
            writer.append_line(to_line(episode(number, kilobytes)), failed=False)


def measure(*arguments: str) -> dict[str, Any]:
    """Run one command and ask the kernel what it took."""
    begun = time.monotonic()
    with subprocess.Popen(
        [sys.executable, "-m", "ise_gym.cli", *arguments], cwd=ROOT, stdout=subprocess.DEVNULL
    ) as process:
        _, status, used = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise SystemExit(f"ise {' '.join(arguments)} ended with {process.returncode}")
    return {
        "command": f"ise {arguments[0]}",
        "wall_s": time.monotonic() - begun,
        "cpu_s": used.ru_utime + used.ru_stime,
        "peak_mb": used.ru_maxrss / 1024,
    }


def size_of(path: Path) -> int:
    return sum(p.stat().st_size for p in path.rglob("*") if p.is_file())


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--episodes", type=int, default=25_000)
    parser.add_argument("--kilobytes", type=int, default=100, help="of one record")
    parser.add_argument("--folder", type=Path, help="where to write; default: the system's temporary folder")
    parser.add_argument("--limit-mb", type=float, default=1000)
    parser.add_argument("--json", type=Path)
    given = parser.parse_args()
    found = []
    with tempfile.TemporaryDirectory(prefix="ise-corpus-", dir=given.folder) as name:
        folder = Path(name)
        store = folder / "store"
        begun = time.monotonic()
        write(store, given.episodes, given.kilobytes)
        size = size_of(store)
        print(
            f"{given.episodes:,} episodes, {size / 1e9:.2f} GB, written in {time.monotonic() - begun:.0f} s"
        )
        for arguments in (
            ["stats", str(store), "--json"],
            ["filter", str(store), "--out", str(folder / "kept"), "--unique", "--no-secrets"],
            ["export", str(store), "--format", "isetrace", "--out", str(folder / "out.jsonl")],
        ):
            one = measure(*arguments)
            found.append(one)
            each = 1000 * one["cpu_s"] / given.episodes
            print(
                f"{one['command']:12s} {one['wall_s']:7.1f} s, CPU {one['cpu_s']:7.1f} s ({each:.1f} ms an episode), "
                f"peak {one['peak_mb']:.0f} MB",
                flush=True,
            )
            shutil.rmtree(folder / "kept", ignore_errors=True)
            (folder / "out.jsonl").unlink(missing_ok=True)
    if given.json:
        document = {"episodes": given.episodes, "bytes": size, "commands": found}
        given.json.write_text(json.dumps(document, indent=2) + "\n")
    if over := [one["command"] for one in found if one["peak_mb"] > given.limit_mb]:
        raise SystemExit(f"more than {given.limit_mb:g} MB: {', '.join(over)}")


if __name__ == "__main__":
    main()
