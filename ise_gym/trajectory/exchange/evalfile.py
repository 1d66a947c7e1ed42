"""Reads ``.eval`` archives of inspect_ai without that package: a zip file of JSON members, most of them in zstd.

Source: the zip specification (APPNOTE 6.3.9, methods 8 and 93); Python's `zipfile` lists them, but knows no method 93
before 3.14.
"""

from __future__ import annotations

import json
import struct
import zipfile
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Any

from ise_gym.errors import UserError
from ise_gym.storage.appendlog import LONGEST_LINE

_ZSTANDARD = 93
_LOCAL_HEADER = 30


def eval_samples(path: Path) -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield (where, sample) of an archive, each with the log's task and model as ``eval``.

    Raises:
        UserError: no such archive, a damaged one, or one that needs zstandard, which is not installed.
    """
    try:
        with zipfile.ZipFile(path) as archive, path.open("rb") as file:
            names = {info.filename: info for info in archive.infolist()}
            head = names.get("header.json") or names.get("_journal/start.json")
            spec = {} if head is None else _loaded(archive, file, head).get("eval", {})
            for name, info in names.items():
                if name.startswith("samples/") and name.endswith(".json"):
                    sample = _loaded(archive, file, info)
                    about = {"task": spec.get("task"), "model": spec.get("model")}
                    yield f"{path}, {name}", {**sample, "eval": about}
    except (OSError, zipfile.BadZipFile, zlib.error, struct.error, ValueError, RecursionError) as error:
        raise UserError(f"{path}: can't be read as a log of inspect_ai ({error}).") from error


def _loaded(archive: zipfile.ZipFile, file: IO[bytes], info: zipfile.ZipInfo) -> dict[str, Any]:
    if info.file_size > LONGEST_LINE:
        raise ValueError(f"{info.filename} is larger than {LONGEST_LINE >> 20} MB")
    data = _unpacked(file, info) if info.compress_type == _ZSTANDARD else archive.read(info)
    value = json.loads(data)
    if not isinstance(value, dict):
        raise ValueError(f"{info.filename} is no JSON object")
    return value


def _unpacked(file: IO[bytes], info: zipfile.ZipInfo) -> bytes:
    try:
        import zstandard
    except ImportError as error:
        raise UserError(
            "logs of inspect_ai are packed with zstd: pip install 'ise-gym[zstd]' (or `inspect log convert --to json`)."
        ) from error
    file.seek(info.header_offset)
    name, extra = struct.unpack("<HH", file.read(_LOCAL_HEADER)[26:30])
    file.seek(info.header_offset + _LOCAL_HEADER + name + extra)
    packed = file.read(info.compress_size)
    try:
        with zstandard.ZstdDecompressor().stream_reader(packed) as reader:
            data = reader.read(LONGEST_LINE + 1)
    except zstandard.ZstdError as error:
        raise ValueError(f"{info.filename}: {error}") from error
    if len(data) > LONGEST_LINE:
        raise ValueError(f"{info.filename} is larger than {LONGEST_LINE >> 20} MB")
    return data
