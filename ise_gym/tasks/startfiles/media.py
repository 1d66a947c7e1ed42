"""Binary start files from data: sound and pictures whose every sample and pixel follows from a few figures.

So a task file stays text, an instance stays a function of its seed, and a check can know what a picture shows.
"""

from __future__ import annotations

import base64
import io
import math
import struct
import wave
import zlib
from collections.abc import Callable
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from ise_gym.foreign.values import Json
from ise_gym.tasks.startfiles.documents import WRITERS

Colour = Annotated[str, Field(pattern=r"^#[0-9a-f]{6}$")]
MOST_BYTES = 4 << 20


class _Model(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Tone(_Model):
    """A stretch of a sine wave; ``hz`` 0 is silence, ``volume`` the share of full scale."""

    hz: Annotated[float, Field(ge=0, le=20_000)]
    ms: Annotated[int, Field(ge=1, le=60_000)]
    volume: Annotated[float, Field(ge=0, le=1)] = 0.5


class Sound(_Model):
    """A PCM WAV file of 16 bits a sample; each channel plays the same tones."""

    rate: Literal[8000, 11025, 16000, 22050, 44100] = 8000
    channels: Literal[1, 2] = 1
    tones: list[Tone] = Field(min_length=1)


class Patch(_Model):
    """A filled rectangle: left, top, width, height in pixels."""

    at: tuple[int, int, int, int]
    colour: Colour


class Picture(_Model):
    """An RGB picture: a background and rectangles painted over it in order."""

    format: Literal["png", "ppm", "bmp"] = "png"
    width: Annotated[int, Field(ge=1, le=2000)]
    height: Annotated[int, Field(ge=1, le=2000)]
    background: Colour = "#ffffff"
    patches: list[Patch] = Field(default_factory=list)


def sound_bytes(sound: Sound) -> bytes:
    """Write a sound as WAV.

    >>> len(sound_bytes(Sound(tones=[Tone(hz=440, ms=1000)])))
    16044
    """
    samples = bytearray()
    for tone in sound.tones:
        for number in range(sound.rate * tone.ms // 1000):
            value = round(32_000 * tone.volume * math.sin(2 * math.pi * tone.hz * number / sound.rate))
            samples += struct.pack("<h", value) * sound.channels
    out = io.BytesIO()
    with wave.open(out, "wb") as file:
        file.setnchannels(sound.channels)
        file.setsampwidth(2)
        file.setframerate(sound.rate)
        file.writeframes(bytes(samples))
    return out.getvalue()


def picture_bytes(picture: Picture) -> bytes:
    """Write a picture as PNG, binary PPM or BMP.

    >>> picture_bytes(Picture(format="ppm", width=2, height=1, background="#0a0b0c"))
    b'P6\\n2 1\\n255\\n\\n\\x0b\\x0c\\n\\x0b\\x0c'
    """
    width, height = picture.width, picture.height
    rows = [bytearray(bytes.fromhex(picture.background[1:]) * width) for _ in range(height)]
    for patch in picture.patches:
        left, top, wide, high = patch.at
        first, last = max(0, left), min(width, left + wide)
        for y in range(max(0, top), min(height, top + high)):
            rows[y][3 * first : 3 * last] = bytes.fromhex(patch.colour[1:]) * max(0, last - first)
    if picture.format == "ppm":
        return b"P6\n%d %d\n255\n" % (width, height) + b"".join(rows)
    if picture.format == "bmp":
        padding = bytes(-3 * width % 4)
        body = b"".join(_swapped(row) + padding for row in reversed(rows))
        head = struct.pack("<IiiHHIIiiII", 40, width, height, 1, 24, 0, len(body), 2835, 2835, 0, 0)
        return b"BM" + struct.pack("<IHHI", 54 + len(body), 0, 0, 54) + head + body
    raw = b"".join(b"\0" + bytes(row) for row in rows)
    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + b"".join(
        _chunk(*part) for part in ((b"IHDR", header), (b"IDAT", zlib.compress(raw, 9)), (b"IEND", b""))
    )


def _swapped(row: bytearray) -> bytes:
    out = bytearray(row)
    out[0::3], out[2::3] = row[2::3], row[0::3]
    return bytes(out)


def _chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def _base64(value: Json) -> bytes:
    return base64.b64decode(str(value), validate=False)


def _validated(model: type[BaseModel], write: Callable[[Any], bytes]) -> Callable[[Any], bytes]:
    def make(value: Json) -> bytes:
        try:
            return write(model.model_validate(value))
        except ValidationError as error:
            first = error.errors()[0]
            raise ValueError(f"{'.'.join(map(str, first['loc']))}: {first['msg']}") from None

    return make


MEDIA: dict[str, Callable[[Any], bytes]] = {
    "base64": _base64,
    "wav": _validated(Sound, sound_bytes),
    "image": _validated(Picture, picture_bytes),
    **{name: _validated(model, write) for name, (model, write) in WRITERS.items()},
}
"""How each binary kind of start file is written from its rendered data; ValueError when the data don't fit."""
