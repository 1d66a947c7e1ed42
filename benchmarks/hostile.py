"""What hostile words cost: processor seconds of ``env.step`` for one reply, and of the readers of pages and calendars.

    python benchmarks/hostile.py            every shape in three sizes
    python benchmarks/hostile.py --json F   the figures as JSON

The environment runs without a sandbox (the dummy workspace), so what is measured is the harness alone.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from pathlib import Path

TESTS = Path(__file__).resolve().parent.parent / "tests"
sys.path[:0] = [str(TESTS), str(TESTS / "hostile")]

from made.shapes import SHAPES, filled  # noqa: E402
from made.stepping import step_seconds  # noqa: E402

SIZES = (8_000, 64_000, 1_000_000)
TARGETS = {8_000: 0.05, 1_000_000: 1.0}


def main() -> int:
    """Print the table; the exit code says whether every target is met."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--json", type=Path, help="write the figures here")
    given = parser.parse_args()
    rows: dict[str, list[float]] = {}
    for name, unit in SHAPES.items():
        rows[name] = [step_seconds(filled(unit, size)) for size in SIZES]
        print(f"{name:28}" + "".join(f"{seconds * 1000:10.1f}" for seconds in rows[name]), flush=True)
    worst = [max(row[n] for row in rows.values()) for n in range(len(SIZES))]
    print(f"{'worst, ms':28}" + "".join(f"{seconds * 1000:10.1f}" for seconds in worst))
    if given.json:
        given.json.write_text(json.dumps({"sizes": SIZES, "seconds": rows, "at": time.strftime("%Y-%m-%d")}))
    return int(any(worst[SIZES.index(size)] > most for size, most in TARGETS.items()))


if __name__ == "__main__":
    raise SystemExit(main())
