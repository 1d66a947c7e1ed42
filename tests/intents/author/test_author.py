"""A model writes intents: gates find what is wrong, nothing that was paid for is lost, and proved checks are real."""

from __future__ import annotations

import importlib.util
import json
import random
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from ise_gym.cli import app
from ise_gym.errors import UserError
from ise_gym.intents.author.drawing import Wanted, shares_of, wanted
from ise_gym.intents.author.estimate import estimate
from ise_gym.intents.author.gate import GATES, gate_problems
from ise_gym.intents.author.prompt import messages_for
from ise_gym.intents.author.writing import Author, costs_by_intent, spent, write_intents
from ise_gym.intents.author.written import Draft, WrittenFileSource, read_draft, scenario_of
from ise_gym.intents.foreign import open_intent_file
from ise_gym.intents.llm.cache import AnswerCache

_spec = importlib.util.spec_from_file_location(
    "author_bench", Path(__file__).parents[3] / "benchmarks/intents/author.py"
)
assert _spec and _spec.loader
bench = importlib.util.module_from_spec(_spec)
sys.modules["author_bench"] = bench
_spec.loader.exec_module(bench)
EN = {"en": 1.0}


def item(seed: int = 1, **languages: float) -> Wanted:
    return wanted(seed, languages or EN)


def draft(seed: int = 1, **changes: Any) -> Draft:
    made = bench.draft_for(messages_for(item(seed))[1]["content"], random.Random(seed))
    return Draft.model_validate({**made, **changes})


def problems(given: Draft, of: Wanted | None = None) -> set[str]:
    return {gate for gate, _ in gate_problems(given, of or item())}


@pytest.fixture
def endpoint() -> Iterator[Any]:
    stand_in = bench.StandIn(latency_s=0.0)
    yield stand_in
    stand_in.close()


def author(folder: Path, url: str, **options: Any) -> Author:
    return Author("stand-in", AnswerCache(folder / "answers.jsonl"), base_url=url, max_retries=0, **options)


def test_sound_drafts_in_both_languages_pass_every_gate() -> None:
    for seed in range(30):
        for language in ("en", "zh"):
            of = item(seed, **{language: 1.0})
            made = bench.draft_for(messages_for(of)[1]["content"], random.Random(seed))
            found = {g for g, _ in gate_problems(Draft.model_validate(made), of)}
            assert found - {"length"} == set(), (
                seed,
                language,
                list(gate_problems(Draft.model_validate(made), of)),
            )


REQUEST = draft().request
BAD: dict[str, list[dict[str, Any]]] = {
    "length": [{"request": "I need it."}, {"request": REQUEST * 8}],
    "voice": [
        {"request": REQUEST + " The assistant should be brief."},
        {"request": REQUEST + " Signed, [your name]."},
        {"request": REQUEST.replace("add up", "add add up")},
    ],
    "language": [{"request": "请把文件里的数字加起来。" * 12}],
    "files": [
        {"files": [{"path": "/etc/passwd", "content": "x"}]},
        {"files": [{"path": "../a.csv", "content": "x"}]},
        {"files": [{"path": "a.json", "content": "{oops"}]},
        {"files": [{"path": "a.csv", "content": " "}]},
        {"files": [{"path": "a.csv", "content": "a,b,c\n1\n2\n"}]},
        {"files": [{"path": "a.txt", "content": "one\ntwo\n..."}]},
        {"files": [{"path": "a", "content": "x"}, {"path": "a/b.txt", "content": "x"}]},
        {"files": [{"path": "a.txt", "content": "x" * 70_000}]},
    ],
    "consistent": [
        {"deliverables": ["never/named.json"]},
        {"request": REQUEST + " Use also the figures in other/place.csv, please."},
        {"files": []},
    ],
    "rubric": [
        {"rubric": ["one point that says something"]},
        {"rubric": ["the total is right in it"] * 4},
        {"rubric": ["good", "the total is right", "the file is there", "nothing else has changed"]},
    ],
    "checks": [
        {"checks": [{"sha256": "a"}]},
        {"checks": [{"json": {"equals": 1}}]},
        {"checks": [{"exists": "some/where.txt"}]},
        {"checks": [{"command": {"argv": ["rm"]}}]},
    ],
}


