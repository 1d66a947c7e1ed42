"""Answers on disk, one line each, written the moment they are there: a killed run loses only what was in flight."""

from __future__ import annotations

import json
import os
import threading
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ise_gym.errors import UserError
from ise_gym.foreign.values import Json
from ise_gym.messages import canonical_json


class AnswerCache:
    """A JSONL file of answers by key; ``torn`` says that a half-written last line was cut off.

    Raises:
        UserError: the file can't be opened, or holds something else.
    """

    def __init__(self, path: Path | str) -> None:
        self.path = Path(path)
        self.torn = False
        self._answers: dict[str, Mapping[str, Any]] = {}
        self._lock = threading.Lock()
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            self._file = self.path.open("a+b")
            self._read()
        except OSError as error:
            raise UserError(f"{self.path}: can't be used as a cache ({error.strerror})") from None

    def _read(self) -> None:
        self._file.seek(0)
        end = 0
        for number, line in enumerate(self._file, 1):
            if not line.endswith(b"\n"):  # the writer was killed in the middle of it
                self.torn = True
                self._file.truncate(end)
                break
            end += len(line)
            try:
                record = json.loads(line)
                self._answers[record["key"]] = record
            except (ValueError, KeyError, TypeError):
                raise UserError(f"{self.path}:{number}: not a cached answer; delete the line") from None

    def __len__(self) -> int:
        return len(self._answers)

    def get(self, key: str) -> Mapping[str, Any] | None:
        """Return the record of a key, or None."""
        return self._answers.get(key)

    def records(self) -> list[Mapping[str, Any]]:
        """Return all records, in no certain order."""
        with self._lock:
            return list(self._answers.values())

    def put(self, key: str, record: Mapping[str, Json]) -> None:
        """Keep a record; it is on disk when this returns."""
        kept = {"key": key, **record}
        with self._lock:
            self._file.write((canonical_json(kept) + "\n").encode())
            self._file.flush()
            os.fsync(self._file.fileno())
            self._answers[key] = kept

    def close(self) -> None:
        """Close the file."""
        self._file.close()
