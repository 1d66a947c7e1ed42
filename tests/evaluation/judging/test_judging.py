"""Judged outcomes: read twice, quoted, cached, never the actor's own, and always said to be judged."""

from __future__ import annotations

import json
import re
import sys
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

sys.path[:0] = [str(Path(__file__).parents[2] / "agents"), str(Path(__file__).parents[2] / "trajectory")]

from trajectory_samples import trajectory  # noqa: E402

from ise_gym.cli import app  # noqa: E402
from ise_gym.errors import UserError  # noqa: E402
from ise_gym.evaluation.judging.judge import RubricJudge  # noqa: E402
from ise_gym.evaluation.judging.material import material_of, shortened  # noqa: E402
from ise_gym.evaluation.judging.run import judge_store  # noqa: E402
from ise_gym.intents.llm.cache import AnswerCache  # noqa: E402
from ise_gym.trajectory.record import FileChanges, Trajectory  # noqa: E402
from ise_gym.trajectory.stats import store_stats  # noqa: E402
from ise_gym.trajectory.store import TrajectoryStore, read_trajectories  # noqa: E402
from openai_server import OpenAIServer, reply, serve  # noqa: E402

RUBRIC = ["The lines were counted.", "The file was read."]


def unverified(number: int = 0, **fields: Any) -> Trajectory:
    return trajectory(
        number, outcome="unverified", score=None, subgoals={}, metadata={"rubric": RUBRIC}, **fields
    )


def answering(*holds: bool, grounds: str = "export.csv") -> Any:
    """A judge that says the same of each point, in the order in which it is asked."""

    def answer(body: dict[str, Any]) -> Any:
        asked = re.findall(r"^(p\d+): ", body["messages"][1]["content"], re.MULTILINE)
        verdict = {f"p{n}": held for n, held in enumerate(holds, 1)}
        points = [{"id": name, "grounds": grounds, "holds": verdict[name]} for name in asked]
        return reply(json.dumps({"points": points}))

    return answer


def judge(server: OpenAIServer, path: Path, **options: Any) -> RubricJudge:
    return RubricJudge("wise", AnswerCache(path), base_url=server.url, max_retries=0, **options)


def test_a_point_is_met_where_both_readings_say_so_and_the_order_is_swapped(tmp_path: Path) -> None:
    with serve(answering(True, False)) as server:
        found = judge(server, tmp_path / "a.jsonl").judge(unverified())
    assert found.met == {"p1": True, "p2": False} and found.score == 0.5 and not found.passed
    first, second = (body["messages"][1]["content"] for body in server.bodies)
    assert first.index("p1: ") < first.index("p2: ") and second.index("p2: ") < second.index("p1: ")
    assert first.index("## The conversation") < first.index("## What changed")
    assert second.index("## What changed") < second.index("## The conversation")


def test_readings_that_differ_do_not_count_and_lower_the_agreement(tmp_path: Path) -> None:
    with serve(answering(True, True), answering(True, False)) as server:
        found = judge(server, tmp_path / "a.jsonl").judge(unverified())
    assert found.met == {"p1": True, "p2": False} and found.agreed == 1


def test_grounds_that_are_nowhere_in_the_episode_do_not_count(tmp_path: Path) -> None:
    with serve(answering(True, True, grounds="the moon is full")) as server:
        found = judge(server, tmp_path / "a.jsonl").judge(unverified())
    assert found.score == 0.0 and all(f.holds and not f.quoted for f in found.readings[0].values())


@pytest.mark.parametrize("bad", ["no json", '{"points": []}', '{"points": [{"id": "p1", "holds": "yes"}]}'])
def test_an_answer_that_cannot_be_read_is_asked_for_again_with_the_reason(tmp_path: Path, bad: str) -> None:
    with serve(reply(bad), answering(True, True)) as server:
        found = judge(server, tmp_path / "a.jsonl").judge(unverified())
    assert found.passed and len(server.bodies) == 3
    assert "can't be used" in server.bodies[1]["messages"][-1]["content"]


def test_a_judge_that_never_answers_leaves_the_episode_unverified(tmp_path: Path) -> None:
    with TrajectoryStore(tmp_path / "in") as store:
        store.append(unverified())
    with serve(reply("I can't say.")) as server:
        counts = judge_store(tmp_path / "in", tmp_path / "out", judge(server, tmp_path / "a.jsonl"))
    (record,) = read_trajectories(tmp_path / "out")
    assert (record.outcome, record.score, counts.without_verdict) == ("unverified", None, 1)
    assert "problem" in record.judged


