"""Trajectories in other people's formats.

- ``isetrace``: the released ISETrace record. What that format has no place for goes into
  ``metadata.ise_gym``, so that `ise_gym.trajectory.exchange.importer` gives back the very same trajectory.
- ``openai``: ``{"messages", "tools"}`` with the keys that the chat-completions API knows and no others.
- ``trl``: the same with reasoning kept, as TRL's trainers take it (``arguments`` stay JSON strings, so that Arrow
  can't pad them with nulls).
- ``atif``: the Agent Trajectory Interchange Format, see `ise_gym.trajectory.exchange.atif`; read back exactly, too.

What an agent delegated to itself is a record of its own that names its parent; in ATIF, an embedded trajectory.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from itertools import chain
from pathlib import Path
from typing import Any, TypeVar

from ise_gym.errors import UserError
from ise_gym.foreign.values import Json
from ise_gym.registry import Registered
from ise_gym.storage.atomic import replacing
from ise_gym.trajectory.conversations import Conversation, delegated
from ise_gym.trajectory.exchange.atif import to_atif
from ise_gym.trajectory.exchange.foreign import session_id
from ise_gym.trajectory.exchange.parquet import TextRow, text_row, write_text_rows
from ise_gym.trajectory.record import Trajectory
from ise_gym.trajectory.scan.parts import Part, parts_of, records_of
from ise_gym.trajectory.scan.workers import in_parts
from ise_gym.trajectory.secrets import scan_personal, scan_trajectory
from ise_gym.trajectory.untaught import untaught

T = TypeVar("T")

OPENAI_KEYS: Mapping[str, tuple[str, ...]] = {
    "system": ("role", "content"),
    "user": ("role", "content"),
    "assistant": ("role", "content", "tool_calls"),
    "tool": ("role", "tool_call_id", "content"),
}
"""Role → keys of a message that the chat-completions API accepts."""

TRL_KEYS = ("role", "content", "tool_calls", "tool_call_id", "name", "reasoning_content")
"""Keys of a message that a TRL row keeps."""


def to_isetrace(trajectory: Trajectory) -> dict[str, Any]:
    """Return the ISETrace record of an episode.

    The system message, absent in that format, moves into ``metadata.ise_gym`` with everything else that it lacks.
    ``total_steps`` counts assistant messages. ``exit_code`` stays on tool messages, and ``success`` is the truth.
    """
    messages = [dict(m) for m in trajectory.messages]
    systems = {str(n): m for n, m in enumerate(messages) if m["role"] == "system"}
    rest = trajectory.model_dump(exclude={"messages", "tools", "intent", "persona"})
    said = [m["content"] for m in messages if m["role"] == "assistant" and m["content"]]
    return {
        "status": "completed" if trajectory.outcome in ("passed", "failed") else trajectory.outcome,
        "session_id": session_id(trajectory.episode_id),
        "intent": trajectory.intent,
        "intent_id": trajectory.scenario_id,
        "total_steps": sum(m["role"] == "assistant" for m in messages),
        "enable_thinking": any(m.get("reasoning_content") for m in messages),
        "messages": [m for m in messages if m["role"] != "system"],
        "tools": trajectory.tools,
        "skills": [],
        "final_output": said[-1] if said else "",
        "metadata": {
            "persona": trajectory.persona,
            "domains": _domains(trajectory),
            "ise_gym": {**rest, "system_messages": systems},
        },
    }


def to_openai(trajectory: Trajectory) -> dict[str, Any]:
    """Return ``{"messages", "tools"}`` with only the keys that the chat-completions API knows.

    An answer that nobody should learn from (see `ise_gym.trajectory.untaught`) has besides ``weight: 0``, which keeps
    it out of the loss where such files are for fine-tuning.
    """
    return _row(trajectory, OPENAI_KEYS)


def to_trl(trajectory: Trajectory) -> dict[str, Any]:
    """Return one row for TRL: as `to_openai`, with tool names and reasoning kept.

    TRL teaches every answer of a row, so a row ends before the first one that nobody should learn from.
    """
    return _trl_row(trajectory)


def _row(of: Trajectory | Conversation, keep: Mapping[str, Sequence[str]]) -> dict[str, Any]:
    unfit = _untaught(of)
    messages = [
        {key: value for key, value in m.items() if key in keep[m["role"]]}
        | ({"weight": 0} if n in unfit else {})
        for n, m in enumerate(of.messages)
    ]
    return {"messages": messages, "tools": of.tools}


def _trl_row(of: Trajectory | Conversation) -> dict[str, Any]:
    end = min(_untaught(of), default=len(of.messages))
    kept = [{key: m[key] for key in m if key in TRL_KEYS} for m in of.messages[:end]]
    while end < len(of.messages) and kept and kept[-1]["role"] != "assistant":
        kept.pop()  # what nobody answers any more
    return {"messages": kept, "tools": of.tools}


def _untaught(of: Trajectory | Conversation) -> set[int]:
    inherited = of.inherited if isinstance(of, Conversation) else 0
    return {index for index in untaught(of.messages, of.steps) if index >= inherited}


def _teaches(of: Trajectory | Conversation, row: Mapping[str, Sequence[Any]]) -> bool:
    inherited = of.inherited if isinstance(of, Conversation) else 0
    return any(message["role"] == "assistant" for message in row["messages"][inherited:])


def isetrace_records(trajectory: Trajectory) -> Iterator[dict[str, Any]]:
    """Yield the episode's record, then one a sub-session, which names its episode in ``metadata.parent_session_id``.

    The episode's own record holds everything already, so an import passes over those of sub-sessions.
    """
    record = to_isetrace(trajectory)
    yield record
    for part in delegated(trajectory):
        said = [m["content"] for m in part.messages if m["role"] == "assistant" and m["content"]]
        yield {
            **record,
            "session_id": session_id(part.id),
            "status": "completed" if part.session.get("status") == "done" else "truncated",
            "intent": str(part.session.get("task", "")),
            "total_steps": sum(m["role"] == "assistant" for m in part.messages[part.inherited :]),
            "enable_thinking": any(m.get("reasoning_content") for m in part.messages),
            "messages": [m for m in part.messages if m["role"] != "system"],
            "tools": part.tools,
            "final_output": said[-1] if said else "",
            "metadata": {
                **{k: v for k, v in record["metadata"].items() if k != "ise_gym"},
                "parent_session_id": record["session_id"],
                "sub_session": dict(part.session),
            },
        }


def openai_rows(trajectory: Trajectory) -> Iterator[dict[str, Any]]:
    """Yield the episode's row, then one a sub-session, whose ``parent`` is the episode's id."""
    yield to_openai(trajectory)
    for part in delegated(trajectory):
        yield {**_row(part, OPENAI_KEYS), "id": part.id, "parent": part.parent}


def trl_rows_of(trajectory: Trajectory) -> Iterator[dict[str, Any]]:
    """Yield the TRL rows of an episode: its own, then one a sub-session that answered.

    One that was cut off has no answer to learn from. A session that began with a copy of the conversation repeats it.
    A row without any answer to learn from is left out.
    """
    all_of: list[Trajectory | Conversation] = [trajectory]
    all_of += [part for part in delegated(trajectory) if part.session.get("status") != "cut"]
    for of in all_of:
        row = _trl_row(of)
        if _teaches(of, row):
            yield row


def atif_records(trajectory: Trajectory) -> tuple[dict[str, Any]]:
    """Return the one ATIF document of an episode."""
    return (to_atif(trajectory),)


Exporter = Callable[[Trajectory], Iterable[dict[str, Any]]]
"""An exporter: a trajectory's records in another format, each a JSON object."""

