"""Sixty episodes and the frozen suites, word for word as they were: what moves a wall must not move a word."""

from __future__ import annotations

import json
from collections.abc import Iterator

import gymnasium as gym
import pytest

from golden import played as golden
from ise_gym.evaluation.manifest import load_suite
from ise_gym.intents.source import IntentSource

KEPT = json.loads(golden.FILE.read_text(encoding="utf-8"))


@pytest.fixture(scope="module")
def live() -> Iterator[gym.Env]:
    env = gym.make("ISE-OS-v0")
    yield env
    env.close()


@pytest.fixture(scope="module")
def sources() -> dict[str, IntentSource]:
    return golden.sources()


@pytest.mark.parametrize(("name", "source", "seed"), list(golden.names()), ids=lambda value: str(value))
def test_an_episode_is_what_it_was(
    live: gym.Env, sources: dict[str, IntentSource], name: str, source: str, seed: int
) -> None:
    if golden.machine() != KEPT["machine"]:
        pytest.skip(f"the hashes were taken with {KEPT['machine']}; this machine has {golden.machine()}")
    assert golden.played(live, sources[source], seed) == KEPT["episodes"][name]


@pytest.mark.parametrize("name", sorted(KEPT["suites"]))
def test_a_frozen_suite_is_what_it_was(name: str) -> None:
    assert load_suite(name).sha256()[:16] == KEPT["suites"][name]
