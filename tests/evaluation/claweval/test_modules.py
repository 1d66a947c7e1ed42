"""Services' code is loaded once, their state is not: what is kept, what is made anew, and what is never kept."""

import sys
from pathlib import Path
from types import ModuleType

import pytest

from ise_gym.evaluation.claweval.services.modules import NoSuchFile, ServiceModules, state_of

SERVICE = """
from __future__ import annotations

import os
from typing import Any

from fastapi import FastAPI
from pydantic import BaseModel, Field

app = FastAPI(title="Box")


class Item(BaseModel):
    name: str = ""
    tags: list[str] = Field(default_factory=list)


_owner = os.environ.get("BOX_OWNER", "nobody")
_items: list[str] = []
_count = 0
_first: dict[str, Any] = {}


def _fill() -> None:
    global _first
    _first = {"by": _owner}


_fill()


@app.post("/add")
def add(item: Item) -> dict[str, Any]:
    global _count
    _count += 1
    _items.append(item.name)
    _first[item.name] = _count
    return {"count": _count}
"""


@pytest.fixture
def file(tmp_path: Path) -> Path:
    made = tmp_path / "server.py"
    made.write_text(SERVICE)
    return made


def use(module: ModuleType) -> tuple[object, ...]:
    module.add(module.Item(name="x"))
    module.extra = "left behind"  # type: ignore[attr-defined]
    return module._count, module._items, module._first


def test_code_is_loaded_once_and_state_made_anew(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    modules = ServiceModules()
    first = modules.take(file)
    assert use(first) == (1, ["x"], {"by": "nobody", "x": 1})
    handed_out = first._items
    modules.give_back(first)
    assert first.__name__ not in sys.modules
    monkeypatch.setenv("BOX_OWNER", "second")
    second = modules.take(file)
    assert second is first and sys.modules[second.__name__] is second
    assert (second._count, second._items, second._first) == (0, [], {"by": "second"})
    assert handed_out == ["x"] and not hasattr(second, "extra")
    assert use(second) == (1, ["x"], {"by": "second", "x": 1})
    modules.give_back(second)


def test_two_at_once_share_nothing(file: Path) -> None:
    modules = ServiceModules()
    one, two = modules.take(file), modules.take(file)
    use(one)
    assert two is not one and two._items == [] and two.app is not one.app
    for module in (one, two):
        modules.give_back(module)
    assert modules.take(file) is one


def test_a_whole_load_is_new(file: Path) -> None:
    modules = ServiceModules()
    kept = modules.take(file)
    modules.give_back(kept)
    whole = modules.take(file, whole=True)
    assert whole is not kept and whole.Item is not kept.Item
    modules.give_back(whole)
    assert modules.take(file) is kept


def test_a_start_that_fails_leaves_nothing(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file.write_text(SERVICE.replace('os.environ.get("BOX_OWNER", "nobody")', 'os.environ["BOX_OWNER"]'))
    modules = ServiceModules()
    before = set(sys.modules)
    with pytest.raises(KeyError):
        modules.take(file)
    monkeypatch.setenv("BOX_OWNER", "me")
    first = modules.take(file)
    modules.give_back(first)
    monkeypatch.delenv("BOX_OWNER")
    with pytest.raises(KeyError):
        modules.take(file)
    monkeypatch.setenv("BOX_OWNER", "me")
    assert modules.take(file)._first == {"by": "me"}
    modules.give_back(first)
    assert not [name for name in set(sys.modules) - before if name.startswith("claweval_service_")]
    with pytest.raises(NoSuchFile):
        modules.take(file.with_name("none.py"))


@pytest.mark.parametrize(
    "line",
    [
        "def later():\n    global unknown\n    unknown = 1",
        "def counted(seen=[]):\n    seen.append(1)",
        "def named(seen=_items):\n    seen.append(1)",
        "def kept():\n    add.calls = 1",
        "def route(request):\n    request.app.state.n = 1",
        "def more():\n    app.state.n = 1",
        "app.state.n = 0",
        "app.add_middleware(Limiter)",
        "limit(app)",
        "class Store:\n    items = []",
        "class Store(BaseModel):\n    items = []\n    def add(self): ...",
        "@cache\ndef slow():\n    return 1",
        "for n in range(3):\n    _items.append(n)",
        "try:\n    import tomllib\nexcept ImportError:\n    tomllib = None",
    ],
)
def test_what_cannot_be_told_apart_is_loaded_anew(line: str, file: Path) -> None:
    assert state_of(SERVICE) is not None
    assert state_of(f"{SERVICE}\n{line}\n") is None
