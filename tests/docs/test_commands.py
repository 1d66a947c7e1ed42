"""What the pages tell a reader to type exists: commands, their options, files, and links."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
import typer.main
from doc_pages import PAGES, ROOT, ise_commands

from ise_gym.cli import app


def _command(words: list[str]) -> tuple[Any, list[str]]:
    """Return the command (click's, or the copy of click that newer versions of typer hold) and what follows its name."""
    found: Any = typer.main.get_command(app)
    rest = words[1:]
    while rest and rest[0] in getattr(found, "commands", {}):
        found, rest = found.commands[rest[0]], rest[1:]
    return found, rest


def mistakes(page: Path) -> list[str]:
    wrong = []
    for where, words in ise_commands(page):
        command, rest = _command(words)
        known = {name for param in command.params for name in (*param.opts, *param.secondary_opts)} | {
            "--help"
        }
        subs = getattr(command, "commands", {})
        first = rest[0] if rest else ""
        if subs and first and not first.startswith("-") and re.fullmatch(r"[a-z][a-z-]*", first):
            wrong.append(f"{where}: no command {' '.join(words[: -len(rest)])} {first}")
        options = {word.split("=")[0] for word in rest if re.match(r"--?[a-z]", word)}
        wrong += [f"{where}: {' '.join(words)[:80]}: no option {name}" for name in sorted(options - known)]
    return wrong


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_command_and_option_of_a_page_exists(page: Path) -> None:
    assert not mistakes(page)


def test_mistakes_are_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("doc_pages.ROOT", tmp_path)
    (tmp_path / "a.md").write_text(
        "Use `ise stats DIR --jason`.\n\n    ise eval play x\n\n```console\n$ ise rollout \\\n  --in x\n```\n\n`ise stats DIR`"
    )
    assert [line.partition(": ")[2] for line in mistakes(tmp_path / "a.md")] == [
        "ise stats DIR --jason: no option --jason",
        "no command ise eval play",
        "ise rollout --in x: no option --in",
    ]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_file_and_link_of_a_page_exists(page: Path) -> None:
    text = page.read_text(encoding="utf-8")
    named = re.findall(
        r"(?<![\w/.-])((?:benchmarks|scripts|examples|tests|training|eval|envs)/[\w./-]*\w\.(?:py|sh|yaml|md|ipynb|jsonl(?:\.gz)?|json))",
        text,
    )
    missing = {name for name in named if not (ROOT / name).exists()}
    links = re.findall(r"\]\(([^)\s:#]+)(?:#[\w-]*)?\)", text)
    missing |= {link for link in links if not (page.parent / link).exists()}
    assert not missing
