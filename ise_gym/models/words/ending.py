"""Why an answer ended: what servers call it, and what that means.

Source: the finish reasons of OpenAI, Azure, Anthropic, Gemini, Mistral, Cohere, DeepSeek, Zhipu and Bedrock, and of
vLLM, SGLang, TGI and llama.cpp, as their documentation and source text have them.
"""

from __future__ import annotations

import re
from typing import Literal

Ended = Literal["", "stop", "cut", "filtered", "broken"]

_STOPPED = re.compile(
    "stop|stop_(?:sequence|token)|end_turn|eos|eos_(?:token|found)|completed?|finished|tool_calls?|tool_use|function_call"
)
_MEANING: tuple[tuple[Ended, str], ...] = (
    (
        "filtered",
        "filter|safety|recitation|block|prohibit|spii|refus|sensitive|guardrail|toxic|moderat|language",
    ),
    (
        "broken",
        "error(?!_limit)|abort|cancel|malform|unexpected|insufficient|timeout|fail|repetition|other|too_many",
    ),
    ("cut", "length|max|limit|window|incomplete|pause|preempt"),
)
"""Parts of the words that mean anything but a good end, asked in this order."""


def ended_as(finish: str) -> Ended:
    """Return what a finish reason means; a word that nobody knows is taken for a good end, "" for none.

    >>> [ended_as(word) for word in ("stop", "MAX_TOKENS", "FINISH_REASON_SAFETY", "malformed_function_call")]
    ['stop', 'cut', 'filtered', 'broken']
    """
    word = finish.lower().rpartition(".")[2].removeprefix("finish_reason_").replace("-", "_")
    if not word or _STOPPED.fullmatch(word):
        return "stop" if word else ""
    return next((meaning for meaning, parts in _MEANING if re.search(parts, word)), "stop")
