"""Says whether a store is what was written into it, and sets aside what is not.

Every byte of every shard is read and compared with its index; lines that the index does not know are parsed. Nothing
is ever thrown away: what is set aside goes to the store's ``torn/``, and its episode counts as not done.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

from ise_gym.errors import UserError
from ise_gym.trajectory.lines.checking import Damage, check
from ise_gym.trajectory.lines.index import deleted_shards, index_path, read_index, sealed
from ise_gym.trajectory.scan.parts import Part
from ise_gym.trajectory.scan.workers import in_parts
from ise_gym.trajectory.shards import adopt, settle, shard_paths
from ise_gym.trajectory.store import parse_line, read_manifest

FOLDERS = ("shards", "failures")


@dataclass
class ShardReport:
    """What became of one shard.

    Attributes:
        shard: which.
        lines: sound ones; ``added``: of them, such as its index did not know before.
        damaged: pieces that are not what was written, and are there still.
        aside: those that were set aside, and where to.
        gone: episodes that the index knew and the shard has no more.
        torn: bytes of half a line at its end; the next writer sets them aside.
        busy: somebody is writing there, so nothing was repaired.
        deleted: the shard is not there at all; ``gone`` says what it held.
    """

    shard: Path
    lines: int = 0
    added: int = 0
    damaged: list[Damage] = field(default_factory=list)
    aside: list[tuple[Damage, Path]] = field(default_factory=list)
    gone: list[str] = field(default_factory=list)
    torn: int = 0
    busy: bool = False
    deleted: bool = False

    @property
    def name(self) -> str:
        """The shard's path within its store."""
        return f"{self.shard.parent.name}/{self.shard.name}"


@dataclass
class Verified:
    """What a verification found, shard by shard, and whether it repaired."""

    shards: list[ShardReport]
    repaired: bool

    @property
    def lines(self) -> int:
        """Sound lines of the whole store."""
        return sum(report.lines for report in self.shards)

    @property
    def whole(self) -> bool:
        """Whether nothing is left to repair."""
        left = any(report.damaged for report in self.shards)
        return not left and (self.repaired or not any(report.gone for report in self.shards))


def verify_store(store: str | Path, *, repair: bool = False, workers: int = 1) -> Verified:
    """Read a whole store and compare it with its indexes; a store without them gets them.

    Args:
        store: the folder.
        repair: set aside what is damaged, and the indexes of shards that are deleted.
        workers: processes, one a shard at a time; 0 is one a processor.

    Raises:
        UserError: not a store, or a file that can't be read or written.
    """
    root = Path(store)
    read_manifest(root)
    gone = [
        ShardReport(shard, gone=[entry.episode for entry in index.entries], deleted=True)
        for shard, index in deleted_shards(root)
    ]
    parts = [
        Part(shard, size=shard.stat().st_size) for folder in FOLDERS for shard in shard_paths(root / folder)
    ]
    reports = list(in_parts(parts, partial(_verified, repair), workers))
    if repair:
        for report in gone:
            _forget(report.shard)
    return Verified([*gone, *reports], repair)


def _verified(repair: bool, part: Part) -> Iterator[ShardReport]:
    report = ShardReport(part.path)
    if repair:
        found = settle(part.path, trust=False, repair=True, decode=_decoded)
        report.busy = found is None
        if found is not None and found.checked is not None:
            report.aside, report.torn = found.aside, found.torn.size if found.torn else 0
            report.lines, report.added = len(found.checked.sound), found.checked.added
            report.gone = [entry.episode for entry in found.checked.gone]
    if not repair or report.busy:
        index = read_index(part.path)
        checked = check(part.path, index, _decoded)
        report.lines, report.added, report.damaged = len(checked.sound), checked.added, checked.damaged
        report.gone = [entry.episode for entry in checked.gone]
        report.torn = part.path.stat().st_size - checked.size
        if not (report.damaged or report.gone or report.torn or report.busy) and not sealed(part.path):
            adopt(part.path, index, checked)
    yield report


def _decoded(line: bytes) -> str:
    return parse_line(line, "the line").episode_id


def _forget(shard: Path) -> None:
    """Move the index of a deleted shard away, so that the store goes on without it."""
    path = index_path(shard)
    folder = shard.parent.parent / "torn"
    try:
        folder.mkdir(exist_ok=True)
        number = 0
        while (target := folder / f"deleted-{path.name}.{number}").exists():
            number += 1
        path.replace(target)
    except OSError as error:
        raise UserError(f"{path}: can't be moved to {folder} ({error.strerror}).") from error
