"""What an env is made with: as values, from JSON, passed on to forks, and printed."""

from __future__ import annotations

import copy
import json
import pickle
from dataclasses import fields
from pathlib import Path
from typing import Any

import gymnasium as gym
import pytest

import ise_gym  # noqa: F401
from ise_gym.env import ISEEnv
from ise_gym.env.settings import EnvOptions, EnvSettings
from ise_gym.errors import UserError
from ise_gym.intents.source import IntentSource
from ise_gym.messages import Message, assistant, tool_call
from ise_gym.scenario import DEFAULT_TOOLS
from ise_gym.simulator import make_user
from ise_gym.tools.dispatch import Toolbox
from ise_gym.workspace import Limits, Workspace, open_workspace
from ise_gym.workspace.backends.dummy import DummyWorkspace
from ise_gym.wrappers import ChatHistory
from made_scenarios import make_scenario, write


def run(command: str) -> Message:
    return assistant("", [tool_call("exec", {"command": command})])


def names(schemas: Any) -> list[str]:
    return [schema["function"]["name"] for schema in schemas]


def play(env: gym.Env, **changes: object) -> tuple[Any, dict[str, Any]]:
    return env.reset(seed=1, options={"scenario": make_scenario(**changes)})


# -- from JSON ------------------------------------------------------------------------------------


def test_the_registry_shows_every_option_with_its_default() -> None:
    shown = gym.spec("ISE-OS-v0").kwargs
    assert set(shown) == {"source", *EnvOptions.__annotations__}
    plain = {name: value for name, value in shown.items() if name != "source"}
    assert EnvSettings.of(shown["source"], plain) == EnvSettings()  # type: ignore[arg-type]


def test_a_config_file_carries_everything(tmp_path: Path) -> None:
    (tmp_path / "start").mkdir()
    (tmp_path / "start" / "a.txt").write_text("here\n")
    options = {
        "source": {"name": "catalog", "split": "train", "tasks_per_intent": 1},
        "backend": "dummy",
        "user": "scripted",
        "user_options": {"patience": 5},
        "guard": False,
        "tools": ["read", "write"],
        "limits": {"memory_mb": 512, "command_timeout_s": 9},
        "template": str(tmp_path / "start"),
        "system_prompt": "Be brief.",
        "reward": "sparse",
        "penalties": {"false_claim": 0.1, "broken_call": 0.05},
        "on_broken": "truncate",
        "spare_box": False,
        "render_mode": "ansi",
    }
    text = gym.make("ISE-OS-v0", **json.loads(json.dumps(options))).spec.to_json()  # type: ignore[union-attr]
    env = gym.make(gym.envs.registration.EnvSpec.from_json(text))
    settings = env.unwrapped.settings  # type: ignore[attr-defined]
    assert settings.source.name == IntentSource("train", tasks_per_intent=1).name
    assert settings.limits == Limits(memory_mb=512, command_timeout_s=9)
    assert (settings.tools, settings.guard, settings.on_broken) == (("read", "write"), False, "truncate")
    assert not settings.spare_box
    assert settings.rewarding.kind == "sparse" and settings.rewarding.penalties["broken_call"] == 0.05
    observation, _ = env.reset(seed=3)
    assert observation[0]["content"] == "Be brief."
    assert env.unwrapped.episode.simulator.patience == 5  # type: ignore[attr-defined]
    found = env.step(assistant("", [tool_call("read", {"path": "a.txt"})]))[0]
    assert found[0]["content"].rstrip() == "here"
    assert "[system] Be brief." in env.render()  # type: ignore[operator]
    printed = settings.to_json()
    told = {name: value for name, value in options.items() if name not in ("source", "spare_box")}
    assert {name: printed[name] for name in told} == {
        **told,
        "limits": {**printed["limits"], "memory_mb": 512, "command_timeout_s": 9},
    }
    assert printed["source"]["tasks_per_intent"] == [1, 1] and json.loads(json.dumps(printed)) == printed
    assert "spare_box" not in printed  # a matter of the machine: a run is resumed with another
    env.close()


