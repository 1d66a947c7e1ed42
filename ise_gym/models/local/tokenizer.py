"""What this project needs of a tokenizer and a model of `transformers`, which itself comes without types."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Protocol, Self

from ise_gym.foreign.values import Json

if TYPE_CHECKING:
    import torch


class Tokenizer(Protocol):
    """A fast tokenizer with a chat template."""

    chat_template: str
    eos_token: str | None
    eos_token_id: int | None
    pad_token: str | None
    pad_token_id: int
    is_fast: bool
    model_max_length: int

    @property
    def backend_tokenizer(self) -> Any:
        """The Rust tokenizer within, which can be written as JSON."""
        ...

    def __len__(self) -> int:
        """Return how many tokens there are."""
        ...

    def __call__(self, text: str, **options: object) -> Mapping[str, Any]:
        """Tokenise: ``input_ids``, and what else was asked for."""
        ...

    def apply_chat_template(self, conversation: Sequence[Mapping[str, Json]], **options: object) -> Any:
        """Render a conversation and tokenise it."""
        ...

    def decode(self, token_ids: Sequence[int], *, skip_special_tokens: bool = False) -> str:
        """Return the text of tokens."""
        ...

    def convert_tokens_to_ids(self, tokens: str) -> int:
        """Return the number of one token."""
        ...

    def get_vocab(self) -> dict[str, int]:
        """Return every token with its number."""
        ...

    def save_pretrained(self, save_directory: str) -> object:
        """Write it to a folder."""
        ...


class CausalModel(Protocol):
    """A model that goes on with tokens."""

    config: Any
    generation_config: Any

    @property
    def device(self) -> torch.device:
        """Where its weights are."""
        ...

    def __call__(self, **inputs: object) -> Any:
        """Run one forward pass."""
        ...

    def generate(self, **options: object) -> torch.Tensor:
        """Return prompts with their continuations: rows of token ids, shape (batch, tokens)."""
        ...

    def eval(self) -> Self:
        """Switch dropout off."""
        ...
