"""Breaks rollouts at random moments, resumes them, and looks whether anything was lost.

    python benchmarks/chaos.py [--runs 30] [--episodes 16] [--seed 0] [--fast]
                               [--kinds driver,worker,sandbox,disk,endpoint,flip,cut,delete]

Each run starts a real ``run`` in a process of its own and strikes once a random number of records is there:

- ``driver``: kill -9 of the driver;
- ``worker``: kill -9 of one of its worker processes;
- ``sandbox``: kill -9 of one process below a worker (a box, its agent, or what runs in it);
- ``disk``: from that moment on no file of the driver may grow beyond a random size, as on a full disk;
- ``endpoint``: the model's endpoint goes away, and comes back for the resumed run;
- ``flip``: the driver is killed, and bytes of one to three lines before the last are flipped, wherever in them;
- ``cut``: it is killed, and the last line is cut off anywhere;
- ``delete``: it is killed, and its shard is deleted.

Then the same rollout is started again until it is complete. After ``flip`` and ``delete`` it must first refuse, and
name shard, line and episode; ``ise verify --repair`` must find just what was damaged, and keep it. Afterwards every
episode must have exactly one record, every line of every shard must parse, and no half line may be left. Exit code 1
when that does not hold.

``--fast`` plays made-up episodes without a sandbox (those of the tests), so ``sandbox`` is left out.
"""

from __future__ import annotations

import argparse
import contextlib
import functools
import os
import random
import resource
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(ROOT), str(ROOT / "tests"), str(ROOT / "tests" / "rollout")]

from busy_endpoint import BusyEndpoint  # noqa: E402

from ise_gym.errors import UserError  # noqa: E402
from ise_gym.rollout.engine import Status  # noqa: E402
from ise_gym.rollout.run import run  # noqa: E402
from ise_gym.rollout.spec import RolloutSpec, agent_factory, env_factory  # noqa: E402
from ise_gym.trajectory.lines.index import read_index  # noqa: E402
from ise_gym.trajectory.scan.verify import verify_store  # noqa: E402
from ise_gym.trajectory.shards import shard_paths  # noqa: E402
from ise_gym.trajectory.store import TrajectoryStore, parse_line  # noqa: E402

DAMAGE = ("flip", "cut", "delete")
KINDS = ("driver", "worker", "sandbox", "disk", "endpoint", *DAMAGE)
WORKERS = 2
MOST_ATTEMPTS = 8


def the_spec(episodes: int, fast: bool, url: str, marks: Path) -> RolloutSpec:
    agent = agent_factory("openai:stand-in", base_url=url, api_key="none", max_retries=0, timeout=20)
    if fast:
        from rollout_fakes import FakeAgent, FakeEnv, FakeSource

        make_env = functools.partial(FakeEnv, str(marks), 0.02)
        return RolloutSpec(FakeSource(episodes), agent if url else FakeAgent, make_env, slots=2)
    from catalog_slice import Slice

    return RolloutSpec(Slice(0, episodes), agent if url else agent_factory("expert"), env_factory(), slots=2)


def drive(given: argparse.Namespace) -> None:
    """Run in the process that is struck; a line a change tells how far it is."""
    limit = given.limit_bytes

    def told(status: Status) -> None:
        nonlocal limit
        if limit:  # only now, so that workers and their boxes, which are started already, may still write
            resource.setrlimit(resource.RLIMIT_FSIZE, (limit, resource.RLIM_INFINITY))
            limit = 0
        print(status.played, flush=True)

    spec = the_spec(given.episodes, given.fast, given.url, given.drive.parent)
    status = run(
        spec,
        given.drive,
        describe={"chaos": given.url != ""},
        workers=WORKERS,
        retries=1,
        give_up_after=4,
        on_progress=told,
    )
    sys.exit(0 if not status.missing else 3)


@dataclass
class Outcome:
    """What became of one run."""

    kind: str
    struck_after: int
    attempts: int
    torn: int
    problems: list[str]


