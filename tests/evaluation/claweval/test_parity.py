"""Parity with the benchmark's own run: same agent, same judge, same scores, task by task and dimension by dimension.

Needs a checkout: set ``CLAW_EVAL_DIR``. By default the tasks that need no judge are compared; with
``CLAW_EVAL_PARITY=all`` all T tasks that need no container (the benchmark's side takes several seconds a task;
``CLAW_EVAL_SHARD=2/8`` plays the second eighth of them). The env protocol is held against the upstream one, over the
judge-free offline tasks, those in a sandbox included.
"""

import json
import os
import subprocess
import sys
import warnings
from pathlib import Path
from typing import Any

import pytest
from model_server import ModelServer
from recovery import RECOVERED, SANDBOX_TASKS, recovery

from ise_gym.evaluation.claweval.models.judge import parse_judge
from ise_gym.evaluation.claweval.runner import run_claweval
from ise_gym.evaluation.claweval.tasks import ClawTask, load_tasks, select
from ise_gym.evaluation.ledger import Trial
from ise_gym.evaluation.run import load_run

CHECKOUT = os.environ.get("CLAW_EVAL_DIR", "")
AGENTS = ["vacuous", "explorer", "diligent"]
pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(not CHECKOUT, reason="CLAW_EVAL_DIR names no checkout of Claw-Eval"),
]


@pytest.fixture
def tasks() -> list[ClawTask]:
    return select(load_tasks(Path(CHECKOUT).resolve()), "T")


def selection(tasks: list[ClawTask], folder: Path) -> str:
    file = folder / "tasks.txt"
    file.write_text("\n".join(task.id for task in tasks))
    return str(file)


def dimensions(trial: Trial) -> dict[str, Any]:
    return {
        "completion": trial.completion,
        "robustness": trial.robustness,
        "safety": trial.safety,
        "task_score": trial.score,
        "passed": trial.outcome == "pass",
    }


def played(folder: Path) -> dict[str, Trial]:
    return {trial.task: trial for trial in load_run(folder).trials.values()}


@pytest.mark.parametrize("agent", AGENTS)
def test_scores_equal_the_benchmarks_own(agent: str, tasks: list[ClawTask], tmp_path: Path) -> None:
    root = Path(CHECKOUT).resolve()
    every = os.environ.get("CLAW_EVAL_PARITY") == "all"
    chosen = [task for task in tasks if not task.needs_sandbox and (every or not task.uses_judge)]
    assert len(chosen) >= 20
    part, parts = (int(number) for number in os.environ.get("CLAW_EVAL_SHARD", "1/1").split("/"))
    chosen = chosen[part - 1 :: parts]
    run_claweval(
        root,
        agent,
        tmp_path / "run",
        tasks=selection(chosen, tmp_path),
        judge=parse_judge("stub:0.8"),
        workers=2,
    )
    compare_with_the_benchmark(agent, [task.id for task in chosen], tmp_path)


@pytest.mark.parametrize("agent", AGENTS)
def test_sandbox_tasks_score_as_on_the_benchmarks_own_server(agent: str, tmp_path: Path) -> None:
    run_claweval(
        Path(CHECKOUT).resolve(),
        agent,
        tmp_path / "run",
        tasks=",".join(SANDBOX_TASKS),
        judge=parse_judge("stub:0.8"),
        sandbox="auto",
        workers=2,
    )
    compare_with_the_benchmark(agent, SANDBOX_TASKS, tmp_path)


