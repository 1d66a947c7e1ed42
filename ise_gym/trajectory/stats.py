"""Statistics of many trajectories, read one at a time: the figures of the paper, and what it left out.

What each figure counts is defined here and repeated in ``docs/trajectories.md``; figures that are set beside
ISETrace's are counted the way ISETrace's are (the system message is not a message).
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import combinations
from pathlib import Path
from typing import Any

from ise_gym.foreign.values import Json
from ise_gym.statistics import wilson
from ise_gym.trajectory.drift import DriftStats
from ise_gym.trajectory.lines.index import episode_of
from ise_gym.trajectory.record import Trajectory, content_hash
from ise_gym.trajectory.scan.parts import Part, parts_of, records_of
from ise_gym.trajectory.scan.workers import in_parts
from ise_gym.trajectory.shards import shard_paths
from ise_gym.trajectory.store import parse_line, raw_records, read_trajectories, recorded_ids
from ise_gym.trajectory.text.variety import VarietyStats
from ise_gym.trajectory.usage import UsageStats
from ise_gym.trajectory.wellformed import whole

ISETRACE: Mapping[str, float] = {
    "episodes": 23_132,
    "user_turns": 8.12,
    "messages": 68.24,
    "tool_calls": 29.26,
    "distinct_tools": 4.69,
    "share_6_to_10": 0.911,
    "max_user_turns": 23,
    "max_messages": 565,
}
"""The released corpus' figures. Source: arXiv 2606.11520 (means a trajectory)."""

UNVERIFIED = ("unverified", "judged_passed", "judged_failed")
"""Outcomes that no check decided: the pass rate is over all others."""
VERIFIED = frozenset({"passed", "failed", "truncated"})
"""Outcomes that checks decided."""

SHAPE = ("user_turns", "messages", "tool_calls", "distinct_tools")
DELEGATED = ("episodes", "sessions", "cut", "messages", "tool_calls", "failed_calls")
PAIRS_SHOWN = 20


@dataclass(frozen=True)
class Recoveries:
    """Failed calls of one episode and what became of them, see `recoveries`."""

    failed: int
    recovered: int
    verified: int


@dataclass
class _Turn:
    """The agent's work between two user messages, which is work on one goal."""

    calls: list[tuple[str, bool]] = field(default_factory=list)  # (tool, succeeded) in order
    progress: list[int] = field(default_factory=list)  # len(calls) at each step that earned a reward


def recoveries(trajectory: Trajectory) -> Recoveries:
    """Count failed calls that were followed by a success on the same goal.

    A goal is what one user message asks for, so it lasts until the next user message. A call *failed* when its
    tool message has ``success`` false. The failure is *recovered* when a later call of the same tool
    succeeds within the goal, and *verified* when, besides, the agent earned a reward after that
    success and within the goal: a sub-goal was checked and holds. Records without rewards
    (imported ones) have no verified recoveries.
    """
    failed = recovered = verified = 0
    for turn in _turns(trajectory):
        for position, (tool, ok) in enumerate(turn.calls):
            if ok:
                continue
            failed += 1
            later = [n for n, (t, good) in enumerate(turn.calls) if n > position and t == tool and good]
            if later:
                recovered += 1
                verified += any(done > later[0] for done in turn.progress)
    return Recoveries(failed, recovered, verified)


def _turns(trajectory: Trajectory) -> Iterator[_Turn]:
    rewards = {step.message: step.reward for step in trajectory.steps}
    turn, names = _Turn(), {}
    for position, message in enumerate(trajectory.messages):
        match message["role"]:
            case "user":
                yield turn
                turn = _Turn()
            case "assistant":
                for call in message.get("tool_calls") or ():
                    names[call["id"]] = call["function"]["name"]
                if rewards.get(position, 0.0) > 0:
                    answers = len(
                        message.get("tool_calls") or ()
                    )  # the step's own calls come after its message
                    turn.progress.append(len(turn.calls) + answers)
            case "tool":
                name = message.get("name") or names.get(message.get("tool_call_id"), "")
                turn.calls.append((name, message.get("success") is not False))
    yield turn


