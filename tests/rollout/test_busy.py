"""Many episodes at once keep a slow endpoint busy."""

from __future__ import annotations

import functools
import sys
from pathlib import Path

from rollout_fakes import FakeEnv, FakeSource

from ise_gym.rollout.run import run
from ise_gym.rollout.spec import RolloutSpec, agent_factory

sys.path.insert(0, str(Path(__file__).parents[2] / "benchmarks"))
from busy_endpoint import BusyEndpoint


def test_a_slow_endpoint_is_kept_busy_by_all_slots(tmp_path: Path) -> None:
    seats = 24
    with BusyEndpoint(latency=0.5, seats=seats) as endpoint:
        spec = RolloutSpec(
            FakeSource(3 * seats),
            agent_factory("openai:stand-in", base_url=endpoint.url, api_key="none"),
            functools.partial(FakeEnv, str(tmp_path)),
            slots=seats,
        )
        status = run(spec, tmp_path / "out", describe={}, workers=1)
    assert status.passed == 3 * seats and status.tokens > 0
    assert endpoint.peak() == seats, endpoint.report()
    # on a quiet machine it is above 0.9 (see benchmarks/rollout.py --latency); one request at a time would be 0.04
    assert endpoint.busy(skip=0.2) > 0.12, endpoint.report()
