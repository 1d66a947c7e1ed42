"""How fast the workspace is, beside what it replaces, in one run.

    python benchmarks/workspace.py [--runs 3] [--start-dockerd] [--swerex-python PYTHON] [--alive 300] [--json FILE]

The contenders run ``echo hi``: a persistent shell here, a fresh process here, a fresh ``bwrap`` for each
command, docker's ``exec_run``, and SWE-ReX's persistent shell (its local deployment, so without isolation). They
take turns, so that a busy machine is as busy for all; a contender that can't run here is named as such. Every
figure is the p50 and p95 of single operations, median over the runs.

SWE-ReX may live in a virtual environment of its own: ``python -m venv rex && rex/bin/pip install swe-rex``, then
``--swerex-python rex/bin/python``.
"""

from __future__ import annotations

import argparse
import contextlib
import functools
import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from ise_gym.workspace import Limits, SeedFile, Workspace, open_workspace  # noqa: E402

LIMITS = Limits(disk_mb=256)
Figure = tuple[float, float]
"""Milliseconds: p50 and p95."""

ECHO = ["/bin/bash", "-c", "echo hi"]
OURS, FRESH = "ise_gym: session", "ise_gym: fresh process"
SHARE = 4
"""Contenders take turns so many times in a run."""

BWRAP = [
    *("bwrap", "--ro-bind", "/usr", "/usr", "--symlink", "usr/bin", "/bin", "--symlink", "usr/lib", "/lib"),
    *(
        "--symlink",
        "usr/lib64",
        "/lib64",
        "--proc",
        "/proc",
        "--dev",
        "/dev",
        "--tmpfs",
        "/tmp",
        "--unshare-all",
    ),
]


def timed(operation: Callable[[], object]) -> float:
    """Milliseconds of one call."""
    started = time.perf_counter()
    operation()
    return (time.perf_counter() - started) * 1000


