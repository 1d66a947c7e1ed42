"""The bubblewrap backend: one unprivileged namespace sandbox a workspace.

The start line answers known traps. As root the harness first drops to a host uid that nobody else has,
because a mapped uid is still host root. bwrap starts with an empty environment, since ``/proc/1/environ``
would show it. Every writable place is a tmpfs of stated size; ``/``, ``/dev`` and the system are read-only.
Nested user namespaces are off, a seccomp filter is on, and the network namespace holds nothing but its own
loopback. The init is PID 1, so that its end is the end of everything inside; the box dies with the
harness, by whatever signal.
"""

from __future__ import annotations

import json
import os
import platform
import select
import shutil
import signal
import socket
import subprocess
import time
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from functools import cache, partial
from typing import Any

from ise_gym.errors import UserError, WorkspaceError
from ise_gym.workspace import box
from ise_gym.workspace.client.channel import Channel
from ise_gym.workspace.client.remote import BoxWorkspace, init_config
from ise_gym.workspace.client.supply import Box, TemplateRefused
from ise_gym.workspace.isolation import cgroups, orphans, seccomp, stage, uids
from ise_gym.workspace.isolation.environment import BOX_ENV, HOSTNAME, UID
from ise_gym.workspace.isolation.parts import (
    ETC_FILES,
    box_rlimits,
    memory_cap,
    memory_file,
    scratch_sizes,
    system_mounts,
)
from ise_gym.workspace.snapshots.template import Template
from ise_gym.workspace.values import WORKDIR, Capabilities, Limits

_INIT_IN_BOX = "/.agent"
"""Where the init lies. Whoever lists ``/`` in there sees it, so it keeps its old name: records stay equal."""
_PYTHON = "/usr/bin/python3"
_START_TIMEOUT_S = 30.0


def bwrap_path() -> str:
    """Find bwrap or say how to get it."""
    found = shutil.which("bwrap") or next(
        (p for p in ("/usr/bin/bwrap", "/bin/bwrap") if os.access(p, os.X_OK)), None
    )
    if found is None:
        raise UserError(
            "the bubblewrap backend needs the program 'bwrap', which is not installed: install the package "
            "'bubblewrap' (Debian, Ubuntu: apt-get install bubblewrap; Fedora: dnf install bubblewrap; "
            "Arch: pacman -S bubblewrap)"
        )
    if not os.access(_PYTHON, os.X_OK):
        raise UserError(
            f"the bubblewrap backend runs its in-box agent with {_PYTHON}, which is not installed: "
            "install the package 'python3'"
        )
    return found


def collect_orphans() -> list[int]:
    """Kill boxes that were cut off while they started; return their pids. `ise gc` calls it."""
    return orphans.collect(_INIT_IN_BOX)


def patient_pipe() -> tuple[int, int]:
    """A pipe whose writing end reads, too: bwrap can write to it when nobody else is left to read.

    With a plain pipe, bwrap would die of SIGPIPE when the harness is killed during a start, and leave its child
    waiting.
    """
    reader, writer = os.pipe()
    try:
        return reader, os.open(f"/proc/self/fd/{writer}", os.O_RDWR | os.O_CLOEXEC)
    finally:
        os.close(writer)


@cache
def setpriv() -> str | None:
    """The program that drops root; without it Popen does, which copies the page tables of the whole harness.

    Tried once: BusyBox has one of that name which knows none of these options.
    """
    path = shutil.which("setpriv")
    trial = [path, "--reuid=0", "--regid=0", "--clear-groups", "--", "true"] if path else ["false"]
    return path if subprocess.run(trial, capture_output=True).returncode == 0 else None


@cache
def _cgroup_support() -> cgroups.Support:
    """Where cgroups can be made, tried once for real."""
    support = cgroups.detect()
    if support.version:
        try:
            cgroups.create(support, 64 << 20, 16).remove()
        except OSError:
            return cgroups.Support(0, {})
    return support


