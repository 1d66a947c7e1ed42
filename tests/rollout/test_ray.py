"""The Ray engine on a local cluster: the same records, and a killed worker loses nothing."""

from __future__ import annotations

import functools
import os
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from rollout_fakes import FakeAgent, FakeEnv, FakeSource, agent_that_cannot_start

from ise_gym.errors import UserError
from ise_gym.rollout import engine
from ise_gym.rollout.plan import Plan
from ise_gym.trajectory.record import content_hash
from ise_gym.trajectory.store import read_trajectories

ray = pytest.importorskip("ray", reason="NOT TESTED: the Ray engine, ray is not installed")
pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    patch = pytest.MonkeyPatch()
    patch.setenv("RAY_AUTH_MODE", "disabled")
    patch.setenv("RAY_USAGE_STATS_ENABLED", "0")
    ray.init(
        num_cpus=2,
        include_dashboard=False,
        log_to_driver=False,
        runtime_env={"env_vars": {"PYTHONPATH": os.pathsep.join(sys.path)}},
        object_store_memory=100_000_000,
        _temp_dir=str(tmp_path_factory.mktemp("r")),
    )
    yield ray
    ray.shutdown()
    patch.undo()


def plan(tmp_path: Path, source: FakeSource, agent: Any = FakeAgent, **kwargs: Any) -> Plan:
    (tmp_path / "marks").mkdir(exist_ok=True)
    return Plan(source, agent, functools.partial(FakeEnv, str(tmp_path / "marks")), **kwargs)


def hashes(folder: Path) -> dict[str, str]:
    found = [(t.episode_id, content_hash(t)) for t in read_trajectories(folder)]
    assert len(found) == len(dict(found))
    return dict(found)


def test_ray_and_local_processes_record_the_same(tmp_path: Path, cluster: Any) -> None:
    from ise_gym.rollout.ray_pool import RayPool

    source = FakeSource(10)
    local = engine.run(plan(tmp_path, source), tmp_path / "local", describe={}, workers=2)
    remote = engine.run(
        plan(tmp_path, source, slots=2), tmp_path / "ray", describe={}, workers=2, make_pool=RayPool
    )
    assert local.passed == remote.passed == 10
    assert hashes(tmp_path / "local") == hashes(tmp_path / "ray")


def test_a_killed_actor_loses_nothing_and_mistakes_are_told(tmp_path: Path, cluster: Any) -> None:
    from ise_gym.rollout.ray_pool import RayPool

    source = FakeSource(8, {2: "kill worker", 4: "broken once", 5: "always broken"})
    status = engine.run(plan(tmp_path, source), tmp_path / "a", describe={}, workers=2, make_pool=RayPool)
    assert status.outcomes == {"passed": 7, "infrastructure_error": 1} and status.crashes == 1
    assert len(hashes(tmp_path / "a")) == 7
    with pytest.raises(UserError, match="model 'x' is not there"):
        engine.run(
            plan(tmp_path, source, agent_that_cannot_start),
            tmp_path / "b",
            describe={},
            workers=1,
            make_pool=RayPool,
        )
    bad = FakeSource(3, {1: "user error"})
    with pytest.raises(UserError, match="line 2: no such task"):
        engine.run(plan(tmp_path, bad), tmp_path / "c", describe={}, workers=1, make_pool=RayPool)
