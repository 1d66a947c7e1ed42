"""How a command starts: where, with what environment, and on which pipes or terminal."""

# pathlib would double the start-up time of a box.
from __future__ import annotations

import _signal  # type: ignore[import-not-found]
import errno
import os
import select
import termios

from ise_gym.workspace.box.pipes import Job, Pipes
from ise_gym.workspace.box.wire import live_pids

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Hashable, Mapping, Sequence
    from typing import Any, NoReturn

    from ise_gym.workspace.box.wire import Header

    Answer = tuple[Any, ...] | None
    Action = tuple[int, int, int] | tuple[int, int, str, int, int]
    # what `os.posix_spawn` takes: (DUP2, from, to) or (OPEN, as, path, flags, mode)


def find_program(name: str, path: str) -> str:
    """Look a program up in the command's own PATH (posix_spawnp would use this process's)."""
    if "/" in name:
        return name
    for folder in path.split(":"):
        full = (folder or ".") + "/" + name
        if os.access(full, os.X_OK) and not os.path.isdir(full):
            return full
    raise OSError(errno.ENOENT, "not found")


class Launch(Pipes):
    """The part of the init that starts commands and shells."""

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
        actions: list[Action],
        alone: bool,
    ) -> int:
        """Start a program in a new session with default signals; cwd by chdir, since this is single-threaded.

        posix_spawn is the fast way, but it suspends this process until the child has become the program, which another
        command can delay forever by stopping it: where others run, a fork takes its place.
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
        self,
        program: str,
        argv: Sequence[str],
        env: Mapping[str, str],
        actions: list[Action],
    ) -> NoReturn:
        """In the child: take its descriptors and signals and turn into the program, or say why not and end."""
        code = 126
        try:
            os.setsid()
            for action in actions:
                if len(action) == 3:
                    os.dup2(action[1], action[2])
                else:
                    _, target, path, flags, mode = action
                    os.dup2(os.open(path, flags, mode), target)
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

    @staticmethod
    def not_started(error: Exception, name: str) -> tuple[dict[str, Any], bytes]:
        """What a shell would say and return for a command that can't be started."""
        number = getattr(error, "errno", None) or errno.EINVAL
        text = f"{name}: {os.strerror(number)}\n"
        code = 127 if number in (errno.ENOENT, errno.ENOTDIR) else 126
        out = text.encode("utf-8", "backslashreplace")
        return {"code": code, "timed_out": False, "dropped": 0, "out": len(out), "seconds": 0.0}, out

    def start(self, key: Hashable, header: Header, stdin: bytes, merge: bool, keep_stdin: bool) -> Job:
        """Start a job with pipes (or a pty) and register it under ``key``."""
        before = live_pids()
        opened: list[int] = []
        parent: list[tuple[int, int]] = []
        actions: list[Action] = []

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

    def op_shell(self, header: Header, body: bytes) -> Answer:
        """Start bash on a new raw pty; command and status pipes are its own, and the host gets the other ends."""
        tty, cmd, stat_fd = header["fds"]
        master, slave = os.openpty()
        mode = termios.tcgetattr(slave)
        mode[0], mode[1], mode[3] = 0, mode[1] & ~termios.OPOST, termios.ISIG
        termios.tcsetattr(slave, termios.TCSANOW, mode)
        cmd_r, cmd_w = os.pipe()
        stat_r, stat_w = os.pipe()
        actions: list[Action] = [
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
