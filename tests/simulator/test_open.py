"""A model as an open-ended user: it holds the whole intent, and what its words have asked for is what counts."""

from __future__ import annotations

import json
from typing import Any

import pytest
from drifting_server import reply, serving

from ise_gym.errors import UserError
from ise_gym.messages import assistant, user
from ise_gym.simulator import make_user
from ise_gym.simulator.base import Evidence, UserView
from made_scenarios import make_scenario


def test_the_whole_intent_is_held_and_taken_apart() -> Any:
    answers = iter((("next", "First, please put héllo into greet.txt."), ("stay", "Where is it?"),
                    ("next", "Good. Now the number of lines of data.txt, into count.txt."), ("leave", "That was all.")))  # fmt: skip

    def answer(body: str) -> Any:
        move, say = next(answers)
        return reply(json.dumps({"move": move, "say": say}, ensure_ascii=False))

    with serving(answer) as server:
        simulator = make_user("llm:m", guard=False, mode="open", base_url=server.url)
        scenario = make_scenario()
        first = simulator.reset(scenario, 1)
        assert scenario.intent in server.bodies[0]["messages"][0]["content"]
        assert first.request == "files/greet"
        talk = (assistant(first.text), user("Done."))
        failing = UserView(talk, Evidence(failed=("x",)), 1, "files/greet", 1)
        assert simulator.respond(failing).request == "files/greet"
        assert "enum" in json.dumps(server.bodies[1]) and '"leave"' not in json.dumps(
            server.bodies[1]["response_format"]
        )
        assert (
            simulator.respond(UserView(talk, Evidence(passed=("x",)), 2, "files/greet", 1)).request
            == "files/count"
        )
        assert simulator.respond(UserView(talk, Evidence(passed=("x",)), 3, "files/count", 0)).done
        assert simulator.describe()["mode"] == "open"


def test_a_mode_that_is_none_is_named() -> None:
    with pytest.raises(UserError, match="known: checked, open"):
        make_user("llm:m", mode="opne", base_url="http://127.0.0.1:1/v1")
