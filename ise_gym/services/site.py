"""One host name's worth of HTTP: what a site is asked, what it answers, and the faults that stand before it."""

from __future__ import annotations

import fnmatch
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

from ise_gym.services.models import FaultModel


@dataclass(frozen=True)
class Request:
    """One HTTP request: path without the query, query and header names in lower case."""

    method: str
    host: str
    path: str
    query: Mapping[str, str] = field(default_factory=dict)
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes = b""
    target: str = ""

    def json(self) -> dict[str, Any] | None:
        """Return the body as a JSON object, or None when it is none."""
        try:
            found = json.loads(self.body)
            if b"\\u" in self.body:  # half a character, which no state could be saved with
                json.dumps(found, ensure_ascii=False).encode()
        except (ValueError, RecursionError):
            return None
        return found if isinstance(found, dict) else None


@dataclass(frozen=True)
class Response:
    """One HTTP answer. ``cut`` sends only the first half of the body and then hangs up."""

    status: int
    body: bytes = b""
    content_type: str = "text/plain; charset=utf-8"
    headers: Mapping[str, str] = field(default_factory=dict)
    cut: bool = False


def as_json(status: int, value: object) -> Response:
    """Answer with a JSON document."""
    text = json.dumps(value, ensure_ascii=False, indent=1) + "\n"
    return Response(status, text.encode(), "application/json")


def problem(status: int, code: str, detail: str = "") -> Response:
    """Answer with an error as JSON: a short code, and what would be right."""
    return as_json(status, {"error": code, **({"detail": detail} if detail else {})})


class Room:
    """How much one service of a box may still take in: what clients send is kept by this process, not by the box.

    Args:
        limit: bytes in all.
        kept: JSON that counts as taken from the start.
    """

    def __init__(self, limit: int, kept: object = None) -> None:
        self.left = limit - (len(json.dumps(kept)) if kept else 0)

    def take(self, size: int) -> bool:
        """Take so many bytes; False, and none taken, when they are too many."""
        if size > self.left:
            return False
        self.left -= size
        return True


class Site(Protocol):
    """One host of the box's web. ``state`` is all that requests change: JSON, saved with the episode."""

    state: Any

    def answer(self, request: Request) -> Response:
        """Answer a request; never raises for anything that a client can send."""
        ...


class Faults:
    """Rules that answer in a site's place, by count.

    Args:
        rules: tried in order; the first that applies answers.
        seen: how many requests each rule has matched so far (part of the state).
    """

    def __init__(self, rules: Sequence[FaultModel], seen: list[int]) -> None:
        self._rules = rules
        self._seen = seen
        self._seen.extend([0] * (len(rules) - len(seen)))

    def meet(self, request: Request) -> tuple[Response | None, bool]:
        """Return the answer of the rule that applies, if any, and whether the right answer is to be cut."""
        for index, rule in enumerate(self._rules):
            if rule.method and rule.method != request.method:
                continue
            if not fnmatch.fnmatchcase(request.target or request.path, rule.path):
                continue
            number = self._seen[index]
            self._seen[index] += 1
            if number < rule.after or (rule.times is not None and number >= rule.after + rule.times):
                continue
            if rule.cut:
                return None, True
            body = rule.body or _WORDS.get(rule.status, "The server can't answer now.")
            return Response(rule.status, (body + "\n").encode(), headers=rule.headers), False
        return None, False


_WORDS = {
    202: "Still being prepared: ask again.",
    401: "You are not signed in.",
    403: "You may not see this.",
    404: "There is no such page.",
    410: "This page is gone for good.",
    429: "Too many requests: try again.",
    500: "Something broke on our side.",
    502: "The server behind this one does not answer.",
    503: "Down for a moment: try again.",
    504: "The server behind this one took too long.",
}
