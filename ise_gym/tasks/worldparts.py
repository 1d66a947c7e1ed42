"""The services of a task: expressions and ``each`` loops in a task file's ``services``, rendered and checked.

Everything that a task serves is named below its own ``root``, as its files lie below it, so that tasks of one scenario
never meet under a host name.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from ise_gym.foreign.values import Json
from ise_gym.services.spec import ServiceSpec, make_spec
from ise_gym.tasks.expressions import ExpressionError, Render, Scope, compile_text, compile_value

_TEXT_KEYS = {
    "path",
    "title",
    "body",
    "html",
    "text",
    "csv",
    "host",
    "domain",
    "summary",
    "topic",
    "location",
    "token",
}
"""Keys whose value is text even when it is a lone expression that gives a number."""


def compile_services(
    services: Mapping[str, Sequence[Mapping[str, Json]]], where: str
) -> Callable[[Scope], tuple[ServiceSpec, ...]]:
    """Compile a task file's ``services``; an item of any list may have ``each`` and then stands for several."""
    parts = [
        (kind, _compile(list(items), f"{where}.services.{kind}"), f"{where}.services.{kind}")
        for kind, items in services.items()
    ]

    def build(scope: Scope) -> tuple[ServiceSpec, ...]:
        made = []
        for kind, render, place in parts:
            for data in render(scope):
                try:
                    spec = make_spec(kind, data)
                except ValueError as error:
                    raise ExpressionError(
                        f"{place}: {error}; fix the service (see docs/services.md)"
                    ) from None
                if not spec.host.endswith(f"{scope['root']}.example"):
                    raise ExpressionError(
                        f"{place}: the name {spec.host!r} must end in {{{{ root }}}}.example ({scope['root']}.example)"
                    )
                made.append(spec)
        return tuple(made)

    return build


def _compile(raw: Json, where: str, key: str = "") -> Render:
    if isinstance(raw, list):
        items = [_compile_item(item, f"{where}.{index}") for index, item in enumerate(raw)]
        return lambda scope: [made for item in items for made in item(scope)]
    if isinstance(raw, Mapping):
        pairs = [(name, _compile(value, f"{where}.{name}", str(name))) for name, value in raw.items()]
        return lambda scope: {name: render(scope) for name, render in pairs}
    if isinstance(raw, str) and key in _TEXT_KEYS:
        return compile_text(raw, where)
    return compile_value(raw, where)


def _compile_item(raw: Any, where: str) -> Callable[[Scope], list[Any]]:
    """Compile one item of a list; gives one value, or with ``each`` as many as its loops."""
    if not isinstance(raw, Mapping) or "each" not in raw:
        render = _compile(raw, where)
        return lambda scope: [render(scope)]
    body = _compile({key: value for key, value in raw.items() if key != "each"}, where)
    loops = [
        (name, compile_value(value, f"{where}.each.{name}")) for name, value in dict(raw["each"]).items()
    ]

    def expand(scope: Scope, remaining: Sequence[tuple[str, Render]]) -> list[Any]:
        if not remaining:
            return [body(scope)]
        (name, render), *rest = remaining
        items = render(scope)
        if not isinstance(items, list):
            raise ExpressionError(f"{where}.each.{name}: needs a list, not {items!r}")
        return [made for item in items for made in expand({**scope, name: item}, rest)]

    return lambda scope: expand(scope, loops)


def loop_names(raw: object) -> set[str]:
    """Return the names that ``each`` loops define anywhere inside.

    >>> sorted(loop_names([{"pages": [{"each": {"p": "{{ items }}"}, "path": "/{{ p }}"}]}]))
    ['p']
    """
    if isinstance(raw, Mapping):
        own = set(raw["each"]) if isinstance(raw.get("each"), Mapping) else set()
        return own.union(*(loop_names(value) for value in raw.values()))
    if isinstance(raw, list):
        return set().union(*(loop_names(item) for item in raw))
    return set()
