"""The system-call filter of the box, written as plain BPF.

Why by hand: a filter needs no compiled library, is the same everywhere, and can be read in one sitting. A
namespace sandbox leaves the whole kernel reachable; this closes the parts that have no use in a workspace
and a history of holes (mounting, nested namespaces, io_uring, bpf, keyrings, exotic socket families such as
AF_VSOCK, which no network namespace confines). Refused calls fail with an errno, so that programs degrade
rather than die.

Format: `struct sock_filter` of linux/filter.h over `struct seccomp_data` of linux/seccomp.h.
"""

from __future__ import annotations

import errno
import platform
import struct

_LD_W_ABS = 0x20
_JEQ = 0x15
_JGE = 0x35
_JSET = 0x45
_RET = 0x06
_ALLOW = 0x7FFF0000
_ERRNO = 0x00050000
_NR, _ARCH, _ARGS = 0, 4, 16

_AUDIT_ARCH = {"x86_64": 0xC000003E, "aarch64": 0xC00000B7}
_X32_BIT = 0x40000000

NAMESPACE_FLAGS = 0x7E020000 | 0x80
"""CLONE_NEW{NS,CGROUP,UTS,IPC,USER,PID,NET,TIME}."""

SOCKET_FAMILIES = {1: None, 2: None, 10: None, 16: 0}
"""Allowed families → the only allowed protocol: unix, inet, inet6, and netlink for routes (getifaddrs)."""

TTY_INJECTION = (0x5412, 0x541C, 0x5423)
"""TIOCSTI, TIOCLINUX, TIOCSETD."""

# name: (x86_64, aarch64); None where the architecture lacks it.
REFUSED: dict[str, tuple[int | None, int | None]] = {
    "ptrace": (101, 117),
    "process_vm_readv": (310, 270),
    "process_vm_writev": (311, 271),
    "kcmp": (312, 272),
    "pidfd_getfd": (438, 438),
    "mount": (165, 40),
    "umount2": (166, 39),
    "pivot_root": (155, 41),
    "chroot": (161, 51),
    "open_tree": (428, 428),
    "move_mount": (429, 429),
    "fsopen": (430, 430),
    "fsconfig": (431, 431),
    "fsmount": (432, 432),
    "fspick": (433, 433),
    "mount_setattr": (442, 442),
    "open_tree_attr": (467, 467),
    "unshare": (272, 97),
    "setns": (308, 268),
    "keyctl": (250, 219),
    "add_key": (248, 217),
    "request_key": (249, 218),
    "bpf": (321, 280),
    "io_uring_setup": (425, 425),
    "io_uring_enter": (426, 426),
    "io_uring_register": (427, 427),
    "userfaultfd": (323, 282),
    "perf_event_open": (298, 241),
    "fanotify_init": (300, 262),
    "open_by_handle_at": (304, 265),
    "init_module": (175, 105),
    "finit_module": (313, 273),
    "delete_module": (176, 106),
    "kexec_load": (246, 104),
    "kexec_file_load": (320, 294),
    "reboot": (169, 142),
    "swapon": (167, 224),
    "swapoff": (168, 225),
    "acct": (163, 89),
    "quotactl": (179, 60),
    "quotactl_fd": (443, 443),
    "syslog": (103, 116),
    "iopl": (172, None),
    "ioperm": (173, None),
    "modify_ldt": (154, None),
    "settimeofday": (164, 170),
    "clock_settime": (227, 112),
    "clock_adjtime": (305, 266),
    "adjtimex": (159, 171),
    "vhangup": (153, 58),
    "lookup_dcookie": (212, 18),
    "uselib": (134, None),
}
# name: (x86_64, aarch64, index of the pid argument). Same-user calls that non-dumpability does not stop: without this
# a command could set the init's descriptor limit to zero, or starve it.
NOT_ON_PID_1: dict[str, tuple[int, int, int]] = {
    "prlimit64": (302, 261, 0),
    "sched_setaffinity": (203, 122, 0),
    "sched_setscheduler": (144, 119, 0),
    "sched_setparam": (142, 118, 0),
    "sched_setattr": (314, 274, 0),
    "setpriority": (141, 140, 1),
    "ioprio_set": (251, 30, 1),
}
CLONE = (56, 220)
CLONE3 = (435, 435)
SOCKET = (41, 198)
SOCKETPAIR = (53, 199)
IOCTL = (16, 29)


