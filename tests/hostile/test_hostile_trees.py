"""File trees that an agent may leave: each can be hashed, judged, and saved or refused; none ends an episode wrongly."""

from __future__ import annotations

# Fixtures are imported by name, since the folders of tests are no packages.
# ruff: noqa: F811
import gymnasium as gym
import pytest
from harmless import named
from jails import daemon, hostile_env, jail, pool  # noqa: F401

from ise_gym.messages import assistant, tool_call
from ise_gym.workspace import Workspace
from made_scenarios import make_scenario

DEEP = "for i in $(seq 30); do n=$(printf 'd%.0s' $(seq 200)); mkdir $n && cd -P $n; done; echo x > f"
PYTHON = 'python3 -c "{}"'
TREES = {
    "nothing": "true",
    "a folder that can be listed but not entered": "mkdir -p p/q; echo 1 > p/f; echo 2 > p/q/f; chmod -R 644 p",
    "a folder that can be entered but not listed": "mkdir -p p/q; echo 1 > p/f; chmod 311 p",
    "locked folders in locked folders": "mkdir -p p/q/r; echo 1 > p/q/r/f; chmod 0 p/q/r p/q p",
    "a locked file": "echo 1 > f; chmod 0 f",
    "a file that can only be written": "echo 1 > f; chmod 222 f",
    "the root locked": "echo 1 > f; chmod 0 /workspace",
    "an index of four bytes": "printf DIRC > index",
    "an index of eleven bytes": "printf 'DIRC\\0\\0\\0\\2\\0\\0\\0' > index",
    "an index that claims 4 billion entries": "printf 'DIRC\\0\\0\\0\\2\\xff\\xff\\xff\\xff' > index",
    "an index of version 4": "printf 'DIRC\\0\\0\\0\\4\\0\\0\\0\\1abc' > index",
    "an index of zeros": "printf 'DIRC\\0\\0\\0\\2\\0\\0\\0\\7' > index; head -c 3000000 /dev/zero >> index",
    "a folder named index": "mkdir index; printf DIRC > index/index",
    "an index that can't be read": "printf DIRC > index; chmod 0 index",
    "a path longer than a path can be": DEEP,
    "a long path below a locked folder": DEEP + "; chmod 0 .; cd /workspace; chmod 0 d*",
    "two thousand nested folders": PYTHON.format(
        "import os\nfor i in range(2000): os.mkdir('a'); os.chdir('a')"
    ),
    "names of 255 bytes": "for c in a b c; do touch $(printf $c'%.0s' $(seq 255)); done",
    "names that are no text": PYTHON.format(
        "import os\nfor n in (b'\\xff', b'\\xed\\xa0\\x80', b'a\\x80b'): open(n, 'w').close(); os.mkdir(n + b'd'); os.symlink(n, n + b'l')"
    ),
    "names of signs": "touch -- -rf '*' '?' '[a]' 'a b' $'a\\nb' $'\\e[31m' '..a' '{}' '%s'; mkdir -- --help",
    "fifos": "mkfifo a; mkfifo index; mkdir d; mkfifo d/b",
    "a fifo that somebody feeds": "mkfifo a; (while :; do cat /dev/zero > a; done) > /dev/null 2>&1 &",
    "sockets": PYTHON.format("import socket; s = socket.socket(socket.AF_UNIX); s.bind('s')"),
    "links to devices": "ln -s /dev/zero z; ln -s /dev/stdin i; ln -s /dev/tty t; ln -s /proc/self/mem m; ln -s /proc/1 p",
    "links in a ring": "ln -s b a; ln -s a b; ln -s . here; ln -s .. up; ln -s nowhere dangling",
    "a link of 4 kB": PYTHON.format("import os; os.symlink('x/' * 2000, 'l')"),
    "hard links": "echo 1 > a; for n in $(seq 200); do ln a l$n; done",
    "sparse files": "for n in 1 2 3 4 5 6; do truncate -s 60M s$n; done",
    "a full disk": "head -c 1G /dev/zero > big; true",
    "ten thousand files": PYTHON.format("for i in range(10000): open('f%d' % i, 'w').close()"),
    "thirty thousand files": PYTHON.format("for i in range(30000): open('f%d' % i, 'w').close()"),
    "odd modes": "touch a b c; chmod 7777 a; chmod 4000 b; chmod 1111 c; mkdir d; chmod 7000 d",
    "times beyond all": "touch -d 1902-01-01 a; touch -d 2400-01-01 b",
}
RACES = {
    "a tree that vanishes": "while :; do mkdir -p t/a/b/c; touch t/{1..40} t/a/{1..40} t/a/b/{1..40}; rm -rf t; done",
    "folders renamed": "mkdir -p a/b/c x; touch a/b/c/{1..30}; while :; do mv a x/a; mv x/a a; done",
    "files that become folders": "while :; do echo 1 > n; rm n; mkdir n; rmdir n; ln -s / n; rm n; done",
    "files that become fifos": "while :; do echo 1 > n; rm n; mkfifo n; rm n; done",
    "modes that change": "mkdir -p a/b; touch a/b/{1..20}; while :; do chmod -R 0 a; chmod -R u+rwX a; done",
    "a file that grows": "while :; do head -c 1M /dev/zero >> g; [ $(stat -c %s g) -gt 30000000 ] && : > g; done",
    "an index rewritten": "while :; do printf 'DIRC\\0\\0\\0\\2\\0\\0\\0\\1' > index; head -c 99 /dev/zero >> index; : > index; done",
}


