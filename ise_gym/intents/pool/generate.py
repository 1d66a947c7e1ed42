"""Writes a pool of intents: ``intents.jsonl`` and a manifest that says what is in it and what was left out.

Intents are made by worker processes in chunks and put together in order, so the pool is the same whatever
the number of workers. What reads badly or repeats another is left out and counted.
"""

from __future__ import annotations

import json
import multiprocessing
import os
from collections import Counter, deque
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import Future, ProcessPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ise_gym.errors import UserError
from ise_gym.intents.lines import IntentLine, line_of
from ise_gym.intents.pool.dedup import Deduplicator, signature
from ise_gym.intents.source import IntentSource
from ise_gym.messages import canonical_json
from ise_gym.personas.lint import voice_problems
from ise_gym.storage.atomic import replacing
from ise_gym.storage.digest import file_sha256

FILE, MANIFEST = "intents.jsonl", "manifest.json"
POOL_STRIDE = 1_000_000_000
"""Pool seed s has the scenario seeds s·10⁹, s·10⁹+1, …: pools of different seeds share none."""

_CHUNK = 250
_WORTH_WORKERS = 1500


@dataclass(frozen=True)
class Candidate:
    """One intent on its way into a pool: its line, what is wrong with its texts, its MinHash signature."""

    line: IntentLine
    problems: tuple[str, ...] = ()
    minhash: Any = None


@dataclass
class Tally:
    """What a pool holds, counted while it is written."""

    intents: int = 0
    requests: int = 0
    axes: dict[str, Counter[str]] = field(
        default_factory=lambda: {
            axis: Counter() for axis in ("complexity", "register", "domains", "tasks", "domain_sets")
        }
    )
    instances: set[str] = field(default_factory=set)
    refused: int = 0
    problems: Counter[str] = field(default_factory=Counter)
    examples: list[dict[str, str]] = field(default_factory=list)

    def add(self, line: IntentLine) -> None:
        """Count one intent."""
        self.intents += 1
        self.requests += line.requests
        self.axes["complexity"][line.complexity] += 1
        self.axes["register"][line.persona["register"]] += 1
        self.axes["domains"].update(line.domains)
        self.axes["tasks"].update(line.tasks)
        self.axes["domain_sets"]["+".join(line.domains)] += 1
        self.instances.update(line.fingerprints.values())

    def refuse(self, candidate: Candidate) -> None:
        """Count one intent that reads badly."""
        self.refused += 1
        self.problems.update({problem.partition(":")[0] for problem in candidate.problems})
        if len(self.examples) < 10:
            self.examples.append({"id": candidate.line.id, "problem": candidate.problems[0]})

    def to_json(self) -> dict[str, Any]:
        """Return the counts, sorted by name."""
        counts = {axis: dict(sorted(values.items())) for axis, values in self.axes.items()}
        return {
            "count": self.intents,
            "requests": self.requests,
            "distinct_task_instances": len(self.instances),
            "quality": {
                "refused": self.refused,
                "removed": dict(sorted(self.problems.items())),
                "examples": self.examples,
            },
            **counts,
        }


def generate(
    count: int,
    seed: int,
    out: Path | str,
    *,
    dedup: str = "normalised",
    self_contained: bool = True,
    workers: int | None = None,
    on_progress: Callable[[int, int], None] | None = None,
    **options: Any,
) -> Path:
    """Make intents and write those that pass; both files appear whole or not at all.

    Args:
        count: how many are made; duplicates and texts with faults are left out and counted in the manifest.
        seed: of the pool; the same seed, options and catalog give the same bytes.
        out: folder, made if it isn't there. The same pool is written over itself, another one never.
        dedup: "none", "exact", "normalised" or "minhash": the last stage of `ise_gym.intents.pool.dedup`,
            which judges the whole text: two people may want the same in brief.
        self_contained: each line carries its scenario, so that it can be played under any later catalog;
            without, lines are a sixth of the size and need the catalog that they were drawn from.
        workers: processes; by default one for small pools, else one a core.
        on_progress: called with (made, count).
        **options: of `IntentSource`.

    Returns:
        The path of ``intents.jsonl``.

    Raises:
        UserError: a bad option, a folder that holds other intents, or one that can't be written.
    """
    source = IntentSource(**options)
    admitted, tally, folder = Deduplicator(dedup), Tally(), Path(out)  # type: ignore[arg-type]
    if workers is None:
        workers = 1 if count < _WORTH_WORKERS else len(os.sched_getaffinity(0))
    if (folder / MANIFEST).is_dir():  # written last; what can't be is said before anything is made
        raise UserError(f"{folder / MANIFEST}: can't be written: it is a folder, not a file.")
    drawn_from = {
        "catalog": source.catalog,
        "seed": seed,
        "options": source.described(),
        "drawn": count,
        "self_contained": self_contained,
        "stage": dedup,
    }
    refuse_another_pool(folder, drawn_from)
    try:
        with replacing(folder / FILE) as file:
            made = candidates(source, seed, count, workers, dedup == "minhash", self_contained)
            for done, candidate in enumerate(made, 1):
                if candidate.problems:
                    tally.refuse(candidate)
                elif admitted.admit(candidate.line.id, candidate.line.whole, candidate.minhash):
                    file.write(
                        (canonical_json(candidate.line.model_dump(exclude_defaults=True)) + "\n").encode()
                    )
                    tally.add(candidate.line)
                if on_progress is not None:
                    on_progress(done, count)
        manifest = {
            **drawn_from,
            "points_of_the_space": source.sampler.space(),
            "dedup": admitted.report(),
            **tally.to_json(),
            "sha256": file_sha256(folder / FILE),
        }
        with replacing(folder / MANIFEST) as file:
            file.write((json.dumps(manifest, indent=2, ensure_ascii=False) + "\n").encode())
    except OSError as error:
        raise UserError(f"{folder}: can't be written ({error.strerror or error})") from None
    return folder / FILE


