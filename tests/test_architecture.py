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


PRIVATE = {
    "agents/test_chance.py": ["_start"],
    "evaluation/test_carrying.py": ["_sources"],
    "evaluation/claweval/test_mock_today.py": ["_emails"],
    "evaluation/claweval/test_modules.py": ["_count", "_first", "_items"],
    "evaluation/claweval/test_services.py": ["_health", "_running"],
    "evaluation/claweval/upstream_reference.py": ["_run_single_task"],
    "grown_catalog.py": ["_sources", "_tasks_of"],
    "hostile/test_hostile_box.py": ["_box"],
    "hostile/test_pages.py": ["_content"],
    "hostile/test_server_requests.py": ["_model"],
    "intents/test_generate.py": ["_CHUNK"],
    "proving/test_prove.py": ["_row"],
    "replay/test_replay.py": ["_Player"],
    "rollout/test_engine.py": ["_logged"],
    "tools/test_dispatch.py": ["_context"],
    "tools/test_files.py": ["_COUNT_BYTES"],
    "tools/test_web.py": ["_got"],
    "training/test_grpo.py": ["_Live", "_root"],
    "training/test_sft.py": ["_model"],
    "training/test_transformers_agent.py": ["_model", "_prompt_ids", "_stop_ids", "_tokenizer"],
    "trajectory/test_store.py": ["_shards"],
    "workspace/test_behaviour.py": ["_box"],
    "workspace/test_escape.py": ["_box"],
    "workspace/test_hosting.py": ["_resume"],
    "workspace/test_parts.py": ["_cgroup_support"],
}
"""Test → private names that it uses; `_items` and the like belong to services of Claw-Eval, which have nothing public."""


def private_names(path: Path) -> Iterator[str]:
    """Yield what a test takes of the package that begins with an underscore: imported, read or replaced."""
    for node in ast.walk(ast.parse(path.read_bytes())):
        names: list[str] = []
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("ise_gym"):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.Attribute) and not (
            isinstance(node.value, ast.Name) and node.value.id in {"self", "cls", "outer", "os"}
        ):
            names = [node.attr]
        elif isinstance(node, ast.Call) and ast.unparse(node.func).endswith("setattr"):
            texts = (a.value for a in node.args[:2] if isinstance(a, ast.Constant))
            names = [text.rpartition(".")[2] for text in texts if isinstance(text, str)]
        yield from (name for name in names if name.startswith("_") and not name.endswith("__"))


def test_tests_reach_into_no_private_name_but_these() -> None:
    """Each is a state or a limit that nothing public shows; the list may only become shorter."""
    found = {
        str(path.relative_to(ROOT / "tests")): sorted(set(private_names(path)))
        for path in (ROOT / "tests").rglob("*.py")
    }
    assert {name: names for name, names in found.items() if names} == PRIVATE


def test_every_room_of_tests_is_a_room_of_the_package() -> None:
    """`hostile` attacks several rooms, `golden` and `api` hold all of them; `docs` holds the pages."""
    folders = {path.name for path in (ROOT / "tests").iterdir() if path.is_dir() and list(path.glob("*.py"))}
    assert folders - rooms() == {"api", "docs", "golden", "hostile"}
