"""What a large store costs: statistics, filters, exports, resuming, verifying, by workers, and the slope to a million.

    python benchmarks/stores.py [--episodes 10000] [--workers 1,2] [--only stats,resume] [--folder FOLDER]

Episodes have ISETrace's shape, about 66 kB each, with ids and words of their own, so that neither cache nor compressor
sees anything twice. Everything is measured on half of them and on all, each in a fresh process; the difference of the
two is the cost of an episode, from which the line to a million is drawn. CPU time is that of all processes, wall time
that of this machine under whatever else it does. Results with several workers must be those with one, else the exit
code is 1.

Store, copies and exports lie in a temporary folder that is removed at the end; more than 8 GB are refused.
"""

from __future__ import annotations

import argparse
import ctypes
import hashlib
import json
import os
import random
import resource
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(ROOT)]


from ise_gym.trajectory.exchange.export import export_file  # noqa: E402
from ise_gym.trajectory.filter import Rules, filter_store  # noqa: E402
from ise_gym.trajectory.record import to_line  # noqa: E402
from ise_gym.trajectory.scan.verify import verify_store  # noqa: E402
from ise_gym.trajectory.shards import ShardWriter, shard_paths  # noqa: E402
from ise_gym.trajectory.stats import store_stats  # noqa: E402
from ise_gym.trajectory.store import TrajectoryStore  # noqa: E402
from view import episode  # noqa: E402

MOST_BYTES = 8_000_000_000
SHARDS = 8
"""Shards of the store, so that verifying has something to share out; a million episodes are in about 130."""
MILLION = 1_000_000
_SUBREAPER = 36
"""PR_SET_CHILD_SUBREAPER: what the measured process leaves behind becomes ours, and its CPU time with it."""

Work = Callable[[Path, Path, int], str]
"""Works on a store, writes to a path if it must, with so many workers; returns what tells results apart."""


def stats(store: Path, out: Path, workers: int) -> str:
    return json.dumps(store_stats(store, workers=workers), sort_keys=True)


def scan(store: Path, out: Path, workers: int) -> str:
    """Filter with the scans for secrets and personal data, and without duplicates."""
    counts = filter_store(store, out, Rules(no_secrets=True, no_personal=True, unique=True), workers=workers)
    return (
        f"{counts} {[hashlib.sha256(path.read_bytes()).hexdigest() for path in shard_paths(out / 'shards')]}"
    )


def lines(store: Path, out: Path, workers: int) -> str:
    return exported(store, "openai", out.with_suffix(".jsonl"), workers)


def parquet(store: Path, out: Path, workers: int) -> str:
    return exported(store, "trl", out.with_suffix(".parquet"), workers)


def exported(store: Path, format: str, out: Path, workers: int) -> str:
    counts = export_file(store, format, out, workers=workers)
    with out.open("rb") as file:
        return f"{counts} {hashlib.file_digest(file, 'sha256').hexdigest()}"


def resume(store: Path, out: Path, workers: int) -> str:
    """Open the store to write on, and look what it has."""
    with TrajectoryStore(store) as opened:
        return str(len(opened.ids()))


def first_resume(store: Path, out: Path, workers: int) -> str:
    """The same of a store without indexes, as older releases wrote them."""
    shutil.rmtree(store / "index")
    return resume(store, out, workers)


def verify(store: Path, out: Path, workers: int) -> str:
    found = verify_store(store, workers=workers)
    return f"{found.lines} {found.whole}"


WORKS: dict[str, tuple[Work, bool]] = {
    "stats": (stats, True),
    "filter with scans": (scan, True),
    "export openai": (lines, True),
    "export parquet": (parquet, True),
    "verify": (verify, True),
    "resume": (resume, False),
    "resume without index": (first_resume, False),
}
"""Name → what is done, and whether it takes workers."""


@dataclass(frozen=True)
class Cost:
    """Seconds that one piece of work took, and what it found."""

    cpu: float
    wall: float
    found: str


def fill(folder: Path, start: int, stop: int, shard_bytes: int) -> None:
    """Write episodes ``start`` to ``stop``."""
    draw = random.Random(0)
    letters = "abcdefghijklmnopqrstuvwxyz"
    words = ["".join(draw.choices(letters, k=draw.randint(3, 10))) for _ in range(30_000)]
    with TrajectoryStore(folder, sync_s=60):
        pass
    writer = ShardWriter(folder / "shards", sync_s=60, max_bytes=shard_bytes)
    for number in range(start, stop):
        writer.append(to_line(episode(number, words)))
    writer.close()


