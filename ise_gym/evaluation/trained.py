"""Training data as conversations, whichever form it has: stores, exports, and what other libraries write.

Only what a check for leaks needs is read: who said what, ids, and the metadata of our own records.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from ise_gym.errors import UserError
from ise_gym.trajectory.store import MANIFEST, raw_records

_SPEAKERS = {"human": "user", "gpt": "assistant"}
_FILES = (".jsonl", ".zst", ".parquet")
FORMS = "messages, conversations, prompt and completion, text, or ATIF's steps"
"""Columns in which a conversation is found."""


def conversations(path: str | Path) -> Iterator[tuple[str, Mapping[str, Any]]]:
    """Yield (where, row) of every conversation in a store, a file, or a folder of files; ``row["messages"]`` is a list.

    Args:
        path: a store, or JSONL and Parquet files of trajectories or exports (openai, trl, isetrace, atif), of rows
            with ``conversations`` (ShareGPT), ``prompt`` and ``completion``, or rendered ``text``.

    Raises:
        UserError: nothing there, or a row that holds no conversation.
    """
    for file in _files(Path(path)):
        for where, row in _parquet_rows(file) if file.suffix == ".parquet" else _json_rows(file):
            messages = _messages(row) if isinstance(row, Mapping) else None
            if messages is None:
                raise UserError(
                    f"{where}: it is not a conversation (it has none of {FORMS}). Give a store, or an export of one "
                    "(`ise export`), as JSONL or Parquet."
                )
            yield where, {**row, "messages": messages}


def _files(path: Path) -> list[Path]:
    """Return a store or a lone file as it is; of another folder, such as a dataset's, all files of known forms."""
    if not path.is_dir() or (path / MANIFEST).is_file():
        return [path]
    found = sorted(file for file in path.rglob("*") if file.suffix in _FILES)
    if not found:
        raise UserError(f"{path}: there is neither a store nor any JSONL or Parquet file in it.")
    return found


def _messages(row: Mapping[str, Any]) -> list[Any] | None:
    for name in ("messages", "conversations", "conversation"):
        if isinstance(row.get(name), list):
            return [_message(one) for one in row[name]]
    if isinstance(row.get("steps"), list) and "schema_version" in row:
        return [_message(one) for one in row["steps"]]
    for name in ("prompt", "text"):
        if isinstance(row.get(name), list):
            return [*row[name], *(row["completion"] if isinstance(row.get("completion"), list) else ())]
        if isinstance(row.get(name), str):
            return [{"role": "user", "content": row[name]}]
    return None


def _message(one: object) -> Any:
    """Return a message with ``role`` and ``content``, from ShareGPT's or ATIF's names for them."""
    if not isinstance(one, Mapping) or "role" in one:
        return one
    who = one.get("from", one.get("source"))
    return {"role": _SPEAKERS.get(str(who), who), "content": one.get("value", one.get("message"))}


def _json_rows(path: Path) -> Iterator[tuple[str, Any]]:
    for file, number, line in raw_records(path):
        where = f"{file}, line {number}"
        try:
            yield where, json.loads(line)
        except ValueError as error:
            raise UserError(f"{where}: it is not JSON ({error}).") from error


def _parquet_rows(path: Path) -> Iterator[tuple[str, Any]]:
    try:
        import pyarrow.parquet as pq
    except ImportError as error:
        raise UserError(f"{path}: reading Parquet needs pyarrow: pip install 'ise-gym[train]'.") from error
    try:
        file = pq.ParquetFile(path)
    except (OSError, ValueError) as error:
        raise UserError(f"{path}: it can't be read as Parquet ({error}).") from error
    number = 0
    for batch in file.iter_batches(batch_size=256):
        for row in batch.to_pylist():
            number += 1
            yield f"{path}, row {number}", {name: _decoded(value) for name, value in row.items()}


def _decoded(value: object) -> Any:
    """Decode the JSON texts that a column of messages holds, each message a text or all of them one."""
    if isinstance(value, list):
        return [_json(item) for item in value]
    return _json(value) if isinstance(value, str) and value.startswith(("[{", "{")) else value


def _json(value: object) -> Any:
    if not isinstance(value, str):
        return value
    try:
        return json.loads(value)
    except ValueError:
        return value  # words that only look like JSON
