from __future__ import annotations

import json
from collections import Counter
from pathlib import Path
from typing import Any

import jsonschema
import pytest
from hypothesis import given
from hypothesis import strategies as st
from trajectory_samples import delegating, trajectory

from ise_gym.cli import corpus
from ise_gym.errors import UserError
from ise_gym.messages import assistant, system, tool_call, tool_result, user
from ise_gym.trajectory.exchange.atif import from_atif, to_atif
from ise_gym.trajectory.exchange.export import dump, export_file
from ise_gym.trajectory.exchange.foreign import Unusable
from ise_gym.trajectory.exchange.importer import import_files
from ise_gym.trajectory.record import Step, Trajectory
from ise_gym.trajectory.store import TrajectoryStore, read_trajectories

SCHEMA = json.loads((Path(__file__).parent / "atif_1_8.schema.json").read_text())


def check(record: dict[str, Any]) -> None:
    """Valid by the schema, and by the rules that a schema can't say."""
    parts = record.get("subagent_trajectories", ())
    embedded = [check(part) or part["trajectory_id"] for part in parts]  # type: ignore[func-returns-value]
    results = [r for s in record["steps"] for r in s.get("observation", {}).get("results", ())]
    named = [ref["trajectory_id"] for r in results for ref in r.get("subagent_trajectory_ref", ())]
    assert len(set(embedded)) == len(embedded) and set(named) == set(embedded)
    jsonschema.validate(record, SCHEMA)
    assert [step["step_id"] for step in record["steps"]] == list(range(1, len(record["steps"]) + 1))
    for step in record["steps"]:
        made = {call["tool_call_id"] for call in step.get("tool_calls", ())}
        for result in step.get("observation", {}).get("results", ()):
            assert result.get("source_call_id") is None or result["source_call_id"] in made
        if step["source"] != "agent":
            assert not {"tool_calls", "reasoning_content", "metrics", "model_name"} & step.keys()
        if step.get("llm_call_count") == 0:
            assert not {"reasoning_content", "metrics"} & step.keys()


def back(record: dict[str, Any]) -> Trajectory:
    repairs: Counter[str] = Counter()
    made = from_atif(json.loads(dump(record)), repairs)
    assert not +repairs
    return made


def odd_ones() -> list[Trajectory]:
    calls = [
        tool_call("exec", '{"command":"ls"}', "a"),  # not as json.dumps would write it
        tool_call("exec", '{"command": ', "b"),
        tool_call("exec", "[1]", "c"),
        tool_call("exec", '{"n": NaN}', "d"),
        tool_call("exec", "[" * 100_000, "e"),
    ]
    return [
        trajectory(1),
        trajectory(2, "failed", split="eval", metadata={"a": [1, {"b": None}]}),
        trajectory(
            3, agent={"name": "openai:m", "model": "m", "usage": {"cost": 0.5}}, counts={"prompt_tokens": 9}
        ),
        trajectory(4, messages=[system("s"), user("u"), assistant("", calls)], steps=[]),
        trajectory(5, messages=[tool_result("x", "exec", "stray", success=True), user("u")], steps=[]),
        trajectory(
            6, messages=[user("u"), assistant("\ud800", (), "why")], steps=[Step(message=1, reward=1)]
        ),
        trajectory(7, messages=[{"role": "user", "content": "u", "name": "Ada"}], steps=[]),
        trajectory(8, agent={}, messages=[user("u"), {"role": "tool", "content": "bare"}], steps=[]),
        delegating(9, agent={"name": "m", "model": "m"}),
    ]


@pytest.mark.parametrize("made", odd_ones(), ids=lambda t: t.scenario_id)
def test_an_episode_is_valid_atif_and_comes_back_equal(made: Trajectory) -> None:
    record = to_atif(made)
    check(record)
    assert back(record) == made


@pytest.mark.parametrize("made", odd_ones(), ids=lambda t: t.scenario_id)
def test_the_models_of_harbor_accept_it(made: Trajectory) -> None:
    harbor = pytest.importorskip(
        "harbor.models.trajectories",
        reason="NOT TESTED against Harbor's own models: the harbor package (Python 3.12+) is not installed",
    )
    harbor.Trajectory.model_validate(json.loads(dump(to_atif(made))))


def test_what_was_delegated_is_embedded_and_named_by_the_result_that_it_gave() -> None:
    record = to_atif(delegating(1))
    first, second = record["subagent_trajectories"]
    assert first["trajectory_id"] == f"{record['trajectory_id']}/main:count"
    answer = record["steps"][2]["observation"]["results"][0]
    assert answer["subagent_trajectory_ref"] == [{"trajectory_id": first["trajectory_id"]}]
    assert [tool["function"]["name"] for tool in first["agent"]["tool_definitions"]] == ["exec"]
    copied = [step.get("is_copied_context", False) for step in second["steps"]]
    assert copied == [True, True, False, False]


def test_a_file_of_an_earlier_version_keeps_its_sub_sessions() -> None:
    made = delegating(1)
    record = to_atif(made)
    del record["subagent_trajectories"]
    record["extra"]["ise_gym"]["sessions"] = made.sessions  # where they stood before they were embedded
    assert back(record) == made


def test_another_programs_sub_agents_are_counted_as_left_out() -> None:
    record = to_atif(delegating(1))
    del record["extra"]["ise_gym"]
    repairs: Counter[str] = Counter()
    assert from_atif(record, repairs).sessions == []
    assert repairs["sub-agent's trajectory left out"] == 2


