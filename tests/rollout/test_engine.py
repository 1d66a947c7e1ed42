from __future__ import annotations

import functools
import os
import signal
import subprocess
import sys
import textwrap
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from rollout_fakes import (
    FakeAgent,
    FakeBatchAgent,
    FakeEnv,
    FakeSource,
    agent_that_cannot_start,
    agent_that_dies,
)

from ise_gym.errors import UserError
from ise_gym.rollout.engine import Status
from ise_gym.rollout.progress import RolloutProgress, figures
from ise_gym.rollout.run import only_driver, run
from ise_gym.rollout.spec import AnyAgent, RolloutSpec
from ise_gym.trajectory.record import Trajectory, content_hash
from ise_gym.trajectory.store import TrajectoryStore, read_trajectories

RUN = {"agent": "fake", "source": "fake"}


def spec(
    tmp_path: Path,
    source: FakeSource,
    agent: Callable[[], AnyAgent] = FakeAgent,
    delay: float = 0.0,
    **kwargs: Any,
) -> RolloutSpec:
    marks = tmp_path / "marks"
    marks.mkdir(exist_ok=True)
    return RolloutSpec(source, agent, functools.partial(FakeEnv, str(marks), delay), **kwargs)


def hashes(folder: Path) -> dict[str, str]:
    found = [(t.episode_id, content_hash(t)) for t in read_trajectories(folder)]
    assert len(found) == len(dict(found)), "an episode was recorded twice"
    return dict(found)


def test_every_episode_once_and_independent_of_the_number_of_workers(tmp_path: Path) -> None:
    source = FakeSource(12)
    one = run(spec(tmp_path, source, samples=2), tmp_path / "one", describe=RUN, workers=1)
    many = run(spec(tmp_path, source, samples=2, slots=3), tmp_path / "two", describe=RUN, workers=2)
    assert (one.total, one.passed, one.missing) == (many.total, many.passed, many.missing) == (24, 24, 0)
    assert hashes(tmp_path / "one") == hashes(tmp_path / "two")
    assert len(hashes(tmp_path / "one")) == 24


def test_trouble_is_retried_and_what_stays_broken_is_kept_apart(tmp_path: Path) -> None:
    source = FakeSource(8, {1: "broken once", 2: "kill worker", 3: "always broken", 5: "bug"})
    status = run(spec(tmp_path, source), tmp_path / "out", describe=RUN, workers=2, retries=2)
    assert status.outcomes == {"passed": 6, "infrastructure_error": 2}
    assert status.failures == {"workspace": 1, "bug": 1}
    assert status.crashes == 1 and status.missing == 2
    kept = {t.scenario_id for t in read_trajectories(tmp_path / "out")}
    assert kept == {f"intent_{n}" for n in (0, 1, 2, 4, 6, 7)} and len(hashes(tmp_path / "out")) == 6
    broken = {t.scenario_id: t for t in read_trajectories(tmp_path / "out", failures=True)}
    assert broken.keys() == {"intent_3", "intent_5"}
    assert "ZeroDivisionError" in broken["intent_5"].metadata["detail"]


@pytest.mark.parametrize("trouble", ["bug", "kill worker always", "hang always"])
def test_whatever_broke_an_episode_its_record_says_who_asked_whom_for_what(
    tmp_path: Path, trouble: str
) -> None:
    def record_of(folder: str, trouble: str) -> Trajectory:
        source = FakeSource(1, {0: trouble})
        run(
            spec(tmp_path, source, stuck_after_s=2.0),
            tmp_path / folder,
            describe=RUN,
            workers=1,
            retries=0,
        )
        whole = [*read_trajectories(tmp_path / folder), *read_trajectories(tmp_path / folder, failures=True)]
        assert len(whole) == 1
        return whole[0]

    good, broken = record_of("good", ""), record_of("broken", trouble)
    assert (good.outcome, broken.outcome) == ("passed", "infrastructure_error")
    assert good.persona["name"] == "Ada" and good.agent["model"] == "none" and good.domains and good.tasks
    for name in (
        "episode_id",
        "persona",
        "domains",
        "tasks",
        "intent",
        "agent",
        "seed",
        "split",
        "complexity",
    ):
        assert getattr(broken, name) == getattr(good, name), name
    assert broken.metadata["trouble"] == trouble
    expected = {
        "bug": "bug: ZeroDivisionError: oh no",
        "kill worker always": "worker: the process died (killed by SIGKILL)",
        "hang always": "worker: the process died (stuck: no episode ended in 2 s)",
    }
    assert broken.reason == expected[trouble]


def test_what_ends_a_thread_ends_its_worker(tmp_path: Path) -> None:
    status = run(
        spec(tmp_path, FakeSource(3, {1: "exit"})), tmp_path / "out", describe=RUN, workers=1, retries=1
    )
    assert status.outcomes == {"passed": 2, "infrastructure_error": 1} and status.crashes == 2
    (broken,) = read_trajectories(tmp_path / "out", failures=True)
    assert broken.reason == "worker: the process died (exit code 5)"


