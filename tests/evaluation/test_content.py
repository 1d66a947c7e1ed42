"""A frozen suite is frozen: whatever decides what is asked, or whether it passes, moves its hash; over all kinds."""

from __future__ import annotations

import copy
import dataclasses
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from made_runs import card, make_run
from made_source import Holds, MadeSource, open_made

from ise_gym.agents import make_agent
from ise_gym.checks import CHECKS
from ise_gym.errors import UserError
from ise_gym.evaluation import content
from ise_gym.evaluation import suite as suites
from ise_gym.evaluation.builtin import run_suite
from ise_gym.evaluation.code import code_version, files_sha256
from ise_gym.evaluation.content import content_sha256, shared_content, task_content, written
from ise_gym.evaluation.manifest import Manifest, Terms, load_suite, save_suite
from ise_gym.evaluation.results.compare import compare
from ise_gym.evaluation.run import TaskEntry, load_run
from ise_gym.evaluation.suite import SuiteSource, Wanted, freeze, with_content
from ise_gym.scenario import Budget, Scenario, SubGoal
from ise_gym.services.spec import ServiceSpec
from ise_gym.simulator import scripted
from ise_gym.tools import TOOLS
from ise_gym.workspace.base import Limits, SeedFile

SCENARIO = MadeSource().scenario(3)


def filled(kind: type[Any]) -> Any:
    """A check of a kind with something in each of its fields, whether or not that makes sense to it."""
    made = object.__new__(kind)
    for field in dataclasses.fields(kind):
        object.__setattr__(made, field.name, f"the {field.name}")
    return made


def with_check(check: Any) -> Scenario:
    request = dataclasses.replace(SCENARIO.requests[0], subgoals=(SubGoal("it holds", (check,)),))
    return dataclasses.replace(SCENARIO, requests=(request,))


@pytest.mark.parametrize("kind", list(CHECKS))
def test_every_argument_of_every_check_counts(kind: str) -> None:
    check = filled(CHECKS[kind])
    before = task_content(with_check(check))
    for field in dataclasses.fields(check):
        for other in ("something else", "", None, 0, ("a", "b"), {"a": 1}):
            changed = copy.copy(check)
            object.__setattr__(changed, field.name, other)
            after = task_content(with_check(changed))
            assert content.differing(before, after) == ["checks"], (kind, field.name, other)


def test_kinds_of_checks_with_equal_arguments_differ() -> None:
    told = {name: content_sha256(task_content(with_check(filled(CHECKS[name])))) for name in CHECKS}
    assert len(set(told.values())) == len(told)


def changed_scenarios() -> Iterator[tuple[str, Scenario, str]]:
    replace, request = dataclasses.replace, SCENARIO.requests[0]
    persona = SCENARIO.persona
    for name in ("name", "role", "industry", "communication_style", "register", "work_context"):
        yield f"persona.{name}", replace(SCENARIO, persona=replace(persona, **{name: "formal"})), "task"
    yield "persona.voice", replace(SCENARIO, persona=replace(persona, voice={"hedging": 1})), "task"
    yield "intent", replace(SCENARIO, intent="another"), "task"
    yield "files", replace(SCENARIO, files=(SeedFile("a.txt", b"1"),)), "task"
    yield "service", replace(SCENARIO, services=(ServiceSpec("web", {"host": "a"}),)), "task"
    for name, value in {"text": "x", "facts": ("y",), "supersedes": ("z",), "folder": "f"}.items():
        yield f"request.{name}", replace(SCENARIO, requests=(replace(request, **{name: value}),)), "task"
    final = (replace(request.subgoals[0], final=True),)
    yield "final", replace(SCENARIO, requests=(replace(request, subgoals=final),)), "checks"
    fewer = (SubGoal(request.subgoals[0].name, ()),)
    yield "no check", replace(SCENARIO, requests=(replace(request, subgoals=fewer),)), "checks"
    yield "prompt", replace(SCENARIO, system_prompt="You may cheat."), "prompt"
    yield "tools", replace(SCENARIO, tools=("exec",)), "tools"
    for name in (f.name for f in dataclasses.fields(Budget)):
        yield f"budget.{name}", replace(SCENARIO, budget=replace(SCENARIO.budget, **{name: 7})), "limits"


@pytest.mark.parametrize(
    ("what", "changed", "part"), list(changed_scenarios()), ids=lambda value: str(value)[:20]
)
def test_every_part_of_a_task_counts(what: str, changed: Scenario, part: str) -> None:
    assert content.differing(task_content(SCENARIO), task_content(changed)) == [part], what


def test_the_experts_plan_decides_nothing_for_others() -> None:
    request = dataclasses.replace(SCENARIO.requests[0], plan=(), reply="other words")
    assert task_content(dataclasses.replace(SCENARIO, requests=(request,))) == task_content(SCENARIO)


