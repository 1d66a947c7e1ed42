"""The two pictures of a pool: how the score grows with n, and where its texts lie.

Matplotlib and scikit-learn are imported when a picture is drawn; the figures are in the report without them.
"""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ise_gym.errors import UserError
from ise_gym.storage.atomic import replacing

if TYPE_CHECKING:
    from ise_gym.intents.diversity.embedding import Matrix

KINDS = ("svg", "png")
"""What a plot can be written as, by its file's suffix."""

_REFERENCE = ((200, 40.7), (43_956, 61.57))
"""ISE's own pool with all-mpnet-base-v2 (arXiv 2606.11520): another embedder, so a landmark and no target line."""


def plot_curve(report: Mapping[str, Any], embedder: str, path: Path) -> None:
    """Draw the scaling curve with the spread of its subsets."""
    figure, axes = _canvas((6.4, 4.2))
    points = report["curve"]
    sizes, scores = [p["n"] for p in points], [p["score"] for p in points]
    axes.fill_between(sizes, [p["least"] for p in points], [p["most"] for p in points], alpha=0.25)
    axes.plot(sizes, scores, marker="o", label=f"this pool, {embedder}")
    axes.scatter(*zip(*_REFERENCE, strict=True), marker="x", color="0.35",
                 label="ISE, arXiv 2606.11520, all-mpnet-base-v2")  # fmt: skip
    axes.set_xscale("log")
    axes.set_xlabel("texts")
    axes.set_ylabel("Vendi score (q = 1, cosine)")
    axes.legend(frameon=False, fontsize="small")
    _save(figure, path)


def project(vectors: Matrix, seed: int = 0) -> Matrix:
    """Return a t-SNE projection of unit vectors (n × d, n ≥ 4) to n × 2."""
    try:
        from sklearn.manifold import TSNE
    except ImportError:
        raise UserError("the projection needs scikit-learn: pip install 'ise-gym[embed]'") from None
    perplexity = min(30.0, max(1.0, (len(vectors) - 1) / 3))
    flat: Matrix = TSNE(
        2, perplexity=perplexity, metric="cosine", init="random", random_state=seed
    ).fit_transform(vectors)
    return flat


def plot_projection(
    vectors: Matrix, groups: Sequence[str], embedder: str, path: Path, sample: int = 2000, seed: int = 0
) -> None:
    """Draw a t-SNE projection of at most ``sample`` texts, coloured by group."""
    chosen = sorted(random.Random(seed).sample(range(len(vectors)), min(sample, len(vectors))))
    if len(chosen) < 4:
        raise UserError(f"a projection of {len(chosen)} texts says nothing; measure at least four")
    flat = project(vectors[chosen], seed)
    figure, axes = _canvas((7.2, 5.4))
    names = sorted({groups[i] for i in chosen})
    colours = _colours(len(names))
    for colour, name in zip(colours, names, strict=True):
        own = [at for at, i in enumerate(chosen) if groups[i] == name]
        axes.scatter(flat[own, 0], flat[own, 1], s=6, color=colour, linewidths=0, label=name or "unknown")
    axes.set_xticks([])
    axes.set_yticks([])
    axes.set_title(f"t-SNE of {len(chosen):,} texts, {embedder}", fontsize="small")
    axes.legend(
        frameon=False, fontsize="x-small", markerscale=3, loc="center left", bbox_to_anchor=(1.0, 0.5)
    )
    _save(figure, path)


def _colours(count: int) -> list[Any]:
    from matplotlib import colormaps

    return [colormaps["tab20" if count > 10 else "tab10"](i % 20) for i in range(count)]


def _canvas(size: tuple[float, float]) -> tuple[Any, Any]:
    try:
        from matplotlib.figure import Figure
    except ImportError:
        raise UserError("plots need matplotlib: pip install 'ise-gym[embed]', or --no-plots") from None
    figure = Figure(figsize=size, layout="constrained")
    return figure, figure.add_subplot()


def _save(figure: Any, path: Path) -> None:
    kind = path.suffix.lstrip(".")
    if kind not in KINDS:
        raise UserError(f"{path}: a plot is written as .svg or .png")
    with replacing(path) as file:
        # neither a date nor random ids: the same figures give the same file
        from matplotlib import rc_context

        with rc_context({"svg.hashsalt": "ise_gym"}):
            figure.savefig(file, format=kind, dpi=150, metadata={"Date": None} if kind == "svg" else None)
