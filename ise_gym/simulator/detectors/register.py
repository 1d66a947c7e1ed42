"""Does the user write as the persona does? Slang from a notary and courtly prose from a line cook break the spell.

Both kinds of marks are counted, strong ones double. What the persona's own voice allows (emoji, lower case)
never counts against it.
"""

from __future__ import annotations

import re

from ise_gym.simulator.detectors.base import Turn, watches

_SLANG = re.compile(
    r"\b(?:lol|lmao|rofl|omg|wtf|btw|idk|imo|tbh|ngl|fr fr|smh|ikr|yolo|brb|thx|pls|plz|ur|u r|gimme"
    r"|lemme|gonna|wanna|gotta|kinda|sorta|dunno|ain't|y'all|yall|"
    r"dude|bro|bruh|mate|fam|yo|sup|wassup|cuz|coz|nah|yeah|yep|yup|nope|ya|okie|okey|dokey|chill|legit"
    r"|lit|dope|sick|sweet|vibe|vibes|no cap|lowkey|highkey|whatevs|"
    r"gotcha|cheers|ta|oops|whoops|ugh|meh|hmm|haha|hehe|lolol|yikes|welp|nvm|asap pls|wicked|buddy|pal"
    r"|folks|stuff|thingy|thingie|crap|damn|heck|hell|freaking|frickin|"
    r"awesome|cool|super cool|neat|yay|woohoo|hey|hiya|heya|howdy|tho|thru|tmrw|rn|msg|prob|probs|def"
    r"|deets|sus|bc|w/e|chuck|dump|bung|stick it|whack|nuke|yeet|a bunch|loads of|"
    r"krass|geil|digga|alter|nee|halt mal|mega|jo|ey|moin|ouais|truc|machin|bah|vachement|nan|tío|guay"
    r"|mola|venga|vale|porfa|jaja|boh|dai)\b|\b(?:u|r|k|n|b4|2day|4u|gr8|l8r)\b(?=\s+[a-z]|[,.!]|$)",
    re.IGNORECASE,
)
_STRONG_SLANG = re.compile(
    r"\b(?:lol|lmao|rofl|omg|wtf|idk|tbh|ngl|smh|plz|pls|thx|gonna|wanna|gotta|gimme|lemme|kinda|dunno"
    r"|ain't|y'all|dude|bro|bruh|fam|yo|sup|cuz|coz|lowkey|nvm|yeet|legit|dope|haha|hehe|yikes|rn|tho"
    r"|frickin|freaking|no cap|krass|geil|digga|"
    r"ouais|vachement|tío|mola|porfa|jaja|tmrw|wassup|wanna|crap|damn|ur|u|okie|dokey|woohoo|whatevs"
    r"|buddy|sick|nah|meh|bc|def|deets|sus)\b",
    re.IGNORECASE,
)
_STIFF = re.compile(
    r"\b(?:kindly|hereby|herewith|henceforth|aforementioned|heretofore|thereof|therein|thereto|hereto"
    r"|herein|whereby|wherein|pursuant|notwithstanding|forthwith|hitherto|"
    r"i (?:should|would) be (?:most |very |deeply |extremely |much )?(?:grateful|obliged|indebted"
    r"|appreciative)|(?:most|deeply|sincerely|humbly) (?:grateful|obliged|appreciated?|regret|request"
    r"|apologi[sz]e)|"
    r"dear (?:sir|madam|sirs|colleagues?|assistant)|yours (?:sincerely|faithfully|truly)|respectfully"
    r"|(?:with )?kind(?:est)? regards|with best regards|i trust (?:that )?(?:this|you|the)|"
    r"i (?:wish|beg|am writing) to|at your (?:earliest )?convenience|for your (?:kind )?(?:attention"
    r"|consideration|perusal)|please be (?:advised|informed|so kind)|be so (?:kind|good) as|"
    r"i (?:must|shall|should like to|would like to) (?:respectfully |formally )?(?:request|insist|inform"
    r"|express|convey|remind|draw)|in accordance with|with (?:respect|regard|reference) to|in respect of|"
    r"the undersigned|duly|ensure that|such that|subsequently|commence|endeavou?r|ascertain|utili[sz]e"
    r"|facilitate|requisite|aforesaid|inasmuch|shall|whom|upon|furthermore|moreover|nevertheless|"
    r"i remain|it would be (?:greatly |much |highly )?appreciated|i (?:hereby|formally)|esteemed"
    r"|regrettably|permit me|allow me to (?:express|convey)|please accept|would you be so|"
    r"sehr geehrte[rn]?|hochachtungsvoll|mit freundlichen grüßen|ich ersuche|hiermit|diesbezüglich"
    r"|veuillez agréer|je vous prie|nous vous saurions gré|par la présente|estimad[oa]|le ruego"
    r"|por la presente|atentamente|le agradecería)\b",
    re.IGNORECASE,
)
_VERY_STIFF = re.compile(
    r"\b(?:hereby|herewith|henceforth|aforementioned|aforesaid|heretofore|thereof|therein|pursuant"
    r"|notwithstanding|forthwith|hitherto|i (?:should|would) be (?:most |very |deeply |extremely "
    r"|much )?(?:grateful|obliged|indebted)|"
    r"dear (?:sir|madam|sirs)|yours (?:sincerely|faithfully|truly)|at your earliest convenience"
    r"|be so kind as|the undersigned|esteemed|i beg to|for your perusal|please accept|i remain|permit me"
    r"|humbly|inasmuch|"
    r"hochachtungsvoll|ich ersuche|veuillez agréer|nous vous saurions gré|par la présente"
    r"|por la presente|le ruego|sehr geehrte[rn]?)\b",
    re.IGNORECASE,
)
_EMOJI = re.compile("[\U0001f300-\U0001faff\u2600-\u27bf]")
_LAUGHS = re.compile(r"(?<!\w)(?::\)|:-\)|;\)|:D|xD|XD|:P|:p|<3|\^\^)(?!\w)|!{2,}|\?{2,}|[!?]{3,}")
_STRETCHED = re.compile(r"\b[a-z]*([a-z])\1{2,}[a-z]*\b", re.IGNORECASE)


