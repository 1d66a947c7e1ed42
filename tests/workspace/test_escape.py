"""An attacker inside the box: what they try, and that they get nothing from it.

Each test is an attempt that works on an unprotected machine. docs/threat-model.md lists them by threat.
"""

# The attacks are quoted as one writes them, on one line.
from __future__ import annotations

import os
import secrets
import socket
import tempfile
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from attacker import python, sh

from ise_gym.errors import WorkspaceError
from ise_gym.workspace import Workspace

SYSCALL = """
import ctypes, errno, os, platform
libc = ctypes.CDLL(None, use_errno=True)
ARM = platform.machine() == "aarch64"
def call(x86, arm, *args):
    libc.syscall.restype = ctypes.c_long
    r = libc.syscall(ctypes.c_long(arm if ARM else x86), *[ctypes.c_long(a) for a in args])
    return "ALLOWED" if r >= 0 else errno.errorcode[ctypes.get_errno()]
"""


# -- the host's files -------------------------------------------------------------------------------------------


@pytest.fixture
def secret() -> Iterator[Path]:
    """A world-readable file on the host, outside what a box may see."""
    with tempfile.TemporaryDirectory(prefix="ise-host-") as folder:
        os.chmod(folder, 0o755)  # noqa: PTH101
        path = Path(folder, "secret.txt")
        path.write_text("host secret")
        path.chmod(0o644)
        yield path


def test_host_files_are_not_there_by_any_path(jail: Workspace, secret: Path) -> None:
    for path in (str(secret), f"/proc/1/root{secret}", f"/proc/self/root{secret}", f"/workspace/../{secret}"):
        assert jail.stat(path) is None
        with pytest.raises(OSError, match=r".*"):
            jail.read(path)
        assert sh(jail, f"cat '{path}'").exit_code != 0


def test_symlinks_point_into_the_box_only(jail: Workspace, secret: Path) -> None:
    sh(jail, f"ln -s {secret} link; ln -s {secret.parent} folder; ln -s / root")
    for path in ("link", "folder/secret.txt", f"root{secret}"):
        with pytest.raises(FileNotFoundError):
            jail.read(path)
    with pytest.raises(OSError, match=r".*"):
        jail.write("folder/secret.txt", b"changed")
    assert secret.read_text() == "host secret"


def test_the_system_is_read_only(jail: Workspace) -> None:
    for path in ("/usr/bin/x", "/etc/passwd", "/bin/bash", "/x", "/dev/x", "/lib/x", "/run/x", "/var/x"):
        with pytest.raises(OSError, match=r".*"):
            jail.write(path, b"x")
        assert sh(jail, f"echo x > {path}").exit_code != 0
    assert sh(jail, "mount -o remount,rw / ; mount -o remount,rw /usr; touch /usr/x").exit_code != 0


def test_secrets_of_the_system_are_not_readable(jail: Workspace) -> None:
    for path in ("/etc/shadow", "/root", "/etc/ssl/private", "/home/../root/.ssh", "/var/run/docker.sock"):
        assert sh(jail, f"cat {path} || ls {path}").exit_code != 0
    assert "root" not in sh(jail, "ls -d /home/*").output.decode()


def test_writes_through_proc_reach_nothing(jail: Workspace) -> None:
    for path in (
        "/proc/self/mem",
        "/proc/1/mem",
        "/proc/1/oom_score_adj",
        "/proc/self/oom_score_adj",
        "/proc/sys/kernel/core_pattern",
    ):
        with pytest.raises(OSError, match=r".*"):
            jail.write(path, b"1")
    assert sh(jail, "echo x > /proc/sys/kernel/core_pattern").exit_code != 0
    assert sh(jail, "echo b > /proc/sysrq-trigger").exit_code != 0


