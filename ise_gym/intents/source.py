"""Where scenarios come from: the catalog by seed, or an intents file; and how such a file is written.

The three have modules of their own; this one is the address that the rest of the project uses.
"""

from __future__ import annotations

import json
from pathlib import Path

from ise_gym.intents.drawn import Intent, IntentSource
from ise_gym.intents.foreign import ForeignFileSource
from ise_gym.intents.lines import IntentFileSource, IntentLine
from ise_gym.intents.pool.generate import generate

__all__ = [
    "ForeignFileSource", "Intent", "IntentFileSource", "IntentLine", "IntentSource", "generate", "open_intent_file"
]  # fmt: skip


def open_intent_file(path: Path | str) -> IntentFileSource | ForeignFileSource:
    """Open a file of intents, whoever wrote it: the catalog's own (with checks), ISETrace's, or queries.

    The first line that is a JSON object decides.

    Raises:
        UserError: unreadable, or nothing in it can be used.
    """
    try:
        with Path(path).open(encoding="utf-8") as file:
            first = next((keys for line in file if (keys := _keys(line))), None)
    except (OSError, UnicodeDecodeError):
        return IntentFileSource(path)  # says what is wrong
    foreign = first is not None and "seed" not in first and bool(first & _FOREIGN_KEYS)
    return ForeignFileSource(path) if foreign else IntentFileSource(path)


_FOREIGN_KEYS = {"natural_language_intent", "query", "question"}


def _keys(line: str) -> set[str]:
    try:
        found = json.loads(line)
    except ValueError:
        return set()
    return set(found) if isinstance(found, dict) else set()
