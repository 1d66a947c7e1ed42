"""A task's mock services as fresh module objects in this process, with the task's own environment.

Their state lives in module globals, so every task gets modules of its own: nothing of the last task is left, two
tasks never share a port, and starting costs milliseconds.
"""

from __future__ import annotations

import importlib.util
import itertools
import os
import shlex
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from types import TracebackType
from typing import Any, Protocol

import httpx

from eval.claweval.asgi import Router
from eval.claweval.clock import shift_of, standing_at
from ise_gym.errors import UserError

_numbers = itertools.count()


class ServiceError(RuntimeError):
    """A mock service can't be started: an infrastructure failure."""


class ServiceLike(Protocol):
    """What is needed of a service's definition, the benchmark's own or ours."""

    name: str
    command: str
    port: int
    health_check: str
    health_check_method: str
    env: dict[str, str]


class InProcessServices:
    """The services of one task, served by a router while the context is open.

    Args:
        services: their definitions.
        root: the checkout; commands and fixture paths are relative to it, so it must be the working directory.
        router: which answers the clients of this process.
        clock: "task" starts services that move their fixtures to today at the moment at which they move nothing.

    Raises (on entering):
        ServiceError: a command that isn't a Python file with an ``app``, or a service that isn't healthy.
        UserError: a package that a service imports is not installed.
    """

    def __init__(
        self, services: Sequence[ServiceLike], root: Path, router: Router, clock: str = "upstream"
    ) -> None:
        self._services, self._root, self._router, self._clock = services, root, router, clock
        self._ports: list[int] = []
        self._modules: list[str] = []

    def __enter__(self) -> InProcessServices:
        try:
            for service in self._services:
                self._start(service)
        except BaseException:
            self._stop()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stop()

    def _start(self, service: ServiceLike) -> None:
        file = self._file(service)
        with environment(service.env), _import_path_kept():
            app = (
                self._load_at_its_time(service, file) if self._clock == "task" else self._load(service, file)
            )
        try:
            self._router.add(service.port, app, lambda: environment(service.env))
        except ValueError as error:
            raise ServiceError(f"service '{service.name}': {error}") from error
        self._ports.append(service.port)
        self._probe(service)

    def _file(self, service: ServiceLike) -> Path:
        words = shlex.split(service.command)
        if len(words) != 2 or Path(words[0]).name not in ("python", "python3"):
            raise ServiceError(
                f"service '{service.name}': '{service.command}' is not 'python FILE' and can't run in process"
            )
        return self._root / words[1]

    def _load_at_its_time(self, service: ServiceLike, file: Path) -> Any:
        moment = datetime.now(UTC).replace(microsecond=0)
        with standing_at(moment):
            app = self._load(service, file)
        shift = shift_of(sys.modules[self._modules[-1]], service.env, self._root)
        if not shift:
            return app
        with standing_at(moment - shift):
            return self._load(service, file)

    def _load(self, service: ServiceLike, file: Path) -> Any:
        name = f"claweval_service_{next(_numbers)}"
        spec = importlib.util.spec_from_file_location(name, file)
        if spec is None or spec.loader is None or not file.is_file():
            raise ServiceError(f"service '{service.name}': there is no Python file {file}")
        module = importlib.util.module_from_spec(spec)
        sys.modules[name] = module  # pydantic looks up a model's annotations there
        self._modules.append(name)
        try:
            spec.loader.exec_module(module)
        except ModuleNotFoundError as error:
            raise UserError(
                f"service '{service.name}' needs the Python package {error.name}: pip install 'ise-gym[claweval]'."
            ) from error
        except Exception as error:
            raise ServiceError(
                f"service '{service.name}' failed to start: {type(error).__name__}: {error}"
            ) from error
        app = getattr(module, "app", None)
        if app is None:
            raise ServiceError(f"service '{service.name}': {file} has no 'app'")
        return app

    def _probe(self, service: ServiceLike) -> None:
        """Ask for health once, as the benchmark does: some services count this request in their audit."""
        with httpx.Client(trust_env=False, timeout=5.0) as client:
            response = client.request(
                service.health_check_method.upper(), service.health_check, headers={"X-Health-Check": "1"}
            )
        if response.status_code >= 500:
            raise ServiceError(f"service '{service.name}' is not healthy: status {response.status_code}")

    def _stop(self) -> None:
        while self._ports:
            self._router.remove(self._ports.pop())
        while self._modules:
            sys.modules.pop(self._modules.pop(), None)


@contextmanager
def environment(values: Mapping[str, str]) -> Iterator[None]:
    """Set environment variables for a while."""
    before = {name: os.environ.get(name) for name in values}
    os.environ.update({name: str(value) for name, value in values.items()})
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value


@contextmanager
def _import_path_kept() -> Iterator[None]:
    """Undo what server files put on ``sys.path``: it would grow with every task."""
    before = list(sys.path)
    try:
        yield
    finally:
        sys.path[:] = before
