"""What a reinforcement-learning recipe may say; errors are those of `ise_gym.training.config`."""

from __future__ import annotations

from typing import ClassVar, Literal

from pydantic import Field, model_validator

from ise_gym.training.config import LoraSettings, ModelConfig, Section
from ise_gym.training.template import Thinking, ToolPrompt


class Stage(Section):
    """A part of the curriculum: scenarios of one kind, for so many steps.

    Attributes:
        steps: batches of ``rollout.groups`` scenarios; each is learned from ``train.iterations`` times.
        domains, tasks, tier, tasks_per_intent: as of `ise_gym.intents.source.IntentSource`.
        first_seed: of the stage's scenarios; every group has a seed of its own, counted up from here.
        repeat: start again at ``first_seed`` after so many scenarios (0: never), to learn few instances well.
        seeds: exactly these scenarios, over and over (`ise_gym.training.success` finds them); instead of the two above.
    """

    steps: int = Field(ge=1)
    domains: tuple[str, ...] = ()
    tasks: tuple[str, ...] = ()
    tier: str | None = None
    tasks_per_intent: int | tuple[int, int] | None = None
    first_seed: int = Field(default=0, ge=0)
    repeat: int = Field(default=0, ge=0)
    seeds: tuple[int, ...] = ()

    def seed_at(self, place: int) -> int:
        """Return the seed of the stage's ``place``-th scenario, counted from 0."""
        if self.seeds:
            return self.seeds[place % len(self.seeds)]
        return self.first_seed + (place % self.repeat if self.repeat else place)


class RolloutSettings(Section):
    """How episodes are played.

    Attributes:
        group: episodes forked from one start; their rewards are compared with each other.
        groups: different scenarios a step.
        temperature: of sampling.
        answer_tokens: longest answer. ``episode_tokens``: longest episode, after which it ends as it stands.
        backend, user: workspace backend and user simulator of the env.
        parallel: episodes that step at the same time.
    """

    group: int = Field(default=8, ge=2)
    groups: int = Field(default=4, ge=1)
    temperature: float = Field(default=1.0, gt=0)
    answer_tokens: int = Field(default=512, ge=1)
    episode_tokens: int = Field(default=16384, ge=16)
    backend: str = "auto"
    user: str = "scripted"
    parallel: int = Field(default=8, ge=1)


class OptimiserSettings(Section):
    """Optimisation.

    Attributes:
        batch_size: episodes a device and micro-batch; divides ``group × groups``.
        beta: weight of the divergence from the start; 0 keeps no reference model.
        scale: how a group's advantages are scaled: by the group's or the batch's deviation, or not at all.
    """

    learning_rate: float = Field(default=1e-5, gt=0)
    batch_size: int = Field(default=1, ge=1)
    beta: float = Field(default=0.0, ge=0.0)
    scale: Literal["group", "batch", "none"] = "group"
    iterations: int = Field(default=1, ge=1, description="optimiser passes over each batch of episodes")
    max_grad_norm: float = Field(default=1.0, gt=0)
    bf16: bool = False
    gradient_checkpointing: bool = False
    save_steps: int = Field(default=0, ge=0)
    keep_checkpoints: int = Field(default=2, ge=1)
    loggers: tuple[str, ...] = ()
    threads: int = Field(default=0, ge=0)
    seed: int = 0


class GrpoConfig(Section):
    """One reinforcement-learning run.

    Attributes:
        model: where to start: a base model, or an adapter folder of `ise_gym.training.sft`, which is merged in memory.
        output: folder of the adapter, tokenizer, template and ``run_card.json``.
        curriculum: stages, in order.
        thinking, tool_prompt: as of `ise_gym.training.config.RunConfig`.
    """

    recipes: ClassVar[str] = "grpo"

    model: ModelConfig
    output: str
    curriculum: tuple[Stage, ...] = Field(min_length=1)
    thinking: Thinking = "keep"
    tool_prompt: ToolPrompt | None = None
    lora: LoraSettings | None = LoraSettings()
    rollout: RolloutSettings = RolloutSettings()
    train: OptimiserSettings = OptimiserSettings()
    overwrite: bool = False

    @model_validator(mode="after")
    def _whole_batches(self) -> GrpoConfig:
        episodes = self.rollout.group * self.rollout.groups
        if episodes % self.train.batch_size:
            raise ValueError(
                f"train.batch_size {self.train.batch_size} does not divide rollout.group × rollout.groups = {episodes}"
            )
        return self
