"""The bubblewrap backend: one unprivileged namespace sandbox a workspace.

The start line answers known traps. As root the harness first drops to a host uid that nobody else has,
because a mapped uid is still host root. bwrap starts with an empty environment, since ``/proc/1/environ``
would show it. Every writable place is a tmpfs of stated size; ``/``, ``/dev`` and the system are read-only.
Nested user namespaces are off, a seccomp filter is on, and the network namespace holds nothing but its own
loopback. The agent is PID 1, so that its end is the end of everything inside; the box dies with the
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
from concurrent.futures import Future
from functools import cache
from pathlib import Path

from ise_gym.errors import UserError, WorkspaceError
from ise_gym.workspace import box, cgroups, seccomp, uids
from ise_gym.workspace.base import HOME, WORKDIR, Capabilities, Limits
from ise_gym.workspace.boxenv import BOX_ENV, HOSTNAME, UID, USER
from ise_gym.workspace.channel import Channel
from ise_gym.workspace.remote import AgentWorkspace, Box, agent_config

_AGENT_IN_BOX = "/.agent"
_PYTHON = "/usr/bin/python3"
_START_TIMEOUT_S = 30.0
_OVERHEAD_MB = 64

_SYSTEM_ETC = (
    "alternatives",
    "ssl/certs",
    "ssl/openssl.cnf",
    "ld.so.cache",
    "ld.so.conf",
    "ld.so.conf.d",
    "mime.types",
    "magic",
    "services",
    "protocols",
    "fonts",
    "ImageMagick-6",
    "ImageMagick-7",
    "python3",
    "python3.11",
    "python3.12",
    "python3.13",
    "perl",
    "java-17-openjdk",
    "bash_completion",
    "inputrc",
    "ca-certificates.conf",
    "pki/tls/certs",
    "crypto-policies",
)
_ETC_FILES = {
    "passwd": f"root:x:0:0:root:/root:/usr/sbin/nologin\n{USER}:x:{UID}:{UID}:{USER}:{HOME}:/bin/bash\n"
    "nobody:x:65534:65534:nobody:/nonexistent:/usr/sbin/nologin\n",
    "group": f"root:x:0:\n{USER}:x:{UID}:\nnogroup:x:65534:\n",
    "hosts": f"127.0.0.1 localhost {HOSTNAME}\n::1 localhost\n",
    "hostname": f"{HOSTNAME}\n",
    "nsswitch.conf": "passwd: files\ngroup: files\nhosts: files\n",
    "resolv.conf": "",
    "timezone": "Etc/UTC\n",
    "bash.bashrc": "",
    "profile": "",
}


def scratch_sizes(limits: Limits) -> dict[str, int]:
    """Bytes of each writable file system."""
    side = max(16, limits.disk_mb // 4)
    return {
        path: mb << 20
        for path, mb in ((WORKDIR, limits.disk_mb), (HOME, side), ("/tmp", side), ("/dev/shm", side))
    }


def memory_cap(limits: Limits) -> int:
    """Bytes for the box's cgroup: above all scratch space together, or filling a disk would kill the box."""
    return sum(scratch_sizes(limits).values()) + ((limits.memory_mb + _OVERHEAD_MB) << 20)


def box_rlimits(limits: Limits, memory_capped: bool) -> dict[str, int]:
    """Per-process limits set by the agent; the data size only where no cgroup caps the whole box."""
    found = {
        "RLIMIT_NPROC": limits.processes,
        "RLIMIT_NOFILE": limits.open_files,
        "RLIMIT_FSIZE": limits.disk_mb << 20,
        "RLIMIT_CORE": 0,
        "RLIMIT_MEMLOCK": 64 << 10,
        "RLIMIT_MSGQUEUE": 800 << 10,
        "RLIMIT_SIGPENDING": 1024,
        "RLIMIT_NICE": 0,
        "RLIMIT_RTPRIO": 0,
    }
    if not memory_capped:
        found["RLIMIT_DATA"] = limits.memory_mb << 20
    return found


def _memory_file(name: str, content: bytes) -> int:
    fd = os.memfd_create(name)
    os.write(fd, content)
    os.lseek(fd, 0, os.SEEK_SET)
    return fd