@pytest.mark.parametrize("command", **named(TREES))
def test_every_tree_has_a_digest_and_is_saved_whole_or_refused(jail: Workspace, command: str) -> None:
    jail.exec(["bash", "-c", command], timeout=20)
    digest = jail.digest()
    assert jail.digest() == digest
    try:
        other = jail.fork()
    except OSError as refusal:
        assert "more than a snapshot can" in str(refusal)
        return
    try:
        assert other.digest() == digest
    finally:
        other.close()


@pytest.mark.parametrize("command", **named(RACES))
def test_a_tree_that_changes_meanwhile_has_digests_and_is_saved_as_it_was_at_one_moment(
    jail: Workspace, command: str
) -> None:
    jail.spawn(command + " 2>/dev/null")
    for _ in range(20):
        jail.digest()
    for _ in range(3):
        jail.snapshot()
    jail.freeze()
    assert jail.digest() == jail.digest()


def test_more_files_than_are_described_are_no_whole_snapshot(jail: Workspace) -> None:
    jail.exec(["bash", "-c", TREES["thirty thousand files"]])
    assert len(jail.manifest().entries) == 20_000
    with pytest.raises(OSError, match="more than a snapshot can"):
        jail.snapshot()


def test_a_locked_folder_is_hashed_and_stays_locked(jail: Workspace) -> None:
    jail.exec(["bash", "-c", TREES["locked folders in locked folders"]])
    entries = jail.manifest().entries
    assert entries["p/q/r/f"][:3] == ("file", 0o644, 2)
    assert [entries[path][1] for path in ("p", "p/q", "p/q/r")] == [0, 0, 0]


@pytest.mark.parametrize(
    "command", **named({**TREES, **{name: f"({text}) 2>/dev/null &" for name, text in RACES.items()}})
)
def test_no_tree_makes_a_step_raise_or_an_episode_an_infrastructure_error(
    hostile_env: gym.Env, command: str
) -> None:
    hostile_env.reset(seed=1, options={"scenario": make_scenario()})
    hostile_env.step(assistant("", [tool_call("exec", {"command": command})]))
    over = False
    for _ in range(12):
        if over:
            break
        _, _, terminated, truncated, info = hostile_env.step(assistant("I have done it."))
        over = terminated or truncated
        assert info["outcome"] in ("", "failed", "truncated")
    assert over and info["score"] == 0.0
