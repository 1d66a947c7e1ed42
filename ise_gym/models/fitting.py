"""Do options fit what takes them? Asked before a worker starts, a model loads or a folder is made.

A wrong name or a value of the wrong kind would otherwise show in a worker, or as a server's refusal, after the run
folder is there.
"""

from __future__ import annotations

import inspect
import typing
from collections.abc import Callable, Mapping
from typing import Any

from pydantic import PydanticSchemaGenerationError, PydanticUndefinedAnnotation, TypeAdapter, ValidationError

from ise_gym.errors import UserError, nearest
from ise_gym.models.options import is_secret

_NAMED = (inspect.Parameter.POSITIONAL_OR_KEYWORD, inspect.Parameter.KEYWORD_ONLY)


def check_options(make: Callable[..., Any], options: Mapping[str, Any], who: str, *, given: int = 0) -> None:
    """Check names and values of options against a class's (or function's) parameters and their annotations.

    Args:
        make: what the options are keyword arguments of; one with ``**`` takes any name.
        options: name → value.
        who: begins every message, such as ``agent 'openai:m'``.
        given: how many of the first parameters are given in another way and are no options.

    Raises:
        UserError: an unknown name (with the nearest one), or a value of the wrong kind. Values are not repeated.

    >>> check_options(dict, {"anything": 1}, "agent")
    >>> def user(patience: int = 3): ...
    >>> check_options(user, {"patience": "much"}, "user 'scripted'")
    Traceback (most recent call last):
    ...
    ise_gym.errors.UserError: user 'scripted': option 'patience': input should be a valid integer...
    """
    try:
        signature = inspect.signature(make)
    except ValueError:  # some built-in types have none
        return
    parameters = dict(list(signature.parameters.items())[given:])
    takes_any = any(p.kind is inspect.Parameter.VAR_KEYWORD for p in parameters.values())
    known = [name for name, parameter in parameters.items() if parameter.kind in _NAMED]
    hints = _hints(make)
    for name, value in options.items():
        if name not in known:
            if takes_any:
                continue
            raise UserError(
                f"{who}: there is no option '{name}'.{nearest(name, known)} Known: {', '.join(known) or 'none'}."
            )
        if name in hints:
            _check_value(hints[name], name, value, who)


def _hints(make: Callable[..., Any]) -> dict[str, Any]:
    """Return annotations by name; none where they name things that only a type checker sees."""
    try:
        return typing.get_type_hints(make.__init__ if inspect.isclass(make) else make)  # type: ignore[misc]
    except (NameError, TypeError, AttributeError):
        return {}


def _check_value(kind: Any, name: str, value: Any, who: str) -> None:
    try:
        adapter: TypeAdapter[Any] = TypeAdapter(kind)
    except (PydanticSchemaGenerationError, PydanticUndefinedAnnotation):
        return  # a class of its own: only the taker can judge the value
    try:
        adapter.validate_python(value, strict=isinstance(value, str | bool))
    except ValidationError as error:
        problem = error.errors()[0]["msg"]
        shown = (
            "" if is_secret(name, value) or not isinstance(value, str | int | float) else f", not {value!r}"
        )
        raise UserError(f"{who}: option '{name}': {problem[:1].lower()}{problem[1:]}{shown}.") from None
