"""Workspaces that start from a folder of the host: the same behaviour, mounted or copied, and the folder is safe."""

from __future__ import annotations

import contextlib
import os
import shutil
import socket
import stat
import time
import warnings
from collections.abc import Iterator
from hashlib import sha256
from pathlib import Path

import gymnasium as gym
import pytest

import ise_gym  # noqa: F401 - registers the env
from ise_gym.errors import UserError, WorkspaceError
from ise_gym.messages import assistant, tool_call
from ise_gym.workspace import ExecResult, Limits, SeedFile, Workspace, open_workspace
from ise_gym.workspace.backends.local import LocalWorkspace
from ise_gym.workspace.isolation import stage
from ise_gym.workspace.snapshots.template import Template, read_template, template_tree
from sandboxes import DOCKER, LIMITS, Pool

FILES = {"README.md": b"# Start\n", "src/app.py": b"print('app')\n", "src/deep/er/data.bin": bytes(9000)}
SEEDS = [SeedFile(path, data) for path, data in FILES.items()]
MODES = ["bubblewrap-mounted", "bubblewrap-copied", *DOCKER, "unsafe-local"]


def sh(box: Workspace, command: str) -> ExecResult:
    return box.exec(["/bin/bash", "-c", command])


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A template whose files belong to whoever runs the tests."""
    root = tmp_path / "start"
    for path, data in FILES.items():
        file = root / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(data)
        file.chmod(0o644)
    for place in (root, *root.rglob("*")):
        if place.is_dir():
            place.chmod(0o755)
    return root


def fingerprint(root: Path) -> dict[str, tuple[object, ...]]:
    """All that could be changed in a folder of the host."""
    found: dict[str, tuple[object, ...]] = {}
    for path in (root, *sorted(root.rglob("*"))):
        info = path.lstat()
        content = sha256(path.read_bytes()).hexdigest() if stat.S_ISREG(info.st_mode) else ""
        found[str(path)] = (
            info.st_mode,
            info.st_uid,
            info.st_nlink,
            info.st_mtime_ns,
            info.st_ctime_ns,
            content,
        )
    return found


def refusing(*_: object) -> list[str]:
    """Stand for a kernel that can't mount a template."""
    return [
        "/bin/sh",
        "-c",
        f"echo '{stage.REFUSED}an overlay on its file system: Invalid argument' >&2; exit 1",
    ]


def opened(backend: str, folder: Path, limits: Limits = LIMITS) -> Workspace:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return open_workspace(backend, limits, folder)


@pytest.fixture(params=MODES)
def start(
    request: pytest.FixtureRequest, pool: Pool, monkeypatch: pytest.MonkeyPatch, folder: Path
) -> Iterator[Workspace]:
    """A workspace that starts from `folder`, in every way there is; afterwards the folder is as it was."""
    backend = request.param.removesuffix("-mounted").removesuffix("-copied")
    pool.get(backend)
    if request.param.endswith("-copied"):
        monkeypatch.setattr(stage, "command", refusing)
    before = fingerprint(folder)
    box = opened(backend, folder)
    word = str(box.capabilities().enforced["template"])
    if request.param.endswith("-mounted"):
        assert word == "overlay, copy-on-write"
    else:
        assert word.startswith("copied at each reset: ")
    yield box
    box.close()
    assert fingerprint(folder) == before


@pytest.fixture
def mounted(pool: Pool, folder: Path) -> Iterator[Workspace]:
    """One that is mounted; what lies beneath stays as it was."""
    pool.get("bubblewrap")
    before = fingerprint(folder)
    box = opened("bubblewrap", folder)
    yield box
    box.close()
    assert fingerprint(folder) == before


# -- what every way does alike --------------------------------------------------------------------------------