def test_what_consumers_look_for_is_where_they_look() -> None:
    record = to_atif(trajectory(1, agent={"name": "expert", "agent": "expert"}, env={"ise_gym": "0.1.0"}))
    assert record["agent"]["version"] == "0.1.0" and "model_name" not in record["agent"]
    failed = record["steps"][2]
    assert failed["tool_calls"][0]["arguments"] == {"command": "wc -l exprt.csv"}
    assert failed["observation"]["results"][0]["source_call_id"] == "call_1"
    assert failed["observation"]["results"][0]["extra"] == {"name": "exec", "success": False, "exit_code": 1}
    assert failed["llm_call_count"] == 0 and "llm_call_count" not in record["steps"][3]  # it has reasoning
    assert record["steps"][4]["extra"]["ise_gym"]["reward"] == 0.5
    assert record["final_metrics"] == {"total_steps": 8}
    paid = to_atif(
        trajectory(
            1,
            agent={"name": "o", "model": "m", "usage": {"cost": 0.25}},
            counts={"prompt_tokens": 7, "completion_tokens": 2},
        )
    )
    assert paid["agent"]["model_name"] == "m" and paid["steps"][2]["llm_call_count"] == 1
    assert paid["final_metrics"] == {
        "total_prompt_tokens": 7,
        "total_completion_tokens": 2,
        "total_cost_usd": 0.25,
        "total_steps": 8,
    }


texts = st.text(max_size=20)
calls = st.builds(tool_call, st.sampled_from(["exec", "read"]), texts | st.dictionaries(texts, texts), texts)
messages = st.one_of(
    st.builds(system, texts),
    st.builds(user, texts),
    st.builds(assistant, texts, st.lists(calls, max_size=3), st.none() | texts),
    st.builds(tool_result, texts, texts, texts, success=st.booleans(), exit_code=st.none() | st.integers()),
)


@given(st.lists(messages, min_size=1, max_size=12))
def test_any_conversation_comes_back_equal(conversation: list[Any]) -> None:
    steps = [Step(message=n, reward=0.5) for n, m in enumerate(conversation) if m["role"] == "assistant"]
    made = trajectory(1, messages=conversation, steps=steps)
    record = to_atif(made)
    check(json.loads(dump(record)))
    assert back(record) == made


def test_files_and_folders_round_trip(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    wanted = [trajectory(0), trajectory(1), delegating(2)]
    with TrajectoryStore(tmp_path / "s") as store:
        for t in wanted:
            store.append(t)
    export_file(tmp_path / "s", "atif", tmp_path / "all.jsonl")
    assert export_file(tmp_path / "s", "atif", tmp_path / "each").episodes == 3
    files = sorted((tmp_path / "each").iterdir())
    assert [f.name for f in files] == [f"{t.episode_id}.json" for t in wanted]
    corpus.export(tmp_path / "s", "trl", out=tmp_path / "rows.jsonl")
    assert "with 2 sub-sessions (1 cut off, without a row) → " in capsys.readouterr().err
    corpus.export(tmp_path / "s", "atif", out=tmp_path / "again")
    corpus.import_files([tmp_path / "again"], tmp_path / "b", "atif")
    said = capsys.readouterr().err.replace("\n", " ")
    assert said.count("3 episodes with 2 sub-sessions → ") == 2
    for number, source in enumerate(([tmp_path / "all.jsonl"], files, [tmp_path / "each"])):
        assert import_files(source, tmp_path / f"back{number}", "atif").imported == 3
        assert list(read_trajectories(tmp_path / f"back{number}")) == wanted


def foreign() -> dict[str, Any]:
    return {
        "schema_version": "ATIF-v1.6",
        "session_id": "s-1",
        "agent": {"name": "some-agent", "version": "2.0", "model_name": "some-model"},
        "steps": [
            {"step_id": 1, "source": "user", "message": [{"type": "text", "text": "list them"}]},
            {
                "step_id": 2,
                "source": "agent",
                "message": "Looking.",
                "reasoning_content": "ls will do",
                "tool_calls": [{"tool_call_id": "c1", "function_name": "bash", "arguments": {"cmd": "ls"}}],
                "observation": {
                    "results": [
                        {"source_call_id": "c1", "content": "a.txt", "extra": {"name": "not ours"}},
                        {"content": "a notice"},
                    ]
                },
            },
        ],
        "final_metrics": {"total_prompt_tokens": 100, "total_completion_tokens": 7},
    }


def test_other_programs_trajectories_are_read() -> None:
    repairs: Counter[str] = Counter()
    made = from_atif(foreign(), repairs)
    assert (made.outcome, made.scenario_id, made.intent) == ("unverified", "s-1", "list them")
    assert made.agent == {"name": "some-agent", "model": "some-model"}
    assert [m["role"] for m in made.messages] == ["user", "assistant", "tool"]
    assert made.messages[1]["tool_calls"] == [tool_call("bash", {"cmd": "ls"}, "c1")]
    assert made.messages[2] == {"role": "tool", "content": "a.txt", "tool_call_id": "c1", "name": "bash"}
    assert (made.counts["prompt_tokens"], made.counts["tool_calls"]) == (100, 1)
    assert repairs == {"content that is not text": 1, "result that answers no call dropped": 1}


@pytest.mark.parametrize("bad", [7, {}, {"schema_version": "3"}, {**foreign(), "steps": []}])
def test_what_is_no_trajectory_is_unusable(bad: Any) -> None:
    with pytest.raises(Unusable):
        from_atif(bad, Counter())


def test_nothing_to_say_and_tampering_are_told() -> None:
    with pytest.raises(UserError, match="no messages"):
        to_atif(trajectory(1, messages=[], steps=[]))
    record = to_atif(trajectory(1))
    record["extra"]["ise_gym"]["score"] = "high"
    with pytest.raises(UserError, match=r"x\.json: extra\.ise_gym: \('score',\)"):
        from_atif(record, Counter(), "x.json")