@cache
def _system_mounts() -> tuple[str, ...]:
    """Arguments that show the host's programs and libraries, read-only, and nothing else of it."""
    args = ["--ro-bind", "/usr", "/usr"]
    for name in ("bin", "sbin", "lib", "lib64", "lib32", "libx32"):
        path = Path("/", name)
        if path.is_symlink():
            args += ["--symlink", str(path.readlink()), str(path)]
        elif path.is_dir():
            args += ["--ro-bind", str(path), str(path)]
    for name in _SYSTEM_ETC:
        path = Path("/etc", name)
        if path.exists():
            args += ["--ro-bind", str(path), str(path)]
    return tuple(args)


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
    """One bwrap process tree."""

    def __init__(self, limits: Limits) -> None:
        self.uid = uids.acquire() if os.geteuid() == 0 else None
        self._process: subprocess.Popen[bytes] | None = None
        self._group: cgroups.Cgroup | None = None
        self._pidfd = -1
        self._errors = os.memfd_create("box-stderr")
        self._disposed = False
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
        info_r, info_w = os.pipe()
        made.append(info_w)
        try:
            args = self._arguments(limits, theirs.fileno(), info_w, made)
            args_fd = _memory_file("args", b"\0".join(os.fsencode(a) for a in args) + b"\0")
            made.append(args_fd)
            command = [_PYTHON, "-I", "-S", _AGENT_IN_BOX, str(theirs.fileno())]
            self._process = subprocess.Popen(
                [program, "--args", str(args_fd), "--", *command],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=self._errors,
                pass_fds=(*fds[:1], *made),
                env={},
                cwd="/",
                umask=0o022,
                **({} if self.uid is None else {"user": self.uid, "group": self.uid, "extra_groups": []}),  # type: ignore[call-overload]
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
                self._group = cgroups.create(support, memory_cap(limits), limits.processes + 2)
                self._group.add(child)
        except ProcessLookupError as error:
            raise WorkspaceError(self._why()) from error
        config = agent_config(limits, box_rlimits(limits, self._group is not None), {}, BOX_ENV)
        try:
            self.channel.request("configure", timeout=_START_TIMEOUT_S, **config)
        except WorkspaceError as error:
            raise WorkspaceError(self._why()) from error

    def _arguments(self, limits: Limits, sock: int, info: int, made: list[int]) -> list[str]:
        args = [
            *("--unshare-user", "--disable-userns", "--unshare-ipc", "--unshare-pid", "--unshare-net"),
            *("--unshare-uts", "--unshare-cgroup-try", "--uid", str(UID), "--gid", str(UID)),
            *("--hostname", HOSTNAME, "--die-with-parent", "--new-session", "--as-pid-1", "--clearenv"),
            *("--setenv", "LANG", "C.UTF-8", "--info-fd", str(info)),
            *("--perms", "0755", "--dir", "/etc"),
            *_system_mounts(),
            *("--proc", "/proc", "--dev", "/dev"),
        ]
        for path, size in scratch_sizes(limits).items():
            mode = "0755" if path in (WORKDIR, HOME) else "1777"
            args += ["--perms", mode, "--size", str(size), "--tmpfs", path]
        args += ["--dir", "/run", "--dir", "/var", "--symlink", "/tmp", "/var/tmp"]
        for name, text in _ETC_FILES.items():
            fd = _memory_file(name, text.encode())
            made.append(fd)
            args += ["--perms", "0644", "--file", str(fd), f"/etc/{name}"]
        agent = _memory_file("agent", box.compiled(_PYTHON))
        made.append(agent)
        args += ["--perms", "0444", "--file", str(agent), _AGENT_IN_BOX]
        args += ["--remount-ro", "/dev", "--remount-ro", "/", "--chdir", "/"]
        if seccomp.supported():
            fd = _memory_file("seccomp", seccomp.build_filter())
            made.append(fd)
            args += ["--seccomp", str(fd)]
        return args

    def _child_pid(self, info: int) -> int:
        """Read the agent's host pid from bwrap."""
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
            raise WorkspaceError(self._why()) from error

    def _why(self) -> str:
        """Say what bwrap or the agent wrote before it ended."""
        if self._process is not None:
            try:
                self._process.wait(2.0)
            except subprocess.TimeoutExpired:
                return "bubblewrap did not start its sandbox in time"
        text = os.pread(self._errors, 4000, 0).decode("utf-8", "replace").strip()
        return f"bubblewrap could not start a sandbox: {text or 'it said nothing'}"

    def kill(self) -> None:
        """Kill PID 1 of the box, and with it every process inside."""
        if self._pidfd >= 0:
            try:
                signal.pidfd_send_signal(self._pidfd, signal.SIGKILL)
            except ProcessLookupError:
                return
        elif self._process is not None:
            self._process.kill()

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


class BubblewrapWorkspace(AgentWorkspace):
    """`Workspace` in a bubblewrap sandbox (Linux; as root or as an ordinary user)."""

    def __init__(self, limits: Limits | None = None, box: Future[Box] | None = None) -> None:
        bwrap_path()
        super().__init__(limits, box)

    def _start_box(self) -> BubblewrapBox:
        return BubblewrapBox(self.limits)

    def _sibling(self, box: Future[Box]) -> BubblewrapWorkspace:
        return BubblewrapWorkspace(self.limits, box)

    def capabilities(self) -> Capabilities:
        """Say what is really enforced on this host."""
        group = _cgroup_support()
        notes = []
        if not group.version:
            notes.append(
                "No cgroup can be made here: memory is limited per process only, so that a box as a whole may use "
                f"{self.limits.processes} times its limit, plus its scratch space."
            )
        if not seccomp.supported():
            notes.append(f"There is no system-call filter for {platform.machine()}.")
        if os.geteuid() != 0:
            notes.append("Boxes run as the user who started the harness, mapped into a user namespace.")
        scratch = {path: size >> 20 for path, size in scratch_sizes(self.limits).items()}
        return Capabilities(
            backend="bubblewrap",
            enforced={
                "memory": group.word or "rlimit per process (RLIMIT_DATA)",
                "processes": f"{group.word} and rlimit per user" if group.version else "rlimit per user",
                "disk": "tmpfs sizes (MB): " + ", ".join(f"{path} {mb}" for path, mb in scratch.items()),
                "inodes": "counted as memory by the cgroup" if group.version else False,
                "open_files": "rlimit per process",
                "cpu": False,
                "network": "no interface but the box's own loopback",
                "host_files": "system folders only, read-only",
                "host_processes": "own pid namespace",
                "separate_host_user": os.geteuid() == 0,
                "syscall_filter": "seccomp" if seccomp.supported() else False,
                "dies_with_harness": True,
            },
            notes=tuple(notes),
        )
