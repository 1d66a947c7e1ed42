"""Commands: run, polled, fed, timed out, killed and buried.

One loop serves all of them, so a long command can be polled or killed while others run. Output goes to
bounded buffers as it comes.
"""

# pathlib would double the start-up time of a box.
from __future__ import annotations

import errno
import os
import time

from ise_gym.workspace.box.launch import Launch
from ise_gym.workspace.box.pipes import Job
from ise_gym.workspace.box.sweep import Family, kill_family

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from ise_gym.workspace.box.wire import Header

    Answer = tuple[Any, ...] | None

STRAY_PIPES = 64
PTY_EOF = b"\x04"


class Processes(Launch):
    """The part of the init that runs commands and ends them."""

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

    def op_exec(self, header: Header, body: bytes) -> Answer:
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

    def op_spawn(self, header: Header, body: bytes) -> Answer:
        """Start a background command."""
        self.start(header["key"], header, body, True, True)
        return ({},)

    def op_poll(self, header: Header, body: bytes) -> Answer:
        """Report on a background command, at once or when it ends."""
        job = self.jobs[header["key"]]
        if job.status is not None or header["timeout_s"] <= 0:
            for fd, which in list(job.outputs.items()):
                self.drain(fd, job.buffers[which])
            self.send_status(header["id"], job)
        else:
            job.waiters.append((header["id"], time.monotonic() + header["timeout_s"]))
        return None

    def op_stdin(self, header: Header, body: bytes) -> Answer:
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

    def op_kill(self, header: Header, body: bytes) -> Answer:
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

    def op_forget(self, header: Header, body: bytes) -> Answer:
        """End a job and drop it."""
        job = self.jobs.pop(header["key"], None)
        if job is not None and job.status is None:
            self.sweep(job.pid, job.before)
        return ({},)

    def op_cwd(self, header: Header, body: bytes) -> Answer:
        """Where a job's main process stands, as a path."""
        pid = self.jobs[header["key"]].pid
        return ({"cwd": os.readlink(f"/proc/{pid}/cwd")},)

    def op_ping(self, header: Header, body: bytes) -> Answer:
        """Answer with the same body."""
        return {"pid": self.me}, body
