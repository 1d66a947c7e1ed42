"""Fixtures of the tests of workspaces: one workspace a backend for the whole run, reset before each test.

The docker tests need a daemon. With ``ISE_START_DOCKERD=1`` (as root, with dockerd installed) they start one of
their own, see `own_dockerd`. A backend that can't run here is skipped and named at the end of the run;
``ISE_REQUIRE_BACKENDS=bubblewrap,docker`` turns the skip into a failure.
"""

from __future__ import annotations

import os
import sys
import warnings
from collections.abc import Iterator
from pathlib import Path

import pytest

sys.path.append(str(Path(__file__).parent / "workspace"))
from own_dockerd import Daemon, NoDaemon

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


NOT_TESTED: dict[str, str] = {}
"""Backend → why its tests did not run; said once more, loudly, at the end of the run."""


@pytest.fixture(scope="session")
def daemon() -> Iterator[Daemon | None]:
    """The run's own dockerd, when it was asked for and can run here."""
    started = None
    if os.environ.get("ISE_START_DOCKERD") == "1":
        try:
            started = Daemon()
        except NoDaemon as problem:
            NOT_TESTED["docker"] = str(problem)
    yield started
    if started is not None:
        started.stop()


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Name every backend that was not tested, once."""
    while NOT_TESTED:
        backend, reason = NOT_TESTED.popitem()
        terminalreporter.section(f"the {backend} backend was NOT tested", sep="!", yellow=True)
        terminalreporter.write_line(reason)


def own_groups() -> list[Path]:
    """Return the control groups that boxes of this process have now; others come and go meanwhile."""
    mine = f"ise-gym-{os.getpid()}-"
    found = os.walk("/sys/fs/cgroup")
    return [Path(place, name) for place, below, _ in found for name in below if name.startswith(mine)]


class Pool:
    """Started workspaces by backend; a backend that can't run here is skipped with its reason."""

    def __init__(self, required: frozenset[str]) -> None:
        self.required = required
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
                self.broken[backend] = NOT_TESTED.setdefault(backend, check.message)
        if backend in self.broken:
            message = f"backend {backend} does not work here: {self.broken[backend]}"
            if backend in self.required:
                pytest.fail(message)
            pytest.skip(message)
        workspace = self.live[backend]
        workspace.reset()
        return workspace


@pytest.fixture(scope="session")
def pool(daemon: Daemon | None) -> Iterator[Pool]:
    wanted = os.environ.get("ISE_REQUIRE_BACKENDS", "").replace(" ", "").split(",")
    found = Pool(frozenset(wanted + (["docker"] if daemon else [])))
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


@pytest.fixture
def bubble(pool: Pool) -> Workspace:
    """A clean bubblewrap workspace: for what costs seconds and depends on the box's init alone."""
    return pool.get("bubblewrap")
