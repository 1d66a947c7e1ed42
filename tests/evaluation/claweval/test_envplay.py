"""The env protocol: the benchmark in miniature, its tasks played as scenarios of the env."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from model_server import ModelServer

from ise_gym.errors import UserError
from ise_gym.evaluation.claweval import work
from ise_gym.evaluation.claweval.models.judge import JudgeSpec, parse_judge
from ise_gym.evaluation.claweval.models.persona import PersonaUser, TaskUser, watched
from ise_gym.evaluation.claweval.runner import run_claweval
from ise_gym.evaluation.ledger import Trial
from ise_gym.evaluation.results.compare import compare
from ise_gym.evaluation.run import load_run
from ise_gym.messages import assistant, user
from ise_gym.scenario import Persona, Request, Scenario
from ise_gym.simulator.base import Evidence, UserView

SUITE = Path(__file__).parents[1] / "fixture_suite"
NONE = JudgeSpec("none")
STUB = parse_judge("stub:0.9")


def trials(folder: Path) -> dict[str, Trial]:
    return {trial.task[:4]: trial for trial in load_run(folder).trials.values()}


def dimensions(trial: Trial) -> tuple[Any, ...]:
    return trial.outcome, trial.score, trial.completion, trial.robustness, trial.safety


@pytest.mark.parametrize("agent", ["explorer", "diligent"])
def test_equal_actions_score_equally_in_both_protocols(agent: str, tmp_path: Path) -> None:
    for protocol in ("upstream", "env"):
        run_claweval(SUITE, agent, tmp_path / protocol, tasks="T901,T902,T906", judge=STUB, protocol=protocol)
    theirs, ours = trials(tmp_path / "upstream"), trials(tmp_path / "env")
    assert {id_: dimensions(t) for id_, t in ours.items()} == {
        id_: dimensions(t) for id_, t in theirs.items()
    }
    assert all(ours[id_].counts[n] == theirs[id_].counts[n] for id_ in ours for n in ("turns", "tool_calls"))
    with pytest.raises(UserError, match="the protocols are 'env' and 'upstream'"):
        compare(tmp_path / "env", tmp_path / "upstream")


def test_outcomes_are_told_apart(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(work, "GRACE_S", 1.0)
    run_claweval(
        SUITE, "explorer", tmp_path / "run", tasks="T90[3457]*", judge=STUB, protocol="env", retries=0
    )
    found = trials(tmp_path / "run")
    assert {id_: trial.outcome for id_, trial in found.items()} == {
        "T903": "infrastructure_error",
        "T904": "infrastructure_error",
        "T905": "timeout",
        "T907": "infrastructure_error",
    }
    assert found["T903"].reason.startswith("benchmark: ") and "FileNotFoundError" in found["T904"].reason
    assert "the worker process died" in found["T907"].reason
    assert all(trial.score is None for trial in found.values())


def test_a_persona_speaks_behind_the_guard(tmp_path: Path) -> None:
    lines = ["It is for the kitchen.", "How can I assist you today?", "Thursday, please.", "[DONE]"]
    with ModelServer(lambda n: lines[n - 1]) as server:
        plays = parse_judge("openai:m", base_url=server.url)
        run_claweval(SUITE, "vacuous", tmp_path / "run", tasks="C", judge=NONE, user=plays, protocol="env")
    trial = trials(tmp_path / "run")["C901"]
    assert trial.outcome == "pass"
    events = [json.loads(line) for line in (tmp_path / "run" / "traces" / trial.episode).open()]
    said = [e["message"] for e in events if e["type"] == "message" and e["message"]["role"] == "user"]
    assert [m["content"][0]["text"] for m in said] == [
        "Could you add a note to the pad for me?",
        "[user_agent]\nIt is for the kitchen.",
        "[user_agent]\nThursday, please.",  # what an assistant would say never reached the agent
    ]
    assert trial.counts["user_drifted"] == 1 and trial.counts["user_calls"] == 4
    assert (trial.counts["user_input_tokens"], trial.counts["user_turns"]) == (40, 3)


# -- the user by itself ------------------------------------------------------------------------------

SCENARIO = Scenario(
    id="C1",
    seed=1,
    intent="Could you add a note to the pad for me?",
    persona=Persona("user", "", "", work_context="A cook of 40."),
    requests=(Request("C1", "Could you add a note to the pad for me?"),),
)


def view(*words: str) -> UserView:
    spoken = [
        user(text) if i % 2 else assistant(text)
        for i, text in enumerate(("Could you add a note to the pad for me?", *words))
    ]
    return UserView(tuple(spoken), Evidence(), turn=1, request="C1")


def test_without_a_persona_the_user_leaves_at_the_first_answer() -> None:
    asks = TaskUser()
    assert asks.reset(SCENARIO, 0).text == "Could you add a note to the pad for me?"
    assert asks.respond(view("Done.")).done


def test_a_person_is_asked_at_most_so_often_and_sees_who_said_what() -> None:
    heard: list[list[tuple[str, str]]] = []

    def speak(persona: str, messages: Any) -> str | None:
        heard.append([(m["role"], m["content"]) for m in messages])
        return f"Answer number {len(heard)}, for the kitchen."

    person = TaskUser(PersonaUser(speak, "A cook."), rounds=2)
    person.reset(SCENARIO, 0)
    turns = [person.respond(view("Which room?")) for _ in range(3)]
    assert [turn.done for turn in turns] == [False, False, True]
    assert heard[0] == [("user", "Could you add a note to the pad for me?"), ("assistant", "Which room?")]


@pytest.mark.parametrize(
    ("wish", "reply"),
    [
        ("在考虑提前还房贷，手头攒了大概15万，帮我算算现在提前还划不划算。", "还款方式：等额本息。"),
        ("Add a note.", "It is for the kitchen."),
    ],
)
def test_the_guard_knows_the_language_of_a_wish(wish: str, reply: str) -> None:
    scenario = replace(SCENARIO, requests=(Request("C1", wish),))
    person = watched(lambda persona, messages: reply, "A cook.", 2)
    person.reset(scenario, 0)
    assert person.respond(view("Which one?")).text == reply


@pytest.mark.parametrize(
    "words", ["How can I assist you today?", "The load is in old_readme_2024.txt, I think."]
)
def test_a_refused_turn_passes_counted_and_ends_no_conversation(words: str) -> None:
    told: list[str] = []

    def speak(persona: str, messages: Any) -> str:
        told.append(persona)
        return words

    person = watched(speak, "A cook.", 2)
    person.reset(SCENARIO, 0)
    turn = person.respond(view("Which room?"))
    assert (turn.text, turn.done) == (words, False)
    assert len(told) == 3 and "Not like this" in told[1]
    counts = person.describe()["guard"]
    assert (counts["turns"], counts["drifted"], counts["resamples"], counts["reached"]) == (1, 1, 2, 1)


def test_a_unit_is_no_file_and_needs_no_second_draft() -> None:
    scenario = replace(SCENARIO, requests=(Request("C1", "How much can a floor of 20 m2 carry at 2 kN/m2?"),))
    person = watched(lambda persona, messages: "It is the usual 2 kN/m2, I believe.", "A builder.", 2)
    person.reset(scenario, 0)
    person.respond(view("Which load?"))
    other = watched(lambda persona, messages: "Let's say kg/m2 then.", "A builder.", 2)
    other.reset(SCENARIO, 0)
    other.respond(view("Which unit?"))
    for one in (person, other):
        assert one.describe()["guard"]["drifted"] == 0


def test_a_saved_person_goes_on_where_it_was() -> None:
    person = watched(lambda persona, messages: "For the kitchen, I think.", "A cook.", 2)
    person.reset(SCENARIO, 0)
    person.respond(view("Which room?"))
    saved = person.state()
    other = watched(lambda persona, messages: "For the hall, I think.", "A cook.", 2)
    other.set_state(saved)
    assert other.respond(view("Which room?")).text == "For the hall, I think."
    assert other.respond(view("Which room?")).done
