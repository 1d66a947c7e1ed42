"""Random weights in the shape of a known model, and what training them takes: for `benchmarks/tuning/sft.py`.

Speed and memory don't depend on what the weights are, so no download is needed to measure them.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

BF16_TFLOPS = {"H200": 989.4, "H100": 989.4, "A100": 312.0, "L40S": 362.1, "RTX 4090": 165.2}
"""Dense bfloat16 rate by a part of the device's name, from the vendor's data sheets (SXM where there are several)."""


@dataclass(frozen=True)
class Shape:
    """A Qwen3 model by its sizes (those of its published configuration)."""

    hidden: int
    intermediate: int
    layers: int
    heads: int
    kv_heads: int
    head_dim: int
    vocabulary: int
    tied: bool

    @property
    def layer_linears(self) -> list[tuple[int, int]]:
        """(inputs, outputs) of the matrices of one layer: q, k, v, o, gate, up, down."""
        query, key = self.heads * self.head_dim, self.kv_heads * self.head_dim
        wide = self.intermediate
        return [
            (self.hidden, query),
            (self.hidden, key),
            (self.hidden, key),
            (query, self.hidden),
            (self.hidden, wide),
            (self.hidden, wide),
            (wide, self.hidden),
        ]

    @property
    def matmul_weights(self) -> int:
        """Weights that every token is multiplied with: all layers and the head; the embedding is a look-up."""
        layer = sum(a * b for a, b in self.layer_linears)
        return self.layers * layer + self.vocabulary * self.hidden

    def lora_weights(self, rank: int) -> int:
        """Weights of an adapter on all matrices of the layers."""
        return self.layers * sum(rank * (a + b) for a, b in self.layer_linears)


SHAPES = {
    "qwen3-0.6b": Shape(1024, 3072, 28, 16, 8, 128, 151_936, True),
    "qwen3-8b": Shape(4096, 12_288, 36, 32, 8, 128, 151_936, False),
    "qwen3-32b": Shape(5120, 25_600, 64, 64, 8, 128, 151_936, False),
    "toy": Shape(32, 64, 2, 2, 1, 16, 512, False),
}
"""``toy`` is there to try the measurement itself on a CPU."""

FORMULA = (
    "model FLOPs a token = 4·N + 6·A + 6·L·s·d: forward 2·(N + A) + 2·L·s·d (causal attention: half of s each for "
    "scores and values), backward through the activations the same for N and A and twice that for attention, and 2·A "
    "for the adapter's own gradients (the frozen weights have none). N: weights multiplied, head included; A: adapter; "
    "L: layers; s: tokens of a row; d: heads × head size. What checkpointing computes again is not counted"
)


def model_flops(shape: Shape, tokens: int, rank: int) -> float:
    """Return the FLOPs that training one token of a row of ``tokens`` takes, by `FORMULA`."""
    attention = shape.layers * tokens * shape.heads * shape.head_dim
    return 4.0 * shape.matmul_weights + 6.0 * shape.lora_weights(rank) + 6.0 * attention


def peak_flops(device: str) -> float | None:
    """Return the dense bfloat16 rate of a device by its name, or None for one that isn't in the table."""
    return next((rate * 1e12 for part, rate in BF16_TFLOPS.items() if part in device), None)


def random_model(shape: Shape, longest: int, device: str, attention: str = "sdpa") -> Any:
    """Build a causal language model of a shape with random bfloat16 (on a CPU: float32) weights, on the device."""
    import torch
    from transformers import Qwen3Config, Qwen3ForCausalLM

    config = Qwen3Config(
        vocab_size=shape.vocabulary,
        hidden_size=shape.hidden,
        intermediate_size=shape.intermediate,
        num_hidden_layers=shape.layers,
        num_attention_heads=shape.heads,
        num_key_value_heads=shape.kv_heads,
        head_dim=shape.head_dim,
        max_position_embeddings=longest,
        tie_word_embeddings=shape.tied,
        attn_implementation=attention,
        use_cache=False,
    )
    before = torch.get_default_dtype()
    torch.set_default_dtype(torch.bfloat16 if device == "cuda" else torch.float32)
    try:
        with torch.device(device):
            return Qwen3ForCausalLM(config)
    finally:
        torch.set_default_dtype(before)
