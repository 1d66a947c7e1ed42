"""Foreign records → trajectories, with every repair counted: ISETrace's both released forms, and ATIF's.

ISETrace: the example's form has ``intent`` and no system message; the newest converter's has ``source_intents``,
a system message first, and ``arguments`` as an object. Files from the hub also hold null contents, tool messages
that answer no call, and a ``success`` that is true for most failures; what a call's text says of its exit code is
believed instead.
"""

from __future__ import annotations

import gzip
import hashlib
import json
import re
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import chain
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from ise_gym.errors import UserError
from ise_gym.messages import sha256_of
from ise_gym.trajectory.exchange.atif import from_atif
from ise_gym.trajectory.exchange.foreign import (
    InItsEpisode,
    Unusable,
    arguments_of,
    dict_of,
    set_apart,
    text_of,
)
from ise_gym.trajectory.record import Trajectory, episode_id
from ise_gym.trajectory.shards import read_lines
from ise_gym.trajectory.store import TrajectoryStore

_EXIT = re.compile(r"\(?Command exited with code (-?\d+)\)?\s*$")


@dataclass
class Imported:
    """What an import did: ``repairs`` by kind (messages), ``skipped`` by reason (whole records).

    ``sessions`` counts the sub-sessions that the imported episodes hold.
    """

    imported: int = 0
    sessions: int = 0
    repairs: Counter[str] = field(default_factory=Counter)
    skipped: Counter[str] = field(default_factory=Counter)


def import_isetrace(files: Sequence[str | Path], out: str | Path) -> Imported:
    """Read ISETrace files into a store, see `import_files`."""
    return import_files(files, out, "isetrace")


def import_files(files: Sequence[str | Path], out: str | Path, format: str) -> Imported:
    """Read foreign files into a store.

    Args:
        files: JSONL, one JSON object, or a JSON list; plain, ``.gz`` or ``.zst``. A folder stands for its
            ``*.json`` (``atif``) or ``*.jsonl`` files (other formats), in the order of their names.
        format: a key of `READERS`.
        out: store folder; importing the same files again adds nothing.

    Returns:
        Counts of what was imported, repaired and skipped.

    Raises:
        UserError: a file that can't be read, or isn't JSON at all, or not one episode in all of them.
    """
    counts = Imported()
    paths = [path for file in files for path in _files_at(Path(file), format)]
    digests = [_digest(path) for path in paths]
    found = _episodes(paths, format, counts)
    first = next(found, None)
    if first is None:  # before a store is made
        raise UserError(_nothing_read(files, format, counts))
    with TrajectoryStore(out, run={"imported": format, "files": digests}) as store:
        done = store.ids()
        for trajectory in chain([first], found):
            if trajectory.episode_id in done:
                counts.skipped["duplicate, or imported before"] += 1
                continue
            done.add(trajectory.episode_id)
            store.append(trajectory)
            counts.imported += 1
            counts.sessions += len(trajectory.sessions)
    return counts


def _files_at(path: Path, format: str) -> list[Path]:
    """Return the files that a folder stands for; a file stands for itself."""
    if not path.is_dir():
        return [path]
    pattern = "*.json" if format == "atif" else "*.jsonl"
    if not (found := sorted(p for p in path.glob(pattern) if p.is_file())):
        raise UserError(
            f"{path}: a folder without any {pattern} file, which {format} is looked for in; name the files, or give "
            f"--from another format: {', '.join(READERS)}."
        )
    return found


def _episodes(paths: Sequence[Path], format: str, counts: Imported) -> Iterator[Trajectory]:
    """Yield what can be read; counts what was mended and what is no episode."""
    for path in paths:
        for where, record in read_records(path):
            try:
                yield READERS[format](record, counts.repairs, where)
            except InItsEpisode:
                continue
            except Unusable as reason:
                counts.skipped[str(reason)] += 1


