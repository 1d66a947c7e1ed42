"""Does the user say what it wants: whole, in its own turn, and without asking the agent for it?

A turn that is booked for a wish and does not say it leads to an agent that is judged on what it never heard.
"""

from __future__ import annotations

import re

from ise_gym.simulator.detectors.base import Turn, watches
from ise_gym.simulator.knowledge import Wish
from ise_gym.simulator.telling import begun, untold

_HARD = re.compile(r"[\d/@._]|[A-Z]{2}")
_CUT_AFTER = re.compile(
    r"(?:\b(?:the|a|an|of|to|with|and|or|into|my|your|its|their|which|whether|whose|because|so that)"
    r"|[,:(–—\[{\"“‘]|-)\s*$"
    r"|(?:[，、：（“]|[的和把在将与或给从被让])\s*$",
    re.IGNORECASE,
)
_ENDS = re.compile(r"[.!?…。！？~)\]}\"'”’)）】》😀-🙏🚀-🧿✨👍🙂]\s*$")
_SIGN_OFF = re.compile(
    r"(?:thanks?|thank you|cheers|regards|best|ta|thx|merci|danke|谢谢|多谢)\W*[\w ]{0,30}\W*$", re.I
)

_WHO = re.compile(r"\bwho(?:m)?\b|谁|哪位", re.I)
_WHERE = re.compile(
    r"\b(?:where|which (?:file|folder|directory|path|place))\b|哪里|哪个(?:文件|文件夹|目录)|什么(?:路径|位置)",
    re.I,
)
_WHEN = re.compile(
    r"\b(?:when|which (?:day|date|month|week)|what (?:day|date|time))\b|什么时候|几号|哪天|何时", re.I
)
_WHAT = re.compile(
    r"\b(?:what|which) (?:name|title|subject|format|columns?|key|heading|words?|text)\b|什么(?:名字|标题|主题|格式|列)",
    re.I,
)
_COUNT = re.compile(r"\bhow (?:many|much|often|long)\b|多少|几[个份条行次]", re.I)
_MODAL = re.compile(
    r"\b(?:should|shall|must|do (?:i|we|you) (?:want|need|have)|would you|supposed|ought|needs? to"
    r"|is (?:it|this|that|the"
    r" \w+) (?:for|to|called)|to (?:put|send|use|save|write|call))\b|应该|需要|要|希望|想|该",
    re.I,
)
_THEIR_DOING = re.compile(
    r"\b(?:did|have|has|had|are|were|was|will|would|can|could) you\b(?! (?:like|want|need|prefer))"
    r"|\byou(?:'ve|'re| put| left|"
    r" saved| wrote| did| changed| made)\b|[你您](?:刚才|把|放|存|改|写)",
    re.I,
)
_QUESTION = re.compile(r"[^.!?。！？\n]{4,300}[?？]")


@watches("incremental_advancement", "it does not say what you want")
def wish_unsaid(turn: Turn) -> str:
    """Is booked for a wish whose facts its words do not hold, or leaves out at the second try what it never said."""
    said, view = turn.said, turn.view
    if said.done or said.gave_up or turn.known.mode == "open":
        return ""
    if said.meant:
        return _unsaid(turn, said.meant, [*turn.own, said.text])
    before = view.request if view is not None else ""
    if view is not None and not before and view.remaining < len(turn.known.wishes):
        return ""  # where the conversation stands is not known
    if said.request and said.request != before:
        earlier = turn.own if view is not None and not before else ()
        wish = _wish(turn, said.request)
        return (
            _unsaid(turn, said.request, [said.text])
            if wish and not begun(wish, [*earlier, said.text])
            else ""
        )
    current = _wish(turn, said.request) if said.request else None
    if current is None or not turn.failing:
        return ""
    left = [fact for fact in untold(current, [*turn.own, said.text]) if _HARD.search(fact)]
    could = [fact for fact in untold(current, turn.own) if _HARD.search(fact)]
    return f"still unsaid: {left[0]}" if left and left == could else ""


def _wish(turn: Turn, name: str) -> Wish | None:
    index = turn.known.index(name)
    return turn.known.wishes[index] if index >= 0 else None


def _unsaid(turn: Turn, name: str, said: list[str]) -> str:
    wish = _wish(turn, name)
    missing = untold(wish, said) if wish is not None else ()
    return f"unsaid: {missing[0]}" if missing else f"unsaid: {name}"


@watches("incremental_advancement", "it breaks off in mid-sentence")
def cut_short(turn: Turn) -> str:
    """Breaks off: on a word that something must follow, or in the midst of a wish's own wording."""
    text = turn.text.strip()
    if len(text) < 12 or _ENDS.search(text) or _SIGN_OFF.search(text):
        return ""
    if found := _CUT_AFTER.search(text):
        return text[max(0, found.start() - 40) :]
    plain = " ".join(text.lower().split())
    for wish in turn.known.wishes:
        wording = " ".join(wish.text.lower().split())
        tail = plain[-24:]
        at = wording.find(tail) if len(tail) >= 20 else -1
        begins = wording[1:16] in plain
        rest = wording[at + len(tail) :] if at >= 0 and begins else ""
        if rest and len(rest.split()) > 2 and not re.match(r"[\s,]*[.!?;]", rest) and not _clause_ends(rest):
            return text[-60:]
    return ""


def _clause_ends(rest: str) -> bool:
    """Whether what is left out begins a clause of its own, so that stopping before it is no break."""
    return bool(re.match(r"\s*[;–—-]|,?\s*(?:and|but|so|because|thanks|then|cheers|which|as|if)\b", rest))


@watches("perspective_lock", "it asks for something that you know and the other side does not")
def asks_what_it_knows(turn: Turn) -> str:
    """Asks the agent for a person, place, date, name or number that stands in its own wishes."""
    own = "\n".join(wish.text for wish in turn.known.wishes)
    for match in _QUESTION.finditer(turn.bare):
        asked = match.group(0).strip()
        if _THEIR_DOING.search(asked) or not _MODAL.search(asked):
            continue
        if (
            (_WHO.search(asked) and re.search(r"@|\b[A-Z][a-z]+ [A-Z][a-z]+", own))
            or (_WHERE.search(asked) and re.search(r"\w/\w|\w\.\w{2,5}\b", own))
            or (_WHEN.search(asked) and re.search(r"\d{4}-\d\d|\b\d{1,2}[:.]\d\d\b|day\b|月|周", own))
            or (_WHAT.search(asked) and re.search(r"[\"'“‘「]|\w,\w", own))
            or (_COUNT.search(asked) and re.search(r"\d", own))
        ):
            return asked[:80]
    return ""
