"""A record says for people what was expected, what was found, at which turn, and what the guard refused."""

from __future__ import annotations

import dataclasses
import io
import json
from collections import Counter
from collections.abc import Iterator
from typing import Any

import gymnasium
import pytest
from rich.console import Console

from ise_gym.checks import build_check
from ise_gym.messages import assistant, tool_call
from ise_gym.rollout.explained import EXPECTED_LIMIT, NEVER_ASKED, expected, guard_events
from ise_gym.rollout.play import record
from ise_gym.scenario import PlanStep, Request, Scenario, SubGoal
from ise_gym.scenario.carried import unpacked
from ise_gym.simulator.base import UserTurn
from ise_gym.trajectory.conversation import print_conversation
from ise_gym.trajectory.exchange.atif import from_atif, to_atif
from ise_gym.trajectory.record import GuardEvent, Trajectory, content_hash, to_line
from ise_gym.trajectory.store import parse_line
from made_scenarios import make_scenario, write


class Clerk:
    name = "clerk"

    def describe(self) -> dict[str, Any]:
        return {}


def scenario() -> Scenario:
    """As the two small requests, with checks that a task file could have."""

    def goal(name: str, path: str, text: str) -> tuple[SubGoal, ...]:
        checks = (build_check("exists", path), build_check("text", {"path": path, "equals": text}))
        return (SubGoal(name, checks),)

    first, second = make_scenario().requests
    return make_scenario(
        requests=(
            dataclasses.replace(first, subgoals=goal("greeting", "greet.txt", "héllo")),
            dataclasses.replace(second, subgoals=goal("count", "count.txt", "3")),
        )
    )


def play(env: gymnasium.Env, scenario: Scenario, *messages: Any) -> Trajectory:
    env.reset(seed=3, options={"scenario": scenario})
    for message in messages:
        *_, terminated, truncated, _ = env.step(message)
        if terminated or truncated:
            break
    return record(env, Clerk(), 3)  # type: ignore[arg-type]


@pytest.fixture
def env() -> Iterator[gymnasium.Env]:
    made = gymnasium.make("ISE-OS-v0", backend="dummy")
    yield made
    made.close()


def test_a_step_tells_its_files_and_the_goals_that_it_decided(env: gymnasium.Env) -> None:
    played = play(
        env,
        scenario(),
        write("greet.txt", "hello\n"),
        assistant("Done."),
        assistant("", [tool_call("edit", {"path": "greet.txt", "oldText": "hello", "newText": "héllo"})]),
        assistant("Mended."),
        write("greet.txt", "gone\n"),
        assistant("Done."),
    )
    steps = [step.model_dump() for step in played.steps]
    assert steps[0]["files"] == {
        "created": ["greet.txt"],
        "diffs": {"greet.txt": "@@ -0,0 +1 @@\n+hello"},
    }
    assert steps[1]["files"] == {} and "flipped" not in steps[1]
    assert steps[2]["files"]["changed"] == ["greet.txt"]
    assert steps[2]["files"]["diffs"] == {"greet.txt": "@@ -1 +1 @@\n-hello\n+héllo"}
    assert steps[3]["flipped"] == {"files/greet: greeting": True}
    assert steps[5]["flipped"] == {"files/greet: greeting": False}
    assert list(steps[4]["files"]) == ["changed", "diffs"]


def test_a_goal_that_does_not_hold_tells_what_was_expected_and_found_and_when_it_was_judged(
    env: gymnasium.Env,
) -> None:
    wrong = write("greet.txt", "hello\n")
    played = play(env, scenario(), wrong, *[assistant(f"Done, {n}.") for n in range(9)])
    assert played.outcome == "failed"
    first, second = played.findings
    assert first.subgoal == "files/greet: greeting"
    assert first.expected == 'text greet.txt: equals "héllo"', "of the check that failed"
    assert "'hello'" in first.found and "'héllo'" in first.found
    assert first.message == played.steps[-1].message
    assert (second.subgoal, second.found, second.message) == ("files/count: count", NEVER_ASKED, None)
    assert second.expected == 'exists count.txt; text count.txt: equals "3"'


def test_nothing_of_it_reaches_an_agent_or_info(env: gymnasium.Env) -> None:
    seen: list[Any] = list(env.reset(seed=3, options={"scenario": scenario()}))
    for message in (write("greet.txt", "hello\n"), assistant("Done.")):
        seen += env.step(message)
    said = json.dumps(seen, default=str)
    assert "@@" not in said and "equals" not in said and "flipped" not in said and "findings" not in said