def _nothing_read(files: Sequence[str | Path], format: str, counts: Imported) -> str:
    more = f" and {len(files) - 1} more" if len(files) > 1 else ""
    why = "; ".join(f"{reason}: {count}" for reason, count in counts.skipped.most_common(3))
    return (
        f"{files[0]}{more}: no episode of format {format}{f' ({why})' if why else ''}. "
        f"Give --from the format of the file: {', '.join(READERS)}."
    )


def read_records(path: Path) -> Iterator[tuple[str, Any]]:
    """Yield (where, record) of a JSONL file, or of a file that is one JSON object or list.

    Raises:
        UserError: unreadable, or not JSON; names the line.
    """
    if path.suffix == ".json":
        try:
            value = json.loads(path.read_bytes())
        except OSError as error:
            raise UserError(f"{path}: can't be read ({error.strerror}).") from error
        except ValueError as error:
            raise UserError(f"{path}: not JSON ({error}).") from error
        for number, record in enumerate(value if isinstance(value, list) else [value]):
            yield f"{path}, record {number + 1}", record
        return
    for number, line in _lines(path):
        if not line.strip():
            continue
        try:
            yield f"{path}, line {number}", json.loads(line)
        except ValueError as error:
            raise UserError(f"{path}, line {number}: not JSON ({error}).") from error


def from_isetrace(record: Any, repairs: Counter[str], where: str = "record") -> Trajectory:
    """Turn one ISETrace record of either form into a trajectory; counts what had to be mended in ``repairs``.

    A record that `ise_gym.trajectory.exchange.export.to_isetrace` wrote gives back the trajectory it was made from.
    """
    if not isinstance(record, dict) or not isinstance(record.get("messages"), list):
        raise Unusable("no list of messages")
    metadata = dict_of(record.get("metadata"))
    own = metadata.get("ise_gym")
    if "sub_session" in metadata and "parent_session_id" in metadata:
        raise InItsEpisode("sub-session, held by its episode's record")
    if isinstance(own, dict):
        return _own(record, metadata, own, where)
    messages = _messages(record["messages"], repairs)
    if not any(m["role"] == "assistant" for m in messages):
        raise Unusable("no assistant message")
    intents = record.get("source_intents") or []
    ids = record.get("source_intent_ids") or []
    scenario = str(record.get("intent_id") or (ids[0] if ids else "") or record.get("session_id") or "")
    if not scenario:
        scenario = sha256_of(messages)[:12]
        repairs["record without an id"] += 1
    domains = [d for d in metadata.get("domains") or [] if isinstance(d, dict)]
    return Trajectory(
        episode_id=episode_id(scenario, 0, f"isetrace:{record.get('session_id', '')}"),
        scenario_id=scenario,
        seed=0,
        intent=str(record.get("intent") or "\n".join(map(_intent_text, intents))),
        persona=dict_of(metadata.get("persona")),
        domains=[str(d.get("name", "")) for d in domains],
        tasks=[
            str(t.get("name", ""))
            for d in domains
            for t in d.get("selected_tasks") or []
            if isinstance(t, dict)
        ],
        complexity=str(metadata.get("complexity") or ""),
        outcome="unverified",
        reason="recorded elsewhere, without checks",
        score=None,
        counts={
            "user_turns": sum(m["role"] == "user" for m in messages),
            "messages": len(messages),
            "tool_calls": sum(len(m.get("tool_calls") or ()) for m in messages),
        },
        messages=messages,
        tools=[t for t in record.get("tools") or [] if isinstance(t, dict)],
        agent={"name": "isetrace"},
        user={"name": "isetrace"},
        metadata={
            "imported": "isetrace",
            "status": record.get("status"),
            "session_id": record.get("session_id"),
            "source_intent_ids": ids,
            **{k: v for k, v in metadata.items() if k not in ("persona", "domains")},
        },
    )


