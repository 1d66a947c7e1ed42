"""The pieces of a streamed completion, put together to the body that an unstreamed one would have had."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

_WHOLE = frozenset({"role", "id", "type", "name", "index", "finish_reason"})
"""Strings that are sent once (or again, the same), and not in pieces."""


class Assembled:
    """Add each chunk, then read `body`."""

    def __init__(self) -> None:
        self._body: dict[str, Any] = {}
        self._choice: dict[str, Any] = {}
        self._message: dict[str, Any] = {}

    def add(self, chunk: Mapping[str, Any]) -> None:
        """Take one chunk of the first choice; errors that come in the middle are kept as such."""
        for name in ("id", "model", "usage", "error", "prompt_token_ids"):
            if chunk.get(name):
                self._body[name] = chunk[name]
        for choice in chunk.get("choices") or ():
            if not isinstance(choice, Mapping) or choice.get("index"):
                continue
            for name in ("finish_reason", "token_ids", "logprobs", "error"):
                if choice.get(name):
                    _merge(self._choice, {name: choice[name]})
            if isinstance(delta := choice.get("delta"), Mapping):
                _merge(self._message, delta)

    def body(self) -> dict[str, Any]:
        """Return the completion's body; without a choice when none came."""
        if not self._message and not self._choice:
            return self._body
        message = dict(self._message)
        if calls := message.get("tool_calls"):
            message["tool_calls"] = [{k: v for k, v in call.items() if k != "index"} for call in calls]
        return {**self._body, "choices": [{**self._choice, "message": message}]}


def _merge(into: dict[str, object], piece: Mapping[str, object]) -> None:
    for name, value in piece.items():
        before = into.get(name)
        if value is None:
            continue
        if isinstance(value, str) and isinstance(before, str) and name not in _WHOLE:
            into[name] = before + value
        elif isinstance(value, Mapping) and isinstance(before, dict):
            _merge(before, value)
        elif isinstance(value, Mapping):
            fresh: dict[str, object] = {}
            _merge(fresh, value)
            into[name] = fresh
        elif isinstance(value, list):
            into[name] = _joined(before if isinstance(before, list) else [], value)
        else:
            into[name] = value


def _joined(before: list[object], pieces: list[object]) -> list[object]:
    """Join lists: what carries an index goes on where that index is, everything else is appended."""
    for piece in pieces:
        index = piece.get("index") if isinstance(piece, Mapping) else None
        same = next(
            (b for b in before if isinstance(b, dict) and index is not None and b.get("index") == index), None
        )
        if same is not None and isinstance(piece, Mapping):
            _merge(same, piece)
        elif isinstance(piece, Mapping):
            fresh: dict[str, object] = {}
            _merge(fresh, piece)
            before.append(fresh)
        else:
            before.append(piece)
    return before