_SLANG_ZH = re.compile(
    r"哥们|老铁|兄弟|[呗啥瞅咋]|哈哈|牛逼|搞定|妥了|齐活|谢啦|谢了|没毛病|亲[，,~～]|么么|嘛(?![？?])|(?<!不)好嘞"
)
_STIFF_ZH = re.compile(
    r"敬启|兹[因有将]|贵方|惠予|不胜感激|谨[请此致]|此致|敬礼|恳请|拨冗|台鉴|钧安|奉告|鉴于此|烦请|有劳|已阅"
)


def casual_marks(turn: Turn) -> tuple[int, str]:
    """Return how casual a turn is, and its first mark."""
    text, voice = turn.bare, turn.known.persona.voice
    found = [m.group(0) for m in _SLANG.finditer(text)]
    strong = [m.group(0) for m in (*_STRONG_SLANG.finditer(text), *_SLANG_ZH.finditer(text))]
    found += [m.group(0) for m in _SLANG_ZH.finditer(text)]
    score = len(found) + len(strong)
    if not voice.get("emoji") and (emoji := _EMOJI.findall(text)):
        score += min(2, len(emoji))
        found += emoji
    for expression in (_LAUGHS, _STRETCHED):
        if laugh := expression.search(text):
            score += 1
            found.append(laugh.group(0))
    letters = [c for c in text if c.lower() != c.upper()]
    if len(letters) > 25 and voice.get("case") not in ("lower",) and not any(c.isupper() for c in letters):
        score += 1
        found.append(text[:20])
    return score, (strong or found or [""])[0]


def stiff_marks(turn: Turn) -> tuple[int, str]:
    """Return how formal a turn is, and its first mark."""
    found = [m.group(0) for m in _STIFF.finditer(turn.bare)]
    strong = [m.group(0) for m in _VERY_STIFF.finditer(turn.bare)]
    found += [m.group(0) for m in _STIFF_ZH.finditer(turn.bare)]
    return len(found) + len(strong), (strong or found or [""])[0]


@watches("register_matching", "it does not sound like you")
def register_break(turn: Turn) -> str:
    """Far from the persona's register: casual marks in formal or analytical voices, stiff ones in casual voices.

    A collaborative voice is in the middle, so that it takes more of either.
    """
    register = turn.known.persona.register
    casual, casual_mark = casual_marks(turn)
    stiff, stiff_mark = stiff_marks(turn)
    wishes = "\n".join(wish.text for wish in turn.known.wishes).lower()
    limits = {"formal": (2, 99), "analytical": (3, 5), "collaborative": (4, 4), "casual": (99, 2)}
    most_casual, most_stiff = limits[register]
    if casual >= most_casual and not _said(casual_mark, wishes):
        return casual_mark
    if stiff >= most_stiff and not _said(stiff_mark, wishes):
        return stiff_mark
    return ""


def _said(mark: str, wishes: str) -> bool:
    return bool(re.search(rf"(?<!\w){re.escape(mark.lower())}(?!\w)", wishes))
