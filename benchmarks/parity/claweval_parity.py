"""Holds this harness against Claw-Eval's own batch, task by task and dimension by dimension, and explains what differs.

    python benchmarks/parity/claweval_parity.py CHECKOUT… --out FOLDER [--tasks T] [--agents hashed diligent]

Both sides play the same tasks with the same scripted agent, `hashed` (which chooses its calls by a hash of all that it
is told) or `diligent` (which follows ids from answer to answer), a judge whose score is a hash of its whole prompt,
and, where a task has a user, one whose words are a hash of the conversation. The benchmark plays by its own batch
function, services as processes; tasks that it plays in a container run on its own sandbox server in a bubblewrap box.
What is in FOLDER is not played again. A task that came out unequal is played by the benchmark once more, to see whether
it equals itself, and both traces are compared less their moments, random ids and ports; the first difference is
printed.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from parting import parting

from ise_gym.evaluation.claweval.models.judge import parse_judge
from ise_gym.evaluation.claweval.runner import run_claweval
from ise_gym.evaluation.claweval.tasks import ClawTask, load_tasks, open_checkout, select
from ise_gym.evaluation.ledger import Trial
from ise_gym.evaluation.run import load_run
from ise_gym.messages import sha256_of

REPOSITORY = Path(__file__).resolve().parents[2]
REFERENCE = REPOSITORY / "tests" / "evaluation" / "claweval" / "upstream_reference.py"
DIMENSIONS = ("completion", "robustness", "safety", "task_score", "passed")
FIRST_PORT, PORTS = 9000, 2000


@dataclass(frozen=True)
class Side:
    """What one side says of a task: its dimensions or why there are none, and the trace."""

    dimensions: Mapping[str, Any] | None
    problem: str
    trace: Path | None


def ours(root: Path, agent: str, tasks: Sequence[ClawTask], out: Path) -> dict[str, Side]:
    """Play tasks here, those in a sandbox apart: the benchmark offers its tools only there."""
    found: dict[str, Side] = {}
    for name, boxed in (("plain", False), ("boxed", True)):
        chosen = [task.id for task in tasks if in_box(task) is boxed]
        folder = out / f"ours-{name}"
        if chosen:
            ids = out / f"{name}.txt"
            ids.write_text("\n".join(chosen))
            run_claweval(
                root, agent, folder, tasks=str(ids), judge=parse_judge("stub:hash"), user=parse_judge("stub:hash"),
                sandbox="auto" if boxed else "", workers=2,
            )  # fmt: skip
            run = load_run(folder)
            found |= {trial.task: _side(trial, folder) for trial in run.trials.values()}
    return found


def in_box(task: ClawTask) -> bool:
    """Whether both sides play a task with a sandbox."""
    return task.needs_sandbox or task.split == "M"


def _side(trial: Trial, folder: Path) -> Side:
    trace = folder / "traces" / trial.episode if trial.episode else None
    if trial.score is None:
        return Side(None, trial.reason, trace)
    values = (trial.completion, trial.robustness, trial.safety, trial.score, trial.outcome == "pass")
    return Side(dict(zip(DIMENSIONS, values, strict=True)), "", trace)


def theirs(root: Path, agent: str, names: Sequence[str], out: Path, workers: int) -> dict[str, Side]:
    """Let the benchmark play tasks, in processes with ports of their own."""
    running, done = [], read_theirs(out)
    left = [name for name in names if name not in done]
    for number in range(workers):
        answers = out / f"theirs.{number}.json"
        share = left[number::workers]
        command = [
            sys.executable,
            str(REFERENCE),
            str(root),
            agent,
            "hash",
            str(answers),
            str(FIRST_PORT + PORTS * number),
            *share,
        ]
        with (out / f"theirs.{number}.log").open("a") as log:
            running.append(subprocess.Popen(command, cwd=REPOSITORY, stdout=log, stderr=log))
    ended = [process.wait() for process in running]
    if any(ended):
        raise SystemExit(f"the benchmark's side broke off; see {out}/theirs.*.log. The same command goes on.")
    return read_theirs(out)


def read_theirs(out: Path) -> dict[str, Side]:
    """Read what the benchmark made of its tasks."""
    found: dict[str, Side] = {}
    for answers in sorted(out.glob("theirs.*.json")):
        for name, result in json.loads(answers.read_text()).items():
            dimensions = {key: result[key] for key in DIMENSIONS} if "error" not in result else None
            trace = answers.with_suffix(".traces") / result["trace"] if "trace" in result else None
            found[name] = Side(dimensions, result.get("error", ""), trace)
    return found


def unequal(here: Mapping[str, Side], there: Mapping[str, Side]) -> list[str]:
    """Return the tasks whose dimensions are not the same on both sides."""
    return [name for name in here if here[name].dimensions != there[name].dimensions]


def explained(here: Side, there: Side, again: Side | None) -> str:
    """Say why a task came out unequal."""
    if here.dimensions is None or there.dimensions is None:
        side, who = (here, "here") if here.dimensions is None else (there, "by the benchmark")
        return f"not graded {who}: {side.problem[:120]}"
    assert here.trace is not None and there.trace is not None, "a graded task has a trace"
    reasons = []
    if again is not None and again.dimensions != there.dimensions:
        reasons.append(f"the benchmark differs from itself ({_score(there)}, then {_score(again)})")
    if where := parting(here.trace, there.trace):
        reasons.append(f"first difference: {where}")
    else:
        reasons.append("the conversations are equal but for moments and random ids, which the judge reads")
    return "; ".join(reasons)


def _score(side: Side) -> str:
    return f"{side.dimensions['task_score']:.3f}" if side.dimensions else "–"


def one_row(root: Path, agent: str, tasks: Sequence[ClawTask], folder: Path, workers: int) -> list[str]:
    """Play one agent on one checkout on both sides, print its row and return lines on what is unequal."""
    folder.mkdir(parents=True, exist_ok=True)
    names = [task.id for task in tasks]
    here, there = ours(root, agent, tasks, folder), theirs(root, agent, names, folder, workers)
    different = unequal(here, there)
    (folder / "again").mkdir(exist_ok=True)
    again = theirs(root, agent, different, folder / "again", workers) if different else {}
    splits = Counter(task.split for task in tasks)
    played = " + ".join(f"{count} {split}" for split, count in sorted(splits.items()))
    commit = open_checkout(root).version[:7]
    calls = sum(trial.counts.get("tool_calls", 0) for trial in _trials(folder))
    print(
        f"| {commit} | {agent} | {played} | {calls} | {len(names) - len(different)} | {len(different)} |",
        flush=True,
    )
    return [
        f"| {commit} | {agent} | {name} | {_score(here[name])} | {_score(there[name])} | "
        f"{explained(here[name], there[name], again.get(name))} |".replace("\n", " ")
        for name in different
    ]


def _name(tasks: Sequence[ClawTask]) -> str:
    splits = "".join(sorted({task.split for task in tasks}))
    return f"{splits}{len(tasks)}-{sha256_of([task.id for task in tasks])[:6]}"


def _trials(folder: Path) -> list[Trial]:
    runs = [load_run(found) for found in sorted(folder.glob("ours-*"))]
    return [trial for run in runs for trial in run.trials.values()]


def main() -> None:
    """Play what is missing and print both tables; exit code 1 when anything is unequal."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("checkouts", type=Path, nargs="+")
    parser.add_argument("--out", type=Path, required=True, help="what was played; the same folder resumes")
    parser.add_argument("--tasks", default="T", help="T, C, M, ids, a glob, a file (default T)")
    parser.add_argument("--limit", type=int, help="N tasks, spread over all of them")
    parser.add_argument("--agents", nargs="+", default=["hashed", "diligent"])
    parser.add_argument(
        "--workers", type=int, default=2, help="processes of the benchmark's side (default 2)"
    )
    given = parser.parse_args()
    os.environ.setdefault("PYTHONPATH", str(REPOSITORY))
    print("| commit | agent | tasks | calls | equal | unequal |\n|---|---|---|---|---|---|", flush=True)
    lines = []
    for checkout in given.checkouts:
        root = checkout.resolve()
        tasks = select(load_tasks(root), given.tasks)
        count = min(given.limit or len(tasks), len(tasks))
        tasks = [tasks[i * len(tasks) // count] for i in range(count)]
        for agent in given.agents:
            folder = given.out / open_checkout(root).version[:7] / f"{_name(tasks)}-{agent}"
            lines += one_row(root, agent, tasks, folder, given.workers)
    if lines:
        print("\n| commit | agent | task | here | benchmark | why |\n|---|---|---|---|---|---|")
        print("\n".join(lines))
    raise SystemExit(1 if lines else 0)


if __name__ == "__main__":
    main()
