"""A folder of trajectories that survives any crash and can be resumed.

Layout::

    DIR/manifest.json            format, schema version, compression, and what was run
    DIR/shards/part-00000.jsonl  one trajectory per line, in the order in which the episodes ended
    DIR/failures/…               the same, of episodes that the infrastructure broke; kept apart
    DIR/index/…                  of each shard: where its lines are, whose they are, and their checksums
    DIR/torn/…                   half-written lines of killed writers, and damaged ones, set aside

Nothing but the manifest is ever rewritten: of a store that is still empty, and when an older store is written
on. How lines are written, locked and repaired: `ise_gym.trajectory.shards`. The index can always be made again.
"""

from __future__ import annotations

import json
import os
import threading
from collections.abc import Iterable, Iterator, Mapping
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
from ise_gym.trajectory.lines.checking import decoded_id
from ise_gym.trajectory.lines.index import ShardIndex, checksum, deleted_shards, episode_of, read_index
from ise_gym.trajectory.lines.reading import read_lines, units
from ise_gym.trajectory.migrate import READABLE, upgraded
from ise_gym.trajectory.record import SCHEMA_VERSION, Trajectory, to_line
from ise_gym.trajectory.shards import Compression, Settled, ShardWriter, settle_all, shard_paths

FORMAT = "ise_gym trajectories"
MANIFEST = "manifest.json"
OWN_KEYS = ("format", "schema_version", "compression", "run")
"""Keys of a manifest that are the store's own; others tell of the run and bind nobody."""
_LONGEST_SHOWN = 200
"""Characters of a value that a message about another run quotes."""


