"""Checks on what a file says: text, JSON, JSON lines, YAML and CSV."""

from __future__ import annotations

import csv
import io
import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import Enum
from typing import Any

import yaml

from ise_gym.checks.base import (
    PASSED,
    BaseCheck,
    Unreadable,
    decode,
    failed,
    judged,
    plain,
    read_bytes,
    shown,
)
from ise_gym.checks.compare import TOLERANCE, difference, is_number, parsed_at, row_difference
from ise_gym.foreign.values import Json
from ise_gym.scenario import CheckResult
from ise_gym.workspace.base import SeedFile, Workspace


class _Key(Enum):
    ABSENT = "not given"


MAX_DEPTH = 100
"""How deep a document may be nested."""

ABSENT: Any = _Key.ABSENT
"""Marks a key that was not given (None is a value that can be asked for); an enum survives pickling."""


def strings(value: Json, what: str) -> list[str]:
    """Return one text or a list of texts as a list; numbers are printed.

    Raises:
        ValueError: neither.
    """
    items = value if isinstance(value, (list, tuple)) else [value]
    if not all(isinstance(item, str) or is_number(item) for item in items):
        raise ValueError(f"{what} needs a text or a list of texts, not {shown(value)}")
    texts = [str(item) for item in items]
    if not all(texts):
        raise ValueError(f"{what} holds an empty text, which says nothing")
    return texts


def rows_of(text: str) -> list[str]:
    """Split at line feeds only, and drop whitespace at the line ends."""
    return [line.rstrip() for line in plain(text).split("\n")]


def trimmed(text: str) -> str:
    """Drop what never matters: whitespace at line ends and at the end of the text."""
    return "\n".join(rows_of(text)).rstrip()


def text_problem(
    text: str, equals: object = ABSENT, contains: Json = (), excludes: Json = (), matches: Json = ()
) -> str | None:
    """Say how a text misses what is asked of it; None when it has all. Shared by files and command output.

    ``text`` is as it was read: ``excludes`` can look for carriage returns and byte-order marks, which
    ``contains`` and ``matches`` may find but need not write.
    """
    if equals is not ABSENT and trimmed(text) != trimmed(str(equals)):
        return f"reads {shown(trimmed(text))} instead of {shown(trimmed(str(equals)))}"
    forms = (text, plain(text))
    for wanted in strings(contains, "contains"):
        if not any(wanted in form for form in forms):
            return f"does not contain {shown(wanted)}"
    for unwanted in strings(excludes, "excludes"):
        if unwanted in text:
            return f"contains {shown(unwanted)}"
    for pattern in strings(matches, "matches"):
        if not any(re.search(pattern, form, re.MULTILINE) for form in forms):
            return f"does not match {shown(pattern)}"
    return None


@dataclass(frozen=True)
class TextCheck(BaseCheck):
    """Passes when a text file meets every given key; see ``docs/tasks.md``."""

    equals: Any = ABSENT
    contains: Any = ()
    excludes: Any = ()
    matches: Any = ()
    lines: Any = None
    line_count: Any = None

    def __post_init__(self) -> None:
        super().__post_init__()
        text_problem("", ABSENT, self.contains, self.excludes)
        for pattern in strings(self.matches, "matches"):
            re.compile(pattern)
        if self.line_count is not None and not isinstance(self.line_count, int):
            raise ValueError(f"line_count needs a number, not {shown(self.line_count)}")
        if self.lines is not None and not isinstance(self.lines, (list, tuple)):
            raise ValueError(f"lines needs a list, not {shown(self.lines)}")
        given = (self.equals is not ABSENT, self.contains, self.excludes, self.matches)
        if not any(bool(x) for x in given) and self.lines is None and self.line_count is None:
            raise ValueError(
                "text needs at least one of equals, contains, excludes, matches, lines, line_count"
            )

    def look(self, workspace: Workspace, start: Mapping[str, SeedFile]) -> CheckResult:
        """See `BaseCheck.run`."""
        return judged(self, read_bytes(workspace, self.path))

    def judge(self, material: bytes) -> CheckResult:
        """Judge the file's bytes."""
        text = decode(material, self.path)
        if problem := text_problem(text, self.equals, self.contains, self.excludes, self.matches):
            return failed(f"{self.path} {problem}")
        rows = [line for line in rows_of(text) if line]
        if self.line_count is not None and len(rows) != self.line_count:
            return failed(f"{self.path} has {len(rows)} non-empty lines instead of {self.line_count}")
        wanted = None if self.lines is None else [str(line).rstrip() for line in self.lines]
        if wanted is not None and rows != wanted:
            pairs = enumerate(zip(rows, wanted, strict=False))
            at = next((i for i, (a, b) in pairs if a != b), min(len(rows), len(wanted)))
            here, there = (rows[at : at + 1] or ["nothing"])[0], (wanted[at : at + 1] or ["nothing"])[0]
            return failed(f"{self.path} line {at + 1} is {shown(here)} instead of {shown(there)}")
        return PASSED


