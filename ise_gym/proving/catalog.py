"""Proves many tasks in parallel, and reports one row for each thing that is wrong.

``ise tasks check`` prints the report; task authors run ``python -m ise_gym.proving.catalog NAME --seeds 3``.
"""

from __future__ import annotations

import argparse
import os
import sys
import time
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import Future, as_completed
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from ise_gym.errors import UserError, WorkspaceError, nearest
from ise_gym.foreign.text import printable
from ise_gym.processes import Pool
from ise_gym.proving.proof import THOROUGH_SEEDS, Proved, prove_in
from ise_gym.proving.review import Finding
from ise_gym.tasks.file import TaskSpec, load_task, load_tasks
from ise_gym.workspace import open_workspace

OnProgress = Callable[["Row", int, int], None]
"""Called after each task with its row, the number of tasks done, and of all."""


@dataclass(frozen=True)
class Row:
    """The outcome of one task: proved when there are no findings.

    Attributes:
        task: its name.
        seeds: how many instances were proved.
        seconds: wall time.
        findings: what is wrong.
        mutants: how many wrong answers were tried on it.
        survived: how many of them passed all checks; each is a finding as well.
    """

    task: str
    seeds: int
    seconds: float
    findings: tuple[Finding, ...] = ()
    mutants: int = 0
    survived: int = 0

    @property
    def ok(self) -> bool:
        """Whether nothing is wrong."""
        return not self.findings


@dataclass
class Counts:
    """Sums over the tasks of one domain; ``seconds`` is their time added up, whichever worker it was."""

    tasks: int = 0
    failed: int = 0
    instances: int = 0
    mutants: int = 0
    survived: int = 0
    seconds: float = 0.0


@dataclass
class Report:
    """The outcome of a check of many tasks."""

    rows: list[Row] = field(default_factory=list)
    seconds: float = 0.0

    @property
    def ok(self) -> bool:
        """Whether every task is proved."""
        return all(row.ok for row in self.rows)

    @property
    def findings(self) -> list[Finding]:
        """Return all findings in order of task."""
        return [finding for row in self.rows for finding in row.findings]

    @property
    def domains(self) -> dict[str, Counts]:
        """Return what was counted in each domain."""
        found: dict[str, Counts] = {}
        for row in self.rows:
            counts = found.setdefault(row.task.split("/")[0], Counts())
            counts.tasks += 1
            counts.failed += not row.ok
            counts.instances += row.seeds
            counts.mutants += row.mutants
            counts.survived += row.survived
            counts.seconds = round(counts.seconds + row.seconds, 3)
        return dict(sorted(found.items()))

    def to_json(self) -> dict[str, Any]:
        """Return the report as JSON-able data; the rows' seconds add up to more than ``seconds`` with workers."""
        return {
            "ok": self.ok,
            "tasks": len(self.rows),
            "failed": sum(not row.ok for row in self.rows),
            "mutants": sum(row.mutants for row in self.rows),
            "mutants_survived": sum(row.survived for row in self.rows),
            "seconds": self.seconds,
            "domains": {name: asdict(counts) for name, counts in self.domains.items()},
            "rows": [asdict(row) | {"ok": row.ok} for row in self.rows],
        }


def prove(
    task: TaskSpec, seeds: Iterable[int], backend: str = "auto", thorough: int = THOROUGH_SEEDS
) -> Proved:
    """Prove one task in a workspace of its own; a sandbox that fails is tried once more, then reported."""
    chosen = list(seeds)
    problem = ""
    for _ in range(2):
        try:
            workspace = open_workspace(backend)
            try:
                return prove_in(task, chosen, workspace, thorough)
            finally:
                workspace.close()
        except WorkspaceError as error:
            problem = str(error)
    return Proved([Finding(task.name, -1, "infrastructure", f"the sandbox failed twice: {problem}")])


