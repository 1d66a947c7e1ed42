"""Does the conversation go on as one does between people: one thing at a time, no echo, no leaving too early?"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable
from functools import lru_cache

from ise_gym.simulator.detectors.base import Turn, watches, words_of
from ise_gym.simulator.knowledge import UserKnowledge

DUMP = 2
"""New wishes in one turn that are too many."""

_COMMON_TEXT = """
a an the and or of to in into on at by for with from as is are be it its this that these those there
then also now next please could would can you i me my we our us your have has do does not no just each
every all one only same so if le la les de des du un une et en el los las y der die das und ein eine den
dem il per con che o os
"""
_COMMON = frozenset(_COMMON_TEXT.split())


@lru_cache(maxsize=64)
def _marks(known: UserKnowledge) -> tuple[frozenset[str], ...]:
    """For each wish: the words that belong to it and to no other wish."""
    bags = [
        frozenset(w for w in words_of(wish.text) if w not in _COMMON and len(w) > 1) for wish in known.wishes
    ]
    counts = Counter(word for bag in bags for word in bag)
    return tuple(frozenset(word for word in bag if counts[word] == 1) for bag in bags)


def wishes_in(text: str, known: UserKnowledge) -> frozenset[int]:
    """Return which wishes a text makes, in its own words or in others.

    A wish is made when the text holds its wording, or most of the words that no other wish has, among them one that is
    no plain word (a path, name or figure) where it has any.
    """
    said = set(words_of(text))
    low = " ".join(text.lower().split())
    found: set[int] = set()
    for i, (wish, marks) in enumerate(zip(known.wishes, _marks(known), strict=True)):
        wording = " ".join(wish.text.lower().split())
        if len(wording) > 8 and wording[1:].rstrip(".!?") in low:
            found.add(i)
            continue
        if not marks:
            continue
        hard = {m for m in marks if re.search(r"[\d/._-]", m)}
        soft = marks - hard
        shared_hard, shared_soft = len(hard & said), len(_related(soft, said))
        if hard:
            worded = not soft or shared_soft >= max(1, len(soft) * 0.2)
            if shared_hard == len(hard) >= 2 or (shared_hard >= max(1, (len(hard) + 1) // 2) and worded):
                found.add(i)
        elif shared_soft >= max(2, len(soft) * 0.5):
            found.add(i)
    return frozenset(found)


def _related(words: Iterable[str], said: set[str]) -> set[str]:
    """Return the words that are said, if in another form ("merge", "merged", "merging")."""
    stems = {w[:5] for w in said if len(w) >= 5}
    return {w for w in words if w in said or (len(w) >= 5 and w[:5] in stems)}


@watches("incremental_advancement", "it asks for several things at once")
def task_dump(turn: Turn) -> str:
    """Makes two or more new wishes in one turn, or most of a long intent at once."""
    if turn.known.mode == "open":
        return _most_of(turn.known.intent, turn.text)
    if len(turn.known.wishes) < 2:
        return ""
    now = wishes_in(turn.text, turn.known)
    if len(now) < DUMP:
        return ""
    before: set[int] = set()
    for text in turn.own:
        before |= wishes_in(text, turn.known)
    if turn.view is not None and turn.view.request:
        before |= set(range(turn.known.index(turn.view.request) + 1))
    new = sorted(now - before)
    return ", ".join(turn.known.wishes[i].name for i in new) if len(new) >= DUMP else ""


LONG_INTENT = 30
DUMPED = 0.7


def _most_of(intent: str, text: str) -> str:
    """Return how much of a long intent a turn says, when that is most of it."""
    own, said = set(words_of(intent)) - _COMMON, set(words_of(text))
    if len(own) < LONG_INTENT or len(own & said) < DUMPED * len(own):
        return ""
    return f"{len(own & said)} of the intent's {len(own)} words"


@watches("responsive_conditioning", "you have said that before, word for word")
def repeats_itself(turn: Turn) -> str:
    """Says again what it said before, or nearly; asking again with a new opening is no repetition.

    "Like I said: merge the files" repeats the ask behind its colon on purpose. The same line twice is an echo.
    """
    said = words_of(turn.text)
    if len(said) < 4 or _makes_a_wish(turn):
        return ""
    for earlier in turn.own:
        before = words_of(earlier)
        if len(before) < 4:
            continue
        if said == before:
            return turn.text.strip()[:80]
        fresh = sum((Counter(said) - Counter(before)).values())
        missing = sum((Counter(before) - Counter(said)).values())
        head, colon, tail = turn.text.partition(":")
        if colon and tail.strip() and (_ends_with(earlier, tail) or _same(words_of(tail), before)):
            old_head = earlier[: len(earlier) - len(tail)] if _ends_with(earlier, tail) else ""
            if words_of(head) != words_of(old_head):
                continue
        if fresh <= max(1, len(said) // 10) and missing <= max(1, len(before) // 5):
            return turn.text.strip()[:80]
        if (
            fresh == 0
            and len(said) >= 8
            and missing <= len(before) // 2
            and " ".join(said) in " ".join(before)
        ):
            return turn.text.strip()[:80]
    return ""


def _makes_a_wish(turn: Turn) -> bool:
    """Whether the turn makes a new wish in that wish's own words, whoever said them before."""
    view, at = turn.view, turn.known.index(turn.said.request)
    if view is None or at < 0 or turn.said.request == view.request:
        return False
    wording = " ".join(turn.known.wishes[at].text.lower().split())[1:].rstrip(".!? ")
    return wording in " ".join(turn.text.lower().split())