def parse_json(text: str, what: str) -> Any:
    """Parse one JSON document strictly (no NaN, no repeated keys).

    Raises:
        Unreadable: not JSON.
    """

    def constant(name: str) -> Any:
        raise ValueError(f"{name} is not JSON")

    def pairs(items: list[tuple[str, Json]]) -> dict[str, Any]:
        if len(dict(items)) != len(items):
            raise ValueError("a key occurs twice")
        return dict(items)

    try:
        return json.loads(text, parse_constant=constant, object_pairs_hook=pairs)
    except (ValueError, RecursionError) as error:
        raise Unreadable(f"{what} is not valid JSON ({error})") from None


def _tolerance(value: Json) -> None:
    if not is_number(value) or value < 0:
        raise ValueError(f"approx needs a number of at least 0, not {shown(value)}")


@dataclass(frozen=True)
class JsonCheck(BaseCheck):
    """Passes when the parsed document (or its part ``at``) equals the expected value."""

    equals: Any
    at: str = ""
    approx: Any = TOLERANCE
    any_order: bool = False

    def __post_init__(self) -> None:
        super().__post_init__()
        _tolerance(self.approx)

    def parse(self, text: str) -> Any:
        """Parse the file's text."""
        return parse_json(text, self.path)

    def look(self, workspace: Workspace, start: Mapping[str, SeedFile]) -> CheckResult:
        """See `BaseCheck.run`."""
        return judged(self, read_bytes(workspace, self.path))

    def judge(self, material: bytes) -> CheckResult:
        """Judge the file's bytes."""
        there, value = parsed_at(self.parse(plain(decode(material, self.path))), str(self.at))
        if not there:
            return failed(f"{self.path} has nothing at {self.at}")
        problem = difference(value, self.equals, self.approx, self.any_order, str(self.at))
        return failed(f"{self.path} {problem}") if problem else PASSED


@dataclass(frozen=True)
class JsonLinesCheck(JsonCheck):
    """Passes when the list of the file's lines, each parsed as JSON, equals the expected list."""

    def __post_init__(self) -> None:
        super().__post_init__()
        if not isinstance(self.equals, (list, tuple)):
            raise ValueError(f"jsonl.equals needs a list, not {shown(self.equals)}")

    def parse(self, text: str) -> Any:
        """Parse each non-empty line."""
        numbered = enumerate(text.split("\n"), 1)
        return [parse_json(line, f"{self.path} line {n}") for n, line in numbered if line.strip()]


@dataclass(frozen=True)
class YamlCheck(JsonCheck):
    """Passes when the parsed YAML document (or its part ``at``) equals the expected value.

    Dates are compared as texts, since the expected value is one.
    """

    def parse(self, text: str) -> Any:
        """Parse one YAML document with the safe loader.

        Aliases are refused (they can explode), and so is deep nesting (the scanner's time is its square).
        """
        depth = 0
        try:
            for event in yaml.parse(text, Loader=yaml.SafeLoader):
                if isinstance(event, yaml.AliasEvent):
                    raise Unreadable(f"{self.path} uses YAML aliases, which are not read")
                depth += isinstance(event, yaml.CollectionStartEvent)
                depth -= isinstance(event, yaml.CollectionEndEvent)
                if depth > MAX_DEPTH:
                    raise Unreadable(f"{self.path} is nested more than {MAX_DEPTH} levels deep")
            return _dates_as_text(yaml.safe_load(text))
        except (Unreadable, MemoryError):
            raise
        except (
            Exception
        ) as error:  # PyYAML's constructors raise KeyError, IndexError, AttributeError, … as well
            raise Unreadable(f"{self.path} is not valid YAML ({error})") from None


