"""A model as the user: what it is told, what is made of its answers, and what happens when the endpoint fails."""

from __future__ import annotations

import json
import os
from dataclasses import replace
from typing import Any

import gymnasium as gym
import pytest
from drifting_server import DriftingUser, reply, serving, status

from ise_gym.errors import AgentError, UserError
from ise_gym.messages import assistant, user
from ise_gym.models.chat import read_object
from ise_gym.scenario import CheckResult, PlanStep, SubGoal
from ise_gym.simulator import make_user
from ise_gym.simulator.base import Evidence, UserTurn, UserView
from ise_gym.simulator.briefing.prompt import moves_open, prompt_messages, thoughts
from ise_gym.simulator.detectors import detect
from ise_gym.simulator.judge import LLMJudge
from ise_gym.simulator.knowledge import knowledge_of
from ise_gym.simulator.llm import read_answer
from ise_gym.workspace.base import Workspace
from made_scenarios import make_scenario, write

VIEW = UserView(
    (assistant("Please put héllo into greet.txt."), user("Done, I created greet.txt.")),
    Evidence(failed=("greet.txt holds the greeting",), present={}),
    1,
    "files/greet",
    1,
)


class SecretCheck:
    """Its internals must never be seen by a model."""

    def __init__(self) -> None:
        self.expected = "CANARY-CHECK"

    def run(self, workspace: Workspace, start: Any) -> Any:
        return CheckResult(False, "CANARY-REASON")

    def __repr__(self) -> str:
        return "CANARY-CHECK"


def secretive() -> Any:
    scenario = make_scenario()
    requests = tuple(
        replace(
            request,
            subgoals=(SubGoal(request.subgoals[0].name, (SecretCheck(),)),),
            plan=(PlanStep(tool="exec", arguments={"command": "CANARY-PLAN"}, say="CANARY-SAY", key=True),),
            reply="CANARY-REPLY",
            folder="CANARY-FOLDER",
        )
        for request in scenario.requests
    )
    return make_scenario(requests=requests, system_prompt="CANARY-SYSTEM", metadata={"note": "CANARY-META"})


def test_nothing_that_only_the_harness_knows_reaches_a_prompt() -> None:
    scenario = secretive()
    for view, feedback in ((None, ""), (VIEW, ""), (VIEW, "offers_help: 'x'")):
        text = json.dumps(prompt_messages(knowledge_of(scenario), view, feedback), ensure_ascii=False)
        assert "CANARY" not in text
        assert scenario.requests[0].text in text and "Ada Ng" in text
        assert scenario.requests[1].text not in text, "a wish is told when its time has come"


def test_nothing_that_only_the_harness_knows_reaches_the_wire() -> Any:
    seen = []

    def record(body: str) -> Any:
        seen.append(body)
        return reply(json.dumps({"move": "next", "say": "Please put héllo into greet.txt."}))

    with serving(record) as server:
        made = gym.make(
            "ISE-OS-v0", guard=False, user=lambda: make_user("llm:m", guard=False, base_url=server.url)
        )
        made.reset(seed=1, options={"scenario": secretive()})
        made.step(write("greet.txt", "wrong"))
        made.step(assistant("I wrote it."))
        made.close()
    wire = json.dumps(seen, ensure_ascii=False)
    assert len(seen) == 2 and "CANARY" not in wire
    assert "not right yet: greet.txt holds the greeting" in wire and "greet.txt (created: wrong)" in wire


def test_roles_are_flipped_and_the_notes_carry_evidence_and_lies() -> None:
    messages = prompt_messages(knowledge_of(make_scenario()), VIEW)
    assert [m["role"] for m in messages] == ["system", "user", "assistant", "user"]
    words, _, mind = messages[-1]["content"].partition("\n\n(What you think:")
    assert words == "Done, I created greet.txt."
    assert (
        "not right yet: greet.txt holds the greeting" in mind
        and "created greet.txt”, and that is not so" in mind
    )


