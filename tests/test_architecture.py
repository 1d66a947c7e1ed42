"""The house keeps its shape: small folders and files, and a page that names every room in the order of its layers."""

from __future__ import annotations

import ast
import importlib
import re
import tomllib
from collections import Counter
from collections.abc import Iterator
from functools import reduce
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
PAGE = (ROOT / "docs" / "architecture.md").read_text("utf-8")
MOST_FILES = 18
MOST_LINES = 500


def python_files() -> Iterator[Path]:
    for top in ("ise_gym", "tests", "training", "eval", "benchmarks"):
        for path in (ROOT / top).rglob("*.py"):
            if not any(part.startswith(".") for part in path.relative_to(ROOT).parts):
                yield path


def rooms() -> set[str]:
    """Return the packages and modules right below `ise_gym`."""
    found = {path.stem for path in (ROOT / "ise_gym").glob("*.py")}
    found |= {path.parent.name for path in (ROOT / "ise_gym").glob("*/__init__.py")}
    return found - {"__init__", "__main__"}


def layers() -> list[list[str]]:
    """Return the rooms of each layer as the contract has them, highest first."""
    settings = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["tool"]["importlinter"]
    (contract,) = [c for c in settings["contracts"] if c["id"] == "layers"]
    return [re.findall(r"\w+", layer) for layer in contract["layers"]]


def table() -> list[str]:
    """Return the rooms in the first column of the page's table, from the top."""
    (found,) = re.findall(r"^\| room .*\n\|[-| ]+\n((?:\|.*\n)+)", PAGE, re.MULTILINE)
    return [name for row in found.splitlines() for name in re.findall(r"`(\w+)`", row.split("|")[1])]


def test_no_folder_is_wide() -> None:
    counts = Counter(path.parent.relative_to(ROOT) for path in python_files())
    assert {str(folder): n for folder, n in counts.items() if n > MOST_FILES} == {}


def test_no_file_is_long() -> None:
    lengths = {str(path.relative_to(ROOT)): len(path.read_bytes().splitlines()) for path in python_files()}
    assert len(lengths) > 300, "these are not all files"
    assert {name: n for name, n in lengths.items() if n > MOST_LINES} == {}


def test_the_table_names_every_room_once() -> None:
    assert sorted(table()) == sorted(rooms())


def test_the_table_has_the_order_of_the_layers() -> None:
    place = {room: at for at, layer in enumerate(layers()) for room in layer}
    assert [place[room] for room in table()] == sorted(place[room] for room in table())


def test_every_contract_is_told_on_the_page() -> None:
    settings = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["tool"]["importlinter"]
    assert [c["id"] for c in settings["contracts"] if f"`{c['id']}`" not in PAGE] == []


def test_no_room_takes_a_name_from_the_front_door() -> None:
    """There it would get by every wall, since the front door names what stands in all rooms."""
    taken = {
        f"{path.relative_to(ROOT)}: {alias.name}"
        for path in (ROOT / "ise_gym").rglob("*.py")
        if path != ROOT / "ise_gym" / "__init__.py"
        for node in ast.walk(ast.parse(path.read_bytes()))
        if isinstance(node, ast.ImportFrom) and node.module == "ise_gym" and not node.level
        for alias in node.names
        if alias.name not in {"__version__"} | rooms()
    }
    assert taken == set()


@pytest.mark.parametrize("name", sorted(set(re.findall(r"^\d+\. `([\w.]+:[\w.]+)`", PAGE, re.MULTILINE))))
def test_every_step_of_a_walk_exists(name: str) -> None:
    module, path = name.split(":")
    found = reduce(getattr, path.split("."), importlib.import_module(f"ise_gym.{module}"))
    assert callable(found)


def test_the_walks_are_there() -> None:
    walks = re.findall(r"^### The walk of (.*)\n", PAGE, re.MULTILINE)
    assert walks == ["an intent", "a tool call", "a user turn", "a training row"]
    assert all(
        len(re.findall(r"^\d+\. `", part, re.MULTILINE)) >= 5 for part in PAGE.split("### The walk of ")[1:]
    )