def test_a_stuck_worker_is_replaced_and_loses_nothing(tmp_path: Path) -> None:
    source = FakeSource(5, {2: "hang once"})
    status = run(
        spec(tmp_path, source, stuck_after_s=2.0), tmp_path / "out", describe=RUN, workers=1, retries=5
    )
    assert status.crashes >= 1 and status.retries >= 1
    assert status.outcomes == {"passed": 5} and len(hashes(tmp_path / "out")) == 5


def test_a_second_run_plays_only_what_is_missing(tmp_path: Path) -> None:
    marks = tmp_path / "marks"
    marks.mkdir()
    out = tmp_path / "out"
    run(spec(tmp_path, FakeSource(6, {4: "always broken"})), out, describe=RUN, retries=0, workers=1)
    again = run(spec(tmp_path, FakeSource(6)), out, describe=RUN, workers=1, retry_failed=False)
    assert (again.already, again.played) == (6, 0)
    again = run(spec(tmp_path, FakeSource(6)), out, describe=RUN, workers=1)
    assert (again.already, again.played, again.missing) == (5, 1, 0)
    assert len(hashes(out)) == 6
    assert TrajectoryStore(out).failed_ids() == set()
    assert run(spec(tmp_path, FakeSource(6)), out, describe=RUN, workers=1).played == 0


def test_batch_agents_play_in_lockstep_slots(tmp_path: Path) -> None:
    status = run(
        spec(tmp_path, FakeSource(7), FakeBatchAgent, slots=3), tmp_path / "out", describe=RUN, workers=1
    )
    assert status.passed == 7 and len(hashes(tmp_path / "out")) == 7


def test_a_dead_endpoint_ends_the_run_and_it_can_be_resumed(tmp_path: Path) -> None:
    source = FakeSource(30, dict.fromkeys(range(10, 30), "always broken"))
    with pytest.raises(UserError, match=r"5 episodes in a row.*the sandbox died.*again to resume"):
        run(spec(tmp_path, source), tmp_path / "out", describe=RUN, workers=1, retries=0, give_up_after=5)
    status = run(spec(tmp_path, FakeSource(30)), tmp_path / "out", describe=RUN, workers=2)
    assert status.already == 10 and status.missing == 0 and len(hashes(tmp_path / "out")) == 30


@pytest.mark.parametrize(
    ("agent", "source", "error", "words"),
    [
        (agent_that_cannot_start, FakeSource(3), UserError, "model 'x' is not there"),
        (agent_that_dies, FakeSource(3), RuntimeError, "died while starting.*exit code 7"),
    ],
)
def test_what_can_not_be_played_says_so(
    tmp_path: Path, agent: Any, source: FakeSource, error: type[Exception], words: str
) -> None:
    with pytest.raises(error, match=words):
        run(spec(tmp_path, source, agent), tmp_path / "out", describe=RUN, workers=1)


@pytest.mark.parametrize("agent", [FakeAgent, FakeBatchAgent])
@pytest.mark.parametrize(
    ("trouble", "reason"),
    [
        ("user error", "scenario: UserError: intents.jsonl, line 2: no such task"),
        ("no scenario", "scenario: KeyError: 'template 1'"),
    ],
)
def test_a_scenario_that_its_source_cannot_give_costs_one_episode(
    tmp_path: Path, agent: Any, trouble: str, reason: str
) -> None:
    status = run(
        spec(tmp_path, FakeSource(4, {1: trouble}), agent), tmp_path / "out", describe=RUN, workers=2
    )
    assert status.outcomes == {"passed": 3, "infrastructure_error": 1} and status.crashes == 0
    assert status.failures == {"scenario": 1} and status.retries == 0 and status.missing == 1
    assert "scenario failures 1" in figures(status)
    (broken,) = read_trajectories(tmp_path / "out", failures=True)
    assert (broken.scenario_id, broken.reason) == ("intent_1", reason)
    assert "Traceback" in broken.metadata["detail"] and not broken.scenario
    mended = run(spec(tmp_path, FakeSource(4), agent), tmp_path / "out", describe=RUN, workers=1)
    assert mended.outcomes == {"passed": 1} and not mended.missing


class SizedSource(FakeSource):
    """A source that can't list its ids without building its scenarios."""

    ids = None  # type: ignore[assignment]

    def __len__(self) -> int:
        return self.count


def test_a_source_that_lists_no_ids_may_lack_a_scenario_too(tmp_path: Path) -> None:
    source = SizedSource(3, {1: "no scenario"})
    status = run(spec(tmp_path, source), tmp_path / "out", describe=RUN, workers=1)
    assert status.outcomes == {"passed": 2, "infrastructure_error": 1}
    (broken,) = read_trajectories(tmp_path / "out", failures=True)
    assert broken.scenario_id == "fake-1"


def test_when_no_scenario_can_be_had_the_run_ends_and_says_why(tmp_path: Path) -> None:
    source = FakeSource(9, dict.fromkeys(range(9), "no scenario"))
    with pytest.raises(UserError, match=r"3 episodes in a row .* KeyError: 'template"):
        run(spec(tmp_path, source), tmp_path / "out", describe=RUN, workers=1, give_up_after=3)


