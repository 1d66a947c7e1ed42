"""The pipes of commands: fed, read into bounded buffers, drained, dropped.

A command is over when its main process is: children that still hold its pipe are not waited for, but keep a
reader, so that they don't die of SIGPIPE.
"""

from __future__ import annotations

import _signal  # type: ignore[import-not-found]
import fcntl
import os
import select
import struct
import termios
import time

from ise_gym.workspace.box.sweep import KILL, STOP
from ise_gym.workspace.box.wire import CHUNK, Capped, Wire

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Hashable


class Job:
    """One command that was started: its process, pipes and who waits for it."""

    def __init__(self, pid: int, before: frozenset[int], cap: int) -> None:
        self.pid = pid
        self.before = before
        self.outputs: dict[int, int] = {}
        self.buffers = (Capped(cap), Capped(cap))
        self.stdin = -1
        self.pending = b""
        self.close_stdin = False
        self.pty = False
        self.deadline: float | None = None
        self.started = time.monotonic()
        self.timed_out = False
        self.sweep = False
        self.status: int | None = None
        self.reply_to: tuple[int, Hashable] | None = None
        self.waiters: list[tuple[int, float]] = []


class Pipes:
    """The part of the init that moves what commands read and print; it holds the state that the other parts share."""

    def __init__(self, wire: Wire) -> None:
        self.wire = wire
        self.poll = select.poll()
        self.jobs: dict[Hashable, Job] = {}
        self.by_pid: dict[int, Job] = {}
        self.owner: dict[int, Job | None] = {}
        self.strays: list[int] = []
        self.me = os.getpid()
        self.null = os.open("/dev/null", os.O_RDWR)
        self.oom, self.oom_own = -1, 0
        self.stopped: set[int] | None = None
        self.default_signals = [s for s in _signal.valid_signals() if s not in (KILL, STOP)]
        self.wake, wake_w = os.pipe()
        for fd in (self.wake, wake_w):
            os.set_blocking(fd, False)
        _signal.set_wakeup_fd(wake_w, warn_on_full_buffer=False)
        _signal.signal(_signal.SIGCHLD, lambda *_: None)
        self.poll.register(self.wake, select.POLLIN)
        self.env: dict[str, str] = {}
        self.roots: dict[str, str] = {}
        self.home_dir = "/"
        self.output_cap = 0
        self.timeout = 0.0

    def feed(self, job: Job) -> None:
        """Push pending stdin; poll for more room only while some is pending."""
        fd = job.stdin
        if fd < 0:
            return
        try:
            while job.pending:
                job.pending = job.pending[os.write(fd, job.pending) :]
        except BlockingIOError:
            self.poll.register(fd, (select.POLLIN if job.pty else 0) | select.POLLOUT)
            return
        except OSError:  # the reader closed its end: what is left can't be delivered
            job.pending = b""
            job.close_stdin = True
        if job.pty:
            self.poll.register(fd, select.POLLIN)
            return
        if job.close_stdin:
            self.drop_stdin(job)
        else:
            self.unregister(fd)

    def drop_stdin(self, job: Job) -> None:
        """Close the write end of a job's stdin pipe."""
        if job.stdin >= 0 and not job.pty:
            self.unregister(job.stdin)
            self.owner.pop(job.stdin, None)
            os.close(job.stdin)
        job.stdin = -1

    def unregister(self, fd: int) -> None:
        """Stop polling a descriptor, if it was polled."""
        try:
            self.poll.unregister(fd)
        except KeyError:
            return  # it was not polled

    def on_pipe(self, fd: int, event: int) -> None:
        """Move bytes of a job that is ready."""
        job = self.owner[fd]
        if job is not None and fd == job.stdin and event & (select.POLLOUT | select.POLLERR):
            self.feed(job)
            if not event & select.POLLIN:
                return
        try:
            data = os.read(fd, CHUNK)
        except BlockingIOError:
            return
        except OSError:  # EIO: the last holder of a pty's slave is gone
            data = b""
        if not data:
            self.drop_output(fd)
        elif job is not None and fd in job.outputs:
            job.buffers[job.outputs[fd]].add(data)

    def drop_output(self, fd: int) -> None:
        """Close a read end: nobody holds the other any more, or too many are kept."""
        job = self.owner.pop(fd)
        self.unregister(fd)
        os.close(fd)
        if job is not None:
            job.outputs.pop(fd, None)
            if job.stdin == fd:
                job.stdin = -1
        if fd in self.strays:
            self.strays.remove(fd)

    def drain(self, fd: int, buffer: Capped) -> None:
        """Read what the dead process left in the pipe, and no more: a child may be writing for ever."""
        waiting = struct.unpack("i", fcntl.ioctl(fd, termios.FIONREAD, b"\0\0\0\0"))[0]
        # A pty reports less than it holds until its flip buffer is pushed: go on until it is empty, at most 1 MB.
        budget = 1 << 20 if os.isatty(fd) else waiting
        while budget > 0:
            try:
                data = os.read(fd, min(budget, CHUNK))
            except BlockingIOError:
                return
            except OSError:
                data = b""
            if not data:
                self.drop_output(fd)
                return
            budget -= len(data)
            buffer.add(data)
