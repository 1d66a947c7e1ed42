"""Times Claw-Eval tasks through this harness and through the benchmark's own batch function, side by side.

    python benchmarks/claweval.py CHECKOUT [--tasks T] [--workers 1 4] [--limit 40]

Both sides play the same tasks with the scripted explorer and a constant judge, so that the harness is all that is
measured, each as commands of its own from start to end. The benchmark's side runs as many processes as this one has
workers, each with ports of its own, and waits longer for services than it does by itself, so that a busy machine
doesn't turn into failures. Tasks that need a container are left out, since the benchmark can't play them without one.

Beside the seconds on the clock stand those of the processors: on a machine that does other work too, they say more.
"""

from __future__ import annotations

import argparse
import ctypes
import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from rich.console import Console
from rich.table import Table

from ise_gym.evaluation.claweval.tasks import load_tasks, select
from ise_gym.evaluation.results.summary import summarise
from ise_gym.evaluation.run import load_run

REPOSITORY = Path(__file__).resolve().parents[1]
_PR_SET_CHILD_SUBREAPER = 36


def ours(root: Path, names: list[str], workers: int, out: Path) -> int:
    """Play tasks here; returns how many ended in an error."""
    command = [
        sys.executable, "-m", "eval", "run", "--suite", "claweval", "--claw-eval", str(root), "--agent", "explorer",
        "--tasks", str(_listed(names, out)), "--judge", "stub:0.8", "--sandbox", "none", "--workers", str(workers),
        "--out", str(out), "--quiet",
    ]  # fmt: skip
    subprocess.run(command, cwd=REPOSITORY, stdout=subprocess.DEVNULL)
    outcomes = summarise(load_run(out)).outcomes
    return len(names) - outcomes["pass"] - outcomes["fail"]


def _listed(names: list[str], out: Path) -> Path:
    file = out.with_suffix(".txt")
    file.write_text("\n".join(names))
    return file


def theirs(root: Path, names: list[str], workers: int, out: Path) -> int:
    """Let the benchmark play them; returns how many ended in an error."""
    script = REPOSITORY / "tests" / "evaluation" / "claweval" / "upstream_reference.py"
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
    return failures


def timed(
    play: Callable[[Path, list[str], int, Path], int], root: Path, names: list[str], workers: int, out: Path
) -> tuple[float, float, int]:
    """Return seconds on the clock, seconds of the processors, and errors."""
    before, began = _used(), time.perf_counter()
    errors = play(root, names, workers, out)
    seconds = time.perf_counter() - began
    return seconds, _used() - before, errors


def _used() -> float:
    """Seconds of the processors of all descendants that have ended; orphaned ones are waited for."""
    while True:
        try:
            os.waitpid(-1, 0)
        except ChildProcessError:
            break
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("checkout", type=Path)
    parser.add_argument("--tasks", default="T")
    parser.add_argument("--limit", type=int, help="play only N tasks, spread over all of them")
    parser.add_argument("--workers", type=int, nargs="+", default=[1, 4])
    parser.add_argument("--only-ours", action="store_true", help="skip the benchmark's side")
    options = parser.parse_args()
    ctypes.CDLL(None).prctl(_PR_SET_CHILD_SUBREAPER, 1)
    root = options.checkout.resolve()
    chosen = [task.id for task in select(load_tasks(root), options.tasks) if not task.needs_sandbox]
    count = min(options.limit or len(chosen), len(chosen))
    names = [chosen[i * len(chosen) // count] for i in range(count)]
    table = Table(
        "workers", "side", "clock s", "processor s", "errors",
        title=f"{count} tasks, explorer, constant judge, {os.cpu_count()} cores",
    )  # fmt: skip
    for workers in options.workers:
        with tempfile.TemporaryDirectory() as folder:
            clock, processors, errors = timed(ours, root, names, workers, Path(folder) / "ours")
            table.add_row(str(workers), "harness", f"{clock:.1f}", f"{processors:.1f}", str(errors))
            if options.only_ours:
                continue
            other, others, failures = timed(theirs, root, names, workers, Path(folder) / "theirs")
            table.add_row("", "benchmark", f"{other:.1f}", f"{others:.1f}", str(failures))
            table.add_row(
                "", "ratio", f"{other / clock:.1f}×", f"{others / processors:.1f}×", "", end_section=True
            )
    Console().print(table)


if __name__ == "__main__":
    main()
