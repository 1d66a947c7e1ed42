"""Instances: functions of their seed, whole, and never in two splits at once."""

from __future__ import annotations

from pathlib import Path

import pytest

from ise_gym.intents.intent import facts_of
from ise_gym.tasks.complete import instantiate
from ise_gym.tasks.draft import draft
from ise_gym.tasks.expressions import ExpressionError
from ise_gym.tasks.file import load_tasks
from ise_gym.tasks.instance import split_of
from made_tasks import task_with


def test_an_instance_holds_what_its_expressions_say(tmp_path: Path) -> None:
    task = task_with(tmp_path)
    instance = instantiate(task, 5, "quay", asked="all", mistakes="all")
    words = instance.parameters["words"]
    (file,) = instance.files
    assert file.path == "quay/list.txt"
    assert file.content.decode().splitlines() == [f"{w} {instance.parameters['limit']}" for w in words]
    count, limit = instance.requests
    assert count.name == "file-io/count-words/count" and limit.supersedes == (count.name,)
    assert (count.optional, limit.optional) == (False, True) and {count.task, limit.task} == {task.name}
    assert [step.tool for step in count.plan] == ["read", "exec", "exec", "read"]
    assert [step.mistake for step in count.plan] == [True, True, False, False]
    assert [step.key for step in count.plan] == [False, False, True, False]
    assert limit.plan[0].arguments == {"path": "quay/count.txt", "content": str(instance.parameters["limit"])}
    assert count.wordings["casual"] == ("how many lines in quay/list.txt? put it in quay/count.txt",)
    assert count.reply == f"quay/count.txt holds {len(words)}."


def test_parameters_do_not_depend_on_mistakes_or_on_what_is_asked(tmp_path: Path) -> None:
    task = task_with(tmp_path)
    full = instantiate(task, 9, "quay", asked="all", mistakes="all")
    bare = instantiate(task, 9, "quay", asked="required", mistakes="none")
    assert full.parameters == bare.parameters and full.files == bare.files
    assert full.fingerprint == bare.fingerprint == instantiate(task, 9, "pier").fingerprint
    assert len(bare.requests) == 1 and not any(step.mistake for step in bare.requests[0].plan)
    assert instantiate(task, 9, "quay") == instantiate(task, 9, "quay")


def test_follow_ups_and_mistakes_come_with_their_chance(tmp_path: Path) -> None:
    task = task_with(tmp_path)
    drawn = [instantiate(task, seed, "quay") for seed in range(300)]
    assert 0.4 < sum(len(i.requests) == 2 for i in drawn) / 300 < 0.6
    assert 0.5 < sum(any(s.mistake for s in i.requests[0].plan) for i in drawn) / 300 < 0.7
    assert {i.requests[-1].reply[:4] for i in drawn if len(i.requests) == 2} == {"Done", "It h"}


def test_a_request_that_needs_an_unasked_one_is_left_out(tmp_path: Path) -> None:
    third = "  - name: third\n    needs: [limit]\n    chance: 0.9\n"
    body = "    say:\n" + "".join(
        f'      {r}: ["{r}: put 1 into {{{{ root }}}}/x"]\n'
        for r in ("casual", "collaborative", "analytical", "formal")
    )
    rest = (
        "    subgoals:\n      - name: x\n        checks: [{exists: '{{ root }}/x'}]\n"
        "    expert: [{say: hm}]\n    reply: r\n"
    )
    task = task_with(tmp_path, ('"It holds {{ limit }} now."]\n', '"It holds now."]\n' + third + body + rest))
    assert len(instantiate(task, 0, asked=["third"]).requests) == 1
    assert len(instantiate(task, 0, asked=["third", "limit"]).requests) == 3
    names = {tuple(r.name[-5:] for r in instantiate(task, s).requests) for s in range(80)}
    assert ("count", "third") not in names and ("count", "limit", "third") in {
        tuple(n.lstrip("/") for n in t) for t in names
    }


def test_splits_share_no_instance_whatever_the_seeds(tmp_path: Path) -> None:
    task = task_with(tmp_path, ("[100, 999]", "[100, 101]"))
    train = {draft(task, seed, split="train").fingerprint for seed in range(400)}
    held_out = {draft(task, seed, split="eval").fingerprint for seed in range(400)}
    assert not train & held_out
    assert {split_of(f) for f in train} == {"train"} and {split_of(f) for f in held_out} == {"eval"}
    free = [split_of(draft(task, seed).fingerprint) for seed in range(400)]
    assert 0.14 < free.count("eval") / 400 < 0.26


def test_a_split_that_no_draw_reaches_is_an_error(tmp_path: Path) -> None:
    task = task_with(tmp_path, ("size: [4, 6]", "size: 14"), ("[100, 999]", "[100, 100]"))
    own = split_of(draft(task, 0).fingerprint)
    other = {"train": "eval", "eval": "train"}[own]
    with pytest.raises(ExpressionError, match="too few different draws"):
        draft(task, 0, split=other)  # type: ignore[arg-type]


def test_files_must_lie_below_root_and_differ(tmp_path: Path) -> None:
    outside = task_with(tmp_path, ('- path: "{{ root }}/list.txt"', '- path: "list.txt"'))
    with pytest.raises(ExpressionError, match="does not lie below"):
        instantiate(outside, 0)
    twice = task_with(tmp_path, ("    content: |", "    each: {i: [1, 2]}\n    content: |"), name="twice")
    with pytest.raises(ExpressionError, match="made twice"):
        instantiate(twice, 0)


def test_facts_are_what_the_utterance_gives_away(tmp_path: Path) -> None:
    instance = instantiate(task_with(tmp_path), 1, "quay", asked="all")
    limit = str(instance.parameters["limit"])
    text = instance.requests[1].wordings["formal"][0]
    assert set(facts_of(instance, text)) == {"quay/count.txt", limit}


def test_every_task_of_the_catalog_draws() -> None:
    for name, task in load_tasks().items():
        first = instantiate(task, 0, "quay", asked="all", mistakes="all")
        assert first == instantiate(task, 0, "quay", asked="all", mistakes="all"), name
        assert first.fingerprint != instantiate(task, 1, "quay").fingerprint, name
