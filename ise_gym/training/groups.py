"""Groups of episodes for reinforcement learning: forked from one start, played in one batch, kept as token ids.

An episode becomes one sequence: the prompt (system text, tools, the user's first request), then everything that
was sampled and everything that the env answered, in order, with a mask that is 1 on sampled tokens only. Sampled
ids are kept as they were sampled, never decoded and encoded again; what the env says is rendered by the
template, which is prefix-preserving, so that the sequence is what serving would have seen.
"""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field

from ise_gym.env import ISEEnv
from ise_gym.errors import WorkspaceError
from ise_gym.messages import Message
from ise_gym.models.local.generation import BatchGenerator
from ise_gym.models.local.tokenizer import Tokenizer
from ise_gym.models.parsing import parse_completion
from ise_gym.scenario import Scenario
from ise_gym.training.template import render

_END = "<|im_end|>"


@dataclass
class Sequenced:
    """One played episode.

    Attributes:
        prompt: token ids before the first answer.
        completion: token ids of all that followed; ``mask``: 1 where the model produced the token.
        reward: verified share of the sub-goals, 0 to 1.
        ended: False where the episode was stopped for its length.
    """

    prompt: list[int]
    completion: list[int] = field(default_factory=list)
    mask: list[int] = field(default_factory=list)
    reward: float = 0.0
    ended: bool = True

    def __len__(self) -> int:
        return len(self.prompt) + len(self.completion)


class _Live:
    """An episode that is being played."""

    def __init__(self, env: ISEEnv, conversation: Sequence[Message], player: GroupPlayer) -> None:
        self.env = env
        self.messages = list(conversation)
        self.done = False
        self._player = player
        self.sequence = Sequenced(player.ids(player.text(self.messages, env, asking=True)))

    def sampled(self, answer: list[int], ended: bool) -> Message:
        """Note an answer's tokens; return it as the env's action."""
        player, sequence = self._player, self.sequence
        sequence.completion += answer
        sequence.mask += [1] * len(answer)
        if not ended:  # cut for its length: the end is not the model's own, and not learned
            sequence.completion.append(player.end_id)
            sequence.mask.append(0)
        return parse_completion(player.tokenizer.decode(answer[:-1] if ended else answer))

    def answered(self, action: Message, observation: Sequence[Message], reward: float, done: bool) -> None:
        """Note what the env made of an action."""
        player, sequence = self._player, self.sequence
        sequence.reward += reward
        self.done = done
        if done:
            return
        told = player.text([*self.messages, action], self.env, asking=False)
        self.messages += [action, *observation]
        whole = player.text(self.messages, self.env, asking=True)
        heard = player.ids(whole[told.rindex(_END) + len(_END) :])
        if len(sequence) + len(heard) >= player.longest:  # never answered, so no part of what is learned from
            sequence.ended = False
            self.done = True
            return
        sequence.completion += heard
        sequence.mask += [0] * len(heard)


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
        self.end_id = int(tokenizer.convert_tokens_to_ids(_END))
        self._root = ISEEnv(backend=backend, user=user)
        self._threads = ThreadPoolExecutor(parallel, thread_name_prefix="episode")

    def text(self, messages: Sequence[Message], env: ISEEnv, *, asking: bool) -> str:
        """Render a conversation with the env's tools."""
        template = self.tokenizer.chat_template
        return render(template, messages, env.tool_schemas, add_generation_prompt=asking)[0]

    def ids(self, text: str) -> list[int]:
        """Return the token ids of rendered text."""
        return list(self.tokenizer(text, add_special_tokens=False, verbose=False)["input_ids"])

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
                prompts = [e.sequence.prompt + e.sequence.completion for e in acting]
                answers = self.generator.generate(prompts)
                actions = [
                    episode.sampled(answer, self.generator.ended(answer))
                    for episode, answer in zip(acting, answers, strict=True)
                ]
                steps = self._threads.map(lambda episode, action: episode.env.step(action), acting, actions)
                for episode, action, (heard, reward, gone, cut, _) in zip(
                    acting, actions, steps, strict=True
                ):
                    episode.answered(action, heard, float(reward), gone or cut)
        finally:
            for episode in live:
                episode.env.close()
        return [episode.sequence for episode in live]


def check_equal(group: Sequence[_Live]) -> None:
    """Hold the episodes of a group to one start: the same words, and the same files by hash."""
    starts = {(tuple(e.sequence.prompt), e.env.episode.workspace.digest()) for e in group}
    if len(starts) != 1:
        raise WorkspaceError(f"the {len(group)} forks of a group start in {len(starts)} different states")
