"""Tampers with verification in every way that `tests/hostile/techniques.py` knows, and counts what succeeds.

    python benchmarks/tampering.py --tries 100 --others 10 --log tries.jsonl [--backend docker [--start-dockerd]]

Each try is an episode whose agent does no work and leaves one trap. It succeeds when a sub-goal is judged to hold that
the judged files don't fulfil, when ``step`` raises, or when the episode counts as an infrastructure error. Exit code 1
when any does. ``--tries`` is for the techniques that once succeeded, ``--others`` for the rest. With ``--log`` every
try is a line on disk and the next run goes on where this one ended. ``--before`` runs the suite's check as tasks did
before they had a runner of their own, to compare with older code (``PYTHONPATH=older/checkout``);
``docs/threat-model.md`` says what such a comparison found. ``--start-dockerd`` (as root) runs a daemon of its own, with
an image of this machine's packages, as the tests do.

The interval is Wilson's, 95 %; the rounds go through all techniques, so that a run which is cut short has tried all.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import sys
import time
from collections import Counter, defaultdict
from contextlib import ExitStack
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
sys.path[:] = [*sys.path, str(ROOT), str(ROOT / "tests" / "hostile"), str(ROOT / "tests" / "workspace")]

import gymnasium as gym  # noqa: E402
from own_dockerd import Daemon, NoDaemon  # noqa: E402
from techniques import TECHNIQUES, attempt  # noqa: E402

import ise_gym  # noqa: E402, F401
from ise_gym.statistics import wilson  # noqa: E402
from ise_gym.workspace import Limits  # noqa: E402

LIMITS = Limits(memory_mb=256, disk_mb=32, processes=48, command_timeout_s=10.0)


def read(log: Path | None, key: str) -> dict[str, Counter[str]]:
    """Return technique → what its tries found, of the same backend and kind."""
    found: dict[str, Counter[str]] = defaultdict(Counter)
    if log is not None and log.exists():
        for line in log.read_text(encoding="utf-8").splitlines():
            entry = json.loads(line)
            if entry["run"] == key:
                found[entry["technique"]][entry["found"]] += 1
    return found


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--tries", type=int, default=100, help="episodes of techniques that once succeeded")
    parser.add_argument("--others", type=int, help="episodes of the others (default: the same)")
    parser.add_argument("--backend", default="bubblewrap")
    parser.add_argument("--start-dockerd", action="store_true", help="run a dockerd of our own (as root)")
    parser.add_argument("--only", default="", help="techniques whose name holds these words")
    parser.add_argument("--part", default="1/1", help="K/N: every Nth technique, so that N runs share a log")
    parser.add_argument("--before", action="store_true", help="run the suite's check as tasks did before")
    parser.add_argument("--log", type=Path, help="keep every try in this file, and go on from it")
    options = parser.parse_args()
    others = options.tries if options.others is None else options.others
    part, parts = map(int, options.part.split("/"))
    wanted = {
        name: options.tries if technique.once else others
        for number, (name, technique) in enumerate(TECHNIQUES.items())
        if options.only in name and number % parts == part - 1
    }
    key = options.backend + (", before" if options.before else "")
    done = read(options.log, key)
    begun = time.monotonic()
    with ExitStack() as after:
        if options.start_dockerd:
            after.callback(own_daemon().stop)
        log = after.enter_context(options.log.open("a", encoding="utf-8")) if options.log else None
        env: Any = gym.make("ISE-OS-v0", backend=options.backend, limits=LIMITS)
        after.callback(env.close)
        for number in range(max(wanted.values(), default=0)):
            for name, tries in wanted.items():
                if number < tries and done[name].total() <= number:
                    found = attempt(env, TECHNIQUES[name], options.before)
                    done[name][found] += 1
                    if log is not None:
                        log.write(json.dumps({"run": key, "technique": name, "found": found}) + "\n")
                        log.flush()
    return report({name: done[name] for name in wanted}, key, time.monotonic() - begun)


def own_daemon() -> Daemon:
    """Start a dockerd as the tests do, or end with the reason why none can run here."""
    try:
        return Daemon()
    except NoDaemon as problem:
        raise SystemExit(f"--start-dockerd: {problem}") from None


def report(found: dict[str, Counter[str]], key: str, seconds: float) -> int:
    """Print the table; returns the exit code."""
    tries = succeeded = 0
    for name, how in found.items():
        bad = how.total() - how[""]
        tries, succeeded = tries + how.total(), succeeded + bad
        why = "; ".join(f"{text[:90]} ({count})" for text, count in how.most_common(3) if text)
        print(f"{bad:5d} / {how.total():4d}  {name:48} {why}".rstrip())
    high = 100 * wilson(succeeded, tries)[1]
    machine = f"{os.cpu_count()} cores, Linux {platform.release()}"
    print(f"{succeeded:5d} / {tries:4d}  all {len(found)} techniques; at most {high:.2f} % (95 % interval)")
    print(f"{key}, {machine}, {seconds:.0f} s in this run")
    return 1 if succeeded else 0


if __name__ == "__main__":
    sys.exit(main())
