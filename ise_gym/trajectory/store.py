"""A folder of trajectories that survives any crash and can be resumed.

Layout::

    DIR/manifest.json            format, schema version, compression, and what was run
    DIR/shards/part-00000.jsonl  one trajectory per line, in the order in which the episodes ended
    DIR/failures/…               the same, of episodes that the infrastructure broke; kept apart
    DIR/torn/…                   half-written lines of killed writers, set aside

Nothing but the manifest is ever rewritten: of a store that is still empty, and when an older store is written
on. How lines are written, locked and repaired: `ise_gym.trajectory.shards`.
"""

from __future__ import annotations

import json
import os
import re
import threading
from collections.abc import Iterator, Mapping
from pathlib import Path
from types import TracebackType
from typing import Any

from pydantic import ValidationError

from ise_gym.errors import UserError
from ise_gym.foreign.values import Json
from ise_gym.messages import canonical_json
from ise_gym.models.parsing import finite_float, refuse_constant
from ise_gym.storage.appendlog import TornTail
from ise_gym.storage.atomic import file_above
from ise_gym.trajectory.migrate import READABLE, upgraded
from ise_gym.trajectory.record import SCHEMA_VERSION, Trajectory, to_line
from ise_gym.trajectory.shards import (
    Compression,
    ShardWriter,
    complete_lines,
    read_lines,
    repair,
    shard_paths,
)

FORMAT = "ise_gym trajectories"
MANIFEST = "manifest.json"
OWN_KEYS = ("format", "schema_version", "compression", "run")
"""Keys of a manifest that are the store's own; others tell of the run and bind nobody."""
_LONGEST_SHOWN = 200
"""Characters of a value that a message about another run quotes."""
_ID = re.compile(rb'^\{"schema_version":\d+,"episode_id":("(?:[^"\\]|\\.)*")')


class TrajectoryStore:
    """Append-only store of episodes; safe for several writing processes, each with its own instance.

    Args:
        path: the folder; made when missing.
        run: what is being run, as JSON (intents, agent, user, seed, …). A folder that holds another run is
            refused, so that two experiments never mix. None accepts whatever is there.
        told: what else the manifest says of the run, such as the env's settings; it binds nobody.
        compression: "none" or "zstd" (needs the zstandard package); an existing folder keeps its own.
        sync_s: longest time between a line's write and its ``fdatasync``; 0 syncs every line.

    Raises:
        UserError: not a trajectory store, another schema version, or another run.
    """

    def __init__(
        self,
        path: str | Path,
        *,
        run: Mapping[str, Any] | None = None,
        told: Mapping[str, Any] | None = None,
        compression: Compression = "none",
        sync_s: float = 1.0,
    ) -> None:
        self.path = Path(path)
        self.manifest = _open_manifest(self.path, run, told or {}, compression)
        self.run: dict[str, Any] = self.manifest["run"]
        chosen: Compression = self.manifest["compression"]
        self.torn: list[TornTail] = [*repair(self.path / "shards"), *repair(self.path / "failures")]
        self._shards = ShardWriter(self.path / "shards", compression=chosen, sync_s=sync_s)
        self._failures = ShardWriter(self.path / "failures", compression=chosen, sync_s=sync_s)

    def ids(self) -> set[str]:
        """Return the ids of the episodes that are done (infrastructure failures are not)."""
        return set(_ids(self.path / "shards"))

    def failed_ids(self) -> set[str]:
        """Return the ids of episodes that the infrastructure broke and that were not done since."""
        return set(_ids(self.path / "failures")) - self.ids()

    def append(self, trajectory: Trajectory) -> None:
        """Append one episode; an infrastructure error goes to ``failures/``, all else to ``shards/``."""
        self.append_line(to_line(trajectory), failed=trajectory.outcome == "infrastructure_error")

    def append_line(self, line: bytes, *, failed: bool) -> None:
        """Append a record that `to_line` dumped already (what a worker sends)."""
        (self._failures if failed else self._shards).append(line)

    def __iter__(self) -> Iterator[Trajectory]:
        return read_trajectories(self.path)

    def close(self) -> None:
        """Sync and release the shards."""
        self._shards.close()
        self._failures.close()

    def __enter__(self) -> TrajectoryStore:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def read_manifest(path: str | Path) -> dict[str, Any]:
    """Return a store's manifest.

    Raises:
        UserError: no store there, not readable, or of a schema version that this release doesn't know.
    """
    file = Path(path) / MANIFEST
    try:
        value = json.loads(file.read_bytes())
    except FileNotFoundError:
        raise UserError(
            f"{path} is not a trajectory store: it has no {MANIFEST}. `ise rollout --out DIR` makes one."
        ) from None
    except (OSError, ValueError) as error:
        raise UserError(f"{file}: can't be read ({error}).") from error
    if not isinstance(value, dict) or value.get("format") != FORMAT:
        raise UserError(f'{file}: not the manifest of a trajectory store ("format" is not "{FORMAT}").')
    if value.get("schema_version") not in READABLE:
        raise UserError(
            f"{file}: schema version {value.get('schema_version')}; this release of ise_gym reads versions "
            f"{READABLE[0]} to {SCHEMA_VERSION}. Use the release that wrote it, or roll out into a new folder."
        )
    return value


