"""The templates: Jinja with escaping on, and the few words and figures that pages share."""

from __future__ import annotations

from collections.abc import Mapping
from importlib import resources
from typing import Any
from urllib.parse import quote, urlencode

import jinja2
from starlette.responses import HTMLResponse

from ise_gym.view.index.asked import CHOICES, FLAGS, RANGES, SORTS, Asked
from ise_gym.view.library import Library, Run
from ise_gym.view.write import OUTCOMES

OUTCOME_WORDS: Mapping[str, str] = {
    "passed": "passed",
    "failed": "failed",
    "truncated": "ran out of budget",
    "unverified": "unverified",
    "judged_passed": "judged: passed",
    "judged_failed": "judged: failed",
    "infrastructure_error": "broken",
}


def environment() -> jinja2.Environment:
    """Return the templates' environment."""
    made = jinja2.Environment(
        loader=jinja2.FunctionLoader(_source),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    made.filters.update(
        figure=figure, clock=clock, outcome_word=lambda o: OUTCOME_WORDS.get(o, o), colour=colour
    )
    made.globals.update(
        CHOICES=CHOICES, FLAGS=FLAGS, RANGES=RANGES, SORTS=SORTS, episode_address=episode_address
    )
    return made


def _source(name: str) -> str | None:
    file = resources.files("ise_gym.view.app") / "pages" / name
    return file.read_text(encoding="utf-8") if file.is_file() else None


class Pages:
    """Renders pages for a library."""

    def __init__(self, library: Library, *, by: str, title: str) -> None:
        self._environment = environment()
        self._shared: dict[str, Any] = {"library": library, "by": by, "title": title}

    def text(self, name: str, **given: object) -> str:
        """Return a template as text."""
        return self._environment.get_template(f"{name}.html.j2").render(**self._shared, **given)

    def page(self, name: str, status: int = 200, **given: object) -> HTMLResponse:
        """Return a template as a response."""
        return HTMLResponse(self.text(name, **given).encode("utf-8", "backslashreplace"), status)


def episode_address(
    run: Run, episode: str, asked: Asked | None = None, page: str = "episode", **more: object
) -> str:
    """Return the address of an episode; with a question it keeps its place in the answer."""
    pairs = [("run", run.name), ("id", episode), *((k, str(v)) for k, v in more.items())]
    if asked is not None:
        pairs += [pair for pair in asked.pairs if pair[0] not in ("run", "id")]
    return f"/{page}?{urlencode(pairs, quote_via=quote, errors='replace')}"


def colour(outcome: str) -> str:
    """Return the colour class of an outcome."""
    return OUTCOMES.get(outcome, "muted")


def figure(value: float | None, places: int = 0) -> str:
    """Return a figure, a dash where nothing is known.

    >>> figure(12345.6), figure(None)
    ('12,346', '–')
    """
    return "–" if value is None else f"{value:,.{places}f}"


def clock(seconds: float | None) -> str:
    """Return a duration.

    >>> clock(0.0041), clock(2.34), clock(83.0)
    ('4 ms', '2.3 s', '1:23')
    """
    if seconds is None:
        return ""
    if seconds < 0.9995:
        return f"{1000 * seconds:.0f} ms"
    return f"{seconds:.1f} s" if seconds < 60 else f"{int(seconds) // 60}:{int(seconds) % 60:02d}"
