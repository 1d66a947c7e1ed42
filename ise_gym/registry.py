"""Names → things, for every kind of thing that can be added from outside.

One place says what there is, so that a name on a command line, in a recipe or in a task file means the same
everywhere, and a package adds to it without a change here: by an entry point of the group ``ise_gym.KIND``, or not
even installed, as ``module:Name`` wherever a name is taken. Nothing is loaded before it is asked for, so worker
processes (spawned, or on Ray) find plug-ins by themselves from the name alone.

What a thing needs to tell of itself (the principle that a detector watches, whether a user wants a guard, what would
damage a check's target) it declares as an attribute; nothing here or elsewhere keeps lists of names for that.
"""

from __future__ import annotations

import inspect
import re
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache, lru_cache
from importlib import import_module
from importlib.metadata import EntryPoint, entry_points
from typing import Any, TypeVar, cast

from ise_gym.arguments import check_options
from ise_gym.builtin import KINDS
from ise_gym.errors import UserError, nearest

T = TypeVar("T")
_OWN = "your own code"
_DOTTED = re.compile(r"[A-Za-z_][A-Za-z0-9_]*(?:\.[A-Za-z_][A-Za-z0-9_]*)*:[A-Za-z_][A-Za-z0-9_.]*\Z")


@dataclass(frozen=True)
class Entry:
    """A name of a kind.

    Attributes:
        value: ``module:Name``.
        origin: "built in", or the distributions that register it ("parrot 1.2").
    """

    kind: str
    name: str
    value: str
    origin: str


def entries(kind: str) -> dict[str, Entry]:
    """Return what a kind has, by name: built-ins in their order, then installed plug-ins by name. Loads nothing.

    A package can't replace a built-in; two packages that claim one name are both named in `Entry.origin`, and `load`
    refuses the name.
    """
    found = {name: Entry(kind, name, value, "built in") for name, value in KINDS[kind].items()}
    for name, points in sorted(_points(kind).items()):
        found.setdefault(name, Entry(kind, name, points[0].value, ", ".join(map(_origin, points))))
    return found


def load(kind: str, name: str) -> Any:
    """Return the thing of a name, or of ``module:Name``.

    Raises:
        KeyError: there is no such name and it is not written ``module:Name``.
        UserError: it can't be loaded, or two packages claim it.
    """
    if value := KINDS[kind].get(name):
        return _loaded(kind, name, value, "ise_gym")
    if points := _points(kind).get(name):
        if len(points) > 1:
            origins = ", ".join(map(_origin, points))
            raise UserError(
                f"{kind} '{name}' is registered by several packages ({origins}): uninstall all but one"
            )
        return _loaded(kind, name, points[0].value, _origin(points[0]))
    if is_dotted(name):
        return _loaded(kind, name, name, _OWN)
    raise KeyError(name)


def name_of(kind: str, thing: type | Callable[..., object]) -> str:
    """Return the name under which a class or function is known, ``module:Name`` where it has none.

    >>> from ise_gym.checks.files import ExistsCheck
    >>> name_of("check", ExistsCheck)
    'exists'
    """
    dotted = f"{thing.__module__}:{thing.__qualname__}"
    return _names_on(kind, tuple(sys.path)).get(dotted, dotted)


def is_dotted(name: str) -> bool:
    """Return whether a name is written ``module:Name``.

    >>> is_dotted("my_lab.users:Grumpy"), is_dotted("openai:gpt-4o"), is_dotted("expert")
    (True, False, False)
    """
    return _DOTTED.match(name) is not None


def split(kind: str, spec: str) -> tuple[str, str | None]:
    """Return (name, argument) of a spec such as ``expert:0.7`` or ``my_lab.agents:Parrot:hello``; None without a colon.

    What is before the first colon is a name where the kind has it; else the first two parts are a ``module:Name``.

    Raises:
        UserError: neither.
    """
    name, colon, rest = spec.partition(":")
    if name in KINDS[kind] or name in _points(kind):
        return name, rest if colon else None
    second, more, argument = rest.partition(":")
    if colon and is_dotted(f"{name}:{second}"):
        return f"{name}:{second}", argument if more else None
    known = entries(kind)
    told = [name if entry.origin == "built in" else f"{name} (a plug-in)" for name, entry in known.items()]
    raise UserError(
        f"unknown {kind} '{spec}'.{nearest(name, known)} Known: {', '.join(told)}; or module:Name of your own."
    )


