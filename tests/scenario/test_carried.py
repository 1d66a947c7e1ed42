"""A scenario that travels as JSON is the scenario that was drawn."""

from __future__ import annotations

import base64
import hashlib
import json
import sys
import zlib
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from ise_gym.checks import CHECKS, build_check
from ise_gym.errors import UserError
from ise_gym.intents.catalog import tasks_of
from ise_gym.intents.source import IntentSource
from ise_gym.messages import canonical_json
from ise_gym.registry import name_of
from ise_gym.scenario import Check, Persona, Request, Scenario, SubGoal
from ise_gym.scenario.carried import (
    LARGEST,
    OpaqueCheck,
    carries,
    from_json,
    opaque_checks,
    packed,
    to_json,
    unpacked,
)
from ise_gym.services.spec import KINDS, ServiceSpec
from ise_gym.workspace.base import SeedFile
from made_scenarios import FileHolds, make_scenario


def lean(scenario: Scenario, plans: bool) -> Scenario:
    """What is carried: without other wordings, without the expert's part unless asked for; voices as JSON has them."""
    persona = replace(
        scenario.persona, voice=json.loads(json.dumps(dict(scenario.persona.voice), default=dict))
    )
    without = {} if plans else {"plan": (), "reply": ""}
    proof = {"replies": (), "wrong": ()}  # what only a proof reads
    requests = tuple(replace(request, wordings={}, **without, **proof) for request in scenario.requests)  # type: ignore[arg-type]
    return replace(scenario, persona=persona, requests=requests)


def test_what_the_catalog_draws_comes_back_equal_whatever_its_checks_services_and_files() -> None:
    source, kinds, tasks, services = IntentSource(), set(), set(), set()
    for seed in range(200):
        scenario = source.scenario(seed)
        data = to_json(scenario, plans=True)
        assert not opaque_checks(data)
        assert from_json(json.loads(canonical_json(data))) == lean(scenario, plans=True), scenario.id
        goals = (goal for request in scenario.requests for goal in request.subgoals)
        kinds |= {name_of("check", type(check)) for goal in goals for check in goal.checks}
        tasks |= set(scenario.tasks)
        services |= {service.kind for service in scenario.services}
    assert kinds == set(CHECKS), "a kind of check that was not drawn is not looked at here"
    assert len(tasks) > 0.9 * len(tasks_of(None)) and services == set(KINDS)


def test_composed_and_chained_scenarios_come_back_from_their_packed_form() -> None:
    for options in ({"split": "train"}, {"split": "eval", "chained": True}):
        source = IntentSource(**options)
        for seed in range(12):
            scenario = source.scenario(seed)
            for plans in (False, True):
                found = packed(scenario, plans=plans)
                assert found == packed(scenario, plans=plans) and carries(found)
                assert (
                    found["sha256"]
                    == hashlib.sha256(zlib.decompress(base64.b64decode(found["z"]))).hexdigest()
                )
                again = unpacked(json.loads(json.dumps(found)))
                assert again == lean(scenario, plans)
                # the order of keys is seen by an agent, in what a service sends
                assert json.dumps(to_json(again, plans=plans)) == json.dumps(to_json(scenario, plans=plans))


def test_what_a_service_sends_keeps_the_order_of_its_keys() -> None:
    data = {"host": "a.example", "title": "A", "pages": [{"path": "/o", "json": {"zoo": 1, "ant": 2}}]}
    again = unpacked(packed(make_scenario(services=(ServiceSpec("web", data),))))
    assert list(again.services[0].data["pages"][0]["json"]) == ["zoo", "ant"]


def test_files_keep_their_bytes_and_modes_and_equal_ones_are_kept_once() -> None:
    noise = bytes(range(256)) * 400
    files = (
        SeedFile("a/one.bin", noise),
        SeedFile("b/two.bin", noise, 0o755),
        SeedFile("c/odd.txt", "line\r\nné\ufeff\0".encode()),
        SeedFile("d/lone.txt", b"\xff"),
        SeedFile("e/empty", b""),
    )
    scenario = make_scenario(files=files, requests=(), tools=())
    data = to_json(scenario)
    assert [set(entry) for entry in data["files"]] == [
        {"path", "base64"},
        {"path", "mode", "as"},
        {"path", "text"},
        {"path", "base64"},
        {"path", "text"},
    ]
    again = unpacked(packed(scenario))
    assert again.files == files and again.tools == () and again == scenario


def test_a_check_that_has_no_form_is_named_and_can_not_pass() -> None:
    scenario = make_scenario()
    name = "made_scenarios:FileHolds"
    assert opaque_checks(to_json(scenario)) == [name, name]
    again = unpacked(packed(scenario))
    check = again.requests[0].subgoals[0].checks[0]
    assert check == OpaqueCheck(name) and isinstance(scenario.requests[0].subgoals[0].checks[0], FileHolds)
    result = check.run(None, {})  # type: ignore[arg-type]
    assert not result.passed and name in result.reason
    assert packed(again) == packed(scenario), "it stays named when it is packed again"


