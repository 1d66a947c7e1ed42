"""A run against a model's endpoint: what is wrong shows before anything is played, what answers show is said once."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from ise_gym.errors import UserError
from ise_gym.rollout.engine import Status
from ise_gym.rollout.progress import RolloutProgress
from ise_gym.rollout.run import run
from ise_gym.rollout.spec import RolloutSpec, agent_factory, env_factory
from ise_gym.trajectory.store import read_trajectories
from ise_gym.trajectory.untaught import untaught
from made_scenarios import make_scenario
from openai_server import Answer, reply, serve, status


class One:
    """A source of one scenario."""

    def __len__(self) -> int:
        return 1

    def ids(self) -> list[str]:
        return [self.scenario(0).id]

    def scenario(self, index: int) -> Any:
        return make_scenario()


def played(url: str, out: Path, **options: Any) -> tuple[Status, str]:
    spec = RolloutSpec(
        source=One(),  # type: ignore[arg-type]
        make_agent=agent_factory("openai:tiny", base_url=url, max_retries=0, **options),
        make_env=env_factory(),
    )
    screen = io.StringIO()
    with RolloutProgress(Console(file=screen, width=300)) as progress:  # type: ignore[arg-type]
        done = run(spec, out, describe={}, workers=1, retries=0, on_progress=progress)
    return done, screen.getvalue()


def answering(*answers: Answer) -> Any:
    """Answer the probe with a word, then one answer after another, the last one for ever."""
    left = list(answers)

    def item(body: dict[str, Any]) -> Answer:
        if body.get("max_tokens") == 64:
            return reply("OK.")
        return left.pop(0) if len(left) > 1 else left[0]

    return item


@pytest.mark.parametrize(
    ("answer", "remedy"),
    [
        (status(402, "Insufficient credits"), "top it up"),
        (status(401, "Incorrect API key provided"), "check the API key"),
        (status(400, "auto tool choice requires --enable-auto-tool-choice"), "calls=text"),
        (status(500, "CUDA error"), "CUDA error"),
    ],
)
def test_what_is_wrong_with_an_endpoint_ends_the_run_before_it_begins(
    tmp_path: Path, answer: Answer, remedy: str
) -> None:
    with serve(answer) as server, pytest.raises(UserError, match=remedy):
        played(server.url, tmp_path / "run")
    assert len(server.requests) == 1
    assert list(read_trajectories(tmp_path / "run")) == []


def test_a_full_context_truncates_the_episode_and_is_the_agents(tmp_path: Path) -> None:
    full = status(
        400, "request (33056 tokens) exceeds the available context size (32768 tokens), try increasing it"
    )
    with serve(answering(reply("", [("exec", '{"command": "ls"}')]), full)) as server:
        done, _ = played(server.url, tmp_path / "run")
    (episode,) = read_trajectories(tmp_path / "run")
    assert done.outcomes == {"truncated": 1} and done.broken == 0
    assert episode.reason.startswith("agent: openai:tiny") and "33056 tokens" in episode.reason


def test_a_run_in_which_most_answers_are_cut_says_so_once_and_teaches_none_of_them(tmp_path: Path) -> None:
    with serve(answering(reply("I have written the gree", finish="length"))) as server:
        done, screen = played(server.url, tmp_path / "run")
    assert screen.count("answers were cut at the length limit: raise max_tokens") == 1
    (episode,) = read_trajectories(tmp_path / "run")
    said = [at for at, m in enumerate(episode.messages) if m["role"] == "assistant"]
    assert done.answers["cut"] == len(said) and list(untaught(episode.messages, episode.steps)) == said


def test_calls_that_nobody_reads_are_told_once_with_what_to_do(tmp_path: Path) -> None:
    call = '```json\n{"name": "exec", "arguments": {"command": "ls"}}\n```'
    with serve(answering(reply(call))) as server:
        _, screen = played(server.url, tmp_path / "run")
        assert screen.count("the option calls=text") == 1
    with serve(answering(reply(call), reply("Done."))) as server:
        _, screen = played(server.url, tmp_path / "text", calls="text")
    (episode,) = read_trajectories(tmp_path / "text")
    assert episode.counts["tool_calls"] == 1 and "note:" not in screen