def one_run(kind: str, rng: random.Random, given: argparse.Namespace) -> Outcome:
    with tempfile.TemporaryDirectory(prefix="ise-chaos-") as folder, contextlib.ExitStack() as stack:
        out = Path(folder) / "store"
        endpoint = None
        if kind == "endpoint":
            endpoint = BusyEndpoint(0.05, WORKERS * 2)
            endpoint.__enter__()
        least = 2 if kind == "flip" else 1
        after = rng.randrange(least, max(least + 1, given.episodes // 2))
        struck, attempts, problems = False, 0, list[str]()
        while attempts < MOST_ATTEMPTS:
            attempts += 1
            record = 1_200 if given.fast else 60_000  # bytes, about
            full = rng.randrange(record, record * max(2, given.episodes // 2))
            limit = full if kind == "disk" and not struck else 0
            driver = start(out, given, endpoint.url if endpoint else "", limit)
            if struck:
                driver.communicate(timeout=given.timeout)
            else:
                struck = True
                wait_for(driver, after)
                time.sleep(rng.random() * 0.2)
                if kind == "endpoint":
                    assert endpoint is not None
                    endpoint.__exit__(None, None, None)
                elif kind != "disk":
                    strike(kind, driver.pid, rng)
                driver.communicate(timeout=given.timeout)
                if kind in DAMAGE:
                    problems += damaged_and_repaired(kind, out, rng)
                if endpoint is not None:
                    endpoint = stack.enter_context(BusyEndpoint(0.05, WORKERS * 2, endpoint.port))
            if driver.returncode == 0:
                break
        torn = len(list((out / "torn").glob("*"))) if (out / "torn").is_dir() else 0
        return Outcome(kind, after, attempts, torn, problems + problems_of(out, given))


def start(out: Path, given: argparse.Namespace, url: str, limit: int) -> subprocess.Popen[str]:
    command = [sys.executable, __file__, "--drive", str(out), "--episodes", str(given.episodes)]
    command += ["--url", url, "--limit-bytes", str(limit), *(["--fast"] if given.fast else [])]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)


def wait_for(driver: subprocess.Popen[str], episodes: int) -> None:
    assert driver.stdout
    for line in driver.stdout:
        if int(line) >= episodes:
            return


def strike(kind: str, driver: int, rng: random.Random) -> None:
    below = descendants(driver)
    workers = [p for p in below.get(driver, ()) if b"spawn_main" in command_of(p)]
    if kind == "driver" or kind in DAMAGE:
        victims = [driver]
    elif kind == "worker":
        victims = workers
    else:
        victims = [p for worker in workers for p in everything_below(worker, below)]
    if victims:
        with contextlib.suppress(ProcessLookupError):  # it ended by itself meanwhile
            os.kill(rng.choice(victims), signal.SIGKILL)


def descendants(root: int) -> dict[int, list[int]]:
    children: dict[int, list[int]] = {}
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            with contextlib.suppress(OSError):  # it ended
                parent = int((entry / "stat").read_text().rsplit(")", 1)[1].split()[1])
                children.setdefault(parent, []).append(int(entry.name))
    return children


def everything_below(pid: int, children: dict[int, list[int]]) -> Iterator[int]:
    for child in children.get(pid, ()):
        yield child
        yield from everything_below(child, children)


def command_of(pid: int) -> bytes:
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes()
    except OSError:
        return b""


def damaged_and_repaired(kind: str, out: Path, rng: random.Random) -> list[str]:
    """Damage what a killed driver wrote; return what was not noticed, or not told rightly."""
    with TrajectoryStore(out):  # as the killed driver left it, brought in order
        pass
    shards = [shard for shard in shard_paths(out / "shards") if shard.stat().st_size]
    if not shards:
        return []
    shard = rng.choice(shards)
    entries, data = read_index(shard).entries, bytearray(shard.read_bytes())
    if kind == "cut":  # what a power cut does too: the next driver sees to it by itself
        os.truncate(shard, rng.randrange(entries[-1].start + 1, len(data)))
        return []
    if kind == "delete":
        shard.unlink()
        hit, said = entries, ("deleted", f"{len(entries)} episodes")
    else:
        middle = entries[:-1]  # damage to the last line is what a crash leaves, and is set aside as such
        if not middle:
            return []
        hit = sorted(rng.sample(middle, rng.randint(1, min(3, len(middle)))))
        for entry in hit:
            data[rng.randrange(entry.start, entry.end - 1)] ^= rng.randrange(1, 256)
        shard.write_bytes(data)
        said = (f"line {entries.index(hit[0]) + 1} ", hit[0].episode)
    problems = []
    try:
        TrajectoryStore(out).close()
        problems.append("the damage was not noticed")
    except UserError as error:
        if not all(words in str(error) for words in (shard.name, *said)):
            problems.append(f"the damage was not named: {error}")
    wanted = {entry.episode for entry in hit}
    for repair in (False, True):
        found = verify_store(out, repair=repair)
        named = {name for report in found.shards for name in report.gone}
        for report in found.shards:
            for damage in (*report.damaged, *(damage for damage, _ in report.aside)):
                named.update(damage.episodes)
        if named != wanted or found.whole != repair:
            problems.append(f"verify named {sorted(named)}, not {sorted(wanted)}")
    kept = b"".join(path.read_bytes() for path in (out / "torn").iterdir())
    if kind == "flip" and not all(data[entry.start : entry.end - 1] in kept for entry in hit):
        problems.append("what was damaged was not kept")
    return problems


def problems_of(out: Path, given: argparse.Namespace) -> list[str]:
    """Return what is wrong with a store that should be complete; looks at the bytes, not through the store."""
    found, problems = Counter[str](), []
    for shard in shard_paths(out / "shards"):
        data = shard.read_bytes()
        if data and not data.endswith(b"\n"):
            problems.append(f"{shard.name} ends in half a line")
        for number, line in enumerate(data.split(b"\n")[:-1], start=1):
            if not line.strip():
                continue  # a damaged line was there, now set aside
            try:
                found[parse_line(line, f"{shard.name}, line {number}").scenario_id] += 1
            except UserError as error:
                problems.append(str(error))
    problems += [f"{name} was recorded {count} times" for name, count in found.items() if count > 1]
    if len(found) != given.episodes:
        problems.append(f"{given.episodes - len(found)} of {given.episodes} episodes are missing")
    return problems


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--runs", type=int, default=30)
    parser.add_argument("--episodes", type=int, default=16)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--kinds", default=",".join(KINDS))
    parser.add_argument("--fast", action="store_true")
    parser.add_argument("--timeout", type=float, default=900.0, help="seconds for one attempt")
    parser.add_argument("--drive", type=Path, help=argparse.SUPPRESS)
    parser.add_argument("--url", default="", help=argparse.SUPPRESS)
    parser.add_argument("--limit-bytes", type=int, default=0, help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.drive:
        drive(given)
    kinds = [k for k in given.kinds.split(",") if not (given.fast and k == "sandbox")]
    rng, bad, counts = random.Random(given.seed), 0, Counter[str]()
    for number in range(given.runs):
        outcome = one_run(kinds[number % len(kinds)], rng, given)
        counts[outcome.kind] += 1
        bad += bool(outcome.problems)
        said: Any = "; ".join(outcome.problems) or "every episode once"
        print(
            f"{number + 1:3d} {outcome.kind:9s} struck after {outcome.struck_after:2d} records, complete after "
            f"{outcome.attempts} attempts, {outcome.torn} torn lines set aside: {said}",
            flush=True,
        )
    print(f"{given.runs - bad} of {given.runs} runs lost nothing ({dict(counts)})")
    sys.exit(1 if bad else 0)


if __name__ == "__main__":
    main()
