"""The day on which a task plays: told to its services in process and as processes, and to the agent of the env protocol."""

from __future__ import annotations

import json
import os
import shutil
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from ise_gym.errors import UserError
from ise_gym.evaluation.claweval.models.judge import JudgeSpec, make_client, parse_judge
from ise_gym.evaluation.claweval.runner import playable, run_claweval
from ise_gym.evaluation.claweval.services.clock import shift_of
from ise_gym.evaluation.claweval.tasks import load_tasks, select
from ise_gym.evaluation.run import load_run

SUITE = Path(__file__).parents[1] / "fixture_suite"
NONE = JudgeSpec("none")
TASK = "T901_file_a_note"


def suite_with(folder: Path, environment: str) -> Path:
    shutil.copytree(SUITE, folder / "suite")
    file = folder / "suite" / "tasks" / TASK / "task.yaml"
    file.write_text(file.read_text().replace("environment: {", "environment: {" + environment))
    return folder / "suite"


def events(run: Path) -> list[dict[str, Any]]:
    (trial,) = load_run(run).trials.values()
    return [json.loads(line) for line in (run / "traces" / trial.episode).open()]


@pytest.mark.parametrize("services", ["process", "subprocess"])
@pytest.mark.parametrize("protocol", ["upstream", "env"])
def test_services_are_told_the_day(tmp_path: Path, protocol: str, services: str) -> None:
    suite = suite_with(tmp_path, "mock_today: '2026-03-02', ")
    run_claweval(
        suite, "explorer", tmp_path / "run", tasks="T901", judge=NONE, protocol=protocol, services=services
    )
    listed = next(e for e in events(tmp_path / "run") if e.get("tool_name") == "pad_list")
    assert listed["response_body"]["today"] == "2026-03-02"
    assert "MOCK_TODAY" not in os.environ
    run_claweval(
        SUITE, "explorer", tmp_path / "old", tasks="T901", judge=NONE, protocol=protocol, services=services
    )
    plain = next(e for e in events(tmp_path / "old") if e.get("tool_name") == "pad_list")
    assert "today" not in plain["response_body"]


def test_the_agent_of_the_env_protocol_is_told_the_day() -> None:
    from types import SimpleNamespace

    from ise_gym.evaluation.claweval.envplay import scenario_of

    def task(**environment: Any) -> Any:
        limits = SimpleNamespace(timeout_seconds=30, max_turns=5, **environment)
        return SimpleNamespace(
            task_id="T1", prompt=SimpleNamespace(text="x"), environment=limits, user_agent=None
        )

    told = scenario_of(task(mock_today="2026-03-02"), 0, (), None).system_prompt  # type: ignore[arg-type]
    assert told.endswith("\n\nCurrent date: 2026-03-02")
    for older in (task(), task(mock_today=None)):
        assert "Current date" not in scenario_of(older, 0, (), None).system_prompt  # type: ignore[arg-type]


def test_a_task_with_an_unknown_environment_is_left_out_by_name(tmp_path: Path) -> None:
    suite = suite_with(tmp_path, "mock_weather: rain, ")
    tasks = select(load_tasks(suite), "T901,T906")
    chosen, left_out = playable(tasks, NONE)
    assert [task.id[:4] for task in chosen] == ["T906"]
    assert left_out == {TASK: "its environment has keys that are not known here: mock_weather"}
    with pytest.raises(UserError, match="mock_weather"):
        run_claweval(suite, "explorer", tmp_path / "run", tasks="T901", judge=NONE)


def test_a_service_that_reads_its_own_default_file_is_brought_to_its_time_too(tmp_path: Path) -> None:
    """Two tasks name no file for their service: it holds the path itself."""
    file = tmp_path / "inbox.json"
    written = datetime(2026, 3, 2, 9, tzinfo=UTC)
    file.write_text(json.dumps([{"id": "1", "date": written.isoformat()}]))
    module = ModuleType("service")
    module.FIXTURES_PATH = file  # type: ignore[attr-defined]
    module._emails = [{"id": "1", "date": (written + timedelta(days=40)).isoformat()}]  # type: ignore[attr-defined]
    assert shift_of(module, {}, tmp_path / "elsewhere") == timedelta(days=40)
    module.FIXTURES_PATH = str(file)  # type: ignore[attr-defined]
    assert shift_of(module, {}, tmp_path) == timedelta(days=40)
    del module.FIXTURES_PATH
    assert shift_of(module, {}, tmp_path) == timedelta()


def test_a_judge_by_hash_hears_every_character() -> None:
    judge = make_client(parse_judge("stub:hash"))

    def score(text: str) -> float:
        said = judge.chat.completions.create(model="m", messages=[{"role": "user", "content": text}])
        return float(json.loads(said.choices[0].message.content)["score"])

    assert score("a prompt") == score("a prompt") and len({score(f"prompt {n}") for n in range(8)}) > 4
    with pytest.raises(UserError, match="or the word hash"):
        parse_judge("stub:hsah")
