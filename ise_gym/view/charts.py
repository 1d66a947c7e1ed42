"""Small charts as inline SVG, coloured by the page's style sheet so that they follow light and dark.

Every chart carries its figures as text too (title and description), for screen readers and for hovering.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

from markupsafe import Markup, escape

WIDTH, HEIGHT = 320, 132
_LEFT, _BOTTOM, _TOP, _RIGHT = 8, 20, 16, 8
BINS = 24
LETTER = 6.4
"""Width of a letter of a tick, at most."""


def histogram(
    counts: Mapping[str, int], label: str, marker: float | None = None, marker_label: str = ""
) -> Markup:
    """Return a bar chart of value → count (values are integers as strings), binned when there are many.

    Args:
        counts: the histogram.
        label: what the values are.
        marker: a value to mark with a line, e.g. another corpus' mean.
        marker_label: what the line says.
    """
    values = {int(value): count for value, count in counts.items()}
    if not values:
        return Markup("")
    low, high = min(values), max(values)
    if marker is not None:
        low, high = min(low, math.floor(marker)), max(high, math.ceil(marker))
    width = max(1, math.ceil((high - low + 1) / BINS))
    bins = [0] * ((high - low) // width + 1)
    for value, count in values.items():
        bins[(value - low) // width] += count
    peak = max(bins)
    span = WIDTH - _LEFT - _RIGHT
    step, room = span / len(bins), HEIGHT - _TOP - _BOTTOM
    parts = []
    for number, count in enumerate(bins):
        start = low + number * width
        name = f"{start}" if width == 1 else f"{start}–{start + width - 1}"
        tall = room * count / peak
        parts.append(
            f'<rect class="bar" x="{_LEFT + number * step + step * 0.08:.2f}" y="{_TOP + room - tall:.2f}" '
            f'width="{step * 0.84:.2f}" height="{tall:.2f}" rx="1.5"><title>{name}: {count:,}</title></rect>'
        )
    base = HEIGHT - _BOTTOM
    parts.append(f'<line class="axis" x1="{_LEFT}" x2="{WIDTH - _RIGHT}" y1="{base}" y2="{base}"/>')
    parts.append(f'<text class="tick" x="{_LEFT}" y="{HEIGHT - 5}">{low}</text>')
    parts.append(f'<text class="tick end" x="{WIDTH - _RIGHT}" y="{HEIGHT - 5}">{high}</text>')
    if marker is not None:
        x = _LEFT + (marker - low + 0.5) / width * step
        side = "end" if x > WIDTH / 2 else "start"
        at = x - 4 if side == "end" else x + 4
        reach = LETTER * len(marker_label)  # a long label begins or ends at the picture's edge
        at = max(at, reach) if side == "end" else min(at, WIDTH - reach)
        parts.append(f'<line class="marker" x1="{x:.2f}" x2="{x:.2f}" y1="{_TOP - 6}" y2="{base}"/>')
        parts.append(
            f'<text class="tick marker-text {side}" x="{at:.2f}" y="{_TOP - 4}">{escape(marker_label)}</text>'
        )
    spoken = f"{label}: from {min(values)} to {max(values)}, most often {max(values, key=lambda v: (values[v], -v))}"
    return _svg(parts, spoken, WIDTH, HEIGHT, "chart")


def share_bar(parts: Sequence[tuple[str, int, str]]) -> Markup:
    """Return one stacked bar of (name, count, class) parts."""
    total = sum(count for _, count, _ in parts)
    drawn, x = [], 0.0
    for name, count, kind in parts:
        wide = 1000 * count / total if total else 0
        drawn.append(
            f'<rect class="{kind}" x="{x:.2f}" y="0" width="{wide:.2f}" height="20">'
            f"<title>{escape(name)}: {count:,}</title></rect>"
        )
        x += wide
    spoken = ", ".join(f"{name} {count}" for name, count, _ in parts)
    return _svg(drawn, spoken, 1000, 20, "share-bar", stretch=True)


def meter(fraction: float) -> Markup:
    """Return a thin horizontal bar for a table cell."""
    wide = 100 * min(max(fraction, 0.0), 1.0)
    parts = [
        '<rect class="meter-back" x="0" y="0" width="100" height="6" rx="3"/>',
        f'<rect class="bar" x="0" y="0" width="{wide:.2f}" height="6" rx="3"/>',
    ]
    return _svg(parts, f"{100 * fraction:.1f} %", 100, 6, "meter", stretch=True)


def curves(series: Mapping[str, Sequence[tuple[float, float]]], x_label: str) -> Markup:
    """Return a line chart: name → (x, y) points; y starts at 0 unless a value is below it."""
    shown = {name: [(x, y) for x, y in points if math.isfinite(y)] for name, points in series.items()}
    shown = {name: points for name, points in shown.items() if points}
    if not shown:
        return Markup("")
    width, height, left, bottom, top, right = 760, 260, 48, 34, 12, 14
    xs = [x for points in shown.values() for x, _ in points]
    ys = [y for points in shown.values() for _, y in points]
    x0, x1 = min(xs), max(xs)
    ticks = nice_ticks(min(0.0, *ys), max(ys))
    y0, y1 = ticks[0], ticks[-1]

    def place(x: float, y: float) -> tuple[float, float]:
        across = (x - x0) / (x1 - x0) if x1 > x0 else 0.5
        up = (y - y0) / (y1 - y0)
        return left + across * (width - left - right), height - bottom - up * (height - bottom - top)

    parts = []
    for tick in ticks:
        _, y = place(x0, tick)
        parts.append(f'<line class="grid" x1="{left}" x2="{width - right}" y1="{y:.1f}" y2="{y:.1f}"/>')
        parts.append(f'<text class="tick end" x="{left - 8}" y="{y + 4:.1f}">{tick:g}</text>')
    for number, (name, points) in enumerate(shown.items()):
        places = [place(x, y) for x, y in points]
        path = " ".join(f"{x:.1f},{y:.1f}" for x, y in places)
        parts.append(f'<polyline class="curve c{number % 4}" points="{path}"/>')
        for (x, y), (px, py) in zip(points, places, strict=True):
            if len(points) <= 60:
                parts.append(
                    f'<circle class="dot c{number % 4}" cx="{px:.1f}" cy="{py:.1f}" r="3">'
                    f"<title>{escape(name)}, {escape(x_label)} {x:g}: {y:.4g}</title></circle>"
                )
    parts.append(f'<text class="tick" x="{left}" y="{height - 12}">{escape(x_label)} {x0:g}</text>')
    parts.append(f'<text class="tick end" x="{width - right}" y="{height - 12}">{x1:g}</text>')
    spoken = "; ".join(
        f"{name} from {points[0][1]:.3g} to {points[-1][1]:.3g}" for name, points in shown.items()
    )
    return _svg(parts, spoken, width, height, "curves")


def intervals(rows: Sequence[tuple[str, float, float, float]]) -> Markup:
    """Return a dot-and-whisker chart of (label, value, low, high), all in [0, 1]."""
    width, left, right, row, top, bottom = 760, 24, 24, 52, 4, 28
    height = top + row * len(rows) + bottom
    parts = []
    for tick in (0, 0.25, 0.5, 0.75, 1.0):
        x = left + tick * (width - left - right)
        parts.append(f'<line class="grid" x1="{x:.1f}" x2="{x:.1f}" y1="{top}" y2="{height - bottom}"/>')
        parts.append(f'<text class="tick middle" x="{x:.1f}" y="{height - 9}">{100 * tick:g} %</text>')
    for number, (label, value, low, high) in enumerate(rows):
        y = top + row * number + 36
        x, a, b = (left + v * (width - left - right) for v in (value, low, high))
        parts.append(f'<text class="label" x="{left}" y="{y - 18:.1f}">{escape(short(label, 96))}</text>')
        parts.append(
            f'<line class="whisker c{number % 4}" x1="{a:.1f}" x2="{b:.1f}" y1="{y:.1f}" y2="{y:.1f}"/>'
        )
        for edge in (a, b):
            parts.append(
                f'<line class="whisker c{number % 4}" x1="{edge:.1f}" x2="{edge:.1f}" '
                f'y1="{y - 6:.1f}" y2="{y + 6:.1f}"/>'
            )
        parts.append(
            f'<circle class="dot c{number % 4}" cx="{x:.1f}" cy="{y:.1f}" r="6">'
            f"<title>{escape(label)}: {value:.1%} [{low:.1%}, {high:.1%}]</title></circle>"
        )
    spoken = "; ".join(
        f"{label} {value:.1%}, interval {low:.1%} to {high:.1%}" for label, value, low, high in rows
    )
    return _svg(parts, spoken, width, height, "curves")


def nice_ticks(low: float, high: float, count: int = 5) -> list[float]:
    """Return round tick values that cover a range.

    >>> nice_ticks(0, 3.7)
    [0.0, 1.0, 2.0, 3.0, 4.0]
    """
    if high <= low:
        high = low + 1
    raw = (high - low) / (count - 1)
    power = 10.0 ** math.floor(math.log10(raw))
    step = next(m * power for m in (1, 2, 2.5, 5, 10) if m * power >= raw * 0.999)
    start = math.floor(low / step)
    stop = math.ceil(high / step - 1e-9)
    return [round(n * step, 10) for n in range(start, stop + 1)]


def short(text: str, length: int) -> str:
    """Cut a text with an ellipsis.

    >>> short("before training", 8)
    'before …'
    """
    return text if len(text) <= length else text[: length - 1] + "…"


def _svg(
    parts: Sequence[str], spoken: str, width: int, height: int, kind: str, stretch: bool = False
) -> Markup:
    ratio = ' preserveAspectRatio="none"' if stretch else ""
    return Markup(
        f'<svg class="{kind}" viewBox="0 0 {width} {height}" role="img" aria-label="{escape(spoken)}"{ratio}>'
        + "".join(parts)
        + "</svg>"
    )
