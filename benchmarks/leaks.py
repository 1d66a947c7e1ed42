"""Resets an environment a thousand times while jobs run in its boxes, and prints what is held after each hundred.

    python benchmarks/leaks.py [--resets 1000] [--backend bubblewrap]

Exit code 1 when descriptors, threads, mounts, processes or control groups grow after the first tenth, or memory by
more than a tenth and 20 MB.
"""

from __future__ import annotations

import argparse
import os
import platform
import sys
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path += [str(ROOT), str(ROOT / "tests"), str(ROOT / "tests" / "hostile")]

import gymnasium as gym  # noqa: E402
from made.leaking import Held, grown, held, resets  # noqa: E402

import ise_gym  # noqa: E402, F401
from ise_gym.workspace import Limits  # noqa: E402

LIMITS = Limits(memory_mb=256, disk_mb=32, processes=48, command_timeout_s=10.0)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--resets", type=int, default=1_000)
    parser.add_argument("--backend", default="bubblewrap")
    options = parser.parse_args()
    env = gym.make("ISE-OS-v0", backend=options.backend, limits=LIMITS)
    rows: list[Held] = []
    begun = time.monotonic()
    every = max(1, options.resets // 10)
    print("resets " + " ".join(Held.names()), flush=True)
    for number in resets(env, options.resets + 1):
        if number and number % every == 0:
            rows.append(held())
            print(f"{number:6d} {rows[-1].row()}", flush=True)
    env.close()
    after = held()
    print(f"closed {after.row()}")
    print(
        f"{options.backend}, {os.cpu_count()} cores, Linux {platform.release()}, {time.monotonic() - begun:.0f} s"
    )
    found = grown(rows[0], rows[-1])
    print("grew: " + ", ".join(found) if found else "flat")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
