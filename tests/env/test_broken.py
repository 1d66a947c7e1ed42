"""What breaks on the machine's side ends one episode, and takes nothing else with it."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import gymnasium as gym
import numpy as np
import pytest
from gymnasium.vector import AutoresetMode

import ise_gym  # noqa: F401
from ise_gym.env import GIVEN_UP_IN_A_ROW, RESET_TRIES, ISEEnv
from ise_gym.errors import AgentError, UserError, WorkspaceError
from ise_gym.messages import Message, assistant, tool_call
from ise_gym.scenario import Scenario
from ise_gym.simulator.base import UserView
from ise_gym.simulator.scripted import ScriptedUser
from ise_gym.workspace import Limits, Workspace, open_workspace
from ise_gym.workspace.backends.dummy import DummyWorkspace
from made_scenarios import make_scenario, write


class OneScenario:
    name = "one"

    def scenario(self, seed: int) -> Scenario:
        return make_scenario()

    def __iter__(self) -> Iterator[Scenario]:
        yield make_scenario()


def run(command: str, **more: object) -> Message:
    return assistant("", [tool_call("exec", {"command": command, **more})])


def mark(number: int) -> str:
    """A command that can be found among the processes of this machine."""
    return f"sleep 3{os.getpid()}.{number}"


def kill_the_box_of(command: str, spare: set[int]) -> None:
    """Kill every process above the one that runs a command, up to the harness."""
    words = command.encode().split()
    found = [p for p in _pids() if Path(f"/proc/{p}/comm").exists() and _words(p) == words]
    assert found, f"nothing runs {command!r}"
    doomed = []
    for pid in found:
        while pid > 1 and pid not in spare:
            doomed.append(pid)
            pid = _parent(pid)
    for pid in doomed:
        os.kill(pid, signal.SIGKILL)
    _wait_until_gone(doomed)


def _pids() -> list[int]:
    return [int(path.name) for path in Path("/proc").iterdir() if path.name.isdigit()]


def _words(pid: int) -> list[bytes]:
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes().rstrip(b"\0").split(b"\0")
    except (FileNotFoundError, ProcessLookupError):
        return []


def _parent(pid: int) -> int:
    return int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[1])


def _gone(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "Z"
    except (FileNotFoundError, ProcessLookupError):
        return True


def _wait_until_gone(pids: list[int]) -> None:
    deadline = time.monotonic() + 30
    while left := [pid for pid in pids if not _gone(pid)]:
        assert time.monotonic() < deadline, f"still alive: {[(p, _words(p)) for p in left]}"
        time.sleep(0.02)


# -- a vector -------------------------------------------------------------------------------------


@pytest.mark.parametrize("mode", ["sync", "async"])
@pytest.mark.parametrize("autoreset", [AutoresetMode.NEXT_STEP, AutoresetMode.SAME_STEP])
def test_a_broken_box_costs_a_vector_one_episode(mode: str, autoreset: AutoresetMode) -> None:
    vector = gym.make_vec(
        "ISE-OS-v0",
        3,
        vectorization_mode=mode,
        vector_kwargs={"autoreset_mode": autoreset},
        source=OneScenario(),
    )
    try:
        vector.reset(seed=1)
        vector.step(tuple(run(mark(n), background=True) for n in range(3)))
        harness = {os.getpid()} | {process.pid for process in getattr(vector, "processes", [])}
        kill_the_box_of(mark(1), harness)
        observations, rewards, terminated, truncated, infos = vector.step((run("echo on"),) * 3)
        assert truncated.tolist() == [False, True, False] and not terminated.any()
        ended = infos if autoreset is AutoresetMode.NEXT_STEP else infos["final_info"]
        assert ended["outcome"][1] == "infrastructure_error" and not ended["valid"][1]
        assert rewards.tolist() == [0, 0, 0]
        for healthy in (0, 2):
            assert observations[healthy][0]["content"] == "on"
            assert infos["outcome"][healthy] == "" and infos["valid"][healthy]
        observations, _, terminated, truncated, infos = vector.step((run("echo again; ls"),) * 3)
        assert not truncated.any() and not terminated.any() and infos["valid"].all()
        if autoreset is AutoresetMode.NEXT_STEP:
            assert [m["role"] for m in observations[1]] == ["system", "user"], "a new episode in a new box"
            observations, *_ = vector.step((run("echo again; ls"),) * 3)
        assert observations[1][0]["content"] == "again\ndata.txt"
        assert np.array_equal(infos["score"], np.zeros(3))
    finally:
        vector.close()


PARENT = """
import sys, threading
import gymnasium as gym, ise_gym
from ise_gym.messages import assistant, tool_call
if __name__ == "__main__":
    vector = gym.make_vec("ISE-OS-v0", 3, vectorization_mode="async", vector_kwargs={"context": sys.argv[1]})
    vector.reset(seed=1)
    print(*[process.pid for process in vector.processes], flush=True)
    if sys.argv[2] == "busy":
        vector.step_async((assistant("", [tool_call("exec", {"command": "sleep 300"})]),) * 3)
        vector.step_wait()
    threading.Event().wait()
