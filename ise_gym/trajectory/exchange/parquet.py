"""Training rows as Parquet, in the column types that TRL's trainers read, written row group by row group.

Messages and tool schemas are lists of JSON values (`datasets`' ``Json`` type). As plain structs Arrow would give every
message the keys of all others, filled with nulls, and chat templates then render keys that nobody wrote.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from types import ModuleType
from typing import Any

from ise_gym.errors import UserError
from ise_gym.foreign.values import Json
from ise_gym.storage.atomic import replacing

COLUMNS = ("messages", "tools")
GROUP_ROWS = 128
"""Rows of one row group; as many are held in memory."""


TextRow = tuple[tuple[str, ...], ...]
"""A row as it is written: of each of `COLUMNS` the values as texts of JSON."""


def text_row(row: Mapping[str, Sequence[Json]]) -> TextRow:
    """Dump a row of `ise_gym.trajectory.exchange.export.to_trl`."""
    return tuple(tuple(_text(value) for value in row[name]) for name in COLUMNS)


def write_parquet(rows: Iterable[Mapping[str, Sequence[Json]]], out: str | Path) -> int:
    """Write rows of `ise_gym.trajectory.exchange.export.to_trl`; see `write_text_rows`."""
    return write_text_rows(map(text_row, rows), out)


def write_text_rows(rows: Iterable[TextRow], out: str | Path) -> int:
    """Write rows that are dumped already; the file appears whole or not at all.

    ``datasets.load_dataset("parquet", data_files=…)`` gives back equal rows.

    Returns:
        How many rows were written.

    Raises:
        UserError: `datasets` is not installed, or the file can't be written.
    """
    try:
        import datasets
        import pyarrow as pa
        import pyarrow.parquet as pq
    except ImportError as error:
        raise UserError(
            "Parquet needs the datasets package, which is not installed: pip install 'ise-gym[train]'."
        ) from error
    schema = datasets.Features({name: datasets.List(datasets.Json()) for name in COLUMNS}).arrow_schema
    count, group = 0, list[TextRow]()
    with replacing(out) as file, pq.ParquetWriter(file, schema, compression="zstd") as writer:

        def flush() -> None:
            arrays = [_lists_of_json(pa, [row[place] for row in group]) for place in range(len(COLUMNS))]
            writer.write_table(pa.Table.from_arrays(arrays, schema=schema))
            group.clear()

        for row in rows:
            group.append(row)
            count += 1
            if len(group) == GROUP_ROWS:
                flush()
        flush()
    return count


def _lists_of_json(pa: ModuleType, lists: Sequence[Sequence[str]]) -> Any:
    offsets = [0]
    for values in lists:
        offsets.append(offsets[-1] + len(values))
    texts = pa.array([text for texts in lists for text in texts], pa.string())
    return pa.ListArray.from_arrays(
        pa.array(offsets, pa.int32()), pa.ExtensionArray.from_storage(pa.json_(), texts)
    )


def _text(value: Json) -> str:
    """Dump a value; lone surrogates, which Arrow's strings can't carry, are escaped."""
    text = json.dumps(value, ensure_ascii=False)
    try:
        text.encode()
    except UnicodeEncodeError:
        return json.dumps(value)
    return text
