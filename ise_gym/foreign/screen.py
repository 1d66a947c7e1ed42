"""The terminal: every command prints through `Screen`, so that what others wrote reaches it as words only.

A persona, a tool's name or a reason of the infrastructure may hold rich's markup or terminal escapes, and every table
cell is such a text sooner or later. So markup is off, and what can't be printed is escaped where rich turns strings
into segments, not by whoever prints. Colour comes from `rich.text.Text`, which says what is style and what is words.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from rich.console import Console, ConsoleOptions, RenderableType
from rich.segment import Segment
from rich.text import Text

from ise_gym.foreign.text import printable, printable_in_place


class Screen(Console):
    r"""A rich console on which brackets are words and escapes are shown.

    Takes what `rich.console.Console` takes.

    >>> screen = Screen(width=40, record=True, file=__import__("io").StringIO())
    >>> screen.print("[/bold]x \x1b[31m")
    >>> screen.export_text()
    '[/bold]x \\x1b[31m\n'
    """

    def __init__(self, **options: Any) -> None:
        super().__init__(**{"markup": False, "emoji": False, **options})

    def on_broken_pipe(self) -> None:
        """Leave a reader that went away to whoever runs the command; rich would end it as failed."""
        raise BrokenPipeError

    def render_str(self, text: str, **options: Any) -> Text:
        """Turn a string into rich's text; every string that is printed, or stands in a table, comes by here."""
        return super().render_str(printable(text), **options)

    def render(self, renderable: RenderableType, options: ConsoleOptions | None = None) -> Iterable[Segment]:
        """Render; a text keeps its styles, so its characters are replaced one by one."""
        if (
            isinstance(renderable, Text)
            and (plain := printable_in_place(renderable.plain)) != renderable.plain
        ):
            renderable = renderable.copy()
            renderable.plain = plain
        return super().render(renderable, options)
