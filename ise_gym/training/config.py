"""What a recipe may say. A key that does not exist is an error with the nearest name, never ignored.

A run is one YAML file plus ``key=value`` overrides with dotted keys (``train.max_steps=20``). The whole resolved
configuration goes into the run card.
"""

from __future__ import annotations

import itertools
import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar, Literal, TypeVar

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from ise_gym.errors import UserError, nearest
from ise_gym.resources import data_dir
from ise_gym.training.template import Thinking, ToolPrompt
from ise_gym.trajectory.record import Outcome

Loss = Literal["all", "last", "after-recovery"]

BUILTIN_TINY = "builtin:tiny"
"""Names the small base model that ships inside this package, wherever it is installed."""


class Section(BaseModel):
    """A part of a recipe: unknown keys are errors."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    recipes: ClassVar[str] = ""
    """Of a whole recipe: the folder below ``recipes/`` where those of its kind are."""


class ModelConfig(Section):
    """Where the base model is and how it is loaded.

    Attributes:
        path: a local folder, a hub name, or ``builtin:tiny``.
        dtype: of the base weights in memory; LoRA weights are float32 where the base is not.
        attention: ``sdpa``, ``eager`` or the name of a flash-attention implementation.
        load_in_4bit: quantise the base to NF4 (QLoRA); needs bitsandbytes and a GPU.
    """

    path: str
    dtype: Literal["float32", "bfloat16", "float16"] = "bfloat16"
    attention: str = "sdpa"
    load_in_4bit: bool = False


class DataConfig(Section):
    """Which episodes are trained on and how they become rows.

    Attributes:
        store: folder of a trajectory store, or a list of them.
        outcomes: episodes with another outcome are left out.
        guard_clean: leave out episodes in which the role guard had to fall back or resample.
        domains, tasks, complexities: when given, only episodes that touch one of them.
        splits: episodes of another split are left out, so that evaluation instances cannot leak in.
        fraction: share of the remaining episodes, chosen by a hash of their id (data scaling).
        max_episodes: at most so many, in store order.
        single_user_turn: keep each episode only up to the second user message (the paper's ablation).
        sub_sessions: make rows of what agents delegated to themselves, with the tools that they were offered there.
        mask_failed_calls: keep an assistant message whose call failed in the context, but not in the loss. By default
            it is learned, as the paper does: the mistake is what its repair answers.
        loss: which answers are learned: ``all``; those of the ``last`` user turn; or those ``after-recovery``, which
            are the ones that follow a failed call inside the same user turn.
        max_length: tokens of a row, at most the model's positions. Never cut: see ``over_long``.
        eval_fraction: share of the episodes that are held out, by a hash of their id, to measure the loss on.
        over_long: ``split`` at user turns into windows that each start with system prompt and tools, or ``drop``.
    """

    store: str | tuple[str, ...]
    outcomes: tuple[Outcome, ...] = ("passed",)
    guard_clean: bool = False
    domains: tuple[str, ...] = ()
    tasks: tuple[str, ...] = ()
    complexities: tuple[str, ...] = ()
    splits: tuple[str, ...] = ("train", "")
    fraction: float = Field(default=1.0, gt=0.0, le=1.0)
    max_episodes: int | None = Field(default=None, ge=1)
    single_user_turn: bool = False
    sub_sessions: bool = True
    mask_failed_calls: bool = False
    loss: Loss = "all"
    max_length: int = Field(default=32768, ge=16)
    eval_fraction: float = Field(default=0.0, ge=0.0, lt=1.0)
    over_long: Literal["split", "drop"] = "split"

    @property
    def stores(self) -> tuple[str, ...]:
        """All stores, in order."""
        return (self.store,) if isinstance(self.store, str) else self.store


class LoraSettings(Section):
    """The adapter. Dropout is 0 by default: any other value keeps a copy of every input (measured: +64 % memory).

    Attributes:
        rslora: scale by alpha / sqrt(rank) instead of alpha / rank, so that a higher rank needs no other learning rate.
    """

    rank: int = Field(default=16, ge=1)
    alpha: float = Field(default=32, gt=0)
    dropout: float = Field(default=0.0, ge=0.0, lt=1.0)
    targets: str | tuple[str, ...] = "all-linear"
    rslora: bool = False


class TrainConfig(Section):
    """Optimisation. ``max_steps`` > 0 overrides ``epochs``; ``save_steps`` 0 keeps only the final result.

    Attributes:
        batch_size: rows a device and micro-batch.
        packing: put several rows into one sequence; whether the attention implementation keeps them apart is measured
            at start.
        packing_length: tokens of such a sequence; 0: ``data.max_length``. Positions start anew at every row, so that it
            may be longer than the model's.
        optimiser: as transformers names them: ``adamw_torch``, ``adamw_torch_fused``, ``adamw_8bit``, ``adafactor``, …
        eval_steps: steps between losses on the held-out episodes (``data.eval_fraction``); 0: once, at the end.
        early_stopping: end after so many of these losses in a row without a lower one; 0: never.
        best_checkpoint: save the weights with the lowest of these losses instead of the last ones.
        loggers: where metrics go besides the run card, e.g. ``tensorboard`` or ``wandb``.
    """

    learning_rate: float = Field(default=2e-4, gt=0)
    epochs: float = Field(default=1.0, gt=0)
    max_steps: int = -1
    batch_size: int = Field(default=1, ge=1)
    gradient_accumulation: int = Field(default=1, ge=1)
    schedule: Literal["linear", "cosine", "constant", "constant_with_warmup"] = "cosine"
    warmup_ratio: float = Field(default=0.03, ge=0.0, lt=1.0)
    optimiser: str = "adamw_torch"
    weight_decay: float = Field(default=0.0, ge=0.0)
    max_grad_norm: float = Field(default=1.0, gt=0)
    bf16: bool = False
    gradient_checkpointing: bool = False
    eval_steps: int = Field(default=0, ge=0)
    early_stopping: int = Field(default=0, ge=0)
    best_checkpoint: bool = False
    packing: bool = False
    packing_length: int = Field(default=0, ge=0)
    liger: bool = False
    group_by_length: bool = True
    logging_steps: int = Field(default=10, ge=1)
    save_steps: int = Field(default=0, ge=0)
    keep_checkpoints: int = Field(default=2, ge=1)
    loggers: tuple[str, ...] = ()
    threads: int = Field(default=0, ge=0, description="CPU threads of torch; 0 leaves its default")
    seed: int = 0


class RunConfig(Section):
    """One fine-tuning run.

    Attributes:
        output: folder of the adapter (or full model), tokenizer, template and ``run_card.json``.
        thinking: what becomes of recorded reasoning; baked into the saved template.
        tool_prompt: how the system prompt introduces tools: in Qwen3's own sentences (``stock``), which it was
            post-trained on, or in the ``short`` ones that the tiny base was made with; baked in as well. Left out: as
            the base's own template says, and ``stock`` where that is not this project's.
        lora: the adapter, or null to train all weights.
        merge: also write merged weights to ``output/merged``.
        resume: go on from the newest checkpoint in ``output``.
        overwrite: replace what an earlier run left in ``output``.
    """

    model: ModelConfig
    data: DataConfig
    output: str
    thinking: Thinking = "keep"
    tool_prompt: ToolPrompt | None = None
    lora: LoraSettings | None = LoraSettings()
    train: TrainConfig = TrainConfig()
    merge: bool = False
    resume: bool = False
    overwrite: bool = False

    @model_validator(mode="after")
    def _keys_that_need_others(self) -> RunConfig:
        if self.merge and self.lora is None:
            raise ValueError("merge=true is for adapters: with lora=null the output is whole already")
        given = "max_length" in self.data.model_fields_set  # else it is held to the model's positions first
        if given and 0 < self.train.packing_length < self.data.max_length:
            raise ValueError(
                f"train.packing_length {self.train.packing_length} is less than data.max_length "
                f"{self.data.max_length}: "
                "rows would be cut"
            )
        if self.train.early_stopping or self.train.best_checkpoint:
            if not (self.data.eval_fraction and self.train.eval_steps):
                raise ValueError(
                    "train.early_stopping and train.best_checkpoint go by the loss on held-out episodes: "
                    "set data.eval_fraction (such as 0.02) and train.eval_steps"
                )
            if not self.train.save_steps or self.train.save_steps % self.train.eval_steps:
                raise ValueError("with them train.save_steps must be a multiple of train.eval_steps")
        return self


Recipe = TypeVar("Recipe", bound=Section)

_SHORTHAND = {"model": "path", "data": "store"}
"""``model=DIR`` and ``data=DIR`` on the command line mean these keys of the sections."""


def load_config(path: str | Path, overrides: Sequence[str] = ()) -> RunConfig:
    """Read a fine-tuning recipe; see `load`."""
    return load(RunConfig, path, overrides)


def parse_config(values: Mapping[str, object], where: str = "config") -> RunConfig:
    """Validate the keys of a fine-tuning recipe; see `parse`."""
    return parse(RunConfig, values, where)


def load(kind: type[Recipe], path: str | Path, overrides: Sequence[str] = ()) -> Recipe:
    """Read a recipe and apply ``dotted.key=value`` overrides (values are YAML).

    Args:
        kind: `RunConfig` or another kind of recipe.
        path: a file, or the name of a recipe that ships, such as ``tiny_cpu``.
        overrides: as given on the command line.

    Raises:
        UserError: missing or broken file, unknown key (with the nearest name), or a value of the wrong kind.
    """
    file = find_recipe(kind, path)
    try:
        values = yaml.safe_load(file.read_text(encoding="utf-8"))
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise UserError(f"{path} is not valid YAML: {' '.join(str(error).split())}") from error
    if not isinstance(values, dict):
        raise UserError(f"{path} must hold a mapping of keys, found {type(values).__name__}")
    for override in overrides:
        _apply(values, override)
    return parse(kind, values, where=str(path))


def find_recipe(kind: type[Section], name: str | Path) -> Path:
    """Return the file of a recipe: the file itself, or one that ships, by its name with or without ``.yaml``.

    Raises:
        UserError: there is neither; names the nearest that ships.
    """
    if (file := Path(name)).is_file():
        return file
    shipped = shipped_recipes(kind)
    wanted = str(name).removesuffix(".yaml")
    if kind.recipes:
        wanted = wanted.removeprefix(f"{kind.recipes}/")
    if wanted in shipped:
        return shipped[wanted]
    raise UserError(
        f"{name}: there is no such file, and no shipped recipe has that name."
        f"{nearest(Path(wanted).name, shipped)} Shipped recipes: {', '.join(shipped)}."
    )


def shipped_recipes(kind: type[Section]) -> dict[str, Path]:
    """Return the recipes of a kind that come with the package, by name."""
    folder = data_dir("training") / "recipes" / kind.recipes
    return {file.stem: file for file in sorted(folder.glob("*.yaml"))}


def first_comment(file: Path) -> str:
    """Return the first sentence of the comment that a recipe opens with: what it is for."""
    lines = file.read_text(encoding="utf-8").splitlines()
    opening = list(itertools.takewhile(lambda line: line.startswith("#"), lines))
    text = " ".join(line.removeprefix("#").strip() for line in opening)
    return re.split(r"(?<=[.;]) ", text)[0].rstrip(".;")


def parse(kind: type[Recipe], values: Mapping[str, object], where: str = "config") -> Recipe:
    """Validate a nested mapping; errors name the dotted key and what to do."""
    try:
        return kind.model_validate(values)
    except ValidationError as error:
        raise UserError(f"{where}: " + "; ".join(_explain(error, kind))) from error


def _apply(values: Mapping[str, object], override: str) -> None:
    """Set one dotted key; sections that the file leaves out are made."""
    key, equals, text = override.partition("=")
    if not equals or not key:
        raise UserError(f"override {override!r} must look like key=value, e.g. train.max_steps=20")
    try:
        value = yaml.safe_load(text)
    except yaml.YAMLError as error:
        raise UserError(f"the value of override {override!r} is not valid YAML") from error
    *sections, last = key.split(".")
    target: Any = values
    for section in sections:
        target = _inner(target, section, override)
    if not isinstance(target, dict):
        here = ".".join(sections)
        if last.isdecimal():
            raise UserError(
                f"override {override!r}: an item can't be replaced as a whole; name a key: {here}.{last}.KEY=value"
            )
        raise UserError(f"override {override!r}: {here!r} is a list; name one of its items by number")
    if not sections and last in _SHORTHAND and not isinstance(value, dict):
        target, last = target.setdefault(last, {}), _SHORTHAND[last]
    target[last] = value


def _inner(target: Any, section: str, override: str) -> Any:
    """Return a section of a mapping, made where the file leaves it out, or an item of a list by its number."""
    if isinstance(target, list):
        if not section.isdecimal() or int(section) >= len(target):
            raise UserError(
                f"override {override!r}: {section!r} is not an index into a list of {len(target)} items"
            )
        inner = target[int(section)]
    else:
        inner = target.setdefault(section, {})
        if inner is None:
            inner = target[section] = {}
    if not isinstance(inner, dict | list):
        raise UserError(f"override {override!r}: {section!r} is a value, not a section")
    return inner


def _explain(error: ValidationError, kind: type[Section]) -> Iterator[str]:
    for item in error.errors():
        location = [str(part) for part in item["loc"]]
        key = ".".join(location)
        if item["type"] == "extra_forbidden":
            known = _keys_at(kind, location[:-1])
            yield f"unknown key {key!r}.{nearest(location[-1], known)} Known here: {', '.join(known)}"
        elif item["type"] == "missing":
            yield f"key {key!r} is missing"
        else:
            where = f"{key} = {item['input']!r}: " if key else ""
            yield f"{where}{item['msg'].removeprefix('Value error, ')}"


def _keys_at(kind: type[Section], location: Sequence[str]) -> list[str]:
    """Names that exist in the section at a dotted location."""
    fields = kind.model_fields
    for part in location:
        annotation = fields[part].annotation if part in fields else None
        candidates = [annotation, *getattr(annotation, "__args__", ())]
        section = next((c for c in candidates if isinstance(c, type) and issubclass(c, BaseModel)), None)
        if section is None:
            return []
        fields = section.model_fields
    return sorted(fields)