def _same(a: list[str], b: list[str]) -> bool:
    return bool(a) and (a == b or a[1:] == b[1:])


def _ends_with(text: str, tail: str) -> bool:
    return " ".join(words_of(text)).endswith(" ".join(words_of(tail)))


_LEAVES = re.compile(
    r"\b(?:good ?bye|bye(?: for now|-bye| then)?|see you(?: later| next time| around)?|have a (?:great"
    r"|good|nice|lovely) (?:day|one|weekend|evening)|"
    r"that(?:'s| is| was| will be|'ll be)? (?:all|everything)(?: (?:i|we) need(?:ed)?| for (?:now|today"
    r"|me)| from (?:me|my side|us))?(?=\s*[.,!;–-]|\s*$|\s+thank|\s+for|\s+i|\s+we|\s+from)|"
    r"nothing (?:else|more|further)(?: from (?:me|my side|us)| is (?:needed|required)| for (?:now|today"
    r"|me))?(?=\s*[.,!;–-]|\s*$|\s+from|\s+for|\s+is)|no (?:further|more|other) (?:requests|questions"
    r"|tasks|wishes|needs|work)|"
    r"we(?:'re| are) (?:all )?(?:done|good|finished|set)(?: here| for (?:now|today))?(?=\s*[.,!;–-]|\s*$"
    r"|\s+here|\s+for|\s+then)|i(?:'m| am) (?:all )?(?:done|set|finished|signing off|happy to close"
    r"|all good)|"
    r"(?:consider|we can (?:close|call)|let's (?:close|call|wrap)|i(?:'ll| will| can|'ve"
    r"| have) (?:now )?(?:close|closed)) (?:this|it|the (?:matter|ticket|task|case|session))?"
    r"|case closed|that (?:wraps|concludes|completes|settles|finishes)|"
    r"talk (?:to you )?(?:soon|later|tomorrow)|catch you later|signing off|until next time"
    r"|take care(?=\s*[.!,]|\s*$)|tschüss?|auf wiedersehen|das war(?:'s| es| alles)"
    r"|das wäre (?:dann )?alles|mehr brauche ich nicht|au revoir|c'est tout|bonne journée|adiós"
    r"|hasta luego|eso es todo|nada más|arrivederci|è tutto|buona giornata)",
    re.IGNORECASE,
)
_ACCEPTS = re.compile(
    r"\b(?:perfect|excellent|wonderful|brilliant|fantastic|awesome|great (?:job|work)|nice work|good job"
    r"|well done|exactly what i (?:needed|wanted|asked for)|just what i (?:needed|wanted)|"
    r"(?:that|this|it|everything|all)(?: all)? (?:looks|seems|is|sounds|works) (?:\w+ )?(?:good|great"
    r"|perfect|right|correct|fine|in order|as (?:requested|expected|i wanted)|exactly (?:right|as)"
    r"|satisfactory|as it should be|complete)|looks (?:good|great|right|perfect) to me|"
    r"(?:that|this)(?:'s| is) (?:it|right|correct|perfect|great|what i (?:wanted|needed|asked))"
    r"|works for me|spot on|that'll do|that will do|i(?:'m| am) (?:happy|satisfied|pleased) with"
    r"|(?:confirmed|accepted|approved)[.,! ]|this (?:meets|fulfils|fulfills)|job done|"
    r"perfekt|wunderbar|sehr gut, danke|passt(?: so)?[.,!]|parfait|c'est (?:parfait|très bien|bon)"
    r"|perfecto|excelente|muy bien, gracias|perfetto|ottimo)",
    re.IGNORECASE,
)
_OBJECTS = re.compile(
    r"\b(?:not|n't|no|nope|but|however|still|missing|yet|wrong|again|where|can't|cannot|nothing (?:there"
    r"|in|at)|without|incomplete|almost|nearly|except|only|apart from|though|although|lacks?|lacking"
    r"|failed|fails|error|check|double-check|sure|fix|redo|retry|"
    r"open point|outstanding|contradicts|disagree|empty|instead|once|if|when|after|before|until|unless"
    r"|nicht|kein|fehlt|aber|noch|pas|manque|mais|encore|no está|falta|pero|todavía|aún|manca|ma|non)\b|\?",
    re.IGNORECASE,
)


