"""The error messages that the page of questions quotes are the ones that the code says."""

from __future__ import annotations

import re

from doc_pages import ROOT


def _said() -> str:
    """Everything that the package's source says, with adjacent string literals joined."""
    text = "\n".join(path.read_text(encoding="utf-8") for path in sorted((ROOT / "ise_gym").rglob("*.py")))
    return re.sub(r'"\s*\n\s*f?"', "", text)


def test_quoted_messages_exist() -> None:
    page = (ROOT / "docs" / "faq.md").read_text(encoding="utf-8")
    quoted = [line.removeprefix("### ") for line in page.splitlines() if line.startswith("### `")]
    said = _said()
    assert len(quoted) >= 10
    missing = [
        part
        for line in quoted
        for part in re.findall(r"`([^`]+)`", line)
        if not all(piece.strip(" :") in said for piece in part.split("…"))
    ]
    assert not missing