FORMATS: Registered[Exporter] = Registered("exporter")
"""The formats by name; see `ise_gym.registry`."""


def trl_rows(trajectories: Iterable[Trajectory]) -> Iterator[dict[str, Any]]:
    """Yield the TRL rows of each trajectory: its own, then one a sub-session that was not cut off.

    For a `datasets.Dataset`: ``Dataset.from_list(list(trl_rows(…)), on_mixed_types="use_json")``.
    """
    for trajectory in trajectories:
        yield from trl_rows_of(trajectory)


@dataclass
class Exported:
    """What an export wrote: episodes, and sub-sessions in them, of which ``cut`` were cut off.

    ``secrets`` and ``personal`` count what looks like credentials and personal data.
    """

    episodes: int = 0
    sessions: int = 0
    cut: int = 0
    secrets: Counter[str] = field(default_factory=Counter)
    personal: Counter[str] = field(default_factory=Counter)

    def merge(self, other: Exported) -> None:
        """Count what another one counted."""
        self.episodes += other.episodes
        self.sessions += other.sessions
        self.cut += other.cut
        self.secrets.update(other.secrets)
        self.personal.update(other.personal)

    def watch(self, trajectories: Iterable[Trajectory], passed_only: bool) -> Iterator[Trajectory]:
        """Pass on what is exported, and count it."""
        for trajectory in trajectories:
            if passed_only and trajectory.outcome != "passed":
                continue
            self.episodes += 1
            self.sessions += len(trajectory.sessions)
            self.cut += sum(session.get("status") == "cut" for session in trajectory.sessions)
            self.secrets.update(scan_trajectory(trajectory))
            self.personal.update(scan_personal(trajectory))
            yield trajectory