class BubblewrapBox(Box):
    """One bwrap process tree.

    Args:
        limits: resource limits.
        room_mb: room for a copy of a template.
        folders: further writable folders.
        template: what to mount under `WORKDIR` instead.
    """

    def __init__(
        self,
        limits: Limits,
        room_mb: int = 0,
        folders: Sequence[str] = (),
        template: Template | None = None,
    ) -> None:
        self.uid = uids.acquire() if uids.own_host_users() else None
        self._process: subprocess.Popen[bytes] | None = None
        self._group: cgroups.Cgroup | None = None
        self._pidfd = -1
        self._errors = os.memfd_create("box-stderr")
        self._disposed = False
        self._template = template
        self._folders = folders
        self._room_mb = 0 if template else room_mb
        ours, theirs = socket.socketpair()
        self.channel = Channel(ours)
        try:
            self._start(limits, theirs)
        except BaseException:
            theirs.close()
            self.kill()
            self.dispose()
            raise

    def _start(self, limits: Limits, theirs: socket.socket) -> None:
        program = bwrap_path()
        fds = [theirs.fileno(), self._errors]
        made: list[int] = []
        info_r, info_w = patient_pipe()
        made.append(info_w)
        try:
            args = self._arguments(limits, theirs.fileno(), info_w, made)
            args_fd = memory_file("args", b"\0".join(os.fsencode(a) for a in args) + b"\0")
            made.append(args_fd)
            init = [_PYTHON, "-I", "-S", _INIT_IN_BOX, str(theirs.fileno())]
            command = [program, "--args", str(args_fd), "--", *init]
            user: dict[str, Any] = {}
            if self._template is not None:
                command = self._staged(self._template, limits, made, command)
            elif self.uid is not None and (dropper := setpriv()):
                command = [
                    dropper,
                    f"--reuid={self.uid}",
                    f"--regid={self.uid}",
                    "--clear-groups",
                    "--",
                    *command,
                ]
            elif self.uid is not None:
                user = {"user": self.uid, "group": self.uid, "extra_groups": []}
            self._process = subprocess.Popen(
                command,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=self._errors,
                pass_fds=(*fds[:1], *made),
                env={},
                cwd="/",
                umask=0o022,
                process_group=0,  # Ctrl-C is for the harness: one that hit a starting bwrap would orphan its child
                **user,
            )
        finally:
            for fd in made:
                os.close(fd)
            theirs.close()
        try:
            child = self._child_pid(info_r)
        finally:
            os.close(info_r)
        support = _cgroup_support()
        try:
            self._pidfd = os.pidfd_open(child)
            if support.version:
                memory = memory_cap(limits, self._room_mb, self._folders)
                self._group = cgroups.create(support, memory, limits.processes + 2)
                self._group.add(child)
        except ProcessLookupError as error:
            raise self._problem() from error
        config = init_config(limits, box_rlimits(limits, self._group is not None, self._room_mb), {}, BOX_ENV)
        try:
            self.channel.request("configure", timeout=_START_TIMEOUT_S, **config)
        except WorkspaceError as error:
            raise self._problem() from error

    def _staged(self, template: Template, limits: Limits, made: list[int], command: list[str]) -> list[str]:
        """Put the program that mounts a template before a command; it drops root itself."""
        program = memory_file("stage", box.compile_for(_PYTHON, stage.source()))
        made.append(program)
        size = scratch_sizes(limits)[WORKDIR]
        return stage.command(_PYTHON, program, template.path, size, template.owner, self.uid, command)

    def _arguments(self, limits: Limits, sock: int, info: int, made: list[int]) -> list[str]:
        args = [
            *("--unshare-user", "--disable-userns", "--unshare-ipc", "--unshare-pid", "--unshare-net"),
            *("--unshare-uts", "--unshare-cgroup-try", "--uid", str(UID), "--gid", str(UID)),
            *("--hostname", HOSTNAME, "--die-with-parent", "--new-session", "--as-pid-1", "--clearenv"),
            *("--setenv", "LANG", "C.UTF-8", "--info-fd", str(info)),
            *("--perms", "0755", "--dir", "/etc"),
            *system_mounts(),
            *("--proc", "/proc", "--dev", "/dev"),
        ]
        for path, size in scratch_sizes(limits, self._room_mb, self._folders).items():
            if path == WORKDIR and self._template is not None:
                args += ["--bind", stage.TARGET, WORKDIR]
                continue
            mode = "1777" if path in ("/tmp", "/dev/shm") else "0755"
            args += ["--perms", mode, "--size", str(size), "--tmpfs", path]
        args += ["--dir", "/run", "--dir", "/var", "--symlink", "/tmp", "/var/tmp"]
        for name, text in ETC_FILES.items():
            fd = memory_file(name, text.encode())
            made.append(fd)
            args += ["--perms", "0644", "--file", str(fd), f"/etc/{name}"]
        init = memory_file("init", box.compiled(_PYTHON))
        made.append(init)
        args += ["--perms", "0444", "--file", str(init), _INIT_IN_BOX]
        args += ["--remount-ro", "/dev", "--remount-ro", "/", "--chdir", "/"]
        if seccomp.supported():
            fd = memory_file("seccomp", seccomp.build_filter())
            made.append(fd)
            args += ["--seccomp", str(fd)]
        return args

    def _child_pid(self, info: int) -> int:
        """Read the init's host pid from bwrap."""
        text = b""
        deadline = time.monotonic() + _START_TIMEOUT_S
        poll = select.poll()
        poll.register(info, select.POLLIN)
        while time.monotonic() < deadline:
            if poll.poll(1000):
                piece = os.read(info, 4096)
                if not piece:
                    break
                text += piece
        try:
            return int(json.loads(text)["child-pid"])
        except (ValueError, KeyError) as error:
            raise self._problem() from error

    def _problem(self) -> WorkspaceError:
        """Say what the stage, bwrap or the init wrote before it ended."""
        if self._process is not None:
            try:
                self._process.wait(2.0)
            except subprocess.TimeoutExpired:
                return WorkspaceError("bubblewrap did not start its sandbox in time")
        text = os.pread(self._errors, 4000, 0).decode("utf-8", "replace").strip()
        if text.startswith(stage.REFUSED):
            return TemplateRefused(text.removeprefix(stage.REFUSED))
        return WorkspaceError(f"bubblewrap could not start a sandbox: {text or 'it said nothing'}")

    def kill(self) -> None:
        """Kill PID 1 of the box, and with it every process inside."""
        if self._pidfd >= 0:
            try:
                signal.pidfd_send_signal(self._pidfd, signal.SIGKILL)
            except ProcessLookupError:
                return
        elif self._process is not None:
            for child in orphans.children(self._process.pid):  # not yet bound to bwrap's life
                orphans.kill(child)
            self._process.kill()

    def overwhelmed(self) -> str:
        """Say that the kernel had to end processes for want of memory, if it had."""
        if self._group is not None and self._group.out_of_memory():
            return "its commands took all of the sandbox's memory, so that the kernel ended it"
        return ""

    def dispose(self) -> None:
        """Bury bwrap, then give back its uid, cgroup and descriptors."""
        if self._disposed:
            return
        self._disposed = True
        self.channel.close()
        if self._process is not None:
            try:
                self._process.wait(10.0)
            except subprocess.TimeoutExpired:
                self._process.kill()
                self._process.wait(10.0)
        for fd in (self._pidfd, self._errors):
            if fd >= 0:
                os.close(fd)
        if self._group is not None:
            self._group.remove()
        if self.uid is not None:
            uids.release(self.uid)


