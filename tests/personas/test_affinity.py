"""Affinity: people get the domains that fit them more often, everybody gets every domain, and evenness stays."""

from __future__ import annotations

import random
from collections import Counter
from itertools import combinations
from pathlib import Path

import pytest

from ise_gym.errors import UserError
from ise_gym.intents.blueprint import Sampler
from ise_gym.intents.catalog import personas, tasks_of
from ise_gym.intents.options import Options
from ise_gym.personas.affinity import load_affinity, share_out
from ise_gym.personas.data import personas_dir


def test_every_set_is_given_once_and_wishes_are_heard_but_for_the_floor() -> None:
    sets = [("a", "b"), ("a", "c"), ("b", "c"), ("d", "e")] * 3
    wishes = [frozenset("de")] * 3 + [frozenset("ab")] * 9
    heard = share_out(sets, wishes, 0.0, random.Random(1))
    assert Counter(heard) == Counter(sets)
    wanted = sum(len(wish.intersection(got)) for wish, got in zip(wishes, heard, strict=True))
    assert wanted > sum(len(wish.intersection(got)) for wish, got in zip(wishes, sets, strict=True))
    rng = random.Random(2)
    luck = [share_out(sets, wishes, 1.0, rng)[0] == ("d", "e") for _ in range(400)]
    assert 0.15 < sum(luck) / 400 < 0.35


def test_the_catalog_fits_people_and_work_and_stays_even() -> None:
    sampler = Sampler(tasks_of(None), personas(), Options(split="train"))
    floor, fitting = load_affinity()
    assert 0 < floor < 1 and set(fitting) == {p.industry for p in personas()}
    assert set().union(*fitting.values()) <= set(sampler.domains)
    pairs, fits, seen = Counter[tuple[str, ...]](), 0, 0
    reached: set[tuple[str, str]] = set()
    block = len(list(combinations(sampler.domains, 2))) * 2
    for seed in range(16 * block):
        blueprint = sampler.blueprint(seed)
        if len(blueprint.domains) == 2:
            pairs[blueprint.domains] += 1
        fits += sum(domain in fitting[blueprint.persona.industry] for domain in blueprint.domains)
        seen += len(blueprint.domains)
        reached.update((blueprint.persona.industry, domain) for domain in blueprint.domains)
    chance = sum(len(wish) for wish in fitting.values()) / len(fitting) / len(sampler.domains)
    assert fits / seen > chance + 0.1
    assert len(set(pairs.values())) == 1
    assert len(reached) > 0.85 * len(fitting) * len(sampler.domains)


def test_the_plan_of_a_seed_depends_on_no_other_seed() -> None:
    def fresh() -> Sampler:
        return Sampler(tasks_of(None), personas(), Options())

    forwards, one = fresh(), fresh()
    blueprints = [forwards.blueprint(seed) for seed in range(1200)]
    for seed in (1199, 7, 600):
        assert one.blueprint(seed) == blueprints[seed] == fresh().blueprint(seed)


def test_an_unknown_family_is_named(tmp_path: Path) -> None:
    (tmp_path / "industries").mkdir()
    (tmp_path / "industries" / "civic.yaml").write_text(
        (personas_dir() / "industries" / "civic.yaml").read_text()
    )
    (tmp_path / "affinity.yaml").write_text("floor: 0.2\nfamilies: {civics: [file-io]}\n")
    with pytest.raises(UserError, match=r"affinity.yaml: families.civics: .*Did you mean 'civic'"):
        load_affinity(tmp_path)
