"""Which language is a turn in? Small lists of function words and scripts tell well enough, without a model.

A user stays in the language of its own wishes. A word or a quote from another language is not a switch; a sentence is.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from functools import lru_cache

from ise_gym.personas.protected import mask
from ise_gym.simulator.detectors.base import Turn, watches
from ise_gym.simulator.knowledge import UserKnowledge

WORDS: Mapping[str, frozenset[str]] = {
    name: frozenset(words.split())
    for name, words in {
        "en": "the and is are was of to in that it you for on with this have not be what can please could would "
        "your my we there but from as at all still thanks thank should which when one do does did has had "
        "just now them they an or if also into then i me so its by no than how will were been it's don't "
        "that's i'm file looks good great where up out",
        "de": "der die das und ist nicht ich du sie es ein eine einen mit für auf den dem des zu im in von auch "
        "bitte danke noch aber wie was kann können könnten sind war habe haben wir mir mich uns alle "
        "jetzt dann schon nur oder bei nach wenn als über aus sehr gut fehlt datei dort hier steht wurde "
        "wird da dass diese dieser dieses kein keine mal doch so soll",
        "fr": "le la les et est un une des du de que qui ne pas je tu vous nous il elle pour dans sur avec ce "
        "cette mais aussi merci bien très plus encore fichier c'est j'ai n'est pouvez peux s'il plaît "
        "voici ça au aux en par tout tous sont être avez comme mon ma mes votre vos où y a d'abord "
        "maintenant toujours fait faire peut qu'il il faut s'il",
        "es": "el la los las y es un una de que no en por para con se lo su al del pero más muy gracias también "
        "está están este esta eso esto yo tú usted puedes puede archivo todavía aún ahora bien como hay "
        "falta ya me te le mi favor todo todos sí cuando donde dónde qué si tiene tengo necesito hacer "
        "perfecto son fue he has ha sin sobre",
        "it": "il lo la i gli le e è un una di che non per con si del della dei nel nella ma anche grazie bene "
        "molto più ancora sono questo questa file manca adesso ora puoi può io tu lei come c'è mi ti ho "
        "ha hai tutto tutti dove perché se poi quando fatto fare vorrei va sul alla ai ed al da",
        "pt": "o a os as e é um uma de que não em por para com se do da dos das no na mas também obrigado "
        "obrigada está este esta isso isto eu você pode arquivo ainda agora bem como há falta já me te "
        "meu minha tudo todos sim quando onde tem tenho preciso fazer muito mais são foi ficou ao pelo "
        "favor",
        "nl": "de het een en is niet van in op dat je ik voor met te zijn er maar ook nog bedankt dank wel goed "
        "heel bestand nu dit deze die wat kan kun kunt alstublieft alsjeblieft graag mijn we wij naar bij "
        "om als aan heb heeft moet staat daar hier dan zo al uit over geen",
        "pl": "i w na nie jest się że to z do jak ale o co tak czy dziękuję proszę plik jeszcze już dla od po "
        "przez są być mam można bardzo dobrze wszystko tylko teraz mi mnie ten ta te był było który",
        "sv": "och är det att en ett inte jag du som på för med av den till har men också tack filen kan nu bra "
        "var vad så om från vi mig dig här där ännu finns mycket snälla skulle när alla",
        "tr": "ve bir bu için ile de da ne çok daha teşekkürler teşekkür ederim lütfen dosya değil var yok "
        "şimdi ama gibi olarak ben sen biz siz nasıl evet hayır iyi güzel henüz hâlâ mi mı",
    }.items()
}
_SCRIPTS: Mapping[str, re.Pattern[str]] = {
    "ru": re.compile("[\u0400-\u04ff]"),
    "el": re.compile("[\u0370-\u03ff]"),
    "ja": re.compile("[\u3040-\u30ff]"),
    "ko": re.compile("[\uac00-\ud7af\u1100-\u11ff]"),
    "zh": re.compile("[\u4e00-\u9fff]"),
    "ar": re.compile("[\u0600-\u06ff]"),
    "he": re.compile("[\u0590-\u05ff]"),
    "hi": re.compile("[\u0900-\u097f]"),
    "th": re.compile("[\u0e00-\u0e7f]"),
}
_SENTENCE = re.compile(r"(?<=[.!?…。！？])\s*(?=\S)|\n+|(?<=[,;])\s+(?=\S+\s+\S+\s+\S+)")
_WORD = re.compile(r"[^\W\d_]+(?:['’][^\W\d_]+)?")


def language_of(text: str) -> tuple[str, int]:
    """Return the language of a text and by how many function words it leads the next; ("", 0) when there are none."""
    plain = mask(text).text.replace("’", "'")
    for name, script in _SCRIPTS.items():
        if len(script.findall(plain)) >= 3:
            # Chinese characters beside kana are Japanese
            return ("ja" if name == "zh" and _SCRIPTS["ja"].search(plain) else name), 9
    words = [w.lower() for w in _WORD.findall(plain)]
    scores = sorted(((sum(w in bag for w in words), name) for name, bag in WORDS.items()), reverse=True)
    (best, name), (second, _) = scores[0], scores[1]
    return (name, best - second) if best else ("", 0)


@lru_cache(maxsize=64)
def languages_known(known: UserKnowledge) -> frozenset[str]:
    """Return the languages of the user's own wishes."""
    found = set()
    for wish in known.wishes:
        name, lead = language_of(wish.text)
        if lead >= 2:
            found.add(name)
        # what is masked as one long word may be a whole sentence where words have no spaces between them
        found |= {name for name, script in _SCRIPTS.items() if len(script.findall(wish.text)) >= 3}
    if not found:
        name, lead = language_of("\n".join(wish.text for wish in known.wishes))
        found.add(name if lead else "en")  # a word that two languages share says nothing
    return frozenset(found)


@watches("register_matching", "it is in another language than yours")
def language_switch(turn: Turn) -> str:
    """Says a sentence in a language in which the user has no wish."""
    own = languages_known(turn.known)
    for sentence in (turn.bare, *_SENTENCE.split(turn.bare)):
        if not sentence or not sentence.strip():
            continue
        name, lead = language_of(sentence)
        if not name or name in own:
            continue
        words = _WORD.findall(mask(sentence).text)
        home = max(sum(w.lower() in WORDS.get(one, ()) for w in words) for one in own)
        away = lead if name not in WORDS else sum(w.lower() in WORDS[name] for w in words)
        if name not in WORDS or (away - home >= 2 and away * 4 >= len(words)):
            return sentence.strip()[:80]
    return ""
