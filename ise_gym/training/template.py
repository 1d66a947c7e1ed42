"""The chat template, and the one place where a conversation becomes token ids with a loss mask.

Trainers that carry their own template train on one text and serve another. Here the same Jinja source renders
both: `encode` is used for training rows, and the tokenizer that is saved carries the source it was given, so
that every server renders what the model was trained on.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, Protocol, get_args

from ise_gym.errors import UserError
from ise_gym.messages import sha256_of
from ise_gym.models.local.tokenizer import Tokenizer
from ise_gym.resources import data_dir

Thinking = Literal["keep", "last-turn", "strip"]
ToolPrompt = Literal["stock", "short"]
TEMPLATE_FILE = data_dir("training") / "templates" / "qwen3_ise.jinja"
CONTROL_TOKENS = ("<|endoftext|>", "<|im_start|>", "<|im_end|>")
MARKUP_TOKENS = ("<tool_call>", "</tool_call>", "<tool_response>", "</tool_response>", "<think>", "</think>")
_DEFAULT_LINE = re.compile(r"\{%- set default_thinking = '[a-z-]+' %\}")
_TOOL_LINE = re.compile(r"\{%- set tool_prompt = '([a-z]+)' %\}")


@dataclass(frozen=True)
class Encoded:
    """A rendered conversation.

    Attributes:
        text: what the template rendered.
        input_ids: its token ids.
        spans: for every assistant message, in order, the half-open range of token positions that the model must
            produce (its end token included).
    """

    text: str
    input_ids: list[int]
    spans: list[tuple[int, int]]


def project_template(thinking: Thinking = "keep", tool_prompt: ToolPrompt = "stock") -> str:
    """Return the template's source with both choices as its built-in defaults.

    The options are baked in rather than passed at serving time, so that the hash of the text says all.
    """
    if thinking not in get_args(Thinking):
        raise UserError(f"thinking must be one of {', '.join(get_args(Thinking))}, not {thinking!r}")
    if tool_prompt not in get_args(ToolPrompt):
        raise UserError(f"tool_prompt must be one of {', '.join(get_args(ToolPrompt))}, not {tool_prompt!r}")
    source = TEMPLATE_FILE.read_text(encoding="utf-8")
    for line, baked in (
        (_DEFAULT_LINE, f"{{%- set default_thinking = '{thinking}' %}}"),
        (_TOOL_LINE, f"{{%- set tool_prompt = '{tool_prompt}' %}}"),
    ):
        source, count = line.subn(baked, source)
        if count != 1:
            raise RuntimeError(f"{TEMPLATE_FILE.name} must hold {baked!r} exactly once, found {count}")
    return source


class Templated(Protocol):
    """Whatever carries a chat template."""

    chat_template: str


def template_for(
    tokenizer: Templated, thinking: Thinking = "keep", tool_prompt: ToolPrompt | None = None
) -> str:
    """Return the template to train a model with: tools are introduced as its base knows it, unless told otherwise.

    Args:
        tokenizer: of the base; one that this project's template came with says how its tools were introduced.
        thinking, tool_prompt: of `project_template`; without the latter, ``stock`` for every other base.
    """
    if tool_prompt is None:
        found = _TOOL_LINE.search(tokenizer.chat_template or "")
        tool_prompt = "short" if found and found[1] == "short" else "stock"
    return project_template(thinking, tool_prompt)


def template_hash(source: str) -> str:
    """Return the SHA-256 that run cards, trajectories and the parity gate compare."""
    return sha256_of(source)


def render(
    template: str,
    messages: Sequence[Mapping[str, object]],
    tools: Sequence[Mapping[str, object]] = (),
    *,
    add_generation_prompt: bool = False,
    **options: object,
) -> tuple[str, list[tuple[int, int]]]:
    """Render a conversation; also return the character ranges that `generation` marks, one an assistant message."""
    from transformers.utils.chat_template_utils import render_jinja_template

    texts, ranges = render_jinja_template(
        conversations=[list(messages)],
        tools=list(tools) or None,
        chat_template=template,
        return_assistant_tokens_mask=True,
        add_generation_prompt=add_generation_prompt,
        **options,
    )
    return texts[0], [(int(start), int(end)) for start, end in ranges[0]]


def encode(
    tokenizer: Tokenizer,
    messages: Sequence[Mapping[str, object]],
    tools: Sequence[Mapping[str, object]] = (),
    *,
    template: str | None = None,
    **options: Any,
) -> Encoded:
    """Render with the tokenizer's (or the given) template and tokenise, keeping track of what the model must produce.

    Raises:
        ValueError: a token straddles the border between prompt and answer. The model would then be asked for a
            token that serving can never offer it. (Cannot happen with Qwen's splitting rules; checked because a
            foreign tokenizer may have others.)
    """
    text, ranges = render(template or tokenizer.chat_template, messages, tools, **options)
    encoding = tokenizer(text, add_special_tokens=False, return_offsets_mapping=True, verbose=False)
    offsets: list[tuple[int, int]] = encoding["offset_mapping"]
    spans = []
    position = 0
    for start, end in ranges:
        while position < len(offsets) and offsets[position][1] <= start:
            position += 1
        first = position
        while position < len(offsets) and offsets[position][1] <= end:
            position += 1
        straddles = position < len(offsets) and offsets[position][0] < end
        if first == position or offsets[first][0] < start or straddles:
            raise ValueError(f"a token straddles the border of the answer at characters {start}-{end}")
        spans.append((first, position))
    return Encoded(text=text, input_ids=list(encoding["input_ids"]), spans=spans)
