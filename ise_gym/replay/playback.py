"""Plays an agent's recorded answers again, so that a run with an endpoint can be repeated without it.

An endpoint is gone, costs money or samples anew each time; what it said is in the store. Given the same scenarios
and seeds, this agent says the same at the same places, under the recorded agent's name, so that the records come out
equal. It never makes up an answer: where the conversation has become another one, it says so and stops.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, cast

from ise_gym.errors import AgentError, UserError, nearest
from ise_gym.messages import Message, ToolSchema, sha256_of
from ise_gym.scenario import Scenario
from ise_gym.trajectory.record import Step, Trajectory, episode_id
from ise_gym.trajectory.store import parse_line, raw_records

MATCHES = ("exact", "turn")
_OWN = "agent: "
"""How the reason of a record begins that the agent's own limit ended."""


class PlaybackAgent:
    """Says what a store's agent said.

    Args:
        store: a trajectory store, or one JSONL file of records.
        agent: which agent's records, where the store holds several.
        match: ``exact``: an answer is given only to the very conversation that it answered. ``turn``: to the
            conversation with as many answers in it, whatever tools printed since (clocks, process ids).

    Raises:
        UserError: no store, several agents in it, or an unknown ``match``.
    """

    syntax = "playback:STORE (the recorded answers of a store's agent, without its endpoint)"

    def __init__(self, store: str, *, agent: str = "", match: str = "exact") -> None:
        if match not in MATCHES:
            raise UserError(
                f"agent 'playback': match={match!r} is none of {', '.join(MATCHES)}.{nearest(match, MATCHES)}"
            )
        self._match = match
        self._shelf = _Shelf(Path(store), agent)
        self.name = self._shelf.agent
        self._record = self._shelf.first
        self._answers: dict[str, list[Message]] = {}

    @property
    def usage(self) -> Mapping[str, Any]:
        """What the recorded episode spent; nothing is spent now."""
        return cast("Mapping[str, Any]", self._record.agent.get("usage") or {})

    def reset(self, scenario: Scenario, seed: int) -> None:
        """Open the record of this episode.

        Raises:
            AgentError: the store has none.
        """
        wanted = episode_id(scenario.id, seed, self.name)
        self._record = self._shelf.record(wanted)
        self._answers = {}
        for talk, steps, key in _talks(self._record):
            received = {r.message: r for r in self._record.timings.received if r.session == key}
            for step in steps:
                said: dict[str, Any] = {**talk[step.message]}
                if step.completion is not None:
                    came = received.get(step.message)
                    late = {"id": came.id, "seconds": came.seconds, "tries": came.tries} if came else {}
                    said["completion"] = {**step.completion.model_dump(), **late}
                place = self._place(cast("Sequence[Message]", talk[: step.message]))
                self._answers.setdefault(place, []).append(cast("Message", said))

    def act(self, messages: Sequence[Message], tools: Sequence[ToolSchema]) -> Message:
        """Say what was said here.

        Raises:
            AgentError: nothing was: as it was recorded (the context was full), or since the conversation is another.
        """
        if waiting := self._answers.get(self._place(messages)):
            return waiting.pop(0)
        if not any(self._answers.values()) and self._record.reason.startswith(_OWN):
            raise AgentError(self._record.reason.removeprefix(_OWN), infrastructure=False, kind="context")
        raise AgentError(f"{self.name}, played back: {self._difference(messages)}", kind="playback")

    def describe(self) -> dict[str, Any]:
        """Return what the record says of its agent."""
        return {name: value for name, value in self._record.agent.items() if name != "name"}

    def close(self) -> None:
        """Nothing is held open."""

    def _place(self, messages: Sequence[Message]) -> str:
        if self._match == "exact":
            return sha256_of([_plain(message) for message in messages])
        begun = [_plain(message) for message in messages if message["role"] in ("system", "user")][:2]
        return sha256_of([begun, sum(message["role"] == "assistant" for message in messages)])

    def _difference(self, messages: Sequence[Message]) -> str:
        """Say where the conversation left the recorded one."""
        for number, (old, new) in enumerate(zip(self._record.messages, messages, strict=False)):
            if _plain(old) != _plain(new):
                return (
                    f"message {number} ({new['role']}) is not the recorded one: it was {old['content'][:120]!r}, "
                    f"now {new['content'][:120]!r}; match=turn plays on all the same"
                )
        return f"the record has no answer after {len(messages)} messages"


class _Shelf:
    """The records of one agent in a store, found by their ids; the shard that was read last is kept open."""

    def __init__(self, path: Path, agent: str) -> None:
        self._path = path
        self._order: dict[str, int] = {}
        names: set[str] = set()
        first: Trajectory | None = None
        for number, record in enumerate(self._records()):
            name = str(record.agent.get("name") or "")
            names.add(name)
            if agent in ("", name):
                first = first or record
                self._order[record.episode_id] = number
        if first is None:
            known = f" of '{agent}': it has {', '.join(sorted(names))}" if names else ""
            raise UserError(f"agent 'playback': {path} holds no records{known}.{nearest(agent, names)}")
        if not agent and len(names) > 1:
            raise UserError(
                f"agent 'playback': {path} holds records of {', '.join(sorted(names))}: say which one with agent=NAME"
            )
        self.first, self.agent = first, str(first.agent.get("name") or "")
        self._reading: Iterator[Trajectory] = iter(())
        self._next = len(self._order) + 1

    def record(self, wanted: str) -> Trajectory:
        number = self._order.get(wanted)
        if number is None:
            raise AgentError(
                f"{self.agent}, played back: {self._path} has no episode {wanted}", kind="playback"
            )
        if number < self._next:
            self._reading, self._next = self._records(), 0
        for record in self._reading:
            self._next += 1
            if self._next > number:
                return record
        raise AgentError(f"{self.agent}, played back: {self._path} became shorter while it was read")

    def _records(self) -> Iterator[Trajectory]:
        for file, number, line in raw_records(self._path):
            yield parse_line(line, f"{file}, line {number}")


def _talks(record: Trajectory) -> Iterator[tuple[list[dict[str, Any]], list[Step], str]]:
    """Yield (messages, steps, key) of the main conversation and of the sub-sessions."""
    yield record.messages, record.steps, ""
    for session in record.sessions:
        steps = [Step.model_validate(step) for step in session.get("steps") or ()]
        yield session["messages"], steps, str(session.get("key") or "")


def _plain(message: Mapping[str, Any]) -> list[Any]:
    """Return what an answer depends on: who said what, and the calls; not ids, nor what only people see."""
    calls = [
        [call["function"]["name"], call["function"]["arguments"]] for call in message.get("tool_calls") or ()
    ]
    return [message["role"], message["content"], calls]
