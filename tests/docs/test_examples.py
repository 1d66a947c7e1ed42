"""Every example runs as its page says, and none is longer than a screen."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from doc_pages import ROOT

from openai_server import reply, serve

EXAMPLES = sorted((ROOT / "examples").glob("*.py"))
SAYS = {
    "step_by_hand": "the user:",
    "own_agent": "failed:",
    "raw_text": "valid True",
    "vector": "['",
    "fork": "the original is untouched: begun",
    "endpoint": "'calls': ",
    "own_user": "terminated: True",
    "own_tool": "3 w.txt\n True",
    "compare_runs": "exact McNemar",
}


@pytest.mark.parametrize("example", EXAMPLES, ids=lambda path: path.stem)
def test_an_example_runs(example: Path, tmp_path: Path) -> None:
    with serve(reply("I had a look.")) as server:
        environment = {
            **os.environ,
            "OPENAI_BASE_URL": server.url,
            "OPENAI_API_KEY": "none",
            "PYTHONPATH": str(ROOT),
        }
        done = subprocess.run(
            [sys.executable, example],
            cwd=tmp_path,
            env=environment,
            capture_output=True,
            text=True,
            timeout=300,
        )
    assert done.returncode == 0, done.stderr[-2000:]
    assert SAYS[example.stem] in done.stdout, done.stdout[-1500:]


def test_all_fit_a_screen_and_stand_on_the_page() -> None:
    page = (ROOT / "examples" / "README.md").read_text()
    for example in EXAMPLES:
        assert len(example.read_text().splitlines()) <= 40, example.name
        assert f"({example.name})" in page