"""


@pytest.mark.parametrize("context", ["fork", "spawn"])
@pytest.mark.parametrize("state", ["busy", "idle"])
def test_a_vector_whose_parent_is_killed_leaves_no_process(tmp_path: Path, context: str, state: str) -> None:
    script = tmp_path / "parent.py"
    script.write_text(PARENT)
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(p for p in sys.path if p)}
    with subprocess.Popen(
        [sys.executable, str(script), context, state], stdout=subprocess.PIPE, text=True, env=environment
    ) as parent:
        assert parent.stdout is not None
        workers = [int(word) for word in parent.stdout.readline().split()]
        assert len(workers) == 3
        if state == "busy":
            deadline = time.monotonic() + 30
            while sum(_words(p) == [b"sleep", b"300"] for p in _below(workers)) < 3:
                assert time.monotonic() < deadline, "the commands never began"
                time.sleep(0.05)
        family = [*workers, *_below(workers)]
        assert len(family) > 2 * len(workers), "every worker has a box"
        parent.kill()
    _wait_until_gone(family)


def _below(pids: list[int]) -> list[int]:
    parents = {}
    for pid in _pids():
        try:
            parents[pid] = _parent(pid)
        except (FileNotFoundError, ProcessLookupError):
            continue
    found: list[int] = []
    level = set(pids)
    while level := {pid for pid, parent in parents.items() if parent in level}:
        found += level
    return found


# -- one env --------------------------------------------------------------------------------------


class Dying(DummyWorkspace):
    """A workspace that breaks at a point: at its reset, or when a file is written after that."""

    at = ""

    def reset(self) -> None:
        if self.at == "reset":
            raise WorkspaceError("the box died at its reset")
        super().reset()

    def write(self, path: str, data: bytes, mode: int = 0o644) -> None:
        if self.at == "write" and path != "data.txt":
            raise WorkspaceError("the box died")
        super().write(path, data, mode)


class Boxes:
    """Opens workspaces of which some break; a backend."""

    def __init__(self, *fates: str) -> None:
        self.fates, self.opened = list(fates), 0

    def __call__(self, limits: Limits, template: object = None) -> Workspace:
        fate = self.fates[min(self.opened, len(self.fates) - 1)]
        self.opened += 1
        if fate == "open":
            raise WorkspaceError("no box today")
        box = Dying(limits)
        box.at = fate
        return box


def test_by_default_an_env_raises_and_its_episode_says_why() -> None:
    boxes = Boxes("write", "")
    env = ISEEnv(OneScenario(), backend=boxes)
    env.reset(seed=1)
    with pytest.raises(WorkspaceError, match="the box died"):
        env.step(write("greet.txt", "héllo"))
    assert env.episode.outcome == "infrastructure_error" and env.episode.info()["valid"] is False
    _, info = env.reset(seed=1)
    assert info["valid"] is True and boxes.opened == 2
    env.close()


def test_truncating_is_an_option_of_any_env() -> None:
    env = gym.make("ISE-OS-v0", source=OneScenario(), backend=Boxes("write", ""), on_broken="truncate")
    env.reset(seed=1)
    observation, reward, terminated, truncated, info = env.step(write("greet.txt", "héllo"))
    assert (observation, reward, terminated, truncated) == ((), 0.0, False, True)
    assert (info["outcome"], info["reason"], info["valid"]) == ("infrastructure_error", "the box died", False)
    with pytest.raises(RuntimeError, match="over"):
        env.step(assistant("more?"))
    assert env.reset(seed=1)[1]["valid"] is True
    env.close()


@pytest.mark.parametrize("fate", ["open", "reset"])
def test_a_reset_tries_other_boxes(fate: str) -> None:
    boxes = Boxes(*[fate] * (RESET_TRIES - 1), "")
    env = ISEEnv(OneScenario(), backend=boxes, on_broken="truncate")
    observation, info = env.reset(seed=1)
    assert info["valid"] and len(observation) == 2 and boxes.opened == RESET_TRIES
    env.close()


@pytest.mark.parametrize("fate", ["open", "reset"])
def test_an_episode_that_cannot_begin_is_truncated_at_its_first_step(fate: str) -> None:
    boxes = Boxes(*[fate] * RESET_TRIES, "")
    env = ISEEnv(OneScenario(), backend=boxes, on_broken="truncate")
    observation, info = env.reset(seed=1)
    assert observation == () and observation in env.observation_space
    assert info["outcome"] == "infrastructure_error" and not info["valid"]
    observation, reward, terminated, truncated, info = env.step(assistant("Hello?"))
    assert (observation, reward, terminated, truncated, info["valid"]) == ((), 0.0, False, True, False)
    assert env.reset(seed=1)[1]["valid"]
    env.close()


def test_a_machine_that_starts_no_box_at_all_is_an_error() -> None:
    env = ISEEnv(OneScenario(), backend=Boxes("open"), on_broken="truncate")
    with pytest.raises(WorkspaceError, match="no box today"):
        for _ in range(GIVEN_UP_IN_A_ROW):
            env.reset(seed=1)
    assert env.episode.info()["valid"] is False


class Unreachable(ScriptedUser):
    def respond(self, view: UserView, feedback: str = "") -> None:  # type: ignore[override]
        raise AgentError("503 from the endpoint")


@pytest.mark.parametrize("on_broken", ["raise", "truncate"])
def test_a_users_endpoint_that_breaks_is_the_infrastructures_fault_too(on_broken: str) -> None:
    env = ISEEnv(OneScenario(), backend="dummy", user=Unreachable, guard=False, on_broken=on_broken)  # type: ignore[arg-type]
    env.reset(seed=1)
    if on_broken == "raise":
        with pytest.raises(AgentError):
            env.step(assistant("Done."))
    else:
        assert env.step(assistant("Done."))[3] is True
    info = env.episode.info()
    assert info["reason"] == "user: 503 from the endpoint" and not info["valid"]
    env.close()


def test_a_workspace_of_ones_own_that_breaks_is_not_replaced() -> None:
    box = Dying()
    env = ISEEnv(OneScenario(), workspace=box)
    env.reset(seed=1)
    box.at = "write"
    with pytest.raises(WorkspaceError, match="the box died"):
        env.step(write("greet.txt", "héllo"))
    with pytest.raises(WorkspaceError, match="was given"):
        env.reset(seed=1)


def test_a_vector_refuses_to_share_one_workspace() -> None:
    box = open_workspace("dummy")
    with pytest.raises(UserError, match="serves one env"):
        gym.make_vec("ISE-OS-v0", 2, vectorization_mode="sync", workspace=box)
