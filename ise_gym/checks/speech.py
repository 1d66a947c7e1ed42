"""A check on spoken files: the stand-in voice is deterministic, so what a file says can be known to the sample."""

from __future__ import annotations

import io
import wave
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from ise_gym.checks.base import PASSED, BaseCheck, Unreadable, failed, judged, read_bytes
from ise_gym.checks.content import strings
from ise_gym.scenario import CheckResult
from ise_gym.tools.voice import RATE, samples
from ise_gym.workspace.base import SeedFile, Workspace


@dataclass(frozen=True)
class SpeechCheck(BaseCheck):
    """Passes when a WAV file says the text (or the texts, one right after the other) in the voice of `tts`."""

    says: Any = ()

    def __post_init__(self) -> None:
        super().__post_init__()
        if not strings(self.says, "says"):
            raise ValueError("speech needs `says`: a text, or a list of texts that follow each other")

    def look(self, workspace: Workspace, start: Mapping[str, SeedFile]) -> CheckResult:
        """See `BaseCheck.run`."""
        return judged(self, read_bytes(workspace, self.path))

    def judge(self, material: bytes) -> CheckResult:
        """Judge the file's bytes."""
        try:
            with wave.open(io.BytesIO(material)) as file:
                form = (file.getnchannels(), file.getsampwidth(), file.getframerate())
                found = file.readframes(file.getnframes())
        except (wave.Error, EOFError) as error:
            raise Unreadable(f"{self.path} is no WAV file: {error}") from None
        if form != (1, 2, RATE):
            return failed(
                f"{self.path} has {form[0]} channels of {8 * form[1]} bits at {form[2]} Hz; the voice has 1, 16, {RATE}"
            )
        wanted = b"".join(samples(text) for text in strings(self.says, "says"))
        if found != wanted:
            lasts, should = len(found) / 2 / RATE, len(wanted) / 2 / RATE
            return failed(f"{self.path} says something else ({lasts:.2f} s instead of {should:.2f} s)")
        return PASSED