@watches("responsive_conditioning", "it is content, or leaves, while something is still missing")
def premature_end(turn: Turn) -> str:
    """Leaves, accepts or moves on while something the user asked for does not hold, or leaves with wishes unmade."""
    view = turn.view
    if view is None:
        return "leaves at once" if turn.said.done else ""
    unmade = 0 if turn.known.mode == "open" else view.remaining
    if turn.said.done and (turn.failing or unmade):
        return turn.failing[0] if turn.failing else f"{view.remaining} wishes not made"
    if turn.said.done or turn.said.gave_up:
        return ""
    if turn.failing and view.request and turn.said.request not in ("", view.request):
        return f"moves on to {turn.said.request} while this fails: {turn.failing[0]}"
    if not turn.failing and not view.remaining:
        return ""
    new = wishes_in(turn.text, turn.known) - {turn.known.index(view.request)} if view.request else frozenset()
    asked = bool(turn.heard) and turn.heard[-1].rstrip().endswith("?")
    goes_on = turn.said.request not in ("", view.request)
    leaving = None if asked or goes_on else _LEAVES.search(turn.bare)  # "nothing else" may be an answer
    if leaving and not new and not _OBJECTS.search(turn.bare[: leaving.start()] + turn.bare[leaving.end() :]):
        return leaving.group(0)
    if turn.failing and (accepted := _ACCEPTS.search(turn.bare)) and not _OBJECTS.search(turn.bare):
        return accepted.group(0)
    return _content(turn) if turn.failing else ""


_CONTENT = re.compile(
    r"(?:^|[.!,]\s{1,3})(?:that's |this is |it's |looks |very |really |all |ok,? |oh,? )?(?:thanks?"
    r"|thank you(?! for point)|thx|ta|cheers"
    r"|great|good|nice|perfect|wonderful|excellent|awesome|cool|lovely|brilliant)\b"
    r"|谢谢|多谢|谢啦|太好了|很好|完美|不错|辛苦|妥了|可以了|没问题|挺好",
    re.IGNORECASE,
)
_WANTS = re.compile(
    r"\b(?:could|can|would|will) you\b|\bplease\b|\bpls\b|[?？没不还缺错但请改再]|\bneed\b|\bwant\b|\bhas to\b"
    r"|\bmust\b",
    re.IGNORECASE,
)


def _content(turn: Turn) -> str:
    """Return the thanks or praise of a turn that has nothing else to say about what is not fulfilled."""
    found = _CONTENT.search(turn.bare)
    if (
        not found
        or _OBJECTS.search(turn.bare)
        or _WANTS.search(turn.bare.replace("不错", "").replace("没问题", ""))
    ):
        return ""
    asked = bool(turn.heard) and "?" in turn.heard[-1][-160:]
    return "" if asked and len(words_of(turn.bare)) > 2 else found.group(0)
