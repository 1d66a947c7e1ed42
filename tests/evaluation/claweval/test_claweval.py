"""The Claw-Eval harness on a benchmark in miniature: selection, services, outcomes, judges, resume."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import httpx
import pytest
from model_server import ModelServer
from pad_service import SUITE, pad

from ise_gym.errors import AgentError, UserError
from ise_gym.evaluation.claweval import work
from ise_gym.evaluation.claweval.agents import made_up
from ise_gym.evaluation.claweval.models.judge import JudgeSpec, parse_judge
from ise_gym.evaluation.claweval.models.provider import AgentBroke, AgentClient, from_openai
from ise_gym.evaluation.claweval.runner import run_claweval
from ise_gym.evaluation.claweval.services.asgi import Router
from ise_gym.evaluation.claweval.services.host import InProcessServices, ServiceError
from ise_gym.evaluation.claweval.tasks import load_tasks, open_checkout, select
from ise_gym.evaluation.results.compare import compare
from ise_gym.evaluation.results.summary import RunSummary
from ise_gym.evaluation.run import load_run
from ise_gym.messages import assistant, tool_call

NONE = JudgeSpec("none")
STUB = parse_judge("stub:0.9")


def outcomes(folder: Path) -> dict[str, str]:
    return {trial.task[:4]: trial.outcome for trial in load_run(folder).trials.values()}


# -- reading a checkout --------------------------------------------------------------------------


def test_what_a_checkout_holds() -> None:
    tasks = {task.id[:4]: task for task in load_tasks(SUITE)}
    assert {id_ for id_, task in tasks.items() if task.uses_judge} == {"T902"}
    assert tasks["C901"].labels() == {
        "split": "multi-turn",
        "category": "notes",
        "difficulty": "easy",
        "language": "en",
    }
    assert not tasks["T901"].needs_sandbox


@pytest.mark.parametrize(
    ("selection", "expected"),
    [
        ("C", ["C901"]),
        ("T901,T906", ["T901", "T906"]),
        ("T90?_*note", ["T901"]),
        ("T902zh_judged_note", ["T902"]),
        ("T902zh,T901", ["T902", "T901"]),
    ],
)
def test_selection(selection: str, expected: list[str]) -> None:
    assert [task.id[:4] for task in select(load_tasks(SUITE), selection)] == expected


def test_selection_by_tag_split_and_file(tmp_path: Path) -> None:
    tasks = load_tasks(SUITE)
    assert len(select(tasks, "general")) == 8 and len(select(tasks, "T")) == 7
    (tmp_path / "ids").write_text("T901_file_a_note  # the first\n\nT906\n")
    assert len(select(tasks, str(tmp_path / "ids"))) == 2
    with pytest.raises(UserError, match="no task matches 'T999'"):
        select(tasks, "T999")
    with pytest.raises(UserError, match="Did you mean 'T901_file_a_note'"):
        select(tasks, "T901_file_the_note")


def test_not_a_checkout(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="src/claw_eval and tasks missing"):
        open_checkout(tmp_path)
    bad = tmp_path / "tasks" / "T1"
    bad.mkdir(parents=True)
    (bad / "task.yaml").write_text("task_id: [\n")
    with pytest.raises(UserError, match="can't be read"):
        load_tasks(tmp_path)
    (bad / "task.yaml").write_text("task_name: x\n")
    with pytest.raises(UserError, match="task_id: Field required"):
        load_tasks(tmp_path)
    (bad / "task.yaml").write_text("task_id: T1\n")
    with pytest.raises(UserError, match=r"T1: it has a task.yaml but no grader.py"):
        load_tasks(tmp_path)
    (tmp_path / "src" / "liveclaw_500").mkdir(parents=True)
    with pytest.raises(UserError, match="is a checkout of Claw-Eval-Live"):
        open_checkout(tmp_path)


# -- services without ports ----------------------------------------------------------------------


def test_each_task_gets_fresh_services_and_its_own_environment(router: Router) -> None:
    for owner in ("first", "second"):
        with InProcessServices([pad(env={**pad().env, "PAD_OWNER": owner})], SUITE, router):
            before = httpx.get("http://localhost:19301/pad/audit").json()
            assert before["notes"] == ["buy milk"]
            assert [call["endpoint"] for call in before["calls"]] == ["/pad/list"]  # the health check counts
            added = httpx.post("http://localhost:19301/pad/add", json={"text": "höhe"})
            assert added.json() == {"added": "höhe", "owner": owner}
    assert "PAD_OWNER" not in os.environ
    assert not [name for name in sys.modules if name.startswith("claweval_service_")]
    with pytest.raises(httpx.ConnectError):
        httpx.get("http://localhost:19301/pad/audit", timeout=2)


def test_errors_inside_a_service_are_http_errors(router: Router) -> None:
    with InProcessServices([pad()], SUITE, router):
        assert httpx.post("http://localhost:19301/pad/add", json={}).status_code == 422
        assert httpx.post("http://localhost:19301/pad/nowhere", json={}).status_code == 404
        crashed = httpx.post("http://localhost:19301/pad/crash", json={})
        assert (crashed.status_code, crashed.text) == (500, "Internal Server Error")


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"command": "uvicorn pad:app"}, "can't run in process"),
        ({"command": "python mock_services/none/server.py"}, "there is no Python file"),
        ({"command": "python tasks/T901_file_a_note/../../../made_runs.py"}, "has no 'app'"),
        ({"env": {}}, "failed to start: KeyError"),
        ({"health_check": "http://localhost:19301/pad/crash"}, "not healthy: status 500"),
    ],
)
def test_services_that_cannot_start(router: Router, changes: dict[str, Any], message: str) -> None:
    with pytest.raises(ServiceError, match=message), InProcessServices([pad(**changes)], SUITE, router):
        pass
    with InProcessServices([pad()], SUITE, router):
        pass  # nothing of the failed start is in the way


def test_a_missing_package_is_the_users_to_install(router: Router, tmp_path: Path) -> None:
    (tmp_path / "server.py").write_text("import no_such_package\n")
    with (
        pytest.raises(UserError, match=r"needs the Python package no_such_package: pip install"),
        InProcessServices([pad(command="python server.py")], tmp_path, router),
    ):
        pass


def test_two_services_on_one_port(router: Router) -> None:
    with (
        pytest.raises(ServiceError, match="use port 19301"),
        InProcessServices([pad(), pad(name="other")], SUITE, router),
    ):
        pass


# -- the clients that the benchmark is handed ------------------------------------------------------


class Fixed:
    name = "fixed"

    def __init__(self, answer: Any) -> None:
        self.answer = answer
        self.seen: list[Any] = []

    def act(self, messages: Any, tools: Any) -> Any:
        self.seen.append((list(messages), list(tools)))
        if isinstance(self.answer, Exception):
            raise self.answer
        return self.answer


def test_an_agent_behind_the_client() -> None:
    agent = Fixed(
        assistant("ok", [tool_call("add", {"n": 1}), tool_call("add", "[]"), tool_call("add", "{broken")])
    )
    client = AgentClient(agent)  # type: ignore[arg-type]
    history = [
        {"role": "system", "content": "s"},
        {
            "role": "user",
            "content": [{"type": "text", "text": "look"}, {"type": "image_url", "image_url": {}}],
        },
        {
            "role": "assistant",
            "content": None,
            "tool_calls": [tool_call("list", {}, "c1")],
            "reasoning": "hm",
        },
        {"role": "tool", "tool_call_id": "c1", "content": "[]"},
    ]
    reply = client.chat.completions.create(messages=history, tools=[{"type": "function"}])
    calls = reply.choices[0].message.tool_calls
    assert [call.function.arguments for call in calls] == ['{"n": 1}', "{}", "{broken"]
    assert len({call.id for call in calls}) == 3
    seen, tools = agent.seen[0]
    assert [m["role"] for m in seen] == ["system", "user", "assistant", "tool"]
    assert seen[1]["content"] == "look\n[image_url]" and seen[3]["name"] == "list"
    assert seen[2]["reasoning_content"] == "hm" and len(tools) == 1


def test_a_broken_endpoint_passes_through_every_retry_loop() -> None:
    client = AgentClient(Fixed(AgentError("down")))  # type: ignore[arg-type]
    with pytest.raises(AgentBroke, match="down"):
        try:
            client.chat.completions.create(messages=[])
        except Exception:
            pytest.fail("swallowed")


def test_the_agents_own_limit_ends_its_turn() -> None:
    client = AgentClient(Fixed(AgentError("context full", infrastructure=False)))  # type: ignore[arg-type]
    reply = client.chat.completions.create(messages=[])
    assert reply.choices[0].message.content is None
    assert client.agent_failure == "context full"


def test_from_openai_keeps_text() -> None:
    assert from_openai({"role": "assistant", "content": "a"}) == assistant("a")


def test_made_up_arguments_satisfy_the_schema() -> None:
    schema = {
        "properties": {
            "n": {"type": "integer"},
            "mode": {"type": "string", "enum": ["a", "b"]},
            "tags": {"type": "array", "items": {"type": "string"}},
            "day_date": {"type": "string"},
            "deep": {"type": "object", "properties": {"x": {"type": "boolean"}}, "required": ["x"]},
            "optional": {"type": "string"},
        },
        "required": ["n", "mode", "tags", "day_date", "deep"],
    }
    assert made_up(schema) == {
        "n": 1,
        "mode": "a",
        "tags": ["test tags"],
        "day_date": "2026-03-02",
        "deep": {"x": True},
    }


# -- whole runs --------------------------------------------------------------------------------------


def test_outcomes_are_told_apart(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(work, "GRACE_S", 1.0)
    summary = run_claweval(SUITE, "explorer", tmp_path / "run", tasks="*", judge=STUB, workers=2, retries=1)
    assert outcomes(tmp_path / "run") == {
        "T901": "pass",
        "T902": "pass",
        "T903": "infrastructure_error",
        "T904": "infrastructure_error",
        "T905": "timeout",
        "T906": "pass",
        "T907": "infrastructure_error",
    }
    run = load_run(tmp_path / "run")
    by_task = {trial.task[:4]: trial for trial in run.trials.values()}
    assert by_task["T903"].reason.startswith("benchmark: TypeError") or "KeyError" in by_task["T903"].reason
    assert "FileNotFoundError" in by_task["T904"].reason
    assert "the worker process died" in by_task["T907"].reason
    assert [by_task[id_].attempt for id_ in ("T903", "T904", "T907")] == [1, 2, 2]
    assert all(by_task[id_].score is None for id_ in ("T903", "T904", "T905", "T907"))
    assert by_task["T906"].robustness == 0.5 and by_task["T906"].score == pytest.approx(0.9)
    assert by_task["T902"].counts["judge_calls"] == 1
    assert by_task["T902"].notes[0]["score"] == 0.9
    assert by_task["T901"].labels["language"] == "en"
    assert (tmp_path / "run" / "traces" / by_task["T901"].episode).is_file()
    assert summary.left_out == {"C901_two_turns": "needs a simulated user"}
    assert (summary.rate.passed, summary.rate.trials) == (3, 4)


def test_without_a_judge_exactly_the_judge_free_tasks_are_played(tmp_path: Path) -> None:
    summary = run_claweval(SUITE, "vacuous", tmp_path / "run", tasks="T901,T902,T906", judge=NONE)
    assert summary.left_out == {"T902zh_judged_note": "its grader asks a judge"}
    assert summary.rate.passed == 0 and summary.rate.trials == 2
    with pytest.raises(UserError, match="1 its grader asks a judge"):
        run_claweval(SUITE, "vacuous", tmp_path / "other", tasks="T902", judge=NONE)


def test_scripted_agents_compare(tmp_path: Path) -> None:
    for agent in ("vacuous", "explorer"):
        run_claweval(SUITE, agent, tmp_path / agent, tasks="T901,T906", judge=NONE)
    pair = compare(tmp_path / "vacuous", tmp_path / "explorer").pairs[0]
    assert (pair.better, pair.worse) == (2, 0)


def test_the_benchmarks_simulated_user_speaks_through_our_client(
    tmp_path: Path,
) -> None:
    talkative = parse_judge("stub:0.5")
    summary = run_claweval(SUITE, "vacuous", tmp_path / "run", tasks="C", judge=NONE, user=talkative)
    trial = next(iter(load_run(tmp_path / "run").trials.values()))
    assert summary.rate.passed == 1
    assert (trial.counts["user_calls"], trial.counts["turns"]) == (3, 4)  # the task allows three rounds
    with ModelServer(lambda n: 500) as server:
        dead = parse_judge("openai:m", base_url=server.url, retries=0)
        run_claweval(SUITE, "vacuous", tmp_path / "dead", tasks="C", judge=NONE, user=dead, retries=0)
    trial = next(iter(load_run(tmp_path / "dead").trials.values()))
    assert trial.outcome == "infrastructure_error" and trial.reason.startswith("user: m: status: 500")


def test_a_dead_endpoint_ends_the_run_and_it_can_be_resumed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("ise_gym.rollout.engine.BACKOFF_S", 0.01)
    down = True
    with ModelServer(lambda n: 500 if down and n > 1 else "I could not do it.") as server:

        def play() -> RunSummary:
            return run_claweval(
                SUITE,
                "openai:m",
                tmp_path / "run",
                tasks="T901,T906",
                judge=NONE,
                agent_options={"base_url": server.url, "api_key": "none", "max_retries": 0},
                trials=20,
                workers=2,
                retries=1,
                give_up_after=3,
            )

        with pytest.raises(UserError, match=r"3 trials in a row were broken .*the last: agent: "):
            play()
        attempts = load_run(tmp_path / "run").attempts
        assert 3 * 2 <= attempts <= (3 + 2 * 2) * 2, "of 40 trials with two attempts each"
        down = False
        summary = play()
    assert summary.complete and summary.rate.trials == 40
    assert load_run(tmp_path / "run").attempts == attempts + 40


@pytest.mark.parametrize("services", ["process", "subprocess"])
def test_an_interrupt_lets_running_trials_end_and_the_run_resumes(tmp_path: Path, services: str) -> None:
    out = tmp_path / "run"
    command = [
        sys.executable, "-m", "eval", "run", "--suite", "claweval", "--claw-eval", str(SUITE), "--agent", "explorer",
        "--tasks", "T901,T906", "--judge", "none", "--trials", "15", "--sandbox", "none", "--services", services,
        "--out", str(out), "--quiet",
    ]  # fmt: skip
    process = subprocess.Popen(command, start_new_session=True)
    ledger = out / "trials.jsonl"
    deadline = time.monotonic() + 240
    while not ledger.exists() or ledger.read_bytes().count(b"\n") < 2:
        assert time.monotonic() < deadline and process.poll() is None
        time.sleep(0.005)
    os.killpg(process.pid, signal.SIGINT)  # as the terminal does: the whole group
    assert process.wait(timeout=240) == 130
    before = load_run(out)
    assert 2 <= before.attempts < 30
    assert {trial.outcome for trial in before.trials.values()} == {"pass"}, (
        "no trial was spoilt by the interrupt"
    )
    if services == "process":
        assert subprocess.run(command, timeout=400).returncode == 0
        assert load_run(out).attempts == 30


def test_kill_9_and_resume(tmp_path: Path) -> None:
    out = tmp_path / "run"
    command = [
        sys.executable, "-m", "eval", "run", "--suite", "claweval", "--claw-eval", str(SUITE), "--agent", "explorer",
        "--tasks", "T901,T902,T906", "--judge", "stub:0.9", "--trials", "4", "--sandbox", "none", "--out", str(out), "--quiet",
    ]  # fmt: skip
    process = subprocess.Popen(command)
    ledger = out / "trials.jsonl"
    deadline = time.monotonic() + 240
    while not ledger.exists() or ledger.read_bytes().count(b"\n") < 3:
        assert time.monotonic() < deadline and process.poll() is None
        time.sleep(0.02)
    process.send_signal(signal.SIGKILL)
    process.wait()
    before = ledger.read_bytes()
    done = subprocess.run(command, capture_output=True, text=True, timeout=400)
    assert done.returncode == 0, done.stderr
    assert ledger.read_bytes().startswith(before[: before.rfind(b"\n") + 1])
    run = load_run(out)
    assert len(run.trials) == run.attempts == 12
    assert all(json.loads(line)["outcome"] == "pass" for line in ledger.read_text().splitlines())