class Distribution:
    """Counts of small integers: exact mean, quantiles and histogram in little memory."""

    def __init__(self) -> None:
        self.counts: Counter[int] = Counter()

    def add(self, value: int) -> None:
        """Count one value."""
        self.counts[value] += 1

    def summary(self) -> dict[str, Any]:
        """Return mean, standard deviation, quantiles, extremes and the histogram (value → count)."""
        total = self.counts.total()
        if not total:
            return {
                "mean": None,
                "sd": None,
                "min": None,
                "median": None,
                "p90": None,
                "max": None,
                "histogram": {},
            }
        mean = sum(v * n for v, n in self.counts.items()) / total
        variance = sum(n * (v - mean) ** 2 for v, n in self.counts.items()) / max(total - 1, 1)
        return {
            "mean": mean,
            "sd": math.sqrt(variance),
            "min": min(self.counts),
            "median": self._quantile(0.5),
            "p90": self._quantile(0.9),
            "max": max(self.counts),
            "histogram": {str(v): self.counts[v] for v in sorted(self.counts)},
        }

    def _quantile(self, q: float) -> int:
        """Smallest value that at least the fraction ``q`` of all values doesn't exceed."""
        need, seen = q * self.counts.total(), 0
        for value in sorted(self.counts):
            seen += self.counts[value]
            if seen >= need:
                return value
        return max(self.counts)


