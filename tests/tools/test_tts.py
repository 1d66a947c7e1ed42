"""`tts` writes real sound whose length and content follow from the text."""

from __future__ import annotations

import io
import wave

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ise_gym.checks import build_check
from ise_gym.tools.dispatch import Toolbox
from ise_gym.tools.tts import MOST_CHARACTERS, speech_path
from ise_gym.tools.voice import RATE, samples, speak
from ise_gym.workspace.base import Workspace
from tools.tool_fixtures import Caller


@pytest.fixture
def tts(workspace: Workspace) -> Caller:
    return Caller(Toolbox(["tts"], workspace))


def test_a_text_becomes_a_playable_file(tts: Caller, workspace: Workspace) -> None:
    message = tts("tts", text="Gate 12 is open.")
    path = message["content"].splitlines()[0].removeprefix("MEDIA:")
    assert message["success"] and path == speech_path("Gate 12 is open.")
    with wave.open(io.BytesIO(workspace.read(path))) as file:
        assert (file.getnchannels(), file.getsampwidth(), file.getframerate()) == (1, 2, RATE)
        seconds = file.getnframes() / RATE
        frames = file.readframes(file.getnframes())
    # 10 letters, 2 digits, 3 blanks, 1 full stop
    assert seconds == pytest.approx(10 * 0.08 + 2 * 0.14 + 3 * 0.06 + 0.32)
    assert f"{seconds:.2f} s" in message["content"]
    loudest = max(abs(int.from_bytes(frames[i : i + 2], "little", signed=True)) for i in range(0, 9000, 2))
    assert 3000 < loudest < 32767


def test_the_check_hears_what_is_said(tts: Caller, workspace: Workspace) -> None:
    tts("tts", text="Platform 4")
    path = speech_path("Platform 4")

    def passes(says: object) -> bool:
        return build_check("speech", {"path": path, "says": says}).run(workspace, {}).passed  # type: ignore[dict-item]

    assert passes("Platform 4") and passes("platform  4")
    assert not passes("Platform 5") and not passes("Platform") and not passes(["Platform 4", "Platform 4"])
    workspace.write(path, speak("One.")[:44] + samples("One.") + samples("Two."))
    workspace.write("no.wav", b"RIFF")
    assert "no WAV" in build_check("speech", {"path": "no.wav", "says": "x"}).run(workspace, {}).reason
    with pytest.raises(ValueError, match="says"):
        build_check("speech", {"path": path})


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "must not be empty"),
        (" \n ", "nothing that can be spoken"),
        ("…", "nothing that can be spoken"),
        ("a" * (MOST_CHARACTERS + 1), "speak it in parts"),
    ],
)
def test_what_cant_be_spoken_is_a_failure(tts: Caller, text: str, words: str) -> None:
    message = tts("tts", text=text)
    assert message["success"] is False and words in message["content"]
    assert tts.error("tts", text=text) == "bad_arguments"


def test_a_file_in_the_way_is_a_failure(tts: Caller, workspace: Workspace) -> None:
    workspace.write("speech", b"")
    message = tts("tts", text="hello")
    assert message["success"] is False and "Not a directory" in message["content"]


@settings(max_examples=60, deadline=None)
@given(st.text(max_size=60), st.text(max_size=60))
def test_sound_is_a_function_of_the_text_alone(one: str, two: str) -> None:
    assert len(samples(one)) % 2 == 0
    joined = samples(one.strip() + "a") + samples("b" + two.strip())
    assert samples(f"{one.strip()}ab{two.strip()}") == joined


def test_case_accents_and_blanks_make_no_difference() -> None:
    assert samples("  Café\tAU lait \n\n") == samples("cafe au LAIT")


@given(st.text("abcdefghijklmnopqrstuvwxyz0123456789", max_size=12), st.text("abcdefghijklmnopqrstuvwxyz0123456789", max_size=12))  # fmt: skip
def test_different_words_sound_different(one: str, two: str) -> None:
    assert (samples(one) == samples(two)) == (one == two)
