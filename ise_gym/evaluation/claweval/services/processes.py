"""A task's mock services as processes of their own: slower than in this process, and the same code path as upstream's.

Every service gets a port that was free, is believed ready only when its own process listens there and the route of its
health check answers, and is known to be dead when it is: a stale server on a fixed port or a service that died half-way
can't pass for a working one. Clients still use the task's own port numbers; the router sends them on.
"""

from __future__ import annotations

import ctypes
import os
import shlex
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType
from typing import IO

import httpx

from ise_gym.evaluation.claweval.services.asgi import Router
from ise_gym.evaluation.claweval.services.host import ServiceError, ServiceLike

READY_S = 30.0
"""Seconds that a service has to get ready on a machine with a core to spare; more in step with the load."""
_READY = frozenset({"200", "422"})
"""What a service that is ready answers: some checks post nothing to a route that wants a body, which it refuses."""
_POLL_S = 0.05
_PR_SET_PDEATHSIG = 1
_PROXIES = frozenset({"http_proxy", "https_proxy", "all_proxy"})


class SubprocessServices:
    """The services of one task as processes, while the context is open.

    Args:
        services: their definitions; each reads its port from ``PORT``.
        root: the checkout, their working directory.
        router: sends requests to a task's port on to the real one.

    Raises (on entering and leaving):
        ServiceError: one could not start, did not get ready, or died.
    """

    def __init__(self, services: Sequence[ServiceLike], root: Path, router: Router) -> None:
        self._services, self._root, self._router = services, root, router
        self._running: list[tuple[ServiceLike, subprocess.Popen[bytes], IO[bytes]]] = []
        self._ports: list[int] = []

    def __enter__(self) -> SubprocessServices:
        try:
            ports = [self._spawn(service) for service in self._services]
            for (service, process, log), port in zip(self._running, ports, strict=True):
                self._wait(service, process, log, port)
        except BaseException:
            self._stop()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        dead = [
            ServiceError(f"service '{service.name}' died (exit code {process.poll()}){_tail(log)}")
            for service, process, log in self._running
            if process.poll() is not None
        ]
        self._stop()
        if dead:
            raise dead[0] from error

    def _spawn(self, service: ServiceLike) -> int:
        command = shlex.split(service.command)
        if command and command[0] in ("python", "python3"):
            command[0] = sys.executable
        port = _free_port()
        env = {name: value for name, value in os.environ.items() if name.lower() not in _PROXIES}
        env |= {name: str(value) for name, value in service.env.items()} | {"PORT": str(port)}
        log = tempfile.TemporaryFile()  # noqa: SIM115 - it lives as long as the service
        try:
            process = subprocess.Popen(
                command,
                cwd=self._root,
                env=env,
                stdout=log,
                stderr=log,
                preexec_fn=_die_with_parent,
                start_new_session=True,  # a Ctrl-C lets the present trial end, with its services
            )
        except OSError as error:
            log.close()
            raise ServiceError(f"service '{service.name}' can't be started: {error}") from error
        self._running.append((service, process, log))
        return port

    def _wait(
        self, service: ServiceLike, process: subprocess.Popen[bytes], log: IO[bytes], port: int
    ) -> None:
        """Wait until the service is ready; a machine with more work than cores gives it more time."""
        waited, before, status = 0.0, time.monotonic(), "no listener"
        while waited < READY_S:
            if process.poll() is not None:
                raise ServiceError(
                    f"service '{service.name}' failed to start (exit code {process.returncode}){_tail(log)}"
                )
            if _listens(process.pid, port):
                status = self._health(service, port)
                if status in _READY:
                    self._route(service, port)
                    return
            time.sleep(_POLL_S)
            now = time.monotonic()
            busy = max(1.0, os.getloadavg()[0] / (os.cpu_count() or 1))
            waited, before = waited + (now - before) / busy, now
        raise ServiceError(f"service '{service.name}' did not get ready: {status}{_tail(log)}")

    def _health(self, service: ServiceLike, port: int) -> str:
        url = httpx.URL(service.health_check).copy_with(port=port)
        try:
            with httpx.Client(trust_env=False, timeout=5.0) as client:
                reply = client.request(
                    service.health_check_method.upper(), url, headers={"X-Health-Check": "1"}
                )
        except httpx.HTTPError as error:
            return f"{type(error).__name__}: {error}"
        return str(reply.status_code)

    def _route(self, service: ServiceLike, port: int) -> None:
        try:
            self._router.forward(service.port, port)
        except ValueError as error:
            raise ServiceError(f"service '{service.name}': {error}") from error
        self._ports.append(service.port)

    def _stop(self) -> None:
        while self._ports:
            self._router.remove(self._ports.pop())
        for _, process, _ in self._running:
            process.kill()
        while self._running:
            _, process, log = self._running.pop()
            process.wait()
            log.close()


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _die_with_parent() -> None:
    """In the child: a worker that is killed takes its services with it."""
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)


def _listens(pid: int, port: int) -> bool:
    """Whether this very process listens on the port, by the kernel's word (``/proc``)."""
    listening = {
        fields[9]
        for name in ("tcp", "tcp6")
        for fields in _rows(Path("/proc/net") / name)
        if fields[3] == "0A" and int(fields[1].rpartition(":")[2], 16) == port
    }
    try:
        held = {str(entry.readlink()) for entry in Path(f"/proc/{pid}/fd").iterdir()}
    except OSError:  # it has just ended, which the next look at it says
        return False
    return any(f"socket:[{inode}]" in held for inode in listening)


def _rows(file: Path) -> list[list[str]]:
    return [line.split() for line in file.read_text().splitlines()[1:]] if file.exists() else []


def _tail(log: IO[bytes]) -> str:
    log.seek(0)
    text = log.read().decode("utf-8", "replace").strip()
    return f": {text[-400:]}" if text else ""
