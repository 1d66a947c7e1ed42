"""The front door: what `ise_gym.__all__` promises is there, typed, light, and enough to add one's own parts."""

from __future__ import annotations

import dataclasses
import subprocess
import sys
from pathlib import Path

import gymnasium as gym
import natural_types
import pytest

import ise_gym
from made_scenarios import make_scenario

DOC = Path(__file__).parents[2] / "docs" / "api.md"


@pytest.mark.parametrize("name", ise_gym.__all__)
def test_every_public_name_is_there_and_documented(name: str) -> None:
    thing = getattr(ise_gym, name)
    assert name in dir(ise_gym)
    if name != "__version__":
        assert f"| `{name}` |" in DOC.read_text(encoding="utf-8")
        assert getattr(thing, "__doc__", None), f"{name} says nothing of itself"


def test_an_unknown_name_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="'ise_gym' has no attribute 'Enviroment'"):
        _ = ise_gym.Enviroment


def test_the_import_loads_nothing_heavy() -> None:
    heavy = {"torch", "transformers", "docker", "openai", "trl", "datasets", "ray"}
    code = f"import sys, ise_gym; print(sorted({heavy!r} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_an_agent_a_user_and_a_tool_of_ones_own_play_an_episode() -> None:
    scenario = dataclasses.replace(make_scenario(), tools=("natural_types:SHOUT",))
    env = gym.make("ISE-OS-v0", user=natural_types.Curt)
    try:
        trajectory = ise_gym.play_episode(env, natural_types.Looker(), scenario, seed=0)
    finally:
        env.close()
    assert trajectory.messages[3]["content"] == "HELLO"
    assert trajectory.messages[4]["content"] == "I looked: HELLO"
    assert [tool["function"]["name"] for tool in trajectory.tools] == ["shout"]
