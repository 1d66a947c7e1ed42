"""Every block of code on the pages runs.

The blocks of one page run in order, in one folder: Python in one namespace, ``$`` lines of console blocks as commands. What can't run
anywhere says why in a comment above it (``<!-- not run: … -->``), and there are few of those. A page is a slow test of its own.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
import yaml
from doc_pages import PAGES, ROOT, Block, blocks, console_lines

ELSEWHERE = {"contributing.md": "tests/cli/test_every_kind.py installs and uses its package"}
KINDS = {"python", "console", "yaml", "toml", "bash"}
MOST_NOT_RUN = 4
WITH = [page for page in PAGES if page.name not in ELSEWHERE and any(b.kind in KINDS for b in blocks(page))]


def run_console(block: Block, folder: Path) -> None:
    bin = Path(sys.executable).parent
    environment = {**os.environ, "PATH": f"{bin}:{os.environ['PATH']}", "NO_COLOR": "1", "COLUMNS": "120"}
    for line in console_lines(block):
        words = (
            line.replace("ise ", f"{sys.executable} -m ise_gym.cli ", 1) if line.startswith("ise ") else line
        )
        done = subprocess.run(
            ["bash", "-c", words], cwd=folder, env=environment, capture_output=True, text=True, timeout=300
        )
        assert done.returncode == 0, f"{block.name}: {line}\n{done.stdout[-1500:]}\n{done.stderr[-1500:]}"


@pytest.mark.parametrize("page", WITH, ids=lambda page: page.name)
def test_the_blocks_of_a_page_run(page: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(str(tmp_path))
    names: dict[str, object] = {"__name__": "__main__"}
    for block in blocks(page):
        if block.why_not:
            continue
        if block.kind == "python":
            exec(compile("\n" * block.line + block.text, str(page), "exec"), names)
        elif block.kind == "console":
            run_console(block, tmp_path)
        elif block.kind == "yaml":
            assert yaml.safe_load(block.text), block.name
        elif block.kind == "toml":
            assert tomllib.loads(block.text), block.name
        elif (
            block.kind == "bash"
        ):  # `make` and `ise` lines: what they name is held by test_commands and by CI itself
            subprocess.run(["bash", "-n", "-c", block.text], check=True)


def test_few_blocks_are_not_run_and_each_says_why() -> None:
    left = [block for page in PAGES for block in blocks(page) if block.note.startswith("not run")]
    assert all(len(block.why_not) > 10 for block in left), [block.name for block in left]
    assert len(left) <= MOST_NOT_RUN, [block.name for block in left]


def test_a_broken_block_is_found(tmp_path: Path) -> None:
    (tmp_path / "p.md").write_text("```console\n$ ise stats nowhere\n```\n")
    (block,) = blocks(tmp_path / "p.md")
    with pytest.raises(AssertionError, match="nowhere"):
        run_console(Block(ROOT / "p.md", block.line, block.kind, block.text, block.note), tmp_path)
