"""The init's life: harden, take its configuration, serve until the host is gone."""

from __future__ import annotations

import _signal  # type: ignore[import-not-found]
import _socket
import errno
import os
import resource
import select
import sys
import time

from ise_gym.workspace.box.stops import Stops
from ise_gym.workspace.box.sweep import Family, kill_family
from ise_gym.workspace.box.wire import Wire

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from ise_gym.workspace.box.wire import Header

_SET_DUMPABLE, _SET_SUBREAPER, _SET_NO_NEW_PRIVS = 4, 36, 38


class Init(Stops):
    """The event loop: requests from the host, output of jobs, deaths of children."""

    def configure(self, config: Header) -> None:
        """Take limits, environment and path mapping from the first frame."""
        self.env = config["env"]
        self.roots = config["roots"]
        self.home_dir = config["cwd"]
        self.output_cap = config["output_bytes"]
        self.timeout = config["timeout_s"]
        os.umask(0o022)
        for name, value in config["rlimits"].items():
            kind = getattr(resource, name)
            hard = resource.getrlimit(kind)[1]
            value = value if hard == resource.RLIM_INFINITY else min(value, hard)
            resource.setrlimit(kind, (value, value))

    def finish(self) -> None:
        """The host is gone: take everything along."""
        if self.me != 1:  # the end of PID 1 ends its namespace by itself
            kill_family(Family(self.me, self.me, frozenset(), set(), keep_root=False), self.reap)
        os._exit(0)

    def serve(self) -> None:
        """Wait for whatever comes next, for ever."""
        channel = self.wire.sock.fileno()
        self.poll.register(channel, select.POLLIN)
        while True:
            now = time.monotonic()
            waits = [job.deadline for job in self.jobs.values() if job.deadline is not None]
            waits += [until for job in self.jobs.values() for _, until in job.waiters]
            pause = None if not waits else max(0, int((min(waits) - now) * 1000) + 1)
            died = False
            for fd, event in self.poll.poll(pause):
                if fd == self.wake:
                    died = True
                elif fd == channel:
                    for header, body in self.wire.frames():
                        self.handle(header, body)
                elif fd in self.owner:
                    self.on_pipe(fd, event)
            if died:
                self.on_death()
            self.on_clock()

    def handle(self, header: Header, body: bytes) -> None:
        """Do one request; an error in it is an answer too."""
        number = header["id"]
        try:
            answer = getattr(self, "op_" + header["op"])(header, body)
            if answer is not None:
                reply = answer[0]
                reply["id"] = number
                self.wire.send(reply, *answer[1:])
        except OSError as error:
            if error.errno is None:
                raise
            self.wire.send({"id": number, "errno": error.errno})
        except ValueError:  # a null byte or a lone surrogate in a path
            self.wire.send({"id": number, "errno": errno.EINVAL})
        except Exception as error:  # a bug here must reach the host as one, not end the box silently
            self.wire.send({"id": number, "bug": type(error).__name__ + ": " + str(error)})


def _prctl() -> Callable[[int, int], int]:
    """Return prctl(2) of two arguments, by the C half of `ctypes`: the package costs a fifth of a box's start."""
    try:
        import _ctypes

        address = _ctypes.dlsym(_ctypes.dlopen(None, os.RTLD_NOW), "prctl")  # type: ignore[arg-type]
        call = _ctypes.call_function
        return lambda option, value: call(address, (option, value, 0, 0, 0))
    except (ImportError, AttributeError):  # another interpreter
        import ctypes

        prctl = ctypes.CDLL(None).prctl
        return lambda option, value: prctl(option, value, 0, 0, 0)


def harden() -> None:
    """Close this process to its own user: no ptrace, no /proc/1/{environ,fd,mem}; adopt orphans everywhere."""
    call = _prctl()
    for option, value in ((_SET_DUMPABLE, 0), (_SET_SUBREAPER, 1), (_SET_NO_NEW_PRIVS, 1)):
        if call(option, value) != 0:
            raise OSError("prctl " + str(option) + " is refused")


def main() -> None:
    """Serve on the descriptor named by the first argument until the host closes it."""
    number = int(sys.argv[1])
    os.set_inheritable(number, False)
    for name in _signal.valid_signals():
        if name < 32 and name not in (_signal.SIGKILL, _signal.SIGSTOP, _signal.SIGCHLD):
            _signal.signal(name, _signal.SIG_IGN)
    # Opened before `harden`: afterwards this process's files under /proc belong to somebody else.
    oom = os.open("/proc/self/oom_score_adj", os.O_RDWR)
    harden()
    init = Init(Wire(_socket.socket(_socket.AF_UNIX, _socket.SOCK_STREAM, 0, number)))
    init.oom, init.oom_own = oom, int(os.pread(oom, 16, 0))
    try:
        configured = False
        while not configured:
            for header, _ in init.wire.frames():
                init.configure(header)
                init.wire.send({"id": header["id"], "pid": init.me})
                configured = True
        init.serve()
    except (EOFError, ConnectionError):
        init.finish()


if __name__ == "__main__":
    main()
