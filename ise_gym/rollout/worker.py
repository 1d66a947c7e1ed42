"""Plays the episodes that a driver hands out: the part of a rollout that runs in a worker process.

`Player` is one slot (env + agent); `main` is a process with several slots. The driver is
told of everything through one pipe, and a closed pipe (the driver died) ends the process with all its sandboxes.
"""

from __future__ import annotations

import contextlib
import os
import queue
import signal
import threading
import traceback
from multiprocessing.connection import Connection
from typing import Any, cast

from ise_gym.agents.base import Agent, BatchAgent
from ise_gym.errors import UserError, WorkspaceError
from ise_gym.models.metering import spent_by
from ise_gym.rollout.play import BatchPlayer, play_episode
from ise_gym.rollout.spec import Item, Plan, Result
from ise_gym.scenario import Scenario
from ise_gym.trajectory.record import Trajectory, episode_id, to_line

BUG = "bug: "
"""How the reason of an episode begins that an error in this code (or in a plug-in) ended; it isn't played again."""


class Player:
    """One env and one agent that play item after item.

    Args:
        plan: what is played.
        agent: an agent of this slot's own.
    """

    def __init__(self, plan: Plan, agent: Agent) -> None:
        self.plan = plan
        self.agent = agent
        self._env: Any = None

    def play(self, item: Item) -> Result:
        """Play one episode once; after a broken one the next gets a new env. Retrying is the driver's.

        Raises:
            UserError: what the user asked for can't be played at all.
        """
        scenario = self.plan.source.scenario(item.index)
        try:
            if self._env is None:
                self._env = self.plan.make_env()
            trajectory = play_episode(self._env, self.agent, scenario, item.seed)
        except UserError:
            raise
        except Exception as error:  # a bug costs one episode, not the night; it is recorded and counted
            trajectory = broken(scenario, item, self.agent.name, f"{BUG}{_short(error)}", _trace())
        if trajectory.outcome == "infrastructure_error":
            self.close_env()
        return result_of(item, trajectory)

    def close_env(self) -> None:
        """Close the env; the next episode makes a new one."""
        if self._env is not None:
            env, self._env = self._env, None
            with contextlib.suppress(WorkspaceError):  # it is broken already: that is why it is closed
                env.close()

    def close(self) -> None:
        """Close env and agent."""
        self.close_env()
        self.agent.close()


def result_of(item: Item, trajectory: Trajectory) -> Result:
    """Condense a trajectory to what the driver needs: the line to store and figures to show."""
    guard = trajectory.user.get("guard") or {}
    spent = [spent_by(trajectory.agent), spent_by(trajectory.user)]
    return Result(
        item=item,
        line=to_line(trajectory),
        outcome=trajectory.outcome,
        reason=trajectory.reason,
        score=trajectory.score or 0.0,
        user_turns=trajectory.counts.get("user_turns", 0),
        tool_calls=trajectory.counts.get("tool_calls", 0),
        guard_hits=int(guard.get("drifted", 0)),
        tokens=sum(tokens for tokens, _ in spent),
        cost=sum(cost for _, cost in spent),
        seconds=trajectory.timings.total_s,
    )


def broken(scenario: Scenario, item: Item, agent: str, reason: str, detail: str = "") -> Trajectory:
    """Build the record of an episode of which nothing is left but why it broke."""
    return Trajectory(
        episode_id=episode_id(scenario.id, item.seed, agent),
        scenario_id=scenario.id,
        seed=item.seed,
        intent=scenario.intent,
        brief=scenario.brief,
        domains=list(scenario.domains),
        tasks=list(scenario.tasks),
        complexity=scenario.complexity,
        split=scenario.split,
        outcome="infrastructure_error",
        reason=reason,
        score=None,
        messages=[],
        tools=[],
        agent={"name": agent},
        metadata={"detail": detail} if detail else {},
    )


def main(connection: Connection, plan: Plan) -> None:
    """Run a worker process: read items from the pipe, play them in slots, send back results.

    Messages to the driver are ``("ready", agent name)``, ``("result", Result)`` and ``("error", is_user_error, text)``.
    ``None`` from the driver means: finish what is running, then end.
    """
    _ignore_interrupts()
    link = _Link(connection)
    try:
        agent = plan.make_agent()
    except Exception as error:
        link.send(("error", isinstance(error, UserError), _text_of(error)))
        return
    if hasattr(agent, "act_batch"):
        _batch_loop(link, plan, cast("BatchAgent", agent))
    else:
        _thread_loop(link, plan, agent)


class _Link:
    """The pipe to the driver; several threads send, one receives."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._lock = threading.Lock()

    def send(self, message: tuple[Any, ...]) -> None:
        try:
            with self._lock:
                self._connection.send(message)
        except (BrokenPipeError, ConnectionResetError):
            os._exit(1)  # the driver is gone: nobody would store the rest, and the sandboxes die with us

    def receive(self) -> Item | None:
        try:
            item: Item | None = self._connection.recv()
        except (EOFError, ConnectionResetError):
            os._exit(1)
        return item

    def waiting(self) -> bool:
        return self._connection.poll()


def _thread_loop(link: _Link, plan: Plan, agent: Agent) -> None:
    todo: queue.SimpleQueue[Item | None] = queue.SimpleQueue()

    def slot(own: Agent | None) -> None:
        player = None
        try:
            player = Player(plan, own or cast("Agent", plan.make_agent()))
            while (item := todo.get()) is not None:
                link.send(("result", player.play(item)))
        except Exception as error:
            link.send(("error", isinstance(error, UserError), _text_of(error)))
        finally:
            if player:
                player.close()

    threads = [
        threading.Thread(target=slot, args=(agent if number == 0 else None,), name=f"slot-{number}")
        for number in range(plan.slots)
    ]
    for thread in threads:
        thread.start()
    link.send(("ready", agent.name))
    while (item := link.receive()) is not None:
        todo.put(item)
    for _ in threads:
        todo.put(None)
    for thread in threads:
        thread.join()


def _batch_loop(link: _Link, plan: Plan, agent: BatchAgent) -> None:
    """One model, many envs in lockstep; blocks for work only while nothing is being played."""
    envs: list[Any] = []
    player: BatchPlayer | None = None
    try:
        envs = [plan.make_env() for _ in range(plan.slots)]
        player = BatchPlayer(envs, agent)
        link.send(("ready", agent.name))
        draining = False
        while not draining or player.live:
            while not draining and player.free and (not player.live or link.waiting()):
                item = link.receive()
                if item is None:
                    draining = True
                else:
                    player.add(plan.source.scenario(item.index), item.seed, item)
            for trajectory, item in player.tick():
                link.send(("result", result_of(item, trajectory)))
    except Exception as error:
        link.send(("error", isinstance(error, UserError), _text_of(error)))
    finally:
        if player:
            player.close()
        for env in envs:
            env.close()
        agent.close()


def _ignore_interrupts() -> None:
    """Ctrl-C reaches the whole process group, and the driver decides what happens then.

    A handler, unlike SIG_IGN, isn't inherited by the commands that run in the sandbox.
    """
    signal.signal(signal.SIGINT, lambda signum, frame: None)


def _text_of(error: Exception) -> str:
    return str(error) if isinstance(error, UserError) else _trace()


def _short(error: Exception) -> str:
    return f"{type(error).__name__}: {error}".splitlines()[0][:300]


def _trace() -> str:
    return traceback.format_exc(limit=-12)
