"""Refuses packing where it would change what is learned.

Packed rows must not see each other, and with padding-free batches only the attention backend keeps them apart.
Nothing in the trainer checks that, so it is measured on the model at hand before training starts.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from ise_gym.errors import UserError

if TYPE_CHECKING:
    import torch


def check_packing(model: torch.nn.Module, attention: str, tolerance: float = 1e-2) -> float:
    """Compare the logits of two short rows alone and packed; returns the largest difference.

    Raises:
        UserError: they differ by more than ``tolerance`` (relative to the largest logit).
    """
    import torch

    generator = torch.Generator().manual_seed(0)
    size = int(model.config.vocab_size)
    rows = [torch.randint(size, (1, length), generator=generator).to(model.device) for length in (13, 9)]
    packed = torch.cat(rows, dim=1)
    positions = torch.cat([torch.arange(row.shape[1]) for row in rows])[None].to(model.device)
    training = model.training
    model.eval()
    with torch.no_grad():
        alone = torch.cat([model(input_ids=row, use_cache=False).logits for row in rows], dim=1)
        together = model(input_ids=packed, position_ids=positions, use_cache=False).logits
    model.train(training)
    difference = float((alone - together).abs().max() / alone.abs().max().clamp(min=1e-6))
    if not difference <= tolerance:
        raise UserError(
            f"packing is not safe with model.attention={attention}: packed rows see each other "
            f"(logits differ by {difference:.1%}). Set train.packing=false or use a flash-attention implementation"
        )
    return difference