@pytest.mark.parametrize("name", list(TOOLS))
def test_every_tools_schema_and_description_count(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    scenario = dataclasses.replace(SCENARIO, tools=(name,))
    before = task_content(scenario)
    schema = copy.deepcopy(TOOLS[name].schema)
    told = copy.deepcopy(schema)
    told["function"]["description"] += " Be careful."
    opened = copy.deepcopy(schema)
    opened["function"]["parameters"]["properties"]["more"] = {"type": "string"}
    inner = copy.deepcopy(schema)
    for property_ in inner["function"]["parameters"]["properties"].values():
        property_["description"] = property_.get("description", "") + "!"
    variants = [told, opened] + ([inner] if inner != schema else [])
    for variant in variants:
        monkeypatch.setattr(content, "tool_schemas", lambda names, variant=variant: [variant])
        assert content.differing(before, task_content(scenario)) == ["tools"]


def test_every_phrase_counts(monkeypatch: pytest.MonkeyPatch) -> None:
    before = shared_content()
    words = {name: content.spoken_data(name) for name in content.SPOKEN}
    places = [
        (kind, register, number)
        for kind, registers in words["phrases.yaml"].items()
        for register, lines in registers.items()
        for number in range(len(lines))
    ]
    assert len(places) > 100
    monkeypatch.setattr(content, "spoken_data", words.__getitem__)
    for kind, register, number in places:
        lines = words["phrases.yaml"][kind][register]
        kept = lines[number]
        lines[number] = kept + " Please."
        assert content.differing(before, shared_content()) == ["phrases"], (kind, register, kept)
        lines[number] = kept
    assert shared_content() == before
    for name in ("personas/words.yaml", "personas/habits.yaml"):
        other = {**words, name: [words[name], "more"]}
        monkeypatch.setattr(content, "spoken_data", other.__getitem__)
        assert content.differing(before, shared_content()) == ["phrases"]


def test_the_users_patience_counts_and_so_does_any_parameter(monkeypatch: pytest.MonkeyPatch) -> None:
    before = shared_content()
    assert content.differing(before, shared_content("scripted", {"patience": 6})) == ["user"]
    assert content.differing(before, shared_content("single-turn")) == ["user"]
    monkeypatch.setattr(scripted.ScriptedUser.__init__, "__kwdefaults__", {"patience": 6})
    assert content.differing(before, shared_content()) == ["user"]
    monkeypatch.undo()
    monkeypatch.setattr(content, "CONNECTIVE_RATE", 0.9)
    assert content.differing(before, shared_content()) == ["user"]


def test_every_limit_of_the_box_counts(monkeypatch: pytest.MonkeyPatch) -> None:
    before = shared_content()
    for field in dataclasses.fields(Limits):
        other = dataclasses.replace(Limits(), **{field.name: getattr(Limits(), field.name) + 1})
        monkeypatch.setattr(content, "Limits", lambda other=other: other)
        assert content.differing(before, shared_content()) == ["box"], field.name


def test_what_can_not_be_written_down_is_refused() -> None:
    with pytest.raises(UserError, match="can't be written down"):
        written(lambda: None)


# -- suites --------------------------------------------------------------------------------------


class Weaker(MadeSource):
    """The same catalog after somebody made a check easier: names and words are as they were."""

    def scenario(self, seed: int) -> Scenario:
        drawn = super().scenario(seed)
        (goal,) = drawn.requests[0].subgoals
        loose = dataclasses.replace(goal, checks=(Holds("number.txt", ""),))
        return dataclasses.replace(
            drawn, requests=(dataclasses.replace(drawn.requests[0], subgoals=(loose,)),)
        )


@pytest.fixture
def made(monkeypatch: pytest.MonkeyPatch) -> Manifest:
    monkeypatch.setattr(suites, "open_source", open_made)
    return freeze("made", [Wanted({"tier": "easy"}, {"tier": "easy"}, 3)], terms=Terms(trials=2))


def older(manifest: Manifest) -> Manifest:
    """The suite as it was frozen by the first protocol."""
    parts = [
        part.model_copy(
            update={"entries": [e.model_copy(update={"content_sha256": ""}) for e in part.entries]}
        )
        for part in manifest.parts
    ]
    return manifest.model_copy(update={"protocol": 1, "content": {}, "terms": Terms(), "parts": parts})


def test_a_weakened_check_is_refused_by_a_new_suite(made: Manifest, monkeypatch: pytest.MonkeyPatch) -> None:
    assert len(list(SuiteSource(made))) == 3
    monkeypatch.setattr(suites, "open_source", lambda options: Weaker(**options))
    with pytest.raises(UserError, match="no longer judges as was frozen"):
        list(SuiteSource(made))


def test_an_old_suite_stays_playable_and_says_what_changed(
    made: Manifest, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    old = older(made)
    sealed = with_content(old)
    assert sealed.sha256() == old.sha256() and sealed.content_sha256() != old.content_sha256()
    assert sealed.protocol == 1 and sealed.content == made.content
    run_suite(sealed, make_agent("expert"), tmp_path / "a", backend="dummy")
    assert load_run(tmp_path / "a").card.changed == []
    monkeypatch.setattr(suites, "open_source", lambda options: Weaker(**options))
    run_suite(sealed, make_agent("lazy"), tmp_path / "b", backend="dummy")
    assert load_run(tmp_path / "b").card.changed == ["easy-0", "easy-1", "easy-2"]
    with pytest.raises(UserError, match="checks differ in 3 tasks, for example easy-0"):
        compare(tmp_path / "a", tmp_path / "b")


def test_other_terms_than_the_suites_are_said(made: Manifest, tmp_path: Path) -> None:
    summary = run_suite(made, make_agent("expert"), tmp_path / "a", backend="dummy")
    assert (summary.trials, summary.changed) == (2, [])
    other = run_suite(
        made,
        make_agent("lazy"),
        tmp_path / "b",
        backend="dummy",
        trials=1,
        limit=2,
        user_options={"patience": 6},
    )
    assert other.changed == ["user", "trials", "tasks left out"]
    found = compare(tmp_path / "a", tmp_path / "b")
    text = "\n".join(found.warnings)
    assert "user simulator differ" in text and "not as the suite has it frozen: user simulator" in text
    assert "user" in found.pairs[0].differs


def test_better_is_not_said_alone_where_more_than_the_agent_differs(tmp_path: Path) -> None:
    tasks = [TaskEntry(id=str(n), content={"task": "1", "checks": "1", "tools": "1"}) for n in range(10)]
    shared = {"user": "1", "phrases": "1"}
    outcomes = {str(n): "fail" for n in range(10)}
    a = make_run(tmp_path / "a", outcomes, tasks=tasks, content=shared, versions={"code": "1"})
    better = {str(n): "pass" for n in range(10)}
    same = make_run(tmp_path / "same", better, tasks=tasks, content=shared, versions={"code": "1"})
    assert compare(a, same).pairs[0].verdict == "better" and compare(a, same).warnings == []
    other = [task.model_copy(update={"content": {**task.content, "tools": "2"}}) for task in tasks]
    b = make_run(
        tmp_path / "b",
        better,
        tasks=other,
        content={"user": "2", "phrases": "2"},
        versions={"code": "2", "commit": "f" * 40},
    )
    found = compare(a, b)
    assert found.pairs[0].verdict == "better, but tools, user, phrases, code differ"
    text = "\n".join(found.warnings)
    for words in (
        "tool schemas differ in 10 tasks",
        "user simulator differ",
        "phrases of the user",
        "the code differs",
    ):
        assert words in text
    bare = make_run(tmp_path / "bare", better)
    assert "made before runs recorded the content" in "\n".join(compare(a, bare).warnings)


def test_seed_and_versions_are_noted_and_put_no_verdict_in_question(tmp_path: Path) -> None:
    ids = [str(n) for n in range(10)]
    a = make_run(tmp_path / "a", dict.fromkeys(ids, "fail"), versions={"code": "1", "python": "3.11.2"})
    b = make_run(
        tmp_path / "b", dict.fromkeys(ids, "pass"), versions={"code": "1", "python": "3.13.0"}, seed=7
    )
    found = compare(a, b)
    assert found.pairs[0].verdict == "better"
    text = "\n".join(found.warnings)
    assert "the versions differ (python 3.11.2 and 3.13.0)" in text and "with the seed 7" in text


def test_an_older_run_is_resumed_as_it_was(made: Manifest, tmp_path: Path) -> None:
    run_suite(made, make_agent("expert"), tmp_path / "run", backend="dummy", trials=1)
    file = tmp_path / "run" / "run.json"
    old = load_run(tmp_path / "run").card
    bare = [task.model_copy(update={"content": {}}) for task in old.tasks]
    file.write_text(old.model_copy(update={"content": {}, "changed": [], "tasks": bare}).model_dump_json())
    assert run_suite(made, make_agent("expert"), tmp_path / "run", backend="dummy", trials=1).complete


def test_a_suite_of_protocol_2_without_its_content_is_refused(made: Manifest, tmp_path: Path) -> None:
    file = tmp_path / "s.yaml"
    save_suite(made, file)
    file.write_text(file.read_text().replace(made.parts[0].entries[1].content_sha256, "''"))
    with pytest.raises(UserError, match="protocol 2 needs the content of every task"):
        load_suite(str(file))


@pytest.mark.parametrize("name", ["demo-easy", "builtin"])
def test_the_shipped_suites_have_their_content_written_down(name: str) -> None:
    manifest = load_suite(name)
    assert set(manifest.content) == set(shared_content())
    assert all(len(entry.content_sha256) == 64 for _, entry in manifest.numbered())


def test_runs_say_which_code_played(tmp_path: Path) -> None:
    assert len(code_version()["code"]) == 16
    (tmp_path / "a.py").write_text("x = 1")
    before = files_sha256(tmp_path)
    (tmp_path / "notes.txt").write_text("nothing to do with it")
    assert files_sha256(tmp_path) == before
    (tmp_path / "a.py").write_text("x = 2")
    assert files_sha256(tmp_path) != before
    assert card(["1"]).content == {}
