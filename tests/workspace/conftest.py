"""One workspace a backend for the whole run, reset before each test."""

from __future__ import annotations

import os
import warnings
from collections.abc import Iterator

import pytest

from ise_gym.workspace import Limits, Workspace, open_workspace, self_check

LIMITS = Limits(memory_mb=256, disk_mb=64, processes=64, command_timeout_s=20.0)
BACKENDS = ["bubblewrap", "docker", "unsafe-local"]
ISOLATED = ["bubblewrap", "docker"]


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
def pool() -> Iterator[Pool]:
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
