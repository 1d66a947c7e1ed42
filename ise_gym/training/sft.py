"""Fine-tune on recorded episodes: ``ise train sft --config RECIPE [key=value …]``.

TRL's `SFTTrainer` does the training and PEFT the adapter; what this module adds is what goes wrong when they are
used as they come: rows arrive tokenised and labelled (`ise_gym.training.data`), the chat template is the
one that will be served, and a run card says exactly what was trained on what.

One process or many (``torchrun``, ``accelerate launch``): the trainer's arguments come first, because they start the
process group and set up sharded loading; saving is done by all processes together, because sharded weights can only
be gathered so; everything else that touches the output folder is done by the first (`ise_gym.training.running.ranks`).

Output folder: adapter (or full model), tokenizer with its template, ``chat_template.jinja``, ``run_card.json``,
``README.md``, the tokenised ``rows/``, and ``checkpoints/`` when ``train.save_steps`` is set.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    from transformers import Trainer
    from trl import SFTConfig

    from ise_gym.training.running.moments import State

from ise_gym.agents.parity import trained_on
from ise_gym.errors import UserError
from ise_gym.models.local.tokenizer import Tokenizer
from ise_gym.training.config import DataConfig, RunConfig
from ise_gym.training.data import DataReport
from ise_gym.training.models import held_to_positions, load_base, load_tokenizer, locate_base
from ise_gym.training.runcard import CARD, RunCard, check_same_run, read_card, start_card, write_card
from ise_gym.training.running import ranks
from ise_gym.training.running.allocator import keep_freed_memory
from ise_gym.training.running.faults import spoken_faults
from ise_gym.training.running.packing import check_packing
from ise_gym.training.template import template_for, template_hash

CHECKPOINTS = "checkpoints"
ROWS = "rows"
MERGED = "merged"
_TIMEOUT = 2 * 60 * 60
"""Seconds that processes wait for each other: one may be tokenising, merging or writing a large checkpoint."""


class Data(Protocol):
    """What a trainer needs of the rows: `TrainingData` in memory, `CachedRows` on disk."""

    @property
    def report(self) -> DataReport:
        """How the rows came about."""
        ...

    def dataset(self) -> Any:
        """Return what is trained on, as a `datasets.Dataset`."""
        ...

    def eval_dataset(self) -> Any:
        """Return what is held out, or None."""
        ...

    def named(self) -> Iterable[tuple[str, list[int]]]:
        """Return (name, token ids) of every row that is trained on."""
        ...


@dataclass(frozen=True)
class Result:
    """What `run` gives back: the folder to load the model from, and its card."""

    output: Path
    card: RunCard


@dataclass(frozen=True)
class _Start:
    """How a run begins, as its first process found the output folder."""

    card: RunCard
    checkpoint: Path | None = None
    finished: bool = False


def run(config: RunConfig, *, quiet: bool = False) -> Result:
    """Train as configured; in a run of several processes all of them call this.

    Args:
        config: the resolved configuration (`ise_gym.training.config.load_config`).
        quiet: print nothing but warnings.

    Raises:
        UserError: bad model, empty data, an output that holds another run, a loss that is not a number, a full disk.
    """
    output = Path(config.output)
    with spoken_faults(output):
        arguments = make_arguments(config)
        quiet = quiet or not ranks.is_main()
        base, held = ranks.first_decides(lambda: _check(output, config))
        config = config.model_copy(update={"data": held})
        tokenizer = load_tokenizer(base)
        tokenizer.chat_template = template_for(tokenizer, config.thinking, config.tool_prompt)
        data = _rows(config, output, tokenizer)
        if not quiet:
            print("\n".join(data.report.lines()))
        start = ranks.first_decides(
            lambda: _open(config, output, data.report, base, template_hash(tokenizer.chat_template), quiet)
        )
        if start.finished:
            card = start.card
        else:
            card = _train(config, arguments, tokenizer, data, base, start, quiet=quiet)
        if config.merge:
            ranks.first_decides(lambda: _merge(output))
    return Result(output, card)


def _train(
    config: RunConfig,
    arguments: SFTConfig,
    tokenizer: Tokenizer,
    data: Data,
    base: str,
    start: _Start,
    *,
    quiet: bool,
) -> RunCard:
    """Train, save and write the finished card."""
    from ise_gym.training.modelcard import write_model_card
    from ise_gym.training.running.guarded import check_weights

    output = Path(config.output)
    trainer = make_trainer(config, tokenizer, data, base, quiet=quiet, arguments=arguments)
    trained = trainer.train(resume_from_checkpoint=str(start.checkpoint) if start.checkpoint else None)
    check_weights(trainer.model)
    if arguments.eval_strategy != "no" and not _measured_last(trainer.state):
        trainer.evaluate()
    save(trainer, tokenizer, base, output, lora=config.lora is not None)
    card = start.card.finished(trained.metrics, trainer.state.log_history, trainer.model)
    if ranks.is_main():
        write_model_card(output, card)
        write_card(output, card)
    ranks.wait()
    return card


def make_arguments(config: RunConfig) -> Any:
    """Build TRL's `SFTConfig`, which also starts the process group of a run of several processes.

    Raises:
        UserError: a value that transformers refuses, or several processes of which some never came.
    """
    import torch
    from trl import SFTConfig

    settings = config.train
    measured = bool(config.data.eval_fraction)
    try:
        return SFTConfig(
            output_dir=str(Path(config.output) / CHECKPOINTS),
            learning_rate=settings.learning_rate,
            num_train_epochs=settings.epochs,
            max_steps=settings.max_steps,
            per_device_train_batch_size=settings.batch_size,
            per_device_eval_batch_size=settings.batch_size,
            gradient_accumulation_steps=settings.gradient_accumulation,
            lr_scheduler_type=settings.schedule,
            # TRL reads a value below 1 as a share of all steps.
            warmup_steps=settings.warmup_ratio,
            optim=settings.optimiser,
            weight_decay=settings.weight_decay,
            max_grad_norm=settings.max_grad_norm,
            bf16=settings.bf16,
            fp16=False,
            gradient_checkpointing=settings.gradient_checkpointing,
            gradient_checkpointing_kwargs={"use_reentrant": False}
            if settings.gradient_checkpointing
            else None,
            train_sampling_strategy="group_by_length" if settings.group_by_length else "random",
            use_liger_kernel=settings.liger,
            # Rows were cut to fit by ise_gym.training.rows; the trainer must not cut again.
            max_length=max(settings.packing_length, config.data.max_length) if settings.packing else None,
            packing=settings.packing,
            eval_packing=False,
            logging_steps=settings.logging_steps,
            logging_nan_inf_filter=False,  # it hides a run that has diverged
            save_strategy="steps" if settings.save_steps else "no",
            save_steps=settings.save_steps or 500,
            # Old checkpoints go when the new one is sealed (ise_gym.training.running.checkpoints), not before.
            save_total_limit=None,
            eval_strategy="steps" if measured else "no",
            eval_steps=(settings.eval_steps or 10**9) if measured else None,
            load_best_model_at_end=settings.best_checkpoint,
            metric_for_best_model="eval_loss"
            if settings.best_checkpoint or settings.early_stopping
            else None,
            greater_is_better=False if settings.best_checkpoint or settings.early_stopping else None,
            report_to=list(settings.loggers) or "none",
            seed=settings.seed,
            data_seed=settings.seed,
            disable_tqdm=True,
            use_cpu=not torch.cuda.is_available(),
            dataloader_pin_memory=torch.cuda.is_available(),
            ddp_timeout=_TIMEOUT,
        )
    except ValueError as error:
        raise UserError(
            f"the trainer refuses these settings: {' '.join(str(error).split())[:400]}"
        ) from error


def make_trainer(
    config: RunConfig,
    tokenizer: Tokenizer,
    data: Data,
    base: str,
    *,
    quiet: bool = False,
    model: object = None,
    arguments: object = None,
) -> Any:
    """Build the `SFTTrainer`; separate from `run` so that tests and benchmarks see what TRL was given.

    Args:
        config: the resolved configuration.
        tokenizer, data: with the project's template; rows made with it.
        base: folder or hub name of the base weights.
        quiet: print nothing while training.
        model: base weights that are in memory already; ``base`` is then not read.
        arguments: of `make_arguments`, where they have been made already.
    """
    import torch
    from transformers import EarlyStoppingCallback, PrinterCallback
    from trl import SFTTrainer

    from ise_gym.training.running.checkpoints import Sealer
    from ise_gym.training.running.guarded import guarded
    from ise_gym.training.running.progress import LinePrinter

    settings = config.train
    arguments = arguments or make_arguments(config)
    if settings.threads:
        torch.set_num_threads(settings.threads)
    if not torch.cuda.is_available():
        keep_freed_memory()
    model, peft_config = load_base(config, base, model)
    if settings.packing:
        check_packing(model, config.model.attention)
    held_out = data.eval_dataset()
    if held_out is None:
        _without_evaluation(config, arguments)
    trainer = guarded(SFTTrainer, data.named)(
        model=model,
        args=arguments,
        train_dataset=data.dataset(),
        eval_dataset=held_out,
        processing_class=tokenizer,
        peft_config=peft_config,
    )
    trainer.remove_callback(PrinterCallback)
    trainer.add_callback(Sealer(settings.keep_checkpoints))
    if settings.early_stopping:
        trainer.add_callback(EarlyStoppingCallback(settings.early_stopping))
    if not quiet:
        trainer.add_callback(LinePrinter())
    return trainer


def _without_evaluation(config: RunConfig, arguments: Any) -> None:
    """Go on without a held-out loss where so few episodes are there that none was held out."""
    if config.train.early_stopping or config.train.best_checkpoint:
        raise UserError(
            f"data.eval_fraction={config.data.eval_fraction:g} held out no episode, and train.early_stopping and "
            "train.best_checkpoint go by the loss on such: raise the fraction, or turn both off"
        )
    arguments.eval_strategy = "no"


def _check(output: Path, config: RunConfig) -> tuple[str, DataConfig]:
    """Refuse what can't work before anything takes long; return the base, and the data settings that it allows."""
    if output.exists() and not output.is_dir():
        raise UserError(f"output {output} is a file; give a folder")
    if (output / CARD).exists() and not (config.overwrite or config.resume):
        raise UserError(
            f"{output} already holds a run. Continue it with resume=true, replace it with overwrite=true, "
            "or give another output"
        )
    base = locate_base(config.model.path)
    load_tokenizer(base)
    return base, held_to_positions(config.data, base)


