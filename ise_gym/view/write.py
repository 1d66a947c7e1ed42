"""Puts the report together: template, style and script into one file that needs nothing else."""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Collection, Mapping, Sequence
from importlib import resources
from pathlib import Path
from typing import Any

import jinja2
from markupsafe import Markup

from ise_gym.errors import UserError
from ise_gym.foreign.values import Json
from ise_gym.storage.atomic import replacing
from ise_gym.trajectory.stats import ISETRACE
from ise_gym.trajectory.tables import LABELS, figure, percent
from ise_gym.view import charts
from ise_gym.view.episodes import EpisodeView, StoreView, names, survey, views
from ise_gym.view.inputs import CURVES, Comparison, TrainingLog, as_comparison, as_training

OUTCOMES: Mapping[str, str] = {
    "passed": "good",
    "failed": "bad",
    "truncated": "warn",
    "unverified": "muted",
    "judged_passed": "warn",
    "judged_failed": "muted",
    "infrastructure_error": "muted",
}
"""Outcome → its colour class."""


def write_report(
    path: str | Path,
    store_dirs: Sequence[str | Path],
    *,
    title: str = "Trajectories",
    training: Sequence[Mapping[str, Json]] | None = None,
    comparison: Comparison | Mapping[str, object] | None = None,
    max_episodes: int = 300,
    episodes: Collection[str] = (),
) -> Path:
    """Write a self-contained HTML report.

    Args:
        path: the file; replaced when it exists, whole or not at all.
        store_dirs: trajectory stores (or JSONL files of trajectories); each gets its own figures.
        title: heading.
        training: a trainer's log, a list of ``{"step": 10, "loss": 1.2, …}``.
        comparison: pass rates side by side, see `Comparison`.
        max_episodes: most episodes in the browser; failed ones get up to half of the places.
        episodes: ids of episodes that are in it in any case.

    Returns:
        The path.

    Raises:
        UserError: a bad store, an unwritable file, or no episode of an id that was asked for.
    """
    wanted = frozenset(episodes)
    store_names = names(store_dirs)
    quota = max_episodes // max(len(store_dirs), 1)
    stores = [survey(d, name, quota, wanted) for d, name in zip(store_dirs, store_names, strict=True)]
    shown = [
        v
        for d, store in zip(store_dirs, stores, strict=True)
        for v in views(d, store, several=len(stores) > 1)
    ]
    if missing := wanted - {view.line["id"] for view in shown}:
        raise UserError(f"no episode {min(missing)!r} in {', '.join(map(str, store_dirs))}.")
    html = render(title, stores, shown, as_training(training), as_comparison(comparison))
    with replacing(path) as file:
        file.write(html.encode("utf-8", "backslashreplace"))
    return Path(path)


def render(
    title: str,
    stores: Sequence[StoreView],
    episodes: Sequence[EpisodeView],
    training: TrainingLog | None,
    comparison: Comparison | None,
) -> str:
    """Return the page as text."""
    style, script = style_sheet(), _part("report.js")
    environment = jinja2.Environment(
        autoescape=True, undefined=jinja2.StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    environment.filters.update(percent=percent, figure=figure)
    page = environment.from_string(_part("report.html.j2"))
    return page.render(
        title=title,
        csp=(
            f"default-src 'none'; script-src '{_csp_hash(script)}'; style-src '{_csp_hash(style)}'; "
            "img-src data:; base-uri 'none'; form-action 'none'"
        ),
        style=Markup(style),
        script=Markup(script),
        stores=[_store(s) for s in stores],
        shown=len(episodes),
        total=sum(s.episodes for s in stores),
        list_json=_json([e.line for e in episodes]),
        packed=[e.packed for e in episodes],
        outcomes=sorted({e.line["outcome"] for e in episodes}),
        domains=sorted({d for e in episodes for d in e.line["domains"]}),
        store_names=[s.name for s in stores],
        training=_training(training),
        comparison=comparison,
        comparison_chart=charts.intervals(
            [(r.label, r.rate, r.low or 0.0, r.high or 0.0) for r in comparison.runs]
        )
        if comparison
        else "",
    )


def _store(store: StoreView) -> dict[str, Any]:
    """Add charts and rows to a store's summary."""
    summary = store.summary
    shape = summary["shape"]
    guard = summary["guard"]
    outcomes = {**summary["outcomes"]}
    return {
        "name": store.name,
        "summary": summary,
        "broken": sum(summary["infrastructure_errors"].values()),
        "drift": guard.get("drifted", 0) / guard["turns"] if guard.get("turns") else None,
        "shape": [
            {"label": label, **shape[name], "isetrace": ISETRACE[name]} for name, label in LABELS.items()
        ],
        "share_6_to_10": ISETRACE["share_6_to_10"],
        "histograms": [
            (
                label,
                charts.histogram(
                    shape[name]["histogram"], label, ISETRACE[name], f"ISETrace {ISETRACE[name]:g}"
                ),
            )
            for name, label in LABELS.items()
        ],
        "outcome_bar": charts.share_bar([(o, n, OUTCOMES.get(o, "muted")) for o, n in outcomes.items()]),
        "outcomes": [(o, n, OUTCOMES.get(o, "muted")) for o, n in outcomes.items()],
        "tools": [(tool, use, charts.meter(use["share"])) for tool, use in summary["tools"].items()],
        "groups": [
            (kind, [(n, c, charts.meter(c["passed"] / c["episodes"])) for n, c in summary[kind].items()])
            for kind in ("domains", "complexity")
        ],
    }


def _training(log: TrainingLog | None) -> dict[str, Any] | None:
    if log is None:
        return None
    chosen = {label: log.curves[name] for name, label in CURVES.items() if name in log.curves}
    return {
        "chart": charts.curves(chosen, "step"),
        "legend": list(chosen),
        "rows": [
            (name, log.first(name), log.last(name), len(points))
            for name, points in sorted(log.curves.items())
        ],
    }


def style_sheet() -> str:
    """Return the style of a page that stands alone."""
    return _part("tokens.css") + _part("report.css")


def _part(name: str) -> str:
    return (resources.files("ise_gym.view") / "page" / name).read_text(encoding="utf-8")


def _csp_hash(text: str) -> str:
    return "sha256-" + base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()


def _json(value: Json) -> Markup:
    """Dump for a script element: no character in it can end the element or start a comment."""
    text = json.dumps(value, ensure_ascii=True)
    return Markup(text.replace("<", "\\u003c").replace(">", "\\u003e").replace("&", "\\u0026"))