class _Program:
    """A tiny assembler: every rule is self-contained and falls through to the next, so no jump is long."""

    def __init__(self) -> None:
        self.code: list[tuple[int, int, int, int]] = []

    def load(self, offset: int) -> None:
        self.code.append((_LD_W_ABS, 0, 0, offset))

    def unless_equal_skip(self, value: int, count: int) -> None:
        self.code.append((_JEQ, 0, count, value))

    def refuse(self, number: int = errno.EPERM) -> None:
        self.code.append((_RET, 0, 0, _ERRNO | number))

    def bytes(self) -> bytes:
        self.code.append((_RET, 0, 0, _ALLOW))
        return b"".join(struct.pack("<HBBI", *line) for line in self.code)


def supported(machine: str = "") -> bool:
    """Say whether a filter exists for this architecture."""
    return (machine or platform.machine()) in _AUDIT_ARCH


def build_filter(machine: str = "") -> bytes:
    """Assemble the filter for ``machine`` (default: this one) as an array of ``struct sock_filter``.

    Raises:
        KeyError: no table for that architecture; ask `supported` first.
    """
    machine = machine or platform.machine()
    column = 0 if machine == "x86_64" else 1
    program = _Program()
    program.load(_ARCH)
    program.code.append((_JEQ, 1, 0, _AUDIT_ARCH[machine]))
    program.refuse(errno.ENOSYS)  # a foreign ABI would number the calls differently
    program.load(_NR)
    if machine == "x86_64":
        program.code.append((_JGE, 0, 1, _X32_BIT))
        program.refuse(errno.ENOSYS)
    for numbers in REFUSED.values():
        number = numbers[column]
        if number is not None:
            program.unless_equal_skip(number, 1)
            program.refuse()
    for x86, arm, argument in NOT_ON_PID_1.values():
        program.unless_equal_skip((x86, arm)[column], 4)
        program.load(_ARGS + 8 * argument)
        program.unless_equal_skip(1, 1)
        program.refuse()
        program.load(_NR)
    # clone3 passes its flags in memory, out of a filter's sight; libc falls back to clone.
    program.unless_equal_skip(CLONE3[column], 1)
    program.refuse(errno.ENOSYS)
    program.unless_equal_skip(CLONE[column], 4)
    program.load(_ARGS)
    program.code.append((_JSET, 0, 1, NAMESPACE_FLAGS))
    program.refuse()
    program.load(_NR)
    program.unless_equal_skip(IOCTL[column], 2 + 2 * len(TTY_INJECTION))
    program.load(_ARGS + 8)
    for request in TTY_INJECTION:
        program.unless_equal_skip(request, 1)
        program.refuse()
    program.load(_NR)
    for call in (SOCKET[column], SOCKETPAIR[column]):
        body = _Program()
        body.load(_ARGS)
        for family, protocol in SOCKET_FAMILIES.items():
            if protocol is None:
                body.unless_equal_skip(family, 1)
                body.code.append((_RET, 0, 0, _ALLOW))
            else:
                body.unless_equal_skip(family, 3)
                body.load(_ARGS + 16)
                body.unless_equal_skip(protocol, 1)
                body.code.append((_RET, 0, 0, _ALLOW))
        body.refuse(errno.EAFNOSUPPORT)
        program.unless_equal_skip(call, len(body.code))
        program.code += body.code
    return program.bytes()