class Stats:
    """Streaming statistics: `add` each trajectory, then read `summary`.

    Memory grows with the number of different tools, tasks, values and sentences (eight bytes each), not with that of
    episodes.
    """

    def __init__(self) -> None:
        self.episodes = 0
        self._outcomes: Counter[str] = Counter()
        self._shape = {name: Distribution() for name in SHAPE}
        self._tool_use: Counter[str] = Counter()
        self._tool_calls: Counter[str] = Counter()
        self._tool_failures: Counter[str] = Counter()
        self._pairs: Counter[tuple[str, str]] = Counter()
        self._groups: dict[str, dict[str, Counter[str]]] = {"domains": {}, "tasks": {}, "complexity": {}}
        self._recovery: Counter[str] = Counter()
        self._exit_codes = 0
        self._delegated: Counter[str] = Counter()
        self._delegated_tools: Counter[str] = Counter()
        self._subgoals: Counter[bool] = Counter()
        self._guard: Counter[str] = Counter()
        self._drift = DriftStats()
        self._broken: Counter[str] = Counter()
        self._seconds: Counter[str] = Counter()
        self._usage = UsageStats()
        self._variety = VarietyStats()
        self._score = 0.0
        self._scored = 0
        self._digest = 0

    def add(self, trajectory: Trajectory) -> None:
        """Count one episode; infrastructure failures are counted apart from everything else."""
        self._usage.add(trajectory)
        if trajectory.outcome == "infrastructure_error":
            self._broken[trajectory.reason.partition(":")[0] or "unknown"] += 1
            return
        self.episodes += 1
        self._digest = (self._digest + int(content_hash(trajectory), 16)) % (1 << 256)
        self._outcomes[trajectory.outcome] += 1
        if trajectory.score is not None:
            self._scored += 1
            self._score += trajectory.score
        self._subgoals.update(trajectory.subgoals.values())
        self._count_shape(trajectory)
        self._count_delegated(trajectory)
        self._count_recoveries(recoveries(trajectory))
        self._group("domains", trajectory.domains, trajectory.outcome)
        self._group("tasks", trajectory.tasks, trajectory.outcome)
        self._group("complexity", [trajectory.complexity or "unknown"], trajectory.outcome)
        self._drift.add(trajectory)
        self._variety.add(trajectory)
        self._guard.update(_numbers(trajectory.user.get("guard")))
        for part in ("total_s", "agent_s", "tools_s", "user_s", "checks_s", "reset_s"):
            self._seconds[part] += getattr(trajectory.timings, part)

    def merge(self, other: Stats) -> None:
        """Count what another one counted, as of another part of a store."""
        self.episodes += other.episodes
        self._score += other._score
        self._scored += other._scored
        self._digest = (self._digest + other._digest) % (1 << 256)
        for mine, theirs in zip(self._counters(), other._counters(), strict=True):
            mine.update(theirs)
        for name, distribution in self._shape.items():
            distribution.counts.update(other._shape[name].counts)
        for kind, groups in other._groups.items():
            for name, outcomes in groups.items():
                self._groups[kind].setdefault(name, Counter()).update(outcomes)
        self._exit_codes += other._exit_codes
        self._drift.merge(other._drift)
        self._usage.merge(other._usage)
        self._variety.merge(other._variety)

    def _counters(self) -> tuple[Counter[Any], ...]:
        return (
            self._outcomes,
            self._tool_use,
            self._tool_calls,
            self._tool_failures,
            self._pairs,
            self._recovery,
            self._delegated,
            self._delegated_tools,
            self._subgoals,
            self._guard,
            self._broken,
            self._seconds,
        )

    def _count_shape(self, trajectory: Trajectory) -> None:
        roles = Counter(m["role"] for m in trajectory.messages)
        calls = tool_calls_made(trajectory)
        used = sorted({tool for tool, _ in calls})
        figures = {
            "user_turns": roles["user"],
            "messages": len(trajectory.messages) - roles["system"],
            "tool_calls": len(calls),
            "distinct_tools": len(used),
        }
        for name, value in figures.items():
            self._shape[name].add(value)
        self._tool_use.update(used)
        self._tool_calls.update(tool for tool, _ in calls)
        self._tool_failures.update(tool for tool, ok in calls if not ok)
        self._pairs.update(combinations(used, 2))
        self._exit_codes += sum(1 for m in trajectory.messages if m.get("exit_code") is not None)

    def _count_delegated(self, trajectory: Trajectory) -> None:
        """Count sub-sessions apart: the shape is that of the user's conversation, as in corpora that have no others."""
        self._delegated["episodes"] += bool(trajectory.sessions)
        for session in trajectory.sessions:
            own = session["messages"][int(session.get("inherited") or 0) :]
            calls = calls_in(own)
            self._delegated["sessions"] += 1
            self._delegated["cut"] += session.get("status") == "cut"
            self._delegated["messages"] += sum(m["role"] != "system" for m in own)
            self._delegated["tool_calls"] += len(calls)
            self._delegated["failed_calls"] += sum(not ok for _, ok in calls)
            self._delegated_tools.update(tool for tool, _ in calls)

    def _count_recoveries(self, found: Recoveries) -> None:
        self._recovery["failed_calls"] += found.failed
        self._recovery["recovered_calls"] += found.recovered
        self._recovery["verified_calls"] += found.verified
        self._recovery["episodes_with_failure"] += found.failed > 0
        self._recovery["episodes_with_recovery"] += found.recovered > 0
        self._recovery["episodes_with_verified_recovery"] += found.verified > 0

    def _group(self, kind: str, names: Sequence[str], outcome: str) -> None:
        for name in names:
            self._groups[kind].setdefault(name, Counter())[outcome] += 1

    def summary(self) -> dict[str, Any]:
        """Return all figures as JSON."""
        n, passed = self.episodes, self._outcomes["passed"]
        verified = n - sum(self._outcomes[name] for name in UNVERIFIED)
        low, high = wilson(passed, verified)
        turns = self._shape["user_turns"].counts
        recovery = {name: int(count) for name, count in self._recovery.items()}
        return {
            "episodes": n,
            "outcomes": dict(sorted(self._outcomes.items())),
            "infrastructure_errors": dict(sorted(self._broken.items())),
            "pass_rate": {
                "passed": passed,
                "total": verified,
                "rate": passed / verified if verified else None,
                "low": low,
                "high": high,
            },
            "judged": _judged(self._outcomes),
            "mean_score": self._score / self._scored if self._scored else None,
            "subgoals": {"total": self._subgoals.total(), "held": self._subgoals[True]},
            "shape": {name: d.summary() for name, d in self._shape.items()},
            "share_6_to_10_user_turns": sum(turns[v] for v in range(6, 11)) / n if n else None,
            "tools": {
                tool: {
                    "trajectories": used,
                    "share": used / n,
                    "calls": self._tool_calls[tool],
                    "failed": self._tool_failures[tool],
                }
                for tool, used in sorted(self._tool_use.items(), key=lambda item: (-item[1], item[0]))
            },
            "tool_pairs": [[a, b, count] for (a, b), count in _most(self._pairs, PAIRS_SHOWN)],
            "tool_messages_with_exit_code": self._exit_codes,
            "delegated": {
                **{name: self._delegated[name] for name in DELEGATED},
                "tools": dict(sorted(self._delegated_tools.items(), key=lambda item: (-item[1], item[0]))),
            },
            "failure_recovery": {
                **recovery,
                "share": recovery.get("episodes_with_recovery", 0) / n if n else None,
            },
            **{kind: _by_outcome(groups) for kind, groups in self._groups.items()},
            "guard": dict(sorted(self._guard.items())),
            "drift": self._drift.summary(),
            "usage": self._usage.summary(),
            "variety": self._variety.summary(),
            "seconds_an_episode": {part: total / n for part, total in self._seconds.items()} if n else {},
            "content_sha256": f"{self._digest:064x}",
        }


