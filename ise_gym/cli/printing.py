"""What several commands print alike."""

from __future__ import annotations

import sys

from ise_gym.foreign.screen import Screen
from ise_gym.foreign.text import printable_json
from ise_gym.foreign.values import Json


def print_json(value: Json) -> None:
    """Print JSON to standard output."""
    sys.stdout.write(printable_json(value) + "\n")


def wide_console() -> Screen:
    """Return a console for tables; in a pipe it is wide enough not to break them."""
    console = Screen()
    return console if console.is_terminal else Screen(width=200)