def measured(name: str, store: Path, out: Path, workers: int) -> Cost:
    """Do one piece of work in a process of its own; count the CPU time of all that it starts."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    began = time.perf_counter()
    command = [sys.executable, __file__, "--do", name, "--folder", str(store), "--workers", str(workers)]
    done = subprocess.run([*command, "--out", str(out)], stdout=subprocess.PIPE, text=True, check=True)
    wall = time.perf_counter() - began
    while True:  # processes that it forked others from end a moment after it
        try:
            os.wait()
        except ChildProcessError:
            break
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    for path in out.parent.iterdir():
        shutil.rmtree(path) if path.is_dir() else path.unlink()
    cpu = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return Cost(cpu, wall, done.stdout)


def bytes_in(folder: Path) -> int:
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--episodes", type=int, default=10_000)
    parser.add_argument("--workers", default="1,2")
    parser.add_argument("--only", default="", help="beginnings of names of what is measured")
    parser.add_argument("--folder", type=Path, help="where the temporary folder is made")
    parser.add_argument("--do", help=argparse.SUPPRESS)
    parser.add_argument("--out", type=Path, help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.do:
        print(WORKS[given.do][0](given.folder, given.out, int(given.workers)))
        return
    ctypes.CDLL(None, use_errno=True).prctl(_SUBREAPER, 1, 0, 0, 0)
    with tempfile.TemporaryDirectory(prefix="ise-stores-", dir=given.folder) as folder:
        sys.exit(compare(given, Path(folder)))


def compare(given: argparse.Namespace, folder: Path) -> int:
    """Measure and print; returns the exit code."""
    store, scratch = folder / "store", folder / "scratch"
    scratch.mkdir()
    half, count = given.episodes // 2, given.episodes
    fill(folder / "sample", 0, 50, MOST_BYTES)
    each = bytes_in(folder / "sample" / "shards") / 50
    if 2 * each * count > MOST_BYTES:  # the store, and the largest of what is made of it
        sys.exit(
            f"{count:,} episodes and a copy are more than {MOST_BYTES / 1e9:.0f} GB; give fewer --episodes"
        )
    workers = [int(number) for number in given.workers.split(",")]
    wanted = [n for n in WORKS if not given.only or n.startswith(tuple(given.only.split(",")))]
    found: dict[tuple[str, int, int], Cost] = {}
    for start, stop in ((0, half), (half, count)):
        fill(store, start, stop, int(each * count / SHARDS))
        for name in wanted:
            for number in workers if WORKS[name][1] else workers[:1]:
                found[name, number, stop] = measured(name, store, scratch / "out", number)
    shards = len(shard_paths(store / "shards"))
    print(
        f"{count:,} episodes, {bytes_in(store / 'shards') / 1e9:.2f} GB in {shards} shards, "
        f"index {bytes_in(store / 'index') / count:.0f} bytes an episode; {os.cpu_count()} cores, "
        f"load {os.getloadavg()[0]:.1f}"
    )
    print(f"{'':24}{'workers':>8}{'CPU s':>10}{'wall s':>10}{'ms CPU an episode':>20}{'a million, CPU':>20}")
    unequal = []
    for name in wanted:
        for number in workers if WORKS[name][1] else workers[:1]:
            cost = found[name, number, count]
            slope = (cost.cpu - found[name, number, half].cpu) / (count - half)
            line = told(slope * MILLION)
            print(f"{name:24}{number:>8}{cost.cpu:>10.1f}{cost.wall:>10.1f}{1000 * slope:>20.3f}{line:>20}")
            if cost.found != found[name, workers[0], count].found:
                unequal.append(f"{name} with {number} workers")
    print(
        f"results differ: {', '.join(unequal)}" if unequal else "results are equal with any number of workers"
    )
    return 1 if unequal else 0


def told(seconds: float) -> str:
    """Say a time in the unit that fits it; what is lost in the noise of a process's start has none."""
    if seconds <= 0:
        return "too little to tell"
    for unit, size in (("h", 3600), ("min", 60)):
        if seconds >= 2 * size:
            return f"{seconds / size:.1f} {unit}"
    return f"{seconds:.1f} s"


if __name__ == "__main__":
    main()
