"""What only the docker backend has: its image, its clean-up, and its profile."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest

from ise_gym.errors import UserError
from ise_gym.workspace import Workspace, open_workspace, self_check
from ise_gym.workspace.backends.docker import DockerWorkspace, collect_garbage, connect, seccomp_profile
from ise_gym.workspace.isolation import launcher

ROOT = str(Path(__file__).resolve().parents[2])


def test_no_daemon_is_a_user_error(monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("docker")
    monkeypatch.setenv("DOCKER_HOST", "unix:///nonexistent/docker.sock")
    with pytest.raises(UserError, match="DOCKER_HOST"):
        open_workspace("docker")
    assert not self_check("docker").ok


def test_missing_sdk_is_a_user_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "docker", None)
    with pytest.raises(UserError, match=r"ise-gym\[docker\]"):
        open_workspace("docker")


@pytest.mark.parametrize("machine", ["x86_64", "aarch64"])
def test_the_profile_holds_the_same_rules_as_the_filter(machine: str) -> None:
    profile = seccomp_profile(machine)
    json.dumps(profile)
    names = {name for rule in profile["syscalls"] for name in rule["names"]}
    assert {"mount", "bpf", "io_uring_setup", "clone3", "clone", "socket", "prlimit64", "ioctl"} <= names
    families = {
        rule["args"][0]["valueTwo"]
        for rule in profile["syscalls"]
        if "socket" in rule["names"] and rule["args"][0]["op"] == "SCMP_CMP_MASKED_EQ"
    }
    assert not families & {1, 2, 10, 16} and {3, 9, 15} <= families


def names(harness: int | None = None) -> set[str]:
    """Return the containers of one harness: other test processes start and end theirs meanwhile."""
    client = connect()
    label = f"ise-gym.pid={harness or os.getpid()}"
    try:
        return {row["Id"] for row in client.api.containers(all=True, filters={"label": label})}
    finally:
        client.close()


def settled(count: int, harness: int | None = None) -> set[str]:
    """Return the containers when there are ``count``; what was killed is removed by the daemon, a moment later."""
    deadline = time.monotonic() + 120
    while len(found := names(harness)) != count and time.monotonic() < deadline:
        time.sleep(0.1)
    assert len(found) == count
    return found


def test_docker_suites_ran(pool: object) -> None:
    assert pool.get("docker").exec(["true"]).ok  # type: ignore[attr-defined]


@pytest.fixture
def docker_box(pool: object) -> Workspace:
    found = pool.get("docker")  # type: ignore[attr-defined]
    # The reset's old container and next spare are handled by the launcher thread: wait until it is done.
    launcher.submit(lambda: None).result()
    before: set[str] = set()
    while before != (before := names()):  # what an earlier test killed may still be there
        time.sleep(0.3)
    return found  # type: ignore[no-any-return]


@pytest.mark.docker
def test_an_unknown_image_says_how_to_build_it(docker_box: Workspace) -> None:
    with pytest.raises(UserError, match="docker build -t nope envs/os"):
        DockerWorkspace(image="nope")


@pytest.mark.docker
def test_no_container_outlives_close(docker_box: Workspace) -> None:
    before = names()
    other = docker_box.fork()  # takes the spare container; the next one starts
    during = settled(len(before) + 1)
    other.close()
    assert settled(len(before)) < during


@pytest.mark.docker
def test_containers_end_with_a_killed_harness(docker_box: Workspace) -> None:
    code = (
        f"import sys; sys.path.insert(0, {ROOT!r})\nimport time\nfrom ise_gym.workspace import open_workspace\n"
        "box = open_workspace('docker'); box.spawn('sleep 1000')\nprint('ready', flush=True); time.sleep(60)"
    )
    harness = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE)
    assert harness.stdout is not None and harness.stdout.readline() == b"ready\n"
    settled(1, harness.pid)
    harness.kill()
    harness.wait()
    harness.stdout.close()
    settled(0, harness.pid)


@pytest.mark.docker
def test_garbage_collection_removes_what_has_no_harness(docker_box: Workspace) -> None:
    client = connect()
    labels = {
        "ise-gym": "workspace",
        "ise-gym.pid": "999999999",
        "ise-gym.host": socket.gethostname(),
    }
    stray = client.containers.create("ise-gym-os", ["/bin/sleep", "1000"], labels=labels, network_mode="none")
    client.close()
    done = subprocess.run(
        [sys.executable, "-m", "ise_gym.cli", "gc", "--json"], capture_output=True, text=True
    )
    said = json.loads(done.stdout)
    assert (done.stderr, said["removed"], said["containers_not_looked_at"]) == ("", [stray.name], None)
    assert collect_garbage() == []
    assert docker_box.exec(["echo", "spared"]).output == b"spared\n"
