from __future__ import annotations

from pathlib import Path

import pytest
from rollout_fakes import FakeAgent, FakeBatchAgent, FakeEnv, scenario

from ise_gym.errors import WorkspaceError
from ise_gym.rollout.play import play_batch, play_episode, record
from ise_gym.trajectory.record import content_hash, episode_id, to_line
from ise_gym.trajectory.store import parse_line


def test_a_played_episode_becomes_a_full_record(tmp_path: Path) -> None:
    it = play_episode(FakeEnv(str(tmp_path)), FakeAgent(), scenario(3, trouble=""), 7)
    assert it.episode_id == episode_id("intent_3", 7, "fake")
    assert [m["role"] for m in it.messages] == ["system", "user", "assistant", "tool", "assistant"]
    assert it.messages[3]["success"] is False and it.messages[3]["exit_code"] == 1
    assert (it.outcome, it.score, it.subgoals) == ("passed", 1.0, {"r/done": True})
    assert it.persona["voice"] == {"hedges": ["maybe"]}
    assert it.hashes.keys() == {"system_prompt", "tools", "chat_template"}
    assert it.agent == {"name": "fake", "model": "none", "chat_template_sha256": "ab" * 32}
    assert it.timings.total_s > 0 and it.timings.started_at.endswith("Z")
    assert parse_line(to_line(it), "here") == it


def test_equal_inputs_give_equal_records_but_for_timings(tmp_path: Path) -> None:
    first, second = (
        play_episode(FakeEnv(str(tmp_path)), FakeAgent(), scenario(3, trouble=""), 7) for _ in range(2)
    )
    assert content_hash(first) == content_hash(second)
    other = play_episode(FakeEnv(str(tmp_path)), FakeAgent(), scenario(3, trouble=""), 8)
    assert content_hash(other) != content_hash(first)


@pytest.mark.parametrize(
    ("trouble", "fails", "reason"),
    [
        ("always broken", "none", "workspace: WorkspaceError: the sandbox died"),
        ("", "intent_3", "agent: AgentError: 503 from the endpoint"),
    ],
)
def test_broken_infrastructure_is_its_own_outcome(
    tmp_path: Path, trouble: str, fails: str, reason: str
) -> None:
    it = play_episode(FakeEnv(str(tmp_path)), FakeAgent(fails), scenario(3, trouble=trouble), 7)
    assert (it.outcome, it.reason) == ("infrastructure_error", reason)
    assert it.messages[1]["content"] == "do it"  # what was said until then is kept


def test_a_sandbox_that_never_starts_is_recorded_too(tmp_path: Path) -> None:
    class NoBox(FakeEnv):
        def reset(self, **kwargs: object) -> tuple[object, dict[str, object]]:
            raise WorkspaceError("no box")

    it = play_episode(NoBox(str(tmp_path)), FakeAgent(), scenario(3, trouble=""), 7)
    assert it.outcome == "infrastructure_error" and "no box" in it.reason and it.messages == []
    assert it.intent == "do thing 3 – ünïcode"


def test_bugs_pass_through(tmp_path: Path) -> None:
    with pytest.raises(ZeroDivisionError):
        play_episode(FakeEnv(str(tmp_path)), FakeAgent(), scenario(3, trouble="bug"), 7)


def test_a_batch_gives_what_single_episodes_give_and_refills_its_slots(tmp_path: Path) -> None:
    agent = FakeBatchAgent()
    scenarios = [scenario(n, trouble="always broken" if n == 2 else "") for n in range(5)]
    batch = play_batch([FakeEnv(str(tmp_path)) for _ in range(2)], agent, scenarios, list(range(5)))
    single_agent = FakeBatchAgent()
    single = [play_episode(FakeEnv(str(tmp_path)), single_agent, s, n) for n, s in enumerate(scenarios)]
    assert [content_hash(t) for t in batch] == [content_hash(t) for t in single]
    assert agent.sizes == [2, 2, 2, 2, 1]  # episode 2 breaks at once, 4 takes its slot beside 3
    assert batch[2].outcome == "infrastructure_error"


def test_record_of_an_episode_that_the_caller_drove(tmp_path: Path) -> None:
    env, agent = FakeEnv(str(tmp_path)), FakeAgent()
    played = play_episode(env, agent, scenario(3, trouble=""), 7)
    assert content_hash(record(env, agent, 7)) == content_hash(played)