def test_what_changes_stands_last_so_that_the_rest_is_read_once() -> None:
    known = knowledge_of(make_scenario())
    later = UserView((*VIEW.history, assistant("It isn't there."), user("Now it is.")), Evidence(passed=("x",)), 2,
                     "files/greet", 1)  # fmt: skip
    first, second = prompt_messages(known, VIEW), prompt_messages(known, later)
    assert first[:-1] == second[: len(first) - 1]
    assert second[len(first) - 1]["content"] == VIEW.history[-1]["content"], "old thoughts are not kept"
    other = knowledge_of(make_scenario(persona=replace(make_scenario().persona, name="Bo Li")))
    shared = os.path.commonprefix(  # noqa: RUF071 - texts, not paths
        [first[0]["content"], prompt_messages(other, None)[0]["content"]]
    )
    assert len(shared) > len(first[0]["content"]) / 2, "rules come before the person"


def test_a_refused_draft_is_shown_with_the_reason_and_no_name_of_a_detector() -> None:
    mind = prompt_messages(knowledge_of(make_scenario()), VIEW, "it offers help", "How can I help?")[-1][
        "content"
    ]
    assert "Not “How can I help?”: it offers help." in mind
    with serving(lambda body: reply('{"move": "stay", "say": "How may I help you today?"}')) as server:
        simulator = make_user("llm:m", base_url=server.url)
        simulator.reset(make_scenario(), 1)
        simulator.respond(VIEW)
        wire = json.dumps(server.bodies)
    assert "offers_help" not in wire and "How may I help you today?" in wire
    assert len(server.bodies) == 6, "an opening is written again too"


def test_thoughts_said_aloud_are_still_in_role() -> None:
    """Weak models recite what they are told: nothing of it may break the role."""
    known = knowledge_of(make_scenario())
    settled = Evidence(passed=("x",))
    for view, request in (
        (None, "files/greet"),
        (VIEW, "files/greet"),
        (UserView(VIEW.history, settled, 1, "files/greet", 1), "files/count"),
    ):
        aloud = thoughts(known, view)
        assert not detect(UserTurn(aloud, request), view, known), aloud
    end = UserView(VIEW.history, settled, 2, "files/count", 0)
    assert not detect(UserTurn(thoughts(known, end), "files/count", done=True), end, known)


def test_a_wish_is_booked_when_its_words_are_there_whatever_the_model_says() -> None:
    answers = iter(
        (
            "Good morning, how are you?",
            "Please put héllo into greet.txt.",
            "Fine, go on.",
            "Now the number of lines into count.txt, please",
        )
    )
    with serving(lambda body: reply(json.dumps({"move": "next", "say": next(answers)}))) as server:
        simulator = make_user("llm:m", guard=False, base_url=server.url)
        scenario = make_scenario()
        opening = simulator.reset(scenario, 1)
        assert (opening.request, opening.meant) == ("", "files/greet")
        nothing = UserView((assistant(opening.text), user("Hello.")), Evidence(), 1, "", 2)
        assert simulator.respond(nothing).request == "files/greet"
        settled = UserView(
            VIEW.history, Evidence(passed=("greet.txt holds the greeting",)), 2, "files/greet", 1
        )
        stays = simulator.respond(settled)
        assert (stays.request, stays.meant) == ("files/greet", "files/count")
        assert simulator.respond(settled).request == "files/count"


def test_moves_that_the_evidence_denies_are_not_offered() -> None:
    known = knowledge_of(make_scenario())
    assert moves_open(None, known) == ("next",)
    assert moves_open(VIEW, known) == ("stay",)
    assert moves_open(UserView(VIEW.history, VIEW.evidence, 4, "files/greet", 1), known) == (
        "stay",
        "give_up",
    )
    settled = Evidence(passed=("x",))
    assert moves_open(UserView(VIEW.history, settled, 1, "files/greet", 1), known) == ("next", "stay")
    assert moves_open(UserView(VIEW.history, settled, 1, "files/count", 0), known) == ("leave", "stay")


@pytest.mark.parametrize(
    ("raw", "expected"),
    [
        ('{"move": "next", "say": "Good."}', ("next", "Good.")),
        ('```json\n{"move": "stay", "say": "Not yet."}\n```', ("stay", "Not yet.")),
        ('<think>{"say": "no"}</think> {"move":"leave","say":"Bye."}', ("leave", "Bye.")),
        ('Here you go: {"move": "dance", "say": "Hm."} bye', ("stay", "Hm.")),
        ("Still missing.", ("stay", "Still missing.")),
        ("Thanks! [DONE]", ("leave", "Thanks!")),
        ('{"move": "stay", "say": "All fine ###STOP###"}', ("leave", "All fine")),
        ('{"say": 3}', ("stay", '{"say": 3}')),
        ("", ("stay", "")),
    ],
)
def test_answers_are_read_tolerantly(raw: str, expected: Any) -> None:
    assert read_answer(raw) == expected