def select_tasks(names: Sequence[str], folders: Sequence[Path] | None = None) -> list[TaskSpec]:
    """Return the tasks that are named: ``domain/task``, a lone task, a domain, or a path of a file.

    No names means all tasks.

    Raises:
        UserError: a name fits nothing; a file is broken.
    """
    paths = [Path(name) for name in names if name.endswith(".yaml")]
    plain = [name for name in names if not name.endswith(".yaml")]
    chosen = [load_task(path) for path in paths]
    if plain or not names:
        known = load_tasks(folders)
        for name in plain or [""]:
            fitting = [
                task
                for task in known.values()
                if not name or name in (task.name, task.domain, task.name.split("/", 1)[1])
            ]
            if not fitting:
                raise UserError(f"no task or domain is named '{name}'.{nearest(name, known)}")
            chosen.extend(fitting)
    return list({task.name: task for task in chosen}.values())


def check_tasks(
    names: Sequence[str] = (),
    seeds: int | Iterable[int] = 20,
    workers: int | None = 1,
    on_progress: OnProgress | None = None,
    *,
    folders: Sequence[Path] | None = None,
    backend: str = "auto",
    thorough: int = THOROUGH_SEEDS,
) -> Report:
    """Prove the named tasks (all without names) on seeds 0 … n-1, or on the given ones.

    Args:
        names: see `select_tasks`.
        seeds: how many, or which.
        workers: processes; each proves one task at a time in a workspace of its own. None means two a core: while
            one waits for a program or a server in its box, the other computes.
        on_progress: called in this process after each task.
        folders: where tasks are looked up instead of the catalog.
        backend: see `ise_gym.workspace.open_workspace`.
        thorough: on how many seeds more is tried than whether the expert passes; see `prove_in`.
    """
    begun = time.monotonic()
    tasks = select_tasks(names, folders)
    chosen = tuple(range(seeds)) if isinstance(seeds, int) else tuple(seeds)
    report = Report()
    workers = 2 * len(os.sched_getaffinity(0)) if workers is None else workers

    def note(row: Row) -> None:
        report.rows.append(row)
        if on_progress is not None:
            on_progress(row, len(report.rows), len(tasks))

    if workers <= 1 or len(tasks) == 1:
        for task in tasks:
            note(_row(task, chosen, backend, thorough))
    else:
        with Pool(min(workers, len(tasks))) as pool:
            waiting: list[Future[Row]] = [
                pool.submit(_row, task, chosen, backend, thorough) for task in tasks
            ]
            try:
                for done in as_completed(waiting):
                    note(done.result())
            except BaseException:
                pool.shutdown(wait=False, cancel_futures=True)
                raise
    report.rows.sort(key=lambda row: row.task)
    report.seconds = round(time.monotonic() - begun, 3)
    return report


def _row(task: TaskSpec, seeds: Sequence[int], backend: str, thorough: int) -> Row:
    begun = time.monotonic()
    proved = prove(task, seeds, backend, thorough)
    seconds = round(time.monotonic() - begun, 3)
    return Row(
        task.name,
        len(seeds),
        seconds,
        tuple(proved.findings),
        mutants=proved.mutants,
        survived=proved.survived,
    )


def main(arguments: Sequence[str] | None = None) -> int:
    """Check tasks from the command line; 0 when all are proved, 1 when not, 2 for bad input."""
    parser = argparse.ArgumentParser(
        prog="ise_gym.proving.catalog", description="Prove tasks of the catalog."
    )
    parser.add_argument("names", nargs="*", help="domain/task, task, domain or a .yaml file (default: all)")
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--workers", type=int, default=1)
    parser.add_argument("--backend", default="auto")
    parser.add_argument("--thorough", type=int, default=THOROUGH_SEEDS)
    options = parser.parse_args(arguments)

    def show(row: Row, done: int, total: int) -> None:
        verdict = "ok" if row.ok else f"{len(row.findings)} findings"
        print(
            f"[{done}/{total}] {row.task}: {verdict} ({row.mutants} mutants, {row.seconds:.1f} s)", flush=True
        )
        for finding in row.findings:
            print(printable(f"    seed {finding.seed} {finding.kind}: {finding.detail}"), flush=True)

    try:
        report = check_tasks(
            options.names,
            options.seeds,
            options.workers,
            show,
            backend=options.backend,
            thorough=options.thorough,
        )
    except UserError as error:
        print(error, file=sys.stderr)
        return 2
    return 0 if report.ok else 1


if __name__ == "__main__":
    raise SystemExit(main())
