"""Limits of a run: they end it cleanly, the same call goes on, and what runs is not waited for without end."""

from __future__ import annotations

import functools
import os
import signal
import threading
import time
from pathlib import Path
from typing import Any

import pytest
from rollout_fakes import FakeAgent, FakeEnv, FakeSource, SpendingAgent

from ise_gym.cli.seats import read_limits
from ise_gym.errors import UserError
from ise_gym.rollout.engine import Status
from ise_gym.rollout.limits import Limits
from ise_gym.rollout.run import run
from ise_gym.rollout.spec import RolloutSpec
from ise_gym.trajectory.store import TrajectoryStore, read_trajectories


def play(
    folder: Path, limits: Limits, source: FakeSource | None = None, agent: Any = SpendingAgent, **how: Any
) -> Status:
    (folder / "marks").mkdir(exist_ok=True, parents=True)
    spec = RolloutSpec(
        source or FakeSource(12), agent, functools.partial(FakeEnv, str(folder / "marks"), 0.05), slots=1
    )
    return run(spec, folder / "out", describe={"of": "limits"}, workers=1, limits=limits, **how)


@pytest.mark.parametrize(
    ("limits", "words"),
    [
        (Limits(tokens=250), "the limit of 250 tokens is reached"),
        (Limits(cost=0.6), "the limit of 0.6 in cost is reached"),
    ],
)
def test_what_is_spent_ends_the_run_and_the_same_call_plays_the_rest(
    tmp_path: Path, limits: Limits, words: str
) -> None:
    first = play(tmp_path, limits)
    # three reach the limit; one more was handed out before that was known, and one waits ahead
    assert words in first.stopped and 3 <= first.played <= 5
    assert first.missing == 12 - first.played and not first.interrupted and first.cut_off == 0
    rest = play(tmp_path, Limits())
    assert rest.already == first.played and rest.missing == 0 and rest.stopped == ""
    assert len(list(read_trajectories(tmp_path / "out"))) == 12


def test_a_limit_that_is_reached_with_the_last_episode_stops_nothing(tmp_path: Path) -> None:
    status = play(tmp_path, Limits(tokens=200), FakeSource(2))
    assert (status.played, status.missing, status.stopped) == (2, 0, "")


def test_time_ends_the_run(tmp_path: Path) -> None:
    status = play(tmp_path, Limits(hours=1e-9), agent=FakeAgent)
    assert status.stopped == "the limit of 1e-09 hours is reached" and status.missing == 12 - status.played


def test_what_hangs_is_cut_off_after_the_limit_of_draining_and_played_again(tmp_path: Path) -> None:
    source = FakeSource(6, {1: "hang once"})
    status = play(tmp_path, Limits(tokens=100, drain_s=0.5), source)
    assert (status.played, status.cut_off) == (1, 2) and "tokens is reached" in status.stopped
    assert len(TrajectoryStore(tmp_path / "out").failed_ids()) == 0  # cut off is no failure of anyone's
    rest = play(tmp_path, Limits(), FakeSource(6))
    assert (rest.already, rest.missing) == (1, 0)


def test_ctrl_c_does_not_wait_for_ever_either(tmp_path: Path) -> None:
    source = FakeSource(3, {0: "hang once"})
    seen = threading.Event()

    def strike(status: Status) -> None:
        if any((tmp_path / "marks").iterdir()) and not seen.is_set():  # the first episode hangs now
            seen.set()
            os.kill(os.getpid(), signal.SIGINT)

    began = time.monotonic()
    status = play(tmp_path, Limits(drain_s=0.5), source, on_progress=strike)
    assert status.interrupted and status.cut_off and status.missing == 3
    assert time.monotonic() - began < 300  # the episode would hang for an hour
    assert play(tmp_path, Limits(), FakeSource(3)).missing == 0


@pytest.mark.parametrize(
    "wrong", [{"tokens": 0}, {"cost": -1.0}, {"hours": float("inf")}, {"drain_s": float("nan")}]
)
def test_a_limit_is_a_number_above_zero(wrong: dict[str, Any]) -> None:
    with pytest.raises(UserError, match=f"a limit of {next(iter(wrong))}="):
        Limits(**wrong)


def test_a_limit_of_the_cost_needs_a_price() -> None:
    with pytest.raises(UserError, match="--max-cost needs prices"):
        read_limits(None, 1.0, None, 600.0, {"temperature": 0}, {})
    assert read_limits(None, 1.0, None, 0.0, {}, {"price_in": 2}) == Limits(cost=1.0)
