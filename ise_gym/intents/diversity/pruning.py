"""Writes a file of intents again without embedding near-duplicates: the stage after MinHash."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from ise_gym.intents.diversity.embedding import EmbeddingCache
from ise_gym.intents.diversity.near import near_duplicates
from ise_gym.intents.diversity.pool import read_pool
from ise_gym.intents.diversity.report import measured
from ise_gym.storage.atomic import replacing

_EXAMPLES, _EXCERPT = 5, 160


@dataclass(frozen=True)
class Pruned:
    """What was left out.

    Attributes:
        texts, removed: how many there were and how many went.
        judged: which key of the lines the texts were read from.
        label: of the embedder; ``cut``: texts of which it saw only the beginning.
        examples: (beginning of the one left out, of the one kept, their cosine).
    """

    texts: int
    removed: int
    label: str
    cut: int
    examples: tuple[tuple[str, str, float], ...]
    judged: str


def prune(
    path: Path | str,
    out: Path,
    threshold: float,
    open_cache: Callable[[Path], EmbeddingCache],
    on_progress: Callable[[int, int], None] | None = None,
) -> Pruned:
    """Copy the lines of a file whose texts are no near-duplicates of an earlier one, letter by letter.

    Args:
        path: JSONL file of intents or queries; the whole text is judged where a line has one. A line without a text is
            an error here, not a thing to drop.
        out: file to write.
        threshold: cosine from which two texts count as the same.
        open_cache: makes the embeddings' cache; it is given the folder of the file.
        on_progress: of the embedding.

    Raises:
        UserError: unreadable file or bad lines.
    """
    pool = read_pool(path, "whole")
    pool.require_whole()
    embedded = open_cache(pool.path.parent).embed(pool.texts, on_progress)
    twins = near_duplicates(embedded.vectors, threshold)
    lines = [line for line in pool.path.read_text(encoding="utf-8").splitlines() if line.strip()]
    with replacing(out) as file:
        for position, line in enumerate(lines):
            if position not in twins:
                file.write((line + "\n").encode())
    examples = tuple(
        (
            _excerpt(pool.texts[gone]),
            _excerpt(pool.texts[kept]),
            float(embedded.vectors[gone] @ embedded.vectors[kept]),
        )
        for gone, kept in list(twins.items())[:_EXAMPLES]
    )
    return Pruned(
        len(lines), len(twins), embedded.label, embedded.cut, examples, measured(Counter(pool.keys))
    )


def _excerpt(text: str) -> str:
    return " ".join(text.split())[:_EXCERPT]
