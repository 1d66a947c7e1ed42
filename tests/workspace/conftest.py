"""One workspace a backend for the whole run, reset before each test.

The docker tests need a daemon. With ``ISE_START_DOCKERD=1`` (as root, with dockerd installed) they start one of their own,
which has its own folders and socket and leaves firewall and interfaces alone, with an image made from this machine's
packages. ``ISE_REQUIRE_BACKENDS=bubblewrap,docker`` turns a skipped backend into a failure.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
import time
import warnings
from collections.abc import Iterator
from pathlib import Path

import pytest

from ise_gym.workspace import Limits, Workspace, open_workspace, self_check

LIMITS = Limits(memory_mb=256, disk_mb=64, processes=64, command_timeout_s=20.0)
DOCKER_WANTED = any(
    (
        os.environ.get("ISE_START_DOCKERD") == "1",
        "docker" in os.environ.get("ISE_REQUIRE_BACKENDS", ""),
        bool(os.environ.get("DOCKER_HOST")),
        Path("/var/run/docker.sock").exists(),
    )
)
"""Without any daemon to talk to, one test says so, instead of a hundred and fifty."""
DOCKER = [pytest.param("docker", marks=pytest.mark.docker)] if DOCKER_WANTED else []
BACKENDS = ["bubblewrap", *DOCKER, "unsafe-local"]
ISOLATED = ["bubblewrap", *DOCKER]


class Daemon:
    """A dockerd for this run only."""

    def __init__(self) -> None:
        self.folder = Path(tempfile.mkdtemp(prefix="ise-dockerd-"))
        self.address = f"unix://{self.folder}/docker.sock"
        command = ["dockerd", "--iptables=false", "--ip6tables=false", "--bridge=none", "--ip-forward=false"]
        command += ["--ip-masq=false", "-H", self.address, "--pidfile", str(self.folder / "pid")]
        command += ["--data-root", str(self.folder / "data"), "--exec-root", str(self.folder / "exec")]
        self.log = (self.folder / "log").open("wb")
        self.process = subprocess.Popen(
            command, stdout=self.log, stderr=subprocess.STDOUT, start_new_session=True
        )
        self.before = os.environ.get("DOCKER_HOST")
        os.environ["DOCKER_HOST"] = self.address
        deadline = time.monotonic() + 40
        while not self._import_image():
            if time.monotonic() > deadline or self.process.poll() is not None:
                text = (self.folder / "log").read_text(errors="replace")[-1500:]
                self.stop()
                raise RuntimeError(f"dockerd did not come up: {text}")
            time.sleep(0.3)

    def _import_image(self) -> bool:
        if not (self.folder / "docker.sock").exists():
            return False
        maker = subprocess.Popen(
            [sys.executable, str(Path(__file__).with_name("host_image.py"))], stdout=subprocess.PIPE
        )
        done = subprocess.run(
            ["docker", "import", "-", "ise-gym-os"], stdin=maker.stdout, capture_output=True
        )
        assert maker.stdout is not None
        maker.stdout.close()
        return maker.wait() == 0 and done.returncode == 0

    def stop(self) -> None:
        self.process.terminate()
        try:
            self.process.wait(30)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        self.log.close()
        if self.before is None:
            os.environ.pop("DOCKER_HOST", None)
        else:
            os.environ["DOCKER_HOST"] = self.before
        shutil.rmtree(self.folder, ignore_errors=True)


@pytest.fixture(scope="session")
def daemon() -> Iterator[Daemon | None]:
    """The run's own dockerd, when it was asked for."""
    wanted = os.environ.get("ISE_START_DOCKERD") == "1"
    started = Daemon() if wanted and shutil.which("dockerd") and os.geteuid() == 0 else None
    yield started
    if started is not None:
        started.stop()


class Pool:
    """Started workspaces by backend; a backend that can't run here is skipped with its reason."""

    def __init__(self) -> None:
        self.live: dict[str, Workspace] = {}
        self.broken: dict[str, str] = {}

    def get(self, backend: str) -> Workspace:
        if backend not in self.live and backend not in self.broken:
            check = self_check(backend)
            if check.ok:
                with warnings.catch_warnings():
                    warnings.simplefilter("ignore")
                    self.live[backend] = open_workspace(backend, LIMITS)
            else:
                self.broken[backend] = check.message
        if backend in self.broken:
            message = f"backend {backend} does not work here: {self.broken[backend]}"
            if os.environ.get("ISE_REQUIRE_BACKENDS", "").find(backend) >= 0:
                pytest.fail(message)
            pytest.skip(message)
        workspace = self.live[backend]
        workspace.reset()
        return workspace


@pytest.fixture(scope="session")
def pool(daemon: Daemon | None) -> Iterator[Pool]:
    found = Pool()
    yield found
    for workspace in found.live.values():
        workspace.close()


@pytest.fixture(params=BACKENDS)
def box(request: pytest.FixtureRequest, pool: Pool) -> Workspace:
    """A clean workspace of every backend that runs commands."""
    return pool.get(request.param)


@pytest.fixture(params=ISOLATED)
def jail(request: pytest.FixtureRequest, pool: Pool) -> Workspace:
    """A clean workspace of every backend that isolates."""
    return pool.get(request.param)
