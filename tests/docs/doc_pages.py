"""The pages that a reader meets, and the commands and blocks of code that stand in them."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md")), *sorted((ROOT / "examples").glob("*.md"))]
NOT_RUN = "not run: "

_FENCE = re.compile(
    r"^(?:<!-- (?P<note>[^\n]*?) -->\n)?```(?P<kind>\w*)[^\n]*\n(?P<text>.*?)^```", re.M | re.S
)
_INLINE = re.compile(r"(?<!`)`([^`\n]+(?:\n[^`\n]+)?)`(?!`)")
_ISE = re.compile(r"^(?:\$ )?ise(?: |$)")


@dataclass(frozen=True)
class Block:
    """A fenced block: its page, the number of its first line, its language, and the comment above it."""

    page: Path
    line: int
    kind: str
    text: str
    note: str

    @property
    def name(self) -> str:
        return f"{self.page.relative_to(ROOT)}:{self.line}"

    @property
    def why_not(self) -> str:
        """Why nothing runs it; empty for a block that is run."""
        return self.note.removeprefix(NOT_RUN) if self.note.startswith(NOT_RUN) else ""


def blocks(page: Path) -> list[Block]:
    text = page.read_text(encoding="utf-8")
    return [
        Block(page, text[: m.start("text")].count("\n"), m["kind"], m["text"], m["note"] or "")
        for m in _FENCE.finditer(text)
    ]


def console_lines(block: Block) -> list[str]:
    """Return the commands of a console block: what stands after ``$``, continued lines joined, without remarks.

    >>> console_lines(Block(ROOT / "a.md", 1, "console", "$ ise stats \\\\\\n    x  # the shape\\n8 turns\\n", ""))
    ['ise stats x']
    """
    joined = re.sub(r"\\\n\s*", "", block.text)
    lines = (line[2:] for line in joined.splitlines() if line.startswith("$ "))
    return [re.sub(r"\s+#\s.*$", "", line).strip() for line in lines]


def ise_commands(page: Path) -> Iterator[tuple[str, list[str]]]:
    """Yield every ``ise …`` that a page shows, in blocks and in running text: where, and its words."""
    text = page.read_text(encoding="utf-8")
    fenced = [m.span() for m in _FENCE.finditer(text)]
    found = [(m.start(1), m[1].replace("\n", " ")) for m in _INLINE.finditer(text)]
    found = [f for f in found if not any(a <= f[0] < b for a, b in fenced)]
    for match in re.finditer(r"^(?:    |\$ )?(ise (?:[^\n]*\\\n)*[^\n]*)$", text, re.M):
        found.append((match.start(1), re.sub(r"\\\n\s*", "", match[1])))
    for place, words in found:
        if _ISE.match(words):
            line = text[:place].count("\n") + 1
            yield f"{page.relative_to(ROOT)}:{line}", _words(words.removeprefix("$ "))


def _words(command: str) -> list[str]:
    plain = re.split(r"\s+#\s|\s{3,}|;|\||>|&&", command.replace("[", " ").replace("]", " "))[0]
    try:
        return shlex.split(plain)
    except ValueError:  # an apostrophe of the running text
        return plain.split()
