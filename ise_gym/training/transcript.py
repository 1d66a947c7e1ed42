"""A conversation as token ids, as a trainer wants it: what was sampled stays as it was, what the env says is rendered.

It becomes one sequence: the prompt (system text, tools, the user's first request), then everything that was sampled
and everything that the env answered, in order, with a mask that is 1 on sampled tokens only. Sampled ids are never
decoded and encoded again; the template is prefix-preserving, so that the sequence is what serving would have seen.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from ise_gym.messages import Message, ToolSchema
from ise_gym.models.local.tokenizer import Tokenizer
from ise_gym.models.parsing import parse_completion
from ise_gym.training.template import render

_END = "<|im_end|>"


@dataclass
class Sequenced:
    """One played episode.

    Attributes:
        prompt: token ids before the first answer.
        completion: token ids of all that followed; ``mask``: 1 where the model produced the token.
        reward: verified share of the sub-goals, 0 to 1.
        ended: False where the episode was stopped for its length.
    """

    prompt: list[int]
    completion: list[int] = field(default_factory=list)
    mask: list[int] = field(default_factory=list)
    reward: float = 0.0
    ended: bool = True

    def __len__(self) -> int:
        return len(self.prompt) + len(self.completion)

    @property
    def ids(self) -> list[int]:
        """All of it: what the model reads before its next answer."""
        return self.prompt + self.completion


class Transcript:
    """One conversation that is being held.

    Args:
        tokenizer: carries the project's template.
        messages: those before the first answer. ``tools``: their schemas.
    """

    def __init__(
        self, tokenizer: Tokenizer, messages: Sequence[Message], tools: Sequence[ToolSchema]
    ) -> None:
        self.tokenizer, self.tools = tokenizer, tools
        self.messages = list(messages)
        self.end_id = int(tokenizer.convert_tokens_to_ids(_END))
        self.finish = ""
        """How the last answer ended: ``stop``, or ``length`` where it was cut."""
        self.sequence = Sequenced(self._ids(self._text(asking=True)))

    def sampled(self, answer: list[int]) -> Message:
        """Note an answer's tokens, that of its end included; return it as the env's action."""
        cut = answer[-1:] != [self.end_id]
        self.finish = "length" if cut else "stop"
        self.sequence.completion += answer
        self.sequence.mask += [1] * len(answer)
        if cut:  # the end is not the model's own, and not learned
            self.sequence.completion.append(self.end_id)
            self.sequence.mask.append(0)
        self.messages.append(parse_completion(self.tokenizer.decode(answer if cut else answer[:-1])))
        return self.messages[-1]

    def heard(self, observation: Sequence[Message], longest: int) -> bool:
        """Note what the env answered; False, and nothing noted, where no room is left for an answer to it."""
        told = self._text(asking=False)
        whole = self._text(asking=True, more=observation)
        ids = self._ids(whole[told.rindex(_END) + len(_END) :])
        if len(self.sequence) + len(ids) >= longest:  # never answered, so no part of what is learned from
            self.sequence.ended = False
            return False
        self.messages += observation
        self.sequence.completion += ids
        self.sequence.mask += [0] * len(ids)
        return True

    def _text(self, *, asking: bool, more: Sequence[Message] = ()) -> str:
        template = self.tokenizer.chat_template
        return render(template, [*self.messages, *more], self.tools, add_generation_prompt=asking)[0]

    def _ids(self, text: str) -> list[int]:
        return list(self.tokenizer(text, add_special_tokens=False, verbose=False)["input_ids"])