class BubblewrapWorkspace(BoxWorkspace):
    """`Workspace` in a bubblewrap sandbox (Linux; as root or as an ordinary user)."""

    def __init__(
        self,
        limits: Limits | None = None,
        box: Future[Box] | None = None,
        template: Template | None = None,
        folders: Sequence[str] = (),
    ) -> None:
        bwrap_path()
        super().__init__(limits, box, template, folders)

    def _starter(self) -> Callable[[Template | None], Box]:
        return partial(BubblewrapBox, self.limits, self._room_mb, self.folders)

    def _sibling(self, box: Future[Box]) -> BubblewrapWorkspace:
        return BubblewrapWorkspace(self.limits, box, self.template, self.folders)

    def _why_copied(self, template: Template) -> str:
        return template.copy_because

    def capabilities(self) -> Capabilities:
        """Say what is really enforced on this host."""
        group = _cgroup_support()
        notes = []
        if not group.version:
            notes.append(
                "No cgroup can be made here: memory is limited per process only, so that a box as a whole may use "
                f"{self.limits.processes} times its limit, plus its scratch space. Files in memory (memfd), System V "
                "shared memory and the kernel's own objects, such as inotify watches, are not counted at all."
            )
        if not seccomp.supported():
            notes.append(f"There is no system-call filter for {platform.machine()}.")
        if self.template is not None and not self._supply.copied_because and not uids.own_host_users():
            notes.append(
                "Folders of the template can be renamed by copying only (mv does so; rename(2) answers EXDEV)."
            )
        if not uids.own_host_users():
            notes.append("Boxes run as the user who started the harness, mapped into a user namespace.")
        scratch = {path: size >> 20 for path, size in scratch_sizes(self.limits, 0, self.folders).items()}
        return Capabilities(
            backend="bubblewrap",
            enforced={
                "memory": group.word or "rlimit per process (RLIMIT_DATA)",
                "processes": f"{group.word} and rlimit per user" if group.version else "rlimit per user",
                "disk": "tmpfs sizes (MB): " + ", ".join(f"{path} {mb}" for path, mb in scratch.items()),
                **dict.fromkeys(
                    ("inodes", "shared_memory", "inotify"),
                    "counted as memory by the cgroup" if group.version else False,
                ),
                "open_files": "rlimit per process",
                "cpu": False,
                "network": "no interface but the box's own loopback",
                "host_files": "system folders only, read-only",
                "host_processes": "own pid namespace",
                "separate_host_user": uids.own_host_users(),
                "syscall_filter": "seccomp" if seccomp.supported() else False,
                "dies_with_harness": True,
                **self._template_word(),
            },
            notes=tuple(notes),
        )
