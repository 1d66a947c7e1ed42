"""The rules hide clocks, pids and random names, and nothing that stands in the data."""

from __future__ import annotations

import pytest

from ise_gym.replay.normalise import RULES, Window, masked

NOON = Window.of("2026-03-01T12:00:00Z", 90.0)


@pytest.mark.parametrize(
    "text",
    [
        "2026-03-01T12:00:30Z",
        "2026-03-01 12:01:05.123456",
        "2026-03-01T12:00:30+00:00",
        "Sun Mar  1 12:00:07 UTC 2026",
        "Sun Mar  1 12:00:07 2026",
        "Sun, 01 Mar 2026 12:00:07 GMT",
        "01/Mar/2026:12:00:07 +0000",
        "Mar  1 12:01",
        "2026-03-01",
        "20260301T120007Z",
        "20260301_120007",
        "20260301",
        "1772366430",
        "1772366430.25",
        "1772366430123",
        "12:00:59",
    ],
)
def test_now_is_masked_in_every_form(text: str) -> None:
    assert masked(f"a {text} b", NOON) == ("a <time> b", {"time"})  # type: ignore[comparison-overlap]


@pytest.mark.parametrize(
    "text",
    [
        "2026-03-01T11:00:30Z",
        "2025-03-01 12:01:05",
        "Sun Mar  1 15:00:07 UTC 2026",
        "Mar  1 13:30",
        "Jan  1  2024",
        "2026-02-28",
        "20260228",
        "1772360000",
        "11:00:59",
        "99:99:99",
        "2026-13-45",
        "20269999",
        "12345678",
        "4294967296",
        "total 12.5 kg, 30 seconds, 3s",
        "0xff",
        "/tmp/table.txt",
        "item 1234 Killed it",
        "1b4e28ba-2fa1-11d2-883f-0016d3cca427",
    ],
)
def test_data_is_left_as_it_is(text: str) -> None:
    assert masked(text, NOON) == (text, frozenset())


@pytest.mark.parametrize(
    ("first", "second", "rule"),
    [
        ("Ran 3 tests in 0.002s", "Ran 3 tests in 0.013s", "duration"),
        ("real\t0m0.004s", "real\t0m1.104s", "duration"),
        ("<f at 0x7f12a0c34d30>", "<f at 0x7fff00c34d30>", "address"),
        ("/tmp/tmp.x7sK2mQpZa", "/tmp/tmp.aaaaaaaaaa", "temporary name"),
        ("/tmp/tmpab_12xyz/log", "/tmp/tmpqwertyui/log", "temporary name"),
        ("[1] 41", "[1] 9", "process id"),
        ("started with pid 41", "started with pid 7", "process id"),
        ("bash: line 1:    12 Killed    sleep 9", "bash: line 1:     9 Killed    sleep 9", "process id"),
        (
            "3f2504e0-4f89-41d3-9a0c-0305e82c3301",
            "9b2504e0-4f89-41d3-8a0c-0305e82c3302",
            "random id",
        ),
    ],
)
def test_what_two_runs_print_differently_becomes_equal(first: str, second: str, rule: str) -> None:
    assert rule in RULES
    old, new = masked(first, NOON), masked(second, NOON)
    assert old == new and old[1] == {rule}


def test_without_timings_no_time_is_now() -> None:
    assert masked("2026-03-01 12:00:00", Window.of("", 0.0))[0] == "2026-03-01 12:00:00"


def test_a_window_over_new_year_knows_both_years() -> None:
    window = Window.of("2025-12-31T23:59:50Z", 30.0)
    assert masked("Dec 31 23:59, Jan  1 00:00", window)[0] == "<time>, <time>"
