"""What an address names: a run, an episode of it, a question."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from starlette.exceptions import HTTPException
from starlette.requests import Request

from ise_gym.view.index.asked import Asked, read_asked
from ise_gym.view.library import Library, Run


class Lookup:
    """Handlers find here what they are asked for, or answer that it is not there."""

    def __init__(self, library: Library) -> None:
        self._library = library

    def _asked(self, request: Request) -> Asked:
        return read_asked(request.query_params.multi_items())

    def _run(self, name: str | None) -> Run:
        run = self._library.run(name or "")
        if run is None:
            raise HTTPException(404, f"There is no run “{name or ''}” here.")
        return run

    def _one(self, given: Mapping[str, Any]) -> tuple[Run, dict[str, Any]]:
        run = self._run(given.get("run"))
        row = self._library.find(run, given.get("id") or "")
        if row is None:
            raise HTTPException(404, f"The run “{run.name}” has no episode “{given.get('id') or ''}” (yet).")
        return run, row


def whole(text: str | None, otherwise: int) -> int:
    """Return the number that an address holds, or another where it holds none.

    >>> whole("12", 0), whole("-1", 0), whole(None, 5)
    (12, 0, 5)
    """
    return int(text) if text and text.isascii() and text.isdigit() and len(text) < 10 else otherwise
