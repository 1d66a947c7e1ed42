"""Boxes for agents of others are judged as episodes are: nothing of the agent's runs, its words are heard."""

from __future__ import annotations

# Fixtures are imported by name, since the folders of tests are no packages.
# ruff: noqa: F811
from collections.abc import Mapping
from typing import Any

import pytest

from ise_gym.adapters.boxes import box_of, judge
from ise_gym.checks import build_check
from ise_gym.episode.goals import GoalBoard
from ise_gym.errors import WorkspaceUnusable
from ise_gym.messages import assistant, user
from ise_gym.scenario import Request, Scenario, SubGoal
from ise_gym.workspace import Workspace
from ise_gym.workspace.base import SeedFile
from made_scenarios import make_scenario
from sandboxes import bubble, daemon, jail, pool  # noqa: F401


def asked(kind: str, spec: Mapping[str, object], **more: Any) -> Scenario:
    goal = SubGoal("it", (build_check(kind, spec),))  # type: ignore[arg-type]
    return make_scenario(requests=(Request(name="r/r", text="x", subgoals=(goal,)),), **more)


FETCH = "import urllib.request as u; print(u.urlopen('http://127.0.0.1:8091/s').read().decode())"
SERVER = (
    "import http.server as h; h.HTTPServer(('127.0.0.1', 8091), h.SimpleHTTPRequestHandler).serve_forever()"
)
READY = "import socket, time\nfor _ in range(100):\n try: socket.create_connection(('127.0.0.1', 8091)); break\n except OSError: time.sleep(0.05)"


def test_what_the_agent_left_running_answers_no_check(jail: Workspace) -> None:
    jail.write("s", b"done")
    jail.spawn(f'exec python3 -c "{SERVER}"')
    jail.exec(["python3", "-c", READY])
    spec = {"argv": ["python3", "-c", FETCH], "contains": "done", "timeout": 2}
    board = GoalBoard(asked("command", spec))
    assert judge(board, jail) == {"r/r: it": False}
    assert "did not end within 2 s" in board.reasons["r/r: it"]


def test_what_the_agent_said_is_heard() -> None:
    scenario = asked("reply", {"says": [["cannot"]]}, files=(SeedFile("a.txt", b"a"),))
    box = box_of(scenario, "dummy")
    assert box.read("a.txt") == b"a"
    for words, held in (("I cannot do that.", True), ("Done.", False)):
        said = [user("x"), assistant(words)]
        assert judge(GoalBoard(scenario), box, messages=said) == {"r/r: it": held}
    box.close()


def test_in_a_box_that_does_not_answer_nothing_holds(
    jail: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    def silent() -> None:
        raise WorkspaceUnusable("the sandbox did not answer 'manifest' in time")

    board = GoalBoard(asked("exists", {"path": "a.txt"}))
    jail.write("a.txt", b"a")
    assert judge(board, jail) == {"r/r: it": True}
    monkeypatch.setattr(jail, "manifest", silent)
    assert judge(board, jail) == {"r/r: it": False}
    assert "became unusable" in board.reasons["r/r: it"]
