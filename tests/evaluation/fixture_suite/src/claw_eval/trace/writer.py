"""Writes a trace."""

from pathlib import Path


class TraceWriter:
    def __init__(self, path) -> None:
        self._path = Path(path)

    def write_event(self, event) -> None:
        with self._path.open("a", encoding="utf-8") as file:
            file.write(event.model_dump_json() + "\n")

    def __enter__(self):
        return self

    def __exit__(self, *exc) -> None:
        """Nothing is open between events."""
