"""Times Claw-Eval tasks through this harness and through the benchmark's own batch function, side by side.

    python benchmarks/claweval.py CHECKOUT [--tasks T] [--workers 1 4] [--limit 40]

Both sides play the same tasks with the scripted explorer and a constant judge, so that the harness is all that is
measured. The benchmark's side runs as many processes as this one has workers, each with ports of its own, and waits
longer for services than it does by itself, so that a busy machine doesn't turn into failures.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from rich.console import Console
from rich.table import Table

from eval.claweval.judge import parse_judge
from eval.claweval.runner import run_claweval
from eval.claweval.tasks import load_tasks, select

REPOSITORY = Path(__file__).resolve().parents[1]


def ours(root: Path, names: list[str], workers: int, out: Path) -> tuple[float, int]:
    began = time.perf_counter()
    summary = run_claweval(
        root,
        "explorer",
        out,
        tasks=str(_listed(names, out)),
        judge=parse_judge("stub:0.8"),
        workers=workers,
        retries=0,
    )
    return time.perf_counter() - began, summary.outcomes["infrastructure_error"] + summary.outcomes["timeout"]


def _listed(names: list[str], out: Path) -> Path:
    file = out.with_suffix(".txt")
    file.write_text("\n".join(names))
    return file


def theirs(root: Path, names: list[str], workers: int, out: Path) -> tuple[float, int]:
    script = REPOSITORY / "tests" / "eval" / "upstream_reference.py"
    began = time.perf_counter()
    processes = []
    for number in range(workers):
        answers = out.with_name(f"{out.name}.{number}.json")
        command = [
            sys.executable,
            str(script),
            str(root),
            "explorer",
            "0.8",
            str(answers),
            str(4000 + 1000 * number),
        ]
        share = names[number::workers]
        if share:
            process = subprocess.Popen(
                [*command, *share], cwd=REPOSITORY, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
            )
            processes.append((process, answers))
    failures = 0
    for process, answers in processes:
        if process.wait():
            raise RuntimeError(f"the benchmark's side ended with {process.returncode}")
        failures += sum("error" in result for result in json.loads(answers.read_text()).values())
    return time.perf_counter() - began, failures


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("checkout", type=Path)
    parser.add_argument("--tasks", default="T")
    parser.add_argument("--limit", type=int, default=40)
    parser.add_argument("--workers", type=int, nargs="+", default=[1, 4])
    parser.add_argument("--only-ours", action="store_true", help="skip the benchmark's side")
    options = parser.parse_args()
    root = options.checkout.resolve()
    chosen = [
        task.id
        for task in select(load_tasks(root), options.tasks)
        if not task.needs_sandbox and not task.live_web
    ]
    count = min(options.limit, len(chosen))
    names = [chosen[i * len(chosen) // count] for i in range(count)]
    table = Table(
        "workers", "harness s", "benchmark s", "ratio", "harness errors", "benchmark errors",
        title=f"{count} tasks, explorer, constant judge, {os.cpu_count()} cores",
    )  # fmt: skip
    for workers in options.workers:
        with tempfile.TemporaryDirectory() as folder:
            mine, my_errors = ours(root, names, workers, Path(folder) / "ours")
            if options.only_ours:
                table.add_row(str(workers), f"{mine:.1f}", "–", "–", str(my_errors), "–")
                continue
            other, other_errors = theirs(root, names, workers, Path(folder) / "theirs")
            table.add_row(
                str(workers),
                f"{mine:.1f}",
                f"{other:.1f}",
                f"{other / mine:.1f}×",
                str(my_errors),
                str(other_errors),
            )
    Console().print(table)


if __name__ == "__main__":
    main()