def maker(kind: str, spec: str, options: Mapping[str, object]) -> tuple[Callable[..., Any], list[str]]:
    """Return what makes the thing that a spec describes, and its positional arguments; makes nothing.

    Raises:
        UserError: unknown, incomplete, an option that it does not know, or one of the wrong kind.
    """
    name, argument = split(kind, spec)
    found = load(kind, name)
    if not callable(found):
        raise UserError(f"{kind} '{name}' of {origin(kind, name)}: it is neither a class nor a function")
    if argument is not None:
        reader = getattr(found, "from_argument", None)
        if reader is None and not argument:
            raise UserError(f"'{spec}' is incomplete: write {usage(kind, name)}")
        found = reader or found
    arguments = [] if argument is None else [argument]
    check_options(found, options, f"{kind} '{spec}'", given=len(arguments))
    try:
        inspect.signature(found).bind(*arguments, **options)
    except TypeError:
        raise UserError(f"'{spec}': write {usage(kind, name)}") from None
    return found, arguments


def make(kind: str, spec: str, options: Mapping[str, object], parts: Sequence[str] = ()) -> Any:
    """Make the thing that a spec describes, such as ``expert:0.7``.

    The thing is called with the text after the colon, where there is one, and with the options as keywords; a class
    may have a class method ``from_argument`` that reads the text. ``syntax`` of a class, a line of text, says how it is
    written.

    Args:
        kind: of a thing that is made (agent, user, judge, source, backend).
        spec: name, or ``module:Name``; ``:ARGUMENT`` may follow.
        options: keyword arguments.
        parts: attributes that what is made must have.

    Raises:
        UserError: unknown, incomplete, an option that it does not know, or what was made lacks a part.
    """
    found, arguments = maker(kind, spec, options)
    name, _ = split(kind, spec)
    try:
        made = found(*arguments, **options)
    except TypeError as error:  # an option that is handed on to something that does not know it
        if options and "unexpected keyword argument" in str(error):
            raise UserError(f"{kind} '{spec}': {str(error).partition('() ')[2]}") from error
        raise
    except ValueError as error:  # a value that it refuses, such as a negative number
        if options:
            raise UserError(f"{kind} '{spec}': {error}.") from error
        raise
    if missing := [part for part in parts if not hasattr(made, part)]:
        raise UserError(f"{kind} '{name}' of {origin(kind, name)} is not one: it lacks {', '.join(missing)}")
    return made


def usage(kind: str, name: str) -> str:
    """Return how a name is written, with what may follow it."""
    said = getattr(load(kind, name), "syntax", None) if name in KINDS[kind] else None
    return str(said or f"{name} or {name}:… (a plug-in)")


def origin(kind: str, name: str) -> str:
    """Return where a name comes from: "built in", a distribution with its version, or "your own code"."""
    found = entries(kind).get(name)
    return found.origin if found else _OWN


class Registered(Mapping[str, T]):
    """A kind's things by name, loaded one at a time as they are asked for.

    >>> tools: Registered[Any] = Registered("tool")
    >>> tools["exec"].name, "exec" in tools, "exce" in tools
    ('exec', True, False)
    """

    def __init__(self, kind: str) -> None:
        self.kind = kind

    def __getitem__(self, name: str) -> T:
        return cast("T", load(self.kind, name))

    def __iter__(self) -> Iterator[str]:
        return iter(entries(self.kind))

    def __len__(self) -> int:
        return len(entries(self.kind))

    def __contains__(self, name: object) -> bool:
        return isinstance(name, str) and (
            name in KINDS[self.kind] or name in _points(self.kind) or is_dotted(name)
        )


@cache
def _loaded(kind: str, name: str, value: str, origin: str) -> Any:
    module, _, attributes = value.partition(":")
    try:
        thing: Any = import_module(module)
        for attribute in attributes.split("."):
            thing = getattr(thing, attribute)
    except (ImportError, AttributeError) as error:
        own = isinstance(error, ModuleNotFoundError) and origin == _OWN
        advice = "; is the folder of the module on PYTHONPATH?" if own else ""
        raise UserError(f"{kind} '{name}' of {origin} can't be loaded ({value}: {error}){advice}") from error
    return thing


def _points(kind: str) -> dict[str, list[EntryPoint]]:
    """Return the entry points of a kind by name; several where distributions claim the same one."""
    return _points_on(kind, tuple(sys.path))


@lru_cache(maxsize=256)
def _points_on(kind: str, path: tuple[str, ...]) -> dict[str, list[EntryPoint]]:
    """Look through the metadata of all that is installed: too slow for every look-up by name."""
    found: dict[str, list[EntryPoint]] = {}
    for point in entry_points(group=f"ise_gym.{kind}"):
        if point.name in KINDS[kind]:
            continue
        others = found.setdefault(point.name, [])
        # a distribution that is on the path twice is not a conflict; equality alone would also hide a real one
        if (point.value, _origin(point)) not in [(other.value, _origin(other)) for other in others]:
            others.append(point)
    return found


@lru_cache(maxsize=256)
def _names_on(kind: str, path: tuple[str, ...]) -> dict[str, str]:
    return {entry.value: name for name, entry in reversed(entries(kind).items())}


def _origin(point: EntryPoint) -> str:
    return f"{point.dist.name} {point.dist.version}" if point.dist else "an unnamed package"
