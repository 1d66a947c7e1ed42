"""Puts the measures of a pool together: one JSON object, and tables for a terminal."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from ise_gym.intents.diversity.coverage import coverage_report
from ise_gym.intents.diversity.embedding import Embedded, EmbeddingCache
from ise_gym.intents.diversity.lexical import lexical_report
from ise_gym.intents.diversity.pool import Pool
from ise_gym.intents.diversity.vendi import vendi_report

PUBLISHED = "ISE, arXiv 2606.11520: 61.57 over 43,956 texts and 40.7 at n = 200, all-mpnet-base-v2"
"""The figure of the paper. Scores of different embedders are not the same measure."""


def sampled(pool: Pool, size: int | None, seed: int = 0) -> Pool:
    """Return a random part of a pool, in order; the pool itself when it isn't larger."""
    if size is None or size >= len(pool.texts):
        return pool
    chosen = sorted(random.Random(seed).sample(range(len(pool.texts)), size))
    axes = {axis: [values[i] for i in chosen] for axis, values in pool.axes.items()}
    return replace(
        pool, texts=[pool.texts[i] for i in chosen], keys=[pool.keys[i] for i in chosen], axes=axes
    )


def diversity_report(
    pool: Pool,
    cache: EmbeddingCache | None,
    *,
    resamples: int = 100,
    seed: int = 0,
    on_progress: Callable[[int, int], None] | None = None,
) -> tuple[dict[str, Any], Embedded | None]:
    """Measure a pool.

    Args:
        pool: what `read_pool` read.
        cache: embeddings; None measures wording and coverage only.
        resamples: of the bootstrap.
        seed: of samples and resamples.
        on_progress: of the embedding.

    Returns:
        The report as JSON, and the vectors (None without a cache).
    """
    report: dict[str, Any] = {
        "texts": len(pool.texts),
        "fields": dict(Counter(pool.keys)),
        "skipped_lines": {str(number): why for number, why in pool.problems.items()},
        "lexical": lexical_report(pool.texts, seed=seed),
        "coverage": coverage_report(pool),
    }
    if cache is None:
        return report, None
    embedded = cache.embed(pool.texts, on_progress)
    report["embedder"] = {"name": embedded.label, "texts_cut": embedded.cut}
    report["vendi"] = vendi_report(embedded.vectors, resamples, seed)
    return report, embedded


def measured(fields: Mapping[str, int]) -> str:
    """Say which key of the lines the texts were read from.

    >>> measured({"whole": 3})
    'the texts under whole'
    """
    counts = [name if len(fields) == 1 else f"{name} ({count:,})" for name, count in fields.items()]
    return f"the texts under {' and '.join(counts)}"


def show_report(report: Mapping[str, Any]) -> RenderableType:
    """Return the report as tables."""
    parts: list[RenderableType] = [Text(f"Measured: {measured(report['fields'])}.")]
    if report["skipped_lines"]:
        number, why = next(iter(report["skipped_lines"].items()))
        parts.append(Text(f"{len(report['skipped_lines'])} lines skipped, the first is line {number}: {why}"))
    if "vendi" in report:
        parts += _vendi(report)
    parts += [_lexical(report["lexical"], report["texts"]), _axes(report["coverage"]["axes"])]
    if pairs := report["coverage"]["domain_pairs"]:
        parts.append(_pairs(pairs))
    return Group(*parts)


def _vendi(report: Mapping[str, Any]) -> list[RenderableType]:
    vendi, embedder = report["vendi"], report["embedder"]
    interval = vendi["bootstrap"]
    table = Table(title=f"Vendi score, {embedder['name']}", title_justify="left")
    table.add_column("texts", justify="right")
    table.add_column("score (q = 1)", justify="right")
    table.add_column("spread", justify="right")
    for point in vendi["curve"][:-1]:
        table.add_row(
            f"{point['n']:,}", f"{point['score']:.2f}", f"{point['least']:.2f} – {point['most']:.2f}"
        )
    table.add_row(
        f"{vendi['n']:,}", f"[bold]{interval['score']:.2f}[/bold]",
        f"{interval['low']:.2f} – {interval['high']:.2f} (95 %)",
    )  # fmt: skip
    orders = ", ".join(f"q={q}: {score:.1f}" for q, score in vendi["by_order"].items())
    notes = [
        f"By order: {orders}. Width {vendi['width']}: no score can exceed it.",
        f"Published: {PUBLISHED}.",
    ]
    if embedder["texts_cut"]:
        share = embedder["texts_cut"] / report["texts"]
        notes.append(f"{share:.0%} of the texts are longer than this model reads; it saw their beginnings.")
    return [table, *map(Text, notes)]


def _lexical(lexical: Mapping[str, Any], texts: int) -> Table:
    table = Table(title="Wording", title_justify="left", show_header=False)
    words = lexical["words"]
    table.add_row("texts", f"{texts:,}")
    table.add_row(
        "words a text", f"mean {words['mean']:.0f}, p5 {words['p5']}, p50 {words['p50']}, p95 {words['p95']}"
    )
    shares = ", ".join(f"{n}: {share:.3f}" for n, share in lexical["distinct"].items())
    table.add_row(f"distinct-n (n = {lexical['sample']} texts)", shares)
    table.add_row(f"self-BLEU-4 (n = {lexical['sample']} texts)", f"{lexical['self_bleu']:.3f}")
    return table


def _axes(axes: Mapping[str, Any]) -> Table:
    table = Table(title="Coverage of the axes", title_justify="left")
    table.add_column("axis")
    for column in ("values", "entropy (bits)", "evenness"):
        table.add_column(column, justify="right")
    for name, axis in axes.items():
        table.add_row(name, f"{axis['values']:,}", f"{axis['entropy_bits']:.2f}", f"{axis['evenness']:.3f}")
    return table


def _pairs(pairs: Mapping[str, Mapping[str, int]]) -> Table:
    names = list(pairs)
    table = Table(title="Domain pairs (diagonal: texts with that domain)", title_justify="left")
    table.add_column("")
    for number in range(len(names)):
        table.add_column(str(number + 1), justify="right")
    for number, name in enumerate(names):
        table.add_row(f"{number + 1} {name}", *(f"{pairs[name][other]:,}" for other in names))
    return table
