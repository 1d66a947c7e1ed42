"""Commands that desynchronise shells: each gives its true result, and the next command is clean.

Every command runs in one shared persistent session per backend, so that a shell that lost its place would show
in all that follow.
"""

from __future__ import annotations

import pytest

from ise_gym.workspace import Shell, Workspace

ANY = object()
BIG = "x" * 200_000

# (command, exit code, expected output or a piece of it in a list); timeouts are a separate table.
HOSTILE: list[tuple[str, object, object]] = [
    ("true", 0, b""),
    ("false", 1, b""),
    ("echo hello", 0, b"hello\n"),
    ("printf 'no newline'", 0, b"no newline"),
    ("", 0, b""),
    ("   ", 0, b""),
    ("# only a comment", 0, b""),
    ("exit", ANY, b""),
    ("exit 3", 3, b""),
    ("exit 256", 0, b""),
    ("(exit 4)", 4, b""),
    ("exec true", 0, b""),
    ("exec false", 1, b""),
    ("exec echo replaced", 0, b"replaced\n"),
    ("exec /no/such/file", ANY, [b"No such file"]),
    ("exec >/dev/null", 0, b""),
    ("exec 2>&1 1>/dev/null", 0, b""),
    ("exec </dev/null", 0, b""),
    ("exec 0<&- 1>&- 2>&-", 0, b""),
    ("exec 3>/tmp/third; echo to three >&3; cat /tmp/third", 0, b"to three\n"),
    (
        'for fd in $(seq 3 255); do eval "exec $fd>&-" 2>/dev/null; done; echo closed all',
        ANY,
        [b"closed all"],
    ),
    ("kill -9 $$", 137, b""),
    ("kill -TERM $$", 143, b""),
    ("kill -HUP $$", 129, b""),
    ("kill -INT $$", ANY, b""),
    ("kill -9 0", ANY, ANY),
    ("kill -9 -1", ANY, ANY),
    ("echo 'unterminated", 2, [b"unexpected EOF"]),
    ('echo "unterminated', 2, [b"unexpected EOF"]),
    ("echo `unterminated", ANY, [b"unexpected EOF"]),
    ("echo $(unterminated", ANY, [b"unexpected EOF"]),
    ("if true; then echo x", 2, [b"syntax error"]),
    ("while true; do", 2, [b"syntax error"]),
    ("f() {", 2, [b"syntax error"]),
    ("}", 2, [b"syntax error"]),
    ("done", 2, [b"syntax error"]),
    (")", 2, [b"syntax error"]),
    (";;", 2, [b"syntax error"]),
    ("echo a \\", 0, b"a \\\n"),
    ("cat <<END\nbody $((1+1))\nEND", 0, b"body 2\n"),
    ("cat <<'END'\nraw $x\nEND\necho after", 0, b"raw $x\nafter\n"),
    ("cat <<END\nnever ended", 0, [b"never ended"]),
    ("break", 0, ANY),
    ("continue", 0, ANY),
    ("return 5", ANY, ANY),
    ("PS1='>>> '; PS2='... '; PROMPT_COMMAND='echo prompt'; echo set", 0, b"set\n"),
    ("export PS4='trace: '; set -x; echo traced; set +x", 0, [b"traced\n"]),
    ("set -x", 0, b""),
    ("set -v; set +v", 0, ANY),
    ("set -e; false", 1, b""),
    ("set -u; echo $NOT_SET_ANYWHERE", ANY, [b"unbound variable"]),
    ("set -o pipefail; false | true", 1, b""),
    ("trap 'echo leaving' EXIT; exit 6", 6, ANY),
    ("trap 'true' DEBUG", 0, b""),
    ("trap 'echo err' ERR; false", 1, b"err\n"),
    ("trap '' INT TERM HUP", 0, b""),
    ("stty echo icanon onlcr 2>/dev/null; echo odd terminal", 0, ANY),
    ("stty raw -echo; stty -opost", 0, b""),
    ("printf '\\033[2J\\033[H\\033]0;title\\007colour'", 0, b"\x1b[2J\x1b[H\x1b]0;title\x07colour"),
    (
        "printf '\\036deadbeefdeadbeef\\036'; echo; echo '0123456789abcdef 0'",
        0,
        [b"\x1edeadbeefdeadbeef\x1e\n"],
    ),
    ("printf '%s 0\\n' deadbeefdeadbeef >&201", 1, [b"Bad file descriptor"]),
    ("cat <&200", 1, [b"Bad file descriptor"]),
    ("echo x > /dev/fd/201; echo tried", 0, [b"tried"]),
    ("head -c 70000 /dev/urandom | base64 -w0 | wc -c", 0, b"93336\n"),
    ("printf '\\377\\376\\000\\001\\004\\032\\003'", 0, b"\xff\xfe\x00\x01\x04\x1a\x03"),
    (f"echo {BIG} | wc -c", 0, b"200001\n"),
    ("echo héllo wörld ☃ 你好", 0, "héllo wörld ☃ 你好\n".encode()),
    ("sleep 30 &", 0, b""),
    ("(while sleep 0.05; do echo tick; done) & sleep 0.2; kill $!; echo stopped", 0, [b"stopped"]),
    ("sleep 0.01 & a=$!; sleep 0.01 & wait $a $!; echo waited", 0, b"waited\n"),
    ("nohup sleep 20 >/dev/null 2>&1 & disown; echo detached", 0, b"detached\n"),
    ("cd /nonexistent", 1, [b"No such file"]),
    ("cd /tmp && cd - >/dev/null; cd /workspace", 0, b""),
    ("alias ls='echo aliased'; unalias ls", 0, b""),
    ("IFS=x; y='axb'; echo $y", 0, b"a b\n"),
    ("unset PATH; echo no path", 0, b"no path\n"),
    ("ls", ANY, ANY),
    ("LANG=xx LC_ALL=xx; echo locale", 0, [b"locale"]),
    ("readonly UID2=1; UID2=2", 1, [b"readonly"]),
    ("shopt -s extglob nullglob; echo *.none", 0, b"\n"),
    ("history; fc -l", ANY, ANY),
    ("ulimit -n 20; echo few files", ANY, [b"few files"]),
    ("ulimit -f 0; echo data > /workspace/limited; echo rc $?", ANY, ANY),
    ("bash -i <<< 'echo inner; exit 2' 2>/dev/null", 2, [b"inner"]),
    ("bash -c 'exit 9'", 9, b""),
    ("yes | head -n 3", 0, b"y\ny\ny\n"),
    (
        "rm -rf /workspace /home/user /tmp /etc /bin /dev /proc/self 2>/dev/null; echo survived",
        0,
        b"survived\n",
    ),
    ("suspend", ANY, ANY),
    ("logout", ANY, ANY),
]

