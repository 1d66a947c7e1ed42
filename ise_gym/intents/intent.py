"""An intent: somebody wants certain things done, in words; what is known before anything is made executable."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from ise_gym.foreign.values import Json
from ise_gym.intents.blueprint import Blueprint
from ise_gym.tasks.instance import DraftedTask

_PATH = re.compile(r"(?<![\w.\-])[\w.\-]+(?:/[\w.\-]+)+/?")
_LONGEST_LIST = 20


@dataclass(frozen=True)
class Intent:
    """An intent before it is made executable.

    Attributes:
        id: as its scenario's.
        blueprint: who, where, what, how complex.
        drafts: the drafted tasks, without files, checks and plans.
        utterances: what the user says, one text per request, in order of the tasks.
        text: the whole intent in natural language, with every request.
        brief: who wants what, in a few sentences without details: what is known before the conversation.
    """

    id: str
    blueprint: Blueprint
    drafts: tuple[DraftedTask, ...]
    utterances: tuple[str, ...]
    text: str
    brief: str = ""

    def facts(self) -> list[tuple[str, ...]]:
        """Return for each utterance what of it the user may say again."""
        owners = [drafted for drafted in self.drafts for _ in drafted.requests]
        return [facts_of(owner, text) for owner, text in zip(owners, self.utterances, strict=True)]

    def fingerprints(self) -> dict[str, str]:
        """Return label → fingerprint of the drafted tasks."""
        return {drafted.label: drafted.fingerprint for drafted in self.drafts}

    def chained(self) -> dict[str, dict[str, str]]:
        """Return label → input → path of all that earlier tasks provide."""
        return {
            drafted.label: {name: product.path for name, product in drafted.chained.items()}
            for drafted in self.drafts
            if drafted.chained
        }


def facts_of(drafted: DraftedTask, text: str) -> tuple[str, ...]:
    """Return what of an utterance a user may say again: its paths, and drawn words and figures it contains."""
    found = dict.fromkeys(match.rstrip("./") for match in _PATH.findall(text))
    for value in _scalars({k: v for k, v in drafted.parameters.items() if k != "root"}):
        # most drawn values are not said: a pattern is made only for those that are
        if len(value) > 1 and value in text and re.search(rf"(?<!\w){re.escape(value)}(?!\w)", text):
            found.setdefault(value)
    return tuple(found)


def _scalars(value: Json) -> Iterator[str]:
    if isinstance(value, Mapping):
        for item in value.values():
            yield from _scalars(item)
    elif isinstance(value, list):
        if len(value) <= _LONGEST_LIST:
            for item in value:
                yield from _scalars(item)
    elif isinstance(value, (str, int, float)) and not isinstance(value, bool):
        yield str(value)
