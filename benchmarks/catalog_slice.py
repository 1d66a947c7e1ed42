"""Some of the catalog's scenarios as a source, drawn where they are played, so that nothing is written beforehand."""

from __future__ import annotations

import functools
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from ise_gym.intents.source import IntentSource


@dataclass(frozen=True)
class Slice:
    """Scenarios ``start … start + count - 1`` of the catalog."""

    start: int
    count: int
    name: str = "catalog"

    def ids(self) -> list[str]:
        # they must be the scenarios' own, or a resumed run would play everything again
        name = _catalog().scenario(self.start).id.rpartition("-")[0]
        return [f"{name}-{n}" for n in range(self.start, self.start + self.count)]

    def scenario(self, seed: int) -> Any:
        return _catalog().scenario(self.start + seed)

    def __iter__(self) -> Iterator[Any]:
        return (self.scenario(n) for n in range(self.count))


@functools.lru_cache(maxsize=1)
def _catalog() -> IntentSource:
    return IntentSource()
