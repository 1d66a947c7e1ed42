"""Who waits for a turn does not play, and a process plays while anything in it does."""

from __future__ import annotations

from ise_gym.waiting import Clock, keep, waiting


def test_a_clock_runs_while_anything_is_played_that_does_not_wait() -> None:
    told: list[bool] = []
    clock = Clock(told.append)
    with clock.playing():
        with clock.playing(), clock.waiting():
            assert told == [True]
            with clock.waiting():
                assert told == [True, False]
            assert told == [True, False, True]
        assert told == [True, False, True]
    assert told == [True, False, True, False]


def test_waiting_tells_the_clock_of_this_process_and_needs_none() -> None:
    told: list[bool] = []
    clock = Clock(told.append)
    with waiting():
        pass
    keep(clock)
    try:
        with clock.playing(), waiting():
            assert told == [True, False]
    finally:
        keep(None)
    assert told == [True, False, True, False]
