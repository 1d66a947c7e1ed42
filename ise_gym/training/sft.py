"""Fine-tune on recorded episodes: ``ise train sft --config RECIPE [key=value …]``.

TRL's `SFTTrainer` does the training and PEFT the adapter; what this module adds is what goes wrong when they are
used as they come: rows arrive tokenised and labelled (`ise_gym.training.data`), the chat template is the
one that will be served, and a run card says exactly what was trained on what.

Output folder: adapter (or full model), tokenizer with its template, ``chat_template.jinja``, ``run_card.json``,
and ``checkpoints/`` when ``train.save_steps`` is set.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ise_gym.errors import UserError
from ise_gym.training.allocator import keep_freed_memory
from ise_gym.training.config import RunConfig
from ise_gym.training.data import TrainingData, build_dataset
from ise_gym.training.models import load_base, load_tokenizer, locate_base
from ise_gym.training.packing import check_packing
from ise_gym.training.runcard import RunCard, check_same_run, read_card, start_card, write_card
from ise_gym.training.template import project_template, template_hash

CHECKPOINTS = "checkpoints"


@dataclass(frozen=True)
class Result:
    """What `run` gives back: the folder to load the model from, and its card."""

    output: Path
    card: RunCard


def run(config: RunConfig, *, quiet: bool = False) -> Result:
    """Train as configured.

    Args:
        config: the resolved configuration (`ise_gym.training.config.load_config`).
        quiet: print nothing but warnings.

    Raises:
        UserError: bad model, empty data, an output that holds another run.
    """
    output = Path(config.output)
    checkpoint = _prepare_output(output, config)
    base = locate_base(config.model.path)
    tokenizer = load_tokenizer(base)
    tokenizer.chat_template = project_template(config.thinking)
    data = build_dataset(config.data, tokenizer, config.thinking)
    card = start_card(config, data.report, base, template_hash(tokenizer.chat_template))
    if checkpoint is not None:
        check_same_run(read_card(output), card)
    elif config.resume and not quiet:
        print(f"no checkpoint in {output / CHECKPOINTS}: starting from the beginning")
    if not quiet:
        print("\n".join(data.report.lines()))
    output.mkdir(parents=True, exist_ok=True)
    write_card(output, card)
    trainer = make_trainer(config, tokenizer, data, base, quiet=quiet)
    trained = trainer.train(resume_from_checkpoint=str(checkpoint) if checkpoint else None)
    if trainer.is_world_process_zero():
        save(trainer, tokenizer, base, output, lora=config.lora is not None)
        card = card.finished(trained.metrics, trainer.state.log_history, trainer.model)
        write_card(output, card)
    if config.merge and trainer.is_world_process_zero():
        from ise_gym.training.merge import merge

        merge(output, output / "merged")
    return Result(output, card)


def make_trainer(
    config: RunConfig,
    tokenizer: Any,
    data: TrainingData,
    base: str,
    *,
    quiet: bool = False,
    model: Any = None,
) -> Any:
    """Build the `SFTTrainer`; separate from `run` so that tests and benchmarks see what TRL was given.

    Args:
        config: the resolved configuration.
        tokenizer, data: with the project's template; rows made with it.
        base: folder or hub name of the base weights.
        quiet: print nothing while training.
        model: base weights that are in memory already; ``base`` is then not read.
    """
    import torch
    from transformers import PrinterCallback
    from trl import SFTConfig, SFTTrainer

    from ise_gym.training.progress import LinePrinter

    settings = config.train
    if settings.threads:
        torch.set_num_threads(settings.threads)
    if not torch.cuda.is_available():
        keep_freed_memory()
    model, peft_config = load_base(config, base, model)
    if settings.packing:
        check_packing(model, config.model.attention)
    arguments = SFTConfig(
        output_dir=str(Path(config.output) / CHECKPOINTS),
        learning_rate=settings.learning_rate,
        num_train_epochs=settings.epochs,
        max_steps=settings.max_steps,
        per_device_train_batch_size=settings.batch_size,
        gradient_accumulation_steps=settings.gradient_accumulation,
        lr_scheduler_type=settings.schedule,
        # TRL reads a value below 1 as a share of all steps.
        warmup_steps=settings.warmup_ratio,
        weight_decay=settings.weight_decay,
        max_grad_norm=settings.max_grad_norm,
        bf16=settings.bf16,
        fp16=False,
        gradient_checkpointing=settings.gradient_checkpointing,
        gradient_checkpointing_kwargs={"use_reentrant": False} if settings.gradient_checkpointing else None,
        train_sampling_strategy="group_by_length" if settings.group_by_length else "random",
        use_liger_kernel=settings.liger,
        # Rows were cut to fit by ise_gym.training.rows; the trainer must not cut again.
        max_length=config.data.max_length if settings.packing else None,
        packing=settings.packing,
        logging_steps=settings.logging_steps,
        save_strategy="steps" if settings.save_steps else "no",
        save_steps=settings.save_steps or 500,
        save_total_limit=settings.keep_checkpoints,
        report_to=list(settings.loggers) or "none",
        seed=settings.seed,
        data_seed=settings.seed,
        disable_tqdm=True,
        use_cpu=not torch.cuda.is_available(),
        dataloader_pin_memory=torch.cuda.is_available(),
    )
    trainer = SFTTrainer(
        model=model,
        args=arguments,
        train_dataset=data.dataset(),
        processing_class=tokenizer,
        peft_config=peft_config,
    )
    trainer.remove_callback(PrinterCallback)
    if not quiet:
        trainer.add_callback(LinePrinter())
    return trainer


def _prepare_output(output: Path, config: RunConfig) -> Path | None:
    """Decide what to do with what is in the output folder; returns the checkpoint to go on from."""
    from transformers.trainer_utils import get_last_checkpoint

    if output.exists() and not output.is_dir():
        raise UserError(f"output {output} is a file; give a folder")
    checkpoints = output / CHECKPOINTS
    if config.resume:
        newest = get_last_checkpoint(str(checkpoints)) if checkpoints.is_dir() else None
        return Path(newest) if newest else None
    if (output / "run_card.json").exists() and not config.overwrite:
        raise UserError(
            f"{output} already holds a run. Continue it with resume=true, replace it with overwrite=true, "
            "or give another output"
        )
    return None


def save(trainer: Any, tokenizer: Any, base: str, output: Path, *, lora: bool) -> None:
    """Write weights and tokenizer; the adapter's base is recorded relative to the adapter where it is local."""
    model = trainer.accelerator.unwrap_model(trainer.model)
    if lora and Path(base).is_dir():
        relative = os.path.relpath(Path(base).resolve(), output.resolve())
        model.peft_config["default"].base_model_name_or_path = Path(relative).as_posix()
    trainer.save_model(str(output))
    tokenizer.save_pretrained(str(output))
    leftover = output / "training_args.bin"
    # A pickle that nothing here reads and that holds absolute paths.
    leftover.unlink(missing_ok=True)
