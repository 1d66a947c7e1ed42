"""What a box is made of: the host's programs, files of its own under ``/etc``, scratch space of stated size, limits.

Nothing here starts anything; the backends put it together.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from functools import cache
from pathlib import Path

from ise_gym.workspace.isolation.environment import HOSTNAME, UID, USER
from ise_gym.workspace.values import HOME, WORKDIR, Limits

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
ETC_FILES = {
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


def scratch_sizes(limits: Limits, room_mb: int = 0, folders: Sequence[str] = ()) -> dict[str, int]:
    """Bytes of each writable file system; ``room_mb`` for a template that is copied comes on top.

    ``folders`` are further ones, each as large as the home folder.
    """
    side = max(16, limits.disk_mb // 4)
    return {
        path: mb << 20
        for path, mb in (
            (WORKDIR, limits.disk_mb + room_mb),
            *((path, side) for path in (HOME, "/tmp", "/dev/shm", *folders)),
        )
    }


def memory_cap(limits: Limits, room_mb: int = 0, folders: Sequence[str] = ()) -> int:
    """Bytes for the box's cgroup: above all scratch space together, or filling a disk would kill the box."""
    return sum(scratch_sizes(limits, room_mb, folders).values()) + ((limits.memory_mb + _OVERHEAD_MB) << 20)


def box_rlimits(
    limits: Limits, memory_capped: bool, room_mb: int = 0, user_shared: bool = False
) -> dict[str, int]:
    """Per-process limits set by the init; the data size only where no cgroup caps the whole box.

    ``user_shared``: other boxes have the same host user and a cgroup counts this one's processes. The kernel's own
    limit counts a user's processes, so that what runs in one box would keep others from starting anything.
    """
    found = {
        "RLIMIT_NOFILE": limits.open_files,
        "RLIMIT_FSIZE": (limits.disk_mb + room_mb) << 20,
        "RLIMIT_CORE": 0,
        "RLIMIT_MEMLOCK": 64 << 10,
        "RLIMIT_MSGQUEUE": 800 << 10,
        "RLIMIT_SIGPENDING": 1024,
        "RLIMIT_NICE": 0,
        "RLIMIT_RTPRIO": 0,
    }
    if not user_shared:
        found["RLIMIT_NPROC"] = limits.processes
    if not memory_capped:
        found["RLIMIT_DATA"] = limits.memory_mb << 20
    return found


def memory_file(name: str, content: bytes) -> int:
    """Return a descriptor of a file in memory, at its start."""
    fd = os.memfd_create(name)
    os.write(fd, content)
    os.lseek(fd, 0, os.SEEK_SET)
    return fd


@cache
def system_mounts() -> tuple[str, ...]:
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
