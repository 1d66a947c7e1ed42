"""The scenarios of a suite in a file beside its manifest, so that it is played unchanged under any later catalog.

``NAME.scenarios.jsonl.xz`` holds one scenario a line, in the form of `ise_gym.scenario.carried.to_json` with the
expert's plans: the lines of a suite are much alike, so they are packed together. What is read is held to the hashes of
the manifest, as what is drawn is.
"""

from __future__ import annotations

import json
import lzma
from collections.abc import Iterable, Mapping
from functools import lru_cache
from pathlib import Path
from typing import Any

from ise_gym.errors import UserError
from ise_gym.scenario import Scenario
from ise_gym.scenario.carried import from_json, opaque_checks, to_json
from ise_gym.storage.atomic import replacing

ENDING = ".scenarios.jsonl.xz"
LARGEST = 256 << 20
"""Bytes of all lines together, unpacked."""


def beside(manifest: Path) -> Path:
    """Return where the scenarios of a suite's file are.

    >>> beside(Path("suites/mine.yaml")).name
    'mine.scenarios.jsonl.xz'
    """
    return manifest.with_name(manifest.stem + ENDING)


def save_scenarios(scenarios: Iterable[Scenario], file: Path) -> None:
    """Write scenarios; the file appears whole or not at all.

    Raises:
        UserError: a check has no name by which another process could read it.
    """
    lines = []
    for scenario in scenarios:
        data = to_json(scenario, plans=True)
        if unnamed := opaque_checks(data):
            raise UserError(
                f"{scenario.id} can't be kept with a suite: its check {unnamed[0]} is not registered. Register it "
                "by an entry point of the group ise_gym.check."
            )
        # keys keep their order: a service sends its data in it
        lines.append(json.dumps(data, separators=(",", ":"), allow_nan=False))
    with replacing(file) as out:
        out.write(lzma.compress("".join(f"{line}\n" for line in lines).encode(), preset=9))


def read_scenario(file: Path, id_: str) -> Scenario | None:
    """Return the scenario of an id; None where the file isn't there or has none of it.

    Raises:
        UserError: the file is damaged.
    """
    if not file.is_file():
        return None
    data = _lines(file, file.stat().st_mtime_ns).get(id_)
    try:
        return None if data is None else from_json(json.loads(data))
    except (UserError, ValueError) as error:
        raise UserError(f"{file}: {id_}: {error}") from None


@lru_cache(maxsize=4)
def _lines(file: Path, changed: int) -> Mapping[str, str]:
    """Return id → line; ``changed`` is when the file was, so that one that was written anew is read anew."""
    try:
        unpacker = lzma.LZMADecompressor()
        text = unpacker.decompress(file.read_bytes(), LARGEST).decode()
        if not unpacker.eof:
            raise ValueError("cut short, or too large")
        return {str(_id(line)): line for line in text.splitlines()}
    except (OSError, lzma.LZMAError, ValueError, KeyError, TypeError) as error:
        raise UserError(f"{file}: the suite's scenarios can't be read ({error})") from None


def _id(line: str) -> Any:
    return json.loads(line)["id"]