def test_a_symlink_race_never_leaves_the_box(jail: Workspace, secret: Path) -> None:
    jail.write("real/secret.txt", b"inside")
    script = f"""
import os, itertools
for i in itertools.count():
    os.symlink({str(secret.parent)!r}, "tmp")
    os.rename("tmp", "swap") if not os.path.isdir("swap") or os.path.islink("swap") else None
    os.symlink("real", "tmp2"); os.rename("tmp2", "swap")
    if os.path.lexists("tmp"): os.unlink("tmp")
"""
    racer = jail.spawn(f"exec python3 -c '{script.replace(chr(39), chr(34))}'")
    seen: set[bytes] = set()
    until = time.monotonic() + 2.0
    while time.monotonic() < until:
        try:
            seen.add(jail.read("swap/secret.txt"))
            jail.write("swap/secret.txt", b"inside")
        except OSError:
            continue
    assert jail.poll(racer).running, jail.poll(racer)
    jail.kill(racer)
    assert seen <= {b"inside", b""}
    assert secret.read_text() == "host secret"


def test_no_device_but_the_harmless_ones(jail: Workspace) -> None:
    found = sh(jail, "find /dev -type b -o -type c | sort").output.decode().split()
    allowed = {
        "/dev/full",
        "/dev/null",
        "/dev/random",
        "/dev/tty",
        "/dev/urandom",
        "/dev/zero",
        "/dev/console",
    }
    assert {f for f in found if not f.startswith("/dev/pts/")} <= allowed
    assert sh(jail, "mknod disk b 254 0 || mknod mem c 1 1").exit_code != 0


# -- the init in the box ------------------------------------------------------------------------------------------


def test_the_inits_memory_environment_and_descriptors_are_closed(jail: Workspace) -> None:
    for name in ("environ", "mem", "maps", "auxv", "syscall", "stack", "io"):
        assert sh(jail, f"head -c 10 /proc/1/{name}").exit_code != 0, name
    assert sh(jail, "ls /proc/1/fd/").exit_code != 0
    assert sh(jail, "ls -l /proc/1/exe /proc/1/cwd /proc/1/root").exit_code != 0


def test_commands_inherit_no_descriptor_of_the_init(jail: Workspace) -> None:
    listing = "import os; print(sorted(f for f in os.listdir('/proc/self/fd') if os.path.lexists('/proc/self/fd/' + f)))"
    assert python(jail, listing) == "['0', '1', '2']"
    for start in (False, True):
        name = jail.spawn(f'python3 -c "{listing}"', pty=start)
        assert jail.poll(name, timeout=10).output.strip() == b"['0', '1', '2']"
    assert jail.shell().run(f'python3 -c "{listing}"').output.strip() == b"['0', '1', '2']"


def test_the_init_can_be_neither_killed_stopped_nor_traced(jail: Workspace) -> None:
    sh(jail, "for s in $(seq 1 64); do kill -$s 1 2>/dev/null; done; kill -9 -1")
    assert sh(jail, "echo alive").output == b"alive\n"
    assert python(jail, SYSCALL + "print(call(101, 117, 16, 1, 0, 0))") == "EPERM"
    assert python(jail, SYSCALL + "print(call(310, 270, 1, 0, 0, 0, 0, 0))") == "EPERM"
    code = SYSCALL + "fd = os.pidfd_open(1); print(call(438, 438, fd, 3, 0))"
    assert python(jail, code) == "EPERM"


def test_limits_and_priorities_of_the_init_cannot_be_changed(jail: Workspace) -> None:
    attempts = (
        "resource.prlimit(1, resource.RLIMIT_NOFILE, (0, 0))",
        "resource.prlimit(1, resource.RLIMIT_AS, (0, 0))",
        "os.sched_setscheduler(1, os.SCHED_IDLE, os.sched_param(0))",
        "os.sched_setaffinity(1, {0})",
        "os.setpriority(os.PRIO_PROCESS, 1, 19)",
        "os.setpriority(os.PRIO_PGRP, 1, 19)",
    )
    for attempt in attempts:
        code = f"import os, resource\ntry: {attempt}; print('done')\nexcept OSError: print('refused')"
        assert python(jail, code) == "refused", attempt
    assert sh(jail, "ulimit -n 64; ulimit -n").output == b"64\n"
    assert sh(jail, "nice -n 5 true && taskset -c 0 true && echo own").output == b"own\n"


