"""What several commands print alike."""

from __future__ import annotations

import json
import sys
from typing import Any

from rich.console import Console


def print_json(value: Any) -> None:
    """Print JSON to standard output."""
    sys.stdout.write(json.dumps(value, indent=2, ensure_ascii=False) + "\n")


def wide_console() -> Console:
    """Return a console for tables; in a pipe it is wide enough not to break them."""
    console = Console()
    return console if console.is_terminal else Console(width=200)
