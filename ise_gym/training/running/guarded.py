"""Stops a run whose loss or gradients are no numbers, before they reach the weights, and says what it was fed.

The trainer's own default hides them: a step with a loss that is not finite is logged as the average of the others, so
that a run whose every weight is NaN ends well with a loss of 0.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, SupportsFloat, TypeAlias

from ise_gym.errors import UserError

if TYPE_CHECKING:
    import torch
    from transformers import Trainer

Batch: TypeAlias = "Mapping[str, torch.Tensor]"
"""What a model is fed: token ids, masks and positions, each of shape (rows, tokens)."""

Named = Callable[[], Iterable[tuple[str, list[int]]]]
"""Gives (name, token ids) of all rows, when it comes to naming them."""


def guarded(trainer: type[Trainer], rows: Named | None = None) -> type[Trainer]:
    """Return a kind of `transformers.Trainer` that ends with a `UserError` at the first non-finite loss or gradient.

    Args:
        trainer: the class to guard.
        rows: names what was in the batch; without it only the step is named.
    """

    class Guarded(trainer):  # type: ignore[misc]
        """The trainer, with its losses and gradients looked at."""

        _fed: list[Batch]

        def training_step(
            self, model: torch.nn.Module, inputs: Batch, *args: object, **kwargs: object
        ) -> torch.Tensor:
            """Run one micro-batch; its inputs are kept until the optimiser's step, to be named."""
            fed = self.__dict__.setdefault("_fed", [])
            fed.append({key: inputs[key] for key in _IDENTIFYING if key in inputs})
            loss = super().training_step(model, inputs, *args, **kwargs)
            self._refuse("loss", loss, fed[-1:])
            return loss

        def _get_grad_norm(
            self, model: torch.nn.Module, grad_norm: torch.Tensor | None = None
        ) -> torch.Tensor | None:
            norm = super()._get_grad_norm(model, grad_norm=grad_norm)
            if norm is not None:
                self._refuse("gradient norm", norm, self.__dict__.get("_fed", []))
            self._fed = []
            return norm

        def _refuse(self, what: str, value: SupportsFloat, fed: list[Batch]) -> None:
            number = float(value)
            if math.isfinite(number):
                return
            names = _names(fed, rows() if rows else ())
            raise UserError(
                f"step {self.state.global_step + 1}: the {what} is {number}, so the run stopped before these weights "
                f"were changed again.{f' In the batch: {names}.' if names else ''} Lower train.learning_rate, look at "
                "this data, and go on from the last checkpoint with resume=true or start over with overwrite=true"
            )

    Guarded.__name__ = f"Guarded{trainer.__name__}"
    return Guarded


def check_weights(model: torch.nn.Module) -> None:
    """Refuse to save trained weights that are not numbers (the last step has no loss after it).

    Raises:
        UserError: names the first such tensor.
    """
    import torch

    for name, weight in model.named_parameters():
        local = weight.to_local() if hasattr(weight, "to_local") else weight
        if weight.requires_grad and not bool(torch.isfinite(local).all()):
            raise UserError(
                f"after the last step {name} holds values that are not finite, so nothing was saved. "
                "Lower train.learning_rate and start over with overwrite=true"
            )


_IDENTIFYING = ("input_ids", "attention_mask", "position_ids")


def _names(fed: Sequence[Batch], rows: Iterable[tuple[str, list[int]]], most: int = 8) -> str:
    """Find the rows of batches by their token ids."""
    wanted = {ids for batch in fed if "input_ids" in batch for ids in _sequences(batch)}
    found = [name for name, ids in rows if tuple(ids) in wanted] if wanted else []
    more = f" and {len(found) - most} more" if len(found) > most else ""
    return ", ".join(found[:most]) + more


def _sequences(batch: Batch) -> Iterator[tuple[int, ...]]:
    """Take a batch apart: padding off; packed rows start where the position is 0."""
    masks = batch.get("attention_mask")
    positions = batch.get("position_ids")
    for number, ids in enumerate(batch["input_ids"].tolist()):
        if masks is not None:
            yield tuple(token for token, kept in zip(ids, masks[number].tolist(), strict=True) if kept)
        elif positions is not None:
            starts = [at for at, place in enumerate(positions[number].tolist()) if place == 0]
            for start, end in zip(starts, [*starts[1:], len(ids)], strict=True):
                yield tuple(ids[start:end])
        else:
            yield tuple(ids)