def test_a_json_object_is_found_in_chatter() -> None:
    assert read_object('x {not json} y {"a": {"b": 1}} z') == {"a": {"b": 1}}
    assert read_object("[1, 2]") is None


def test_a_server_without_json_schema_is_asked_plainly_from_then_on() -> None:
    model = DriftingUser(0.0, schema=False)
    with serving(model) as server:
        simulator = make_user("llm:plain", guard=False, base_url=server.url)
        scenario = make_scenario()
        assert simulator.reset(scenario, 1).text == scenario.requests[0].text
        simulator.respond(VIEW)
        kinds = ["response_format" in body for body in server.bodies]
    assert kinds == [True, False, False]


def test_a_whole_episode_with_a_model_as_user() -> None:
    scenario = make_scenario()
    with serving(DriftingUser(0.0)) as server:
        made = gym.make("ISE-OS-v0", user=lambda: make_user("llm:good", guard=False, base_url=server.url))
        observation, info = made.reset(seed=1, options={"scenario": scenario})
        assert observation[1]["content"] == scenario.requests[0].text
        observation, *_ = made.step(assistant("I created greet.txt."))
        assert "greet.txt holds the greeting" in observation[0]["content"]
        made.step(write("greet.txt", "héllo"))
        observation, *_ = made.step(assistant("greet.txt is there now."))
        assert scenario.requests[1].text in observation[0]["content"]
        made.step(write("count.txt", "3"))
        _, _, terminated, _, info = made.step(assistant("Counted."))
        made.close()
    assert terminated and info["outcome"] == "passed"
    assert info["user"]["model"] == "good" and len(info["user"]["prompt_sha256"]) == 64


@pytest.mark.parametrize("answer", [status(500), status(429)])
def test_a_dead_endpoint_is_nobodys_failure_but_the_infrastructures(answer: Any) -> None:
    with serving(lambda body: answer) as server:
        simulator = make_user("llm:m", base_url=server.url, max_retries=0)
        with pytest.raises(AgentError) as caught:
            simulator.reset(make_scenario(), 1)
    assert caught.value.infrastructure


def test_a_refused_key_is_the_users_to_mend() -> None:
    with serving(lambda body: status(401)) as server, pytest.raises(UserError, match="API key"):
        make_user("llm:m", base_url=server.url).reset(make_scenario(), 1)


def test_retries_are_made() -> Any:
    model, calls = DriftingUser(0.0), []

    def flaky(body: str) -> Any:
        calls.append(1)
        return status(503, retry_after="0") if len(calls) < 3 else model(body)  # type: ignore[arg-type]

    with serving(flaky) as server:
        assert make_user("llm:m", base_url=server.url).reset(make_scenario(), 1).text
    assert len(calls) == 3


def test_names_and_options_are_checked(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("OPENAI_API_KEY", raising=False)
    monkeypatch.delenv("OPENAI_BASE_URL", raising=False)
    with pytest.raises(UserError, match="base_url"):
        make_user("llm:m")
    with pytest.raises(UserError, match="is incomplete: write llm:MODEL"):
        make_user("llm:", base_url="http://127.0.0.1:1/v1")
    with pytest.raises(UserError, match="temprature"):
        make_user("llm:m", base_url="http://127.0.0.1:1/v1", temprature=0)
    with pytest.raises(UserError, match="patienc"):
        make_user("scripted", patienc=3)


def test_equal_runs_send_equal_requests() -> None:
    runs = []
    for _ in range(2):
        with serving(DriftingUser(0.5)) as server:
            simulator = make_user("llm:m", base_url=server.url)
            simulator.reset(make_scenario(), 7)
            simulator.respond(VIEW)
            runs.append((server.bodies, simulator.describe()["guard"]))
    assert runs[0] == runs[1]


def test_the_judge() -> None:
    answers = iter(['{"in_role": false, "reason": "too clever"}', '{"in_role": true, "reason": ""}', "hm"])
    with serving(lambda body: reply(next(answers))) as server:
        judge = LLMJudge("j", base_url=server.url)
        known, turn = knowledge_of(make_scenario()), UserTurn("Where is it?", "files/greet")
        assert [judge(turn, VIEW, known) for _ in range(3)] == ["too clever", "", ""]
