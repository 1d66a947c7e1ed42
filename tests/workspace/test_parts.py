"""The parts of the workspace that can be tested without a sandbox."""

from __future__ import annotations

import os
import struct
import subprocess
import sys
import warnings
from pathlib import Path
from types import SimpleNamespace

import pytest

from ise_gym.errors import UserError, WorkspaceError
from ise_gym.workspace import (
    ExecResult,
    Limits,
    SeedFile,
    Shell,
    Workspace,
    available_backends,
    box,
    open_workspace,
    self_check,
)
from ise_gym.workspace.backends import bubblewrap
from ise_gym.workspace.backends import choice as backends
from ise_gym.workspace.backends import docker as docker_backend
from ise_gym.workspace.backends.dummy import DummyWorkspace
from ise_gym.workspace.box.sweep import Family
from ise_gym.workspace.box.trees import stable_index
from ise_gym.workspace.box.wire import Capped, dumps, loads
from ise_gym.workspace.isolation import cgroups, seccomp, uids

# -- choosing a backend -------------------------------------------------------------------------------------


def test_unknown_backend_names_the_nearest() -> None:
    with pytest.raises(UserError, match="bubblewrap"):
        open_workspace("bubblewarp")
    with pytest.raises(UserError, match="unsafe-local"):
        self_check("unsafe-locl")


def test_missing_bwrap_names_the_package(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bubblewrap.shutil, "which", lambda _: None)  # type: ignore[attr-defined]
    monkeypatch.setattr(bubblewrap.os, "access", lambda *_: False)  # type: ignore[attr-defined]
    with pytest.raises(UserError, match="install the package 'bubblewrap'"):
        open_workspace("bubblewrap")
    check = self_check("bubblewrap")
    assert not check.ok and "apt-get install bubblewrap" in check.message


def test_auto_says_why_nothing_works(monkeypatch: pytest.MonkeyPatch) -> None:
    backends.first_working.cache_clear()
    monkeypatch.setattr(backends, "self_check", lambda name: backends.SelfCheck(False, f"no {name} here"))
    with pytest.raises(UserError, match=r"no bubblewrap here .* no docker here"):
        open_workspace()
    backends.first_working.cache_clear()


def test_unsafe_local_warns_and_is_never_chosen_by_itself() -> None:
    with pytest.warns(UserWarning, match="no isolation"):
        open_workspace("unsafe-local").close()
    assert "unsafe-local" not in backends.AUTO_ORDER
    assert available_backends() == ("bubblewrap", "docker", "unsafe-local", "dummy")


def test_import_is_light() -> None:
    code = "import sys, ise_gym.workspace; print([m for m in ('docker', 'pexpect', 'torch') if m in sys.modules])"
    root = str(Path(__file__).resolve().parents[2])
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=root)
    assert done.stdout.strip() == "[]"


# -- the system-call filter -----------------------------------------------------------------------------------


def run_filter(program: bytes, arch: int, number: int, args: tuple[int, ...] = ()) -> int:
    """Interpret the BPF of the filter on one call, as the kernel would."""
    data = struct.pack("<IIQ6Q", number, arch, 0, *args, *[0] * (6 - len(args)))
    code = [struct.unpack_from("<HBBI", program, at) for at in range(0, len(program), 8)]
    accumulator, at = 0, 0
    while True:
        operation, yes, no, value = code[at]
        at += 1
        if operation == 0x20:
            (accumulator,) = struct.unpack_from("<I", data, value)
        elif operation == 0x06:
            return value  # type: ignore[no-any-return]
        else:
            taken = {0x15: accumulator == value, 0x35: accumulator >= value, 0x45: bool(accumulator & value)}
            at += yes if taken[operation] else no


ALLOW = 0x7FFF0000
ARCHES = [("x86_64", 0xC000003E, 0), ("aarch64", 0xC00000B7, 1)]


