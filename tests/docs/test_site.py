"""The pages become a site without a warning: links, anchors, diagrams, and the reference from docstrings."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml
from doc_pages import PAGES, ROOT

pytest.importorskip("mkdocs")


class _Loader(yaml.SafeLoader):
    """Reads the settings; Python names in them are none of its business."""


_Loader.add_multi_constructor("tag:yaml.org,2002:python/name:", lambda *_: "")


def test_the_site_builds_without_a_warning(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "mkdocs", "build", "--strict", "-q", "-d", tmp_path / "site"],
        cwd=ROOT,
        env={**os.environ, "NO_MKDOCS_2_WARNING": "1"},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "ise_gym.ISEEnv" in (tmp_path / "site" / "reference" / "index.html").read_text()


def test_every_page_is_found_from_the_navigation() -> None:
    def named(entries: str | list[Any] | dict[str, Any]) -> set[str]:
        if isinstance(entries, str):
            return {entries}
        inner = list(entries.values()) if isinstance(entries, dict) else entries
        return {name for entry in inner for name in named(entry)}

    settings = yaml.load((ROOT / "mkdocs.yml").read_text(), _Loader)
    assert named(settings["nav"]) == {page.name for page in PAGES if page.parent.name == "docs"}
