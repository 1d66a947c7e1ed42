"""The step between the harness and bwrap that lays a template under ``/workspace``, whatever its size.

Why: copying a template costs time for each of its bytes. An overlay costs nothing until something is changed: the
template lies below, read-only, and all writing goes to a tmpfs above. bwrap 0.8 can't mount one, so this program does,
in a mount namespace of its own, and then becomes bwrap (same pid, so that "die with parent" still holds). The template
must belong to the box's user to be changed there: as root an idmapped mount says so, without touching a file; as an
ordinary user it does already. Mount points have neutral names, since a box can read its overlay's options.

It is run as a file, by the system's Python, with nothing but the standard library: see `command`. When something can't
be done it writes one line that starts with `REFUSED` to its standard error and ends with status 1.

Calls: mount_setattr(2), open_tree(2), move_mount(2), user_namespaces(7), the kernel's overlayfs.rst.
"""

# pathlib would double the start-up time.
from __future__ import annotations

import ctypes
import os
import sys

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

REFUSED = "template: "
"""How the one line of error begins: the template can't be laid under this box, but may be copied into it."""

TARGET = "/tmp/w"
"""Where the overlay lies in the private mount namespace; bwrap binds it."""

_LOWER, _UPPER, _WORK = "/tmp/t", "/tmp/u", "/tmp/k"

_NUMBERS = {"x86_64": 272, "aarch64": 97}
"""unshare(2); the newer calls have one number everywhere."""
_OPEN_TREE, _MOVE_MOUNT, _MOUNT_SETATTR = 428, 429, 442
_CLONE_NEWNS, _CLONE_NEWUSER = 0x20000, 0x10000000
_MS_NOSUID, _MS_NODEV, _MS_BIND, _MS_REC, _MS_PRIVATE = 2, 4, 4096, 16384, 1 << 18
_AT_FDCWD, _AT_EMPTY_PATH = -100, 0x1000
_OPEN_TREE_CLONE, _OPEN_TREE_CLOEXEC = 1, os.O_CLOEXEC
_MOVE_FROM_FD = 4
_ATTR_RDONLY, _ATTR_NOSUID, _ATTR_NODEV, _ATTR_IDMAP = 1, 2, 4, 0x100000


def command(
    python: str,
    program: int,
    template: str,
    disk_bytes: int,
    ids: tuple[int, int],
    box_uid: int | None,
    then: Sequence[str],
) -> list[str]:
    """Return the command line that stages a template and then becomes ``then``.

    Args:
        python: the interpreter.
        program: inherited descriptor of this file, compiled.
        template: absolute path of the folder.
        disk_bytes: size of the writable layer.
        ids: (uid, gid) that own the template.
        box_uid: the uid to become, as root; None for an ordinary user, who stays who they are.
        then: program and arguments to become.
    """
    numbers = [str(n) for n in (disk_bytes, *ids, -1 if box_uid is None else box_uid)]
    return [python, "-I", "-S", f"/proc/self/fd/{program}", template, *numbers, *then]


def source() -> bytes:
    """Return this file."""
    with open(__file__, "rb") as file:
        return file.read()


class Refused(Exception):
    """A step failed: its name and errno."""


def _call(what: str, result: int) -> int:
    if result < 0:
        raise Refused(what, ctypes.get_errno())
    return result


class Kernel:
    """The system calls that Python has no name for."""

    def __init__(self) -> None:
        self.libc = ctypes.CDLL(None, use_errno=True)
        machine = os.uname().machine
        if machine not in _NUMBERS:
            raise Refused("architecture " + machine, 38)
        self.unshare_number = _NUMBERS[machine]

    def raw(self, what: str, number: int, *args: object) -> int:
        """Make a numbered call."""
        return _call(what, self.libc.syscall(ctypes.c_long(number), *args))

    def unshare(self, flags: int) -> None:
        """Leave the namespaces named by ``flags``."""
        self.raw("unshare", self.unshare_number, ctypes.c_ulong(flags))

    def mount(self, what: str, source: str, target: str, kind: str, flags: int, options: str = "") -> None:
        """mount(2)."""
        data = options.encode() or None
        flag_word = ctypes.c_ulong(flags)
        _call(what, self.libc.mount(source.encode(), target.encode(), kind.encode(), flag_word, data))

    def mapped_clone(self, template: str, users: int) -> int:
        """Return a detached, read-only copy of the template's mount in which the ids of a namespace apply."""
        flags = ctypes.c_uint(_OPEN_TREE_CLONE | _OPEN_TREE_CLOEXEC)
        tree = self.raw("open_tree", _OPEN_TREE, _AT_FDCWD, os.fsencode(template), flags)
        wanted = _ATTR_IDMAP | _ATTR_RDONLY | _ATTR_NOSUID | _ATTR_NODEV
        attributes = (ctypes.c_uint64 * 4)(wanted, 0, 0, users)
        size = ctypes.c_size_t(ctypes.sizeof(attributes))
        self.raw(
            "an idmapped mount on its file system",
            _MOUNT_SETATTR,
            tree,
            b"",
            _AT_EMPTY_PATH,
            attributes,
            size,
        )
        return tree

    def attach(self, tree: int, target: str) -> None:
        """Put a detached mount in its place."""
        self.raw("move_mount", _MOVE_MOUNT, tree, b"", _AT_FDCWD, target.encode(), _MOVE_FROM_FD)