def test_an_intents_file_is_a_source_by_name(tmp_path: Path) -> None:
    path = tmp_path / "queries.jsonl"
    path.write_text('{"query": "Count the lines of a.txt."}\n')
    for spec in (f"file:{path}", {"name": "file", "path": str(path)}):
        env = gym.make("ISE-OS-v0", source=spec, backend="dummy")
        assert "Count the lines of a.txt." in env.reset(seed=0)[0][1]["content"]
        env.close()


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"limit": {}}, "no option 'limit'. Did you mean 'limits'?"),
        ({"limits": {"memory": 5}}, "'memory' is not known"),
        ({"limits": {"memory_mb": 0}}, "memory_mb must be a whole number above 0, got 0"),
        ({"limits": {"memory_mb": 1.5}}, "whole number"),
        ({"limits": {"memory_mb": True}}, "whole number"),
        ({"limits": {"command_timeout_s": "9"}}, "command_timeout_s must be a number above 0"),
        ({"tools": "exec"}, "a list of names"),
        ({"tools": ["exce"]}, "exec"),
        ({"tools": ["exec"], "toolbox": Toolbox}, "not both"),
        ({"reward": "sprase"}, "Did you mean 'sparse'?"),
        ({"penalties": {"false_claims": 1}}, "Did you mean 'false_claim'?"),
        ({"penalties": {"false_claim": -1}}, "at least 0"),
        ({"penalties": {"false_claim": float("nan")}}, "at least 0"),
        ({"penalties": {"false_claim": True}}, "at least 0"),
        ({"on_broken": "truncated"}, "Did you mean 'truncate'?"),
        ({"source": "catalgo"}, "catalog"),
        ({"source": {"name": "catalog", "splitt": "eval"}}, "splitt"),
        ({"source": {"name": 3}}, "must be text"),
        ({"source": 7}, "int is not a source"),
        ({"user_options": {"patiense": 1}}, "patiense"),
    ],
)
def test_what_is_wrong_is_said_when_the_env_is_made(options: dict[str, Any], words: str) -> None:
    with pytest.raises(UserError) as error:
        gym.make("ISE-OS-v0", **options)
    assert words in str(error.value)


# -- values ---------------------------------------------------------------------------------------


def test_settings_are_values() -> None:
    settings = EnvSettings.of("catalog", {"user_options": {"patience": 2}, "penalties": {"false_claim": 0.5}})
    again = pickle.loads(pickle.dumps(settings))
    assert {f.name: getattr(again, f.name) for f in fields(settings) if f.name != "source"} == {
        f.name: getattr(settings, f.name) for f in fields(settings) if f.name != "source"
    }
    assert copy.deepcopy(settings).source.name == settings.source.name  # type: ignore[union-attr]
    with pytest.raises(AttributeError):
        settings.backend = "docker"  # type: ignore[misc]


def test_what_is_printed_holds_no_secret_and_names_functions() -> None:
    def mine() -> Any:
        return make_user("scripted", guard=False)

    options: EnvOptions = {
        "user": lambda **_: mine(),
        "backend": DummyWorkspace,
        "user_options": {"api_key": "sk-123", "base_url": "http://me:pw@host/v1", "extra": {"top_p": 0.9}},
    }
    printed = EnvSettings.of(None, options).to_json()
    assert printed["user_options"] == {"base_url": "http://host/v1", "extra": {"top_p": 0.9}}
    assert printed["backend"] == "ise_gym.workspace.backends.dummy:DummyWorkspace"
    assert "sk-123" not in json.dumps(printed) and printed["source"] == {"name": "catalog"}


# -- forks ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("backend", ["auto", "dummy"])
def test_a_fork_keeps_every_setting_and_its_next_episode_starts_from_the_template(
    tmp_path: Path, backend: str
) -> None:
    (tmp_path / "start").mkdir(mode=0o755)
    (tmp_path / "start" / "base.txt").write_text("from the template\n")
    env = ISEEnv(backend=backend, template=str(tmp_path / "start"), limits={"memory_mb": 512}, guard=False)
    play(env)
    (fork,) = env.fork(1)
    try:
        assert fork.settings == env.settings and fork.describe() == env.describe()
        if backend == "auto":  # a workspace in memory does not tell its template
            assert fork.describe()["template"]["name"] == "start"
        for one in (env, fork):
            play(one)
            content = one.step(assistant("", [tool_call("read", {"path": "base.txt"})]))[0][0]["content"]
            assert content.rstrip() == "from the template"
    finally:
        fork.close()
        env.close()