def _own(record: dict[str, Any], metadata: dict[str, Any], own: dict[str, Any], where: str) -> Trajectory:
    """Put back together what `to_isetrace` took apart."""
    rest = {k: v for k, v in own.items() if k != "system_messages"}
    messages = list(record["messages"])
    for position, message in sorted(
        dict_of(own.get("system_messages")).items(), key=lambda item: int(item[0])
    ):
        messages.insert(int(position), message)
    try:
        return Trajectory.model_validate(
            {
                **rest,
                "messages": messages,
                "tools": record.get("tools") or [],
                "intent": record.get("intent") or "",
                "persona": metadata.get("persona") or {},
            }
        )
    except ValidationError as error:
        first = error.errors()[0]
        raise UserError(f"{where}: metadata.ise_gym: {first['loc']}: {first['msg']}") from error


def _messages(raw: Sequence[Any], repairs: Counter[str]) -> list[dict[str, Any]]:
    """Bring messages into the project's form; drop what no reader could use, and count it."""
    messages: list[dict[str, Any]] = []
    names: dict[str, str] = {}
    for message in raw:
        if not isinstance(message, dict) or message.get("role") not in (
            "system",
            "user",
            "assistant",
            "tool",
        ):
            repairs["message of an unknown role dropped"] += 1
            continue
        clean: dict[str, Any] = {"role": message["role"], "content": text_of(message.get("content"), repairs)}
        if message["role"] == "assistant":
            if message.get("reasoning_content"):
                clean["reasoning_content"] = str(message["reasoning_content"])
            set_apart(clean, repairs)
            made = [
                _call(c, len(messages), n, repairs) for n, c in enumerate(message.get("tool_calls") or ())
            ]
            calls = [call for call in made if call is not None]
            if calls:
                clean["tool_calls"] = calls
                names.update((c["id"], c["function"]["name"]) for c in calls)
        elif message["role"] == "tool":
            if message.get("tool_call_id") not in names:
                repairs["tool message that answers no call dropped"] += 1
                continue
            clean.update(_tool_fields(message, clean["content"], names, repairs))
        messages.append(clean)
    return messages


def _call(raw: Any, position: int, number: int, repairs: Counter[str]) -> dict[str, Any] | None:
    function = raw.get("function") if isinstance(raw, dict) else None
    if not isinstance(function, dict) or not function.get("name"):
        repairs["tool call without a function dropped"] += 1
        return None
    arguments = arguments_of(function.get("arguments"), repairs)
    call_id = raw.get("id")
    if not call_id:
        repairs["tool call without an id"] += 1
        call_id = f"call_{position}_{number}"
    return {
        "id": str(call_id),
        "type": "function",
        "function": {"name": str(function["name"]), "arguments": arguments},
    }


def _tool_fields(
    message: dict[str, Any], content: str, names: dict[str, str], repairs: Counter[str]
) -> dict[str, Any]:
    call_id = str(message["tool_call_id"])
    match = _EXIT.search(content)
    code = int(match[1]) if match else message.get("exit_code")
    success = message.get("success") is not False
    if success and code:
        repairs["success that contradicts the exit code"] += 1
        success = False
    return {
        "tool_call_id": call_id,
        "name": message.get("name") or names[call_id],
        "success": success,
        "exit_code": code,
    }


def _lines(path: Path) -> Iterator[tuple[int, bytes]]:
    if path.suffix != ".gz":
        yield from read_lines(path)
        return
    try:
        with gzip.open(path, "rb") as file:
            yield from enumerate(file, start=1)
    except (OSError, EOFError) as error:
        raise UserError(f"{path}: can't be read ({error}).") from error


def _digest(path: Path) -> str:
    try:
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as error:
        raise UserError(f"{path}: can't be read ({error.strerror}).") from error


def _intent_text(intent: Any) -> str:
    if isinstance(intent, dict):
        return str(intent.get("natural_language_intent") or intent.get("intent") or "")
    return str(intent)


READERS: Mapping[str, Callable[[Any, Counter[str], str], Trajectory]] = {
    "isetrace": from_isetrace,
    "atif": from_atif,
}
"""Format → how one record of it is read; takes the record, the counts of repairs, and where it stands."""
