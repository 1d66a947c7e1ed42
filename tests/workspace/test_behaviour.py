"""What every backend does alike, whatever sandbox is under it."""

from __future__ import annotations

import secrets
import threading
import time

import pytest

from ise_gym.errors import WorkspaceError
from ise_gym.workspace import HOME, WORKDIR, ExecResult, FileStat, SeedFile, Workspace


def sh(box: Workspace, command: str, **kwargs: object) -> ExecResult:
    return box.exec(["/bin/bash", "-c", command], **kwargs)  # type: ignore[arg-type]


def unique() -> str:
    """Digits that no other test's processes carry: without isolation a command sees every process."""
    return str(secrets.randbelow(10**9))


# -- exec ------------------------------------------------------------------------------------------------


def test_exec_gives_output_and_the_real_status(box: Workspace) -> None:
    result = sh(box, "echo out; echo err >&2; exit 7")
    assert result.output == b"out\nerr\n"
    assert (result.exit_code, result.stderr, result.timed_out, result.ok) == (7, b"", False, False)


def test_exec_can_keep_stderr_apart(box: Workspace) -> None:
    result = sh(box, "echo out; echo err >&2", merge=False)
    assert (result.output, result.stderr) == (b"out\n", b"err\n")


def test_death_by_signal_is_128_plus_its_number(box: Workspace) -> None:
    assert sh(box, "kill -TERM $$").exit_code == 143
    assert sh(box, "kill -KILL $$").exit_code == 137


def test_what_cannot_be_started_is_a_result_not_an_error(box: Workspace) -> None:
    box.write("plain.txt", b"no program")
    assert box.exec(["no-such-program"]).exit_code == 127
    assert box.exec(["./plain.txt"]).exit_code == 126
    assert box.exec(["/tmp"]).exit_code == 126
    assert box.exec(["true"], cwd="missing").exit_code == 127
    assert box.exec(["echo", "a\0b"]).exit_code == 126
    assert box.exec(["echo", "ok"]).output == b"ok\n"


def test_programs_are_found_in_the_commands_own_path(box: Workspace) -> None:
    box.write("bin/hello", b"#!/bin/sh\necho hello from $0\n", mode=0o755)
    result = box.exec(["hello"], env={"PATH": "bin:/usr/bin:/bin"})
    assert result.output == b"hello from bin/hello\n"


def test_stdin_is_delivered_and_closed(box: Workspace) -> None:
    data = bytes(range(256)) * 4000
    assert box.exec(["wc", "-c"], stdin=data).output.strip() == str(len(data)).encode()
    assert box.exec(["cat"], timeout=5).output == b""


def test_unread_stdin_does_not_block(box: Workspace) -> None:
    assert box.exec(["true"], stdin=b"x" * 2_000_000, timeout=10).exit_code == 0


def test_environment_is_clean_and_extended_per_command(box: Workspace) -> None:
    first = sh(box, "env | sort").output
    assert b"PYTHONHASHSEED=0" in first and b"TZ=UTC" in first and b"LANG=C.UTF-8" in first
    assert b"EXTRA" not in first
    assert b"EXTRA=1" in sh(box, "env", env={"EXTRA": "1"}).output
    assert sh(box, "env | sort").output == first


def test_commands_start_in_the_workspace(box: Workspace) -> None:
    box.write("deep/er/x.txt", b"1")
    assert sh(box, "ls").output == b"deep\n"
    assert sh(box, "ls", cwd="deep").output == b"er\n"
    assert sh(box, "ls", cwd=f"{WORKDIR}/deep/er").output == b"x.txt\n"


def test_shell_state_does_not_live_on_between_execs(box: Workspace) -> None:
    sh(box, "cd /tmp; X=1; export X")
    assert sh(box, 'echo "[$X]"; basename $PWD').output == b"[]\nworkspace\n"


