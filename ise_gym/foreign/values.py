"""What JSON and YAML can hold: the type of data that nobody has looked into yet.

Read-only on purpose (`Sequence` and `Mapping`), so that a ``dict[str, str]`` fits too, and whoever takes such data has
to look (``isinstance``) before using it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TypeAlias, Union

Json: TypeAlias = Union[bool, int, float, str, "Sequence[Json]", "Mapping[str, Json]", None]
"""A JSON value."""
