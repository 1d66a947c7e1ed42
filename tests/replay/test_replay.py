"""A true record replays to the same bytes; whatever was changed in one is named at its step."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import gymnasium
import pytest

from ise_gym.agents import make_agent
from ise_gym.checks import build_check
from ise_gym.errors import UserError, WorkspaceError
from ise_gym.intents.source import IntentSource
from ise_gym.messages import Message, ToolCall, assistant, tool_call
from ise_gym.replay import store as module
from ise_gym.replay.episode import IDENTICAL, catalog_scenario, replay
from ise_gym.replay.store import Options, Summary, replay_store
from ise_gym.rollout.play import play_episode, record
from ise_gym.scenario import Scenario, SubGoal
from ise_gym.scenario.carried import unpacked
from ise_gym.trajectory.record import Trajectory, to_line
from ise_gym.trajectory.store import TrajectoryStore
from ise_gym.workspace import Workspace
from made_scenarios import make_scenario, write


@pytest.fixture(scope="module")
def played() -> list[Trajectory]:
    """Three short episodes of the expert."""
    env = gymnasium.make("ISE-OS-v0")
    source = IntentSource(tasks_per_intent=1)
    agent = make_agent("expert")
    try:
        return [play_episode(env, agent, source.scenario(n), n) for n in range(3)]
    except UserError as problem:
        pytest.skip(f"no sandbox on this machine: {problem}")
    finally:
        env.close()


@pytest.fixture
def store(tmp_path: Path, played: list[Trajectory]) -> Path:
    with TrajectoryStore(tmp_path / "run") as made:
        for trajectory in played:
            made.append(trajectory)
    return tmp_path / "run"


def tool_messages(trajectory: Trajectory) -> list[int]:
    return [n for n, message in enumerate(trajectory.messages) if message["role"] == "tool"]


def step_of(trajectory: Trajectory, position: int) -> int:
    return sum(message["role"] == "assistant" for message in trajectory.messages[:position])


def test_what_was_played_replays_identically(store: Path, played: list[Trajectory]) -> None:
    seen = []
    summary = replay_store(store, workers=1, on_result=lambda result, so_far: seen.append(result.status))
    assert summary.ok and seen == ["identical"] * 3 and not summary.rules
    assert summary.calls == sum(len(tool_messages(t)) for t in played) > 5
    assert summary.digests == sum(len(t.steps) for t in played)


def test_processes_give_what_one_gives(store: Path) -> None:
    summary = replay_store(store, workers=2)
    assert summary.statuses["identical"] == summary.episodes == 3


def test_one_episode_can_be_chosen(store: Path, played: list[Trajectory]) -> None:
    assert replay_store(store, episode=played[1].episode_id).episodes == 1
    assert replay_store(store, episode="2").calls == len(tool_messages(played[1]))
    with pytest.raises(UserError, match="no episode 'nope'"):
        replay_store(store, episode="nope")


def made_again(trajectory: Trajectory) -> Scenario:
    return make_scenario()


def test_an_episode_from_a_template_replays_from_that_template_only(tmp_path: Path) -> None:
    folder = tmp_path / "shop"
    folder.mkdir()
    (folder / "stock.txt").write_text("7 kettles\n")
    env = gymnasium.make("ISE-OS-v0", template=str(folder))
    try:
        made = play_episode(env, make_agent("expert"), make_scenario(), 3)
    except UserError as problem:
        pytest.skip(f"no sandbox on this machine: {problem}")
    finally:
        env.close()
    digest = made.env["template"]["sha256"]
    assert made.env["template"] == {"name": "shop", "sha256": digest} and len(digest) == 64
    with TrajectoryStore(tmp_path / "run") as store:
        store.append(made)

    def replayed(template: str) -> Summary:
        options = Options(rebuild=made_again, template=template)
        return replay_store(tmp_path / "run", workers=1, options=options)

    same = replayed(str(folder))
    assert same.ok and same.statuses["identical"] == 1 and same.digests == len(made.steps)
    (without,) = replayed("").failed
    assert without.status == "not replayable"
    assert without.reason == (
        f"it started from the template 'shop' (SHA-256 {digest[:12]}…): give that folder with --template"
    )
    (folder / "stock.txt").write_text("8 kettles\n")
    (changed,) = replayed(str(folder)).failed
    assert changed.status == "not replayable" and "is another" in changed.reason


def test_a_record_without_a_template_takes_none(store: Path, tmp_path: Path) -> None:
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "a").write_text("a")
    options = Options(template=str(tmp_path / "other"))
    assert replay_store(store, episode="1", options=options).ok


def test_one_changed_byte_is_named_at_its_step(played: list[Trajectory], box: Workspace) -> None:
    for place in (0, -1):
        forged = played[0].model_copy(deep=True)
        at = tool_messages(forged)[place]
        text = forged.messages[at]["content"]
        forged.messages[at]["content"] = text[:-1] + chr(ord(text[-1]) ^ 1)
        result = replay(forged, box)
        found = result.difference
        assert result.status == "diverged" and found is not None
        assert (found.message, found.step, found.what) == (at, step_of(forged, at), "content")
        assert found.recorded == forged.messages[at]["content"] and found.replayed == text
        assert found.diff().count("\n") >= 1


@pytest.mark.parametrize("key", ["success", "exit_code"])
def test_a_failure_that_was_made_a_success_is_named(
    key: str, played: list[Trajectory], box: Workspace
) -> None:
    failures = [
        (trajectory, at)
        for trajectory in played
        for at in tool_messages(trajectory)
        if trajectory.messages[at].get("exit_code")
    ]
    trajectory, at = failures[0]
    forged = trajectory.model_copy(deep=True)
    forged.messages[at][key] = {"success": True, "exit_code": 0}[key]
    found = replay(forged, box).difference
    assert found is not None and (found.message, found.what) == (at, key)


def test_a_changed_digest_call_or_missing_answer_is_named(played: list[Trajectory], box: Workspace) -> None:
    longest = max(played, key=lambda made: len(made.steps))
    forged = longest.model_copy(deep=True)
    forged.steps[0].digest = "0" * 64
    found = replay(forged, box).difference
    assert found is not None and (found.step, found.what, found.recorded) == (1, "digest", "0" * 64)

    forged = longest.model_copy(deep=True)
    at = tool_messages(forged)[-1]
    del forged.messages[at]
    found = replay(forged, box).difference
    assert found is not None and (found.what, found.recorded) == ("answer", "(none)")


def play(scenario: Scenario, *messages: Message) -> Trajectory:
    began = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
    env = gymnasium.make("ISE-OS-v0")
    try:
        env.reset(seed=1, options={"scenario": scenario})
        for message in messages:
            env.step(message)
        made = record(env, make_agent("lazy"), 1)
    finally:
        env.close()
    made.timings.started_at = began
    return made


def shell(command: str) -> Message:
    return assistant("", [tool_call("exec", {"command": command})])


def test_clocks_and_temporary_names_are_equal_by_rule(box: Workspace) -> None:
    made = play(make_scenario(), shell("date; mktemp -u; echo fixed"), shell("ls -l --time-style=full-iso"))
    rebuild: Callable[[Trajectory], Scenario] = lambda trajectory: make_scenario()  # noqa: E731
    time.sleep(1.1)
    result = replay(made, box, rebuild=rebuild)
    assert (result.status, result.ok) == ("equal by rule", True)
    assert result.rules == ("temporary name", "time")
    assert replay(made, box, rebuild=rebuild, exact=True).status == "diverged"
    at = tool_messages(made)[0]
    made.messages[at]["content"] = made.messages[at]["content"].replace("fixed", "fixes")
    assert replay(made, box, rebuild=rebuild).status == "diverged"


@pytest.mark.parametrize(
    ("call", "then"),
    [
        (tool_call("read", {"path": 3}), "read: bad arguments: 'path' must be text."),
        (tool_call("append", {"path": "a"}), "Unknown tool 'append'. There are: read, write."),
    ],
)
def test_a_refused_call_may_be_refused_in_the_words_of_a_later_release(
    box: Workspace, call: ToolCall, then: str
) -> None:
    made = play(make_scenario(), assistant("", [call]))
    rebuild: Callable[[Trajectory], Scenario] = lambda trajectory: make_scenario()  # noqa: E731
    (at,) = tool_messages(made)
    made.messages[at]["content"] = then
    result = replay(made, box, rebuild=rebuild)
    assert (result.status, result.rules) == ("equal by rule", ("wording of a refused call",))
    assert replay(made, box, rebuild=rebuild, exact=True).status == "diverged"
    made.messages[at]["content"] = then.replace("read:", "write:").replace("Unknown tool", "No tool")
    assert replay(made, box, rebuild=rebuild).status == "diverged"


def test_processes_and_writes_replay(box: Workspace) -> None:
    made = play(
        make_scenario(),
        assistant("", [tool_call("exec", {"command": "cat; echo bye", "background": True})]),
        assistant(
            "",
            [tool_call("process", {"action": "write", "sessionId": "proc_1", "data": "hi\n", "eof": True})],
        ),
        assistant("", [tool_call("process", {"action": "poll", "sessionId": "proc_1", "timeout": 5000})]),
        write("greet.txt", "héllo\n"),
        assistant("greet.txt holds héllo."),
    )
    result = replay(made, box, rebuild=lambda trajectory: make_scenario())
    assert (result.status, result.calls, result.digests) == ("identical", 4, 5)


def call(name: str, **arguments: object) -> Message:
    return assistant("", [tool_call(name, arguments)])


def test_a_digest_of_a_tree_that_a_background_process_writes_to_is_a_moments(box: Workspace) -> None:
    rebuild: Callable[[Trajectory], Scenario] = lambda trajectory: make_scenario()  # noqa: E731
    look = call("exec", command="ls")
    made = play(make_scenario(), look, call("exec", command="sleep 0.1; touch late; sleep 60", yieldMs=400))
    before, after = (step.digest for step in made.steps)
    assert before != after
    behind = play(make_scenario(), call("exec", command="sleep 0.1; touch late; sleep 60", background=True))
    behind.steps[0].digest = after
    result = replay(behind, box, rebuild=rebuild)
    assert (result.status, result.digests) == ("identical", 1)
    made.steps[1].digest = before  # as if it had been written a moment earlier
    result = replay(made, box, rebuild=rebuild)
    assert (result.status, result.rules, result.digests) == ("equal by rule", ("moving tree",), 1)
    assert replay(made, box, rebuild=rebuild, exact=True).status == "diverged"


def test_a_background_process_that_writes_nothing_excuses_no_digest(box: Workspace) -> None:
    made = play(
        make_scenario(),
        call("exec", command="sleep 60", background=True),
        write("mine.txt", "mine\n"),
        call("exec", command="ls"),
    )
    made.steps[2].digest = "0" * 64
    result = replay(made, box, rebuild=lambda trajectory: make_scenario())
    assert result.difference is not None
    assert (result.status, result.difference.step, result.difference.what) == ("diverged", 3, "digest")


def test_an_episode_with_a_check_of_ones_own_module_replays(
    box: Workspace, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "checks_of_mine.py").write_text(
        "from dataclasses import dataclass\n"
        "from ise_gym import BaseCheck, CheckResult\n"
        "@dataclass(frozen=True)\n"
        "class Passes(BaseCheck):\n"
        "    def look(self, workspace, start):\n"
        "        return CheckResult(True)\n"
    )
    monkeypatch.syspath_prepend(tmp_path)
    goals = (SubGoal("mine", (build_check("checks_of_mine:Passes", {"path": "a.txt"}),)),)
    made = make_scenario()
    scenario = replace(made, requests=tuple(replace(request, subgoals=goals) for request in made.requests))
    record = play(scenario, shell("echo hello > a.txt"), assistant("Done."))
    monkeypatch.delitem(sys.modules, "checks_of_mine")
    assert record.subgoals["files/greet: mine"]
    assert replay(record, box).status == IDENTICAL
    assert "checks_of_mine" not in sys.modules, "a record alone loads no code"
    (check,) = unpacked(record.scenario, ("checks_of_mine",)).requests[0].subgoals[0].checks
    assert check.run(box, {}).passed


def test_once_no_background_process_runs_digests_have_to_agree(box: Workspace) -> None:
    made = play(
        make_scenario(),
        call("exec", command="touch late; sleep 60", yieldMs=300),
        call("process", action="kill", sessionId="proc_1"),
        call("exec", command="ls"),
    )
    made.steps[2].digest = "0" * 64
    result = replay(made, box, rebuild=lambda trajectory: make_scenario())
    assert result.status == "diverged"
    assert result.difference is not None
    assert (result.difference.step, result.difference.what) == (3, "digest")


def test_a_scenario_that_can_not_be_rebuilt_is_said(played: list[Trajectory], box: Workspace) -> None:
    older = played[0].model_copy(update={"scenario": {}})
    foreign = older.model_copy(update={"metadata": {}})
    changed = older.model_copy(update={"intent": "something else"})
    options = older.model_copy(update={"metadata": {"options": {"colour": "red"}}})
    damaged = played[0].model_copy(update={"scenario": {**played[0].scenario, "sha256": "0" * 64}})
    cut = played[0].model_copy(
        update={"scenario": {**played[0].scenario, "z": played[0].scenario["z"][:400]}}
    )
    for trajectory, words in (
        (damaged, "its hash differs"),
        (cut, "is damaged"),
        (foreign, "not from the catalog"),
        (changed, "draws something"),
        (options, "colour"),
    ):
        result = replay(trajectory, box)
        assert (result.status, result.ok) == ("not replayable", False) and words in result.reason
    assert catalog_scenario(played[0]).id == played[0].scenario_id


def test_a_broken_sandbox_is_replaced_once_and_never_blamed_on_the_record(
    played: list[Trajectory], monkeypatch: pytest.MonkeyPatch
) -> None:
    opened = []

    def broken(trajectory: Trajectory, workspace: Workspace, **options: object) -> None:
        opened.append(workspace)
        raise WorkspaceError("the sandbox has ended")

    monkeypatch.setattr(module, "replay", broken)
    player = module._Player(Options())
    result = player.play(to_line(played[0]))
    assert (result.status, result.ok) == ("broken", False) and "has ended" in result.reason
    assert len(opened) == 2 and opened[0] is not opened[1]
    player.close()


def test_an_empty_store_proves_nothing() -> None:
    assert not Summary().ok


def test_the_command_names_the_step_and_its_exit_code_says_so(store: Path, played: list[Trajectory]) -> None:
    command = [sys.executable, "-m", "ise_gym.cli", "replay", str(store), "--verify"]
    good = subprocess.run([*command, "-w", "1", "--json"], capture_output=True, text=True, check=True)
    assert json.loads(good.stdout)["statuses"]["identical"] == 3

    shard = store / "shards" / "part-00000.jsonl"
    lines = shard.read_bytes().splitlines(keepends=True)
    forged = played[2].model_copy(deep=True)
    at = tool_messages(forged)[-1]
    forged.messages[at]["content"] += "!"
    shard.write_bytes(b"".join([*lines[:2], to_line(forged)]))
    shutil.rmtree(store / "index")  # a forger leaves no checksum that tells
    bad = subprocess.run(command, capture_output=True, text=True)
    assert bad.returncode == 1
    assert f"{forged.episode_id}: step {step_of(forged, at)} (message {at})" in bad.stdout
    assert "2 of 3 episodes identical, 1 diverged" in bad.stdout
