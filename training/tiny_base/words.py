"""Names, figures and small talk for the base model's corpus.

Names are glued together from pieces of the tokenizer's own vocabulary, so that every piece is seen being
copied from a request into a call. A base that has only met a list of nice words copies nothing else.
"""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass

_EXTENSIONS = ("txt", "csv", "md", "log", "json", "sh", "py", "conf", "yaml", "dat", "xml", "ini", "tsv")
_GREETINGS = (
    "hi", "hey", "hello", "good morning", "hi there", "ok", "so", "alright", "right", "quick one", "hello again",
    "good afternoon", "morning", "hey there", "dear assistant", "one thing", "well",
)  # fmt: skip
_TAILS = (
    "thanks", "thank you", "cheers", "many thanks", "no rush", "when you have a minute", "it is for the team",
    "I need it today", "as discussed", "if that is fine", "just that", "that is all for now", "much appreciated",
    "we are short of time", "it helps me a lot", "the client is waiting", "thanks in advance", "ta", "thx",
)  # fmt: skip
_ASIDES = (
    "I am preparing the {w} review", "this is about {w}", "my colleague {W} asked for it", "we are in the {w} phase",
    "I work on {w} and {v}", "as the {w} lead I have to check this", "it belongs to {w}", "for context, {w} is late",
    "I never did this before", "the usual thing", "you know the {w} folder", "part of the {w} {v} work",
)  # fmt: skip
_CLOSERS = (
    "great, thanks",
    "perfect",
    "that works",
    "good, that is all",
    "thank you",
    "nice",
    "lovely",
    "that's it, thanks",
)


@dataclass
class Words:
    """Draws names; ``pieces`` are the lower-case letter runs that the tokenizer knows as one token."""

    rng: random.Random
    pieces: Sequence[str]

    def word(self) -> str:
        """A made-up word of one to three pieces; most are one, as most words of the catalog are."""
        count = self.rng.choices((1, 2, 3), (14, 4, 1))[0]
        made = "".join(self.rng.choice(self.pieces) for _ in range(count))
        shape = self.rng.random()
        return made.upper() if shape < 0.04 else made.capitalize() if shape < 0.07 else made

    def words(self, low: int, high: int) -> list[str]:
        """Several different words."""
        found: dict[str, None] = {}
        target = self.rng.randint(low, high)
        while len(found) < target:
            found[self.word()] = None
        return list(found)

    def number(self) -> str:
        """A figure of one to four digits."""
        return str(self.rng.randint(1, 10 ** self.rng.randint(1, 4)))

    def folder(self) -> str:
        """A folder of one or two words, with a joint, sometimes with a figure."""
        shape = self.rng.random()
        if shape < 0.5:
            return f"{self.word()}-{self.word()}"
        if shape < 0.75:
            return self.word()
        if shape < 0.9:
            return f"{self.word()}_{self.word()}"
        return f"{self.word()}{self.number()}"

    def stem(self) -> str:
        """A file name without its ending."""
        shape = self.rng.random()
        if shape < 0.7:
            return self.word()
        if shape < 0.85:
            return f"{self.word()}{self.number()}"
        return f"{self.word()}{self.rng.choice('-_')}{self.word()}"

    def paths(self, count: int) -> list[str]:
        """Different paths; mostly in one folder, as the files of one job are."""
        root = self.folder()
        extension = self.rng.choice(_EXTENSIONS)
        found: dict[str, None] = {}
        while len(found) < count:
            place = root if self.rng.random() < 0.85 else self.folder()
            if self.rng.random() < 0.2:
                place = f"{place}/{self.word()}"
            if self.rng.random() < 0.4:
                extension = self.rng.choice(_EXTENSIONS)
            name = self.stem() if self.rng.random() < 0.12 else f"{self.stem()}.{extension}"
            found[f"{place}/{name}" if self.rng.random() < 0.93 else name] = None
        return list(found)

    def dressed(self, request: str) -> str:
        """Put small talk around a request, as people of different temper do."""
        rng = self.rng
        text = request if rng.random() < 0.6 else request[:1].upper() + request[1:]
        if rng.random() < 0.35:
            text = (
                f"{rng.choice(('please', 'could you please', 'I would like you to', 'kindly', 'pls'))} {text}"
            )
        if rng.random() < 0.35:
            greeting = rng.choice(_GREETINGS)
            greeting = greeting if rng.random() < 0.5 else greeting.capitalize()
            text = greeting + rng.choice((", ", " - ", ". ", " ")) + text
        if rng.random() < 0.3:
            aside = rng.choice(_ASIDES).format(w=self.word(), v=self.word(), W=self.word().capitalize())
            text = f"{text}. {aside}" if rng.random() < 0.5 else f"{aside}. {text}"
        text += rng.choice(("", "", ".", ".", "?", "!"))
        if rng.random() < 0.1:
            return f"{text}{rng.choice((chr(10), ' – ', ' '))}{self.word().capitalize()}"
        if rng.random() < 0.35:
            tail = rng.choice(_TAILS)
            tail = tail if rng.random() < 0.5 else tail.capitalize()
            text = text.rstrip(".") + rng.choice((", ", ". ", " ")) + tail
        return text

    def closer(self) -> str:
        """What a satisfied user says last."""
        return self.rng.choice(_CLOSERS)
