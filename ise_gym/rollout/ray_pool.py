"""Worker processes on a Ray cluster: the same episodes, played by Ray actors.

`ise_gym.rollout.engine.run(..., make_pool=RayPool)` or ``ise rollout --engine ray``. Ray places, scales and restarts;
what is played, retried and stored is the driver's affair, exactly as with local processes. ``RAY_ADDRESS`` names a
running cluster (every node needs ise_gym and a sandbox); without it a local one is started.
"""

from __future__ import annotations

import os
import queue
import time
from typing import Any, cast

from ise_gym.agents.base import Agent
from ise_gym.errors import UserError
from ise_gym.rollout.pool import MAX_BAD_STARTS, Event, Lost
from ise_gym.rollout.spec import Item, Plan, Result
from ise_gym.rollout.worker import Player


class _Slots:
    """What runs in an actor: as many players as it plays episodes at once, made when first needed."""

    def __init__(self, plan: Plan) -> None:
        self._plan = plan
        first = plan.make_agent()
        self._name = first.name
        self._players: queue.SimpleQueue[Player | None] = queue.SimpleQueue()
        self._players.put(Player(plan, cast("Agent", first)))
        for _ in range(plan.slots - 1):
            self._players.put(None)

    def agent_name(self) -> str:
        return self._name

    def play(self, item: Item) -> Result:
        player = self._players.get() or Player(self._plan, cast("Agent", self._plan.make_agent()))
        try:
            return player.play(item)
        finally:
            self._players.put(player)

    def close(self) -> None:
        for _ in range(self._plan.slots):
            if player := self._players.get():
                player.close()


class RayPool:
    """A `Pool` of Ray actors.

    Args:
        plan: what they play.
        workers: how many actors; each asks Ray for one CPU and plays ``plan.slots`` episodes in threads.

    Raises:
        UserError: Ray is not installed, or the agent can't be made.
    """

    def __init__(self, plan: Plan, workers: int) -> None:
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
            ray.init(include_dashboard=False, log_to_driver=False, logging_level="warning")
        self._plan = plan
        self._bad_starts = 0
        self._tasks: dict[Any, tuple[Any, Item]] = {}
        self._moved: dict[
            Any, float
        ] = {}  # actor → when it last ended an episode, or got one while it had none
        self._actors: list[Any] = []
        try:
            for _ in range(workers):
                self._actors.append(self._start())
            self.agent_name: str = self._answer(self._actors[0].agent_name.remote())
        except BaseException:
            self.close(now=True)
            raise

    def room(self) -> int:
        """How many more items can be handed out now; one a worker more than are played."""
        return len(self._actors) * (self._plan.slots + 1) - len(self._tasks)

    def submit(self, item: Item) -> None:
        """Hand an item to the actor that has fewest."""
        load = [sum(actor is a for a, _ in self._tasks.values()) for actor in self._actors]
        actor = self._actors[load.index(min(load))]
        if min(load) == 0:
            self._moved[actor] = time.monotonic()
        self._tasks[actor.play.remote(item)] = (actor, item)

    def events(self, timeout: float) -> list[Event]:
        """Wait up to ``timeout`` seconds for results and deaths; dead and stuck actors are replaced."""
        limit = self._plan.stuck_after_s
        for actor, moved in list(self._moved.items()) if limit else ():
            if time.monotonic() - moved > limit and any(a is actor for a, _ in self._tasks.values()):
                del self._moved[actor]  # killed once; its tasks then fail as those of any dead actor
                self._ray.kill(actor)
        done, _ = (
            self._ray.wait(list(self._tasks), num_returns=1, timeout=timeout) if self._tasks else ([], [])
        )
        found: list[Event] = []
        for task in done:
            if task not in self._tasks:
                continue  # its actor was buried with an earlier task of this round
            actor = self._tasks[task][0]
            try:
                result: Result = self._answer(task)
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
        remote = self._ray.remote(num_cpus=1, max_concurrency=self._plan.slots + 1)(_Slots)
        return remote.remote(self._plan)

    def _answer(self, task: Any) -> Any:
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

    def _bury(self, actor: Any, error: Exception) -> Lost:
        items = tuple(item for a, item in self._tasks.values() if a is actor)
        self._tasks = {task: value for task, value in self._tasks.items() if value[0] is not actor}
        self._actors.remove(actor)
        self._moved.pop(actor, None)
        self._bad_starts += 1
        if self._bad_starts > MAX_BAD_STARTS * max(len(self._actors), 1):
            raise RuntimeError("Ray actors die again and again without finishing an episode") from error
        self._actors.append(self._start())
        return Lost(items, f"Ray actor died ({type(error).__name__})")


def _cause(error: Any) -> Exception:
    cause = error.cause
    return cause if isinstance(cause, UserError) else RuntimeError(f"a Ray worker failed:\n{error}")