def test_output_keeps_head_and_tail_and_counts_the_rest(box: Workspace) -> None:
    result = sh(box, "echo START; head -c 5000000 /dev/zero; echo END")
    cap = box.limits.output_bytes
    assert len(result.output) == cap
    assert result.output.startswith(b"START\n") and result.output.endswith(b"END\n")
    assert result.dropped_bytes == 5_000_000 + 10 - cap


def test_timeout_kills_the_family_and_the_workspace_goes_on(box: Workspace) -> None:
    tag = unique()
    script = f"sleep 71.{tag} & (setsid sleep 72.{tag} &); setsid setsid sleep 73.{tag} & echo started; sleep 74.{tag}"
    result = sh(box, script, timeout=0.6)
    assert (result.timed_out, result.exit_code, result.output) == (True, None, b"started\n")
    assert result.seconds < 5
    assert sh(box, f"pgrep -f '[s]leep 7.[.]{tag}'").exit_code == 1


def test_a_timeout_spares_what_older_commands_started(box: Workspace) -> None:
    tag = unique()
    sh(box, f"setsid sleep 81.{tag} >/dev/null 2>&1 & disown")
    kept = box.spawn(f"sleep 82.{tag}")
    assert sh(box, "sleep 83", timeout=0.3).timed_out
    assert sh(box, f"pgrep -fc '[s]leep 8.[.]{tag}'").output == b"2\n"
    assert box.poll(kept).running


def test_children_that_hold_the_pipe_are_not_waited_for(box: Workspace) -> None:
    started = time.monotonic()
    result = sh(box, "(sleep 60; echo late) & echo now")
    assert time.monotonic() - started < 5
    assert (result.output, result.exit_code) == (b"now\n", 0)


def test_a_child_that_prints_after_the_end_is_not_killed_for_it(box: Workspace) -> None:
    sh(box, "(sleep 0.3; echo one; echo two; echo survived > done.txt) &")
    deadline = time.monotonic() + 5
    while box.stat("done.txt") is None and time.monotonic() < deadline:
        time.sleep(0.05)
    assert box.read("done.txt") == b"survived\n"


def test_signals_are_not_inherited_as_ignored(box: Workspace) -> None:
    result = sh(box, "yes | head -n1; echo ${PIPESTATUS[0]}")
    assert result.output == b"y\n141\n"


def test_requests_from_several_threads_overlap(box: Workspace) -> None:
    results: list[ExecResult] = []
    waits = "touch here; until [ -e go ]; do sleep 0.02; done; echo slow"
    slow = threading.Thread(target=lambda: results.append(sh(box, waits, timeout=30)))
    slow.start()
    # the first ends only if the second is served meanwhile
    assert sh(box, "until [ -e here ]; do sleep 0.02; done; touch go; echo quick").output == b"quick\n"
    slow.join()
    assert results[0].output == b"slow\n"


# -- background processes -------------------------------------------------------------------------------------


def test_spawn_poll_stdin_kill(box: Workspace) -> None:
    first = box.spawn("read line; echo got:$line; exit 3")
    second = box.spawn("sleep 100")
    assert (first, second) == ("proc_1", "proc_2")
    assert box.poll(first).running
    box.write_stdin(first, b"hello\n")
    status = box.poll(first, timeout=5)
    assert (status.running, status.output, status.exit_code) == (False, b"got:hello\n", 3)
    assert box.poll(first).output == b""
    box.kill(second)
    status = box.poll(second, timeout=5)
    assert (status.running, status.exit_code) == (False, 137)
    assert box.processes() == {"proc_1": "read line; echo got:$line; exit 3", "proc_2": "sleep 100"}
    with pytest.raises(KeyError):
        box.poll("proc_9")
    with pytest.raises(KeyError):
        box.kill("proc_9")
    with pytest.raises(BrokenPipeError):
        box.write_stdin(first, b"x")


