"""A pool of processes is silent when a terminal interrupts all of them, and what works in it cleans up."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from functools import partial
from pathlib import Path

import pytest

from ise_gym.processes import Pool

SCRIPT = """
import sys, time
from pathlib import Path
from ise_gym.processes import Pool

def note(folder, name):
    (Path(folder) / name).touch()

def opened(folder, slow):
    note(folder, "began")
    time.sleep(slow)

def work(folder, number):
    note(folder, f"works-{number}")
    try:
        time.sleep(600)
    finally:
        note(folder, f"cleaned-{number}")

if __name__ == "__main__":
    folder, slow, tasks = sys.argv[1], float(sys.argv[2]), int(sys.argv[3])
    try:
        with Pool(2, opened, folder, slow) as pool:
            waiting = [pool.submit(work, folder, number) for number in range(tasks)]
            [each.result() for each in waiting]
    except KeyboardInterrupt:
        print("interrupted")
"""


def interrupted(folder: Path, slow: float, tasks: int, until: str) -> tuple[int, str, str]:
    script = folder / "script.py"
    script.write_text(SCRIPT)
    running = subprocess.Popen(
        [sys.executable, str(script), str(folder), str(slow), str(tasks)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
        # what runs in the background begins with SIGINT ignored, and hands that down
        preexec_fn=partial(signal.signal, signal.SIGINT, signal.SIG_DFL),
    )
    try:
        end = time.monotonic() + 120
        while not list(folder.glob(until)) and time.monotonic() < end:
            time.sleep(0.02)
        os.killpg(running.pid, signal.SIGINT)  # as a terminal does
        printed, complained = running.communicate(timeout=120)
    finally:
        running.kill()
        running.wait()
    return running.returncode, printed, complained


def test_what_works_cleans_up_and_what_is_left_does_not_begin(tmp_path: Path) -> None:
    assert interrupted(tmp_path, 0, 6, "works-*") == (0, "interrupted\n", "")
    begun = {path.name.partition("-")[2] for path in tmp_path.glob("works-*")}
    assert begun and {path.name.partition("-")[2] for path in tmp_path.glob("cleaned-*")} == begun
    assert len(begun) <= 3, "one that had just been handed over may still have begun"


def test_what_has_only_begun_is_gone_at_once(tmp_path: Path) -> None:
    assert interrupted(tmp_path, 600, 2, "began") == (0, "interrupted\n", "")
    assert not list(tmp_path.glob("works-*"))


def test_results_and_errors_come_back() -> None:
    with Pool(2) as pool:
        assert [each.result() for each in (pool.submit(divmod, 7, 2), pool.submit(sorted, "ba"))] == [
            (3, 1),
            ["a", "b"],
        ]
        with pytest.raises(ZeroDivisionError):
            pool.submit(divmod, 1, 0).result()
