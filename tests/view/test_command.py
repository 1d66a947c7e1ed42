"""`ise view` as it is run: a process that prints an address, serves it, and ends when it is told to."""

from __future__ import annotations

import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from http.cookiejar import CookieJar
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from report_samples import fill, sample

pytest.importorskip("uvicorn", reason="the viewer needs uvicorn")
COMMAND = [sys.executable, "-m", "ise_gym.cli", "view"]
WAIT_S = 120


def test_it_serves_the_table_until_ctrl_c(tmp_path: Path) -> None:
    store = fill(tmp_path / "mine", [sample(1), sample(2, "failed")])
    running = subprocess.Popen(
        [*COMMAND, str(store), "--no-open"], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    try:
        assert running.stdout is not None
        address = running.stdout.readline().strip()  # ends with the process, so it never waits for nothing
        parts = urlsplit(address)
        assert parts.hostname == "127.0.0.1" and parts.port and parts.query.startswith("token=")
        with pytest.raises(urllib.error.HTTPError) as refused:
            urllib.request.urlopen(f"http://127.0.0.1:{parts.port}/", timeout=WAIT_S)
        assert refused.value.code == 403
        refused.value.close()
        opener = urllib.request.build_opener(urllib.request.HTTPCookieProcessor(CookieJar()))
        page, end = "", time.monotonic() + WAIT_S
        while page.count('class="line') != 2 and time.monotonic() < end:  # until both are in the index
            with opener.open(address, timeout=WAIT_S) as answer:
                page = answer.read().decode()
            time.sleep(0.1)
        assert page.count('class="line') == 2 and "Intent 1: plain words" in page
        running.send_signal(signal.SIGINT)
        rest, complained = running.communicate(timeout=WAIT_S)
    finally:
        running.kill()
        running.wait()
    assert running.returncode == 0 and rest == ""
    assert complained == "mine · Ctrl-C ends the viewer\n"
    with pytest.raises(OSError):
        socket.create_connection(("127.0.0.1", parts.port), timeout=5)


@pytest.mark.parametrize(
    ("given", "words"),
    [("nowhere", "no such file or folder"), (".", "neither a trajectory store nor a folder with stores")],
)
def test_what_is_no_store_is_refused_in_one_line(tmp_path: Path, given: str, words: str) -> None:
    done = subprocess.run(
        [*COMMAND, str(tmp_path / given), "--no-open"], capture_output=True, text=True, timeout=WAIT_S
    )
    assert done.returncode == 2 and done.stdout == ""
    assert done.stderr.startswith("ise: ") and words in done.stderr and done.stderr.count("\n") == 1


def test_a_port_that_is_taken_is_refused_in_one_line(tmp_path: Path) -> None:
    store = fill(tmp_path / "mine", [sample(1)])
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        done = subprocess.run(
            [*COMMAND, str(store), "--no-open", "--port", str(port)],
            capture_output=True,
            text=True,
            timeout=WAIT_S,
        )
    assert done.returncode == 2 and f"port {port}: can't be listened on" in done.stderr
    assert done.stderr.count("\n") == 1
