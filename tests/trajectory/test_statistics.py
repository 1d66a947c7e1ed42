from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console
from trajectory_samples import delegating, trajectory

from ise_gym.messages import assistant, tool_call, tool_result, user
from ise_gym.trajectory import tables
from ise_gym.trajectory.record import Step
from ise_gym.trajectory.stats import Distribution, Recoveries, Stats, recoveries, store_stats
from ise_gym.trajectory.store import TrajectoryStore


def test_the_shape_is_counted_as_the_paper_does(tmp_path: Path) -> None:
    with TrajectoryStore(tmp_path) as store:
        store.append(trajectory(1))
        store.append(trajectory(2, "failed"))
        store.append(trajectory(3, "infrastructure_error"))
    summary = store_stats(tmp_path)
    assert summary["episodes"] == 2
    assert summary["outcomes"] == {"failed": 1, "passed": 1}
    assert summary["infrastructure_errors"] == {"workspace": 1}
    means = {name: d["mean"] for name, d in summary["shape"].items()}
    assert means == {"user_turns": 2, "messages": 10, "tool_calls": 3, "distinct_tools": 2}
    assert summary["share_6_to_10_user_turns"] == 0
    assert summary["tools"]["exec"] == {"trajectories": 2, "share": 1.0, "calls": 4, "failed": 2}
    assert summary["tool_pairs"] == [["exec", "read", 2]]
    assert summary["tool_messages_with_exit_code"] == 4
    assert summary["subgoals"] == {"total": 4, "held": 3}
    assert summary["domains"] == {"file-io": {"episodes": 2, "passed": 1}}
    assert summary["guard"] == {"detector:voice": 2, "drifted": 2, "turns": 4}
    assert summary["failure_recovery"]["recovered_calls"] == 2
    assert summary["failure_recovery"]["episodes_with_verified_recovery"] == 2


def episode(*parts: Any, rewards: dict[int, float] | None = None) -> Recoveries:
    messages: list[Any] = []
    for part in parts:
        if isinstance(part, str):
            messages.append(user(part))
            continue
        calls = [tool_call(tool, "{}", f"c{len(messages)}{n}") for n, (tool, _) in enumerate(part)]
        messages.append(assistant("", calls))
        for call, (tool, ok) in zip(calls, part, strict=True):
            messages.append(tool_result(call["id"], tool, "", success=ok))
    steps = [Step(message=at, reward=r) for at, r in (rewards or {}).items()]
    return recoveries(trajectory(0, messages=messages, steps=steps))


def test_what_was_delegated_is_counted_apart() -> None:
    stats = Stats()
    stats.add(delegating(1))
    stats.add(trajectory(2))
    summary = stats.summary()
    assert summary["shape"]["tool_calls"]["mean"] == (2 + 3) / 2
    assert summary["tools"]["sessions_spawn"] == {"trajectories": 1, "share": 0.5, "calls": 2, "failed": 1}
    assert summary["delegated"] == {
        "episodes": 1,
        "sessions": 2,
        "cut": 1,
        "messages": 4 + 2,
        "tool_calls": 1,
        "failed_calls": 1,
        "tools": {"exec": 1},
    }


def test_a_recovery_is_a_later_success_of_the_same_tool_in_the_same_turn() -> None:
    bad, good = [("exec", False)], [("exec", True)]
    assert episode("a", good) == Recoveries(0, 0, 0)
    assert episode("a", bad, good) == Recoveries(1, 1, 0)
    assert episode("a", good, bad) == Recoveries(1, 0, 0)
    assert episode("a", bad, "b", good) == Recoveries(1, 0, 0)
    assert episode("a", bad, [("read", True)]) == Recoveries(1, 0, 0)
    assert episode("a", bad, bad, good) == Recoveries(2, 2, 0)
    assert episode("a", [("exec", False), ("exec", True)]) == Recoveries(1, 1, 0)


def test_a_verified_recovery_earns_a_reward_after_the_success() -> None:
    bad, good = [("exec", False)], [("exec", True)]
    # messages: 0 user, 1 assistant, 2 tool, 3 assistant, 4 tool, 5 assistant without calls, 6 user
    turn: list[Any] = ["a", bad, good, []]
    assert episode(*turn, rewards={5: 0.5}) == Recoveries(1, 1, 1)
    assert episode(*turn, rewards={3: 0.5}) == Recoveries(1, 1, 1)
    assert episode(*turn, rewards={1: 0.5}) == Recoveries(1, 1, 0)
    assert episode(*turn, "b", [], rewards={7: 0.5}) == Recoveries(1, 1, 0)


def test_distribution_is_exact() -> None:
    d = Distribution()
    for value in [3, 1, 2, 2, 10]:
        d.add(value)
    s = d.summary()
    assert (s["mean"], s["median"], s["p90"], s["min"], s["max"]) == (3.6, 2, 10, 1, 10)
    assert s["histogram"] == {"1": 1, "2": 2, "3": 1, "10": 1}
    assert Distribution().summary()["mean"] is None


def test_content_hash_of_a_corpus_ignores_order_and_timings() -> None:
    def digest(numbers: list[int], seconds: float) -> str:
        stats = Stats()
        for n in numbers:
            t = trajectory(n)
            t.timings.total_s = seconds
            stats.add(t)
        return str(stats.summary()["content_sha256"])

    assert digest([1, 2, 3], 1.0) == digest([3, 1, 2], 2.0)
    assert digest([1, 2, 3], 1.0) != digest([1, 2, 4], 1.0)
    assert digest([1, 1, 2], 1.0) != digest([2], 1.0)


@pytest.mark.parametrize("numbers", [[], [1, 2]])
def test_tables_print_even_without_episodes(numbers: list[int]) -> None:
    stats = Stats()
    for n in numbers:
        stats.add(trajectory(n))
    out = io.StringIO()
    console = Console(file=out, width=120)
    summary = stats.summary()
    console.print(tables.shape_table(summary))
    console.print(tables.outcome_table(summary))
    console.print(tables.tool_table(summary))
    console.print(tables.group_table(summary, "tasks"))
    console.print(tables.guard_table(summary))
    text = out.getvalue()
    assert "68.24" in text and "91.1 %" in text and "23,132" in text
    assert ("10.00" in text) is bool(numbers)
