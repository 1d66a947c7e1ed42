"""What is chosen among fit episodes: the best, nothing twice, no more than its share, the same for the same seed."""

from __future__ import annotations

import json
import random
import re
from collections import Counter
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from clean_episodes import played
from trajectory_samples import trajectory

from ise_gym.errors import UserError
from ise_gym.trajectory.record import Trajectory
from ise_gym.trajectory.select.choosing import choose
from ise_gym.trajectory.select.facts import Facts, facts_of
from ise_gym.trajectory.select.rules import SET_RULES, Selection
from ise_gym.trajectory.select.run import select_store
from ise_gym.trajectory.store import TrajectoryStore, read_trajectories

LOOSE = Selection(best=0, near=0.0)


@pytest.fixture(scope="module")
def clean() -> list[Trajectory]:
    return list(played())


def fact(number: int, **fields: Any) -> Facts:
    """Facts of an episode that shares nothing with any other."""
    rng = random.Random(number)
    value: dict[str, Any] = {
        "line": f"line{number}", "id": f"e{number}", "intent": f"i{number}", "outcome": "passed", "broken": {},
        "tasks": [f"t{number}"], "skeletons": [f"p{number}", f"q{number}"], "sentences": [f"s{number}"],
        "side": f"side{number}", "minhash": [rng.getrandbits(32) for _ in range(128)], "language": "en",
        "length": "short", "volume": 1000, "messages": 20, "calls": 8, "failed": 0, "recovered": False,
        "grounded": 1.0, "spoken": 9, "thought": 0,
    }  # fmt: skip
    return Facts(**{**value, **fields})


def kept(facts: list[Facts], rules: Selection) -> set[str]:
    return set(choose(facts, rules).kept)


def test_fifty_different_episodes_are_all_kept_by_every_rule_with_room() -> None:
    pytest.importorskip("datasketch")
    rules = Selection(
        per_task=1, per_skeleton=1, per_sentence=1, languages={"en": 1.0}, lengths={"short": 1.0}
    )
    assert len(kept([fact(n) for n in range(50)], rules)) == 50


@pytest.mark.parametrize(
    ("first", "better"),
    [
        ("grounded", {"grounded": 1.0, "failed": 5, "messages": 60}),
        ("failed", {"grounded": 0.7, "failed": 0, "messages": 60}),
        ("short", {"grounded": 0.7, "failed": 5, "messages": 6}),
    ],
)
def test_of_ten_intents_the_best_sample_is_kept_by_the_order_that_was_asked_for(
    first: str, better: dict[str, Any]
) -> None:
    worse = {"grounded": 0.8, "failed": 3, "messages": 30}
    facts = [fact(n, intent=f"i{n % 10}", **(better if n >= 20 else worse)) for n in range(30)]
    order = (first, *[o for o in ("grounded", "failed", "short") if o != first])
    assert kept(facts, replace(LOOSE, best=1, best_by=order)) == {f"e{n}" for n in range(20, 30)}
    assert len(kept(facts, replace(LOOSE, best=2, best_by=order))) == 20


def test_the_best_of_intents_keep_the_share_of_recovered_failures() -> None:
    facts = [fact(n, intent=f"i{n // 2}", recovered=bool(n % 2), failed=n % 2) for n in range(40)]
    chosen = choose(facts, replace(LOOSE, best=1))
    assert len(chosen.kept) == 20
    assert sum(int(i[1:]) % 2 for i in chosen.kept) == 10  # half of the samples have one, so half of the kept


def test_a_least_share_of_recoveries_drops_episodes_without_one() -> None:
    facts = [fact(n, recovered=n < 6) for n in range(20)]
    chosen = choose(facts, replace(LOOSE, recovery=0.5))
    assert len(chosen.kept) == 12 and {f"e{n}" for n in range(6)} <= set(chosen.kept)
    assert chosen.by_rule()["recovery"] == 8


