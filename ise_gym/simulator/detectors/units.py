"""Units with a stroke: km/h, kN/m2 and l/100km are no file paths, whatever they look like."""

from __future__ import annotations

import re

_PREFIX = "(?:da|[YZEPTGMkKhdcmµunpf])?"
_SI = "m|g|s|A|K|cd|mol|Hz|N|Pa|J|W|Wh|C|V|F|Ω|ohm|T|H|lx|lm|Bq|Gy|Sv|L|l|t|eV|B|b|bit|byte|bar|cal|px|rad|dB"
_OTHER = (
    "min|h|hr|d|day|wk|week|mo|month|yr|year|a|ft|in|mi|mile|yd|lb|lbs|oz|gal|psi|mph|ha|ac|sqm|kn|kt|rpm|req|reqs"
    "|requests?|msgs?|tokens?|frames?|images?|users?|person|people|pp|unit|item|piece|USD|EUR|GBP|CHF|JPY"
)
_ATOM = rf"(?:{_PREFIX}(?:{_SI})|{_OTHER})(?:\^?-?\d{{1,2}}|[²³])?"
_UNIT = re.compile(
    rf"(?:\d+(?:[.,]\d+)?)?(?:{_ATOM}[·*.]?){{1,3}}(?:/\d{{0,4}}{_ATOM}(?:[·*.]{_ATOM})?){{1,2}}\Z"
)
_LONGEST = 24


def is_unit(text: str) -> bool:
    """Return whether a word is a unit of measure with a stroke in it, with or without its figure.

    >>> [is_unit(word) for word in ("kN/m2", "km/h", "l/100km", "µg/m³", "12MB/s", "m/s^2")]
    [True, True, True, True, True, True]
    >>> [is_unit(word) for word in ("src/m2", "notes/a.txt", "kN", "m/readme", "data/2024")]
    [False, False, False, False, False]
    """
    return "/" in text and len(text) <= _LONGEST and _UNIT.match(text) is not None
