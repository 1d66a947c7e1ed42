"""Time and memory of the Vendi score: the dual d × d form at full size beside the n × n form at 5,000 texts.

Vectors are random with a few strong directions, since the time doesn't depend on what they mean. Each form runs in a
process of its own, so that the peak of memory is its own.

    python benchmarks/intents/diversity.py [--n 44000] [--width 768] [--square 5000]
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import resource
import time
from typing import Any


def vectors(n: int, width: int) -> Any:
    """Return n unit vectors of a width, float32."""
    import numpy as np

    rng = np.random.default_rng(0)
    rows = rng.standard_normal((n, width), dtype=np.float32)
    rows += rng.standard_normal((64, width), dtype=np.float32)[rng.integers(0, 64, n)]
    rows /= np.linalg.norm(rows, axis=1, keepdims=True)
    return rows


def dual(n: int, width: int) -> dict[str, Any]:
    """Score by the spectrum of XᵀX / n."""
    from ise_gym.intents.diversity.vendi import vendi

    return timed(n, width, vendi)


def square(n: int, width: int) -> dict[str, Any]:
    """Score by the spectrum of the n × n kernel, as `vendi_score.vendi.score_K` takes it."""
    import numpy as np

    def score(rows: Any) -> float:
        spectrum = np.linalg.eigvalsh(rows @ rows.T / len(rows))
        spectrum = spectrum[spectrum > 0]
        return float(np.exp(-(spectrum * np.log(spectrum)).sum()))

    return timed(n, width, score)


def near(n: int, width: int) -> dict[str, Any]:
    """Look for near-duplicates by blocked cosine."""
    from ise_gym.intents.diversity.near import near_duplicates

    return timed(n, width, lambda rows: float(len(near_duplicates(rows, 0.95))))


def timed(n: int, width: int, measure: Any) -> dict[str, Any]:
    """Run a measure; seconds of wall clock and processor, peak memory of this process."""
    rows = vectors(n, width)
    wall, processor = time.perf_counter(), time.process_time()
    value = measure(rows)
    return {
        "n": n,
        "width": width,
        "value": round(value, 3),
        "wall_s": round(time.perf_counter() - wall, 2),
        "cpu_s": round(time.process_time() - processor, 2),
        "peak_mib": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024,
    }


def main() -> None:
    """Print one JSON line a form."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--n", type=int, default=44_000)
    parser.add_argument("--width", type=int, default=768)
    parser.add_argument("--square", type=int, default=5_000)
    given = parser.parse_args()
    runs = (
        ("dual", dual, given.n), ("dual", dual, given.square), ("n x n", square, given.square),
        ("near-duplicates", near, given.n),
    )  # fmt: skip
    for name, run, n in runs:
        with multiprocessing.get_context("spawn").Pool(1) as pool:
            print(json.dumps({"form": name, **pool.apply(run, (n, given.width))}), flush=True)


if __name__ == "__main__":
    main()
