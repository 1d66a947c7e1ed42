"""Vector envs carry messages right: non-ASCII text, auto-reset, sync and async, shared memory or not."""

from __future__ import annotations

from typing import Any

import gymnasium as gym
import numpy as np
import pytest
from gymnasium.vector import AutoresetMode

import ise_gym  # noqa: F401
from ise_gym.messages import assistant, tool_call

TEXT = "naïve — 日本語 🙂 \u0000 \ud800"
MODES = [("sync", {}), ("async", {}), ("async", {"shared_memory": False})]


def _vector(mode: str, extra: Any, n: int = 2, **kwargs: Any) -> Any:
    return gym.make_vec("ISE-OS-v0", n, vectorization_mode=mode, vector_kwargs={**extra, **kwargs})


@pytest.mark.parametrize(("mode", "extra"), MODES)
def test_steps_equal_those_of_single_envs(mode: str, extra: Any) -> None:
    actions = [
        assistant("", [tool_call("exec", {"command": "echo 'naïve — 日本語 🙂'"})]),
        assistant("Done."),
    ]
    vector = _vector(mode, extra)
    got = [vector.reset(seed=40)[0]]
    for action in actions:
        got.append(vector.step((action, action))[0])
    vector.close()
    for index in range(2):
        single = gym.make("ISE-OS-v0")
        expected = [single.reset(seed=40 + index)[0]]
        for action in actions:
            expected.append(single.step(action)[0])
        single.close()
        assert [tuple(obs[index]) for obs in got] == expected
    assert "日本語 🙂" in got[1][0][0]["content"]


@pytest.mark.parametrize(("mode", "extra"), MODES)
@pytest.mark.parametrize("autoreset", [AutoresetMode.NEXT_STEP, AutoresetMode.SAME_STEP])
def test_autoreset(mode: str, extra: Any, autoreset: Any) -> None:
    vector = _vector(mode, extra, autoreset_mode=autoreset)
    first, _ = vector.reset(seed=40)
    idle = (assistant("I am not going to."),) * 2
    for _ in range(30):
        observations, _, terminated, _, infos = vector.step(idle)
        if terminated.any():
            break
    assert terminated.any(), "an idle agent's user gives up"
    ended = int(np.flatnonzero(terminated)[0])
    if autoreset is AutoresetMode.SAME_STEP:
        assert infos["final_info"]["outcome"][ended] == "failed"
    else:
        observations, rewards, terminated, _, _ = vector.step(idle)
        assert rewards[ended] == 0 and not terminated[ended]
    assert [m["role"] for m in observations[ended]] == ["system", "user"], "a new episode has begun"
    assert tuple(observations[ended]) != tuple(first[ended])
    vector.close()


def test_kept_observations_do_not_change() -> None:
    vector = _vector("async", {})
    kept, _ = vector.reset(seed=40)
    before = [tuple(obs) for obs in kept]
    vector.step((assistant("", [tool_call("exec", {"command": "echo other"})]),) * 2)
    assert [tuple(obs) for obs in kept] == before
    vector.close()


def test_shared_memory_keeps_every_character() -> None:
    from gymnasium.vector.utils import create_shared_memory, read_from_shared_memory, write_to_shared_memory

    from ise_gym.messages import user
    from ise_gym.spaces import MessageSequenceSpace
    from ise_gym.vector import REGION_BYTES

    space = MessageSequenceSpace()
    memory = create_shared_memory(space, 2)
    view = read_from_shared_memory(space, memory, 2)
    write_to_shared_memory(space, 1, (user(TEXT),), memory)  # type: ignore[arg-type]
    assert view[1] == (user(TEXT),) and view[0] == ()  # type: ignore[index]
    with pytest.raises(ValueError, match="shared_memory"):
        write_to_shared_memory(space, 0, (user("x" * REGION_BYTES),), memory)  # type: ignore[arg-type]