def store_stats(path: str | Path, *, workers: int = 1) -> dict[str, Any]:
    """Return the statistics of a store folder or a JSONL file, in constant memory.

    ``content_sha256`` is equal for two stores that hold the same episodes, in whatever order, timings aside.

    Args:
        path: the store.
        workers: processes that read it; 0 is one a processor. The figures don't depend on it.

    Raises:
        UserError: not a store, or a bad line (named).
    """
    stats = Stats()
    for part in in_parts(parts_of(path), _stats_of, workers):
        stats.merge(part)
    for trajectory in unreplaced(path):
        stats.add(trajectory)
    return stats.summary()


def _stats_of(part: Part) -> Iterator[Stats]:
    stats = Stats()
    for trajectory in records_of(part):
        stats.add(trajectory)
    yield stats


def read_all(path: str | Path) -> Iterator[Trajectory]:
    """Stream the episodes of a store and then those that the infrastructure broke and nobody replaced."""
    yield from read_trajectories(path)
    yield from unreplaced(path)


def unreplaced(path: str | Path) -> Iterator[Trajectory]:
    """Yield the last record of each episode that the infrastructure broke and nobody replaced; none of a lone file."""
    root = Path(path)
    if not root.is_dir() or not shard_paths(root / "failures"):
        return
    done, last = recorded_ids(root), dict[str, Trajectory]()
    for file, number, line in raw_records(root, failures=True):
        if episode_of(line) not in done:
            trajectory = parse_line(line, f"{file}, line {number}")
            if trajectory.episode_id not in done:
                last[trajectory.episode_id] = trajectory
    yield from last.values()


def tool_calls_made(trajectory: Trajectory) -> list[tuple[str, bool]]:
    """Return (tool, succeeded) of every call in the conversation with the user, see `calls_in`."""
    return calls_in(trajectory.messages)


def calls_in(messages: Sequence[Mapping[str, Any]]) -> list[tuple[str, bool]]:
    """Return (tool, succeeded) of every call an assistant message makes; one without an answer did not succeed."""
    answers = {m.get("tool_call_id"): m.get("success") is not False for m in messages if m["role"] == "tool"}
    return [
        (call["function"]["name"], answers.get(call["id"], False))
        for m in messages
        for call in m.get("tool_calls") or ()
    ]


def _judged(outcomes: Counter[str]) -> dict[str, Any]:
    """What models judged, apart from what checks verified; {} where nothing was judged."""
    passed, total = outcomes["judged_passed"], outcomes["judged_passed"] + outcomes["judged_failed"]
    if not total:
        return {}
    low, high = wilson(passed, total)
    return {"passed": passed, "total": total, "rate": passed / total, "low": low, "high": high}


def _numbers(value: Json) -> dict[str, int]:
    if not isinstance(value, Mapping):
        return {}
    return {str(k): whole(v) for k, v in value.items() if isinstance(v, int)}


def _most(counter: Counter[tuple[str, str]], count: int) -> Iterable[tuple[tuple[str, str], int]]:
    return sorted(counter.items(), key=lambda item: (-item[1], item[0]))[:count]


def _by_outcome(groups: Mapping[str, Counter[str]]) -> dict[str, dict[str, int]]:
    ordered = sorted(groups.items(), key=lambda item: (-item[1].total(), item[0]))
    return {name: {"episodes": c.total(), "passed": c["passed"]} for name, c in ordered}
