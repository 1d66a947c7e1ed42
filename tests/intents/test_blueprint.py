"""The 4D sampler: priors, ranges, evenness, and options that name nothing known."""

from __future__ import annotations

from collections import Counter
from itertools import combinations
from pathlib import Path

import pytest
from scipy.stats import chisquare

from ise_gym.errors import UserError
from ise_gym.intents.axes import deal
from ise_gym.intents.blueprint import Sampler, spread
from ise_gym.intents.options import Options
from ise_gym.scenario import Persona
from ise_gym.tasks.file import TaskSpec, load_tasks
from made_tasks import GOOD, write_task

PEOPLE = [
    Persona(f"Person {i}", "clerk", "ports", register=register)  # type: ignore[arg-type]
    for i, register in enumerate(("casual", "collaborative", "analytical", "formal") * 5)
]


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> dict[str, TaskSpec]:
    folder = tmp_path_factory.mktemp("tasks")
    for d in range(5):
        for t in range(4 + d):
            write_task(folder, GOOD, f"task-{t}", f"domain-{d}")
    return load_tasks([folder])


def test_deal_gives_every_position_once_a_block() -> None:
    for block in range(5):
        assert sorted(deal(7, block * 7 + i, "x")[0] for i in range(7)) == list(range(7))
    assert len({deal(7, 0, "x", b) for b in range(40)}) > 3
    assert len(set(deal(5, 3, "y", count=4))) == 4 and len(deal(3, 0, "z", count=9)) == 3


def test_complexity_decides_how_many_tasks_and_requests(world: dict[str, TaskSpec]) -> None:
    sampler = Sampler(world, PEOPLE)
    blueprints = [sampler.blueprint(seed) for seed in range(2000)]
    assert Counter(p.complexity for p in blueprints) == {"simple": 200, "medium": 800, "complex": 1000}
    sizes = {
        c: {len(p.picks) for p in blueprints if p.complexity == c} for c in ("simple", "medium", "complex")
    }
    assert sizes == {
        "simple": {3},
        "medium": {3, 4, 5},
        "complex": {4, 5, 6},
    }  # three tasks of two requests are too short
    asked = {
        c: [len(p.picks) + sum(len(x.asked or ()) for x in p.picks) for p in blueprints if p.complexity == c]
        for c in sizes
    }
    assert max(asked["simple"]) <= 6 and min(asked["complex"]) >= 7 and max(asked["complex"]) <= 9


def test_a_follow_up_brings_those_that_it_needs(tmp_path: Path) -> None:
    body, _, _ = GOOD.partition("gist:")
    again = body[body.index("  - name: limit\n") :].replace(
        "name: limit\n", "name: again\n    needs: [limit]\n", 1
    )
    for t in range(6):
        write_task(tmp_path, body + again.replace("    supersedes: [count]\n", ""), f"t{t}", f"d{t % 3}")
    sampler = Sampler(load_tasks([tmp_path]), PEOPLE)
    blueprints = [sampler.blueprint(seed) for seed in range(60)]
    asked = [pick.asked or () for blueprint in blueprints for pick in blueprint.picks]
    assert any("again" in names for names in asked)
    assert all("limit" in names for names in asked if "again" in names)


def test_axes_are_covered_evenly(world: dict[str, TaskSpec]) -> None:
    sampler = Sampler(world, PEOPLE)
    blueprints = [sampler.blueprint(seed) for seed in range(3000)]
    people = Counter(p.persona.name for p in blueprints)
    assert set(people.values()) == {150}
    sets = Counter(p.domains for p in blueprints)
    names = sampler.domains
    assert set(sets) == set(combinations(names, 2)) | set(combinations(names, 3))
    assert max(sets.values()) - min(sets.values()) <= 2  # 3,000 seeds end in the middle of a window
    for name in names:
        used = Counter(pick.task.name for p in blueprints for pick in p.picks if pick.task.domain == name)
        assert chisquare([used[task.name] for task in sampler.by_domain[name]]).pvalue > 1e-4
        assert len(used) == len(sampler.by_domain[name])


