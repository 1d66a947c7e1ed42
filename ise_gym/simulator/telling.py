"""Has a wish been made? Only when its facts stand in the user's words.

An agent that is judged on a wish which it never heard is judged wrongly, and whoever keeps the books of a simulated
user can be mistaken about what it said. So the words decide: a wish is *begun* once at least half of its facts, or its
own wording, are in them, and *told* once all are. A user may begin with less and add the rest when asked.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from functools import lru_cache

from ise_gym.simulator.knowledge import Wish

_WORD = re.compile(r"\w{3,}")
_HAN = re.compile("[\u4e00-\u9fff\u3040-\u30ff\uac00-\ud7af]")
_ENOUGH = 0.4
"""Share of a wish's words that make it when it has no facts."""


_SOME = 0.2
"""Share of a wish's words beside its facts that must be among those that begin it."""


def told(wish: Wish, said: Iterable[str]) -> bool:
    """Whether all of a wish has been said.

    >>> wish = Wish("w", "Could you copy a.txt to old/b.txt?", ("a.txt", "old/b.txt"))
    >>> told(wish, ["please copy a.txt"]), told(wish, ["please copy a.txt", "to old/b.txt"])
    (False, True)
    """
    return not untold(wish, said)


def begun(wish: Wish, said: Iterable[str]) -> bool:
    """Whether enough of a wish has been said to know that it is meant: half of its facts, and some of its words.

    A path alone says what a wish is about, not what is to be done there.
    """
    texts = list(said)
    facts = facts_of(wish)
    missing = untold(wish, texts)
    if len(missing) * 2 > max(1, len(facts)):
        return False
    return (
        not facts
        or not _bare(wish)
        or bool(missing == () and _worded(wish, texts))
        or _share(wish, texts) >= _SOME
    )


def untold(wish: Wish, said: Iterable[str]) -> tuple[str, ...]:
    """Return the facts of a wish that nobody has said; its first words where it has no facts and was not made."""
    texts = [_plain(text) for text in said]
    wording = _plain(wish.text)[1:].rstrip(".!?。！？ ")
    if any(wording in text for text in texts):
        return ()
    facts = facts_of(wish)
    if facts:
        return tuple(fact for fact in facts if not any(_stands_in(fact, text) for text in texts))
    own = _content(wish.text)
    heard = set().union(*(_content(text) for text in texts)) if texts else set()
    return () if len(own & heard) >= max(1, len(own) * _ENOUGH) else (wish.text[:60],)


@lru_cache(maxsize=512)
def facts_of(wish: Wish) -> tuple[str, ...]:
    """Return the facts that stand in the wish's own words, without those that are part of a longer one."""
    text = _plain(wish.text)
    present = [fact for fact in dict.fromkeys(wish.facts) if fact and _plain(fact) in text]
    return tuple(fact for fact in present if not any(fact != other and fact in other for other in present))


def _worded(wish: Wish, texts: list[str]) -> bool:
    wording = _plain(wish.text)[1:].rstrip(".!?。！？ ")
    return any(wording in _plain(text) for text in texts)


@lru_cache(maxsize=512)
def _bare(wish: Wish) -> frozenset[str]:
    """Return the words of a wish that are no part of its facts."""
    text = _plain(wish.text)
    for fact in sorted(facts_of(wish), key=len, reverse=True):
        text = text.replace(_plain(fact), " ")
    return frozenset(_content(text))


def _share(wish: Wish, texts: list[str]) -> float:
    own = _bare(wish)
    heard = set().union(*(_content(text) for text in texts)) if texts else set()
    return len(own & heard) / len(own) if own else 1.0


def _stands_in(fact: str, text: str) -> bool:
    plain = _plain(fact)
    name = plain.rstrip("/").rpartition("/")[2]
    # people shorten a path to its last part, once they speak of the same thing
    return plain in text or (len(name) > 3 and name in text)


def _plain(text: str) -> str:
    return " ".join(text.lower().replace("’", "'").split())


def _content(text: str) -> set[str]:
    return set(_WORD.findall(text.lower())) | set(_HAN.findall(text))
