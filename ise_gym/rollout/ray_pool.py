"""Worker processes on a Ray cluster: the same work, played by Ray actors.

`ise_gym.rollout.run.run(..., make_pool=RayPool)` or ``ise rollout --engine ray``. Ray places, scales and restarts;
what is played, retried and stored is the driver's affair, exactly as with local processes. ``RAY_ADDRESS`` names a
running cluster (every node needs ise_gym and a sandbox); without it a local one is started.
"""

from __future__ import annotations

import os
import queue
import sys
import time
from collections.abc import Mapping
from typing import Any, Generic

from ise_gym.errors import UserError
from ise_gym.rollout.pool import MAX_BAD_STARTS
from ise_gym.rollout.work import A, Crew, I, Lost, Player
from ise_gym.rollout.worker import MakePlayer


class _Slots:
    """What runs in an actor: as many players as it plays items at once, made when first needed."""

    def __init__(self, make_player: MakePlayer[Any, Any], slots: int) -> None:
        self._make_player = make_player
        self._slots = slots
        first = self._made()
        self._about = dict(first.about)
        self._players: queue.SimpleQueue[Player[Any, Any] | None] = queue.SimpleQueue()
        self._players.put(first)
        for _ in range(slots - 1):
            self._players.put(None)

    def _made(self) -> Player[Any, Any]:
        player = self._make_player()
        if hasattr(player, "tick"):
            player.close()
            raise UserError(
                f"{player.about['name']} answers in batches, which Ray actors don't play: leave --engine ray out."
            )
        return player

    def about(self) -> dict[str, Any]:
        return self._about

    def play(self, item: object) -> Any:
        player = self._players.get()
        try:
            player = player or self._made()
            return player.play(item)
        finally:
            self._players.put(player)

    def close(self) -> None:
        for _ in range(self._slots):
            if player := self._players.get():
                player.close()


def _same_modules() -> dict[str, Any]:
    """Let the workers of a local cluster import what this process can, so that they find plug-ins by their names."""
    if os.environ.get("RAY_ADDRESS"):
        return {}
    path = os.pathsep.join(folder for folder in sys.path if folder)
    return {"runtime_env": {"env_vars": {"PYTHONPATH": path}}}


class RayPool(Generic[I, A]):
    """A `Pool` of Ray actors.

    Args:
        crew: how they are made.
        workers: how many actors; each asks Ray for one CPU and plays ``crew.slots`` items in threads.

    Raises:
        UserError: Ray is not installed, or the player can't be made.
    """

    def __init__(self, crew: Crew[I, A], workers: int) -> None:
        try:
            import ray
        except ImportError as error:
            raise UserError(
                "--engine ray needs Ray, which is not installed: pip install 'ise-gym[ray]'"
            ) from error
        os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
        self._ray: Any = ray
        self._started = not ray.is_initialized()
        if self._started:
            ray.init(include_dashboard=False, log_to_driver=False, logging_level="warning", **_same_modules())
        self._crew = crew
        self._bad_starts = 0
        self._tasks: dict[Any, tuple[Any, I]] = {}
        # actor → when it last ended an item, or got one while it had none
        self._moved: dict[Any, float] = {}
        self._actors: list[Any] = []
        try:
            for _ in range(workers):
                self._actors.append(self._start())
            self.about: Mapping[str, Any] = self._answer(self._actors[0].about.remote())
        except BaseException:
            self.close(now=True)
            raise

    def room(self) -> int:
        """How many more items can be handed out now; one a worker more than are played."""
        return len(self._actors) * self._crew.capacity - len(self._tasks)

    def submit(self, item: I) -> None:
        """Hand an item to the actor that has fewest."""
        load = [sum(actor is a for a, _ in self._tasks.values()) for actor in self._actors]
        actor = self._actors[load.index(min(load))]
        if min(load) == 0:
            self._moved[actor] = time.monotonic()
        self._tasks[actor.play.remote(item)] = (actor, item)

    def events(self, timeout: float) -> list[A | Lost[I]]:
        """Wait up to ``timeout`` seconds for results and deaths; dead and stuck actors are replaced."""
        for actor, moved in list(self._moved.items()):
            limit = self._crew.patience_with(self._items(actor))
            if limit and time.monotonic() - moved > limit:
                del self._moved[actor]  # killed once; its tasks then fail as those of any dead actor
                self._ray.kill(actor)
        if not self._tasks:
            time.sleep(timeout)
            return []
        done, _ = self._ray.wait(list(self._tasks), num_returns=1, timeout=timeout)
        found: list[A | Lost[I]] = []
        for task in done:
            if task not in self._tasks:
                continue  # its actor was buried with an earlier task of this round
            actor = self._tasks[task][0]
            try:
                result: A = self._answer(task)
            except self._ray.exceptions.RayActorError as error:
                found.append(self._bury(actor, error))
                continue
            del self._tasks[task]
            self._moved[actor] = time.monotonic()
            self._bad_starts = 0
            found.append(result)
        return found

    def close(self, *, now: bool) -> None:
        """End the actors, and the local cluster when this pool started it."""
        if not now:
            self._ray.wait(
                [actor.close.remote() for actor in self._actors], num_returns=len(self._actors), timeout=30
            )
        for actor in self._actors:
            self._ray.kill(actor)
        self._actors.clear()
        self._tasks.clear()
        self._moved.clear()
        if self._started:
            self._ray.shutdown()

    def _start(self) -> Any:
        remote = self._ray.remote(num_cpus=1, max_concurrency=self._crew.slots + 1)(_Slots)
        return remote.remote(self._crew.make_player, self._crew.slots)

    def _items(self, actor: object) -> tuple[I, ...]:
        return tuple(item for a, item in self._tasks.values() if a is actor)

    def _answer(self, task: object) -> Any:
        """Get a result; errors of the worker's own come out as they went in."""
        try:
            return self._ray.get(task)
        except self._ray.exceptions.RayTaskError as error:
            raise _cause(error) from error
        except self._ray.exceptions.ActorDiedError as error:
            if isinstance(cause := getattr(error, "cause", None) or error, self._ray.exceptions.RayTaskError):
                raise _cause(cause) from error
            if "UserError" in str(error):  # raised while the actor was made; Ray keeps only its text
                raise UserError(str(error).split("UserError: ", 1)[1].splitlines()[0]) from error
            raise

    def _bury(self, actor: object, error: Exception) -> Lost[I]:
        items = self._items(actor)
        self._tasks = {task: value for task, value in self._tasks.items() if value[0] is not actor}
        self._actors.remove(actor)
        self._moved.pop(actor, None)
        self._bad_starts += 1
        if self._bad_starts > MAX_BAD_STARTS * max(len(self._actors), 1):
            raise RuntimeError("Ray actors keep dying before they finish anything") from error
        self._actors.append(self._start())
        return Lost(items, f"Ray actor died ({type(error).__name__})")


def _cause(error: Any) -> Exception:
    cause = error.cause
    return cause if isinstance(cause, UserError) else RuntimeError(f"a Ray worker failed:\n{error}")