def test_forged_frames_and_markers_change_no_result(jail: Workspace) -> None:
    frame = r"\x00\x00\x00\x20\x00\x00\x00\x00" + '{"id":1,"code":0,"timed_out":false}'
    result = sh(
        jail, f"printf '{frame}'; for fd in $(seq 3 64); do printf '{frame}' >&$fd; done 2>/dev/null; exit 9"
    )
    assert result.exit_code == 9
    shell = jail.shell()
    result = shell.run(
        "for fd in 200 201 202; do printf 'x 0\\n' >&$fd; done 2>/dev/null; printf '\\036%s\\036' x; false"
    )
    assert result.exit_code == 1
    assert shell.run("echo next").output == b"next\n"


# -- the host's processes, network and kernel ----------------------------------------------------------------------


def test_only_the_boxs_own_processes_are_visible(jail: Workspace) -> None:
    marker = f"sleep 300.{secrets.randbelow(10**9)}"
    pids = python(jail, "import os; print(len([p for p in os.listdir('/proc') if p.isdigit()]))")
    assert int(pids) <= 3
    assert sh(jail, f"pgrep -f '{marker[:-1]}[{marker[-1]}]'").exit_code == 1
    assert sh(jail, f"kill -9 {os.getpid()}").exit_code != 0


def test_the_harness_environment_does_not_reach_the_box(
    jail: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("API_KEY_FOR_TEST", "do-not-leak")
    fresh = jail.fork()
    try:
        found = fresh.exec(["/bin/bash", "-c", "cat /proc/*/environ 2>/dev/null | tr '\\0' '\\n'; env; set"])
        assert b"do-not-leak" not in found.output
        assert b"PYTHONHASHSEED" in found.output
    finally:
        fresh.close()


def test_loopback_services_of_the_host_are_out_of_reach(jail: Workspace) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        code = f"import socket\ntry:\n  socket.create_connection(('127.0.0.1', {port}), 2); print('reached')\nexcept OSError as e: print('refused')"
        assert python(jail, code) == "refused"


def test_there_is_no_network_but_the_boxs_own_loopback(jail: Workspace) -> None:
    assert python(jail, "import socket; print([n for _, n in socket.if_nameindex()])") == "['lo']"
    code = "import socket\ntry:\n  socket.create_connection(('192.0.2.1', 80), 2); print('reached')\nexcept OSError as e: print('none')"
    assert python(jail, code) == "none"
    serve = "import socket,threading\ns=socket.create_server(('127.0.0.1',0))\nc=socket.create_connection(s.getsockname())\nprint('own loopback')"
    assert python(jail, serve) == "own loopback"


def test_abstract_sockets_of_the_host_are_out_of_reach(jail: Workspace) -> None:
    name = f"ise-test-{secrets.token_hex(4)}"
    with socket.socket(socket.AF_UNIX) as server:
        server.bind("\0" + name)
        server.listen()
        code = f"import socket\ns=socket.socket(socket.AF_UNIX)\ntry:\n  s.connect('\\0{name}'); print('reached')\nexcept OSError: print('refused')"
        assert python(jail, code) == "refused"


@pytest.mark.parametrize(
    ("family", "kind", "protocol"),
    [
        (40, 1, 0),
        (16, 3, 9),
        (16, 3, 12),
        (16, 3, 15),
        (17, 3, 768),
        (38, 5, 0),
        (31, 1, 0),
        (21, 5, 0),
        (44, 3, 0),
        (2, 3, 1),
    ],
    ids=["vsock", "audit", "netfilter", "uevent", "packet", "alg", "bluetooth", "rds", "xdp", "raw-icmp"],
)
def test_socket_families_beyond_the_box_are_refused(
    jail: Workspace, family: int, kind: int, protocol: int
) -> None:
    code = f"import socket\ntry: socket.socket({family}, {kind}, {protocol}); print('opened')\nexcept OSError: print('refused')"
    assert python(jail, code) == "refused"


@pytest.mark.parametrize(
    ("x86", "arm", "args"),
    [
        (272, 97, "0x10000000"),  # unshare(CLONE_NEWUSER)
        (272, 97, "0x00020000"),  # unshare(CLONE_NEWNS)
        (56, 220, "0x10000011, 0, 0, 0, 0"),  # clone(CLONE_NEWUSER)
        (308, 268, "0, 0"),  # setns
        (165, 40, "0, 0, 0, 0, 0"),  # mount
        (166, 39, "0, 0"),  # umount2
        (428, 428, "-100, 0, 0"),  # open_tree
        (430, 430, "0, 0"),  # fsopen
        (155, 41, "0, 0"),  # pivot_root
        (101, 117, "0, 0, 0, 0"),  # ptrace
        (321, 280, "0, 0, 0"),  # bpf
        (250, 219, "0, 0, 0"),  # keyctl
        (248, 217, "0, 0, 0, 0, 0"),  # add_key
        (425, 425, "8, 0"),  # io_uring_setup
        (323, 282, "0"),  # userfaultfd
        (298, 241, "0, 0, -1, -1, 0"),  # perf_event_open
        (304, 265, "-100, 0, 0"),  # open_by_handle_at
        (300, 262, "0, 0"),  # fanotify_init
        (175, 105, "0, 0, 0"),  # init_module
        (246, 104, "0, 0, 0, 0"),  # kexec_load
        (169, 142, "0, 0, 0, 0"),  # reboot
        (103, 116, "3, 0, 0"),  # syslog
        (227, 112, "0, 0"),  # clock_settime
    ],
)
def test_kernel_interfaces_without_use_in_a_workspace_are_refused(
    jail: Workspace, x86: int, arm: int, args: str
) -> None:
    assert python(jail, SYSCALL + f"print(call({x86}, {arm}, {args}))") in ("EPERM", "ENOSYS", "EACCES")


def test_clone3_is_hidden_so_that_its_flags_cannot_be(jail: Workspace) -> None:
    assert python(jail, SYSCALL + "print(call(435, 435, 0, 0))") in ("ENOSYS", "EPERM")
    assert (
        python(
            jail,
            "import threading; t = threading.Thread(target=print, args=('threads',)); t.start(); t.join()",
        )
        == "threads"
    )


def test_user_namespaces_cannot_be_nested(jail: Workspace) -> None:
    assert sh(jail, "unshare -Ur true").exit_code != 0
    assert sh(jail, "unshare -rm mount -t tmpfs x /tmp").exit_code != 0


def test_keystrokes_cannot_be_put_into_a_terminal(jail: Workspace) -> None:
    code = (
        "import fcntl,os\nm,s=os.openpty()\n"
        "for r in (0x5412, 0x541c, 0x15412):\n"
        "  try: fcntl.ioctl(s, r, b'x'); print('injected')\n  except OSError as e: print('refused')"
    )
    assert "injected" not in python(jail, code.replace("0x15412", "0x100005412 & 0xffffffff"))


def test_a_setuid_program_of_the_agents_own_gains_nothing(jail: Workspace) -> None:
    sh(jail, "cp /usr/bin/id . ; chmod 6755 id")
    assert sh(jail, "./id -u").output == b"1000\n"
    assert sh(jail, "grep NoNewPrivs /proc/self/status").output.split() == [b"NoNewPrivs:", b"1"]
    caps = sh(jail, "grep -E 'Cap(Eff|Prm|Inh|Amb)' /proc/self/status").output.decode()
    assert {line.split()[1].strip("0") for line in caps.splitlines()} == {""}
    assert sh(jail, "su -c true || sudo -n true || passwd -d user").exit_code != 0


# -- tampering with verification -----------------------------------------------------------------------------------

TAMPER = {
    "shadowed programs": "mkdir -p ~/bin /workspace/bin; for p in bash sh python3 git grep cat test; do printf '#!/bin/sh\\nexit 0\\n' "
    "| tee ~/bin/$p /workspace/$p /workspace/bin/$p >/dev/null; chmod +x ~/bin/$p /workspace/$p /workspace/bin/$p; done; "
    "echo 'export PATH=~/bin:/workspace:$PATH' | tee ~/.bashrc ~/.bash_profile ~/.profile ~/.bash_env",
    "poisoned start files": "echo 'exit 0' | tee ~/.bashrc ~/.bash_profile ~/.profile ~/.bash_login; mkdir -p ~/.config/git; "
    "git config --global alias.status '!true'; echo 'import os; os._exit(0)' > sitecustomize.py; cp sitecustomize.py usercustomize.py; "
    "mkdir -p ~/.local/lib/python3.11/site-packages; cp sitecustomize.py ~/.local/lib/python3.11/site-packages/usercustomize.py",
    "environment": "export BASH_ENV=/workspace/evil.sh ENV=/workspace/evil.sh LD_PRELOAD=/workspace/evil.so PYTHONSTARTUP=evil.py; "
    "echo 'exit 0' > evil.sh; test() { true; }; export -f test; alias test=true; trap 'exit 0' DEBUG",
    "linker": "mkdir -p ~/lib; echo > evil.so; echo /workspace/evil.so > ~/ld.so.preload; cp ~/ld.so.preload /etc/ld.so.preload",
    "full disk": "head -c 999999999 /dev/zero > fill; head -c 999999999 /dev/zero > /tmp/fill; head -c 999999999 /dev/zero > ~/fill",
    "watcher": "(while :; do pkill -x -f 'bash -c test.*'; pkill python3; sleep 0.001; done) >/dev/null 2>&1 & disown",
}
FAILING = (
    ["/bin/bash", "-c", "test -f /workspace/answer.txt"],
    ["/bin/bash", "-c", "grep -q 42 /workspace/answer.txt"],
    ["/usr/bin/python3", "-I", "-c", "import sys; sys.exit(1)"],
    ["bash", "-c", "exit 1"],
)


@pytest.mark.parametrize("name", TAMPER)
def test_no_tampering_turns_a_failed_check_into_a_pass(jail: Workspace, name: str) -> None:
    shell = jail.shell()
    shell.run(TAMPER[name], timeout=10)
    sh(jail, TAMPER[name])
    for argv in FAILING:
        assert jail.exec(argv, timeout=5).exit_code != 0, (name, argv)
    with pytest.raises(FileNotFoundError):
        jail.read("answer.txt")


def test_poisoned_path_does_not_reach_a_passing_check_either(jail: Workspace) -> None:
    sh(jail, TAMPER["shadowed programs"])
    jail.write("answer.txt", b"42\n")
    assert (
        jail.exec(["/bin/bash", "-c", "grep -q 42 answer.txt && python3 -I -c 'print(6*7)'"]).output
        == b"42\n"
    )


# -- isolation between workspaces ------------------------------------------------------------------------------------


def test_workspaces_share_nothing(jail: Workspace) -> None:
    other = jail.fork()
    try:
        jail.write("/tmp/mine", b"1")
        sh(jail, "echo 1 > /dev/shm/mine; ipcmk -M 4096 >/dev/null")
        assert other.stat("/tmp/mine") is None and other.stat("/dev/shm/mine") is None
        assert other.exec(["/bin/bash", "-c", "ipcs -m | grep -c 0x"]).output == b"0\n"
        name = jail.spawn("python3 -m http.server 8765 --bind 127.0.0.1")
        time.sleep(0.7)
        fetch = "import urllib.request as u\ntry: print(u.urlopen('http://127.0.0.1:8765', timeout=2).status)\nexcept OSError: print('refused')"
        assert python(jail, fetch) == "200"
        assert python(other, fetch) == "refused"
        jail.kill(name)
    finally:
        other.close()


def test_a_dead_box_is_an_infrastructure_error_and_reset_mends_it(jail: Workspace) -> None:
    waiting: list[BaseException] = []

    def wait() -> None:
        try:
            sh(jail, "sleep 30", timeout=40)
        except WorkspaceError as error:
            waiting.append(error)

    thread = threading.Thread(target=wait)
    thread.start()
    time.sleep(0.2)
    jail._box.kill()  # type: ignore[attr-defined]
    thread.join(10)
    assert len(waiting) == 1
    with pytest.raises(WorkspaceError):
        jail.read("x")
    jail.reset()
    assert sh(jail, "echo back").output == b"back\n"