def test_forks_that_fail_leave_no_env_behind(monkeypatch: pytest.MonkeyPatch) -> None:
    env = ISEEnv(backend="dummy")
    play(env)
    closed: list[ISEEnv] = []
    monkeypatch.setattr(ISEEnv, "close", lambda self: closed.append(self))
    calls = iter([True, False])

    def restore(self: ISEEnv, saved: object) -> None:
        if not next(calls):
            raise OSError("no room")

    monkeypatch.setattr(ISEEnv, "restore", restore)
    with pytest.raises(OSError, match="no room"):
        env.fork(3)
    assert len(closed) == 2 and env not in closed


# -- tools ----------------------------------------------------------------------------------------


def test_tools_that_are_given_are_what_is_offered() -> None:
    env = gym.make("ISE-OS-v0", tools=("exec", "read"), backend="dummy")
    play(env)
    base = env.unwrapped
    assert names(base.episode.offered) == names(base.tool_schemas) == ["exec", "read"]  # type: ignore[attr-defined]
    (answer,) = env.step(write("greet.txt", "héllo"))[0]
    assert answer["success"] is False and "Available: exec, read." in answer["content"]
    env.close()


def test_without_tools_the_scenarios_are_offered_each_time_anew() -> None:
    env = ISEEnv(backend="dummy")
    assert names(env.tool_schemas) == list(DEFAULT_TOOLS)
    for offered in (("exec", "cron"), ("read",), DEFAULT_TOOLS):
        play(env, tools=offered)
        assert names(env.tool_schemas) == names(env.episode.offered) == list(offered)
    saved = env.snapshot()
    play(env, tools=("read",))
    env.restore(saved)
    assert names(env.tool_schemas) == list(DEFAULT_TOOLS)
    spaces = (env.action_space, env.observation_space)
    assert names(ChatHistory(env).observation_space["messages"].tools) == list(DEFAULT_TOOLS)  # type: ignore[index]
    assert spaces == (ISEEnv().action_space, ISEEnv().observation_space), "as a vector env needs them"
    env.close()


# -- workspaces -----------------------------------------------------------------------------------


def test_a_backend_can_be_a_function() -> None:
    seen = []

    def mine(limits: Limits, template: object = None) -> Workspace:
        seen.append((limits, template))
        return DummyWorkspace(limits)

    env = ISEEnv(backend=mine, limits={"memory_mb": 99})
    play(env)
    (fork,) = env.fork(1)
    assert seen == [(Limits(memory_mb=99), None)] * 2
    assert env.describe()["backend"] == "dummy" and env.describe()["limits"]["memory_mb"] == 99
    fork.close()
    env.close()


@pytest.mark.parametrize("backend", ["auto", "dummy"])
def test_a_workspace_can_be_handed_in_and_stays_its_owners(backend: str) -> None:
    box = open_workspace(backend, Limits(memory_mb=300))
    env = gym.make("ISE-OS-v0", workspace=box)
    try:
        play(env)
        env.step(write("greet.txt", "héllo"))
        assert box.read("greet.txt") == "héllo".encode()
        assert env.unwrapped.describe()["limits"]["memory_mb"] == 300  # type: ignore[attr-defined]
        (fork,) = env.unwrapped.fork(1)  # type: ignore[attr-defined]
        assert (
            fork.episode.workspace is not box and fork.episode.workspace.read("greet.txt") == "héllo".encode()
        )
        fork.step(write("greet.txt", "other"))
        fork.close()
        env.close()
        assert box.read("greet.txt") == "héllo".encode(), "closing the env does not close it"
    finally:
        box.close()
