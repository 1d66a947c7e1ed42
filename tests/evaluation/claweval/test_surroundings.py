"""A service in process finds what its own process would find: its folder, its neighbours, nobody else's."""

from __future__ import annotations

import sys
from pathlib import Path

import httpx
import pytest

from ise_gym.evaluation.claweval.services.asgi import Router
from ise_gym.evaluation.claweval.services.host import InProcessServices
from ise_gym.evaluation.claweval.services.modules import ServiceModules
from ise_gym.evaluation.claweval.tasks import Service

LATE = """
import sys
from pathlib import Path
sys.path.insert(0, str(Path(__file__).resolve().parent.parent))
from fastapi import FastAPI
app = FastAPI()

@app.get("/find")
def find():
    from engine import search
    from common.words import GREETING
    return {"found": search(), "greeting": GREETING}
"""
EARLY = """
from fastapi import FastAPI
import engine
app = FastAPI()

@app.get("/find")
def find():
    return {"found": engine.search()}
"""
ENGINE = """
import json
_asked = []

def search():
    _asked.append(1)
    return json.dumps(["{name}", len(_asked)])
"""


@pytest.fixture
def root(tmp_path: Path) -> Path:
    for name, server in (("left", LATE), ("right", LATE), ("early", EARLY)):
        (tmp_path / name).mkdir()
        (tmp_path / name / "server.py").write_text(server)
        (tmp_path / name / "engine.py").write_text(ENGINE.replace("{name}", name))
    (tmp_path / "common").mkdir()
    (tmp_path / "common" / "__init__.py").write_text("")
    (tmp_path / "common" / "words.py").write_text("GREETING = 'hello'\n")
    return tmp_path


def service(name: str, port: int) -> Service:
    return Service(
        name=name,
        command=f"python {name}/server.py",
        port=port,
        health_check=f"http://localhost:{port}/docs",
        health_check_method="GET",
    )


def find(port: int) -> str:
    return str(httpx.get(f"http://localhost:{port}/find").raise_for_status().json()["found"])


def test_neighbours_of_one_name_are_each_services_own_and_new_for_every_task(
    root: Path, router: Router
) -> None:
    path, modules = list(sys.path), ServiceModules()
    services = [service(name, 19400 + at) for at, name in enumerate(("left", "right", "early"))]
    for _ in range(2):
        with InProcessServices(services, root, router, modules=modules):
            for count in (1, 2):
                found = [find(port) for port in (19400, 19401, 19402)]
                assert found == [f'["{name}", {count}]' for name in ("left", "right", "early")]
        assert "engine" not in sys.modules and sys.path == path


def test_a_neighbour_hides_a_module_of_the_same_name_from_nobody_else(
    root: Path, router: Router, monkeypatch: pytest.MonkeyPatch
) -> None:
    other = type(sys)("engine")
    monkeypatch.setitem(sys.modules, "engine", other)
    with InProcessServices([service("left", 19400)], root, router):
        assert find(19400) == '["left", 1]'
        assert sys.modules["engine"] is other
    assert sys.modules["engine"] is other


def test_what_a_service_put_on_the_import_path_is_there_when_it_answers(root: Path, router: Router) -> None:
    with InProcessServices([service("right", 19400)], root, router):
        assert httpx.get("http://localhost:19400/find").json()["greeting"] == "hello"


@pytest.mark.parametrize("broken", ["import nowhere_at_all", "raise ValueError('no')"])
def test_a_neighbour_that_fails_leaves_nothing_behind(root: Path, router: Router, broken: str) -> None:
    (root / "left" / "engine.py").write_text(broken)
    path = list(sys.path)
    with InProcessServices([service("left", 19400)], root, router):
        assert httpx.get("http://localhost:19400/find").status_code == 500
        assert sys.path == path and "engine" not in sys.modules
