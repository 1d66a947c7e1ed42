"""Token ids from a causal language model, many prompts at once: what playing and reinforcement learning share.

The start that all prompts of a batch have in common (system text and tool schemas) is run once and its key-value
cache handed to every row, because in short episodes it is most of what is read.
"""

from __future__ import annotations

import copy
from collections.abc import Sequence
from typing import Any

from ise_gym.models.local.tokenizer import CausalModel


class BatchGenerator:
    """Samples continuations of prompts from a `transformers` model.

    Args:
        model: a causal language model; its weights may change between calls if `forget` is called then.
        pad_id: fills rows up on the left.
        stop_ids: tokens that end an answer.
        longest: most tokens of an answer.
        context: most tokens of prompt and answer together.
        temperature: 0 is greedy. ``top_p``: nucleus of sampled answers.
    """

    def __init__(
        self,
        model: CausalModel,
        *,
        pad_id: int,
        stop_ids: Sequence[int],
        longest: int,
        context: int,
        temperature: float = 0.0,
        top_p: float = 1.0,
    ) -> None:
        self.model = model
        self.longest = longest
        self.context = context
        self._pad = pad_id
        self._stop = list(stop_ids)
        self._options: dict[str, Any] = {"do_sample": False}
        if temperature > 0:
            self._options = {"do_sample": True, "temperature": temperature, "top_p": top_p, "top_k": 0}
        self._prefix: tuple[list[int], Any] | None = None

    def forget(self) -> None:
        """Drop the cache of the common start: the weights have changed, or memory is wanted."""
        self._prefix = None

    def generate(self, prompts: Sequence[list[int]]) -> list[list[int]]:
        """Answer one batch; every prompt must be shorter than ``context``.

        Returns:
            The new token ids of each row up to its stop token, which is included where one was produced.
        """
        import torch

        shared = shared_prefix(prompts)
        rest = [ids[shared:] for ids in prompts]
        width = max(map(len, rest))
        room = min(self.longest, self.context - shared - width)
        prefix = list(prompts[0][:shared])
        rows = [prefix + [self._pad] * (width - len(ids)) + ids for ids in rest]
        mask = [[1] * shared + [0] * (width - len(ids)) + [1] * len(ids) for ids in rest]
        options = dict(self._options)
        device = self.model.device
        with torch.inference_mode():
            if shared:
                options["past_key_values"] = self._cache_of(prefix, len(rows))
            output = self.model.generate(
                input_ids=torch.tensor(rows, device=device),
                attention_mask=torch.tensor(mask, device=device),
                max_new_tokens=max(1, room),
                eos_token_id=self._stop,
                pad_token_id=self._pad,
                use_cache=True,
                **options,
            )
        answers = []
        for ids in output[:, shared + width :].tolist():
            end = next((i + 1 for i, token in enumerate(ids) if token in self._stop), len(ids))
            answers.append(ids[:end])
        return answers

    def ended(self, answer: Sequence[int]) -> bool:
        """Return whether an answer ended by itself, and not because it was too long."""
        return bool(answer) and answer[-1] in self._stop

    def _cache_of(self, prefix: list[int], rows: int) -> Any:
        """Return a fresh copy of the prefix's cache, repeated for every row of the batch."""
        import torch

        if self._prefix is None or self._prefix[0] != prefix:
            ids = torch.tensor([prefix], device=self.model.device)
            self._prefix = (prefix, self.model(input_ids=ids, use_cache=True).past_key_values)
        cache = copy.deepcopy(self._prefix[1])
        cache.batch_repeat_interleave(rows)
        return cache


def shared_prefix(prompts: Sequence[list[int]]) -> int:
    """Return the length of what all prompts start with, leaving every row at least one token of its own."""
    first, last = min(prompts), max(prompts)
    limit = min(map(len, prompts)) - 1
    length = 0
    while length < limit and first[length] == last[length]:
        length += 1
    return length