def _write(path: str, text: str) -> None:
    with open(path, "w") as file:
        file.write(text)


def _map_of(kernel: Kernel, inside: tuple[int, int], outside: int) -> int:
    """Return a user namespace in which ``outside`` stands for the owner ``inside``."""
    ready_r, ready_w = os.pipe()
    hold_r, hold_w = os.pipe()
    child = os.fork()
    if child == 0:
        status = 1
        try:
            os.close(hold_w)
            kernel.unshare(_CLONE_NEWUSER)
            os.write(ready_w, b"x")
            os.read(hold_r, 1)
            status = 0
        finally:
            os._exit(status)
    os.close(ready_w)
    os.close(hold_r)
    try:
        if not os.read(ready_r, 1):
            raise Refused("a user namespace", 1)
        for name, number in (("uid_map", inside[0]), ("gid_map", inside[1])):
            _write("/proc/" + str(child) + "/" + name, str(number) + " " + str(outside) + " 1")
        return os.open("/proc/" + str(child) + "/ns/user", os.O_RDONLY)
    finally:
        os.close(hold_w)
        os.close(ready_r)
        os.waitpid(child, 0)


def _layers(disk_bytes: int, owner: int | None) -> None:
    """Make the folders of the overlay on the fresh tmpfs; the writable ones belong to the box."""
    for path in (_LOWER, _UPPER, _WORK, TARGET):
        os.mkdir(path, 0o755)
    for path in (_UPPER, _WORK):
        name = ("user" if owner is None else "trusted") + ".overlay.probe"
        try:
            os.setxattr(path, name, b"y")
            os.removexattr(path, name)
        except OSError as error:  # without them a folder that is deleted and made anew would fail
            raise Refused("extended attributes on tmpfs", error.errno) from None
        if owner is not None:
            os.chown(path, owner, owner)


def stage(template: str, disk_bytes: int, ids: tuple[int, int], box_uid: int | None) -> None:
    """Mount the overlay on `TARGET`, in namespaces of this process alone."""
    kernel = Kernel()
    if box_uid is None:
        me, group = os.getuid(), os.getgid()
        kernel.unshare(_CLONE_NEWUSER | _CLONE_NEWNS)
        _write("/proc/self/setgroups", "deny")
        _write("/proc/self/uid_map", str(me) + " " + str(me) + " 1")
        _write("/proc/self/gid_map", str(group) + " " + str(group) + " 1")
    else:
        kernel.unshare(_CLONE_NEWNS)
    kernel.mount("a private mount namespace", "none", "/", "", _MS_REC | _MS_PRIVATE)
    # Opened in here, since a mount of another namespace can't be cloned; and before /tmp is covered.
    folder = os.open(template, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
    info = os.fstat(folder)
    lower = -1
    if box_uid is not None:
        users = _map_of(kernel, ids, box_uid)
        lower = kernel.mapped_clone("/proc/self/fd/" + str(folder), users)
    options = "size=" + str(disk_bytes) + ",mode=0755"
    kernel.mount("a tmpfs", "workspace", "/tmp", "tmpfs", _MS_NOSUID | _MS_NODEV, options)
    _layers(disk_bytes, box_uid)
    if box_uid is not None:
        kernel.attach(lower, _LOWER)
    else:
        kernel.mount("a bind mount", "/proc/self/fd/" + str(folder), _LOWER, "", _MS_BIND | _MS_REC)
    os.utime(_UPPER, ns=(info.st_mtime_ns, info.st_mtime_ns))
    options = "lowerdir=" + _LOWER + ",upperdir=" + _UPPER + ",workdir=" + _WORK
    options += ",userxattr" if box_uid is None else ",redirect_dir=on"
    kernel.mount(
        "an overlay on its file system", "workspace", TARGET, "overlay", _MS_NOSUID | _MS_NODEV, options
    )


def main(arguments: list[str]) -> None:
    """Stage, drop to the box's user, become bwrap."""
    template, size, uid, gid, box = arguments[1:6]
    box_uid = None if box == "-1" else int(box)
    os.set_inheritable(int(arguments[0].rpartition("/")[2]), False)
    try:
        stage(template, int(size), (int(uid), int(gid)), box_uid)
        if box_uid is not None:
            os.setgroups([])
            os.setresgid(box_uid, box_uid, box_uid)
            os.setresuid(box_uid, box_uid, box_uid)
    except Refused as problem:
        what, number = problem.args
        sys.stderr.write(REFUSED + what + ": " + os.strerror(number) + "\n")
        sys.exit(1)
    except OSError as problem:
        sys.stderr.write(REFUSED + str(problem) + "\n")
        sys.exit(1)
    os.execve(arguments[6], arguments[6:], {})


if __name__ == "__main__":
    main(sys.argv)
