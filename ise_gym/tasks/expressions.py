"""Compiles the expressions of task files: sandboxed, strict about undefined names, native where a value stands alone.

``{{ orders }}`` alone gives the list itself; inside text it is printed. Jinja's own native environment
would turn the text "007" into 7 by evaluating what it printed, so a lone expression is compiled as an
expression instead. Comments open with ``{=#``: the usual ``{#`` occurs in shell code (``${#name}``).
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from types import GeneratorType
from typing import Any

import jinja2
from jinja2.meta import find_undeclared_variables

from ise_gym.errors import UserError
from ise_gym.foreign.values import Json
from ise_gym.tasks.caching import CachingEnvironment
from ise_gym.tasks.filters import FILTERS
from ise_gym.tasks.yamlfile import line_of

Scope = Mapping[str, object]
Render = Callable[[Scope], Any]
TextRender = Callable[[Scope], str]

_TAG_LINES = re.compile(r"^[ \t]*((?:\{%(?:(?!%\}).)*%\}[ \t]*)+)(?:\n|\Z)", re.MULTILINE)
_EXPRESSION = re.compile(r"\s*+\{\{-?(.*?)-?\}\}\s*+", re.DOTALL)


def environment() -> CachingEnvironment:
    """Make the environment of task files."""
    made = CachingEnvironment(
        undefined=jinja2.StrictUndefined,
        keep_trailing_newline=True,
        comment_start_string="{=#",
        comment_end_string="#=}",
        autoescape=False,
        cache_size=0,
    )
    made.filters.update(FILTERS)
    del made.filters["random"]
    made.globals.clear()
    made.globals.update(range=range, dict=dict, namespace=jinja2.utils.Namespace, zip=zip)
    return made


ENVIRONMENT = environment()


class ExpressionError(UserError):
    """An expression is broken, or uses a name that isn't defined.

    Of ``FILE: key.path: problem`` the line is looked up, so that no part of a task has to carry its own.
    """

    def __init__(self, message: str) -> None:
        file, _, rest = message.partition(": ")
        keys, problem, _ = rest.partition(": ")
        if problem and file.endswith(".yaml") and " " not in keys and Path(file).is_file():
            message = f"{file}:{line_of(Path(file), keys.split('.'))}: {rest}"
        super().__init__(message)


def _fail(where: str, error: Exception) -> ExpressionError:
    what = (
        error.message if isinstance(error, jinja2.TemplateError) else f"{type(error).__name__}: {error}"
    ) or str(error)
    return ExpressionError(f"{where}: {what}; fix the template (see docs/tasks.md)")


def has_expressions(text: str) -> bool:
    """Return whether a text holds anything that Jinja acts on."""
    return "{{" in text or "{%" in text or "{=#" in text


def without_tag_lines(source: str) -> str:
    """Make lines that hold nothing but block tags vanish; tags inside a line take nothing with them.

    Jinja's ``trim_blocks`` would also join a line that ends with a tag to the next one.

    >>> without_tag_lines("a\\n  {% if x %}\\nb {% if y %}c{% endif %}\\n{% endif %}\\n")
    'a\\n{% if x %}b {% if y %}c{% endif %}\\n{% endif %}'
    """
    return _TAG_LINES.sub(lambda match: match[1].rstrip(" \t"), source)


def native(value: Json) -> Any:
    """Turn what an expression gave into plain data: generators and tuples become lists.

    Raises:
        jinja2.UndefinedError: an undefined name is hidden in it.
        TypeError: it is not data (a function, say).
    """
    if value is None or isinstance(value, (str, bool, int, float)):
        return value
    if isinstance(value, Mapping):
        return {key: native(item) for key, item in value.items()}
    if isinstance(value, (list, tuple, set, frozenset, range, GeneratorType, Iterator)):
        items = sorted(value, key=str) if isinstance(value, (set, frozenset)) else value
        return [native(item) for item in items]
    if isinstance(value, jinja2.Undefined):
        str(value)
    if hasattr(value, "__iter__") and not isinstance(value, type):
        return [native(item) for item in value]
    raise TypeError(f"a template gave a {type(value).__name__}, which is not data")


def compile_text(source: str, where: str) -> TextRender:
    """Compile a text with expressions, whose result is always text; ``where`` names it in errors."""
    if not has_expressions(source):
        return lambda scope: source
    try:
        compiled = ENVIRONMENT.text_of(without_tag_lines(source))
    except jinja2.TemplateError as error:
        raise _fail(where, error) from None

    def render(scope: Scope) -> str:
        try:
            return compiled.render(scope)
        except (jinja2.TemplateError, ArithmeticError, LookupError, TypeError, ValueError) as error:
            raise _fail(where, error) from None

    return render


def _lone_expression(source: str) -> str | None:
    """Return the expression of a text that is one ``{{ … }}`` and nothing else, or None."""
    match = _EXPRESSION.fullmatch(source)
    if match is None:
        return None
    return match[1] if ENVIRONMENT.is_lone(source.strip()) else None


def compile_value(raw: Json, where: str) -> Render:
    """Compile any YAML value: expressions inside lists and mappings too, a lone ``{{ … }}`` natively.

    Mapping keys are rendered as text. Values without expressions are returned as they are (don't mutate them).
    """
    if isinstance(raw, str):
        if not has_expressions(raw):
            return lambda scope: raw
        try:
            expression = _lone_expression(raw)
        except jinja2.TemplateError as error:
            raise _fail(where, error) from None
        return compile_text(raw, where) if expression is None else _compile_expression(expression, where)
    if isinstance(raw, list):
        items = [compile_value(item, f"{where}.{index}") for index, item in enumerate(raw)]
        return (lambda scope: [item(scope) for item in items]) if mentions(raw) else (lambda scope: raw)
    if isinstance(raw, dict):
        pairs = [
            (compile_text(str(key), f"{where}.{key}"), compile_value(item, f"{where}.{key}"))
            for key, item in raw.items()
        ]
        return (
            (lambda scope: {key(scope): item(scope) for key, item in pairs})
            if mentions(raw)
            else (lambda scope: raw)
        )
    return lambda scope: raw


def _compile_expression(source: str, where: str) -> Render:
    try:
        expression = ENVIRONMENT.value_of(source)
    except jinja2.TemplateError as error:
        raise _fail(where, error) from None

    def render(scope: Scope) -> Any:
        try:
            return native(expression(scope))
        except (jinja2.TemplateError, ArithmeticError, LookupError, TypeError, ValueError) as error:
            raise _fail(where, error) from None

    return render


def mentions(raw: Json) -> bool:
    """Return whether any text inside a YAML value holds expressions."""
    if isinstance(raw, str):
        return has_expressions(raw)
    if isinstance(raw, list):
        return any(mentions(item) for item in raw)
    if isinstance(raw, dict):
        return any(mentions(key) or mentions(item) for key, item in raw.items())
    return False


def names_in(raw: Json) -> set[str]:
    """Return the names that a YAML value's expressions read from their scope."""
    if isinstance(raw, str):
        return set(find_undeclared_variables(ENVIRONMENT.parse(raw))) if has_expressions(raw) else set()
    if isinstance(raw, list):
        return set().union(*(names_in(item) for item in raw))
    if isinstance(raw, dict):
        return set().union(*(names_in(key) | names_in(item) for key, item in raw.items()))
    return set()