def read_trajectories(path: str | Path, *, failures: bool = False) -> Iterator[Trajectory]:
    """Stream the trajectories of a store folder, or of one JSONL file (``.zst`` too), in constant memory.

    A store's half-written last line is left out (its episode counts as not done); a lone file's is not.

    Args:
        path: folder or file.
        failures: read the episodes that the infrastructure broke instead (folders only).

    Raises:
        UserError: nothing there, or a line that isn't a trajectory: names file, line and field.
    """
    for file, number, line in raw_records(path, failures=failures):
        yield parse_line(line, f"{file}, line {number}")


def raw_records(path: str | Path, *, failures: bool = False) -> Iterator[tuple[Path, int, bytes]]:
    """Yield (file, line number, line) of what `read_trajectories` would parse."""
    root = Path(path)
    if root.is_dir():
        read_manifest(root)
        for shard in shard_paths(root / ("failures" if failures else "shards")):
            for number, line in complete_lines(shard):
                yield shard, number, line
    elif root.exists():
        for number, line in read_lines(root):
            if line.strip():
                yield root, number, line
    else:
        raise UserError(
            f"{root}: no such file or folder. Give a store (what `ise rollout` wrote) or a JSONL file."
        )


def parse_line(line: bytes, where: str) -> Trajectory:
    """Parse one record; ``where`` goes into the `UserError` for a bad one."""
    try:
        return Trajectory.model_validate(upgraded(_decoded(line)))
    except ValidationError as error:
        first = error.errors()[0]
        field = ".".join(str(part) for part in first["loc"])
        raise UserError(f"{where}: not a trajectory: {field or 'the line'}: {first['msg']}.") from error
    except ValueError as error:
        raise UserError(f"{where}: not JSON ({error}).") from error
    except (
        RecursionError,
        TypeError,
        KeyError,
        AttributeError,
    ) as error:  # nested too deeply; odd in an old version
        what = "nested too deeply" if isinstance(error, RecursionError) else f"not a trajectory ({error!r})"
        raise UserError(f"{where}: {what}.") from error


def _decoded(line: bytes) -> Any:
    """Decode a line; numbers that JSON has not are refused, since no record could be written with them again."""
    return json.loads(line, parse_float=finite_float, parse_constant=refuse_constant)


def _ids(folder: Path) -> Iterator[str]:
    """Ids of all complete lines; the id stands near a line's start, so the rest need not be parsed."""
    for shard in shard_paths(folder):
        for number, line in complete_lines(shard):
            if match := _ID.match(line):
                try:
                    yield json.loads(match[1])
                except ValueError as error:
                    raise UserError(f"{shard}, line {number}: not JSON ({error}).") from error
            else:
                yield parse_line(line, f"{shard}, line {number}").episode_id