@pytest.mark.parametrize(("machine", "arch", "column"), ARCHES)
def test_filter_refuses_what_it_lists_and_nothing_else(machine: str, arch: int, column: int) -> None:
    program = seccomp.build_filter(machine)
    assert len(program) // 8 <= 4096
    refused = {numbers[column] for numbers in seccomp.REFUSED.values()} - {None}
    special = {
        numbers[column]
        for numbers in (
            seccomp.CLONE,
            seccomp.CLONE3,
            seccomp.SOCKET,
            seccomp.SOCKETPAIR,
            seccomp.IOCTL,
            *seccomp.NOT_ON_PID_1.values(),
        )
    }
    for number in range(480):
        verdict = run_filter(program, arch, number)
        if number in refused:
            assert verdict == 0x50001, number
        elif number not in special:
            assert verdict == ALLOW, number


@pytest.mark.parametrize(("machine", "arch", "column"), ARCHES)
def test_filter_looks_at_arguments(machine: str, arch: int, column: int) -> None:
    program = seccomp.build_filter(machine)

    def verdict(call: tuple[int, ...], *args: int) -> int:
        return run_filter(program, arch, call[column], args)

    for family, allowed in (
        (1, True),
        (2, True),
        (10, True),
        (40, False),
        (17, False),
        (38, False),
        (0, False),
    ):
        assert (verdict(seccomp.SOCKET, family, 1, 0) == ALLOW) is allowed, family
    assert verdict(seccomp.SOCKET, 16, 3, 0) == ALLOW
    assert verdict(seccomp.SOCKET, 16, 3, 12) != ALLOW
    assert verdict(seccomp.SOCKET, (1 << 32) | 40, 1, 0) != ALLOW
    assert verdict(seccomp.CLONE, 0x11) == ALLOW
    assert verdict(seccomp.CLONE, 0x10000011) != ALLOW
    assert verdict(seccomp.CLONE3, 0, 0) == 0x50026
    assert verdict(seccomp.IOCTL, 0, 0x5401) == ALLOW
    assert verdict(seccomp.IOCTL, 0, (7 << 32) | 0x5412) != ALLOW
    prlimit = seccomp.NOT_ON_PID_1["prlimit64"]
    assert verdict(prlimit, 0) == ALLOW and verdict(prlimit, 1) != ALLOW


def test_filter_refuses_foreign_abis() -> None:
    program = seccomp.build_filter("x86_64")
    assert run_filter(program, 0x40000003, 20) == 0x50026
    assert run_filter(program, 0xC000003E, 0x40000000 | 1) == 0x50026


# -- control groups -------------------------------------------------------------------------------------------


def v1(tmp_path: Path, names: tuple[str, ...]) -> str:
    lines = []
    for number, name in enumerate(names):
        folder = tmp_path / name / "own"
        folder.mkdir(parents=True)
        (folder / "cgroup.procs").touch()
        lines.append(f"{number + 2}:{name}:/own")
    return "\n".join(lines)


def test_cgroup_v1_needs_both_controllers(tmp_path: Path) -> None:
    found = cgroups.detect(tmp_path, v1(tmp_path, ("memory", "pids")))
    assert (found.version, found.word) == (1, "cgroup v1")
    assert found.parents == {"memory": tmp_path / "memory/own", "pids": tmp_path / "pids/own"}
    other = tmp_path / "other"
    other.mkdir()
    assert cgroups.detect(other, v1(other, ("memory",))).version == 0


def test_cgroup_v2_goes_up_to_a_group_that_hands_its_controllers_down(tmp_path: Path) -> None:
    (tmp_path / "cgroup.controllers").write_text("memory pids cpu")
    for folder, given in (
        (tmp_path, "memory pids"),
        (tmp_path / "slice", "memory pids"),
        (tmp_path / "slice/unit", ""),
    ):
        folder.mkdir(exist_ok=True)
        (folder / "cgroup.subtree_control").write_text(given)
    found = cgroups.detect(tmp_path, "0::/slice/unit\n")
    assert found.version == 2
    # A plain file "accepts" any write, but does not list the controllers as the kernel would.
    assert found.parents["memory"] == tmp_path / "slice"


def test_no_cgroup_mount_is_no_support(tmp_path: Path) -> None:
    assert cgroups.detect(tmp_path, "0::/\n").version == 0


# -- pieces of the init ----------------------------------------------------------------------------------


