"""Does the user say what was written for its eyes only, or speak to itself?

Small models read their briefing aloud. What is recognised is the briefing's own wording, taken from where it stands,
so that a change there changes this detector too.
"""

from __future__ import annotations

import re
from functools import cache, lru_cache

from ise_gym.simulator.detectors.base import Turn, watches, words_of
from ise_gym.simulator.roles import MOVES, PROMPTS

RUN = 5
"""Words in a row that stand in the briefing as they stand in the turn."""

_LABELS = re.compile(
    r"\byour move\b|\bmy move is\b|\b(?:present|next|current|first|second|third|last) wish\b(?! (?:is"
    r"|was|would be) (?:that|to))"
    r"|\bwish(?:es)? (?:number|already made|you have not|\d)|\bwishes are settled\b|\bDOES NOT HOLD\b"
    r"|\bwhat you found when you"
    r"|\bwhat goes through (?:my|your) mind\b|\bmove[\"']?\s*:\s*[\"']?(?:stay|next|leave|give_up)\b"
    r"|^[^\S\n]*(?:stay|next|leave|give_up)[^\S\n]*$|\bgive_up\b|\b(?:i|you) have lost patience and leave\b"
    r"|\bleave without it\b"
    r"|\bthat (?:wish|step) is settled\b|\ba word about it\b|\bwhat you think\b|\bput differently\b|\bwrite one json\b"
    r"|\byou ask for the next\b|\beverything you wanted is there\b|\bno file was created, changed or"
    r" deleted\b|\b\d+ bytes\b.{0,40}\b(?:created|changed)\b"
    r"|\b(?:created|changed), \d+ bytes\b|\bthe chat window is open\b|\bnow type (?:your|my) message\b"
    r"|\btype your message\b"
    r"|你心里想|你的想法|现在打字|聊天窗口|(?:当前|第[一二三]个|下一个|所有)愿望|\bmove\b[^a-z]{0,4}(?:是|为)",
    re.IGNORECASE | re.MULTILINE,
)


@watches("perspective_lock", "it reads your own notes aloud")
def recites_notes(turn: Turn) -> str:
    """Repeats what the briefing says about roles, moves and notes."""
    if found := _LABELS.search(turn.free):
        return found.group(0).strip()
    said = words_of(turn.free)
    runs = _briefing()
    for at in range(len(said) - RUN + 1):
        if tuple(said[at : at + RUN]) in runs:
            return " ".join(said[at : at + RUN])
    return ""


@cache
def _briefing() -> frozenset[tuple[str, ...]]:
    """Return every run of words in the rules and in what the moves mean."""
    found: set[tuple[str, ...]] = set()
    for text in (*PROMPTS.values(), *MOVES.values()):
        words = words_of(text)
        found |= {tuple(words[at : at + RUN]) for at in range(len(words) - RUN + 1)}
    return frozenset(found)


@watches("perspective_lock", "it speaks to you by name, or puts your name in front")
def talks_to_itself(turn: Turn) -> str:
    """Addresses the persona by its own name, or begins with that name as a speaker's."""
    persona = turn.known.persona
    voice = persona.voice
    names = {
        persona.name,
        str(voice.get("given") or ""),
        str(voice.get("family") or ""),
        *persona.name.split(),
    }
    for pattern in _by_name(frozenset(name for name in names if len(name) > 1)):
        if found := pattern.search(turn.free):
            return found.group(0).strip()
    return ""


@lru_cache(maxsize=64)
def _by_name(names: frozenset[str]) -> tuple[re.Pattern[str], ...]:
    """Return what matches a speech to, or of, somebody with one of these names."""
    if not names:
        return ()
    either = "|".join(sorted(map(re.escape, names), key=len, reverse=True))
    last = rf"(?:{either})(?:\s+(?:{either}))?(?!\w)"
    patterns = (
        rf"^\W{{0,3}}(?:hi|hello|hey|dear|good (?:morning|afternoon|evening)|thanks?|thank you|sorry|ok"
        rf"|okay|sure|yes|no|"
        rf"welcome|你好|您好|谢谢|嗨|好的|抱歉|亲爱的)[,，\s]{{0,3}}(?:mr\.? |ms\.? |mrs\.? "
        rf"|dr\.? )?{last}\s*[,.!:，。！：]"
        rf"(?=\s*\S)",
        rf"^\W{{0,3}}{last}(?:先生|女士|老师|经理)?\s*[,:，：]",
        rf"(?:[.!?。！？]\s*)(?:hi|hello|thanks?|thank you|sorry|谢谢|你好)[,，\s]{{1,3}}{last}\s*[!?！？，]\s*(?=\S)",
        rf"\b{last} (?:wants|needs|would like|is (?:asking|looking|happy)|asks|has asked|said|says|will be)\b",
        rf"(?:帮您|为您|您是){last}|{last}(?:您好|你好)",
    )
    return tuple(re.compile(pattern, re.IGNORECASE) for pattern in patterns)
