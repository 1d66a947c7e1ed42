"""How fast the workspace is, beside what it replaces, in one run.

    python benchmarks/workspace.py [--runs 3] [--json FILE]

Every figure is the p50 and p95 of single operations, median over the runs. "bwrap per command" enters a new
sandbox for each command; "docker exec" and SWE-ReX (its local deployment) are measured where they are
installed, and named as missing where not.
"""

from __future__ import annotations

import argparse
import json
import shutil
import statistics
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from ise_gym.workspace import Limits, SeedFile, Workspace, open_workspace

LIMITS = Limits(disk_mb=256)


def sample(operation: Callable[[], object], count: int) -> tuple[float, float]:
    """Milliseconds: (p50, p95) of ``count`` calls after one to warm up."""
    operation()
    times = []
    for _ in range(count):
        started = time.perf_counter()
        operation()
        times.append((time.perf_counter() - started) * 1000)
    times.sort()
    return times[len(times) // 2], times[min(len(times) - 1, int(len(times) * 0.95))]


def tree(megabytes: int) -> list[SeedFile]:
    """100 files of distinct content, ``megabytes`` in all."""
    size = megabytes * (1 << 20) // 100
    return [SeedFile(f"d{n % 10}/f{n}.bin", (b"%08d" % n) * (size // 8)) for n in range(100)]


def measure_workspace(backend: str) -> dict[str, tuple[float, float]]:
    """All operations of one backend."""
    found: dict[str, tuple[float, float]] = {}
    found["start and close"] = sample(lambda: open_workspace(backend, LIMITS).close(), 10)
    box = open_workspace(backend, LIMITS)
    shell = box.session()
    found["session echo"] = sample(lambda: shell.run("echo hi"), 300)
    found["exec bash -c echo"] = sample(lambda: box.exec(["/bin/bash", "-c", "echo hi"]), 200)
    found["exec true"] = sample(lambda: box.exec(["/bin/true"]), 200)
    data = b"x" * 10_240
    found["write 10 KB"] = sample(lambda: box.write("f.txt", data), 300)
    found["read 10 KB"] = sample(lambda: box.read("f.txt"), 300)
    found["digest, small tree"] = sample(box.digest, 100)
    # Between resets an episode runs; the spare box is made meanwhile.
    found["reset"] = sample_reset(box)
    for size, count in ((1, 15), (100, 3)):
        box.reset()
        box.seed(tree(size))
        saved = box.snapshot()
        found[f"snapshot {size} MB"] = sample(box.snapshot, count)
        found[f"restore {size} MB"] = sample(lambda saved=saved: box.restore(saved), count)
        forks: list[Workspace] = []
        found[f"fork {size} MB"] = sample(lambda forks=forks: forks.append(box.fork()), count)
        for fork in forks:
            fork.close()
    box.close()
    return found


def sample_reset(box: Workspace) -> tuple[float, float]:
    """Reset with and without a finished spare are different: pause as an episode would."""
    times = []
    for _ in range(15):
        time.sleep(0.15)
        started = time.perf_counter()
        box.reset()
        times.append((time.perf_counter() - started) * 1000)
    times = sorted(times[1:])
    return times[len(times) // 2], times[-1]


def measure_throughput(backend: str, workers: int, seconds: float = 3.0) -> float:
    """Commands a second over ``workers`` workspaces in threads of one process."""
    boxes = [open_workspace(backend, LIMITS) for _ in range(workers)]
    counts = [0] * workers
    until = time.perf_counter() + seconds

    def work(index: int) -> None:
        while time.perf_counter() < until:
            boxes[index].exec(["/bin/bash", "-c", "echo hi"])
            counts[index] += 1

    threads = [threading.Thread(target=work, args=(n,)) for n in range(workers)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for box in boxes:
        box.close()
    return sum(counts) / seconds


def measure_bwrap_per_command() -> tuple[float, float]:
    """A new sandbox for each command, as simple tools do it."""
    command = [
        "bwrap",
        "--ro-bind",
        "/usr",
        "/usr",
        "--symlink",
        "usr/bin",
        "/bin",
        "--symlink",
        "usr/lib",
        "/lib",
    ]
    command += [
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
    ]
    return sample(
        lambda: subprocess.run([*command, "bash", "-c", "echo hi"], check=True, stdout=subprocess.DEVNULL), 30
    )


def measure_swerex() -> tuple[float, float]:
    """SWE-ReX's persistent bash, in its local deployment (no isolation)."""
    import asyncio

    from swerex.deployment.local import LocalDeployment
    from swerex.runtime.abstract import BashAction, CreateBashSessionRequest

    async def play() -> tuple[float, float]:
        deployment = LocalDeployment()
        await deployment.start()
        await deployment.runtime.create_session(CreateBashSessionRequest())
        times = []
        for _ in range(30):
            started = time.perf_counter()
            await deployment.runtime.run_in_session(BashAction(command="echo hi"))
            times.append((time.perf_counter() - started) * 1000)
        await deployment.stop()
        times.sort()
        return times[15], times[28]

    return asyncio.run(play())


def measure_docker_exec() -> tuple[float, float]:
    """``exec_run`` of the docker SDK in a running container of the workspace's image."""
    import docker

    from ise_gym.workspace.container import ensure_image

    client = docker.from_env()
    container = client.containers.run(
        ensure_image(client), ["/bin/sleep", "600"], detach=True, network_mode="none"
    )
    try:
        return sample(lambda: container.exec_run(["/bin/bash", "-c", "echo hi"]), 30)
    finally:
        container.remove(force=True)


def main() -> None:
    """Measure, print a table, and write JSON when asked."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--backend", default="bubblewrap")
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    runs = []
    for _ in range(options.runs):
        runs.append(measure_workspace(options.backend))
    rows: dict[str, tuple[float, float] | str] = {
        name: (statistics.median(r[name][0] for r in runs), statistics.median(r[name][1] for r in runs))
        for name in runs[0]
    }
    if shutil.which("bwrap"):
        rows["bwrap per command: echo"] = measure_bwrap_per_command()
    for name, measure in (
        ("SWE-ReX local: echo", measure_swerex),
        ("docker exec_run: echo", measure_docker_exec),
    ):
        try:
            rows[name] = measure()
        except Exception as error:  # a rival that can't run here is reported, not hidden
            rows[name] = f"not measured: {type(error).__name__}: {str(error)[:60]}"
    print(f"{'operation':34}{'p50 ms':>10}{'p95 ms':>10}")
    for name, row in rows.items():
        print(f"{name:34}{row}" if isinstance(row, str) else f"{name:34}{row[0]:10.2f}{row[1]:10.2f}")
    rates = {str(workers): measure_throughput(options.backend, workers) for workers in (1, 2, 8)}
    for workers, rate in rates.items():
        print(f"{'exec per second, ' + workers + ' workspaces':34}{rate:10.0f}")
    if options.json:
        options.json.write_text(json.dumps({"operations": rows, "exec_per_second": rates}, indent=1) + "\n")


if __name__ == "__main__":
    main()