_SUFFIXES = ("", ".jsonl", ".ndjson", ".json", ".parquet")


def export_file(
    store: str | Path, format: str, out: str | Path, *, passed_only: bool = False, workers: int = 1
) -> Exported:
    """Write a store's episodes in another format.

    The file, one JSON object per line, appears whole or not at all. Besides: ``trl`` to a name that ends in
    ``.parquet`` writes Parquet; ``atif`` to a name without a suffix makes a folder with one file per episode, which is
    what tools for that format read.

    Args:
        store: a store folder or a JSONL file of trajectories; infrastructure failures are not exported.
        format: a key of `FORMATS`.
        out: the file; replaced when it exists.
        passed_only: leave out episodes that did not pass.
        workers: processes that read the store; 0 is one a processor. The file doesn't depend on it.

    Raises:
        UserError: a bad store or one without an episode to export, an unwritable file, or Parquet asked for a format
            that has no columns.
    """
    out, counts = Path(out), Exported()
    if out.suffix == ".parquet" and format != "trl":
        raise UserError(
            f"{out}: only --format trl can be written as Parquet; write {format} to a .jsonl file."
        )
    if out.suffix not in _SUFFIXES:
        raise UserError(
            f"{out}: {format} is written as lines of JSON, not as {out.suffix}; name the file {out.stem}.jsonl."
        )
    parts = parts_of(store)

    def made(work: Callable[[Part], Iterator[tuple[Exported, T]]]) -> Iterator[T]:
        for counted, piece in in_parts(parts, work, workers):
            counts.merge(counted)
            yield piece
        if not counts.episodes:
            which = " that passed" if passed_only else ""
            raise UserError(f"{store}: it has no episodes{which}, so there is nothing to export.")

    if out.suffix == ".parquet":
        write_text_rows(chain.from_iterable(made(partial(_parquet_rows, passed_only))), out)
    elif format == "atif" and not out.suffix:
        for name, document in made(partial(_documents, passed_only)):
            with replacing(out / f"{name}.json") as file:
                file.write(document)
    else:
        with replacing(out) as file:
            file.writelines(made(partial(_dumped, format, passed_only)))
    return counts


def _watched(passed_only: bool, part: Part) -> Iterator[tuple[Exported, Trajectory]]:
    for trajectory in records_of(part):
        counts = Exported()
        for wanted in counts.watch([trajectory], passed_only):
            yield counts, wanted


def _parquet_rows(passed_only: bool, part: Part) -> Iterator[tuple[Exported, list[TextRow]]]:
    for counts, trajectory in _watched(passed_only, part):
        yield counts, [text_row(row) for row in trl_rows_of(trajectory)]


def _documents(passed_only: bool, part: Part) -> Iterator[tuple[Exported, tuple[str, bytes]]]:
    for counts, trajectory in _watched(passed_only, part):
        yield counts, (trajectory.episode_id, dump(to_atif(trajectory)))


def _dumped(format: str, passed_only: bool, part: Part) -> Iterator[tuple[Exported, bytes]]:
    for counts, trajectory in _watched(passed_only, part):
        yield counts, b"".join(dump(record) for record in FORMATS[format](trajectory))


def dump(value: Json) -> bytes:
    """Dump to a line of JSON; lone surrogates, which UTF-8 can't carry, are escaped."""
    try:
        return json.dumps(value, ensure_ascii=False).encode() + b"\n"
    except UnicodeEncodeError:
        return json.dumps(value, ensure_ascii=True).encode() + b"\n"


def _domains(trajectory: Trajectory) -> list[dict[str, Any]]:
    """Domains with their tasks, by name; the catalog's descriptions are not part of a trajectory."""
    return [
        {
            "name": domain,
            "description": "",
            "selected_tasks": [
                {"name": task, "description": ""}
                for task in trajectory.tasks
                if task.split("/")[0] == domain or len(trajectory.domains) == 1
            ],
        }
        for domain in trajectory.domains
    ]
