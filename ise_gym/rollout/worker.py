"""A worker process: plays the items that come through its pipe and sends back what became of them.

What it plays is its player's affair. The driver is told of everything through one pipe, and a closed pipe (the driver
died) ends the process at once with all that it holds.
"""

from __future__ import annotations

import os
import queue
import signal
import threading
import traceback
from collections.abc import Callable, Mapping
from multiprocessing.connection import Connection
from typing import Any, cast

from ise_gym.errors import UserError
from ise_gym.rollout.work import A, I, LockstepPlayer, Player
from ise_gym.waiting import Clock, keep

MakePlayer = Callable[[], Player[I, A] | LockstepPlayer[I, A]]


def main(
    connection: Connection,
    make_player: MakePlayer[I, A],
    slots: int,
    environ: Mapping[str, str] | None = None,
) -> None:
    """Run a worker process: read items from the pipe, play them in slots, send back results.

    Messages to the driver are ``("ready", description of the agent)``, ``("playing", whether)`` when that changes,
    ``("result", Attempt)`` and ``("error", is_user_error, text)``. ``None`` from the driver means: finish what is
    running, then end.

    Args:
        connection: the pipe.
        make_player: builds a player; called once more for each further slot, in the slot's thread.
        slots: items to play at once.
        environ: the environment to take, in place of the one that this process began with.
    """
    _ignore_interrupts()
    if environ is not None:
        os.environ.clear()
        os.environ.update(environ)
    link = _Link(connection)
    clock = Clock(lambda playing: link.send(("playing", playing)))
    keep(clock)
    try:
        player = make_player()
    except Exception as error:
        link.send_error(error)
        return
    if hasattr(player, "tick"):
        _lockstep_loop(link, clock, cast("LockstepPlayer[I, A]", player))
    else:
        _thread_loop(link, clock, player, make_player, slots)


class _Link:
    """The pipe to the driver; several threads send, one receives."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._lock = threading.Lock()

    def send(self, message: tuple[object, ...]) -> None:
        try:
            with self._lock:
                self._connection.send(message)
        except (BrokenPipeError, ConnectionResetError):
            os._exit(1)  # the driver is gone: nobody would store the rest, and the sandboxes die with us

    def send_error(self, error: Exception) -> None:
        is_user_error = isinstance(error, UserError)
        self.send(("error", is_user_error, str(error) if is_user_error else traceback.format_exc(limit=-12)))

    def receive(self) -> Any | None:
        try:
            return self._connection.recv()
        except (EOFError, ConnectionResetError):
            os._exit(1)

    def waiting(self) -> bool:
        return self._connection.poll()


def _thread_loop(
    link: _Link, clock: Clock, first: Player[I, A], make_player: MakePlayer[I, A], slots: int
) -> None:
    todo: queue.SimpleQueue[Any | None] = queue.SimpleQueue()

    def slot(player: Player[I, A] | None) -> None:
        try:
            player = player or cast("Player[I, A]", make_player())
            while (item := todo.get()) is not None:
                with clock.playing():
                    attempt = player.play(item)
                link.send(("result", attempt))
        except Exception as error:
            link.send_error(error)
        except (
            BaseException
        ) as error:  # such as sys.exit() in a grader: the worker's end, not only its thread's
            traceback.print_exc()
            os._exit(error.code if isinstance(error, SystemExit) and isinstance(error.code, int) else 1)
        finally:
            if player:
                player.close()

    threads = [
        threading.Thread(target=slot, args=(first if number == 0 else None,), name=f"slot-{number}")
        for number in range(slots)
    ]
    link.send(("ready", dict(first.about)))
    for thread in threads:
        thread.start()
    while (item := link.receive()) is not None:
        todo.put(item)
    for _ in threads:
        todo.put(None)
    for thread in threads:
        thread.join()


def _lockstep_loop(link: _Link, clock: Clock, player: LockstepPlayer[I, A]) -> None:
    """One model, many items in lockstep; blocks for work only while nothing is being played."""
    try:
        link.send(("ready", dict(player.about)))
        draining = False
        while not draining or player.live:
            while not draining and player.free and (not player.live or link.waiting()):
                item = link.receive()
                if item is None:
                    draining = True
                else:
                    with clock.playing():
                        player.add(item)
            with clock.playing():
                ended = player.tick()
            for attempt in ended:
                link.send(("result", attempt))
    except Exception as error:
        link.send_error(error)
    finally:
        player.close()


def _ignore_interrupts() -> None:
    """Ctrl-C reaches the whole process group, and the driver decides what happens then.

    A handler, unlike SIG_IGN, isn't inherited by the commands that run in the sandbox.
    """
    signal.signal(signal.SIGINT, lambda signum, frame: None)