def test_it_starts_from_the_folder_and_comes_back_to_it(start: Workspace, pool: Pool) -> None:
    assert start.read("src/app.py") == FILES["src/app.py"]
    seeded = pool.get("bubblewrap")
    seeded.seed(SEEDS)
    first = start.digest()
    assert first == seeded.digest()
    order = sh(start, "find . -printf '%p %m %s %T@ %U\n'").output
    for damage in (
        "rm -rf ./* && mkdir src && echo other > README.md",
        "echo more >> README.md; chmod 600 src/app.py; mv src/deep moved; ln README.md hard; rm src/deep -rf",
        "mv README.md x && mv src/app.py README.md && truncate -s 1 x",
    ):
        result = sh(start, f"set -e; {damage}")
        assert (result.output, result.exit_code) == (b"", 0)
        assert start.digest() != first
        start.reset()
        assert start.digest() == first
        assert sh(start, "find . -printf '%p %m %s %T@ %U\n'").output == order
    assert start.processes() == {}


def test_changes_are_those_of_any_folder(start: Workspace) -> None:
    before = start.manifest()
    sh(
        start,
        "echo more >> README.md; rm src/app.py; mv src/deep/er/data.bin new.bin; chmod 700 src; mkdir src/deep/x",
    )
    assert start.read("README.md") == b"# Start\nmore\n"
    found = start.diff(before)
    assert found.created == ("new.bin", "src/deep/x")
    assert found.changed == ("README.md", "src")
    assert found.deleted == ("src/app.py", "src/deep/er/data.bin")
    start.seed([SeedFile("src/app.py", b"seeded"), SeedFile("README.md", b"over")])
    assert (start.read("src/app.py"), start.read("README.md")) == (b"seeded", b"over")
    assert (
        sh(start, "rm -r src && mkdir src && ls -A src").output == b""
    )  # what lay below does not shine through


def test_snapshot_restore_and_fork_hold_the_whole_tree(start: Workspace) -> None:
    first = start.digest()
    sh(start, "rm README.md; mkdir fresh; touch fresh/b fresh/a fresh/c; echo 2 >> src/app.py")
    listing = "find . ~; ls -U src fresh"
    order, saved = sh(start, listing).output, start.snapshot()
    assert saved.digest == start.digest() != first
    fork = start.fork()
    try:
        assert fork.digest() == saved.digest
        assert start.capabilities() == fork.capabilities()
        start.reset()
        assert start.digest() == first
        start.restore(saved)
        assert start.digest() == saved.digest
        if not isinstance(start, LocalWorkspace):
            assert sh(start, listing).output == sh(fork, listing).output == order
        fork.reset()
        assert fork.digest() == first
        fork.restore(saved)
        fork.reset()
        assert fork.digest() == first
    finally:
        fork.close()
    start.restore(saved)
    start.restore(saved)
    assert start.digest() == saved.digest