ENDLESS = [
    "sleep 1000",
    "cat",
    "read x",
    "while :; do :; done",
    "yes > /dev/null",
    "tail -f /dev/null",
    "python3 -c 'while True: pass'",
    "python3 -c 'import signal,time\nfor s in range(1,32):\n  try: signal.signal(s, signal.SIG_IGN)\n"
    "  except OSError: pass\n"
    "time.sleep(1000)'",
    "trap '' INT TERM HUP; while :; do sleep 1; done",
    "kill -STOP $$",
    "set -n",
    "(trap '' TERM; setsid sleep 1000) | cat",
]


def check_clean(shell: Shell, after: str) -> None:
    probe = shell.run("builtin echo clean probe", timeout=10)
    assert (probe.output, probe.exit_code) == (b"clean probe\n", 0), f"after {after[:80]!r}: {probe}"


def matches(found: tuple[object, bytes], code: object, output: object) -> bool:
    if code is not ANY and found[0] != code:
        return False
    if isinstance(output, bytes):
        return found[1] == output
    return not isinstance(output, list) or all(piece in found[1] for piece in output)


def test_the_hostile_list_is_long_enough() -> None:
    assert len(HOSTILE) + len(ENDLESS) >= 60


def test_sessions_survive_every_hostile_command(jail: Workspace) -> None:
    shell = jail.shell()
    wrong = []
    for command, code, output in HOSTILE:
        result = shell.run(command, timeout=5)
        if result.timed_out or not matches((result.exit_code, result.output), code, output):
            wrong.append((command[:80], result))
        shell.run(
            "set +euxvn; trap - DEBUG ERR EXIT INT TERM HUP; unset IFS; PATH=/usr/bin:/bin; cd /workspace"
        )
        check_clean(shell, command)
    assert not wrong, "\n".join(f"{command!r}: {result}" for command, result in wrong)