def _rows(config: RunConfig, output: Path, tokenizer: Tokenizer) -> Data:
    """Tokenise once on each machine; the other processes there read what the first one left."""
    from ise_gym.training.rowcache import cached_rows

    return ranks.node_by_node(lambda: cached_rows(output / ROWS, config.data, tokenizer, config.thinking))


def _open(
    config: RunConfig, output: Path, report: DataReport, base: str, template_sha256: str, quiet: bool
) -> _Start:
    """Decide how to begin with what is in the output folder, and write the card of the run."""
    card = start_card(config, report, base, template_sha256)
    if (known := trained_on(base)) is not None and not quiet:
        for difference in known.trained_again(template_sha256, report.tools):
            print(f"note on {Path(base).name}: {difference}")
    checkpoints = output / CHECKPOINTS
    checkpoint = None
    if config.resume and (output / CARD).exists():
        from ise_gym.training.running.checkpoints import newest_whole

        before = read_card(output)
        check_same_run(before, card)
        if before.finished_run:
            if not quiet:
                print(f"the run in {output} is finished: nothing was trained again")
            return _Start(before, finished=True)
        checkpoint, notes = newest_whole(checkpoints)
        for note in notes:
            print(note)
    elif config.overwrite:
        for old in (checkpoints, output / MERGED):
            shutil.rmtree(old, ignore_errors=True)
    if config.resume and not quiet:
        began = f"no checkpoint in {checkpoints}: starting from the beginning"
        print(f"going on from {checkpoint.name}" if checkpoint else began)
    output.mkdir(parents=True, exist_ok=True)
    write_card(output, card)
    return _Start(card, checkpoint)


def _merge(output: Path) -> None:
    """Write merged weights where there are none yet."""
    from ise_gym.training.merge import merge

    target = output / MERGED
    if not (target / "config.json").exists():
        merge(output, target)


def _measured_last(state: State) -> bool:
    return any("eval_loss" in entry and entry["step"] == state.global_step for entry in state.log_history)


def save(trainer: Trainer, tokenizer: Tokenizer, base: str, output: Path, *, lora: bool) -> None:
    """Write weights and tokenizer; every process of a run calls it, because sharded weights are gathered from all.

    The adapter's base is recorded relative to the adapter where it is local.
    """
    model = trainer.accelerator.unwrap_model(trainer.model)
    if lora and Path(base).is_dir():
        relative = os.path.relpath(Path(base).resolve(), output.resolve())
        model.peft_config["default"].base_model_name_or_path = Path(relative).as_posix()
    trainer.save_model(str(output))
    if ranks.is_main():
        tokenizer.save_pretrained(str(output))
        # A pickle that nothing here reads and that holds absolute paths.
        (output / "training_args.bin").unlink(missing_ok=True)
    ranks.wait()
