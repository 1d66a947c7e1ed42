"""The env's contract: turns, rewards, ends, determinism, snapshots."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
import warnings
from pathlib import Path
from typing import Any

import gymnasium as gym
import pytest
from gymnasium.error import InvalidAction
from gymnasium.utils.env_checker import check_env, data_equivalence

from ise_gym.errors import UserError, WorkspaceError
from ise_gym.messages import assistant, tool_call
from ise_gym.scenario import Budget, Scenario
from made_scenarios import make_scenario, write


def test_import_is_light() -> None:
    code = (
        "import sys, ise_gym; "
        "bad = {'torch', 'transformers', 'docker', 'openai', 'ray'} & set(sys.modules); assert not bad, bad"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


def test_check_env_has_nothing_to_warn_about() -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        made = gym.make("ISE-OS-v0")
        check_env(made.unwrapped)
        made.close()


def test_a_whole_episode(env: Any, scenario: Scenario) -> None:
    observation, info = env.reset(seed=1, options={"scenario": scenario})
    assert [m["role"] for m in observation] == ["system", "user"]
    assert observation[1]["content"] == scenario.requests[0].text
    assert info["score"] == 0 and info["counts"]["user_turns"] == 1

    observation, reward, terminated, truncated, info = env.step(write("greet.txt", "héllo\n"))
    assert [m["role"] for m in observation] == ["tool"]
    assert observation[0]["success"] and not terminated and not truncated
    assert reward == 0, "sub-goals are verified when the agent's turn ends"

    observation, reward, terminated, _, info = env.step(assistant("greet.txt is there."))
    assert reward == pytest.approx(0.5) and not terminated
    assert observation[0]["role"] == "user" and scenario.requests[1].text in observation[0]["content"]

    env.step(assistant("", [tool_call("exec", {"command": "wc -l < data.txt > count.txt"})]))
    observation, reward, terminated, truncated, info = env.step(assistant("Counted."))
    assert reward == pytest.approx(0.5) and terminated and not truncated
    assert info["outcome"] == "passed" and info["score"] == 1.0 and all(info["subgoals"].values())
    with pytest.raises(RuntimeError, match="over"):
        env.step(assistant("more?"))


def test_a_false_claim_earns_nothing_and_is_contradicted(env: Any, scenario: Scenario) -> None:
    env.reset(seed=1, options={"scenario": scenario})
    observation, reward, terminated, _, _ = env.step(assistant("Done, greet.txt is created."))
    assert reward == 0 and not terminated
    assert observation[0]["role"] == "user"
    assert scenario.requests[1].text not in observation[0]["content"]


def test_the_user_leaves_when_patience_ends(env: Any, scenario: Scenario) -> None:
    env.reset(seed=1, options={"scenario": scenario})
    for _ in range(2):
        _, _, terminated, _, _ = env.step(assistant("Done."))
        assert not terminated
    _, reward, terminated, truncated, info = env.step(assistant("Done."))
    assert terminated and not truncated and reward == 0
    assert info["outcome"] == "failed" and info["reason"] == "the user gave up"


def test_undoing_a_sub_goal_costs_its_reward(env: Any, scenario: Scenario) -> None:
    env.reset(seed=1, options={"scenario": scenario})
    env.step(write("greet.txt", "héllo"))
    _, reward, *_ = env.step(assistant("There."))
    assert reward == pytest.approx(0.5)
    env.step(assistant("", [tool_call("exec", {"command": "rm greet.txt; echo 3 > count.txt"})]))
    _, reward, terminated, _, info = env.step(assistant("Counted."))
    assert reward == pytest.approx(0.0) and not terminated, "one sub-goal gained, one lost"
    assert info["score"] == pytest.approx(0.5)


@pytest.mark.parametrize(
    ("budget", "reason"),
    [
        (Budget(tool_calls=1), "tool calls"),
        (Budget(messages=4), "messages"),
        (Budget(user_turns=1), "user turns"),
        (Budget(seconds=0.0), "seconds"),
    ],
)
def test_budgets_truncate(env: Any, budget: Any, reason: str) -> None:
    env.reset(seed=1, options={"scenario": make_scenario(budget=budget)})
    _, _, terminated, truncated, info = env.step(write("greet.txt", "héllo"))
    if reason == "user turns":
        assert not truncated
        _, reward, terminated, truncated, info = env.step(assistant("There."))
        assert reward == pytest.approx(0.5), "what was reached by then still counts"
    assert truncated and not terminated
    assert info["outcome"] == "truncated" and reason in info["reason"]


def test_same_seed_same_episode() -> None:
    made = gym.make("ISE-OS-v0")
    runs = []
    for _ in range(2):
        steps = [made.reset(seed=11)]
        made.action_space.seed(5)
        for _ in range(6):
            step = made.step(made.action_space.sample())
            steps.append(step)  # type: ignore[arg-type]
            if step[2] or step[3]:
                break
        runs.append(steps)
    made.close()
    assert data_equivalence(runs[0], runs[1], exact=True)
    other = gym.make("ISE-OS-v0")
    assert other.reset(seed=12)[0] != runs[0][0][0]
    other.close()


@pytest.mark.parametrize(
    "action",
    [
        "text",
        {"role": "user", "content": "x"},
        {"role": "assistant", "content": 3},
        {"role": "assistant", "content": "", "tool_calls": [{}]},
    ],
)
def test_what_is_not_an_assistant_message_is_refused(env: Any, scenario: Scenario, action: str) -> None:
    env.reset(seed=1, options={"scenario": scenario})
    with pytest.raises(InvalidAction, match="assistant message"):
        env.step(action)


def test_unknown_names_fail_early() -> None:
    with pytest.raises(UserError, match="scripted"):
        gym.make("ISE-OS-v0", user="scriptd")
    with pytest.raises(UserError, match="exec"):
        gym.make("ISE-OS-v0", tools=("exce",))
    made = gym.make("ISE-OS-v0", backend="bubblewarp")
    with pytest.raises(UserError, match="bubblewrap"):
        made.reset(seed=1)


def test_unknown_reset_option(env: Any) -> None:
    with pytest.raises(UserError, match="known: scenario"):
        env.reset(options={"scenaro": None})


def test_fork_and_restore_continue_alike(env: Any, scenario: Scenario) -> None:
    env.reset(seed=1, options={"scenario": scenario})
    env.step(write("greet.txt", "héllo"))
    env.step(assistant("There."))
    saved = env.unwrapped.snapshot()
    forks = env.unwrapped.fork(3)
    try:
        action = assistant(
            "", [tool_call("exec", {"command": "cat greet.txt; wc -l < data.txt > count.txt"})]
        )
        continued = [made.step(action) for made in (*forks, env.unwrapped)]
        assert all(data_equivalence(continued[0], one, exact=True) for one in continued)
        ended = [made.step(assistant("Counted.")) for made in forks]
        assert all(one[2] and one[4]["outcome"] == "passed" for one in ended)
    finally:
        for made in forks:
            made.close()
    observation, info = env.unwrapped.restore(saved)
    assert info["score"] == pytest.approx(0.5) and observation[-1]["role"] == "user"
    _, _, _, _, info = env.step(assistant("Counted."))
    assert info["outcome"] == "" and info["score"] == pytest.approx(0.5), "the fork's count.txt is not here"


def test_a_dead_sandbox_is_no_reward_of_zero(env: Any, scenario: Scenario) -> None:
    before = _descendants_of(os.getpid())
    env.reset(seed=1, options={"scenario": scenario})
    _kill_and_wait(_descendants_of(os.getpid()) - before)
    with pytest.raises(WorkspaceError):
        env.step(write("greet.txt", "héllo"))
    assert env.unwrapped.episode.outcome == "infrastructure_error"
    observation, _ = env.reset(seed=1, options={"scenario": scenario})
    assert observation[1]["role"] == "user", "the next episode gets a new workspace"


def test_render(scenario: Scenario) -> None:
    made = gym.make("ISE-OS-v0", render_mode="ansi")
    made.reset(seed=1, options={"scenario": scenario})
    assert "[user] Please put héllo" in made.render()  # type: ignore[operator]
    made.close()


def _descendants_of(pid: int) -> set[int]:
    tasks = Path(f"/proc/{pid}/task").iterdir()
    children = {int(child) for task in tasks for child in (task / "children").read_text().split()}
    return children.union(*map(_descendants_of, children))


def _kill_and_wait(pids: set[int]) -> None:
    """SIGKILL acts when the process is next scheduled: on a busy machine a step could still be served."""
    assert pids, "the episode has no process of its own"
    for pid in pids:
        os.kill(pid, signal.SIGKILL)
    deadline = time.monotonic() + 30
    while any(_is_running(pid) for pid in pids):
        assert time.monotonic() < deadline, "killed processes live on"
        time.sleep(0.005)


def _is_running(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except (FileNotFoundError, ProcessLookupError):
        return False
