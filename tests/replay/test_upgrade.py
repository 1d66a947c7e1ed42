"""Records that carry their scenario replay under any catalog; older ones get theirs while the catalog still draws it."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import gymnasium
import pytest
from typer.testing import CliRunner

from grown_catalog import grown
from ise_gym.agents import make_agent
from ise_gym.cli import app
from ise_gym.errors import UserError
from ise_gym.intents.catalog import catalog_hash
from ise_gym.intents.lines import IntentFileSource
from ise_gym.intents.pool.generate import generate
from ise_gym.intents.source import IntentSource
from ise_gym.messages import sha256_of
from ise_gym.replay.store import Summary, replay_store
from ise_gym.replay.upgrade import FromSource, upgrade
from ise_gym.rollout.play import play_episode
from ise_gym.scenario.carried import carries, unpacked
from ise_gym.trajectory.record import Trajectory, content_hash
from ise_gym.trajectory.store import TrajectoryStore, read_manifest, read_trajectories

DOMAINS = 10


@pytest.fixture(scope="module")
def played() -> list[Trajectory]:
    """Episodes of today, together of all ten domains."""
    env = gymnasium.make("ISE-OS-v0")
    source, agent, found = IntentSource(split="train"), make_agent("expert"), []
    seen: set[str] = set()
    try:
        for seed in range(40):
            scenario = source.scenario(seed)
            if not set(scenario.domains) <= seen:
                seen |= set(scenario.domains)
                found.append(play_episode(env, agent, scenario, seed))
    except UserError as problem:
        pytest.skip(f"no sandbox on this machine: {problem}")
    finally:
        env.close()
    assert len(seen) == DOMAINS
    return found


@pytest.fixture
def older(tmp_path: Path, played: list[Trajectory]) -> Path:
    """A store of before scenarios were kept."""
    with TrajectoryStore(tmp_path / "older", run={"agent": "expert"}, told={"env": {"a": 1}}) as store:
        for record in played:
            store.append(record.model_copy(update={"scenario": {}}))
    return tmp_path / "older"


@pytest.fixture
def later(tmp_path: Path) -> Iterator[str]:
    before = catalog_hash()
    with grown(tmp_path / "more") as found:
        assert found != before
        yield found


def replayed(store: Path) -> Summary:
    return replay_store(store, workers=1)


def test_records_of_all_domains_carry_what_they_were_played_from(played: list[Trajectory]) -> None:
    source = IntentSource(split="train")
    for record in played:
        drawn = source.scenario(record.seed)
        own = unpacked(record.scenario)
        assert (own.id, own.intent, own.files, own.services) == (
            drawn.id,
            drawn.intent,
            drawn.files,
            drawn.services,
        )
        assert [r.subgoals for r in own.requests] == [r.subgoals for r in drawn.requests]
        assert not any(r.plan for r in own.requests)


def test_what_was_upgraded_replays_under_a_catalog_that_has_grown(
    tmp_path: Path, older: Path, played: list[Trajectory]
) -> None:
    calls = []
    done = upgrade(older, tmp_path / "new", on_record=lambda now: calls.append(now.episodes))
    assert (done.written, done.had, done.already, done.without) == (len(played), 0, 0, {})
    assert calls == list(range(1, len(played) + 1)) and done.bytes_after > done.bytes_before
    new = list(read_trajectories(tmp_path / "new"))
    assert new == played and [content_hash(t) for t in new] == [
        content_hash(t) for t in read_trajectories(older)
    ]
    assert read_manifest(tmp_path / "new") == read_manifest(older)
    with grown(tmp_path / "more"):
        assert not replayed(older).ok
        summary = replayed(tmp_path / "new")
    assert summary.ok and summary.statuses["not replayable"] == 0
    assert summary.episodes == len(played) and summary.digests == sum(len(t.steps) for t in played)


def test_what_the_catalog_no_longer_draws_is_copied_and_said(
    tmp_path: Path, older: Path, played: list[Trajectory], later: str
) -> None:
    done = upgrade(older, tmp_path / "new")
    assert len(done.without) + done.written == len(played) and len(done.without) > len(played) / 2
    assert all(f"({later[:12]}) draws something else" in why for why in done.without.values())
    before = {t.episode_id: t for t in read_trajectories(older)}
    after = {t.episode_id: t for t in read_trajectories(tmp_path / "new")}
    assert list(after) == list(before)
    assert all(after[name] == before[name] for name in done.without)


def test_an_interrupted_copy_is_completed_and_one_that_has_its_scenario_keeps_it(
    tmp_path: Path, older: Path, played: list[Trajectory]
) -> None:
    with TrajectoryStore(tmp_path / "new", run={"agent": "expert"}) as store:
        store.append(played[0])
    broken = played[1].model_copy(update={"outcome": "infrastructure_error", "episode_id": "broke"})
    with TrajectoryStore(older) as store:
        store.append(broken)
        store.append(played[2].model_copy(update={"episode_id": "has-it"}))
    done = upgrade(older, tmp_path / "new")
    assert (done.already, done.had, done.written) == (1, 2, len(played) - 1)
    again = upgrade(older, tmp_path / "new")
    assert (again.already, again.written) == (len(played) + 2, 0)
    (kept,) = read_trajectories(tmp_path / "new", failures=True)
    assert kept.episode_id == "broke"
    with pytest.raises(UserError, match="never changed in place"):
        upgrade(older, older)


def test_the_command_upgrades_and_replays(tmp_path: Path, older: Path, played: list[Trajectory]) -> None:
    said = CliRunner().invoke(app, ["upgrade", str(older), "--out", str(tmp_path / "new")])
    assert said.exit_code == 0, said.output
    assert f"{len(played)} of {len(played)} episodes got their scenario" in said.output
    assert all(carries(t.scenario) for t in read_trajectories(tmp_path / "new"))


def test_self_contained_intents_are_the_same_scenarios_under_a_catalog_that_has_grown(tmp_path: Path) -> None:
    plain = generate(6, 1, tmp_path / "plain", split="train", self_contained=False)
    whole = generate(6, 1, tmp_path / "whole", split="train")
    lines = [[json.loads(x) for x in path.read_text().splitlines()] for path in (plain, whole)]
    assert all("scenario" not in line for line in lines[0])
    assert [{k: v for k, v in x.items() if k != "scenario"} for x in lines[1]] == lines[0]
    before = [fields(scenario) for scenario in IntentFileSource(plain)]
    with grown(tmp_path / "more"):
        assert [fields(scenario) for scenario in IntentFileSource(whole)] == before
        with pytest.raises(UserError, match="draws something else"):
            list(IntentFileSource(plain))


def fields(scenario: Any) -> Any:
    requests = [(r.name, r.text, r.subgoals, r.plan, r.reply, r.facts, r.folder) for r in scenario.requests]
    return scenario.id, scenario.intent, scenario.files, scenario.budget, scenario.tools, requests


def test_an_intents_file_gives_what_a_model_worded(tmp_path: Path, played: list[Trajectory]) -> None:
    path = generate(3, 1, tmp_path / "pool", split="train", self_contained=False)
    lines = [json.loads(x) for x in path.read_text().splitlines()]
    first = IntentFileSource(path).scenario(0)
    words = [f"Well: {request.text}" for request in first.requests]
    lines[0] |= {"utterances": words, "whole": "Anew.", "template_sha256": sha256_of(first.intent)}
    path.write_text("".join(json.dumps(line) + "\n" for line in lines))
    record = played[0].model_copy(
        update={"scenario_id": first.id, "intent": "Anew.", "scenario": {}, "metadata": first.metadata}
    )
    rebuild = FromSource(IntentFileSource(path))
    assert [r.text for r in rebuild(record).requests] == words
    with pytest.raises(UserError, match="differently"):
        rebuild(record.model_copy(update={"intent": "Other."}))
    with pytest.raises(UserError, match="no scenario 'x'"):
        rebuild(record.model_copy(update={"scenario_id": "x"}))
