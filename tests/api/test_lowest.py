"""What `make oldest` installs: each requirement of the core and of the extras it tests, at its lower bound."""

from __future__ import annotations

import importlib.util
import re
import tomllib
from pathlib import Path
from types import ModuleType

import pytest

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="module")
def script() -> ModuleType:
    found = importlib.util.spec_from_file_location("lowest", ROOT / "scripts" / "lowest.py")
    assert found is not None and found.loader is not None
    module = importlib.util.module_from_spec(found)
    found.loader.exec_module(module)
    return module


def test_every_requirement_is_held_at_its_lower_bound(script: ModuleType) -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    lines = script.wanted(project, ["docker", "llm", "claweval", "dedup"])
    held = script.lowest(lines)
    assert len(held) == len({re.split(r"[^A-Za-z0-9._-]", line)[0] for line in lines}) > 15
    assert all(f"{name}>={version}" in " ".join(lines) for name, version in held.items())


def test_the_higher_of_two_bounds_counts_and_what_has_none_is_left_free(script: ModuleType) -> None:
    assert script.lowest(["a>=1.9", "a>=1.10,<2", "b", "ise-gym[llm]", "c==2.0"]) == {"a": "1.10", "c": "2.0"}


def test_an_unknown_extra_is_refused(script: ModuleType) -> None:
    with pytest.raises(KeyError):
        script.wanted({"project": {"dependencies": [], "optional-dependencies": {}}}, ["no"])
