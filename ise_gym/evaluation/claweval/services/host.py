"""A task's mock services as modules in this process, with the task's own environment.

Their state lives in module globals, which are made anew for every task: nothing of the last task is left, two tasks
never share a port, and starting costs milliseconds.
"""

from __future__ import annotations

import os
import shlex
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from types import ModuleType, TracebackType
from typing import Any, Protocol

import httpx

from ise_gym.errors import UserError
from ise_gym.evaluation.claweval.services.asgi import Router
from ise_gym.evaluation.claweval.services.clock import shift_of, standing_at
from ise_gym.evaluation.claweval.services.modules import NoSuchFile, ServiceModules
from ise_gym.evaluation.claweval.services.surroundings import Surroundings


class ServiceError(RuntimeError):
    """A mock service can't be started: an infrastructure failure."""


class ServiceLike(Protocol):
    """What is needed of a service's definition, the benchmark's own or ours."""

    @property
    def name(self) -> str:
        """Its name in the task."""
        ...

    @property
    def command(self) -> str:
        """What starts it."""
        ...

    @property
    def port(self) -> int:
        """Where it listens."""
        ...

    @property
    def health_check(self) -> str:
        """The address that says whether it is up."""
        ...

    @property
    def health_check_method(self) -> str:
        """GET or POST."""
        ...

    @property
    def env(self) -> dict[str, str]:
        """Its environment."""
        ...


class InProcessServices:
    """The services of one task, served by a router while the context is open.

    Args:
        services: their definitions.
        root: the checkout; commands and fixture paths are relative to it, so it must be the working directory.
        router: which answers the clients of this process.
        clock: "task" starts services that move their fixtures to today at the moment at which they move nothing.
        modules: those that this process has loaded for earlier tasks.

    Raises (on entering):
        ServiceError: a command that isn't a Python file with an ``app``, or a service that isn't healthy.
        UserError: a package that a service imports is not installed.
    """

    def __init__(
        self,
        services: Sequence[ServiceLike],
        root: Path,
        router: Router,
        clock: str = "upstream",
        modules: ServiceModules | None = None,
    ) -> None:
        self._services, self._root, self._router, self._clock = services, root, router, clock
        self._modules = modules or ServiceModules()
        self._ports: list[int] = []
        self._taken: list[ModuleType] = []

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
        around = Surroundings(file)
        with environment(service.env), around.entered():
            app = (
                self._load_at_its_time(service, file) if self._clock == "task" else self._load(service, file)
            )
        try:
            self._router.add(service.port, app, lambda: _inside(service.env, around))
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
        shift = shift_of(self._taken[-1], service.env, self._root)
        if not shift:
            return app
        with standing_at(moment - shift):
            return self._load(service, file)

    def _load(self, service: ServiceLike, file: Path) -> Any:
        try:
            # A clock that stands is caught by a module's imports, so these have to be run again.
            module = self._modules.take(file, whole=self._clock == "task")
        except NoSuchFile as error:
            raise ServiceError(f"service '{service.name}': there is no Python file {file}") from error
        except ModuleNotFoundError as error:
            raise UserError(
                f"service '{service.name}' needs the Python package {error.name}: pip install 'ise-gym[claweval]'."
            ) from error
        except Exception as error:
            raise ServiceError(
                f"service '{service.name}' failed to start: {type(error).__name__}: {error}"
            ) from error
        self._taken.append(module)
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
        while self._taken:
            self._modules.give_back(self._taken.pop())


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
def _inside(env: Mapping[str, str], around: Surroundings) -> Iterator[None]:
    with environment(env), around.entered():
        yield
