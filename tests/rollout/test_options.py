from __future__ import annotations

import pickle
from pathlib import Path

import pytest

from ise_gym.errors import UserError
from ise_gym.models.options import a_workers_share, binding, options_of
from ise_gym.rollout.players import result_of
from ise_gym.rollout.spec import Item, agent_factory, env_factory, settings_of
from ise_gym.trajectory.record import Trajectory
from ise_gym.trajectory.stats import Stats
from ise_gym.trajectory.usage import usage_table


def test_values_are_json_or_text() -> None:
    assert options_of(None) == {}
    assert options_of(["a=1", "b=x=y", "c=null", 'd={"e": [1]}', "max-tokens=3", "f="]) == {
        "a": 1,
        "b": "x=y",
        "c": None,
        "d": {"e": [1]},
        "max_tokens": 3,
        "f": "",
    }
    for wrong, words in (
        (["a"], "write NAME=VALUE"),
        (["=1"], "write NAME=VALUE"),
        (["a=1", "a=2"], "twice"),
    ):
        with pytest.raises(UserError, match=words):
            options_of(wrong)


def test_only_what_shapes_the_records_binds_a_resumed_run() -> None:
    given = {"temperature": 0.5, "base_url": "http://10.0.0.1/v1", "price_in": 1, "requests_per_minute": 90}
    assert binding("agent_options", given) == {"agent_options": {"temperature": 0.5}}
    assert binding("agent_options", {"api_key": "x"}) == {}
    assert a_workers_share(given, 3)["requests_per_minute"] == 30


def test_factories_with_options_reach_the_classes_in_another_process() -> None:
    agent = pickle.loads(pickle.dumps(agent_factory("expert", quality=0.5)))()
    assert agent.name == "expert:0.5"
    env = pickle.loads(pickle.dumps(env_factory(backend="dummy", user_options={"patience": 7})))()
    assert env.unwrapped.settings.make_user().describe()["patience"] == 7
    env.close()
    with pytest.raises(UserError, match=r"there is no option 'patients'\. Did you mean 'patience'"):
        env_factory(backend="dummy", user_options={"patients": 1})()


def test_a_run_s_manifest_tells_what_its_envs_are_made_with_and_no_key() -> None:
    options = {"base_url": "http://there/v1", "api_key": "sk-hush"}
    made = env_factory(backend="bubblewrap", user="llm:m", user_options=options, limits={"memory_mb": 300})
    told = settings_of(made)["env"]
    assert (told["backend"], told["user"], told["limits"]["memory_mb"]) == ("bubblewrap", "llm:m", 300)
    assert told["user_options"]["base_url"] == "http://there/v1" and "sk-hush" not in str(told)
    assert settings_of(lambda: None) == {}


def spent(agent_tokens: int, user_tokens: int, cost: float) -> Trajectory:
    usage = {
        "calls": 2,
        "prompt_tokens": agent_tokens - 1,
        "completion_tokens": 1,
        "total_tokens": agent_tokens,
    }
    return Trajectory(
        episode_id=f"e{agent_tokens}",
        scenario_id="s",
        seed=0,
        intent="",
        outcome="passed",
        score=1.0,
        messages=[],
        tools=[],
        agent={"name": "openai:m", "usage": {**usage, "cost": cost}},
        user={"name": "llm:u", "usage": {"calls": 1, "total_tokens": user_tokens}},
    )


def test_tokens_of_agent_and_user_reach_progress_and_statistics(tmp_path: Path) -> None:
    result = result_of(Item(0, 0, "s", 0), spent(100, 40, 0.25))
    assert (result.tokens, result.cost) == (140, 0.25)
    stats = Stats()
    assert stats.summary()["usage"] == {}
    stats.add(spent(100, 40, 0.25))
    broken = spent(50, 10, 0.5)
    broken.outcome, broken.reason = "infrastructure_error", "agent: down"
    stats.add(broken)  # its tokens were paid for all the same
    usage = stats.summary()["usage"]
    assert usage["agent"]["openai:m"] == {
        "episodes": 2,
        "calls": 4,
        "prompt_tokens": 148,
        "cached_tokens": 0,
        "completion_tokens": 2,
        "cut": 0,
        "cost": 0.75,
    }
    assert usage["user"]["llm:u"]["cost"] is None and usage["cost"] == 0.75
    from rich.console import Console

    console = Console(record=True, width=140, quiet=False, file=(tmp_path / "out").open("w"))
    console.print(usage_table(usage))
    text = console.export_text()
    assert "agent openai:m" in text and "0.75" in text and "0.3750" in text