@pytest.mark.parametrize(
    ("setting", "rule", "field"),
    [
        ("per_task", "task", "tasks"),
        ("per_skeleton", "skeleton", "skeletons"),
        ("per_sentence", "sentence", "sentences"),
    ],
)
def test_ten_episodes_over_a_cap_fall_and_the_others_stay(setting: str, rule: str, field: str) -> None:
    same = [fact(n, **{field: ["common", "usual"]}) for n in range(13)]
    other = [fact(n) for n in range(100, 150)]
    chosen = choose([*same, *other], replace(LOOSE, **{setting: 3}))  # type: ignore[arg-type]
    assert chosen.by_rule()[rule] == 10
    assert {entry.id for entry in other} <= set(chosen.kept)


def test_an_episode_with_something_new_survives_the_cap_of_sentences() -> None:
    facts = [fact(n, sentences=["common", f"own{n}"]) for n in range(20)]
    assert len(kept(facts, replace(LOOSE, per_sentence=2))) == 20


@pytest.mark.parametrize(("rule", "setting"), [("language", "languages"), ("length", "lengths")])
def test_a_class_gets_no_more_than_its_share_and_loses_no_more_than_it_must(rule: str, setting: str) -> None:
    major, minor = ("en", "zh") if rule == "language" else ("short", "long")
    facts = [fact(n, **{rule: major if n < 40 else minor}) for n in range(50)]
    chosen = choose(facts, replace(LOOSE, **{setting: {major: 0.75}}))  # type: ignore[arg-type]
    counts = Counter(major if int(i[1:]) < 40 else minor for i in chosen.kept)
    assert counts == {major: 30, minor: 10}
    assert chosen.by_rule()[rule] == 10


def test_shares_that_leave_nothing_are_refused_and_say_what_there_is() -> None:
    with pytest.raises(UserError, match=r"language \(en=0.5\) leave nothing.*en: 5"):
        choose([fact(n) for n in range(5)], replace(LOOSE, languages={"en": 0.5}))


@pytest.mark.parametrize("rule", SET_RULES)
def test_each_rule_can_be_switched_off(rule: str) -> None:
    pytest.importorskip("datasketch")
    strict = Selection(
        best=1, per_task=1, per_skeleton=1, per_sentence=1, languages={"en": 0.5}, lengths={"short": 0.5},
        recovery=0.5, count=1,
    )  # fmt: skip
    every = replace(strict, without=tuple(SET_RULES))
    facts = [fact(n, intent="i", tasks=["t"], language="zh" if n % 2 else "en") for n in range(8)]
    assert len(kept(facts, every)) == 8
    assert (
        choose(facts, replace(strict, without=(rule, "language", "length", "recovery"))).by_rule()[rule] == 0
    )


def test_the_choice_depends_on_the_seed_and_not_on_the_order_of_the_store() -> None:
    facts = [fact(n, tasks=["common"]) for n in range(30)]
    rules = replace(LOOSE, per_task=5)
    assert choose(facts, rules).kept == choose(facts[::-1], rules).kept
    assert kept(facts, rules) != kept(facts, replace(rules, seed=1))


def test_ten_near_twins_fall_whatever_their_names_and_figures(clean: list[Trajectory]) -> None:
    pytest.importorskip("datasketch")

    def renamed(number: int, t: Trajectory) -> Trajectory:
        text = json.dumps(t.messages[1:], ensure_ascii=True)
        folder = sorted({w.split("/")[0] for w in re.findall(r"[a-z-]+/[a-z]+\.[a-z]+", text)})
        for name in folder[:1]:
            text = text.replace(f"{name}/", f"renamed-{number}/")
        text = re.sub(r"(?<![\\\w])(\d\d)(?!\w)", lambda m: str((int(m[1]) + number) % 90 + 10), text)
        return t.model_copy(
            update={"episode_id": f"twin-{number}", "scenario_id": f"twin-{number}",
                    "messages": [t.messages[0], *json.loads(text)]}
        )  # fmt: skip

    rules = Selection(best=0)
    distinct = [t for t in clean if len(t.messages) > 8][:10]
    own = {t.episode_id for t in distinct}
    facts = [facts_of(t, t.episode_id, rules, compare=True) for t in distinct]
    alone = set(choose(facts, rules).kept)
    twins = [facts_of(renamed(n, t), f"twin-{n}", rules, compare=True) for n, t in enumerate(distinct)]
    both = choose([*facts, *[replace(twin, broken={}) for twin in twins]], rules)
    assert len(alone) == len(own)
    assert len(both.kept) == 10 and both.by_rule()["duplicate"] == 10