def test_a_fork_has_room_for_the_template_besides_its_own_files(pool: Pool, folder: Path) -> None:
    pool.get("bubblewrap")
    size = 8 << 20
    (folder / "large").write_bytes(b"x" * size)
    box = opened("bubblewrap", folder, Limits(disk_mb=8))
    try:
        box.write("own", b"y" * (size // 2))
        fork = box.fork()
        assert fork.digest() == box.digest()
        fork.close()
        full = sh(box, f"head -c {size} /dev/zero > fill")
        assert not full.ok and b"No space left" in full.output
    finally:
        box.close()


def test_a_digest_reads_a_template_once_but_misses_no_change(pool: Pool, folder: Path) -> None:
    pool.get("bubblewrap")
    (folder / "large").write_bytes(bytes(24 << 20))
    os.utime(folder / "large", ns=(1, 1))
    time.sleep(1.1)  # what changed within the second before a box began is read each time
    box = opened("bubblewrap", folder)
    started = time.perf_counter()
    digests = [box.digest()]
    first = time.perf_counter() - started
    again = []
    for _ in range(5):
        started = time.perf_counter()
        assert box.digest() == digests[0]
        again.append(time.perf_counter() - started)
    assert min(again) < first / 2
    write = (
        "import mmap, os, sys; fd = os.open('large', os.O_RDWR); m = mmap.mmap(fd, 0); m[9] = int(sys.argv[1]); "
        "m.flush(); os.utime('large', ns=(1, 1))"
    )
    for value in ("1", "2", "3"):
        assert box.exec(["/usr/bin/python3", "-c", write, value]).output == b""
        digests.append(box.digest())
    assert len(set(digests)) == 4
    box.close()


def test_every_episode_of_an_env_starts_from_its_template(pool: Pool, folder: Path) -> None:
    pool.get("bubblewrap")
    env = gym.make("ISE-OS-v0", template=str(folder), backend="bubblewrap", limits=LIMITS)
    command = "cat README.md && rm -rf README.md src"
    for _ in range(2):
        env.reset(seed=7)
        answer = env.step(assistant("", [tool_call("exec", {"command": command})]))[0][0]
        assert (answer["content"], answer["exit_code"]) == ("# Start", 0)
    env.close()


# -- what a box may not ---------------------------------------------------------------------------------------


def test_the_folder_on_the_host_cannot_be_changed(mounted: Workspace, folder: Path) -> None:
    """The fixture compares the folder before and after."""
    attack = """
import fcntl, mmap, os
for name in ("README.md", "src/app.py"):
    reader = os.open(name, os.O_RDONLY)
    os.link(name, name + ".hard")
    for again in (f"/proc/self/fd/{reader}", name + ".hard", name):
        fd = os.open(again, os.O_RDWR)
        os.write(fd, b"changed")
        view = mmap.mmap(fd, 3)
        view[0] = 0
        view.flush()
        os.fchmod(fd, 0o777)
        os.utime(fd)
        os.close(fd)
    fcntl.flock(reader, fcntl.LOCK_EX)
    os.setxattr(name, "user.mark", b"1")
print("done")
"""
    result = mounted.exec(["/usr/bin/python3", "-c", attack])
    assert b"done" in result.output or b"setxattr" in result.output, result.output
    assert sh(mounted, "rm -rf ./* .[a-z]*; mkdir README.md; ls").output == b"README.md\n"
    assert (folder / "README.md").read_bytes() == FILES["README.md"]


def test_nothing_of_the_host_is_told(mounted: Workspace, folder: Path) -> None:
    told = sh(
        mounted, "cat /proc/self/mountinfo /proc/mounts /proc/1/cmdline; ls /t /tmp -A; env; df -a"
    ).output
    parts = [part.encode() for part in folder.parts if len(part) > 4]
    assert parts and not [part for part in parts if part in told]
    descriptors = sh(mounted, "ls /proc/self/fd").output.split()
    assert descriptors == [b"0", b"1", b"2", b"3"]  # the last is the listing itself
    assert sh(mounted, "cat /proc/1/environ | wc -c").output in (
        b"0\n",
        b"cat: /proc/1/environ: Permission denied\n0\n",
    )


@pytest.mark.parametrize("copied", [False, True])
def test_links_in_a_template_point_inside(
    pool: Pool, folder: Path, monkeypatch: pytest.MonkeyPatch, copied: bool
) -> None:
    pool.get("bubblewrap")
    if copied:
        monkeypatch.setattr(stage, "command", refusing)
    secret = folder.parent / "secret.txt"
    secret.write_text("host secret")
    (folder / "link").symlink_to(secret)
    (folder / "up").symlink_to("../secret.txt")
    (folder / "fine").symlink_to("README.md")
    box = opened("bubblewrap", folder)
    assert box.read("fine") == FILES["README.md"]
    entry = box.stat("link")
    assert entry is not None and (entry.kind, entry.target) == ("symlink", str(secret))
    for name in ("link", "up"):
        with pytest.raises(FileNotFoundError):
            box.read(name)
        assert b"host secret" not in sh(box, f"cat {name}").output
    box.close()


def test_setuid_programs_of_a_template_gain_nothing(pool: Pool, folder: Path) -> None:
    pool.get("bubblewrap")
    shutil.copy("/usr/bin/id", folder / "id")
    (folder / "id").chmod(0o4755)
    box = opened("bubblewrap", folder)
    try:
        assert sh(box, "stat -c %a id; ./id -u; ./id -ru").output == b"4755\n1000\n1000\n"
        assert b"nosuid,nodev" in sh(box, "grep ' /workspace ' /proc/self/mountinfo").output
    finally:
        box.close()


def test_sockets_of_the_host_are_left_out(pool: Pool, folder: Path) -> None:
    pool.get("bubblewrap")
    with socket.socket(socket.AF_UNIX) as server, contextlib.chdir(folder):
        server.bind("live.sock")
        server.listen()
        assert read_template(".").copy_because == "it holds sockets or devices"
        box = opened("bubblewrap", folder)
        assert box.stat("live.sock") is None and box.read("README.md") == FILES["README.md"]
        box.close()


# -- what a template may be -----------------------------------------------------------------------------------


def test_a_template_that_cannot_be_used_says_why(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(UserError, match=r"'.*missing' does not exist"):
        open_workspace("dummy", template=folder / "missing")
    with pytest.raises(UserError, match=r"README.md' is not a folder"):
        open_workspace("dummy", template=folder / "README.md")
    monkeypatch.chdir(folder.parent)
    box = open_workspace("dummy", template="start")
    assert box.read("src/app.py") == FILES["src/app.py"]
    box.write("src/app.py", b"")
    fork = box.fork()
    box.reset()
    assert (box.read("src/app.py"), fork.read("src/app.py")) == (FILES["src/app.py"], b"")

    def denied(path: str) -> list[str]:
        raise PermissionError(13, "Permission denied", path)

    monkeypatch.setattr(os, "listdir", denied)
    with pytest.raises(UserError, match=r"can't be read: .*start/: Permission denied; make it readable"):
        open_workspace("dummy", template="start")


def test_a_file_that_cannot_be_read_counts_by_its_name(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    whole = read_template(folder).digest

    def denied(path: Path, *args: object) -> None:
        raise PermissionError(13, "Permission denied", str(path))

    monkeypatch.setattr(Path, "open", denied)
    hidden = read_template(folder)
    assert hidden.digest not in ("", whole)
    with pytest.raises(UserError, match=r"can't be read: .*Permission denied"):
        template_tree(hidden)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can make files of others")
def test_files_of_several_owners_are_copied_and_belong_to_the_user(pool: Pool, folder: Path) -> None:
    pool.get("bubblewrap")
    os.chown(folder / "README.md", 12345, 12345)
    found = read_template(folder)
    assert found.copy_because == "its files have several owners or groups"
    box = opened("bubblewrap", folder)
    try:
        assert sh(box, "stat -c %U README.md src/app.py; echo 1 >> README.md").output == b"user\nuser\n"
    finally:
        box.close()
    os.chown(folder / "README.md", 0, 0)
    for place in (folder, *folder.rglob("*")):
        os.chown(place, 12345, 12345)
    assert read_template(folder) == Template(str(folder), (12345, 12345), 20480)
    box = opened("bubblewrap", folder)
    assert sh(box, "stat -c %U README.md src; echo 1 >> README.md").output == b"user\nuser\n"
    assert box.capabilities().enforced["template"] == "overlay, copy-on-write"
    box.close()


def test_hard_links_stay_links(pool: Pool, folder: Path) -> None:
    pool.get("bubblewrap")
    (folder / "twin").hardlink_to(folder / "README.md")
    assert "hard links" in read_template(folder).copy_because
    box = opened("bubblewrap", folder)
    sh(box, "echo more >> twin")
    assert box.read("README.md") == b"# Start\nmore\n"
    box.close()


@pytest.mark.parametrize("copied", [False, True])
def test_what_is_added_to_the_folder_is_there_after_a_reset(
    pool: Pool, folder: Path, monkeypatch: pytest.MonkeyPatch, copied: bool
) -> None:
    pool.get("bubblewrap")
    if copied:
        monkeypatch.setattr(stage, "command", refusing)
    box = opened("bubblewrap", folder)
    box.write("own", b"")
    (folder / "added").write_bytes(b"new")
    box.reset()
    assert box.read("added") == b"new" and box.stat("own") is None
    box.close()


def test_a_folder_that_goes_away_is_an_error_and_not_an_empty_workspace(pool: Pool, folder: Path) -> None:
    pool.get("bubblewrap")
    box = opened("bubblewrap", folder)
    box.write("own", b"")
    folder.rename(folder.with_name("elsewhere"))
    with pytest.raises(WorkspaceError, match="No such file"):
        box.reset()
    box.close()