def figure(times: list[float]) -> Figure:
    """(p50, p95) of single times."""
    times = sorted(times)
    return times[len(times) // 2], times[min(len(times) - 1, int(len(times) * 0.95))]


def sample(operation: Callable[[], object], count: int) -> Figure:
    """(p50, p95) of ``count`` calls after one to warm up."""
    operation()
    return figure([timed(operation) for _ in range(count)])


def tree(megabytes: int) -> list[SeedFile]:
    """100 files of distinct content, ``megabytes`` in all."""
    size = megabytes * (1 << 20) // 100
    return [SeedFile(f"d{n % 10}/f{n}.bin", (b"%08d" % n) * (size // 8)) for n in range(100)]


def measure_operations(backend: str) -> dict[str, Figure]:
    """All operations of one backend."""
    found: dict[str, Figure] = {}
    found["start and close"] = sample(lambda: open_workspace(backend, LIMITS).close(), 10)
    box = open_workspace(backend, LIMITS)
    shell = box.shell()
    found["shell echo"] = sample(lambda: shell.run("echo hi"), 300)
    found["exec bash -c echo"] = sample(lambda: box.exec(ECHO), 200)
    found["exec true"] = sample(lambda: box.exec(["/bin/true"]), 200)
    data = b"x" * 10_240
    found["write 10 KB"] = sample(lambda: box.write("f.txt", data), 300)
    found["read 10 KB"] = sample(lambda: box.read("f.txt"), 300)
    found["digest, small tree"] = sample(box.digest, 100)
    found["reset after a pause"] = measure_reset(box, 0.15)
    found["reset at once"] = measure_reset(box, 0.0)
    for size in (1, 100):
        found[f"reset at once, template of {size} MB"] = measure_template(backend, size)
    for size, count in ((1, 15), (100, 3)):
        box.reset()
        box.seed(tree(size))
        found[f"snapshot {size} MB"] = sample(box.snapshot, count)
        found[f"fork {size} MB"] = measure_fork(box, count)
        found[f"restore {size} MB"] = sample(functools.partial(box.restore, box.snapshot()), count)
    box.close()
    return found


def measure_reset(box: Workspace, pause: float) -> Figure:
    """Reset a used box; during the pause an episode would run, and the next box be made."""
    times = []
    for _ in range(15):
        box.exec(["/bin/true"])
        time.sleep(pause)
        times.append(timed(box.reset))
    return figure(times[1:])


def measure_template(backend: str, megabytes: int) -> Figure:
    """Reset again and again to a folder of the host, without a pause; each episode deletes and changes some of it."""
    with tempfile.TemporaryDirectory(prefix="ise-template-") as folder:
        for file in tree(megabytes):
            path = Path(folder, file.path)
            path.parent.mkdir(exist_ok=True)
            path.write_bytes(file.content)
        box = open_workspace(backend, LIMITS, folder)
        times = []
        for _ in range(15):
            box.exec(["/bin/bash", "-c", "rm -r d3; echo more >> d1/f1.bin"])
            times.append(timed(box.reset))
        box.close()
    return figure(times[1:])


def measure_fork(box: Workspace, count: int) -> Figure:
    """Fork again and again without a pause."""
    forks: list[Workspace] = []
    result = sample(lambda: forks.append(box.fork()), count)
    for fork in forks:
        fork.close()
    return result


# -- contenders: each yields a function that runs one echo -----------------------------------------------------


@contextmanager
def session_of(backend: str) -> Iterator[Callable[[], object]]:
    """Our persistent shell."""
    with open_workspace(backend, LIMITS) as box:  # type: ignore[attr-defined]
        shell = box.shell()
        yield lambda: shell.run("echo hi")


@contextmanager
def fresh_of(backend: str) -> Iterator[Callable[[], object]]:
    """Our fresh process for each command."""
    with open_workspace(backend, LIMITS) as box:  # type: ignore[attr-defined]
        yield lambda: box.exec(ECHO)


@contextmanager
def bwrap_per_command() -> Iterator[Callable[[], object]]:
    """A new sandbox for each command, as simple tools do it."""
    if not shutil.which("bwrap"):
        raise RuntimeError("bwrap is not installed")
    yield lambda: subprocess.run([*BWRAP, "bash", "-c", "echo hi"], check=True, stdout=subprocess.DEVNULL)


@contextmanager
def docker_exec() -> Iterator[Callable[[], object]]:
    """``exec_run`` of the docker SDK in a running container of the workspace's image."""
    from ise_gym.workspace.backends.docker import connect, ensure_image

    client = connect()
    container = client.containers.run(
        ensure_image(client), ["/bin/sleep", "3600"], detach=True, network_mode="none", init=False
    )
    try:
        yield lambda: container.exec_run(ECHO)
    finally:
        container.remove(force=True)
        client.close()


@contextmanager
def swerex(python: str) -> Iterator[Callable[[], object]]:
    """SWE-ReX's persistent bash in a process of its own, which says how long each echo took there."""
    found = subprocess.run([python, "-c", "import swerex"], capture_output=True, text=True)
    if found.returncode != 0:
        raise RuntimeError("not installed: pip install swe-rex, here or where --swerex-python points")
    script = Path(__file__).parent / "parity" / "swerex_echo.py"
    pipes: dict[str, Any] = {
        "stdin": subprocess.PIPE,
        "stdout": subprocess.PIPE,
        "stderr": subprocess.DEVNULL,
    }
    with subprocess.Popen([python, str(script)], text=True, **pipes) as process:
        to, back = process.stdin, process.stdout
        assert to is not None and back is not None

        def echo() -> None:
            to.write("echo hi\n")
            to.flush()
            answer = back.readline()
            if answer != "hi\n":
                raise RuntimeError(f"its answer was {answer!r}")

        yield echo
        to.close()


def measure_contenders(
    contenders: dict[str, Callable[[], Any]], runs: int, count: int
) -> dict[str, Figure | str]:
    """Let the contenders take turns; a contender that can't run gives its reason."""
    times: dict[str, list[list[float]]] = {}
    problems: dict[str, str] = {}
    with ExitStack() as stack:
        live: dict[str, Callable[[], object]] = {}
        for name, start in contenders.items():
            try:
                live[name] = stack.enter_context(start())
                live[name]()
            except Exception as error:  # a contender that can't run here is named, not hidden
                live.pop(name, None)
                problems[name] = f"not measured: {str(error)[:160] or type(error).__name__}"
        for _ in range(runs):
            of_run: dict[str, list[float]] = {name: [] for name in live}
            for _ in range(SHARE):
                for name, echo in live.items():
                    of_run[name] += [timed(echo) for _ in range(count)]
            for name, measured in of_run.items():
                times.setdefault(name, []).append(measured)
    rows: dict[str, Figure | str] = {}
    for name in contenders:
        rows[name] = problems[name] if name in problems else median([figure(t) for t in times[name]])
    return rows


def median(figures: list[Figure]) -> Figure:
    """Median over the runs, of p50 and p95 each."""
    return statistics.median(f[0] for f in figures), statistics.median(f[1] for f in figures)


# -- many at once ----------------------------------------------------------------------------------------------


def measure_throughput(backend: str, workers: int, seconds: float = 3.0) -> float:
    """Commands a second over ``workers`` workspaces in threads of one process."""
    boxes = [open_workspace(backend, LIMITS) for _ in range(workers)]
    counts = [0] * workers
    until = time.perf_counter() + seconds

    def work(index: int) -> None:
        while time.perf_counter() < until:
            boxes[index].exec(ECHO)
            counts[index] += 1

    threads = [threading.Thread(target=work, args=(n,)) for n in range(workers)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for box in boxes:
        box.close()
    return sum(counts) / seconds


def memory_mb() -> float:
    """Memory of all descendants of this process, shared pages in part (PSS); 0 where it may not be looked at."""
    parents = {}
    for folder in Path("/proc").iterdir():
        if folder.name.isdigit():
            with contextlib.suppress(OSError):  # ended meanwhile
                parents[int(folder.name)] = int((folder / "stat").read_text().rpartition(")")[2].split()[1])
    ours, size = {os.getpid()}, 0
    while more := {child for child, parent in parents.items() if parent in ours} - ours:
        ours |= more
    for pid in ours - {os.getpid()}:
        with contextlib.suppress(OSError):
            size += int(Path(f"/proc/{pid}/smaps_rollup").read_text().partition("Pss:")[2].split()[0])
    return size / 1024


def measure_alive(backend: str, count: int) -> dict[str, float]:
    """Keep ``count`` workspaces alive at once, each with a file, a shell and a background process; all must answer."""
    boxes: list[Workspace] = []
    started = time.perf_counter()
    try:
        for number in range(count):
            box = open_workspace(backend, LIMITS)
            boxes.append(box)
            box.write("me", b"%d" % number)
            box.shell().run("true")
            box.spawn("sleep 3600")
        opened = time.perf_counter() - started
        memory = memory_mb()
        asking = time.perf_counter()
        wrong = sum(box.exec(["/bin/cat", "me"]).output != b"%d" % n for n, box in enumerate(boxes))
        asked = time.perf_counter() - asking
    finally:
        closing = time.perf_counter()
        for box in boxes:
            box.close()
    return {
        "workspaces": len(boxes),
        "wrong answers": wrong,
        "seconds to open": round(opened, 1),
        "ms for one to answer": round(1000 * asked / count, 2),
        "MB each (PSS)": round(memory / count, 1),
        "seconds to close": round(time.perf_counter() - closing, 1),
    }


@contextmanager
def own_dockerd() -> Iterator[None]:
    """Start a dockerd as the tests do, with an image of this machine's packages."""
    if os.geteuid() != 0 or not shutil.which("dockerd"):
        raise SystemExit("--start-dockerd needs root and an installed dockerd")
    sys.path.insert(0, str(ROOT / "tests" / "workspace"))
    from own_dockerd import Daemon

    daemon = Daemon()
    try:
        yield
    finally:
        daemon.stop()


def main() -> None:
    """Measure, print tables, and write JSON when asked."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--backend", default="bubblewrap")
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument(
        "--echoes", type=int, default=25, help="commands of each contender at each of its turns"
    )
    parser.add_argument("--swerex-python", default=sys.executable, help="an interpreter that has swe-rex")
    parser.add_argument("--start-dockerd", action="store_true", help="run a dockerd of our own (as root)")
    parser.add_argument("--alive", type=int, default=0, help="only keep this many workspaces alive at once")
    parser.add_argument("--contenders-only", action="store_true")
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    report: dict[str, Any] = {}
    if options.alive:
        report["alive"] = measure_alive(options.backend, options.alive)
        for name, value in report["alive"].items():
            print(f"{name:34}{value:10}")
    else:
        with ExitStack() as stack:
            if options.start_dockerd:
                stack.enter_context(own_dockerd())
            measure_all(options, report)
    if options.json:
        options.json.write_text(json.dumps(report, indent=1) + "\n")


def measure_all(options: argparse.Namespace, report: dict[str, Any]) -> None:
    """Measure contenders, then operations and throughput, and print them."""
    backend = options.backend
    contenders: dict[str, Callable[[], Any]] = {
        OURS: lambda: session_of(backend),
        FRESH: lambda: fresh_of(backend),
        "bwrap per command": bwrap_per_command,
        "docker exec_run": docker_exec,
        "SWE-ReX local session": lambda: swerex(options.swerex_python),
    }
    rows = measure_contenders(contenders, options.runs, options.echoes)
    report["echo"] = rows
    ours = rows[OURS]
    print(f"{'echo hi':34}{'p50 ms':>10}{'p95 ms':>10}{'times ours':>12}")
    for name, row in rows.items():
        if isinstance(row, str):
            print(f"{name:34}{row}")
        else:
            ratio = "" if isinstance(ours, str) else f"{row[0] / ours[0]:12.1f}"
            print(f"{name:34}{row[0]:10.2f}{row[1]:10.2f}{ratio}")
    if options.contenders_only:
        return
    runs = [measure_operations(backend) for _ in range(options.runs)]
    report["operations"] = {name: median([run[name] for run in runs]) for name in runs[0]}
    print(f"\n{'operation, ' + backend:34}{'p50 ms':>10}{'p95 ms':>10}")
    for name, row in report["operations"].items():
        print(f"{name:34}{row[0]:10.2f}{row[1]:10.2f}")
    report["exec_per_second"] = {str(n): measure_throughput(backend, n) for n in (1, 2, 8)}
    for workers, rate in report["exec_per_second"].items():
        print(f"{'exec per second, ' + workers + ' workspaces':34}{rate:10.0f}")


if __name__ == "__main__":
    main()