def _dates_as_text(value: object) -> Any:
    if isinstance(value, dict):
        return {str(_dates_as_text(key)): _dates_as_text(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_dates_as_text(item) for item in value]
    return value.isoformat() if hasattr(value, "isoformat") else value


@dataclass(frozen=True)
class CsvCheck(BaseCheck):
    """Passes when a CSV file with a header holds the expected rows.

    Without ``columns`` the header must have the expected rows' keys in any order; with it, exactly these.
    """

    rows: Any
    any_order: bool = False
    columns: Any = None
    delimiter: str = ","
    approx: Any = TOLERANCE

    def __post_init__(self) -> None:
        super().__post_init__()
        _tolerance(self.approx)
        if not isinstance(self.rows, (list, tuple)):
            raise ValueError(f"csv.rows needs a list, not {shown(self.rows)}")
        if not all(isinstance(row, Mapping) or self.columns is not None for row in self.rows):
            raise ValueError("csv.rows needs dicts; lists of cells are possible when `columns` is given")
        if not self.rows and self.columns is None:
            raise ValueError("csv with no expected rows needs `columns`")

    def look(self, workspace: Workspace, start: Mapping[str, SeedFile]) -> CheckResult:
        """See `BaseCheck.run`."""
        return judged(self, read_bytes(workspace, self.path))

    def judge(self, material: bytes) -> CheckResult:
        """Judge the file's bytes."""
        header, found = self._table(plain(decode(material, self.path)))
        expected = [
            row if isinstance(row, Mapping) else dict(zip(self.columns, row, strict=True))
            for row in self.rows
        ]
        names = list(self.columns) if self.columns is not None else list(expected[0])
        same = header == names if self.columns is not None else sorted(header) == sorted(names)
        if not same:
            return failed(f"{self.path} has the columns {shown(header)} instead of {shown(names)}")
        if len(found) != len(expected):
            return failed(f"{self.path} has {len(found)} rows instead of {len(expected)}")
        return self._in_any_order(found, expected) if self.any_order else self._in_order(found, expected)

    def _table(self, text: str) -> tuple[list[str], list[dict[str, str]]]:
        try:
            rows = list(csv.reader(io.StringIO(text), delimiter=self.delimiter, strict=True))
        except csv.Error as error:
            raise Unreadable(f"{self.path} is not valid CSV ({error})") from None
        rows = [row for row in rows if row]
        if not rows:
            raise Unreadable(f"{self.path} is empty")
        header = [name.strip() for name in rows[0]]
        for number, row in enumerate(rows[1:], 2):
            if len(row) != len(header):
                raise Unreadable(
                    f"{self.path} row {number} has {len(row)} cells, its header has {len(header)}"
                )
        return header, [dict(zip(header, row, strict=True)) for row in rows[1:]]

    def _in_order(
        self, found: Sequence[dict[str, str]], expected: Sequence[Mapping[str, Json]]
    ) -> CheckResult:
        for number, (theirs, ours) in enumerate(zip(found, expected, strict=True), 1):
            if problem := row_difference(theirs, ours, self.approx):
                return failed(f"{self.path} data row {number}: {problem}")
        return PASSED

    def _in_any_order(
        self, found: Sequence[dict[str, str]], expected: Sequence[Mapping[str, Json]]
    ) -> CheckResult:
        left = list(found)
        for ours in expected:
            match = next(
                (i for i, x in enumerate(left) if row_difference(x, ours, self.approx) is None), None
            )
            if match is None:
                return failed(f"{self.path} has no row {shown(dict(ours))}")
            del left[match]
        return PASSED
