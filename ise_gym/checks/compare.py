"""When two values count as equal: the rules for parsed documents and for table cells, in one place.

Documents (JSON, YAML): types matter, ``true`` is no 1 and ``"3"`` is no 3; numbers agree within a tolerance;
lists agree item by item, mappings key by key. Table cells are text, so the *expected* value says how
the cell is read: a number, or a text that is written like one, is compared as a number; other texts exactly.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from typing import Any, TypeGuard

from ise_gym.checks.base import shown
from ise_gym.foreign.values import Json

TOLERANCE = 0.005
"""Numbers may differ by half a cent: rounding to two decimals is never the mistake that is looked for."""

_NUMBER = re.compile(r"-?(?:0|[1-9]\d*)(?:\.\d+)?")


def is_number(value: Json) -> TypeGuard[float]:
    """Return whether a value is an int or float (booleans are not)."""
    return isinstance(value, (int, float)) and not isinstance(value, bool)


def close(found: float, expected: float, tolerance: float) -> bool:
    """Compare two numbers; the slack keeps binary rounding from deciding a tie.

    >>> close(1.005, 1.0, 0.005), close(10**400, 1.0, 0.005)
    (True, False)
    """
    try:
        if math.isnan(found) or math.isinf(found):
            return False
        return abs(found - expected) <= tolerance + 1e-9 * max(1.0, abs(expected))
    except OverflowError:  # an integer of hundreds of digits
        return found == expected


def difference(
    found: Json, expected: Json, tolerance: float, any_order: bool = False, at: str = ""
) -> str | None:
    """Say where a parsed document differs from the expected one; None when they agree.

    >>> difference({"a": [1, 2.001]}, {"a": [1, 2]}, 0.005)
    >>> difference({"a": [1, "2"]}, {"a": [1, 2]}, 0.005)
    "at a.1: found '2' instead of 2"
    """
    place = f"at {at}: " if at else ""
    if is_number(expected):
        same = is_number(found) and close(found, expected, tolerance)
        return None if same else f"{place}found {shown(found)} instead of {shown(expected)}"
    if isinstance(expected, Mapping):
        return _mapping_difference(found, expected, tolerance, any_order, at, place)
    if isinstance(expected, (list, tuple)):
        return _list_difference(found, expected, tolerance, any_order, at, place)
    same = type(found) is type(expected) and found == expected
    return None if same else f"{place}found {shown(found)} instead of {shown(expected)}"


def _mapping_difference(
    found: Json, expected: Mapping[str, Json], tolerance: float, any_order: bool, at: str, place: str
) -> str | None:
    if not isinstance(found, Mapping):
        return f"{place}found {shown(found)} instead of a mapping"
    theirs = {str(key): value for key, value in found.items()}
    ours = {str(key): value for key, value in expected.items()}
    if missing := sorted(ours.keys() - theirs.keys()):
        return f"{place}the key {missing[0]!r} is missing"
    if extra := sorted(theirs.keys() - ours.keys()):
        return f"{place}the key {extra[0]!r} should not be there"
    for key, value in ours.items():
        inner = f"{at}.{key}" if at else key
        if problem := difference(theirs[key], value, tolerance, any_order, inner):
            return problem
    return None


def _list_difference(
    found: Json, expected: Sequence[Json], tolerance: float, any_order: bool, at: str, place: str
) -> str | None:
    if not isinstance(found, (list, tuple)):
        return f"{place}found {shown(found)} instead of a list"
    if len(found) != len(expected):
        return f"{place}found {len(found)} items instead of {len(expected)}"
    if any_order:
        left = list(found)
        for item in expected:
            match = next(
                (i for i, x in enumerate(left) if difference(x, item, tolerance, True) is None), None
            )
            if match is None:
                return f"{place}no item equals {shown(item)}"
            del left[match]
        return None
    for index, (theirs, ours) in enumerate(zip(found, expected, strict=True)):
        if problem := difference(theirs, ours, tolerance, False, f"{at}.{index}" if at else str(index)):
            return problem
    return None


def cell_equals(found: str, expected: Json, tolerance: float) -> bool:
    """Compare a table cell with an expected value.

    >>> cell_equals("12.50", 12.5, 0.005), cell_equals("12.5", "12.50", 0.005), cell_equals("7", "007", 0.005)
    (True, True, False)
    >>> cell_equals("True", True, 0.005), cell_equals("", None, 0.005), cell_equals("1", True, 0.005)
    (True, True, False)
    """
    found = found.strip()
    if expected is None:
        return found == ""
    if isinstance(expected, bool):
        return found.lower() == ("true" if expected else "false")
    text = str(expected).strip()
    if is_number(expected) or _NUMBER.fullmatch(text):
        try:
            return close(float(found), float(text), tolerance) and "_" not in found
        except (ValueError, OverflowError):
            return False
    return found == text


def row_difference(found: Mapping[str, str], expected: Mapping[str, Json], tolerance: float) -> str | None:
    """Say which cell of a row differs; both have the same columns."""
    for column, value in expected.items():
        if not cell_equals(found[column], value, tolerance):
            return f"{column} is {shown(found[column])} instead of {shown(value)}"
    return None


def parsed_at(document: Json, at: str) -> tuple[bool, Any]:
    """Follow a dotted path (keys and list positions) into a parsed document: (found, value).

    >>> parsed_at({"a": [{"b": 3}]}, "a.0.b")
    (True, 3)
    >>> parsed_at({"a": 1}, "a.b")
    (False, None)
    """
    value = document
    for part in at.split(".") if at else []:
        if isinstance(value, Mapping):
            keys = {str(key): key for key in value}
            if part not in keys:
                return False, None
            value = value[keys[part]]
        elif isinstance(value, list) and part.lstrip("-").isdigit() and -len(value) <= int(part) < len(value):
            value = value[int(part)]
        else:
            return False, None
    return True, value
