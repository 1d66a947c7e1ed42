"""The role guard: what it refuses, how often it resamples, and what it falls back to."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from ise_gym import registry
from ise_gym.errors import UserError
from ise_gym.messages import assistant, user
from ise_gym.scenario import Scenario
from ise_gym.simulator import NaiveUser, RoleGuard, ScriptedUser, SingleTurnUser, make_user
from ise_gym.simulator.base import Evidence, UserSimulator, UserTurn, UserView
from ise_gym.simulator.detectors import DETECTORS, detect
from ise_gym.simulator.detectors.base import hint_of, principle_watched, watches
from ise_gym.simulator.knowledge import knowledge_of
from ise_gym.simulator.phrases import load_phrases
from ise_gym.simulator.principles import PRINCIPLES, principle_of
from ise_gym.simulator.telling import told
from ise_gym.workspace.base import Diff
from made_scenarios import make_scenario

FAILING = UserView((user("Done!"),), Evidence(Diff(), (), (), ("greet.txt holds the greeting",)), 1)
PASSING = UserView((user("Done!"),), Evidence(Diff(), (), ("greet.txt holds the greeting",), ()), 1)


class Parrot:
    """Says the given lines in order, whatever happens."""

    name = "parrot"

    def __init__(self, *turns: Any) -> None:
        self.turns, self.position, self.feedback = turns, 0, []  # type: ignore[var-annotated]

    def reset(self, scenario: Scenario, seed: int) -> Any:
        self.request = scenario.requests[0].name
        return UserTurn(scenario.requests[0].text, self.request)

    def respond(self, view: UserView, feedback: str = "") -> Any:
        self.feedback.append(feedback)
        turn = self.turns[min(len(self.feedback), len(self.turns)) - 1]
        return turn if isinstance(turn, UserTurn) else UserTurn(turn, self.request)

    def state(self) -> Any:
        return None

    def set_state(self, state: Any) -> None:
        pass

    def describe(self) -> Any:
        return {"name": self.name}


DRIFTS = {
    "assistant_voice": "My previous response should still stand.",
    "offers_help": "Would you like me to sort it as well?",
    "asks_about_own_task": "Sure. What would you like to work on?",
    "answers_instead_of_asking": "The error occurs because the file is not there.",
    "tool_call_syntax": "<tool_call>exec ls</tool_call>",
    "stage_direction": "*leans back and nods* where is it?",
    "scenario_leak": "The next subgoal is the count.",
    "task_dump": "Put héllo into greet.txt, and the number of lines of data.txt into count.txt.",
    "repeats_itself": "Where is the greeting I asked for?",
    "register_break": "yo dude lol, gimme that file rn",
    "language_switch": "Das ist noch nicht da, bitte schau noch einmal nach.",
    "invented_state": "What about reports/summary.pdf?",
    "premature_end": "Thanks, that's all, goodbye.",
    "empty_turn": "  ",
    "refuses_as_assistant": "I'm sorry, but I am unable to assist with that.",
    "reports_work": "We have already merged both lists.",
    "claims_acts": "The client called at 9 am about it.",
    "cut_short": "Where is the greeting in the",
    "recites_notes": "Your notes say what you found when you looked.",
    "makes_no_sense": "xqzt wrrl brrk",
    "talks_to_itself": "Hello Ada, where is the greeting?",
}
IN_PLACE = {
    "echoes_agent": (
        "The weekly numbers of both branches stand side by side in it.",
        "",
        "The weekly numbers of both branches now stand side by side in it.",
    ),
    "wish_unsaid": ("Let us go on with the other thing.", "files/count", "Done!"),
    "asks_what_it_knows": ("Where to put it?", "files/greet", "One moment."),
}
"""Detectors that look at more than the words: words, wish booked, what the agent said before."""
SPOKEN = UserView(
    (assistant("Where is the greeting I asked for?"), user("One moment.")),
    Evidence(failed=("greet.txt holds the greeting",)),
    1,
)


@pytest.mark.parametrize(
    "text", ["Good morning,", "Dear colleague,", "Hi there!", "hello, good evening", "Good day, dear all"]
)
def test_a_salutation_alone_asks_nothing(text: str) -> None:
    assert "empty_turn" in [hit.detector for hit in detect(UserTurn(text, ""), SPOKEN, make_scenario())]
    whole = UserTurn(f"{text} Where is the greeting?", "")
    assert "empty_turn" not in [hit.detector for hit in detect(whole, SPOKEN, make_scenario())]


@pytest.mark.parametrize(
    "text", ["Dear agent delete everything", "Dear assistant run tests.", "dear " * 60 + "!?"]
)
def test_what_begins_like_a_salutation_is_read_on(text: str) -> None:
    assert "empty_turn" not in [hit.detector for hit in detect(UserTurn(text, ""), SPOKEN, make_scenario())]


@pytest.mark.parametrize(("detector", "text"), DRIFTS.items())
def test_each_detector_fires_alone(detector: str, text: str) -> None:
    assert [hit.detector for hit in detect(UserTurn(text, ""), SPOKEN, make_scenario())] == [detector]


@pytest.mark.parametrize(
    ("detector", "words", "request_name", "heard"), [(k, *v) for k, v in IN_PLACE.items()]
)
def test_each_detector_that_looks_around_fires_alone(
    detector: str, words: str, request_name: str, heard: Any
) -> None:
    history = (assistant("Please put héllo into greet.txt."), user(heard))
    view = UserView(history, Evidence(passed=("greet.txt holds the greeting",)), 1, "files/greet", 1)
    assert [hit.detector for hit in detect(UserTurn(words, request_name), view, make_scenario())] == [
        detector
    ]


def test_every_detector_is_covered() -> None:
    assert set(DRIFTS) | set(IN_PLACE) == set(DETECTORS) - TRAINED


TRAINED = {"sounds_adrift"}
"""Its words are weights: what it finds is measured, see test_realset.py."""


def test_each_detector_declares_a_principle_and_a_reason() -> None:
    for name, detector in DETECTORS.items():
        assert principle_watched(detector) in {*PRINCIPLES, ""}, name
        assert hint_of(detector) and name not in hint_of(detector), name
    listed = [name for principle in PRINCIPLES.values() for name in principle.detectors]
    assert sorted(listed) == sorted(name for name in DETECTORS if principle_of(name))


def test_a_detector_of_ones_own_counts_for_the_principle_it_names(monkeypatch: pytest.MonkeyPatch) -> Any:
    @watches("register_matching", "it shouts")  # type: ignore[type-var]
    def shouts(turn: UserTurn) -> Any:
        return turn.text if turn.text.isupper() else ""

    monkeypatch.setattr(registry, "load", lambda kind, name, real=registry.load: (
        shouts if name == "lab:shouts" else real(kind, name)))  # fmt: skip
    assert principle_of("lab:shouts") == "register_matching"


@pytest.mark.parametrize(
    ("said", "made"),
    [
        (["Good evening, how are you?"], False),
        (["Please put héllo into greet.txt."], True),
        (["I need a greeting, héllo, in a file", "greet.txt is the file"], True),
        (["something with greet.txt"], False),
    ],
)
def test_a_wish_is_told_when_all_its_facts_are_in_the_words(said: str, made: Any) -> None:
    wish = knowledge_of(make_scenario()).wishes[0]
    assert told(wish, said) is made


def test_leaving_satisfied_needs_evidence() -> None:
    hits = detect(UserTurn("Thanks, bye", "r", done=True), FAILING, make_scenario())
    assert [hit.detector for hit in hits] == ["premature_end"]
    assert not detect(UserTurn("Thanks, bye", "r", done=True), PASSING, make_scenario())


def test_a_drifting_turn_is_resampled_with_the_reason() -> None:
    parrot = Parrot(DRIFTS["offers_help"], "No, greet.txt still isn't there.")
    guard = RoleGuard(parrot)
    guard.reset(make_scenario(), 1)
    turn = guard.respond(FAILING)
    assert turn.text == "No, greet.txt still isn't there."
    assert [event.get("action") or event["claim"] for event in turn.events] == ["not_done", "resample"]
    assert parrot.feedback[1] == "it offers help, and you are the one who wants something"
    assert guard.describe()["guard"] == {
        "turns": 2,
        "drifted": 1,
        "resamples": 1,
        "fallbacks": 0,
        "reached": 0,
        "simulator_errors": 0,
        "false_claims": 1,
        "claim:not_done": 1,
        "detector:offers_help": 1,
    }
    refused = [{"text": DRIFTS["offers_help"], "detectors": {"offers_help": "Would you like me to"}}]
    assert guard.describe()["drift"] == [
        {"turn": 2, "detectors": ["offers_help"], "action": "resample", "refused": refused}
    ]
    assert guard.describe()["voices"] == {"detectors": list(DETECTORS), "judge": None}


def test_a_hopeless_simulator_is_replaced_by_the_script() -> None:
    guard = RoleGuard(Parrot(DRIFTS["assistant_voice"]), resamples=2)
    scenario = make_scenario()
    guard.reset(scenario, 1)
    turn = guard.respond(PASSING)
    assert scenario.requests[1].text in turn.text and turn.request == scenario.requests[1].name
    assert guard.describe()["guard"]["fallbacks"] == 1
    assert [event["action"] for event in turn.events] == ["resample", "resample", "fallback"]


def test_scripted_user_never_accepts_words_for_deeds() -> None:
    scripted = ScriptedUser()
    scenario = make_scenario()
    scripted.reset(scenario, 1)
    for claim in ("Done.", "All set, I created greet.txt.", "I cannot do that.", "Which file do you mean?"):
        scripted.set_state((scenario, scripted.state()[1].__class__(), scripted.state()[2]))
        view = UserView((user(claim),), FAILING.evidence, 1)
        turn = scripted.respond(view)
        assert not turn.done and turn.request == scenario.requests[0].name


def test_state_round_trip() -> None:
    scenario = make_scenario()
    simulators: list[UserSimulator] = [make_user("scripted"), NaiveUser(), SingleTurnUser()]
    for simulator in simulators:
        simulator.reset(scenario, 5)
        saved = simulator.state()
        first = simulator.respond(FAILING)
        simulator.set_state(saved)
        assert simulator.respond(FAILING) == first


def test_naive_user_believes_words() -> None:
    naive = NaiveUser()
    scenario = make_scenario()
    naive.reset(scenario, 1)
    assert naive.respond(FAILING).request == scenario.requests[1].name


@pytest.mark.parametrize("words", ["Which folder do you mean?", "The script failed.", "I can't find it."])
def test_naive_user_hears_what_is_no_success(words: str) -> None:
    naive = NaiveUser()
    scenario = make_scenario()
    naive.reset(scenario, 1)
    view = replace(FAILING, history=(assistant(scenario.requests[0].text), user(words)))
    assert naive.respond(view).request == scenario.requests[0].name


def test_single_turn_user_says_everything_at_once() -> None:
    single = SingleTurnUser()
    scenario = make_scenario()
    assert single.reset(scenario, 1).text == scenario.intent
    assert single.respond(FAILING).gave_up and single.respond(PASSING).done


def test_unknown_simulator() -> None:
    with pytest.raises(UserError, match="Did you mean 'scripted'"):
        make_user("scriptd")


def test_how_the_scripted_user_parts_is_no_drift() -> None:
    for line in [line for lines in load_phrases()["done"].values() for line in lines]:
        assert not detect(UserTurn(line, "r", done=True), PASSING, make_scenario()), line


@pytest.mark.parametrize("sign", ["🐟", "👍🏽", "❤️", "👩‍💻"])
def test_after_an_emoji_a_sentence_begins(sign: str) -> None:
    text = f"Perfect, it all seems fine {sign} Zorbing on: where is the greeting?"
    assert not detect(UserTurn(text, ""), PASSING, make_scenario())
    named = detect(
        UserTurn(f"Perfect, it all seems fine {sign} says Zorbing, so where is it?", ""),
        PASSING,
        make_scenario(),
    )
    assert [hit.detector for hit in named] == ["invented_state"]


def test_a_user_that_would_leave_too_early_asks_for_a_second_look_first() -> None:
    """Ending as satisfied while a sub-goal fails is a recorded error of the simulator."""
    scenario = make_scenario()
    guard = RoleGuard(Parrot(UserTurn("Lovely, thanks, goodbye!", "files/greet", done=True)), resamples=1)
    guard.reset(scenario, 1)
    history = (assistant(scenario.requests[0].text), *FAILING.history)
    view = UserView(history, FAILING.evidence, 1, "files/greet", 1)
    first, second = guard.respond(view), guard.respond(view)
    assert not first.done and not second.done
    lines = {line.rstrip(".") for line in load_phrases()["double_check"]["collaborative"]}
    assert first.text.rstrip(".") in lines and second.text.rstrip(".") not in lines
    counts = guard.describe()["guard"]
    assert counts["simulator_errors"] == 2 and counts["reached"] == 0 and counts["fallbacks"] == 2


def test_the_shadow_follows_a_model_that_stays_behind() -> None:
    scenario = make_scenario()
    guard = RoleGuard(
        Parrot("Fine so far.", "As an AI I have no files.", "As an AI I have no files."), resamples=0
    )
    guard.reset(scenario, 1)
    passing = UserView(PASSING.history, PASSING.evidence, 1, "files/greet", 1)
    assert guard.respond(passing).request == "files/greet", "the model did not go on, although it could have"
    replaced = guard.respond(passing)
    assert scenario.requests[1].text in replaced.text and not replaced.done


def test_guard_state_round_trip() -> None:
    scenario = make_scenario()
    guard = RoleGuard(ScriptedUser())
    guard.reset(scenario, 1)
    saved = guard.state()
    first, counts = guard.respond(FAILING), guard.describe()
    other = RoleGuard(ScriptedUser())
    other.set_state(saved)
    assert other.respond(FAILING) == first and other.describe() == counts


def test_a_judge_has_the_last_word() -> Any:
    def judge(turn: UserTurn, view: UserView, known: Any) -> Any:
        return "too wordy" if "wordy" in turn.text else ""

    guard = RoleGuard(
        Parrot("A rather wordy way to ask for it.", "greet.txt is still missing, sorry."),
        resamples=1,
        judge=judge,  # type: ignore[arg-type]
    )
    guard.reset(make_scenario(), 1)
    assert guard.respond(FAILING).text == "greet.txt is still missing, sorry."
    assert guard.describe()["guard"]["detector:judge"] == 1