def test_poll_waits_no_longer_than_asked(box: Workspace) -> None:
    name = box.spawn("echo early; sleep 100")
    started = time.monotonic()
    status = box.poll(name, timeout=0.3)
    assert 0.25 < time.monotonic() - started < 3
    assert (status.running, status.output) == (True, b"early\n")


def test_eof_ends_a_reader(box: Workspace) -> None:
    name = box.spawn("cat; echo over")
    box.write_stdin(name, b"abc\n", eof=True)
    assert box.poll(name, timeout=5).output == b"abc\nover\n"


def test_a_process_on_a_pty_has_a_terminal(box: Workspace) -> None:
    name = box.spawn("test -t 0 && test -t 1 && echo terminal; read x; echo [$x]", pty=True)
    time.sleep(0.3)
    box.write_stdin(name, b"typed\n")
    status = box.poll(name, timeout=5)
    assert status.exit_code == 0
    assert b"terminal" in status.output and b"[typed]" in status.output


def test_a_signal_reaches_the_group(box: Workspace) -> None:
    name = box.spawn("trap 'echo caught; exit 5' TERM; sleep 100 & wait")
    time.sleep(0.3)
    box.kill(name, 15)
    status = box.poll(name, timeout=5)
    assert (status.output, status.exit_code) == (b"caught\n", 5)


# -- files ----------------------------------------------------------------------------------------------------


def test_read_write_list_stat_remove(box: Workspace) -> None:
    box.write("a/b.bin", bytes(range(256)))
    assert box.read("a/b.bin") == bytes(range(256))
    assert box.read(f"{WORKDIR}/a/b.bin", offset=250) == bytes(range(250, 256))
    assert box.read("a/b.bin", offset=10, limit=2) == b"\x0a\x0b"
    assert box.read("a/b.bin", offset=9999) == b""
    box.write("a/b.bin", b"new")
    sh(box, "ln -s b.bin a/link; mkdir a/d; chmod 750 a/d")
    assert box.list("a") == [
        FileStat(f"{WORKDIR}/a/b.bin", "file", 3, 0o644),
        FileStat(f"{WORKDIR}/a/d", "dir", 0, 0o750),
        FileStat(f"{WORKDIR}/a/link", "symlink", 0, 0o777, "b.bin"),
    ]
    assert box.stat("a/link") == FileStat(f"{WORKDIR}/a/link", "symlink", 0, 0o777, "b.bin")
    assert box.read("a/link") == b"new"
    box.remove("a/link")
    assert box.stat("a/link") is None and box.read("a/b.bin") == b"new"
    assert box.stat("a/b.bin/x") is None


def test_file_errors_are_the_builtin_ones_and_name_the_path(box: Workspace) -> None:
    box.write("f", b"")
    with pytest.raises(FileNotFoundError, match=r"nope\.txt"):
        box.read("nope.txt")
    with pytest.raises(IsADirectoryError):
        box.read(WORKDIR)
    with pytest.raises(IsADirectoryError):
        box.write(HOME, b"")
    with pytest.raises(NotADirectoryError):
        box.write("f/g", b"")
    with pytest.raises(NotADirectoryError):
        box.list("f")
    with pytest.raises(FileNotFoundError):
        box.list("nowhere")
    with pytest.raises(FileNotFoundError):
        box.remove("nowhere")
    with pytest.raises(OSError, match="Invalid argument"):
        box.read("nul\0byte")


def test_mode_is_for_new_files_only(box: Workspace) -> None:
    box.write("run.sh", b"#!/bin/sh\necho one\n", mode=0o755)
    box.write("run.sh", b"#!/bin/sh\necho two\n")
    assert box.exec(["./run.sh"]).output == b"two\n"


def test_fifos_devices_and_sockets_never_block_a_read_or_write(box: Workspace) -> None:
    sh(box, "mkfifo pipe; ln -s /dev/zero zero")
    for path in ("pipe", "zero"):
        with pytest.raises(OSError):
            box.read(path)
        with pytest.raises(OSError):
            box.write(path, b"x")


