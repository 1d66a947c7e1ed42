"""Reads YAML the way people expect it, and says on which line something is wrong.

YAML 1.1 turns ``no`` into false, ``12:30`` into 750, ``0644`` into 420 and ``2025-01-01`` into a date object,
and it lets a repeated key silently win. Task files are full of such values, so this loader keeps only
``true``/``false``, plain decimal numbers and null; everything else stays text. Repeated keys are errors.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import yaml

from ise_gym.errors import UserError


class _Loader(yaml.CSafeLoader):
    """The safe loader with fewer implicit types and no repeated keys."""


_RESOLVERS: list[tuple[str, str, str]] = [
    ("tag:yaml.org,2002:bool", r"^(?:true|True|false|False)$", "tTfF"),
    ("tag:yaml.org,2002:int", r"^[-+]?(?:0|[1-9][0-9]*)$", "-+0123456789"),
    ("tag:yaml.org,2002:float", r"^[-+]?(?:0|[1-9][0-9]*)\.[0-9]+(?:[eE][-+]?[0-9]+)?$", "-+0123456789"),
    ("tag:yaml.org,2002:null", r"^(?:~|null|Null|)$", "~nN\0"),
    ("tag:yaml.org,2002:merge", r"^<<$", "<"),
]
_Loader.yaml_implicit_resolvers = {}
for _tag, _pattern, _firsts in _RESOLVERS:
    _Loader.add_implicit_resolver(_tag, re.compile(_pattern), [c if c != "\0" else "" for c in _firsts])


def _mapping(loader: _Loader, node: yaml.MappingNode) -> dict[Any, Any]:
    seen: dict[Any, int] = {}
    for key_node, _ in node.value:
        if key_node.tag.endswith(":merge"):
            continue
        key = loader.construct_object(key_node, deep=True)
        line = key_node.start_mark.line + 1
        if key in seen:
            raise yaml.constructor.ConstructorError(
                None, None, f"the key {key!r} occurs twice (first on line {seen[key]})", key_node.start_mark
            )
        seen[key] = line
    loader.flatten_mapping(node)
    return {
        loader.construct_object(k, deep=True): loader.construct_object(v, deep=True) for k, v in node.value
    }


_Loader.add_constructor("tag:yaml.org,2002:map", _mapping)


def read_yaml(path: Path) -> Any:
    """Parse a YAML file.

    Raises:
        UserError: the file can't be read, or isn't valid YAML (with line and column).
    """
    try:
        return parse_yaml(path.read_text(encoding="utf-8"), str(path))
    except FileNotFoundError:
        raise UserError(f"{path}: no such file") from None
    except (OSError, UnicodeDecodeError) as error:
        raise UserError(f"{path}: can't be read as UTF-8 text ({error})") from None


def parse_yaml(text: str, where: str) -> Any:
    """Parse YAML text; ``where`` names it in errors.

    >>> parse_yaml("{a: no, b: 12:30, c: 0644, d: 7}", "example")
    {'a': 'no', 'b': '12:30', 'c': '0644', 'd': 7}
    """
    try:
        return yaml.load(text, Loader=_Loader)
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        line = f" line {mark.line + 1}, column {mark.column + 1}:" if mark is not None else ""
        problem = getattr(error, "problem", None) or str(error)
        raise UserError(f"{where}:{line} not valid YAML: {problem}") from None


def line_of(path: Path, keys: Sequence[str | int]) -> int:
    """Return the line (from 1) where the deepest existing part of a key path stands; 1 when unknown.

    An entry of a list goes by its number or by its ``name``.
    """
    try:
        node = yaml.compose(path.read_text(encoding="utf-8"), Loader=_Loader)
    except (OSError, UnicodeDecodeError, yaml.YAMLError):
        return 1
    line = 1
    for key in keys:
        if isinstance(node, yaml.MappingNode):
            found = next(((k, v) for k, v in node.value if k.value == str(key)), None)
            if found is None:
                break
            line, node = found[0].start_mark.line + 1, found[1]
        elif isinstance(node, yaml.SequenceNode) and (entry := _entry(node, key)) is not None:
            node = entry
            line = node.start_mark.line + 1
        else:
            break
    return line


def _entry(node: yaml.SequenceNode, key: str | int) -> yaml.Node | None:
    if isinstance(key, int) or key.isdecimal():
        return node.value[int(key)] if int(key) < len(node.value) else None
    for entry in node.value:
        if isinstance(entry, yaml.MappingNode):
            names = [value.value for name, value in entry.value if name.value == "name"]
            if key in names:
                return entry
    return None