def test_an_intent_uses_all_its_domains_and_no_task_or_folder_twice(world: dict[str, TaskSpec]) -> None:
    sampler = Sampler(world, PEOPLE)
    for seed in range(300):
        blueprint = sampler.blueprint(seed)
        assert {pick.task.domain for pick in blueprint.picks} == set(blueprint.domains)
        for key in ("label", "root", "seed"):
            assert len({getattr(pick, key) for pick in blueprint.picks}) == len(blueprint.picks)
        assert all(pick.label == pick.task.name for pick in blueprint.picks)
        assert blueprint == Sampler(world, PEOPLE).blueprint(seed) if seed < 3 else True


def test_blueprints_differ_between_splits_and_seeds(world: dict[str, TaskSpec]) -> None:
    train, held_out = Sampler(world, PEOPLE, Options("train")), Sampler(world, PEOPLE, Options("eval"))
    seeds = {s.blueprint(i).picks[0].seed for s in (train, held_out) for i in range(200)}
    assert len(seeds) == 400


def test_smaller_draws(world: dict[str, TaskSpec]) -> None:
    one = Sampler(
        world, PEOPLE, Options(tasks_per_intent=(1, 1), tasks=("domain-0/task-1",), registers=("formal",))
    )
    for seed in range(50):
        blueprint = one.blueprint(seed)
        assert [pick.label for pick in blueprint.picks] == ["domain-0/task-1"] and blueprint.domains == (
            "domain-0",
        )
        assert blueprint.picks[0].asked is None and blueprint.persona.register == "formal"
    repeated = Sampler(world, PEOPLE, Options(tasks=("domain-0/task-1",))).blueprint(1)
    assert len({pick.label for pick in repeated.picks}) == len(repeated.picks) >= 3
    two = Sampler(world, PEOPLE, Options(domains=("domain-2", "domain-3")))
    assert {p.task.domain for seed in range(40) for p in two.blueprint(seed).picks} == {
        "domain-2",
        "domain-3",
    }
    assert all(
        p.task.model.tier == "easy"
        for p in Sampler(world, PEOPLE, Options(tier=("easy",))).blueprint(0).picks
    )


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (Options(domains=("domain1",)), "no domain is named 'domain1'. Did you mean 'domain-1'"),
        (Options(tasks=("task-1",)), "no task is named"),
        (Options(tier=("eazy",)), "Did you mean 'easy'"),
        (Options(tier=("hard",)), "no task fits"),
        (Options(registers=("formel",)), "Did you mean 'formal'"),
        (Options(tasks_per_intent=(0, 2)), "least"),
        (Options(tasks_per_intent=(5, 2)), "least"),
    ],
)
def test_options_that_fit_nothing_are_explained(
    world: dict[str, TaskSpec], options: Options, words: str
) -> None:
    with pytest.raises(UserError, match=words):
        Sampler(world, PEOPLE, options)


def test_the_size_of_the_space_is_counted_exactly() -> None:
    assert spread([2, 1], 2) == 2 and spread([2, 2], 3) == 4 and spread([3], 2) == 3
    by_hand = sum(
        1
        for chosen in combinations([(0, 0), (0, 1), (1, 0), (1, 1), (2, 0)], 3)
        if len({domain for domain, _ in chosen}) == 3
    )
    assert spread([2, 2, 1], 3) == by_hand


def test_space_multiplies_all_axes(tmp_path: Path) -> None:
    for domain in ("a", "b"):
        for task in range(3):
            write_task(tmp_path, name=f"t{task}", domain=domain)
    tasks = load_tasks([tmp_path])
    pairs = {3: 18, 4: 15, 5: 6, 6: 1}
    expected = pairs[3] + (pairs[3] + pairs[4] + pairs[5]) + sum(pairs.values())
    assert Sampler(tasks, PEOPLE).space() == expected * len(PEOPLE)
