"""The setting of an episode is drawn apart: tools beyond the needed ones, several prompts, both kept with the scenario."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace

import gymnasium as gym
import pytest

import ise_gym  # noqa: F401
from ise_gym.agents import make_agent
from ise_gym.errors import UserError
from ise_gym.intents.catalog import system_prompt
from ise_gym.intents.setting import OFFERS, OWN_TOOLS, PROMPTS, draw_setting, prompt_text, skills, summary_of
from ise_gym.intents.source import IntentSource
from ise_gym.messages import sha256_of
from ise_gym.rollout.play import play_episode
from ise_gym.scenario import DEFAULT_TOOLS, Request
from ise_gym.scenario.carried import packed, unpacked
from ise_gym.tools import tool_schemas


def test_settings_are_drawn_as_often_as_they_should_be() -> None:
    drawn = [draw_setting("varied", ["cron"], "train", seed) for seed in range(600)]
    for counted, weights in (
        (Counter(setting.prompt for setting in drawn), PROMPTS),
        (Counter(setting.offer for setting in drawn), OFFERS),
    ):
        for name, weight in weights.items():
            assert abs(counted[name] / 600 - weight / sum(weights.values())) < 0.07
    for setting in drawn:
        assert {*DEFAULT_TOOLS, "cron"} <= set(setting.tools) <= set(OWN_TOOLS)
        assert (setting.offer == "all") <= (len(setting.tools) == len(OWN_TOOLS))
        assert (setting.offer == "needed") == (len(setting.tools) == 6)
        assert bool(setting.files) == (setting.prompt == "operator")
    assert len({setting.tools for setting in drawn}) > 100
    assert (
        drawn[7]
        == draw_setting("varied", ["cron"], "train", 7)
        != draw_setting("varied", ["cron"], "eval", 7)
    )


def asked(request: Request) -> Request:
    """What is asked and checked: how the expert does it and tells of it may differ."""
    return replace(request, plan=(), reply="")


@pytest.mark.parametrize("name", PROMPTS)
def test_a_prompt_speaks_of_what_is_there(name: str) -> None:
    little, much = prompt_text(name, DEFAULT_TOOLS), prompt_text(name, OWN_TOOLS)
    assert "/workspace" in little and "{{" not in much and "{%" not in much
    for tool in set(OWN_TOOLS) - set(DEFAULT_TOOLS):
        assert tool not in little
    if name in ("rules", "operator"):
        assert all(f"- {tool}: {summary_of(tool)}" in much for tool in OWN_TOOLS)
    if name == "operator":
        assert all(f"/workspace/{place}" in much for place, _ in skills())
        assert ("## Memory" in much, "## Memory" in little) == (True, False)


def test_a_setting_changes_nothing_else_and_travels_with_the_scenario() -> None:
    plain, varied = IntentSource("train", setting="plain"), IntentSource("train")
    prompts = set()
    for seed in range(25):
        one, other = plain.scenario(seed), varied.scenario(seed)
        assert [asked(request) for request in one.requests] == [asked(request) for request in other.requests]
        assert one.persona == other.persona
        assert set(one.tools) <= set(other.tools) and one.system_prompt == system_prompt()
        assert other.files[: len(one.files)] == one.files
        said = other.metadata["setting"]
        assert said["prompt_sha256"] == sha256_of(other.system_prompt)
        prompts.add(said["prompt"])
        back = unpacked(packed(other, plans=True))
        assert (back.tools, back.system_prompt, back.files) == (other.tools, other.system_prompt, other.files)
    assert prompts == set(PROMPTS)


def test_lessons_stay_plain() -> None:
    lesson = IntentSource("train", tier="easy", tasks_per_intent=1)
    assert max(len(lesson.scenario(seed).tools) for seed in range(20)) < 9
    assert {lesson.scenario(seed).system_prompt for seed in range(20)} == {system_prompt()}
    wide = IntentSource("train", tier="easy", tasks_per_intent=1, setting="varied")
    assert max(len(wide.scenario(seed).tools) for seed in range(20)) == len(OWN_TOOLS)
    with pytest.raises(UserError, match="Did you mean 'varied'"):
        IntentSource("train", setting="varid")


def test_an_episode_has_the_tools_the_prompt_and_the_skills() -> None:
    source = IntentSource("train", tasks_per_intent=1, tier="easy")
    scenario = source.scenario(0)
    setting = next(
        found
        for seed in range(100)
        if (found := draw_setting("varied", (), seed)).prompt == "operator" and found.offer == "all"
    )
    scenario = replace(
        scenario, tools=setting.tools, system_prompt=setting.text, files=(*scenario.files, *setting.files)
    )
    env = gym.make("ISE-OS-v0")
    try:
        record = play_episode(env, make_agent("expert"), scenario, 0)
    finally:
        env.close()
    assert record.outcome == "passed"
    assert record.hashes["system_prompt"] == sha256_of(setting.text)
    assert record.hashes["tools"] != ""
    assert len(tool_schemas(setting.tools)) == 20
