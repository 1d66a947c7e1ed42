"""The guard on turns that models really said, and on turns written for the same moments; and what is said of it."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from ise_gym.cli import app
from ise_gym.messages import assistant, user
from ise_gym.simulator.base import Evidence, UserTurn, UserView
from ise_gym.simulator.detectors import detect
from ise_gym.simulator.knowledge import UserKnowledge, Wish
from ise_gym.simulator.measuring.driftset import read_set
from ise_gym.simulator.measuring.measure import evaluate
from ise_gym.simulator.measuring.recall import Measured, drift_past_guard, measured
from made_scenarios import make_scenario

SET = Path(__file__).parent / "real_set.jsonl.gz"


@pytest.fixture(scope="module")
def turns() -> Any:
    return list(read_set(SET))


def test_the_set_has_models_languages_and_both_splits(turns: Any) -> None:
    spoken = [t for t in turns if t.source == "model"]
    assert len({t.model for t in spoken}) >= 3 and len({t.temperature for t in spoken}) >= 3
    assert {t.prompt for t in spoken} >= {"first", "second"}
    assert {t.split for t in turns} == {"tuning", "held-out", "untuned-model"}
    in_role = [t for t in turns if not t.labels]
    assert len(in_role) >= 190 and sum(t.language == "zh" for t in in_role) >= 80
    assert len({t.id for t in turns}) == len(turns)


def test_no_intent_stands_on_both_sides_and_one_model_was_never_tuned_on(turns: Any) -> None:
    sides = {}  # type: ignore[var-annotated]
    for turn in turns:
        if turn.split != "untuned-model":
            assert sides.setdefault(turn.intent, turn.split) == turn.split
    assert {t.model for t in turns if t.split == "untuned-model"} == {"qwen2.5-coder-1.5b"}
    assert not any(t.model == "qwen2.5-coder-1.5b" for t in turns if t.split == "tuning")


def test_the_guard_finds_drift_and_lets_users_be(turns: Any) -> None:
    """On turns that no rule or weight was made with; the ends of intervals are in the documentation."""
    spoken = evaluate(t for t in turns if t.source == "model" and t.split != "tuning").whole
    assert spoken.recall.rate >= 0.85  # type: ignore[operator]
    everything = evaluate(t for t in turns if t.split != "tuning").whole
    assert everything.false_refusals.rate <= 0.05  # type: ignore[operator]


def test_chinese_turns_are_judged_as_english_ones_are(turns: Any) -> None:
    chinese = evaluate(t for t in turns if t.language == "zh" and t.source == "written").whole
    assert chinese.recall.rate >= 0.85 and chinese.false_refusals.rate <= 0.05  # type: ignore[operator]


def test_what_is_estimated_from_is_what_the_set_gives(turns: Any) -> None:
    """A rule that is changed changes the figures that ``ise stats`` starts from: benchmarks/users/real_set.py --measure."""
    figures = measured()
    assert figures.turns_sha256 == hashlib.sha256(SET.read_bytes()).hexdigest()  # type: ignore[union-attr]
    unseen = [t for t in turns if t.split != "tuning"]
    spoken = evaluate(t for t in unseen if t.source == "model").whole
    everything = evaluate(unseen).whole
    assert (figures.found, figures.out_of_role) == (spoken.found, spoken.turns - spoken.in_role)  # type: ignore[union-attr]
    assert (figures.refused, figures.in_role) == (everything.refused, everything.in_role)  # type: ignore[union-attr]


def test_silent_detectors_are_no_proof_of_no_drift() -> None:
    figures = Measured(found=80, out_of_role=100, refused=1, in_role=100)
    past = drift_past_guard(turns=100, drifted=50, script=10, figures=figures)
    assert 0.15 < past.rate < 0.25 and past.low < past.rate < past.high  # type: ignore[union-attr]
    assert drift_past_guard(turns=0, drifted=0, script=0, figures=figures) is None
    blind = Measured(found=0, out_of_role=10, refused=0, in_role=10)
    assert drift_past_guard(100, 1, 0, blind).rate == 1.0, "a guard that finds nothing proves nothing"  # type: ignore[union-attr]


def test_the_command_shows_real_turns_first(turns: Any) -> None:
    result = CliRunner().invoke(app, ["guard", "eval", "--json"])
    titles = list(json.loads(result.output))
    assert titles == [
        "spoken by models, held-out", "spoken by models, untuned-model", "written, held-out",
    ]  # fmt: skip
    shown = CliRunner().invoke(app, ["guard", "eval", "--set", str(SET)]).output
    assert "The whole guard" in shown and "echoes_agent" in shown


OPEN = UserKnowledge(
    make_scenario().persona,
    (Wish("intent/1", "We need a staffing plan for the launch."),),
    mode="open",
    intent="We need a staffing plan for the launch, with the costs of each month, as a table and as a short memo.",
)


@pytest.mark.parametrize(
    ("before", "text", "fires"),
    [
        ("", "Put the table into plan/staffing.csv, please.", False),
        ("Put it into plan/staffing.csv, for 60 people.", "I can't find out/staffing.csv.", True),
        (
            "Put it into plan/staffing.csv, for 60 people.",
            "Does plan/staffing.csv have all 60 people?",
            False,
        ),
        ("Put it into plan/staffing.csv, for 60 people.", "It should be for 45 people.", True),
        ("Put it into plan/staffing.csv, for 60 people.", "Actually, make it 45 people.", False),
    ],
)
def test_an_open_user_may_invent_once_and_is_held_to_it(before: Any, text: str, fires: Any) -> None:
    view = UserView((assistant(before), user("Done.")), Evidence(), 1, "intent/1", 0)
    hits = [hit.detector for hit in detect(UserTurn(text, "intent/1"), view, OPEN)]
    assert ("invented_state" in hits) is fires, hits


def test_an_open_user_takes_one_step_at_a_time() -> None:
    long = UserKnowledge(
        OPEN.persona, OPEN.wishes, mode="open", intent=" ".join(f"word{n} thing{n}" for n in range(30))
    )
    assert [h.detector for h in detect(UserTurn(long.intent, "intent/1"), None, long)] == ["task_dump"]