@pytest.mark.parametrize(
    ("gate", "changes"), [(gate, change) for gate, changes in BAD.items() for change in changes]
)
def test_each_gate_finds_what_it_is_for(gate: str, changes: dict[str, Any]) -> None:
    assert gate in problems(draft(**changes))


def test_a_request_that_copies_its_instructions_is_sent_back() -> None:
    of = item()
    told = json.loads(messages_for(of)[1]["content"])["inspiration"][0]
    assert "copied" in problems(draft(request=f"{REQUEST} {told}"), of)
    assert set(BAD) | {"copied"} == set(GATES)


@pytest.mark.parametrize(
    "text",
    [
        '<think>hm</think>```json\n{"request": "r", "files": {"a.csv": "x"}, "rubric": "p"}\n```',
        '{"request": "r", "files": [{"path": "a.json", "content": {"x": 1}}], "rubric": [{"point": "p"}]}',
        '{"request": "r", "rubric": ["p"], "checks": {"exists": "a"}}',
    ],
)
def test_small_faults_of_form_are_mended(text: str) -> None:
    found = read_draft(text)
    assert isinstance(found, Draft) and found.rubric == ["p"]


@pytest.mark.parametrize("text", ["", "no", "{", "[1]", '{"request": 3}', '{"request": "r", "rubric": [1]}'])
def test_an_answer_that_is_no_draft_says_why(text: str) -> None:
    assert isinstance(read_draft(text), str)


def test_what_is_drawn_depends_on_the_seed_alone_and_languages_come_by_their_share() -> None:
    shares = shares_of("en=0.8,zh=0.2")
    drawn = [wanted(seed, shares) for seed in range(400)]
    assert drawn == [wanted(seed, shares) for seed in range(400)]
    assert 50 <= sum(w.language == "zh" for w in drawn) <= 110
    assert 160 <= sum(w.complexity == "complex" for w in drawn) <= 240
    with pytest.raises(UserError, match="known languages"):
        shares_of("de=1")


def test_drafts_are_sent_back_with_the_reason_and_what_was_paid_is_counted(
    tmp_path: Path, endpoint: Any
) -> None:
    writer = author(tmp_path, endpoint.url)
    result = write_intents(writer, tmp_path, 40, languages=EN, concurrency=4)
    assert result.written + result.without == 40 and result.written >= 34 and result.gates
    used = spent(writer.cache)
    assert used == {k: endpoint.billed[k] for k in used}
    assert sum(cost["calls"] for cost in costs_by_intent(writer.cache)) == used["calls"]
    again = write_intents(author(tmp_path, endpoint.url), tmp_path, 40, languages=EN)
    assert (again.done_before, again.written, endpoint.billed["calls"]) == (40, result.written, used["calls"])


def test_a_run_that_stops_goes_on_without_asking_twice(tmp_path: Path, endpoint: Any) -> None:
    class Stopped(Exception):
        pass

    def stop(done: int, count: int) -> None:
        if done in (7, 18):
            raise Stopped

    for _ in range(2):
        with pytest.raises(Stopped):
            write_intents(
                author(tmp_path / "a", endpoint.url), tmp_path / "a", 30, languages=EN, on_progress=stop
            )
    write_intents(author(tmp_path / "a", endpoint.url), tmp_path / "a", 30, languages=EN)
    calls = endpoint.billed["calls"]
    write_intents(author(tmp_path / "b", endpoint.url), tmp_path / "b", 30, languages=EN)
    assert endpoint.billed["calls"] == 2 * calls
    assert (tmp_path / "a/intents.jsonl").read_bytes() == (tmp_path / "b/intents.jsonl").read_bytes()


def test_a_folder_of_another_run_is_refused(tmp_path: Path, endpoint: Any) -> None:
    write_intents(author(tmp_path, endpoint.url), tmp_path, 2, languages=EN)
    with pytest.raises(UserError, match="another run of the author"):
        write_intents(author(tmp_path, endpoint.url), tmp_path, 2, languages={"zh": 1.0})


