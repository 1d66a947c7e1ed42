"""`tts`: speaks a text into an audio file of the workspace."""

from __future__ import annotations

import hashlib
from typing import TypedDict

from ise_gym.tools.base import Tool, ToolContext, ToolOutcome
from ise_gym.tools.output import failure, os_failure
from ise_gym.tools.schema import function_tool
from ise_gym.tools.voice import RATE, as_wav, samples

FOLDER = "speech"
MOST_CHARACTERS = 2000


class SpeechArguments(TypedDict):
    """Arguments of `tts`."""

    text: str


def speech_path(text: str) -> str:
    """Return where a text's file goes: named after the text, so that the name depends on nothing else.

    >>> speech_path("Hello")
    'speech/185f8db3.wav'
    """
    return f"{FOLDER}/{hashlib.sha256(text.encode()).hexdigest()[:8]}.wav"


def run(context: ToolContext, arguments: SpeechArguments) -> ToolOutcome:
    """Run the tool."""
    text = arguments["text"]
    if len(text) > MOST_CHARACTERS:
        return failure(
            f"tts: {len(text)} characters; at most {MOST_CHARACTERS} are spoken at once: speak it in parts",
            "bad_arguments",
        )
    raw = samples(text)
    if not any(raw):
        return failure("tts: the text holds nothing that can be spoken", "bad_arguments")
    path = speech_path(text)
    try:
        context.workspace.write(path, as_wav(raw))
    except OSError as error:
        return os_failure("tts", path, error)
    return ToolOutcome(
        f"MEDIA:{path}\n{len(raw) / 2 / RATE:.2f} s, {RATE} Hz, mono, 16-bit WAV", success=True
    )


TTS = Tool(
    function_tool(
        "tts",
        f"Speak a text into a WAV file below {FOLDER}/ and return its path.",
        {"text": {"type": "string", "minLength": 1}},
        ["text"],
    ),
    run,
)