class TrajectoryStore:
    """Append-only store of episodes; safe for several writing processes, each with its own instance.

    Args:
        path: the folder; made when missing.
        run: what is being run, as JSON (intents, agent, user, seed, …). A folder that holds another run is
            refused, so that two experiments never mix. None accepts whatever is there.
        told: what else the manifest says of the run, such as the env's settings; it binds nobody.
        compression: "none" or "zstd" (needs the zstandard package); an existing folder keeps its own.
        sync_s: longest time between a line's write and its ``fdatasync``; 0 syncs every line.

    Attributes:
        torn: half lines that killed writers had left, now set aside.
        gone: ids of episodes whose records the index knows and the shards no longer have; they count as not done.

    Raises:
        UserError: not a trajectory store, another schema version, another run, or one that is damaged
            (`ise_gym.trajectory.scan.verify` sets aside what is).
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
        _refuse_deleted(self.path)
        settled = [*settle_all(self.path / "shards"), *settle_all(self.path / "failures")]
        _refuse_damaged(self.path, settled)
        self.torn: list[TornTail] = [found.torn for found in settled if found.torn]
        self.gone: list[str] = [
            entry.episode for found in settled if found.checked for entry in found.checked.gone
        ]
        self._shards = ShardWriter(self.path / "shards", compression=chosen, sync_s=sync_s)
        self._failures = ShardWriter(self.path / "failures", compression=chosen, sync_s=sync_s)

    def ids(self) -> set[str]:
        """Return the ids of the episodes that are done (infrastructure failures are not)."""
        return recorded_ids(self.path)

    def failed_ids(self) -> set[str]:
        """Return the ids of episodes that the infrastructure broke and that were not done since."""
        return recorded_ids(self.path, failures=True) - self.ids()

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


def read_trajectories(
    path: str | Path, *, failures: bool = False, deleted_ok: bool = False
) -> Iterator[Trajectory]:
    """Stream the trajectories of a store folder, or of one JSONL file (``.zst`` too), in constant memory.

    A store's half-written last line is left out (its episode counts as not done); a lone file's is not.

    Args:
        path: folder or file.
        failures: read the episodes that the infrastructure broke instead (folders only).
        deleted_ok: read on where a shard is deleted, for readers that have another source of what was in it.

    Raises:
        UserError: nothing there, a shard that is deleted, or a line that isn't a trajectory or is damaged: names file,
            line and field.
    """
    for file, number, line in raw_records(path, failures=failures, deleted_ok=deleted_ok):
        yield parse_line(line, f"{file}, line {number}")


def raw_records(
    path: str | Path, *, failures: bool = False, deleted_ok: bool = False
) -> Iterator[tuple[Path, int, bytes]]:
    """Yield (file, line number, line) of what `read_trajectories` would parse.

    Raises:
        UserError: nothing there, a shard that is deleted, or a line that is not what was written.
    """
    root = Path(path)
    if root.is_dir():
        for shard in readable_shards(root, failures=failures, deleted_ok=deleted_ok):
            for number, _, _, line in sound_lines(shard):
                yield shard, number, line
    elif root.exists():
        for number, line in read_lines(root):
            if line.strip():
                yield root, number, line
    else:
        raise UserError(
            f"{root}: no such file or folder. Give a store (what `ise rollout` wrote) or a JSONL file."
        )


def readable_shards(root: Path, *, failures: bool = False, deleted_ok: bool = False) -> list[Path]:
    """Return the shards of a store, in their order; raises `UserError` for no store and for a deleted shard."""
    read_manifest(root)
    if not deleted_ok:
        _refuse_deleted(root)
    return shard_paths(root / ("failures" if failures else "shards"))


def sound_lines(
    shard: Path, start: int = 0, stop: int | None = None, first: int = 1, index: ShardIndex | None = None
) -> Iterator[tuple[int, int, int, bytes]]:
    """Yield (number, start, end, line) of a shard's lines, or of a piece of it whose first line is the ``first``.

    What was set aside is passed over. What the index does not know yet is taken as it is. ``index``: what is known of
    the piece; by default the shard's own is read.

    Raises:
        UserError: a line that is not what was written; names it.
    """
    index = read_index(shard) if index is None else index
    known = {entry.checksum for entry in index.entries}
    starts = [entry.start for entry in index.entries] if shard.name.endswith(".zst") else []
    for number, (begin, end, line) in enumerate(units(shard, start, stop, starts), first):
        if line is None or (begin < index.size and line.strip() and checksum(line) not in known):
            whose = next((e.episode for e in index.entries if e.start <= begin < e.end), "")
            raise UserError(
                f"{shard}, line {number}{f' (episode {whose})' if whose else ''}: damaged, it is not what was "
                f"written. {_mend(shard.parent.parent)}"
            )
        if line.strip():
            yield number, begin, end, line


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


def recorded_ids(root: Path, *, failures: bool = False) -> set[str]:
    """Return the ids of a store's records (or of those that the infrastructure broke), mostly from its indexes."""
    return set(_ids(root / ("failures" if failures else "shards")))


def _ids(folder: Path) -> Iterator[str]:
    """Ids of all complete lines, from the indexes; lines that no index knows yet are looked at."""
    for shard in shard_paths(folder):
        index = read_index(shard)
        yield from (entry.episode for entry in index.entries if entry.episode)
        for number, _, _, line in sound_lines(shard, index.size, first=len(index.entries) + 1):
            try:
                yield episode_of(line) or decoded_id(line)
            except ValueError as error:
                raise UserError(f"{shard}, line {number}: not JSON ({error}).") from error


def _refuse_deleted(root: Path) -> None:
    for shard, index in deleted_shards(root):
        raise UserError(
            f"{shard}: this shard is deleted; it held {len(index.entries)} episodes. Put it back, or go on without "
            f"it after `ise verify {root} --repair`: what it held then counts as not done."
        )


def _refuse_damaged(root: Path, settled: Iterable[Settled]) -> None:
    damaged = [damage for found in settled if found.checked for damage in found.checked.damaged]
    if damaged:
        more = f" and {len(damaged) - 1} more" if damaged[1:] else ""
        raise UserError(f"{root}: damaged: {damaged[0]}{more}. {_mend(root)}")


def _mend(root: Path) -> str:
    return (
        f"`ise verify {root}` names all that is damaged; with --repair it sets it aside, nothing else is lost, "
        "and a rollout into the store then plays those episodes again."
    )


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