def test_equal_episodes_give_equal_records_and_a_restored_one_too(env: gymnasium.Env) -> None:
    rest = [write("greet.txt", "héllo\n"), assistant("Done."), assistant("Done.")]
    lines = []
    for _ in range(2):
        env.reset(seed=3, options={"scenario": scenario()})
        env.step(write("greet.txt", "hello\n"))
        saved = env.unwrapped.snapshot()  # type: ignore[attr-defined]
        for message in rest:
            env.step(message)
        lines.append(content_hash(record(env, Clerk(), 3)))  # type: ignore[arg-type]
    env.unwrapped.restore(saved)  # type: ignore[attr-defined]
    for message in rest:
        env.step(message)
    lines.append(content_hash(record(env, Clerk(), 3)))  # type: ignore[arg-type]
    assert len(set(lines)) == 1


def test_diffs_can_be_left_out_and_names_stay() -> None:
    env = gymnasium.make("ISE-OS-v0", backend="dummy", record_diffs=False)
    played = play(env, scenario(), write("greet.txt", "hello\n"))
    env.close()
    assert played.steps[0].files is not None
    assert played.steps[0].files.model_dump() == {"created": ["greet.txt"]}


class Drifter:
    """Speaks like an assistant at its second turn."""

    name = "drifter"

    def reset(self, scenario: Scenario, seed: int) -> UserTurn:
        return UserTurn(scenario.requests[0].text, scenario.requests[0].name)

    def respond(self, view: Any, feedback: str = "") -> UserTurn:
        return UserTurn("As an AI I cannot have a file of my own.", "files/greet")

    def state(self) -> None:
        return None

    def set_state(self, state: Any) -> None:
        pass

    def describe(self) -> dict[str, Any]:
        return {"name": self.name}


def test_what_the_guard_refused_stands_at_its_turn() -> None:
    env = gymnasium.make("ISE-OS-v0", backend="dummy", user=Drifter)
    played = play(env, scenario(), assistant("What shall I do?"))
    env.close()
    assert played.guard_events and {event.message for event in played.guard_events} == {3}
    assert played.messages[3]["role"] == "user"
    assert played.guard_events[-1].action == "fallback"
    assert "assistant_voice" in {event.detector for event in played.guard_events}
    assert guard_events({}, []) == [] and guard_events({"drift": None}, []) == []


def test_the_words_of_each_refused_draft_are_kept_with_their_detectors() -> None:
    refused = [
        {"text": "As an AI…", "detectors": {"assistant_voice": "As an AI", "echo": ""}},
        {"text": "Sure!", "detectors": {"register": "Sure"}, "done": True},
    ]
    report = {
        "drift": [{"turn": 2, "detectors": ["assistant_voice"], "action": "fallback", "refused": refused}]
    }
    messages = [{"role": role} for role in ("system", "user", "assistant", "user")]
    found = guard_events(report, messages)
    assert found == [
        GuardEvent(
            message=3, detector="assistant_voice", action="resample", words="As an AI", said="As an AI…"
        ),
        GuardEvent(message=3, detector="echo", action="resample", words="", said="As an AI…"),
        GuardEvent(message=3, detector="register", action="fallback", words="Sure", said="Sure!"),
    ]
    assert [event.message for event in guard_events(report, messages[:3])] == [3, 3, 3], "a silent end"


def test_what_a_check_looks_for_is_bounded() -> None:
    long = SubGoal("x", (build_check("text", {"path": "a", "equals": "x" * 2_000}),))
    assert len(expected(long, 0)) == EXPECTED_LIMIT and expected(long, 0).endswith("…")


def test_a_record_with_all_of_it_travels_and_is_shown(env: gymnasium.Env) -> None:
    played = play(
        env, scenario(), write("greet.txt", "hel[b]lo\n"), *[assistant(f"Done {n}.") for n in range(9)]
    )
    event = GuardEvent(message=1, detector="echo", action="resample", words="again", said="I went\nover it")
    played = played.model_copy(update={"guard_events": [event]})
    assert parse_line(to_line(played), "a line") == played
    assert from_atif(json.loads(json.dumps(to_atif(played))), Counter(), "a record") == played
    console = Console(width=120, file=io.StringIO())
    print_conversation(played, console)
    shown = console.file.getvalue()  # type: ignore[attr-defined]
    for words in (
        "+ created: greet.txt",
        "+hel[b]lo",
        'expected text greet.txt: equals "héllo"',
        "judged   after message",
        NEVER_ASKED,
        "guard refused a draft (echo: again; resample)",
        "“I went\\nover it”",
    ):
        assert words in shown, words


def test_plans_are_no_part_of_a_record() -> None:
    step = PlanStep(tool="exec", arguments={"command": "cat secret-plan"})
    made = make_scenario(requests=(Request("a", "Do a.", plan=(step,), reply="Did."),))
    env = gymnasium.make("ISE-OS-v0", backend="dummy")
    played = play(env, made, assistant("No."))
    env.close()
    assert unpacked(played.scenario).requests[0].plan == ()
