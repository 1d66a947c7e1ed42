"""Keeps the trajectories that are fit for a purpose, and says how many fell to which rule."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field
from functools import partial
from pathlib import Path

from ise_gym.errors import UserError
from ise_gym.messages import canonical_json, sha256_of
from ise_gym.trajectory.record import Trajectory, to_line
from ise_gym.trajectory.scan.parts import Part, parts_of, records_of
from ise_gym.trajectory.scan.workers import in_parts
from ise_gym.trajectory.secrets import scan_personal, scan_trajectory
from ise_gym.trajectory.stats import recoveries
from ise_gym.trajectory.store import TrajectoryStore
from ise_gym.trajectory.untaught import untaught


@dataclass(frozen=True)
class Rules:
    """What a trajectory must be to be kept; the defaults keep every episode that passed.

    Attributes:
        outcomes: allowed outcomes.
        min_score: least fraction of sub-goals.
        guard_clean: no user turn drifted and none fell back to the script.
        no_secrets, no_personal: `ise_gym.trajectory.secrets` finds no credential, no personal data.
        recovery: holds at least one failed call that was recovered.
        whole: no answer was cut, filtered, broken or unreadable, see `ise_gym.trajectory.untaught`.
        min_user_turns, max_user_turns, max_messages, max_tool_calls: bounds; 0 is none.
        domains: all of its domains are among these; empty allows any.
        unique: its conversation (system message and call ids aside) was not kept before.
    """

    outcomes: tuple[str, ...] = ("passed",)
    min_score: float = 0.0
    guard_clean: bool = False
    no_secrets: bool = False
    no_personal: bool = False
    recovery: bool = False
    whole: bool = False
    min_user_turns: int = 0
    max_user_turns: int = 0
    max_messages: int = 0
    max_tool_calls: int = 0
    domains: tuple[str, ...] = ()
    unique: bool = False

    def __post_init__(self) -> None:
        """Refuse rules that nothing can keep.

        Raises:
            UserError: two bounds contradict each other; names them.
        """
        for name, most in (("user-turns", self.max_user_turns), ("messages", self.max_messages)):
            if most and self.min_user_turns > most:
                raise UserError(
                    f"--min-user-turns {self.min_user_turns} and --max-{name} {most} together "
                    "leave nothing to keep; change one of them."
                )
        if self.recovery and self.max_tool_calls == 1:
            raise UserError(
                "--recovery and --max-tool-calls 1 leave nothing to keep: a recovery takes two calls."
            )


@dataclass
class Filtered:
    """What a filter did; ``dropped`` counts a trajectory under each rule that it breaks."""

    seen: int = 0
    kept: int = 0
    dropped: Counter[str] = field(default_factory=Counter)


def filter_store(source: str | Path, out: str | Path, rules: Rules, *, workers: int = 1) -> Filtered:
    """Copy what keeps the rules into a new store.

    Args:
        source: a store folder or a JSONL file of trajectories.
        out: a folder that holds nothing, or an earlier result of the same rules (which is taken up again).
        rules: what to keep.
        workers: processes that read the source; 0 is one a processor. What is kept doesn't depend on it.

    Raises:
        UserError: a bad source, or a folder that holds something else.
    """
    if Path(source).resolve() == Path(out).resolve():
        raise UserError(f"{out}: this is the source; give another folder.")
    counts, seen = Filtered(), set[str]()
    with TrajectoryStore(out, run={"filtered": str(Path(source).name), "rules": asdict(rules)}) as store:
        there = store.ids()
        for looked in in_parts(parts_of(source), partial(_looked_at, rules), workers):
            counts.seen += 1
            broken = [*looked.broken, *(["duplicate"] if looked.likeness and looked.likeness in seen else [])]
            counts.dropped.update(broken)
            if broken:
                continue
            counts.kept += 1
            if rules.unique:
                seen.add(looked.likeness)
            if looked.id not in there:
                store.append_line(looked.line, failed=looked.failed)
    return counts


@dataclass(frozen=True)
class _Looked:
    """What a filter needs of one episode; ``line`` is empty where a rule is broken, ``likeness`` where none asks."""

    id: str
    broken: tuple[str, ...]
    likeness: str
    line: bytes
    failed: bool


def _looked_at(rules: Rules, part: Part) -> Iterator[_Looked]:
    for trajectory in records_of(part):
        broken = tuple(broken_rules(trajectory, rules))
        yield _Looked(
            trajectory.episode_id,
            broken,
            _likeness(trajectory) if rules.unique else "",
            b"" if broken else to_line(trajectory),
            trajectory.outcome == "infrastructure_error",
        )


def broken_rules(trajectory: Trajectory, rules: Rules) -> Iterator[str]:
    """Yield the name of each rule that a trajectory breaks by itself: of all but `Rules.unique`."""
    users = sum(m["role"] == "user" for m in trajectory.messages)
    calls = sum(len(m.get("tool_calls") or ()) for m in trajectory.messages)
    messages = sum(m["role"] != "system" for m in trajectory.messages)
    guard = trajectory.user.get("guard") or {}
    if trajectory.outcome not in rules.outcomes:
        yield f"outcome {trajectory.outcome}"
    if (trajectory.score or 0.0) < rules.min_score:
        yield "score too low"
    if rules.guard_clean and (guard.get("drifted") or guard.get("fallbacks")):
        yield "role drift"
    if rules.no_secrets and scan_trajectory(trajectory):
        yield "secrets"
    if rules.no_personal and scan_personal(trajectory):
        yield "personal data"
    if rules.whole and untaught(trajectory.messages, trajectory.steps):
        yield "answers that are not taught"
    if rules.recovery and not recoveries(trajectory).recovered:
        yield "no recovery"
    if users < rules.min_user_turns:
        yield "too few user turns"
    for name, value, most in (
        ("user turns", users, rules.max_user_turns),
        ("messages", messages, rules.max_messages),
        ("tool calls", calls, rules.max_tool_calls),
    ):
        if most and value > most:
            yield f"too many {name}"
    if rules.domains and not set(trajectory.domains) <= set(rules.domains):
        yield "other domains"


def _likeness(trajectory: Trajectory) -> str:
    said = [
        [m["role"], m["content"], [c["function"] for c in m.get("tool_calls") or ()]]
        for m in trajectory.messages
        if m["role"] != "system"
    ]
    return sha256_of(canonical_json(said))