def test_a_selection_that_was_stopped_goes_on_and_ends_as_if_it_never_had(
    tmp_path: Path, clean: list[Trajectory]
) -> None:
    source = tmp_path / "in"
    with TrajectoryStore(source) as store:
        for t in clean[:12]:
            store.append(t)

    class Stopped(Exception):
        pass

    def stop_at(stage: str, number: int) -> Any:
        def progress(now: str, count: int) -> None:
            if (now, count) == (stage, number):
                raise Stopped

        return progress

    rules = Selection(near=0.0)
    whole, _ = select_store(source, tmp_path / "whole", rules)
    for stage, number in (("read", 3), ("read", 9), ("write", 2), ("write", 5)):
        with pytest.raises(Stopped):
            select_store(source, tmp_path / "out", rules, stop_at(stage, number))
    again, _ = select_store(source, tmp_path / "out", rules)
    assert again.kept == whole.kept
    lines = [sorted(p.read_bytes() for p in (tmp_path / o / "shards").iterdir()) for o in ("out", "whole")]
    assert sorted(b"".join(lines[0]).splitlines()) == sorted(b"".join(lines[1]).splitlines())
    assert len(list(read_trajectories(tmp_path / "out"))) == len(whole.kept) == 12
    assert (tmp_path / "out/selection/fell.jsonl").read_bytes() == (
        tmp_path / "whole/selection/fell.jsonl"
    ).read_bytes()


def test_facts_are_read_once_and_survive_a_torn_line(tmp_path: Path) -> None:
    source = tmp_path / "in"
    with TrajectoryStore(source) as store:
        for number in range(4):
            store.append(trajectory(number))
    rules = Selection(near=0.0, without=("grounding", "guard"))
    select_store(source, tmp_path / "out", rules)
    (log,) = (tmp_path / "out/selection").glob("facts-*.jsonl")
    before = log.read_bytes()
    log.write_bytes(before[:-20])
    select_store(source, tmp_path / "out", rules)
    assert log.read_bytes() == before


def test_another_choice_in_the_same_folder_is_refused(tmp_path: Path) -> None:
    source = tmp_path / "in"
    with TrajectoryStore(source) as store:
        for number in range(4):
            store.append(trajectory(number))
    rules = Selection(near=0.0, without=("grounding", "guard"))
    select_store(source, tmp_path / "out", rules)
    with pytest.raises(UserError, match="holds another run"):
        select_store(source, tmp_path / "out", replace(rules, count=2))
    with pytest.raises(UserError, match="is the source"):
        select_store(source, source, rules)


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"without": ("groundng",)}, "unknown rule 'groundng'.*grounding"),
        ({"near": 1.5}, "--near 1.5 is no share"),
        ({"lengths": {"tiny": 0.1}}, "unknown length 'tiny'"),
        ({"languages": {"en": 2}}, "no share"),
        ({"best_by": ("longest",)}, "unknown order"),
        ({"best": -1}, "below 0"),
    ],
)
def test_settings_that_make_no_sense_are_refused(settings: dict[str, Any], said: str) -> None:
    with pytest.raises(UserError, match=said):
        Selection(**settings)
