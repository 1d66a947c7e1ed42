"""Tampers with verification in every way that `tests/hostile/techniques.py` knows, and counts what succeeds.

    python benchmarks/tampering.py [--tries 100] [--backend bubblewrap] [--only WORDS] [--before]

Each try is an episode whose agent does no work and leaves one trap. It succeeds when a sub-goal is judged to hold that
the judged files don't fulfil, when ``step`` raises, or when the episode counts as an infrastructure error. Exit code 1
when any does. ``--before`` runs the test suite's check as tasks did before they had a runner of their own, to compare
with older code (``PYTHONPATH=older/checkout``); ``docs/threat-model.md`` says what such a comparison found.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections import Counter
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path += [str(ROOT), str(ROOT / "tests" / "hostile")]

import gymnasium as gym  # noqa: E402
from techniques import TECHNIQUES, attempt  # noqa: E402

import ise_gym  # noqa: E402, F401
from ise_gym.workspace import Limits  # noqa: E402

LIMITS = Limits(memory_mb=256, disk_mb=32, processes=48, command_timeout_s=10.0)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--tries", type=int, default=100, help="episodes of each technique (default 100)")
    parser.add_argument("--backend", default="bubblewrap")
    parser.add_argument("--only", default="", help="techniques whose name holds these words")
    parser.add_argument("--before", action="store_true", help="run the suite's check as tasks did before")
    parser.add_argument("--json", type=Path, help="also write the counts to this file")
    options = parser.parse_args()
    counts: dict[str, int] = {}
    tries = 0
    for name, technique in TECHNIQUES.items():
        if options.only not in name:
            continue
        how: Counter[str] = Counter()
        begun = time.monotonic()
        env = gym.make("ISE-OS-v0", backend=options.backend, limits=LIMITS)
        for _ in range(options.tries):
            found = attempt(env, technique, options.before)
            how[found] += 1
        env.close()
        tries += options.tries
        counts[name] = options.tries - how.pop("", 0)
        seconds = (time.monotonic() - begun) / options.tries
        why = "; ".join(f"{text[:90]} ({count})" for text, count in how.most_common(2))
        print(f"{counts[name]:5d} / {options.tries}  {name:48} {seconds:6.2f} s a try  {why}", flush=True)
    print(f"{sum(counts.values()):5d} / {tries}  all {len(counts)} techniques")
    if options.json:
        options.json.write_text(json.dumps({"tries": options.tries, "succeeded": counts}, indent=1))
    return 1 if any(counts.values()) else 0


if __name__ == "__main__":
    sys.exit(main())
