"""A stand-in voice: text becomes sound by rule, so that speaking works without a model and the same everywhere.

Nobody would understand it as speech. Every letter has a sound of its own (vowels two formants over a pitch,
voiced consonants a hum, the others a hiss, digits a pair of tones), and punctuation pauses. So the length follows from
the text, different texts differ, and a check can tell whether a file says what it should.
"""

from __future__ import annotations

import io
import math
import struct
import unicodedata
import wave
from functools import lru_cache

RATE = 16_000
"""Samples a second; one channel of 16 bits."""

_PITCH_HZ = 125.0
_VOWELS = {
    "a": (750, 1150),
    "e": (500, 1900),
    "i": (300, 2300),
    "o": (480, 850),
    "u": (320, 700),
    "y": (300, 2000),
}
_VOICED = "bdgjlmnrvwz"
_DIGIT_ROWS, _DIGIT_COLUMNS = (697, 770, 852, 941), (1209, 1336, 1477)  # ITU-T Q.23
_PAUSES_MS = {" ": 60, ",": 180, ";": 220, ":": 220, ".": 320, "!": 320, "?": 320, "\n": 320}
_LETTER_MS, _DIGIT_MS = 80, 140


def speak(text: str) -> bytes:
    """Render a text as a WAV file.

    Case, accents and runs of blanks make no difference; characters that are neither letters, digits nor
    punctuation of a sentence are silent.

    >>> len(speak("Hi")) == 44 + 2 * 2 * RATE * 80 // 1000
    True
    """
    return as_wav(samples(text))


def samples(text: str) -> bytes:
    """Render a text as raw little-endian 16-bit samples."""
    plain = unicodedata.normalize("NFKD", text).casefold()
    words = "\n".join(" ".join(line.split()) for line in plain.strip().splitlines())
    return b"".join(_sound(character) for character in words if not unicodedata.combining(character))


def as_wav(raw: bytes) -> bytes:
    """Put samples into a WAV file."""
    buffer = io.BytesIO()
    with wave.open(buffer, "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(RATE)
        file.writeframes(raw)
    return buffer.getvalue()


@lru_cache(maxsize=512)
def _sound(character: str) -> bytes:
    if character in _PAUSES_MS:
        return bytes(2 * (RATE * _PAUSES_MS[character] // 1000))
    if character.isdecimal():
        place = unicodedata.digit(character) or 11  # the keypad has its 0 in the middle of the last row
        tones = [_DIGIT_ROWS[(place - 1) // 3], _DIGIT_COLUMNS[(place - 1) % 3]]
        return _tones([(hz, 0.3) for hz in tones], _DIGIT_MS)
    if character in _VOWELS:
        first, second = _VOWELS[character]
        return _tones([(_PITCH_HZ, 0.2), (first, 0.35), (second, 0.15)], _LETTER_MS)
    if character in _VOICED:
        return _tones([(_PITCH_HZ, 0.3), (200 + 60 * _VOICED.index(character), 0.2)], _LETTER_MS)
    return _hiss(ord(character), _LETTER_MS) if character.isalpha() else b""


def _tones(parts: list[tuple[float, float]], milliseconds: int) -> bytes:
    count = RATE * milliseconds // 1000
    return _packed(
        [
            sum(share * math.sin(2 * math.pi * hz * n / RATE) for hz, share in parts) * _edge(n, count)
            for n in range(count)
        ]
    )


def _hiss(seed: int, milliseconds: int) -> bytes:
    """Make noise from a linear congruential generator, coloured by the character."""
    count, state, values = RATE * milliseconds // 1000, seed, []
    for n in range(count):
        state = (1_103_515_245 * state + 12_345) % 2**31
        values.append(0.12 * (2 * state / 2**31 - 1) * _edge(n, count))
    return _packed(values)


def _edge(n: int, count: int) -> float:
    """Fade in and out over a tenth, so that sounds don't click."""
    ramp = count / 10
    return min(1.0, n / ramp, (count - 1 - n) / ramp)


def _packed(values: list[float]) -> bytes:
    return struct.pack(f"<{len(values)}h", *(round(32_767 * value) for value in values))
