"""How often a model, sampled, solves the scenarios of a recipe: ``ise train success --config RECIPE``.

Reinforcement learning moves nothing where every episode of a group ends alike. So before a run, this plays a group of
each candidate, prints the share of verified sub-goals by task, and writes the seeds of the scenarios in between, for
``curriculum.0.seeds`` of the recipe.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass

from ise_gym.training.groups import GroupPlayer
from ise_gym.training.grpo import Curriculum, make_player
from ise_gym.training.grpo_config import GrpoConfig
from ise_gym.training.models import load_start, load_tokenizer
from ise_gym.training.running.allocator import keep_freed_memory
from ise_gym.training.template import template_for


@dataclass(frozen=True)
class Tried:
    """One scenario and the rewards of the episodes that were sampled from its start, each in [0, 1]."""

    seed: int
    task: str
    rewards: tuple[float, ...]

    @property
    def mean(self) -> float:
        """Mean reward."""
        return sum(self.rewards) / len(self.rewards)


def measure(player: GroupPlayer, curriculum: Curriculum, seeds: Sequence[int], group: int) -> list[Tried]:
    """Play ``group`` episodes of each scenario of the first stage, in one batch."""
    scenarios = [curriculum.scenario(f"0:{seed}") for seed in seeds]
    played = player.play(scenarios, group)
    return [
        Tried(seed, "+".join(scenario.tasks), tuple(e.reward for e in played[at * group : (at + 1) * group]))
        for at, (seed, scenario) in enumerate(zip(seeds, scenarios, strict=True))
    ]


def between(tried: Sequence[Tried], low: float, high: float, most: int) -> list[Tried]:
    """Return the first ``most`` scenarios with mean rewards in the range, of different tasks as far as there are.

    >>> found = [Tried(1, "a", (0.0, 1.0)), Tried(2, "a", (0.0, 1.0)), Tried(3, "b", (1.0, 0.0)), Tried(4, "b", (0.0,))]
    >>> [one.seed for one in between(found, 0.1, 0.9, 2)]
    [1, 3]
    """
    met: dict[str, int] = defaultdict(int)
    turns = []
    for place, one in enumerate(tried):
        if low <= one.mean <= high:
            turns.append((met[one.task], place, one))
            met[one.task] += 1
    return [one for _, _, one in sorted(turns, key=lambda turn: turn[:2])][:most]


def table(tried: Sequence[Tried]) -> list[str]:
    """Return one line a task: scenarios, mean reward, and how many scenarios had unequal rewards."""
    by_task: dict[str, list[Tried]] = defaultdict(list)
    for one in tried:
        by_task[one.task].append(one)
    width = max(map(len, by_task), default=0)
    return [
        f"{task:{width}}  {len(found):3} scenarios  mean reward {sum(t.mean for t in found) / len(found):.2f}"
        f"  unequal within the group: {sum(len(set(t.rewards)) > 1 for t in found)}"
        for task, found in sorted(by_task.items())
    ]


def play(config: GrpoConfig, count: int) -> list[Tried]:
    """Play a group of each of the first ``count`` scenarios of a recipe's first stage."""
    import torch

    if config.train.threads:
        torch.set_num_threads(config.train.threads)
    if not torch.cuda.is_available():
        keep_freed_memory()
    torch.manual_seed(config.train.seed)
    source, model, _ = load_start(config.model, None)
    tokenizer = load_tokenizer(source.base)
    tokenizer.chat_template = template_for(tokenizer, config.thinking, config.tool_prompt)
    stage = config.curriculum[0]
    curriculum = Curriculum([stage], config.rollout.groups)
    player = make_player(config, tokenizer, model.eval())
    try:
        seeds = range(stage.first_seed, stage.first_seed + count)
        together = config.rollout.groups
        return [
            one
            for at in range(0, count, together)
            for one in measure(player, curriculum, seeds[at : at + together], config.rollout.group)
        ]
    finally:
        player.close()
