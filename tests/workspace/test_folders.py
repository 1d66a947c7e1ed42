"""Folders of a box that are writable beside the usual ones."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from own_dockerd import Daemon

from ise_gym.errors import UserError
from ise_gym.workspace import Limits, Workspace, open_workspace, self_check
from sandboxes import ISOLATED

LIMITS = Limits(disk_mb=64)


@pytest.fixture(scope="module", params=ISOLATED)
def roomy(request: pytest.FixtureRequest, daemon: Daemon | None) -> Iterator[Workspace]:
    check = self_check(request.param)
    if not check.ok:
        pytest.skip(f"no {request.param} here: {check.message}")
    workspace = open_workspace(request.param, LIMITS, folders=["/logs/", "/var/lib/thing"])
    yield workspace
    workspace.close()


def sh(box: Workspace, command: str) -> bytes:
    return box.exec(["bash", "-c", command]).output


def test_they_are_writable_by_commands_and_through_the_init_and_nothing_else_is(roomy: Workspace) -> None:
    assert sh(roomy, "mkdir -p /logs/agent && echo a > /logs/agent/x && cat /logs/agent/x") == b"a\n"
    roomy.write("/var/lib/thing/deep/y", b"b")
    assert (
        sh(roomy, "cat /var/lib/thing/deep/y; touch /elsewhere 2>/dev/null || echo refused") == b"brefused\n"
    )


def test_they_are_of_stated_size_and_count_in_the_memory_cap(roomy: Workspace) -> None:
    assert b"16M" in sh(roomy, "df -h /logs")
    assert "/logs 16" in str(roomy.capabilities().enforced["disk"])


def test_they_are_no_part_of_the_digest_empty_after_a_reset_and_there_in_a_fork(roomy: Workspace) -> None:
    roomy.reset()
    before = roomy.digest()
    roomy.write("/logs/x", b"a")
    assert roomy.digest() == before
    other = roomy.fork()
    try:
        assert sh(other, "ls -A /logs; touch /logs/mine && echo made") == b"made\n"
    finally:
        other.close()
    roomy.reset()
    assert sh(roomy, "ls -A /logs") == b""


@pytest.mark.parametrize(
    ("folders", "said"),
    [
        (["logs"], "no absolute path"),
        (["/"], "the box's own"),
        (["/workspace/sub"], "the box's own"),
        (["/home"], "the box's own"),
        (["/usr/local"], "the box's own"),
        (["/lib64"], "the box's own"),
        (["/tmp/../etc"], "the box's own"),
        (["/a", "/a/b"], "one is inside another"),
        (["/a", "/a/"], "given twice"),
        ("/logs", "must be a list"),
    ],
)
def test_what_cannot_be_is_refused_with_its_reason(folders: list[str], said: str) -> None:
    with pytest.raises(UserError, match=said):
        open_workspace("bubblewrap", LIMITS, folders=folders)


@pytest.mark.parametrize("backend", ["dummy", "unsafe-local"])
@pytest.mark.filterwarnings("ignore:backend 'unsafe-local'")
def test_backends_that_cannot_make_them_say_so(backend: str) -> None:
    with pytest.raises(UserError, match="no folders beside its own: use bubblewrap or docker"):
        open_workspace(backend, LIMITS, folders=["/logs"])