def test_an_endpoint_that_is_down_refuses_nobody_for_good(tmp_path: Path, endpoint: Any) -> None:
    bad = author(tmp_path, "http://127.0.0.1:9/v1")
    result = write_intents(bad, tmp_path, 3, languages=EN)
    assert (result.unreached, result.written, result.without) == (3, 0, 0)
    assert write_intents(author(tmp_path, endpoint.url), tmp_path, 3, languages=EN).written == 3


def test_an_estimate_holds_within_its_interval() -> None:
    draw = random.Random(4)
    costs = [
        {"prompt": draw.randint(500, 1500), "completion": draw.randint(200, 900), "calls": 1}
        for _ in range(600)
    ]
    inside = 0
    for start in range(0, 600, 30):
        found = estimate(costs[start : start + 30], 600)
        inside += found.prompt[1] <= sum(c["prompt"] for c in costs) <= found.prompt[2]
    assert inside >= 17
    assert found.cost(1.0, 0.0)[0] == pytest.approx(found.prompt[0] / 1e6)


def test_written_intents_are_played_and_end_unverified_until_their_checks_are_proved(tmp_path: Path) -> None:
    from ise_gym.intents.author.written import line_of

    line = line_of(draft(), item(), {"model": "m"})
    (tmp_path / "i.jsonl").write_text(line.model_dump_json() + "\n")
    source = open_intent_file(tmp_path / "i.jsonl")
    assert isinstance(source, WrittenFileSource)
    scenario = source.scenario(0)
    assert not any(r.subgoals for r in scenario.requests) and scenario.metadata["rubric"] == line.rubric
    proved = scenario_of(line.model_copy(update={"proved": True}))
    assert [g.name.split(":")[0] for g in proved.requests[-1].subgoals] == ["check 1", "check 2"]
    assert " ".join(r.text for r in proved.requests).split() == line.natural_language_intent.split()


def test_checks_are_proved_by_an_idle_agent_that_fails_and_one_that_passes(tmp_path: Path) -> None:
    import gymnasium as gym

    from ise_gym.intents.author.written import line_of
    from ise_gym.messages import assistant, tool_call
    from ise_gym.proving.written import Idle, prove

    class Solver(Idle):
        name = "solver"

        def __init__(self, command: str) -> None:
            self.command = command

        def act(self, messages: Any, tools: Any) -> Any:
            if messages[-1]["role"] == "user":
                return assistant("", [tool_call("exec", {"command": self.command})])
            return assistant("It is there.")

    line = line_of(draft(), item(), {"model": "m"})
    source, made = line.files[0].path, line.deliverables[0]
    good = (
        f'awk -F, \'NR>1{{s+=$2; if($2>m)m=$2}} END{{printf "{{\\"total\\": %d, \\"largest\\": %d}}", s, m}}\' '
        f"{source} > {made}"
    )
    env = gym.make("ISE-OS-v0")
    try:
        proof = prove(env, line, Solver(good))
        assert proof.verdict == "proved" and proof.calls[0][0] == "exec" and not all(proof.idle.values())
        assert prove(env, line, Solver("true")).verdict == "unsolved"
        idle = line.model_copy(update={"checks": [{"unchanged": source}]})
        assert prove(env, idle, Solver(good)).verdict == "idle passes"
        assert prove(env, line.model_copy(update={"checks": []}), Solver(good)).verdict == "no checks"
    finally:
        env.close()


def test_the_command_estimates_writes_and_resumes(tmp_path: Path, endpoint: Any) -> None:
    command = ["intents", "write", "--out", str(tmp_path / "o"), "--model", "stand-in", "--count", "30"]
    for option in (f"base_url={endpoint.url}", "price_in=1", "price_out=2"):
        command += ["--author-option", option]
    told = CliRunner().invoke(app, [*command, "--estimate", "--pilot", "8"])
    assert told.exit_code == 0 and "30 intents: costs about" in told.output
    assert len((tmp_path / "o/intents.jsonl").read_text().splitlines()) <= 8
    assert CliRunner().invoke(app, command).exit_code == 0
    ids = [json.loads(line)["id"] for line in (tmp_path / "o/intents.jsonl").read_text().splitlines()]
    assert len(ids) == len(set(ids)) >= 28