def test_waiting_for_a_turn_is_not_being_stuck(tmp_path: Path) -> None:
    source = FakeSource(2, {0: "wait"})
    status = run(spec(tmp_path, source, stuck_after_s=2.0), tmp_path / "out", describe=RUN, workers=1)
    assert status.outcomes == {"passed": 2} and status.crashes == 0


def test_another_run_or_another_driver_in_the_folder_is_refused(tmp_path: Path) -> None:
    run(spec(tmp_path, FakeSource(1)), tmp_path / "out", describe=RUN, workers=1)
    with pytest.raises(UserError, match="agent was 'fake', now 'other'"):
        run(spec(tmp_path, FakeSource(1)), tmp_path / "out", describe={**RUN, "agent": "other"})
    with (
        TrajectoryStore(tmp_path / "out") as store,
        only_driver(store),
        pytest.raises(UserError, match="another rollout"),
    ):
        run(spec(tmp_path, FakeSource(1)), tmp_path / "out", describe=RUN)


DRIVER = """
    import functools, sys
    sys.path.insert(0, {here!r})
    from rollout_fakes import FakeAgent, FakeEnv, FakeSource
    from ise_gym.rollout.run import run
    from ise_gym.rollout.spec import RolloutSpec
    if __name__ == "__main__":
        spec = RolloutSpec(FakeSource({count}), FakeAgent, functools.partial(FakeEnv, {marks!r}, 0.02), slots=2)
        def show(status):
            print(status.played, flush=True)
        status = run(spec, {out!r}, describe={run!r}, workers=2, on_progress=show)
        print("interrupted" if status.interrupted else "complete", status.missing, flush=True)
"""


def start_driver(tmp_path: Path, count: int) -> subprocess.Popen[str]:
    (tmp_path / "marks").mkdir(exist_ok=True)
    script = tmp_path / "drive.py"
    here = str(Path(__file__).parent)
    text = DRIVER.format(
        here=here, count=count, marks=str(tmp_path / "marks"), out=str(tmp_path / "out"), run=RUN
    )
    script.write_text(textwrap.dedent(text))
    return subprocess.Popen(
        [sys.executable, str(script)],
        stdout=subprocess.PIPE,
        text=True,
        start_new_session=True,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
    )


def wait_for_episodes(driver: subprocess.Popen[str], count: int) -> None:
    assert driver.stdout
    for line in driver.stdout:
        if int(line) >= count:
            return
    raise AssertionError("the driver ended early")


def test_interrupt_drains_and_kill_loses_nothing(tmp_path: Path) -> None:
    count = 150
    driver = start_driver(tmp_path, count)
    wait_for_episodes(driver, 5)
    os.killpg(driver.pid, signal.SIGINT)  # as the terminal does: the whole group
    out, _ = driver.communicate(timeout=30)
    assert driver.returncode == 0 and out.splitlines()[-1].startswith("interrupted")
    drained = hashes(tmp_path / "out")
    assert 5 <= len(drained) < count
    assert int(out.split()[-1]) == count - len(drained)

    driver = start_driver(tmp_path, count)
    wait_for_episodes(driver, 5)
    driver.kill()
    driver.communicate(timeout=30)
    deadline = time.monotonic() + 20
    while _group_alive(driver.pid) and time.monotonic() < deadline:
        time.sleep(0.05)
    assert not _group_alive(driver.pid), "workers outlived their driver"
    shard = next((tmp_path / "out" / "shards").glob("*.jsonl"))
    with shard.open("ab") as file:  # and a line was just being written
        file.write(b'{"schema_version":1,"episode_id":"intent_149-')

    source = FakeSource(count)
    status = run(spec(tmp_path, source, slots=2), tmp_path / "out", describe=RUN, workers=2)
    assert status.torn == 1 and status.already >= len(drained) + 5 and status.missing == 0
    found = hashes(tmp_path / "out")
    assert len(found) == count and drained.items() <= found.items()


def _group_alive(pgid: int) -> bool:
    try:
        os.killpg(pgid, 0)
    except ProcessLookupError:
        return False
    return True


def test_progress_shows_figures_and_logs_without_a_terminal(capsys: pytest.CaptureFixture[str]) -> None:
    status = Status(
        total=10,
        outcomes={"passed": 3, "failed": 1, "infrastructure_error": 1},
        failures={"agent": 1},
        user_turns=40,
        guard_hits=2,
        guarded_turns=40,
        fallbacks=3,
        false_claims=5,
        tokens=1500,
        cost=2.5,
        retries=2,
        crashes=1,
        seconds=10,
    )
    text = figures(status)
    for words in (
        "1,800/h",
        "pass 75%",
        "refused 2/40 turns",
        "script 8%!",
        "false claims 5",
        "1,500 tokens",
        "cost 2.50",
        "agent failures 1",
        "ETA 0:10",
    ):
        assert words in text
    with RolloutProgress() as progress:
        progress(status)
        assert capsys.readouterr().err == ""  # not yet time for a line
        progress._logged -= 60
        progress(status)
    assert "rollout 5/10" in capsys.readouterr().err
