"""The run card: what was trained on what, in one JSON file beside the weights.

Two runs can be compared, and a model matched with an environment, by hashes alone: data, template, tool schemas
and base weights. The card is written when training starts (so that a killed run says what it was) and again at
its end with the metrics.
"""

from __future__ import annotations

import importlib.metadata
import json
import platform
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import torch

from ise_gym.agents.transformers import ModelSource, resolve_model, weights_hash
from ise_gym.errors import UserError
from ise_gym.foreign.values import Json
from ise_gym.storage.atomic import replacing
from ise_gym.training.config import RunConfig
from ise_gym.training.data import DataReport

CARD = "run_card.json"
_PACKAGES = ("torch", "transformers", "trl", "peft", "accelerate", "datasets", "tokenizers", "ise-gym")
_MAY_DIFFER = {"output", "resume", "overwrite", "merge"}
"""Keys of the configuration that a resumed run may change."""


@dataclass(frozen=True)
class RunCard:
    """One run.

    Attributes:
        config: the resolved configuration.
        data: the data report, with ``data_hash`` and ``tools``.
        template_hash: SHA-256 of the chat template that was trained with and is saved.
        base: name and weights hash of the base model.
        metrics: steps, seconds, losses, tokens per second; empty until the run is finished.
        losses: (step, loss) as logged.
        eval_losses: (step, loss on held-out episodes); empty where none were held out.
        rewards: (step, mean reward) of reinforcement learning; empty after fine-tuning.
    """

    config: dict[str, Any]
    data: dict[str, Any]
    template_hash: str
    base: dict[str, str]
    seed: int
    versions: dict[str, str]
    finished_run: bool = False
    metrics: dict[str, Any] = field(default_factory=dict)
    losses: list[tuple[int, float]] = field(default_factory=list)
    rewards: list[tuple[int, float]] = field(default_factory=list)
    eval_losses: list[tuple[int, float]] = field(default_factory=list)

    def finished(
        self, metrics: Mapping[str, float], history: Sequence[Mapping[str, float]], model: torch.nn.Module
    ) -> RunCard:
        """Return the card with what the trainer measured."""
        losses = [(int(entry["step"]), float(entry["loss"])) for entry in history if "loss" in entry]
        trainable = sum(p.numel() for p in model.parameters() if p.requires_grad)
        last: Mapping[str, Any] = next(
            (entry for entry in reversed(history) if "mean_token_accuracy" in entry), {}
        )
        seconds = float(metrics["train_runtime"])
        return replace(
            self,
            finished_run=True,
            losses=losses,
            eval_losses=[(int(e["step"]), float(e["eval_loss"])) for e in history if "eval_loss" in e],
            metrics={
                "steps": int(history[-1]["step"]) if history else 0,
                "seconds": round(seconds, 2),
                "mean_loss": float(metrics["train_loss"]),
                "final_loss": losses[-1][1] if losses else float(metrics["train_loss"]),
                "final_token_accuracy": last.get("mean_token_accuracy"),
                "tokens": int(last.get("num_tokens", 0)),
                "trainable_parameters": trainable,
            },
        )


def start_card(config: RunConfig, report: DataReport, base: str, template_sha256: str) -> RunCard:
    """Make the card of a fine-tuning run that is about to start."""
    source = resolve_model(base)
    return start_card_of(
        config.model_dump(mode="json"), report.as_json(), source, template_sha256, config.train.seed
    )


def start_card_of(
    config: dict[str, Json], data: dict[str, Json], start: ModelSource, template_sha256: str, seed: int
) -> RunCard:
    """Make the card of any run that is about to start; ``data`` needs ``data_hash`` and ``tools``."""
    name = start.adapter or start.base
    return RunCard(
        config=config,
        data=data,
        template_hash=template_sha256,
        base={"name": Path(name).name if Path(name).is_dir() else name, "sha256": weights_hash(start)},
        seed=seed,
        versions=_versions(),
    )


def write_card(output: Path, card: RunCard) -> None:
    """Write ``run_card.json`` in one step, so that a killed run leaves an old or a new card, not half of one."""
    with replacing(output / CARD) as file:
        file.write((json.dumps(asdict(card), indent=2, ensure_ascii=False) + "\n").encode())


def read_card(output: str | Path) -> RunCard:
    """Read the card of a run.

    Raises:
        UserError: there is none, or it is not a run card.
    """
    file = Path(output) / CARD
    try:
        values = json.loads(file.read_text(encoding="utf-8"))
        values["losses"] = [(int(step), float(loss)) for step, loss in values["losses"]]
        for name in ("rewards", "eval_losses"):
            values[name] = [(int(step), float(value)) for step, value in values.get(name, [])]
        return RunCard(**values)
    except FileNotFoundError:
        raise UserError(
            f"{output} holds no {CARD}: it is not an output folder of `ise train sft` or `ise train grpo`"
        ) from None
    except (ValueError, TypeError, KeyError) as error:
        raise UserError(f"{file} is not a run card ({error})") from error


def check_same_run(old: RunCard, new: RunCard) -> None:
    """Refuse to go on from a checkpoint with other data, template, base or settings.

    Raises:
        UserError: names what differs.
    """
    differences = [
        name
        for name, before, after in (
            ("data", old.data["data_hash"], new.data["data_hash"]),
            ("chat template", old.template_hash, new.template_hash),
            ("base model", old.base["sha256"], new.base["sha256"]),
        )
        if before != after
    ]
    differences += [
        f"{section}.{key} (was {old.config[section].get(key)!r}, now {value!r})"
        for section in ("train", "lora", "data")
        for key, value in (new.config[section] or {}).items()
        if old.config[section] is not None and key != "store" and old.config[section].get(key) != value
    ]
    differences += [
        key
        for key, value in new.config.items()
        if not isinstance(value, dict) and key not in _MAY_DIFFER and old.config.get(key) != value
    ]
    if differences:
        raise UserError(
            f"cannot resume a different run: {', '.join(differences)} changed. "
            "Change it back, or start over with overwrite=true"
        )


def _versions() -> dict[str, str]:
    found = {"python": platform.python_version()}
    for package in _PACKAGES:
        try:
            found[package] = importlib.metadata.version(package)
        except importlib.metadata.PackageNotFoundError:
            found[package] = "not installed"
    return found
