"""Carries a selection out: reads facts, chooses, copies. Stopped at any point, it goes on where it was.

Layout of what it makes::

    OUT/manifest.json, OUT/shards/…      a trajectory store with the chosen episodes, byte for byte as they were
    OUT/selection/facts-HASH.jsonl       what was read of each episode, append-only; HASH is of what facts depend on
    OUT/selection/fell.jsonl             every other episode: the rule that it fell to, and why
    OUT/selection/card.json, README.md   the figures, and the datasheet

The source is read twice, one line at a time; between the readings only facts are in memory.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import partial
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from ise_gym.errors import UserError
from ise_gym.messages import sha256_of
from ise_gym.storage.appendlog import AppendLog, Locked, raw_lines
from ise_gym.storage.atomic import replacing
from ise_gym.trajectory.record import SCHEMA_VERSION
from ise_gym.trajectory.scan.parts import Part, lines_of, parts_of
from ise_gym.trajectory.scan.workers import in_parts
from ise_gym.trajectory.select.choosing import Chosen, choose
from ise_gym.trajectory.select.facts import VERSION, Facts, facts_of
from ise_gym.trajectory.select.rules import FOLDER, Selection
from ise_gym.trajectory.store import TrajectoryStore, parse_line, raw_records

Progress = Callable[[str, int], None]


def select_store(
    source: str | Path,
    out: str | Path,
    rules: Selection,
    on_progress: Progress | None = None,
    *,
    workers: int = 1,
) -> tuple[Chosen, list[Facts]]:
    """Choose from a store and write what was chosen as a store of its own.

    Args:
        source: a store folder or a JSONL file of trajectories.
        out: a folder that holds nothing, or an earlier attempt at the same selection (which is taken up again).
        rules: what to choose.
        on_progress: called with the stage (``read``, ``write``) and how many episodes it has done.
        workers: processes that read the source; 0 is one a processor. What is chosen doesn't depend on it.

    Returns:
        What was chosen and why the rest fell, and the facts of all episodes.

    Raises:
        UserError: a bad source, rules that leave nothing to keep, or a folder that holds something else.
    """
    if Path(source).resolve() == Path(out).resolve():
        raise UserError(f"{out}: is the source; give another folder.")
    if rules.near and rules.on("duplicate") and not find_spec("datasketch"):
        raise UserError(
            "near duplicates are found with the datasketch library: pip install 'ise-gym[dedup]', or give --near 0"
        )
    progress = on_progress or (lambda stage, count: None)
    run: dict[str, Any] = {"selected": Path(source).name, "rules": json.loads(json.dumps(asdict(rules)))}
    with TrajectoryStore(out, run=None):  # makes or checks the folder before anything is put into it
        pass
    facts = list(read_facts(source, Path(out) / FOLDER, rules, progress, workers=workers))
    chosen = choose(facts, rules)
    _write(source, out, {**run, "chosen": sha256_of(sorted(chosen.kept))}, facts, chosen, progress)
    why = {entry.id: entry.broken for entry in facts}
    with replacing(Path(out) / FOLDER / "fell.jsonl") as file:
        for episode, (rule, words) in chosen.fell.items():
            line = {
                "episode_id": episode,
                "rule": rule,
                "why": words,
                "also": sorted({*why[episode]} - {rule}),
            }
            file.write(json.dumps(line, ensure_ascii=False).encode("utf-8", "backslashreplace") + b"\n")
    return chosen, facts


def read_facts(
    source: str | Path, folder: Path, rules: Selection, progress: Progress, *, workers: int = 1
) -> Iterator[Facts]:
    """Yield the facts of each episode of a source, the first record of an id; what is known is not read again."""
    folder.mkdir(parents=True, exist_ok=True)
    compare = bool(rules.near) and rules.on("duplicate")
    depends = sha256_of([VERSION, SCHEMA_VERSION, rules.episode_rules(), compare])[:12]
    path = folder / f"facts-{depends}.jsonl"
    try:
        log = AppendLog(path, side_file=lambda at: folder / "torn" / f"{path.stem}-{at}", sync_s=2.0)
    except Locked:
        raise UserError(
            f"{path}: another selection is writing there; wait for it or give another folder."
        ) from None
    try:
        known = {entry.line: entry for entry in _kept(path)}
        parts, seen = list(_with_known(parts_of(source), known)), set[str]()
        read = partial(_read_part, rules, compare)
        for count, (digest, taken) in enumerate(in_parts(parts, read, workers), 1):
            entry = taken or known.get(digest)
            assert entry is not None
            if taken is not None:
                known[digest] = taken
                log.append(json.dumps(entry.to_json(), ensure_ascii=True).encode() + b"\n")
            progress("read", count)
            if entry.id not in seen:  # an id is in a store once; a lone file may repeat it
                seen.add(entry.id)
                yield entry
    finally:
        log.close()


@dataclass(frozen=True)
class _Known(Part):
    """A part, and the hashes of those of its lines whose facts are known."""

    known: frozenset[str] = frozenset()


def _with_known(parts: Iterable[Part], known: Mapping[str, Facts]) -> Iterator[_Known]:
    of_episode: dict[str, list[str]] = {}
    for digest, entry in known.items():
        of_episode.setdefault(entry.id, []).append(digest)
    for part in parts:
        own = [digest for entry in part.entries for digest in of_episode.get(entry.episode, ())]
        yield _Known(**vars(part), known=frozenset(own if part.entries else known))


def _read_part(rules: Selection, compare: bool, part: _Known) -> Iterator[tuple[str, Facts | None]]:
    """Yield of each line its hash, and the facts of one that is not known."""
    for number, line in lines_of(part):
        digest, where = line_hash(line), f"{part.path}, line {number}"
        if digest in part.known:
            yield digest, None
        else:
            yield digest, facts_of(parse_line(line, where), digest, rules, compare=compare)


def _kept(path: Path) -> Iterator[Facts]:
    for number, line in enumerate(raw_lines(path), 1):
        try:
            yield Facts(**json.loads(line))
        except (ValueError, TypeError) as error:
            raise UserError(
                f"{path}, line {number}: not the facts of an episode ({error}); delete the file."
            ) from None


def _write(
    source: str | Path,
    out: str | Path,
    run: Mapping[str, object],
    facts: Sequence[Facts],
    chosen: Chosen,
    progress: Progress,
) -> None:
    """Copy the chosen episodes in the order of the source, byte for byte; those that are there already stay."""
    wanted = set(chosen.kept)
    with TrajectoryStore(out, run=run) as store:
        there = store.ids()
        missing = {entry.line for entry in facts if entry.id in wanted - there}
        done = len(wanted & there)
        for _, _, line in raw_records(source):
            if (digest := line_hash(line)) in missing:
                missing.discard(digest)
                store.append_line(line.rstrip(b"\r\n") + b"\n", failed=False)
                done += 1
                progress("write", done)


def line_hash(line: bytes) -> str:
    """Return the hash by which the facts of a record are known."""
    return hashlib.sha256(line.rstrip(b"\r\n")).hexdigest()[:24]