@pytest.mark.parametrize("limit", [2, 10, 64])
@pytest.mark.parametrize("piece", [1, 3, 1000])
def test_capped_keeps_head_and_tail(limit: int, piece: int) -> None:
    data = bytes(i % 251 for i in range(1000))
    for total in (0, 1, limit - 1, limit, limit + 1, 999):
        buffer = Capped(limit)
        for at in range(0, total, piece):
            buffer.add(data[at : min(at + piece, total)])
        kept, dropped = buffer.take()
        expected = data[:total] if total <= limit else data[: limit // 2] + data[total - limit // 2 : total]
        assert (kept, dropped) == (expected, max(0, total - limit))
        assert buffer.take() == (b"", 0)


def test_the_accelerated_json_round_trips() -> None:
    value = {"a": [1, 2.5, None, True, "é\udcff\u2028\0"], "b": {"c": []}, "d": -(10**20)}
    assert loads(dumps(value)) == value
    assert dumps(value).isascii()


def test_the_joined_init_needs_nothing_of_this_package() -> None:
    text = box.source().decode()
    assert "from ise_gym" not in text and "import ise_gym" not in text
    compile(text, "init", "exec")
    assert text.count("from __future__") == 1


def test_family_claims_tree_session_and_new_orphans(monkeypatch: pytest.MonkeyPatch) -> None:
    table = {
        1: (0, 1, b"S"),
        10: (1, 10, b"S"),
        11: (10, 10, b"S"),
        12: (11, 12, b"S"),  # setsid, still a descendant
        13: (1, 10, b"S"),  # orphan in the session
        14: (1, 14, b"S"),  # orphan of its own session, new
        15: (14, 14, b"S"),
        20: (1, 20, b"S"),  # another live command
        21: (20, 20, b"S"),
        30: (1, 30, b"S"),  # an old orphan
        31: (10, 10, b"Z"),
    }
    monkeypatch.setattr("ise_gym.workspace.box.sweep.process_table", lambda: table)
    everyone = Family(1, 10, frozenset({1, 20, 30}), {20}, keep_root=False)
    assert everyone.members() == {10, 11, 12, 13, 14, 15}
    spared = Family(1, 10, frozenset({1, 20, 30}), {20}, keep_root=True)
    assert spared.members() == {11, 12, 13}


def test_git_indexes_of_equal_histories_are_equal_but_for_clocks(tmp_path: Path) -> None:
    found = []
    for name, when in (("one", "2001-01-01"), ("two", "2002-02-02")):
        folder = tmp_path / name
        folder.mkdir()
        for file in ("a.txt", "a-much-longer-name-than-eight.txt"):
            (folder / file).write_text("same")
            subprocess.run(["touch", "-d", when, file], cwd=folder, check=True)
        for command in (["git", "init", "-q", "."], ["git", "add", "-A"]):
            subprocess.run(command, cwd=folder, check=True, stdout=subprocess.DEVNULL)
        found.append((folder / ".git/index").read_bytes())
    assert found[0] != found[1]
    assert stable_index(found[0]) == stable_index(found[1]) is not None
    subprocess.run(["git", "rm", "-q", "--cached", "a.txt"], cwd=tmp_path / "two", check=True)
    assert stable_index((tmp_path / "two/.git/index").read_bytes()) != stable_index(found[0])
    assert stable_index(found[0][:80]) is None
    assert stable_index(b"DIRC\0\0\0\4\0\0\0\0") is None


# -- the dummy --------------------------------------------------------------------------------------------------


def test_dummy_behaves_like_a_workspace() -> None:
    found = DummyWorkspace(
        Limits(output_bytes=4), {"greet": lambda w, argv, stdin: ExecResult(b"abcdefgh", 0)}
    )
    assert isinstance(found, Workspace) and isinstance(found.shell(), Shell)
    found.seed([SeedFile("a/b.txt", b"1"), SeedFile("c", b"2", 0o755)])
    saved, before = found.snapshot(), found.manifest()
    assert [e.path for e in found.list()] == ["/workspace/a", "/workspace/c"]
    found.write("a/b.txt", b"changed")
    found.remove("c")
    assert (found.diff(before).changed, found.diff(before).deleted) == (("a/b.txt",), ("c",))
    found.restore(saved)
    assert found.digest() == saved.digest == found.fork().digest()
    result = found.exec(["greet"])
    assert (result.output, result.dropped_bytes) == (b"abgh", 4)
    assert found.exec(["nothing"]).exit_code == 127
    name = found.spawn("echo hi")
    assert found.poll(name).output == b"hi\n" and found.poll(name).output == b""
    with pytest.raises(IsADirectoryError):
        found.write("a", b"")
    with pytest.raises(NotADirectoryError):
        found.write("c/d", b"")
    found.reset()
    assert found.list() == [] and found.processes() == {}
    found.close()
    with pytest.raises(WorkspaceError):
        found.read("c")


def test_dummy_and_bubblewrap_agree_on_digests() -> None:
    if not self_check("bubblewrap").ok:
        pytest.skip("bubblewrap does not work here")
    files = [SeedFile("a/b.txt", "héllo".encode()), SeedFile("run", b"x", 0o755)]
    digests = set()
    for name in ("dummy", "bubblewrap", "unsafe-local"):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            found = open_workspace(name)
        found.seed(files)
        digests.add(found.digest())
        found.close()
    assert len(digests) == 1


def test_a_setpriv_that_knows_none_of_the_options_is_not_used(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    strange = tmp_path / "setpriv"
    strange.write_text("#!/bin/sh\necho unrecognized option >&2\nexit 1\n")
    strange.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    assert bubblewrap.setpriv.__wrapped__() is None
    strange.write_text('#!/bin/sh\nwhile [ "$1" != -- ]; do shift; done; shift; exec "$@"\n')
    assert bubblewrap.setpriv.__wrapped__() == str(strange)


@pytest.mark.parametrize(
    ("said", "advice"),
    [
        ("bwrap: Unknown option --disable-userns", "0.8 or newer"),
        ("bwrap: --disable-userns is not supported in setuid mode", "chmod u-s"),
        ("bwrap: Unexpected capabilities but not setuid, old file caps config?", "setcap -r"),
        ("bwrap: loopback: Failed RTM_NEWADDR: Operation not permitted", "AppArmor"),
        ("bwrap: setting up uid map: Permission denied", "AppArmor"),
        ("bwrap: No permissions to create new namespace", "unprivileged_userns_clone=1"),
        ("bwrap: Creating new namespace failed: Operation not permitted", "unprivileged_userns_clone=1"),
    ],
)
def test_what_bwrap_says_is_answered_with_what_helps_whoever_chose_it(
    monkeypatch: pytest.MonkeyPatch, said: str, advice: str
) -> None:
    def refuses(*_: object, **__: object) -> Workspace:
        raise WorkspaceError(f"bubblewrap could not start a sandbox: {said}")

    monkeypatch.setattr(backends, "BACKENDS", {"bubblewrap": refuses})
    with pytest.raises(UserError, match=said.split()[1]) as caught:
        open_workspace("bubblewrap")
    assert advice in str(caught.value)
    assert advice in backends.self_check("bubblewrap").message


def test_root_of_one_mapped_id_gives_boxes_no_host_user_of_their_own(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(uids.os, "geteuid", lambda: 0)  # type: ignore[attr-defined]
    monkeypatch.setattr(uids.Path, "read_text", lambda self: "         0       1000          1\n")  # type: ignore[attr-defined]
    assert not uids.own_host_users()
    monkeypatch.setattr(uids.Path, "read_text", lambda self: "0 0 4294967295\n")  # type: ignore[attr-defined]
    assert uids.own_host_users()


def test_gc_without_the_docker_sdk_says_so_and_goes_on(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "docker", None)
    with pytest.raises(UserError, match=r"ise-gym\[docker\]"):
        docker_backend.collect_garbage()


def test_without_cgroups_what_is_not_counted_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bubblewrap, "_cgroup_support", lambda: cgroups.Support(0, {}))
    found = bubblewrap.BubblewrapWorkspace.capabilities(
        SimpleNamespace(limits=Limits(), template=None, _template_word=dict, folders=())  # type: ignore[arg-type]
    )
    assert found.enforced["shared_memory"] is False and found.enforced["inotify"] is False
    assert any("memfd" in note and "inotify" in note for note in found.notes)
