"""What a service's file would find around itself as a process of its own: its folder first, its neighbours its own.

Started as ``python FILE``, a script imports from its own folder, also long after its start, and two scripts with
neighbours of the same name never meet. In one process both has to be arranged: the import path is the service's while
it loads and answers, and modules from its folder are put aside in between.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import ModuleType


class Surroundings:
    """Import path and neighbouring modules of one service in one task; both start anew with each.

    Args:
        file: the service's source.
    """

    def __init__(self, file: Path) -> None:
        self._folder = file.parent.resolve()
        self._names = neighbours(file)
        self._path: list[str] = []
        self._own: dict[str, ModuleType] = {}

    @contextmanager
    def entered(self) -> Iterator[None]:
        """Import as the service does, for a while."""
        path = list(sys.path)
        hidden = {name: sys.modules.pop(name) for name in self._names if name in sys.modules}
        sys.path[:] = self._path or [str(self._folder), *path]
        sys.modules.update(self._own)
        try:
            yield
        finally:
            self._path = list(sys.path)
            self._own = {name: sys.modules.pop(name) for name in self._names if name in sys.modules}
            sys.modules.update(hidden)
            sys.path[:] = path


def neighbours(file: Path) -> frozenset[str]:
    """Return the names under which a script can import what lies beside it."""
    if not file.parent.is_dir():
        return frozenset()
    scripts = {path.stem for path in file.parent.glob("*.py") if path.name != "__init__.py"}
    packages = {path.parent.name for path in file.parent.glob("*/__init__.py")}
    return frozenset(scripts | packages)


def imports_neighbours(file: Path) -> bool:
    """Whether a script that was just loaded has taken in what lies beside it."""
    return any(name in sys.modules for name in neighbours(file))
