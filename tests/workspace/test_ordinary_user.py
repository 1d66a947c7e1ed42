"""The bubblewrap suites once more, without being root.

When the tests run as root, this starts them anew in a process that has dropped to an account without rights. It
keeps only the right to read files (its own Python may live where only root can look), which the sandboxes
it starts do not inherit.
"""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from ise_gym.workspace import self_check

DROP = """
import ctypes, os, struct, sys
libc = ctypes.CDLL(None, use_errno=True)
def must(result):
    if result != 0:
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))
must(libc.prctl(8, 1, 0, 0, 0))
os.setgroups([])
os.setresgid(61234, 61234, 61234)
os.setresuid(61234, 61234, 61234)
read_search = 1 << 2
header = struct.pack("Ii", 0x20080522, 0)
must(libc.capset(header, struct.pack("6I", read_search, read_search, 0, 0, 0, 0)))
must(libc.prctl(4, 1, 0, 0, 0))
try:
    os.kill(1, 0)
except PermissionError:
    pass
else:
    raise SystemExit("still root")
sys.path.insert(0, sys.argv[1])
os.chdir(sys.argv[1])
import pytest
raise SystemExit(pytest.main(sys.argv[2:]))
"""
HERE = Path(__file__).parent


@pytest.mark.skipif(os.geteuid() != 0, reason="these tests already run as an ordinary user")
def test_the_suites_pass_without_root(tmp_path: Path) -> None:
    check = self_check("bubblewrap")
    if not check.ok:
        pytest.skip(check.message)
    slow = "gigabyte or inodes or small_files or endless or deleting or race or disk or capped or large or owners"
    suites = ("test_behaviour.py", "test_hostile.py", "test_escape.py", "test_start_template.py")
    command = [
        *(sys.executable, "-c", DROP, str(HERE.parents[1]), "-q", "-p", "no:cacheprovider", "-x"),
        *("-k", f"(bubblewrap or test_start_template) and not (unsafe or {slow})"),
        *("--rootdir", str(HERE.parents[1]), *(str(HERE / name) for name in suites)),
    ]
    env = {"PATH": os.environ["PATH"], "HOME": "/nonexistent", "ISE_REQUIRE_BACKENDS": "bubblewrap"}
    done = subprocess.run(command, capture_output=True, text=True, env=env, timeout=300)
    assert done.returncode == 0, done.stdout[-6000:] + done.stderr[-3000:]
    assert " passed" in done.stdout and "skipped" not in done.stdout