def test_what_is_read_back_loads_registered_checks_only() -> None:
    data = to_json(make_scenario())
    data["requests"][0]["subgoals"][0]["checks"] = [{"kind": "antigravity:Fly", "spec": {}}]
    check = from_json(data).requests[0].subgoals[0].checks[0]
    assert check == OpaqueCheck("antigravity:Fly", {}) and "antigravity" not in sys.modules
    assert "not loaded" in check.run(None, {}).reason  # type: ignore[arg-type]
    data["requests"][0]["subgoals"][0]["checks"] = [{"kind": "flown", "spec": {}}]
    with pytest.raises(UserError, match="no check is named 'flown'"):
        from_json(data)


def own_check(folder: Path, monkeypatch: pytest.MonkeyPatch) -> Check:
    """Return a check of a module that is installed nowhere, as a task file names it: ``module:Name``."""
    (folder / "my_own_checks.py").write_text(
        "from dataclasses import dataclass\n"
        "from ise_gym import BaseCheck, CheckResult\n"
        "@dataclass(frozen=True)\n"
        "class Longer(BaseCheck):\n"
        "    least: int = 1\n"
        "    def look(self, workspace, start):\n"
        "        return CheckResult(len(workspace.read(self.path)) >= self.least, 'its length')\n"
    )
    monkeypatch.syspath_prepend(folder)
    return build_check("my_own_checks:Longer", {"path": "a.txt", "least": 3})


def test_a_check_of_ones_own_module_comes_back_where_it_is_trusted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delitem(sys.modules, "my_own_checks", raising=False)
    check = own_check(tmp_path, monkeypatch)
    scenario = make_scenario()
    first = replace(scenario.requests[0], subgoals=(SubGoal("long", (check,)),))
    scenario = replace(scenario, requests=(first, *scenario.requests[1:]))
    kept = packed(scenario)
    found = [
        unpacked(kept, trust).requests[0].subgoals[0].checks for trust in ((), ("other",), ("my_own_checks",))
    ]
    foreign = OpaqueCheck("my_own_checks:Longer", {"path": "a.txt", "least": 3})
    assert found == [(foreign,), (foreign,), (check,)]
    assert "my_own_checks:Longer" in opaque_checks(to_json(scenario)), "an intent line doesn't carry it"
    assert packed(unpacked(kept)) == kept, "nothing of it is lost where it is not loaded"


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda d: d.pop("persona"), "persona"),
        (lambda d: d.update(colour="red"), "colour"),
        (lambda d: d["files"][0].update(base64="%", text=None), "does not fit"),
        (lambda d: d["requests"][0].update(subgoals=3), "does not fit"),
        (
            lambda d: d["requests"][0]["subgoals"][0].update(
                checks=[{"kind": "text", "spec": {"path": "/x"}}]
            ),
            "inside the workspace",
        ),
    ],
)
def test_what_does_not_fit_is_said(change: Any, words: str) -> None:
    data = to_json(make_scenario())
    change(data)
    with pytest.raises(UserError, match=words):
        from_json(data)


def test_damage_and_bombs_are_refused() -> None:
    found = packed(make_scenario())
    bomb = base64.b64encode(zlib.compress(b" " * (LARGEST + 2))).decode()
    for damaged, words in (
        ({**found, "z": found["z"][:-8]}, "damaged"),
        ({**found, "z": "?"}, "damaged"),
        ({**found, "z": bomb}, "too large"),
        ({**found, "sha256": "0"}, "its hash differs"),
        ({}, "damaged"),
    ):
        with pytest.raises(UserError, match=words):
            unpacked(damaged)


def test_one_that_is_too_large_is_named_by_its_hash_alone() -> None:
    large = make_scenario(files=(SeedFile("a", b"x" * (LARGEST + 1)),))
    found = packed(large)
    assert set(found) == {"sha256", "left_out"} and not carries(found)


@pytest.mark.parametrize("odd", [object(), float("nan"), b"bytes"])
def test_one_that_json_can_not_hold_is_left_out_and_the_record_is_not_lost(odd: object) -> None:
    found = packed(make_scenario(metadata={"odd": odd}))
    assert set(found) == {"left_out"} and not carries(found)


def test_half_a_surrogate_pair_comes_back() -> None:
    scenario = make_scenario(intent="a \ud83d b")
    assert unpacked(packed(scenario)).intent == scenario.intent


def test_final_goals_and_own_budgets_come_back() -> None:
    goal = SubGoal("graded", (build_check("exists", "a"),), final=True)
    scenario = make_scenario(
        requests=(Request("a", "Make a.", subgoals=(goal,), folder="a", supersedes=("b",)),),
        persona=Persona("A", "b", "c", voice={"hedges": ["well"]}),
    )
    scenario = replace(scenario, budget=replace(scenario.budget, agent_turns=3, seconds=7.5))
    assert unpacked(packed(scenario)) == scenario
