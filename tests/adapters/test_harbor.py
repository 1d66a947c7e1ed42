"""Harbor: its runner plays our tasks in our sandbox, with our agents and with its own."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from peer_packages import with_extra

from ise_gym.adapters.harbor_tasks import read_task, write_tasks
from ise_gym.adapters.seat import Tasks
from ise_gym.errors import UserError
from ise_gym.evaluation.suite import scenario_sha256


def test_a_task_folder_gives_back_its_scenario_and_hides_what_is_expected(tmp_path: Path) -> None:
    scenario = Tasks("suite:demo-easy").scenario(5)
    for kind in ("live", "steps"):
        (folder,) = write_tasks([scenario], tmp_path / kind, kind)
        assert scenario_sha256(read_task(folder)) == scenario_sha256(scenario)
        told = [
            p
            for p in folder.rglob("*")
            if p.is_file() and "tests" not in p.parts and "solution" not in p.parts
        ]
        names = [goal.name for request in scenario.requests for goal in request.subgoals]
        assert not [p for p in told if any(name in p.read_text() for name in names)]
    with pytest.raises(UserError, match="exists already"):
        write_tasks([scenario], tmp_path / "live")
    with pytest.raises(UserError, match="no task that"):
        read_task(tmp_path)


@pytest.mark.peers
def test_harbor_gives_the_scores_of_our_own_runs(tmp_path: Path) -> None:
    lines = with_extra("harbor", "3.12")("harbor_run.py", tmp_path, timeout=900).splitlines()
    rows = [json.loads(line) for line in lines]
    live = [row for row in rows if row[0] == "live"]
    assert len(live) == 8
    for _, task, reward, own_score, same_goals in live:
        assert reward == own_score and same_goals, task
    assert len({row[2] for row in live}) > 1, "all rewards are equal: nothing is compared"
    assert ["records", True] in rows
    solved = {row[1]: row[2] for row in rows if row[0] == "oracle"}
    idle = {row[1]: row[2] for row in rows if row[0] == "nop"}
    assert solved and set(solved) == set(idle)
    assert set(solved.values()) == {1.0} and set(idle.values()) == {0.0}