def refuse_another_pool(folder: Path, drawn_from: Mapping[str, object]) -> None:
    """Refuse a folder whose intents were drawn otherwise, or were changed since: nobody's pool is written over.

    Args:
        folder: where a pool is to be written.
        drawn_from: what the new pool's manifest will say of how it was drawn.

    Raises:
        UserError: says what differs.
    """
    if not (folder / FILE).exists():
        return
    try:
        found = json.loads((folder / MANIFEST).read_text(encoding="utf-8"))
        differing = [name for name, value in drawn_from.items() if found.get(name) != value]
        if not differing and found.get("sha256") != file_sha256(folder / FILE):
            differing = ["lines, which were changed since"]
    except (OSError, ValueError, AttributeError):
        differing = [f"manifest, which is no {MANIFEST} of a pool"]
    if differing:
        raise UserError(
            f"{folder} holds another pool of intents (it has another {', another '.join(differing)}): "
            "give --out a folder of its own, or delete that pool first."
        )


def candidates(
    source: IntentSource,
    seed: int,
    count: int,
    workers: int,
    with_minhash: bool,
    self_contained: bool = False,
) -> Iterator[Candidate]:
    """Yield the intents of a pool in order, with worker processes where there are several."""
    starts = range(seed * POOL_STRIDE, seed * POOL_STRIDE + count, _CHUNK)
    chunks = [(start, min(_CHUNK, seed * POOL_STRIDE + count - start)) for start in starts]
    if workers <= 1 or len(chunks) == 1:
        for start, size in chunks:
            yield from _chunk(source, start, size, with_minhash, self_contained)
        return
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(
        workers, mp_context=context, initializer=_open, initargs=(source, source.catalog)
    ) as pool:
        waiting: deque[Future[list[Candidate]]] = deque()
        try:
            for start, size in chunks:
                waiting.append(pool.submit(_chunk_in_worker, start, size, with_minhash, self_contained))
                if len(waiting) > 2 * workers:
                    yield from waiting.popleft().result()
            while waiting:
                yield from waiting.popleft().result()
        finally:
            pool.shutdown(cancel_futures=True)


_worker_source: IntentSource | None = None
"""The source of this process, when it is a worker: opening the catalog takes seconds, so it is done once."""
_wanted_catalog = ""


def _open(source: IntentSource, catalog: str) -> None:
    global _worker_source, _wanted_catalog
    _worker_source, _wanted_catalog = source, catalog


def _chunk_in_worker(start: int, size: int, with_minhash: bool, self_contained: bool) -> list[Candidate]:
    assert _worker_source is not None
    if _worker_source.catalog != _wanted_catalog:
        raise UserError("the catalog's files changed while the pool was being drawn; draw it again")
    return _chunk(_worker_source, start, size, with_minhash, self_contained)


def _chunk(
    source: IntentSource, start: int, size: int, with_minhash: bool, self_contained: bool
) -> list[Candidate]:
    found = []
    for number in range(start, start + size):
        intent = source.intent(number)
        problems = voice_problems(intent.text) + voice_problems(intent.brief)
        minhash = signature(intent.text) if with_minhash else None
        line = line_of(intent, source, self_contained=self_contained and not problems)
        found.append(Candidate(line, tuple(problems), minhash))
    return found