def _open_manifest(
    path: Path, run: Mapping[str, Json] | None, told: Mapping[str, Json], compression: Compression
) -> dict[str, Any]:
    wanted = {
        "format": FORMAT,
        "schema_version": SCHEMA_VERSION,
        "compression": compression,
        "run": json.loads(canonical_json(dict(run or {}))),
        **json.loads(canonical_json(dict(told))),
    }
    if path.exists() and not path.is_dir():
        raise UserError(f"{path}: it is a file, but a trajectory store is a folder. Give another --out.")
    # looked for after what else is there: whoever opens the same new store at once writes its manifest first
    if path.is_dir() and any(_foreign(path)) and not (path / MANIFEST).exists():
        raise UserError(f"{path}: it is not empty and has no {MANIFEST}. Give an empty or new folder.")
    try:
        path.mkdir(parents=True, exist_ok=True)
        _create_once(path / MANIFEST, wanted)
    except OSError as error:
        if (blocked := file_above(path)) is not None:
            raise UserError(f"{path}: can't be written: {blocked} is a file, not a folder.") from error
        raise UserError(f"{path}: can't be written ({error.strerror}).") from error
    found = read_manifest(path)
    if found["schema_version"] != SCHEMA_VERSION:
        # its lines stay as they are, each names its version; but a release that knows only those must not read on
        found = {**found, "schema_version": SCHEMA_VERSION}
        _replace(path / MANIFEST, found)
    if run is not None and found != wanted and not has_records(path):
        _replace(path / MANIFEST, wanted)  # an attempt that recorded nothing doesn't bind the folder
        found = wanted
    if run is not None and found["run"] != wanted["run"]:
        raise UserError(
            f"{path} holds another run ({_differences(found['run'], wanted['run'])}). "
            "Give the same arguments to resume it, or another folder."
        )
    return found


def _foreign(path: Path) -> Iterator[Path]:
    """Files that a crash before the manifest can't explain."""
    return (p for p in path.iterdir() if not p.name.startswith((".", MANIFEST)))


def has_records(path: Path) -> bool:
    """Tell whether anything was recorded in a store's folder."""
    return any(p.stat().st_size for folder in ("shards", "failures") for p in shard_paths(path / folder))


def _create_once(path: Path, manifest: Mapping[str, Json]) -> None:
    """Put a manifest in place whole, unless there is one: of several racing processes or threads the first wins."""
    if path.exists():
        return
    draft = _draft(path, manifest)
    try:
        os.link(draft, path)
    except FileExistsError:
        pass  # another writer was faster; what it wrote is checked by the caller
    finally:
        draft.unlink()


def _replace(path: Path, manifest: Mapping[str, Json]) -> None:
    _draft(path, manifest).replace(path)


def _draft(path: Path, manifest: Mapping[str, Json]) -> Path:
    draft = path.with_name(f"{path.name}.{os.getpid()}.{threading.get_native_id()}.tmp")
    with draft.open("w", encoding="utf-8") as file:
        json.dump(manifest, file, indent=2, ensure_ascii=False)
        file.write("\n")
        file.flush()
        os.fsync(file.fileno())
    return draft


def _differences(found: Mapping[str, Json], wanted: Mapping[str, Json]) -> str:
    return "; ".join(_changed(found, wanted))


def _changed(found: Mapping[str, Json], wanted: Mapping[str, Json], within: str = "") -> Iterator[str]:
    for key in sorted({*found, *wanted}):
        was, now = found.get(key), wanted.get(key)
        if was == now:
            continue
        if isinstance(was, dict) and isinstance(now, dict):
            yield from _changed(was, now, f"{within}{key}.")
        elif max(len(repr(was)), len(repr(now))) > _LONGEST_SHOWN:  # such as the hashes of many files
            yield f"{within}{key} differs"
        else:
            yield f"{within}{key} was {was!r}, now {now!r}"