def test_a_store_is_judged_once_and_says_so(tmp_path: Path) -> None:
    with TrajectoryStore(tmp_path / "in") as store:
        for number in range(4):
            store.append(unverified(number))
        store.append(trajectory(9))
    with serve(answering(True, True)) as server:
        command = ["judge", str(tmp_path / "in"), "--out", str(tmp_path / "out"), "--model", "wise"]
        command += ["--judge-option", f"base_url={server.url}", "-j", "2"]
        first = CliRunner().invoke(app, command)
        asked = len(server.bodies)
        second = CliRunner().invoke(app, command)
        assert (first.exit_code, second.exit_code, asked, len(server.bodies)) == (0, 0, 8, 8)
    assert "4 of 4 judged to have passed" in first.output and "agree on 8 of 8" in first.output
    records = list(read_trajectories(tmp_path / "out"))
    assert [r.outcome for r in records] == ["judged_passed"] * 4 + ["passed"]
    assert (
        records[0].score is None
        and records[0].judged["score"] == 1.0
        and records[0].judged["model"] == "wise"
    )
    assert records[0].judged["points"][0]["grounds"] == ["export.csv", "export.csv"]
    assert "judged" not in records[4].model_dump()
    summary = store_stats(tmp_path / "out")
    assert summary["pass_rate"]["total"] == 1 and summary["judged"]["passed"] == 4


def test_a_judge_that_was_killed_pays_for_nothing_twice(tmp_path: Path) -> None:
    with TrajectoryStore(tmp_path / "in") as store:
        for number in range(6):
            store.append(unverified(number))

    class Killed(Exception):
        pass

    def kill(counts: Any) -> None:
        if counts.seen == 2:
            raise Killed

    with serve(answering(True, True)) as server:
        with pytest.raises(Killed):
            judge_store(
                tmp_path / "in",
                tmp_path / "out",
                judge(server, tmp_path / "a.jsonl"),
                concurrency=1,
                on_progress=kill,
            )
        judge_store(tmp_path / "in", tmp_path / "out", judge(server, tmp_path / "a.jsonl"))
        assert len(server.bodies) == 12
    assert [t.scenario_id for t in read_trajectories(tmp_path / "out")] == [f"intent_{n}" for n in range(6)]


@pytest.mark.parametrize("agent", [{"name": "openai:wise"}, {"name": "a", "model": "org/Wise.gguf"}])
def test_the_model_that_acted_is_no_judge_unless_asked_for(tmp_path: Path, agent: dict[str, str]) -> None:
    with TrajectoryStore(tmp_path / "in") as store:
        store.append(unverified(agent=agent))
    with serve(answering(True, True)) as server:
        with pytest.raises(UserError, match=r"wise acted in 1 .*--allow-own"):
            judge_store(tmp_path / "in", tmp_path / "out", judge(server, tmp_path / "a.jsonl"))
        assert not server.bodies
        counts = judge_store(
            tmp_path / "in", tmp_path / "out", judge(server, tmp_path / "a.jsonl", allow_own=True)
        )
    assert counts.passed == 1


def test_the_judge_sees_files_and_exit_codes_and_no_verdict() -> None:
    seen = trajectory(3, "failed")
    seen.steps[1].files = FileChanges(created=["out/made.txt"], diffs={"out/made.txt": "+the words"})
    material = material_of(seen)
    text = f"{material.conversation}\n{material.evidence}"
    assert (
        "out/made.txt" in text
        and "+the words" in text
        and "exit code 1" in text
        and "calls that failed: 1" in text
    )
    assert "score" not in text and "failed\n" not in material.intent
    assert list(material.points.values()) == ["count, right", "read, right"]


def test_a_long_episode_is_shown_within_its_bound() -> None:
    long = trajectory(1)
    long.messages = [*long.messages, *[{**m, "content": "x" * 50_000} for m in long.messages] * 40]
    material = material_of(long, 10_000)
    assert len(material.conversation) + len(material.evidence) <= 10_000
    assert len(shortened("ab" * 5_000, 300)) <= 302
