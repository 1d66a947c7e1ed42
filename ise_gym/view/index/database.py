"""The index's tables, and where its file lies: beside the store, or in the user's cache where that can't be written."""

from __future__ import annotations

import contextlib
import hashlib
import os
import sqlite3
from collections.abc import Iterator
from pathlib import Path

from ise_gym.errors import UserError
from ise_gym.view.index.facts import FIGURES, TAGS
from ise_gym.view.index.words import COLUMNS

VERSION = 1
"""Of the tables; an index of another version is made anew."""
NAME = "index.sqlite"

_TABLES = f"""
CREATE TABLE files (id INTEGER PRIMARY KEY, name TEXT UNIQUE NOT NULL, failures INTEGER NOT NULL,
    done INTEGER NOT NULL, head INTEGER NOT NULL, sha256 TEXT NOT NULL);
CREATE TABLE episodes (id INTEGER PRIMARY KEY, file INTEGER NOT NULL, start INTEGER NOT NULL, stop INTEGER NOT NULL,
    {", ".join(f'"{name}" {kind}' for name, kind in FIGURES.items())});
CREATE INDEX by_episode ON episodes (episode_id);
CREATE INDEX by_scenario ON episodes (scenario_id);
CREATE TABLE tags (kind TEXT NOT NULL, value TEXT NOT NULL, episode INTEGER NOT NULL,
    PRIMARY KEY (kind, value, episode)) WITHOUT ROWID;
CREATE TABLE problems (file INTEGER NOT NULL, start INTEGER NOT NULL, why TEXT NOT NULL);
CREATE VIRTUAL TABLE words USING fts5({", ".join(f'"{c}"' for c in COLUMNS)}, content='',
    tokenize = "unicode61 remove_diacritics 2");
INSERT INTO words (words, rank) VALUES ('hashsize', {64 << 20});
PRAGMA user_version = {VERSION};
"""

INSERT = (
    f"INSERT INTO episodes (file, start, stop, {', '.join(chr(34) + n + chr(34) for n in FIGURES)}) "
    f"VALUES ({', '.join('?' * (3 + len(FIGURES)))})"
)
INSERT_WORDS = (
    f"INSERT INTO words (rowid, {', '.join(chr(34) + c + chr(34) for c in COLUMNS)}) "
    f"VALUES ({', '.join('?' * (1 + len(COLUMNS)))})"
)
assert set(TAGS).isdisjoint(FIGURES), "a filter means one thing"


def index_path(source: Path) -> Path:
    """Return where the index of a store, or of a file of records, lies; its folder exists then.

    Raises:
        UserError: neither there nor in the cache can be written.
    """
    beside = source / ".view" if source.is_dir() else source.parent / f".{source.name}.view"
    told = hashlib.sha256(str(source.resolve()).encode("utf-8", "surrogateescape")).hexdigest()[:24]
    root = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    for folder in (beside, root / "ise_gym" / "view" / told):
        with contextlib.suppress(OSError):
            folder.mkdir(parents=True, exist_ok=True)
            if os.access(folder, os.W_OK | os.X_OK):
                return folder / NAME
    raise UserError(f"{beside}: can't be written, and neither can {root}: there is no place for the index.")


def open_index(path: Path) -> sqlite3.Connection:
    """Open an index for writing, made when it is missing, made anew when it is damaged or of another version.

    Raises:
        UserError: this Python's SQLite has no full-text search, or the file can't be written.
    """
    for attempt in ("as it is", "anew"):
        connection = None
        try:
            if attempt == "anew":
                remove_index(path)
            connection = sqlite3.connect(path, isolation_level=None, check_same_thread=False, timeout=30)
            connection.execute("PRAGMA journal_mode = WAL")
            connection.execute("PRAGMA synchronous = NORMAL")
            connection.execute("PRAGMA cache_size = -65536")
            (version,) = connection.execute("PRAGMA user_version").fetchone()
            if version == VERSION:
                return connection
            if version == 0 and not connection.execute("SELECT 1 FROM sqlite_master").fetchone():
                connection.executescript("BEGIN;" + _TABLES + "COMMIT;")
                return connection
            connection.close()
        except sqlite3.DatabaseError as error:
            if connection is not None:
                connection.close()
            if "fts5" in str(error):
                raise UserError("ise view needs a Python whose SQLite has FTS5; this one has not.") from error
            if attempt == "anew":
                raise UserError(f"{path}: the index can't be written ({error}).") from error
    raise UserError(f"{path}: the index can't be made.")


def remove_index(path: Path) -> None:
    """Remove an index: it holds nothing that the store does not."""
    for name in (path.name, f"{path.name}-wal", f"{path.name}-shm"):
        path.with_name(name).unlink(missing_ok=True)


@contextlib.contextmanager
def reading(path: Path) -> Iterator[sqlite3.Connection]:
    """Open an index for a question."""
    connection = sqlite3.connect(
        f"{path.resolve().as_uri()}?mode=ro", uri=True, check_same_thread=False, timeout=30
    )
    connection.row_factory = sqlite3.Row
    try:
        connection.execute("PRAGMA query_only = ON")
        connection.execute("PRAGMA cache_size = -32768")
        yield connection
    finally:
        connection.close()
