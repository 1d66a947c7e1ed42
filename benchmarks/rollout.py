"""How fast episodes are recorded, and what the time goes into.

    python benchmarks/rollout.py [--episodes 60] [--workers 2] [--start 0] [--agent expert] [--json FILE]

Plays the catalog's scenarios ``start … start + episodes - 1`` the way ``ise rollout`` does, store included, and prints
episodes an hour, CPU-seconds an episode (of the harness' own processes, and of everything in the sandboxes), and
the shares of wall time. Then the time that the paper's 23,132 episodes would take at this rate. Nothing is warmed
up or left out: the workers' start counts.

CPU of the harness is that of the driver and of its workers; CPU of the sandboxes is that of all their other
descendants: the boxes' agents, shells, and whatever the episodes run. ``--latency`` puts a stand-in for a
model behind an OpenAI-compatible endpoint that answers after so many seconds, plays so many episodes at once
(``--slots``) against it, and says which share of the time each of its seats was busy. With ``--user llm:NAME`` the same
endpoint plays the user as well.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
sys.path[:0] = [
    str(ROOT),
    str(ROOT / "tests"),
    str(ROOT / "tests" / "simulator"),
    str(ROOT / "tests" / "agents"),
]

from busy_endpoint import BusyEndpoint  # noqa: E402
from catalog_slice import Slice  # noqa: E402
from drifting_server import DriftingUser  # noqa: E402

from ise_gym.rollout.pool import ProcessPool  # noqa: E402
from ise_gym.rollout.run import run  # noqa: E402
from ise_gym.rollout.spec import RolloutSpec, agent_factory, env_factory  # noqa: E402
from ise_gym.trajectory.stats import ISETRACE, Stats  # noqa: E402
from ise_gym.trajectory.store import TrajectoryStore, read_trajectories  # noqa: E402

PARTS = (
    ("reset_s", "reset"),
    ("tools_s", "sandbox (tool calls)"),
    ("checks_s", "checks"),
    ("user_s", "user"),
)


class MeasuredPool(ProcessPool):  # type: ignore[type-arg]
    """Worker processes whose CPU time is read from /proc before they end."""

    harness = 0.0
    boxes = 0.0

    def close(self, *, now: bool) -> None:
        pids = self.pids()
        type(self).harness += sum(cpu_seconds(pid)[0] for pid in pids)
        type(self).boxes += sum(cpu_below(pid) for pid in pids)
        super().close(now=now)


def cpu_seconds(pid: int) -> tuple[float, float]:
    """Return (own, reaped children's) CPU seconds of a process."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
    except OSError:
        return 0.0, 0.0
    tick = os.sysconf("SC_CLK_TCK")
    own, reaped = (int(fields[a]) + int(fields[a + 1]) for a in (11, 13))
    return own / tick, reaped / tick


def cpu_below(pid: int) -> float:
    """Return CPU seconds of all that ever ran below a process, as far as somebody waited for it."""
    children: dict[int, list[int]] = {}
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                parent = int((entry / "stat").read_text().rsplit(")", 1)[1].split()[1])
            except OSError:
                continue
            children.setdefault(parent, []).append(int(entry.name))
    total, waiting = cpu_seconds(pid)[1], list(children.get(pid, ()))
    while waiting:
        child = waiting.pop()
        total += sum(cpu_seconds(child))
        waiting += children.get(child, ())
    return total


class TimedStore:
    """Adds up the driver's time in `TrajectoryStore.append_line`."""

    seconds = 0.0

    @classmethod
    def install(cls) -> None:
        append = TrajectoryStore.append_line

        def timed(store: TrajectoryStore, line: bytes, *, failed: bool) -> None:
            begun = time.perf_counter()
            append(store, line, failed=failed)
            cls.seconds += time.perf_counter() - begun

        TrajectoryStore.append_line = timed  # type: ignore[assignment, method-assign]


def measure(spec: RolloutSpec, workers: int, out: Path) -> dict[str, Any]:
    TimedStore.install()
    own = time.process_time()
    begun = time.monotonic()
    status = run(spec, out, describe={"benchmark": "rollout"}, workers=workers, make_pool=MeasuredPool)
    wall = time.monotonic() - begun
    stats, parts, episodes = Stats(), Counter[str](), 0
    for trajectory in read_trajectories(out):
        stats.add(trajectory)
        episodes += 1
        parts["total_s"] += trajectory.timings.total_s  # type: ignore[assignment]
        for name in ("reset_s", "tools_s", "checks_s", "user_s", "agent_s"):
            parts[name] += getattr(trajectory.timings, name)
    harness = MeasuredPool.harness + time.process_time() - own
    return {
        "episodes": episodes,
        "broken": status.broken,
        "wall_s": wall,
        "episodes_an_hour": episodes / wall * 3600,
        "harness_cpu_s_an_episode": harness / episodes,
        "sandbox_cpu_s_an_episode": MeasuredPool.boxes / episodes,
        "shares_of_episode_time": {
            **{label: parts[name] / parts["total_s"] for name, label in PARTS},
            "agent": parts["agent_s"] / parts["total_s"],
        },
        "store_share_of_driver_wall": TimedStore.seconds / wall,
        "shape": {name: figures["mean"] for name, figures in stats.summary()["shape"].items()},
        "pass_rate": stats.summary()["pass_rate"]["rate"],
    }


def show(found: dict[str, Any], cores: int) -> None:
    rate = found["episodes_an_hour"]
    print(f"{found['episodes']} episodes in {found['wall_s']:.1f} s: {rate:,.0f} an hour on {cores} cores")
    print(f"the paper's {int(ISETRACE['episodes']):,} episodes: {ISETRACE['episodes'] / rate:.2f} h")
    print(
        f"CPU-seconds an episode: harness {found['harness_cpu_s_an_episode']:.3f}, "
        f"sandboxes {found['sandbox_cpu_s_an_episode']:.3f}"
    )
    for label, share in found["shares_of_episode_time"].items():
        print(f"  {label:24s} {share:6.1%} of an episode's wall time")
    print(f"  {'store':24s} {found['store_share_of_driver_wall']:6.1%} of the driver's wall time")
    print("shape: " + ", ".join(f"{mean:.2f} {name}" for name, mean in found["shape"].items()))
    print(f"pass rate {found['pass_rate']:.1%}; broken {found['broken']}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--episodes", type=int, default=60)
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--slots", type=int, default=1, help="episodes that each worker plays at once")
    parser.add_argument("--start", type=int, default=0)
    parser.add_argument("--agent", default="expert")
    parser.add_argument("--backend", default="auto")
    parser.add_argument("--latency", type=float, default=0.0, help="seconds; plays a stand-in for a model")
    parser.add_argument("--user", default="scripted", help="with --latency: llm:NAME asks the same endpoint")
    parser.add_argument("--json", type=Path)
    given = parser.parse_args()
    source = Slice(given.start, given.episodes)
    make_env = env_factory(backend=given.backend)
    with tempfile.TemporaryDirectory(prefix="ise-bench-") as folder:
        if given.latency:
            person = DriftingUser(rate=0.0)  # one that stays in role
            seats = given.workers * given.slots
            with BusyEndpoint(given.latency, seats, user=lambda body: person(body).body) as endpoint:
                there = {"base_url": endpoint.url, "api_key": "none"}
                if given.user != "scripted":
                    make_env = env_factory(backend=given.backend, user=given.user, user_options=there)
                spec = RolloutSpec(
                    source, agent_factory("openai:stand-in", **there), make_env, slots=given.slots
                )
                found = measure(spec, given.workers, Path(folder) / "store")
                found["endpoint"] = endpoint.report()
        else:
            spec = RolloutSpec(source, agent_factory(given.agent), make_env, slots=given.slots)
            found = measure(spec, given.workers, Path(folder) / "store")
    show(found, os.cpu_count() or 1)
    if given.latency:
        print("endpoint: " + ", ".join(f"{name} {value}" for name, value in found["endpoint"].items()))
    if given.json:
        given.json.write_text(json.dumps(found, indent=2) + "\n")


if __name__ == "__main__":
    main()