def test_names_that_are_not_text(box: Workspace) -> None:
    sh(box, "printf data > $'bad\\xff name'; printf 1 > $'new\\nline'")
    names = [entry.path for entry in box.list()]
    assert f"{WORKDIR}/bad\udcff name" in names
    assert box.read("bad\udcff name") == b"data"
    assert box.read("new\nline") == b"1"


def test_large_files_pass_in_pieces(bubble: Workspace) -> None:
    data = bytes(range(256)) * (200 << 10)
    bubble.write("large", data)
    assert bubble.read("large") == data
    assert bubble.exec(["wc", "-c", "large"]).output.startswith(b"52428800")


def test_seed_fixes_times_and_modes(box: Workspace) -> None:
    box.seed([SeedFile("src/main.py", b"print(1)\n"), SeedFile("src/run", b"x", 0o700), SeedFile("top", b"")])
    out = sh(box, "stat -c '%n %a %Y' src/main.py src/run top src .").output.decode().splitlines()
    assert out == [
        "src/main.py 644 1704067200",
        "src/run 700 1704067200",
        "top 644 1704067200",
        "src 755 1704067200",
        ". 755 1704067200",
    ]


# -- trees ----------------------------------------------------------------------------------------------------


def test_digest_depends_on_names_modes_and_contents_only(box: Workspace) -> None:
    def build() -> str:
        box.reset()
        box.seed([SeedFile("a.txt", b"1"), SeedFile("d/b.txt", b"2")])
        sh(box, "ln -s a.txt l")
        return box.digest()

    first = build()
    assert build() == first
    sh(box, "touch a.txt; echo x > $HOME/elsewhere")
    assert box.digest() == first
    changes = ["echo 3 > a.txt", "chmod 600 a.txt", "mv a.txt c.txt", "ln -sfn b l", "mkdir e"]
    seen = {first}
    for change in changes:
        build()
        sh(box, change)
        seen.add(box.digest())
    assert len(seen) == len(changes) + 1


def test_diff_names_what_changed(box: Workspace) -> None:
    box.seed([SeedFile("keep", b"1"), SeedFile("edit", b"1"), SeedFile("gone", b"1")])
    before = box.manifest()
    assert not box.diff(before)
    sh(box, "echo 2 > edit; rm gone; mkdir -p new/er; touch new/er/f")
    diff = box.diff(before)
    assert diff.created == ("new", "new/er", "new/er/f")
    assert (diff.changed, diff.deleted) == (("edit",), ("gone",))


HARD_TREE = r"""
mkdir -p d/e; echo deep > d/e/f; head -c 3000000 /dev/urandom > big; printf '\xff' > $'odd\xff name'
ln -s d/e link; ln -s /nowhere broken; ln big hard; touch empty; mkfifo fifo; echo home > $HOME/.config
chmod 000 d/e/f; chmod 500 d/e; chmod 4755 empty; touch -d '2001-02-03 04:05:06' big
"""
LOOK = r"find . -printf '%p %m %s %T@ %y %l %n\n' | sort"
DESCRIBE = f"{LOOK}; cd; {LOOK}"


def test_snapshot_restores_everything_that_can_be_seen(box: Workspace) -> None:
    sh(box, HARD_TREE)
    seen, digest = sh(box, DESCRIBE).output, box.digest()
    assert box.digest() == digest
    saved = box.snapshot()
    assert saved.digest == digest
    sh(box, "chmod -R u+rwx .; rm -rf ./* ; echo other > other")
    assert box.digest() != digest
    box.restore(saved)
    assert box.digest() == digest
    assert sh(box, DESCRIBE).output == seen


def test_fork_is_equal_and_independent(box: Workspace) -> None:
    sh(box, HARD_TREE)
    other = box.fork()
    try:
        assert other.digest() == box.digest()
        other.write("only-there", b"")
        assert box.stat("only-there") is None
        assert other.exec(["cat", "big"]).output == box.exec(["cat", "big"]).output
    finally:
        other.close()
    assert box.exec(["true"]).ok


