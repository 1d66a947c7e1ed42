"""Finds what composed text gets wrong and people do not: the grammar check of every generated utterance."""

from __future__ import annotations

import re

from ise_gym.personas.protected import MASK, mask

_DOUBLED = re.compile(r"\b([^\W\d_]+(?:'[a-z]+)?)\s+\1\b(?!['’-])", re.IGNORECASE)
_MAY_DOUBLE = frozenset(
    {"that", "had", "is", "hello", "no", "ha", "bye", "very", "so", "now", "there", "yes", "ok"}
)
_ARTICLE = re.compile(r"(?<![\w'’.-])(an?)\s+([^\W\d_][\w'’-]*)", re.IGNORECASE)
_AFTER_A_NAME = frozenset({"is", "are", "and", "or", "as", "in", "of", "at", "if", "on", "it", "into"})
_VOWEL_AS_CONSONANT = re.compile(
    r"(?i)(uni(?!n|m)|use|usu|usa|util|user|uk|us\b|u-|ubiq|uri|ura|eu|ewe|one|once|ou?ija)"
)
_SILENT_H = re.compile(r"(?i)(hour|honest|honou?r|heir)")
_PLACEHOLDER = re.compile(r"\{\{|\}\}|(?<!\$)\{[A-Za-z_]\w*\}|<(?:given|fullname|city|port)>")
_DOUBLE = re.compile(
    r"[,;:]\s*(?!\.\.)[.,;:!?]|(?<!\.)(?<!\betc)[.!?]\s*[,;:](?!\))|(?<![.:=])\.\s?\.(?!\.)|[!?]{2,}|[!?]\s*\.(?!\.)|\.\s*[!?]"
)
_SPACED = re.compile(r"[^\s][ \t]+[,.;:!?](?=\s|$)")
_COUNTED = (
    "file|folder|row|line|column|message|event|task|word|day|week|hour|minute|second|commit|test|byte|value|page|item|"
    "picture|name|number|customer|order|invoice|report|entr(?=y|ies)|cop(?=y|ies)"
)
_ONE_OF_MANY = re.compile(
    rf"(?<![\w.,:/-])(?:1|one|a|an|each|every)\s+(?:{_COUNTED})(?:s|ies)\b", re.IGNORECASE
)
_MANY_OF_ONE = re.compile(
    r"(?<![\w.,:/#-])(?:[2-9]|[1-9]\d{1,3}|two|three|four|five|six|seven|eight|nine|ten|both|several|many)\s+"
    rf"(?:{_COUNTED})(?:y)?(?=\s+(?:of|in|from|with|and|to|at|are|have)\b|[.,;!?]?$|[.,;!?]\s)",
    re.IGNORECASE,
)
_CODE = re.compile(r"```.*?```|`[^`\n]+`|\"[^\"\n]+\"|(?<![\w'])'[^'\n]+'(?!\w)", re.DOTALL)


def voice_problems(text: str) -> list[str]:
    """Return what is wrong with an utterance; an empty list when nothing was found.

    Looks for unfilled placeholders, doubled words, a/an, plurals after numbers, doubled punctuation and a space before
    punctuation.
    Protected spans (paths, quotes, code, numbers) are not looked into.

    >>> voice_problems("Put it in in a old folder..")
    ["doubled word: 'in in'", "article: 'a old'", "double punctuation: '..'"]
    """
    problems = [f"placeholder: {m[0]!r}" for m in _PLACEHOLDER.finditer(_CODE.sub("X", text))]
    prose = _CODE.sub("X", text)
    problems += [f"plural: {m[0]!r}" for form in (_ONE_OF_MANY, _MANY_OF_ONE) for m in form.finditer(prose)]
    hidden = mask(text)
    masked = hidden.text
    for m in _DOUBLED.finditer(masked):
        name = m[0][0].isupper() and m[0].split()[-1][0].isupper()
        if m[1].lower() not in _MAY_DOUBLE and not name:
            problems.append(f"doubled word: {m[0]!r}")
    for m in _ARTICLE.finditer(masked):
        article, word = m[1].lower(), m[2]
        if m[1] == "A" and masked[: m.start()].rstrip()[-1:] not in ("", ".", "!", "?", ":", "\n"):
            continue  # "column A looks wrong"
        if word.lower() in _AFTER_A_NAME or word[:2].isupper():
            continue
        vowel = word[0].lower() in "aeiouáéíóúàèäöüåøæî" or bool(_SILENT_H.match(word))
        if _VOWEL_AS_CONSONANT.match(word):
            vowel = False
        if vowel != (article == "an"):
            problems.append(f"article: {m[0]!r}")
    plain = MASK.sub("X", masked)
    problems += [f"double punctuation: {m[0]!r}" for m in _DOUBLE.finditer(plain) if m[0] != "…"]
    for m in _SPACED.finditer(plain):
        if "://" not in hidden.unmask(masked[m.start()]):  # a colon kept apart from an address is a kindness
            problems.append(f"space before punctuation: {m[0]!r}")
    return problems
