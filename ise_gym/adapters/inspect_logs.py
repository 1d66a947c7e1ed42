"""Records as logs of inspect_ai, for ``inspect view``: ``ise export STORE --format inspect --out OUT.eval``.

A user turn is a span, an assistant message a model event, a call a tool event, and where a sub-goal flips there is an
intermediate score. Ids are functions of the episode, so equal stores give equal logs; times are spread evenly
over the recorded episode, in the order of its events, since a record keeps no clock for each message.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from ise_gym.adapters.inspect_messages import infos, told
from ise_gym.adapters.peers import interface_of
from ise_gym.errors import UserError
from ise_gym.trajectory.record import Trajectory
from ise_gym.trajectory.store import read_trajectories

with interface_of("inspect"):
    from inspect_ai import event as events
    from inspect_ai import log as logs
    from inspect_ai import model as models
    from inspect_ai.dataset import Sample
    from inspect_ai.scorer import Score

_TICK = timedelta(milliseconds=1)
_KEPT = (
    *("episode_id", "seed", "persona", "domains", "tasks", "complexity"),
    *("outcome", "reason", "brief", "counts"),
)
_LIMITS: Mapping[str, str] = {"messages": "message", "user turns": "turn", "seconds": "time"}


def write_log(store: str | Path, out: str | Path, *, passed_only: bool = False) -> int:
    """Write a store's episodes as one log; ``.eval`` is small, ``.json`` grows with the square of a conversation.

    Returns:
        How many samples it holds.

    Raises:
        UserError: the store has no episodes.
    """
    records = [r for r in read_trajectories(store) if r.outcome == "passed" or not passed_only]
    if not records:
        raise UserError(f"{store}: it has no episodes, so there is nothing to show.")
    logs.write_eval_log(log_of(records), str(out))
    return len(records)


def log_of(records: Sequence[Trajectory]) -> Any:
    """Return one log of all records."""
    seen: dict[str, int] = {}
    samples = []
    for record in records:
        seen[record.scenario_id] = seen.get(record.scenario_id, 0) + 1
        samples.append(_Told(record).sample(seen[record.scenario_id]))
    first = records[0]
    started, ended = min(s.started_at for s in samples), max(s.completed_at for s in samples)
    names = sorted({str(record.agent.get("name")) for record in records})
    spec = logs.EvalSpec(
        eval_id=_id(first, "eval"),
        run_id=_id(first, "run"),
        task_id=_id(first, "task"),
        created=started,
        task="ise_gym/rollout",
        dataset=logs.EvalDataset(name="ise_gym", samples=len(seen), sample_ids=list(seen), shuffled=False),
        model=f"ise_gym/{'+'.join(names)}",
        config=logs.EvalConfig(epochs=max(seen.values())),
        packages={"ise_gym": str(first.env.get("ise_gym", ""))},
    )
    scored = [s for s in samples if s.error is None]
    scores = [
        logs.EvalScore(
            name=name,
            scorer="ise_gym",
            scored_samples=len(scored),
            unscored_samples=len(samples) - len(scored),
            metrics={"mean": logs.EvalMetric(name="mean", value=_mean(scored, name))},
        )
        for name in ("score", "passed")
    ]
    return logs.EvalLog(
        status="success",
        eval=spec,
        plan=logs.EvalPlan(name="plan", steps=[logs.EvalPlanStep(solver="ise_gym/rollout", params={})]),
        results=logs.EvalResults(total_samples=len(samples), completed_samples=len(scored), scores=scores),
        stats=logs.EvalStats(started_at=started, completed_at=ended),
        samples=samples,
    )


def _mean(samples: Sequence[Any], name: str) -> float:
    return sum(float(s.scores[name].value) for s in samples) / max(1, len(samples))


def _id(record: Trajectory, part: object) -> str:
    return hashlib.sha256(f"{record.episode_id}/{part}".encode()).hexdigest()[:22]


class _Told:
    """One record, told event by event."""

    def __init__(self, record: Trajectory) -> None:
        self.record = record
        text = record.timings.started_at or "2026-01-01T00:00:00Z"
        # a fraction everywhere: the viewer sorts times with and without one apart
        self.start = datetime.fromisoformat(text.replace("Z", "+00:00")).astimezone(UTC) + _TICK
        self.now = self.start
        seconds = record.timings.total_s / (3 * len(record.messages) + 4)
        self.tick = max(_TICK, timedelta(seconds=seconds))
        self.calls: dict[str, Any] = {}
        self.messages = [self._message(n, m) for n, m in enumerate(record.messages)]

    def _at(self) -> dict[str, Any]:
        """Return the time of the next event, later than all before."""
        self.now += self.tick
        return {"timestamp": self.now, "working_start": (self.now - self.start).total_seconds()}

    def _message(self, number: int, message: Mapping[str, object]) -> Any:
        agent = str(self.record.agent.get("model") or self.record.agent.get("name"))
        made = told(message, agent, id=_id(self.record, number))
        self.calls.update((call.id, call) for call in getattr(made, "tool_calls", None) or ())
        return made

    def _events(self) -> Iterator[Any]:
        record, steps = self.record, {step.message: step for step in self.record.steps}
        shown = {"brief": record.brief, "persona": record.persona}
        sample = Sample(
            input=self._first(), target=list(record.subgoals), id=record.scenario_id, metadata=shown
        )
        yield events.SampleInitEvent(sample=sample, state={}, **self._at())
        tools = infos(record.tools)
        turn, span = 0, ""
        for number, message in enumerate(self.messages):
            if message.role == "user":
                if span:
                    yield events.SpanEndEvent(id=span, span_id=span, **self._at())
                turn += 1
                span = f"{record.episode_id}/turn {turn}"
                name = f"user turn {turn}"
                yield events.SpanBeginEvent(id=span, name=name, type=None, span_id=span, **self._at())
                source = f"user: {record.user.get('name')}"
                yield events.InfoEvent(source=source, data=message.text, span_id=span, **self._at())
            elif message.role == "assistant":
                yield self._spoken(number, message, tools, span)
                step = steps.get(number)
                if step is not None and step.reward:
                    why = f"reward {step.reward:+.3f}: the share of sub-goals that hold changed"
                    score = Score(value=step.score or 0.0, explanation=why, metadata={"digest": step.digest})
                    yield events.ScoreEvent(score=score, intermediate=True, span_id=span, **self._at())
            elif message.role == "tool" and (call := self.calls.get(message.tool_call_id)):
                yield events.ToolEvent(
                    id=call.id,
                    function=call.function,
                    arguments=call.arguments,
                    result=message.text,
                    error=message.error,
                    message_id=message.id,
                    span_id=span or None,
                    completed=self.now + self.tick,
                    working_time=0.0,
                    metadata=message.metadata,
                    **self._at(),
                )
        if span:
            yield events.SpanEndEvent(id=span, span_id=span, **self._at())
        yield events.ScoreEvent(score=self._scores()["score"], target=list(record.subgoals), **self._at())

    def _spoken(self, number: int, message: Any, tools: Sequence[Any], span: str) -> Any:
        return events.ModelEvent(
            model=message.model,
            input=self.messages[:number],
            tools=list(tools),
            tool_choice="auto",
            config=models.GenerateConfig(),
            output=_output(message),
            completed=self.now + self.tick,
            span_id=span or None,
            **self._at(),
        )

    def _first(self) -> str:
        return next((m.text for m in self.messages if m.role == "user"), "")

    def _scores(self) -> dict[str, Any]:
        record = self.record
        why = {f.subgoal: f"expected {f.expected}; found {f.found}" for f in record.findings}
        held = {True: "holds", False: "does not hold"}
        lines = [f"{held[value]}: {name} {why.get(name, '')}" for name, value in record.subgoals.items()]
        return {
            "score": Score(value=record.score or 0.0, explanation=f"{record.outcome}: {record.reason}"),
            "passed": Score(value=int(record.outcome == "passed")),
            "subgoals": Score(
                value={k: int(v) for k, v in record.subgoals.items()}, explanation="\n".join(lines)
            ),
        }

    def sample(self, epoch: int) -> Any:
        """Return the record as one sample."""
        record, found = self.record, list(self._events())
        limit = error = None
        if record.outcome == "truncated":
            kind: Any = _LIMITS.get(record.reason, "custom")
            limit = logs.EvalSampleLimit(type=kind, limit=0, reason=record.reason)
        if record.outcome == "infrastructure_error":
            error = logs.EvalError(message=record.reason, traceback="", traceback_ansi="")
        spoken = [m for m in self.messages if m.role == "assistant"]
        return logs.EvalSample(
            id=record.scenario_id,
            epoch=epoch,
            uuid=_id(record, "sample"),
            input=self._first(),
            target=list(record.subgoals),
            messages=self.messages,
            output=_output(spoken[-1]) if spoken else models.ModelOutput(),
            scores=self._scores(),
            events=[
                one.model_copy(update={"uuid": _id(record, f"event {n}")}) for n, one in enumerate(found)
            ],
            metadata={name: getattr(record, name) for name in _KEPT},
            started_at=self.start.isoformat(),
            completed_at=(self.start + timedelta(seconds=record.timings.total_s)).isoformat(),
            total_time=record.timings.total_s,
            working_time=record.timings.total_s,
            limit=limit,
            error=error,
        )


def _output(message: Any) -> Any:
    return models.ModelOutput.from_message(
        message, stop_reason="tool_calls" if message.tool_calls else "stop"
    )