def test_a_solved_sandbox_task_scores_as_on_the_benchmarks_own_server(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    agent, judge = "openai:scripted", parse_judge("stub:0.8")
    with ModelServer(recovery) as server:
        options = {"base_url": server.url, "api_key": "unused"}
        run_claweval(
            Path(CHECKOUT).resolve(),
            agent,
            tmp_path / "run",
            tasks=RECOVERED,
            judge=judge,
            sandbox="auto",
            agent_options=options,
        )
    assert played(tmp_path / "run")[RECOVERED].completion == 1.0
    with ModelServer(recovery) as server:
        monkeypatch.setenv("AGENT_OPTIONS", json.dumps({**options, "base_url": server.url}))
        compare_with_the_benchmark(agent, [RECOVERED], tmp_path)


def compare_with_the_benchmark(agent: str, names: list[str], folder: Path) -> None:
    """Let the benchmark play tasks; the dimensions of each must be those of the run in ``folder``."""
    ours = played(folder / "run")
    theirs = by_the_benchmark(Path(CHECKOUT).resolve(), agent, names, folder)
    unplayed = {name: found["error"] for name, found in theirs.items() if "error" in found}
    if unplayed:
        warnings.warn(f"the benchmark itself could not play {unplayed}", stacklevel=1)
    different = {
        name: (found, dimensions(ours[name]), ours[name].reason)
        for name, found in theirs.items()
        if name not in unplayed and found != dimensions(ours[name])
    }
    assert set(theirs) == set(ours) and not different
    assert len(unplayed) <= len(names) / 20, unplayed


def by_the_benchmark(root: Path, agent: str, names: list[str], folder: Path) -> dict[str, dict[str, Any]]:
    """Play tasks with the benchmark's own batch function, in two processes with ports of their own."""
    script = Path(__file__).with_name("upstream_reference.py")
    shares = [names[number::2] for number in range(2)]
    with (folder / "reference.log").open("w") as log:
        running = [
            subprocess.Popen(
                [
                    sys.executable,
                    script,
                    root,
                    agent,
                    "0.8",
                    folder / f"{number}.json",
                    str(9000 + 2000 * number),
                    *share,
                ],
                stdout=log,
                stderr=log,
                cwd=Path(__file__).parents[3],
            )
            for number, share in enumerate(shares)
            if share
        ]
        ended = [process.wait() for process in running]
    assert not any(ended), (folder / "reference.log").read_text()[-2000:]
    found: dict[str, dict[str, Any]] = {}
    for number in range(len(running)):
        found |= json.loads((folder / f"{number}.json").read_text())
    return found


def test_services_as_processes_score_as_those_in_process(tasks: list[ClawTask], tmp_path: Path) -> None:
    offline = [task for task in tasks if not task.uses_judge and not task.live_web]
    chosen = sorted(offline, key=lambda task: len(task.file.services))[-2:]
    assert all(len(task.file.services) >= 3 for task in chosen)
    for services in ("process", "subprocess"):
        run_claweval(
            CHECKOUT,
            "diligent",
            tmp_path / services,
            tasks=selection(chosen, tmp_path),
            judge=parse_judge("none"),
            services=services,
        )
    inside, outside = played(tmp_path / "process"), played(tmp_path / "subprocess")
    assert {name: (dimensions(t), t.counts) for name, t in inside.items()} == {
        name: (dimensions(t), t.counts) for name, t in outside.items()
    }


@pytest.mark.parametrize("clock", ["upstream", "task"])
@pytest.mark.parametrize("name", ["T003zh", "T004"])
def test_at_the_tasks_own_time_its_calendar_has_its_days(
    name: str, clock: str, tasks: list[ClawTask], tmp_path: Path
) -> None:
    """The newer commit names a day for some of them by itself."""
    (task,) = select(tasks, name)
    has_a_day = bool(task.file.environment.mock_today)
    run_claweval(
        CHECKOUT, "explorer", tmp_path / "run", tasks=name, judge=parse_judge("stub:0.8"), clock=clock
    )
    (trial,) = played(tmp_path / "run").values()
    assert trial.score is not None, trial.reason
    events = [json.loads(line) for line in (tmp_path / "run" / "traces" / trial.episode).open()]
    (listed,) = (event for event in events if event.get("tool_name") == "calendar_list_events")
    assert listed["request_body"] == {"date": "2026-03-02"}
    assert bool(listed["response_body"]["events"]) is (clock == "task" or has_a_day)


@pytest.mark.parametrize("agent", AGENTS)
def test_the_env_protocol_scores_equal_actions_equally(
    agent: str, tasks: list[ClawTask], tmp_path: Path
) -> None:
    chosen = [task for task in tasks if not task.uses_judge and not task.live_web]
    assert sum(task.needs_sandbox for task in chosen) >= 5 and len(chosen) >= 25
    for protocol in ("upstream", "env"):
        run_claweval(
            CHECKOUT,
            agent,
            tmp_path / protocol,
            tasks=selection(chosen, tmp_path),
            judge=parse_judge("none"),
            sandbox="auto",
            protocol=protocol,
            workers=2,
        )
    theirs, ours = played(tmp_path / "upstream"), played(tmp_path / "env")
    different = {
        name: (dimensions(found), dimensions(ours[name]), ours[name].reason)
        for name, found in theirs.items()
        if dimensions(found) != dimensions(ours[name])
    }
    assert len(ours) == len(chosen) and not different
