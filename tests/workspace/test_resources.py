"""An attacker inside the box who uses up what there is: processes, memory, disk, output."""

from __future__ import annotations

import contextlib
import os
import time
from pathlib import Path

import pytest
from attacker import python, sh

from ise_gym.errors import WorkspaceError
from ise_gym.workspace import Workspace


def _resident() -> int:
    return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")


def test_a_fork_bomb_is_contained_and_cleared(jail: Workspace) -> None:
    result = sh(jail, ":(){ :|:& };:; wait; sleep 30", timeout=2.0)
    assert result.timed_out or result.exit_code is not None
    deadline = time.monotonic() + 10
    while time.monotonic() < deadline:
        if sh(jail, "echo back").output == b"back\n":
            break
        time.sleep(0.2)
    else:
        jail.reset()
    assert sh(jail, "echo back").output == b"back\n"


def test_the_number_of_processes_is_limited(jail: Workspace) -> None:
    code = "import os,time\nn=0\ntry:\n  while n<1000:\n    if os.fork()==0: time.sleep(20); os._exit(0)\n    n+=1\nexcept OSError: pass\nprint(n); os.kill(0, 9) if 0 else None"
    started = int(python(jail, code + "\nimport signal; os.killpg(0, 0)"))
    assert started < jail.limits.processes
    jail.reset()


def test_a_memory_hog_dies_alone(jail: Workspace) -> None:
    code = "x=[]\nwhile True: x.append(bytearray(8<<20))"
    result = jail.exec(["/usr/bin/python3", "-c", code], timeout=30)
    assert result.exit_code in (1, 137)
    assert sh(jail, "echo alive").output == b"alive\n"


def test_a_full_disk_is_an_error_for_the_writer_only(jail: Workspace) -> None:
    size = jail.limits.disk_mb << 20
    for folder in ("/workspace", "/tmp", "/home/user", "/dev/shm"):
        result = sh(
            jail,
            f"i=0; while head -c 8000000 /dev/zero > {folder}/f$i; do i=$((i+1)); [ $i -gt 200 ] && exit 9; done; du -sb {folder} | cut -f1",
        )
        assert int(result.output.split()[-1]) <= size + (1 << 20), folder
        assert sh(jail, f"rm -f {folder}/f*; echo freed").output == b"freed\n"
    with pytest.raises(OSError, match=r"No space left|too large"):
        for number in range(100):
            jail.write(f"g{number}", bytes(8 << 20))
    assert sh(jail, "echo alive").output == b"alive\n"


def test_many_inodes_do_not_bring_the_box_down_for_the_next(jail: Workspace) -> None:
    code = "import os\ntry:\n  for i in range(150_000): os.close(os.open(f'/tmp/{i}', os.O_CREAT | os.O_WRONLY))\nexcept OSError as e: print(e.strerror)\nprint('end')"
    python(jail, code, timeout=60)
    with contextlib.suppress(WorkspaceError):  # a box may end by its own memory limit; the harness must not
        sh(jail, "echo alive")
    jail.reset()
    assert sh(jail, "ls /tmp | wc -l; echo alive").output == b"0\nalive\n"


def test_a_gigabyte_of_output_costs_no_memory(bubble: Workspace) -> None:
    before = _resident()
    result = sh(bubble, "head -c 1000000000 /dev/zero", timeout=60)
    assert result.exit_code == 0
    assert len(result.output) + result.dropped_bytes == 1_000_000_000
    assert len(result.output) <= bubble.limits.output_bytes
    assert _resident() - before < 20 << 20


def test_an_endless_printer_is_cut_off_in_time(jail: Workspace) -> None:
    started = time.monotonic()
    result = sh(jail, "(yes & yes & yes) & yes", timeout=1.0)
    assert result.timed_out and time.monotonic() - started < 10
    assert len(result.output) <= jail.limits.output_bytes
    result = sh(jail, "yes & echo done")
    assert result.exit_code == 0 and time.monotonic() - started < 20
    sh(jail, "pkill yes")


def test_a_command_cannot_fill_the_harness_by_many_small_files(bubble: Workspace) -> None:
    sh(bubble, "truncate -s 60M s0; for i in $(seq 1 40); do cp --sparse=always s0 s$i; done", timeout=60)
    started = time.monotonic()
    bubble.manifest()
    assert time.monotonic() - started < 20
