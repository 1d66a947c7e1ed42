"""Reinforcement learning on the same env: ``ise train grpo --config RECIPE [key=value …]``.

TRL's `GRPOTrainer` does the optimisation. Episodes come from `ise_gym.training.groups`: a group is forked from one live
start, user turns are turns, and the reward is the share of sub-goals that the checks verified, never a model's
opinion. The output folder plays as ``transformers:FOLDER`` like one of `ise_gym.training.sft`.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from trl import GRPOTrainer

from ise_gym.agents.parity import trained_on
from ise_gym.errors import UserError
from ise_gym.intents.source import IntentSource
from ise_gym.messages import sha256_of
from ise_gym.models.local.generation import BatchGenerator
from ise_gym.models.local.tokenizer import CausalModel, Tokenizer
from ise_gym.scenario import Scenario
from ise_gym.tools import tool_schemas
from ise_gym.training.groups import GroupPlayer
from ise_gym.training.grpo_config import GrpoConfig, Stage
from ise_gym.training.models import load_start, load_tokenizer
from ise_gym.training.runcard import RunCard, start_card_of, write_card
from ise_gym.training.running import ranks
from ise_gym.training.running.allocator import keep_freed_memory
from ise_gym.training.running.faults import spoken_faults
from ise_gym.training.template import template_for, template_hash


class Curriculum:
    """The scenarios of a run in order, by name (``stage:seed``)."""

    def __init__(self, stages: Sequence[Stage], groups: int) -> None:
        self._stages = stages
        self._groups = groups
        self._sources = [_source(stage) for stage in stages]

    def names(self) -> Iterator[str]:
        """Return one name a group, ``groups`` of them a step."""
        for number, stage in enumerate(self._stages):
            for at in range(stage.steps * self._groups):
                yield f"{number}:{stage.seed_at(at)}"

    def scenario(self, name: str) -> Scenario:
        """Return a scenario by its name."""
        stage, seed = name.split(":")
        return self._sources[int(stage)].scenario(int(seed))

    def tools(self) -> tuple[str, ...]:
        """Return the names of all tools that the first scenario of any stage offers."""
        found: dict[str, None] = {}
        for source, stage in zip(self._sources, self._stages, strict=True):
            found |= dict.fromkeys(source.scenario(stage.first_seed).tools)
        return tuple(found)


def _source(stage: Stage) -> IntentSource:
    return IntentSource(
        split="train",
        domains=stage.domains or None,
        tasks=stage.tasks or None,
        tier=stage.tier,
        tasks_per_intent=stage.tasks_per_intent,
    )


def run(config: GrpoConfig, *, quiet: bool = False) -> RunCard:
    """Train as configured; returns the run card, which is also in the output folder.

    Raises:
        UserError: bad model, an output that holds another run, scenarios that nothing fits.
    """
    output = Path(config.output)
    with spoken_faults(output):
        return _run(config, output, quiet=quiet)


def _run(config: GrpoConfig, output: Path, *, quiet: bool) -> RunCard:
    import torch
    from datasets import Dataset
    from transformers import PrinterCallback
    from trl import GRPOTrainer

    from ise_gym.training.running.checkpoints import Sealer
    from ise_gym.training.running.guarded import check_weights, guarded

    settings, rollout = config.train, config.rollout
    curriculum = Curriculum(config.curriculum, rollout.groups)
    names = list(curriculum.names())
    # The arguments start the process group of a run of several processes, so they come first.
    arguments = make_arguments(config, len(names))
    quiet = quiet or not ranks.is_main()
    if settings.threads:
        torch.set_num_threads(settings.threads)
    if not torch.cuda.is_available():
        keep_freed_memory()
    ranks.first_decides(lambda: _check_output(output, config))
    base, model, peft_config = load_start(config.model, config.lora)
    tokenizer = load_tokenizer(base.base)
    tokenizer.chat_template = template_for(tokenizer, config.thinking, config.tool_prompt)

    def begin() -> RunCard:
        card = start_card_of(
            config.model_dump(mode="json"),
            {
                "data_hash": sha256_of(names),
                "tools": {
                    schema["function"]["name"]: {sha256_of(schema): 1}
                    for schema in tool_schemas(curriculum.tools())
                },
            },
            base,
            template_hash(tokenizer.chat_template),
            settings.seed,
        )
        known = trained_on(base.adapter or base.base)
        for difference in known.trained_again(card.template_hash, card.data["tools"]) if known else ():
            print(f"note on {base.name}: {difference}")
        output.mkdir(parents=True, exist_ok=True)
        write_card(output, card)
        return card

    card = ranks.first_decides(begin)
    player: GroupPlayer | None = None

    def episodes(prompts: list[list[dict[str, str]]], trainer: GRPOTrainer) -> dict[str, Any]:
        nonlocal player
        plain = trainer.accelerator.unwrap_model(trainer.model)
        if player is None:
            player = make_player(config, tokenizer, plain)
        asked = [prompt[-1]["content"] for prompt in prompts]
        scenarios = [curriculum.scenario(name) for name in asked[:: rollout.group]]
        was_training = plain.training
        plain.eval()
        played = player.play(scenarios, rollout.group)
        plain.train(was_training)
        return {
            "prompt_ids": [episode.prompt for episode in played],
            "completion_ids": [episode.completion for episode in played],
            "logprobs": None,
            "env_mask": [episode.mask for episode in played],
            "verified": [episode.reward for episode in played],
        }

    trainer = guarded(GRPOTrainer)(
        model=model,
        reward_funcs=verified_share,
        args=arguments,
        train_dataset=Dataset.from_list([{"prompt": [{"role": "user", "content": name}]} for name in names]),
        processing_class=tokenizer,
        peft_config=peft_config,
        rollout_func=episodes,
    )
    if trainer.is_fsdp_enabled or trainer.is_deepspeed_enabled:
        raise UserError(
            "reinforcement learning plays episodes with the model that is trained, whose weights must be whole in "
            "every process: launch it with torchrun alone (DDP), not with FSDP or DeepSpeed"
        )
    trainer.remove_callback(PrinterCallback)
    trainer.add_callback(Sealer(settings.keep_checkpoints))
    if not quiet:
        from ise_gym.training.running.progress import RewardPrinter

        trainer.add_callback(RewardPrinter())
    try:
        trained = trainer.train()
    finally:
        if player is not None:
            player.close()
    from ise_gym.training.sft import save

    check_weights(trainer.model)
    save(trainer, tokenizer, base.base, output, lora=config.lora is not None)
    card = replace(
        card.finished(trained.metrics, trainer.state.log_history, trainer.model),
        rewards=rewards_of(trainer.state.log_history),
    )
    if ranks.is_main():
        write_card(output, card)
    ranks.wait()
    return card


def make_arguments(config: GrpoConfig, scenarios: int) -> Any:
    """Build TRL's `GRPOConfig`; a step's groups are shared out among the processes of the run.

    Args:
        config: the resolved configuration.
        scenarios: of the whole curriculum.

    Raises:
        UserError: the groups of a step, or their episodes, can't be shared out evenly.
    """
    import torch
    from trl import GRPOConfig

    settings, rollout = config.train, config.rollout
    processes = int(os.environ.get("WORLD_SIZE", "1"))
    episodes = rollout.group * rollout.groups
    if rollout.groups % processes or episodes % (settings.batch_size * processes):
        raise UserError(
            f"rollout.groups {rollout.groups} × rollout.group {rollout.group} episodes of a step can't be shared out "
            f"among {processes} processes in micro-batches of train.batch_size {settings.batch_size}: make "
            f"rollout.groups a multiple of {processes}, and what each gets a multiple of train.batch_size"
        )
    return GRPOConfig(
        output_dir=str(Path(config.output) / "checkpoints"),
        learning_rate=settings.learning_rate,
        max_steps=scenarios // rollout.groups * settings.iterations,
        per_device_train_batch_size=settings.batch_size,
        gradient_accumulation_steps=episodes // (settings.batch_size * processes),
        num_generations=rollout.group,
        num_iterations=settings.iterations,
        max_completion_length=rollout.episode_tokens,
        temperature=rollout.temperature,
        beta=settings.beta,
        scale_rewards=settings.scale,
        max_grad_norm=settings.max_grad_norm,
        lr_scheduler_type="constant",
        bf16=settings.bf16,
        gradient_checkpointing=settings.gradient_checkpointing,
        shuffle_dataset=False,  # the curriculum is an order
        logging_steps=1,
        logging_nan_inf_filter=False,  # it hides a run that has diverged
        save_strategy="steps" if settings.save_steps else "no",
        save_steps=settings.save_steps or 500,
        report_to=list(settings.loggers) or "none",
        seed=settings.seed,
        data_seed=settings.seed,
        disable_tqdm=True,
        use_cpu=not torch.cuda.is_available(),
        ddp_timeout=2 * 60 * 60,
    )


def _check_output(output: Path, config: GrpoConfig) -> None:
    if (output / "run_card.json").exists() and not config.overwrite:
        raise UserError(
            f"{output} already holds a run: replace it with overwrite=true, or give another output"
        )


def verified_share(completions: object, verified: Sequence[float], **_: object) -> list[float]:
    """Return each episode's reward, as the env gave it."""
    return list(verified)


def rewards_of(history: Sequence[dict[str, Any]]) -> list[tuple[int, float]]:
    """Return (batch of episodes, counted from 1; its mean reward). Further passes over a batch log no reward."""
    means = (float(entry["reward"]) for entry in history if "reward" in entry)
    return list(enumerate(means, start=1))


def make_player(config: GrpoConfig, tokenizer: Tokenizer, model: CausalModel) -> GroupPlayer:
    """Return what plays episodes as the recipe's ``rollout`` section says; close it after use."""
    rollout = config.rollout
    generator = BatchGenerator(
        model,
        pad_id=tokenizer.pad_token_id,
        stop_ids=[tokenizer.convert_tokens_to_ids("<|im_end|>")],
        longest=rollout.answer_tokens,
        context=min(
            int(model.config.max_position_embeddings), rollout.episode_tokens + rollout.answer_tokens
        ),
        temperature=rollout.temperature,
    )
    return GroupPlayer(
        tokenizer,
        generator,
        longest=rollout.episode_tokens,
        backend=rollout.backend,
        user=rollout.user,
        parallel=rollout.parallel,
    )
