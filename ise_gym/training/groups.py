"""Groups of episodes for reinforcement learning: forked from one start, played in one batch, kept as token ids.

How an episode becomes one sequence, see `ise_gym.training.transcript`.
"""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor

from ise_gym.env import ISEEnv
from ise_gym.errors import WorkspaceError
from ise_gym.messages import Message
from ise_gym.models.local.generation import BatchGenerator
from ise_gym.models.local.tokenizer import Tokenizer
from ise_gym.scenario import Scenario
from ise_gym.training.transcript import Sequenced, Transcript


class _Live:
    """An episode that is being played."""

    def __init__(self, env: ISEEnv, conversation: Sequence[Message], player: GroupPlayer) -> None:
        self.env = env
        self.done = False
        self.transcript = Transcript(player.tokenizer, conversation, env.tool_schemas)
        self.sequence = self.transcript.sequence
        self._longest = player.longest

    def answered(self, observation: Sequence[Message], reward: float, done: bool) -> None:
        """Note what the env made of an answer."""
        self.sequence.reward += reward
        self.done = done or not self.transcript.heard(observation, self._longest)


class GroupPlayer:
    """Plays groups of episodes with a model whose weights change between calls.

    Args:
        tokenizer: carries the project's template.
        generator: samples answers; its cache is dropped before each call of `play`.
        longest: tokens of an episode, after which it ends as it stands.
        backend, user: of the env.
        parallel: episodes that step at the same time.
    """

    def __init__(
        self,
        tokenizer: Tokenizer,
        generator: BatchGenerator,
        *,
        longest: int,
        backend: str = "auto",
        user: str = "scripted",
        parallel: int = 8,
    ) -> None:
        self.tokenizer = tokenizer
        self.generator = generator
        self.longest = min(longest, generator.context - generator.longest)
        self._root = ISEEnv(backend=backend, user=user)
        self._threads = ThreadPoolExecutor(parallel, thread_name_prefix="episode")

    def play(self, scenarios: Sequence[Scenario], group: int) -> list[Sequenced]:
        """Play ``group`` episodes of each scenario, all in one batch.

        Returns:
            ``len(scenarios) × group`` sequences, group by group.

        Raises:
            WorkspaceError: the sandbox broke twice, or the forks of a group did not start equal.
        """
        try:
            return self._play(scenarios, group)
        except WorkspaceError:
            # A broken sandbox is not a reward of 0: the step is played again.
            return self._play(scenarios, group)

    def close(self) -> None:
        """End the workspaces."""
        self._threads.shutdown()
        self._root.close()

    def _play(self, scenarios: Sequence[Scenario], group: int) -> list[Sequenced]:
        self.generator.forget()
        live: list[_Live] = []
        try:
            for scenario in scenarios:
                self._root.reset(seed=scenario.seed, options={"scenario": scenario})
                forks = self._root.fork(group)
                live += [_Live(env, env.episode.conversation, self) for env in forks]
                check_equal(live[-group:])
            while acting := [episode for episode in live if not episode.done]:
                answers = self.generator.generate([episode.sequence.ids for episode in acting])
                actions = [
                    episode.transcript.sampled(answer)
                    for episode, answer in zip(acting, answers, strict=True)
                ]
                steps = self._threads.map(lambda episode, action: episode.env.step(action), acting, actions)
                for episode, (heard, reward, gone, cut, _) in zip(acting, steps, strict=True):
                    episode.answered(heard, float(reward), gone or cut)
        finally:
            for episode in live:
                episode.env.close()
        return [episode.sequence for episode in live]


def check_equal(group: Sequence[_Live]) -> None:
    """Hold the episodes of a group to one start: the same words, and the same files by hash."""
    starts = {(tuple(e.sequence.prompt), e.env.episode.workspace.digest()) for e in group}
    if len(starts) != 1:
        raise WorkspaceError(f"the {len(group)} forks of a group start in {len(starts)} different states")
