"""Commands: started, fed, read, timed out, killed and buried.

One loop serves all of them, so a long command can be polled or killed while others run. Output goes to
bounded buffers as it comes. A command is over when its main process is: children that still hold its pipe
are not waited for, but keep a reader, so that they don't die of SIGPIPE.
"""

# pathlib would double the start-up time of a box.
# ruff: noqa: PTH112, PTH115
from __future__ import annotations

import _signal  # type: ignore[import-not-found]
import errno
import fcntl
import os
import select
import struct
import termios
import time

from ise_gym.workspace.box.sweep import KILL, STOP, Family, kill_family
from ise_gym.workspace.box.wire import CHUNK, Capped, Wire, live_pids

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Hashable, Mapping, Sequence
    from typing import Any, NoReturn

    Answer = tuple[Any, ...] | None

STRAY_PIPES = 64
PTY_EOF = b"\x04"


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


def find_program(name: str, path: str) -> str:
    """Look a program up in the command's own PATH (posix_spawnp would use this process's)."""
    if "/" in name:
        return name
    for folder in path.split(":"):
        full = (folder or ".") + "/" + name
        if os.access(full, os.X_OK) and not os.path.isdir(full):
            return full
    raise OSError(errno.ENOENT, "not found")


class Processes:
    """The part of the init that runs commands."""

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
        self.stopped: set[int] | None = (
            None  # what was stopped already when all others were; None while commands run
        )
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

    def in_box(self, path: str) -> str:
        """Resolve a path against the workspace; ``roots`` maps box paths where there is no mount namespace."""
        full = path if path.startswith("/") else self.home_dir + "/" + path
        for prefix, real in self.roots.items():
            if full == prefix or full.startswith(prefix + "/"):
                return real + full[len(prefix) :]
        return full

    def launch(
        self,
        argv: Sequence[str],
        cwd: str,
        extra_env: Mapping[str, str] | None,
        actions: list[tuple[Any, ...]],
        alone: bool,
    ) -> int:
        """Start a program in a new session with default signals; cwd by chdir, since this is single-threaded.

        posix_spawn is the fast way, but it suspends this process until the child has become the program, which another
        command can delay for ever by stopping it: where others run, a fork takes its place.
        """
        env = dict(self.env)
        env.update(extra_env or {})
        os.chdir(self.in_box(cwd))
        self.expendable(True)
        try:
            program = find_program(argv[0], env.get("PATH", ""))
            if alone:
                return os.posix_spawn(
                    program,
                    list(argv),
                    env,
                    file_actions=actions,
                    setsid=True,
                    setsigmask=(),
                    setsigdef=self.default_signals,
                )
            pid = os.fork()
            if pid == 0:
                self.become(program, argv, env, actions)
        finally:
            self.expendable(False)
            os.chdir("/")
        return pid

    def alone(self, live: frozenset[int]) -> bool:
        """Whether no command runs that could stop a child of this process."""
        return self.stopped is not None or self.me != 1 or live == {self.me}

    def become(
        self, program: str, argv: Sequence[str], env: Mapping[str, str], actions: list[tuple[Any, ...]]
    ) -> NoReturn:
        """In the child: take its descriptors and signals and turn into the program, or say why not and end."""
        code = 126
        try:
            os.setsid()
            for kind, *values in actions:
                if kind == os.POSIX_SPAWN_DUP2:
                    os.dup2(values[0], values[1])
                else:
                    opened = os.open(values[1], values[2], values[3])
                    os.dup2(opened, values[0])
            _signal.set_wakeup_fd(-1)
            for number in self.default_signals:
                _signal.signal(number, _signal.SIG_DFL)
            _signal.pthread_sigmask(_signal.SIG_SETMASK, ())
            os.execve(program, list(argv), dict(env))
        except (OSError, ValueError) as error:
            answer = self.not_started(error, argv[0])
            code = answer[0]["code"]
            os.write(1, answer[1])
        finally:
            os._exit(code)

    def expendable(self, now: bool) -> None:
        """When memory runs out the kernel shall take commands, which inherit this at the fork, not this process."""
        if self.oom >= 0:
            try:
                os.pwrite(self.oom, b"%d" % (min(1000, self.oom_own + 500) if now else self.oom_own), 0)
            except OSError:
                return  # only a preference is lost

    def start(
        self, key: Hashable, header: Mapping[str, Any], stdin: bytes, merge: bool, keep_stdin: bool
    ) -> Job:
        """Start a job with pipes (or a pty) and register it under ``key``."""
        before = live_pids()
        opened: list[int] = []
        parent: list[tuple[int, int]] = []
        actions: list[tuple[Any, ...]] = []

        def pipe() -> tuple[int, int]:
            pair = os.pipe()
            opened.extend(pair)
            return pair

        try:
            if header.get("pty"):
                master, slave = os.openpty()
                opened += [master, slave]
                name = os.ttyname(slave)
                actions = [
                    (os.POSIX_SPAWN_OPEN, 0, name, os.O_RDWR, 0),
                    (os.POSIX_SPAWN_DUP2, 0, 1),
                    (os.POSIX_SPAWN_DUP2, 0, 2),
                ]
                parent = [(master, 0)]
                in_w = master
            else:
                out_r, out_w = pipe()
                parent = [(out_r, 0)]
                err_w = out_w
                if not merge:
                    err_r, err_w = pipe()
                    parent.append((err_r, 1))
                in_w = -1
                in_r = self.null
                if stdin or keep_stdin:
                    in_r, in_w = pipe()
                actions = [
                    (os.POSIX_SPAWN_DUP2, in_r, 0),
                    (os.POSIX_SPAWN_DUP2, out_w, 1),
                    (os.POSIX_SPAWN_DUP2, err_w, 2),
                ]
            pid = self.launch(header["argv"], header["cwd"], header.get("env"), actions, self.alone(before))
        except BaseException:
            for fd in opened:
                os.close(fd)
            raise
        kept = {fd for fd, _ in parent} | {in_w}
        for fd in opened:
            if fd not in kept:
                os.close(fd)
        job = Job(pid, before, self.output_cap)
        job.pty = bool(header.get("pty"))
        job.stdin = in_w
        job.pending = stdin
        job.close_stdin = not keep_stdin
        for fd, which in parent:
            os.set_blocking(fd, False)
            job.outputs[fd] = which
            self.owner[fd] = job
            self.poll.register(fd, select.POLLIN)
        if in_w >= 0 and not job.pty:
            os.set_blocking(in_w, False)
            self.owner[in_w] = job
        if in_w >= 0:
            self.feed(job)
        self.jobs[key] = job
        self.by_pid[pid] = job
        return job

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

    def on_death(self) -> None:
        """Empty the wake-up pipe, then reap."""
        try:
            while os.read(self.wake, 4096):
                pass
        except BlockingIOError:
            self.reap()

    def reap(self) -> None:
        """Collect every dead child: jobs end, orphans are only buried."""
        while True:
            try:
                pid, status = os.waitpid(-1, os.WNOHANG)
            except ChildProcessError:
                return
            if pid == 0:
                return
            job = self.by_pid.pop(pid, None)
            if job is not None:
                self.job_ended(job, status)

    def job_ended(self, job: Job, status: int) -> None:
        """Record a main process's status, take its last output and answer who waits."""
        job.status = os.waitstatus_to_exitcode(status)
        if job.status < 0:
            job.status = 128 - job.status
        job.deadline = None
        for fd, which in list(job.outputs.items()):
            self.drain(fd, job.buffers[which])
            # Its children may still hold the pipe: keep it open, so that they don't die of SIGPIPE, but
            # throw away what comes.
            if fd in job.outputs:
                job.outputs.pop(fd)
                self.owner[fd] = None
                self.strays.append(fd)
        if len(self.strays) > STRAY_PIPES:
            self.drop_output(self.strays[0])
        self.drop_stdin(job)
        if job.sweep and not job.timed_out:
            self.sweep(job.pid, job.before)
            self.stop_again()
        self.answer(job)

    def stop_again(self) -> None:
        """Stop what a swept command may have continued; see `Stops`."""

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

    def answer(self, job: Job) -> None:
        """Reply to the request that started the job, and to pollers."""
        if job.reply_to is not None:
            number, key = job.reply_to
            job.reply_to = None
            self.jobs.pop(key, None)
            out, dropped = job.buffers[0].take()
            err, dropped_err = job.buffers[1].take()
            self.wire.send(
                {
                    "id": number,
                    "code": None if job.timed_out else job.status,
                    "timed_out": job.timed_out,
                    "dropped": dropped + dropped_err,
                    "out": len(out),
                    "seconds": time.monotonic() - job.started,
                },
                out + err,
            )
        for number, _ in job.waiters:
            self.send_status(number, job)
        job.waiters = []

    def send_status(self, number: int, job: Job) -> None:
        """Reply to a poll."""
        out, dropped = job.buffers[0].take()
        self.wire.send(
            {"id": number, "running": job.status is None, "code": job.status, "dropped": dropped}, out
        )

    def on_clock(self) -> None:
        """Kill what is over its time and answer polls that waited long enough."""
        now = time.monotonic()
        for job in list(self.jobs.values()):
            if job.deadline is not None and job.deadline <= now and job.status is None:
                job.deadline = None
                job.timed_out = True
                self.sweep(job.pid, job.before)
            for waiter in list(job.waiters):
                if waiter[1] <= now:
                    job.waiters.remove(waiter)
                    self.send_status(waiter[0], job)

    def sweep(self, job_pid: int, before: frozenset[int], keep_root: bool = False) -> None:
        """Kill and bury all that belongs to a command; ``keep_root`` spares its main process."""
        others = {pid for pid in self.by_pid if pid != job_pid}
        kill_family(Family(self.me, job_pid, before, others, keep_root), self.reap)

    def op_exec(self, header: dict[str, Any], body: bytes) -> Answer:
        """Run a command; the reply comes when it ends."""
        key = ("exec", header["id"])
        try:
            job = self.start(key, header, body, header["merge"], False)
        except (OSError, ValueError) as error:
            return self.not_started(error, header["argv"][0])
        job.sweep = bool(header.get("sweep"))
        job.reply_to = (header["id"], key)
        timeout = header.get("timeout_s")
        job.deadline = job.started + (self.timeout if timeout is None else timeout)
        return None

    @staticmethod
    def not_started(error: Exception, name: str) -> tuple[dict[str, Any], bytes]:
        """What a shell would say and return for a command that can't be started."""
        number = getattr(error, "errno", None) or errno.EINVAL
        text = f"{name}: {os.strerror(number)}\n"
        code = 127 if number in (errno.ENOENT, errno.ENOTDIR) else 126
        out = text.encode("utf-8", "backslashreplace")
        return {"code": code, "timed_out": False, "dropped": 0, "out": len(out), "seconds": 0.0}, out

    def op_spawn(self, header: dict[str, Any], body: bytes) -> Answer:
        """Start a background command."""
        self.start(header["key"], header, body, True, True)
        return ({},)

    def op_poll(self, header: dict[str, Any], body: bytes) -> Answer:
        """Report on a background command, at once or when it ends."""
        job = self.jobs[header["key"]]
        if job.status is not None or header["timeout_s"] <= 0:
            for fd, which in list(job.outputs.items()):
                self.drain(fd, job.buffers[which])
            self.send_status(header["id"], job)
        else:
            job.waiters.append((header["id"], time.monotonic() + header["timeout_s"]))
        return None

    def op_stdin(self, header: dict[str, Any], body: bytes) -> Answer:
        """Feed a background command."""
        job = self.jobs[header["key"]]
        if job.status is not None or job.stdin < 0:
            raise OSError(errno.EPIPE, "stdin is closed")
        job.pending += body
        if header["eof"]:
            if job.pty:
                job.pending += PTY_EOF
            else:
                job.close_stdin = True
        self.feed(job)
        return ({},)

    def op_kill(self, header: dict[str, Any], body: bytes) -> Answer:
        """Signal a background command; KILL takes its whole family."""
        job = self.jobs[header["key"]]
        if job.status is None:
            if header["signal"] == 9:
                self.sweep(job.pid, job.before, header.get("keep_root", False))
            else:
                try:
                    os.killpg(job.pid, header["signal"])
                except ProcessLookupError:
                    self.reap()
        return ({},)

    def op_forget(self, header: dict[str, Any], body: bytes) -> Answer:
        """End a job and drop it."""
        job = self.jobs.pop(header["key"], None)
        if job is not None and job.status is None:
            self.sweep(job.pid, job.before)
        return ({},)

    def op_shell(self, header: dict[str, Any], body: bytes) -> Answer:
        """Start bash on a new raw pty; command and status pipes are its own, and the host gets the other ends."""
        tty, cmd, stat_fd = header["fds"]
        master, slave = os.openpty()
        mode = termios.tcgetattr(slave)
        mode[0], mode[1], mode[3] = 0, mode[1] & ~termios.OPOST, termios.ISIG
        termios.tcsetattr(slave, termios.TCSANOW, mode)
        cmd_r, cmd_w = os.pipe()
        stat_r, stat_w = os.pipe()
        actions = [
            (os.POSIX_SPAWN_OPEN, 0, os.ttyname(slave), os.O_RDWR, 0),
            (os.POSIX_SPAWN_DUP2, 0, 1),
            (os.POSIX_SPAWN_DUP2, 0, 2),
            (os.POSIX_SPAWN_DUP2, 0, tty),
            (os.POSIX_SPAWN_DUP2, cmd_r, cmd),
            (os.POSIX_SPAWN_DUP2, stat_w, stat_fd),
        ]
        before = live_pids()
        try:
            pid = self.launch(header["argv"], header["cwd"], header.get("env"), actions, self.alone(before))
            job = Job(pid, before, self.output_cap)
            self.jobs[header["key"]] = job
            self.by_pid[pid] = job
            self.wire.send({"id": header["id"]}, b"", (master, cmd_w, stat_r))
        finally:
            for fd in (master, slave, cmd_r, cmd_w, stat_r, stat_w):
                os.close(fd)
        return None

    def op_cwd(self, header: dict[str, Any], body: bytes) -> Answer:
        """Where a job's main process stands, as a path."""
        pid = self.jobs[header["key"]].pid
        return ({"cwd": os.readlink(f"/proc/{pid}/cwd")},)

    def op_ping(self, header: dict[str, Any], body: bytes) -> Answer:
        """Answer with the same body."""
        return {"pid": self.me}, body