def test_a_fork_lists_its_folders_in_the_same_order(jail: Workspace) -> None:
    sh(jail, "mkdir z; touch b z/2 a z/1 c z/3; mkdir z/0; ln -s a y; ln c z/hard; touch $HOME/q $HOME/p")
    order = "find . ~; ls -U; ls -U z"
    other = jail.fork()
    try:
        assert sh(other, order).output == sh(jail, order).output
        again = other.fork()
        assert sh(again, order).output == sh(jail, order).output
        again.close()
    finally:
        other.close()


def test_a_fork_does_not_need_its_parent(box: Workspace) -> None:
    box.write("a", b"1")
    parent = box.fork()
    forks = [parent.fork() for _ in range(2)]
    parent.close()
    for fork in forks:
        assert fork.read("a") == b"1"
        fork.reset()
        assert fork.list() == []
        fork.close()
    with pytest.raises(WorkspaceError):
        parent.fork()


def test_resetting_an_untouched_box_keeps_it(box: Workspace) -> None:
    before = box._box  # type: ignore[attr-defined]
    box.reset()
    assert box._box is before  # type: ignore[attr-defined]
    box.exec(["true"])
    box.reset()
    assert box._box is not before  # type: ignore[attr-defined]


def test_a_damaged_snapshot_is_refused(box: Workspace) -> None:
    box.write("a", b"payload of some length")
    saved = box.snapshot()
    for at in (0, 8, len(saved.payload) - 3):
        broken = bytearray(saved.payload)
        broken[at] ^= 1
        with pytest.raises(WorkspaceError):
            box.restore(type(saved)(saved.digest, bytes(broken)))
    with pytest.raises(WorkspaceError):
        box.restore(type(saved)("0" * 64, saved.payload))
    box.restore(saved)
    assert box.read("a") == b"payload of some length"


# -- life -----------------------------------------------------------------------------------------------------


def test_reset_leaves_nothing(box: Workspace) -> None:
    box.write("file", b"1")
    tag = unique()
    box.spawn(f"sleep 91.{tag}")
    sh(box, f"setsid sleep 92.{tag} & touch $HOME/x; disown")
    shell = box.shell()
    shell.run(f"X=1; sleep 93.{tag} &")
    box.reset()
    assert box.list() == [] and box.list(HOME) == []
    assert box.processes() == {}
    assert sh(box, f"pgrep -f '[s]leep 9.[.]{tag}'").exit_code == 1
    assert box.spawn("true") == "proc_1"
    with pytest.raises(WorkspaceError):
        shell.run("echo $X")


def test_close_is_idempotent_and_final(box: Workspace) -> None:
    other = box.fork()
    other.close()
    other.close()
    with pytest.raises(WorkspaceError):
        other.exec(["true"])
    with pytest.raises(WorkspaceError):
        other.reset()


def test_the_same_commands_give_the_same_results(box: Workspace) -> None:
    def play() -> list[object]:
        box.reset()
        box.seed([SeedFile("app.py", b"print({x for x in 'hash order'})\n")])
        results: list[object] = []
        for command in (
            "python3 app.py",
            "git init -q . && git add -A && git commit -qm one && git rev-parse HEAD",
            "date +%Z; locale 2>/dev/null | sort; umask; ulimit -c; hostname >/dev/null",
            "ls -l app.py",
        ):
            result = sh(box, command)
            results.append((result.output, result.exit_code, result.timed_out, result.dropped_bytes))
        return [*results, box.digest()]

    assert play() == play()


def test_capabilities_name_the_backend_and_every_limit(box: Workspace) -> None:
    found = box.capabilities()
    assert found.backend in ("bubblewrap", "docker", "unsafe-local")
    assert {"memory", "processes", "disk", "network", "host_files", "syscall_filter"} <= found.enforced.keys()
