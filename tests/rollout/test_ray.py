"""The Ray engine on a local cluster: the same records, and a killed worker loses nothing."""

from __future__ import annotations

import functools
import os
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from rollout_fakes import FakeAgent, FakeEnv, FakeSource, agent_that_cannot_start

from ise_gym.errors import UserError
from ise_gym.rollout.run import run
from ise_gym.rollout.spec import RolloutSpec, agent_factory, env_factory
from ise_gym.scenario import Scenario
from ise_gym.trajectory.record import content_hash
from ise_gym.trajectory.store import read_trajectories
from ise_gym.workspace import Workspace
from made_scenarios import make_scenario

ray = pytest.importorskip(
    "ray", reason="NOT TESTED: the Ray engine, ray is not installed (it has no wheel here?)"
)
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


def spec(tmp_path: Path, source: FakeSource, agent: Any = FakeAgent, **kwargs: Any) -> RolloutSpec:
    (tmp_path / "marks").mkdir(exist_ok=True)
    return RolloutSpec(source, agent, functools.partial(FakeEnv, str(tmp_path / "marks")), **kwargs)


def hashes(folder: Path) -> dict[str, str]:
    found = [(t.episode_id, content_hash(t)) for t in read_trajectories(folder)]
    assert len(found) == len(dict(found))
    return dict(found)


@dataclass(frozen=True)
class MadeSource:
    """Real scenarios, played in real boxes."""

    count: int
    name: str = "made"

    def ids(self) -> list[str]:
        return [f"made-{n}" for n in range(self.count)]

    def scenario(self, seed: int) -> Scenario:
        return make_scenario(id=f"made-{seed}", seed=seed)

    def __iter__(self) -> Iterator[Scenario]:
        return (self.scenario(n) for n in range(self.count))


def test_ray_and_local_processes_record_the_same(tmp_path: Path, cluster: Any, box: Workspace) -> None:
    from ise_gym.rollout.ray_pool import RayPool

    def played(folder: Path, **how: Any) -> dict[str, str]:
        spec = RolloutSpec(
            MadeSource(3), agent_factory("expert"), env_factory(backend="auto"), samples=2, slots=2
        )
        assert run(spec, folder, describe={}, workers=1, **how).passed == 6
        return hashes(folder)

    assert played(tmp_path / "ray", make_pool=RayPool) == played(tmp_path / "local")


def test_a_killed_actor_loses_nothing_and_mistakes_are_told(tmp_path: Path, cluster: Any) -> None:
    from ise_gym.rollout.ray_pool import RayPool

    source = FakeSource(8, {2: "kill worker", 4: "broken once", 5: "always broken"})
    status = run(spec(tmp_path, source), tmp_path / "a", describe={}, workers=2, make_pool=RayPool)
    assert status.outcomes == {"passed": 7, "infrastructure_error": 1} and status.crashes == 1
    assert len(hashes(tmp_path / "a")) == 7
    with pytest.raises(UserError, match="model 'x' is not there"):
        run(
            spec(tmp_path, source, agent_that_cannot_start),
            tmp_path / "b",
            describe={},
            workers=1,
            make_pool=RayPool,
        )
    bad = FakeSource(3, {1: "user error"})
    status = run(spec(tmp_path, bad), tmp_path / "c", describe={}, workers=1, make_pool=RayPool)
    assert status.outcomes == {"passed": 2, "infrastructure_error": 1}
