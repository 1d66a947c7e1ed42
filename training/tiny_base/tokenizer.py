"""The base model's tokenizer: byte-level BPE with Qwen3's control tokens, small enough to learn in minutes.

Three choices matter to a model of this size:

- Letters, digits, spaces and punctuation never share a token, so a name is the same tokens after a space, after
  a slash and inside JSON, and can be copied token by token.
- Fixed phrases of the system prompt and the tool schemas, and JSON's glue in a call, are tokens of their own: the
  prompt that every episode starts with costs tens of tokens instead of a thousand.
- Anything that is none of this falls back to bytes: every UTF-8 text has a tokenisation and survives it.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from typing import Any

from ise_gym.training.template import CONTROL_TOKENS, MARKUP_TOKENS, project_template

_OTHER_CONTROL = (
    "<|object_ref_start|>", "<|object_ref_end|>", "<|box_start|>", "<|box_end|>", "<|quad_start|>", "<|quad_end|>",
    "<|vision_start|>", "<|vision_end|>", "<|vision_pad|>", "<|image_pad|>", "<|video_pad|>",
)  # fmt: skip
_OTHER_MARKUP = (
    "<|fim_prefix|>", "<|fim_middle|>", "<|fim_suffix|>", "<|fim_pad|>", "<|repo_name|>", "<|file_sep|>",
)  # fmt: skip
_CALL_GLUE = (
    '\n{"name": "',
    '", "arguments": {"',
    '": "',
    '", "',
    '"}}\n',
    "(no output)",
    "assistant\n",
    "user\n",
)
_SPLIT = r"\p{L}+|\p{N}|\n|[^\S\n]+|[^\s\p{L}\p{N}]"
_CUT = re.compile(r'(?<="name": ")|(?=", "description")|(?<=\}, )|(?<=[.;] )')
"""Where fixed lines are cut: around tool names, after each property of a schema, after each sentence."""


def phrases_of(fixed_text: str, shortest: int = 6) -> list[str]:
    """Cut fixed text (system prompt and schemas) into the phrases that become tokens.

    A property or sentence is one phrase, so that a change of one leaves the others as they are.

    >>> phrases_of('{"name": "read", "description": "Read it. Or not."}')
    ['", "description": "Read it. ', '{"name": "', 'Or not."}']
    """
    pieces = {piece for line in fixed_text.split("\n") for piece in _CUT.split(line)}
    kept = {p for p in pieces if len(p) >= shortest and not p.isalpha() and "<" not in p}
    return sorted(kept, key=lambda p: (-len(p), p))


def build_tokenizer(texts: Iterable[str], fixed_text: str, vocabulary: int) -> Any:
    """Train the tokenizer; it carries the project's chat template.

    Args:
        texts: what BPE merges are learned from.
        fixed_text: the prompt that all episodes share; its phrases become tokens.
        vocabulary: size without control tokens and phrases.
    """
    from tokenizers import AddedToken, Regex, Tokenizer, decoders, models, pre_tokenizers, trainers
    from transformers import PreTrainedTokenizerFast

    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [
            pre_tokenizers.Split(Regex(_SPLIT), behavior="isolated"),
            pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False),
        ]
    )
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=vocabulary, initial_alphabet=pre_tokenizers.ByteLevel.alphabet(), show_progress=False
    )
    tokenizer.train_from_iterator(texts, trainer)
    tokenizer.add_special_tokens(
        [AddedToken(t, special=True, normalized=False) for t in (*CONTROL_TOKENS, *_OTHER_CONTROL)]
    )
    plain = [*MARKUP_TOKENS, *_OTHER_MARKUP, *_CALL_GLUE, *phrases_of(fixed_text)]
    tokenizer.add_tokens([AddedToken(t, special=False, normalized=False) for t in plain])
    wrapped = PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        eos_token="<|im_end|>",
        pad_token="<|endoftext|>",
        clean_up_tokenization_spaces=False,
        model_max_length=4096,
    )
    wrapped.chat_template = project_template(tool_prompt="short")
    return wrapped


def copyable_pieces(tokenizer: Any) -> Sequence[str]:
    """Return the lower-case letter runs that are one token: what the corpus glues its names from."""
    return sorted(
        token for token in tokenizer.get_vocab() if token.isascii() and token.isalpha() and token.islower()
    )