@pytest.mark.parametrize("command", ENDLESS)
def test_sessions_survive_endless_commands(jail: Workspace, command: str) -> None:
    shell = jail.shell()
    shell.run("cd /tmp")
    result = shell.run(command, timeout=0.4)
    assert (result.timed_out, result.exit_code) == (True, None)
    check_clean(shell, command)
    assert shell.run("pwd").output == b"/tmp\n"
    assert jail.exec(["/bin/bash", "-c", "pgrep -x 'sleep|cat|yes|tail|python3' | grep -vx 1"]).output == b""


def test_execs_survive_every_hostile_command(jail: Workspace) -> None:
    for command, _, _ in HOSTILE:
        if command in ("ls", "kill -9 -1"):
            continue
        result = jail.exec(["/bin/bash", "-c", command], timeout=10)
        assert not result.timed_out, command
        assert jail.exec(["echo", "clean"]).output == b"clean\n", command


def test_deleting_everything_deletes_only_what_is_ours(jail: Workspace) -> None:
    jail.write("mine.txt", b"1")
    result = jail.exec(
        ["/bin/bash", "-c", "rm -rf --no-preserve-root / 2>/dev/null; echo survived"], timeout=60
    )
    assert (result.output, result.exit_code) == (b"survived\n", 0)
    assert jail.list() == []
    assert jail.exec(["python3", "-c", "print(1)"]).output == b"1\n"
    jail.write("again.txt", b"2")
    assert jail.shell().run("cat again.txt").output == b"2"


def test_a_session_keeps_directory_variables_and_functions(jail: Workspace) -> None:
    shell = jail.shell()
    shell.run("mkdir -p a/b; cd a/b; X=1; export Y=2; f() { echo f:$1; }; declare -A m=([k]=v)")
    assert shell.run("pwd; echo $X $Y ${m[k]}; f 3").output == b"/workspace/a/b\n1 2 v\nf:3\n"
    assert shell.run("sleep 100", timeout=0.3).timed_out
    assert shell.run("pwd; echo $X").output == b"/workspace/a/b\n1\n"


def test_a_new_shell_follows_exit(jail: Workspace) -> None:
    shell = jail.shell()
    shell.run("X=1; cd /tmp")
    assert shell.run("exit 3").exit_code == 3
    assert shell.run("echo [$X]; pwd").output == b"[]\n/workspace\n"


def test_session_output_is_capped_in_memory(bubble: Workspace) -> None:
    shell = bubble.shell()
    result = shell.run("echo START; head -c 50000000 /dev/zero; echo END", timeout=20)
    assert result.output.startswith(b"START\n") and result.output.endswith(b"END\n")
    assert len(result.output) <= bubble.limits.output_bytes
    assert result.dropped_bytes == 50_000_010 - len(result.output)


def test_two_sessions_do_not_share_anything(jail: Workspace) -> None:
    one, two = jail.shell(), jail.shell()
    one.run("X=1; cd /tmp")
    assert two.run("echo [$X]; pwd").output == b"[]\n/workspace\n"
    one.close()
    assert two.run("echo here").output == b"here\n"
