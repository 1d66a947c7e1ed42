"""Do options fit what takes them? Asked before a worker starts, a model loads or a folder is made.

A wrong name or a value of the wrong kind would otherwise show in a worker, or as a server's refusal, after the run's
folder is there.
"""

from __future__ import annotations

import inspect
import typing
from collections.abc import Callable, Mapping
from typing import Any

from pydantic import PydanticSchemaGenerationError, PydanticUndefinedAnnotation, TypeAdapter, ValidationError

from ise_gym.errors import UserError, nearest

_NAMED = (inspect.Parameter.POSITIONAL_OR_KEYWORD, inspect.Parameter.KEYWORD_ONLY)


def check_options(
    make: Callable[..., object], options: Mapping[str, object], who: str, *, given: int = 0
) -> None:
    """Check names and values of options against the parameters of what takes them, and their annotations.

    Args:
        make: a class or function. One with ``**`` takes any name, unless its attribute ``options_from`` says whose
            parameters these are.
        options: name → value.
        who: begins every message, such as ``agent 'openai:m'``.
        given: how many of the first parameters are given in another way, so are not options.

    Raises:
        UserError: an unknown name (with the nearest one), or a value of the wrong kind. Texts are not repeated: one
            may be a key.

    >>> check_options(dict, {"anything": 1}, "agent")
    >>> def user(patience: int = 3): ...
    >>> check_options(user, {"patience": "much"}, "user 'scripted'")
    Traceback (most recent call last):
    ...
    ise_gym.errors.UserError: user 'scripted': option 'patience': input should be a valid integer.
    """
    known, kinds, takes_any = _parameters(make, given)
    for name, value in options.items():
        if name in known:
            _check_value(kinds.get(name, Any), name, value, who)
        elif not takes_any:
            listed = f"Known: {', '.join(known)}." if known else "It takes none."
            raise UserError(f"{who}: there is no option '{name}'.{nearest(name, known)} {listed}")


def _parameters(make: Callable[..., object], given: int) -> tuple[list[str], dict[str, Any], bool]:
    """Return the names of parameters, their annotations, and whether any other name is taken as well."""
    try:
        parameters = list(inspect.signature(make).parameters.values())
    except ValueError:  # some built-in types have none
        return [], {}, True
    known = [one.name for one in parameters[given:] if one.kind in _NAMED]
    kinds = _annotations(make)
    takes_any = any(one.kind is inspect.Parameter.VAR_KEYWORD for one in parameters)
    if takes_any and (inner := getattr(make, "options_from", None)) is not None:
        names, inner_kinds, takes_any = _parameters(inner, 0)
        taken = {one.name for one in parameters}
        known += [name for name in names if name not in taken]
        kinds = {**inner_kinds, **kinds}
    return known, kinds, takes_any


def _annotations(make: Callable[..., object]) -> dict[str, Any]:
    """Return annotations by name; none where they name things that only a type checker sees."""
    target: Any = vars(make).get("__init__") if inspect.isclass(make) else make
    try:
        return typing.get_type_hints(target)
    except (NameError, TypeError, AttributeError):
        return {}


def _check_value(kind: Any, name: str, value: object, who: str) -> None:
    try:
        adapter: TypeAdapter[Any] = TypeAdapter(kind)
    except (PydanticSchemaGenerationError, PydanticUndefinedAnnotation):
        return  # a class of its own: only the taker can judge the value
    try:
        adapter.validate_python(value, strict=isinstance(value, str | bool))
    except ValidationError as error:
        problem = error.errors()[0]["msg"]
        raise UserError(f"{who}: option '{name}': {problem[:1].lower()}{problem[1:]}.") from None
