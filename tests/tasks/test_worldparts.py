"""Services and binary files of task files: rendering, loops, and what is refused."""

from __future__ import annotations

import struct
import wave
from io import BytesIO
from pathlib import Path

import pytest

from ise_gym.errors import UserError
from ise_gym.proving.review import unrecoverable
from ise_gym.tasks.complete import instantiate
from ise_gym.tasks.file import TaskSpec, load_task
from ise_gym.tasks.startfiles.media import MEDIA
from made_tasks import GOOD

SERVED = GOOD.replace(
    "requests:\n",
    """tools: [web_fetch]
services:
  web:
    - host: "www.{{ root }}.example"
      title: Words
      pages:
        - {path: /, body: "<p>{{ limit }}"}
        - path: "/{{ w }}"
          each: {w: "{{ words }}"}
          text: "{{ limit }}"
      faults: [{path: "/{{ words[0] }}", status: 503, times: null}]
requests:
""",
    1,
)


def load(tmp_path: Path, text: str) -> TaskSpec:
    folder = tmp_path / "file-io"
    folder.mkdir(exist_ok=True)
    (folder / "t.yaml").write_text(text)
    return load_task(folder / "t.yaml")


def test_loops_become_pages_and_the_tool_is_offered(tmp_path: Path) -> None:
    instance = instantiate(load(tmp_path, SERVED), 3, "harbour")
    (spec,) = instance.services
    words = instance.parameters["words"]
    assert spec.host == "www.harbour.example" and instance.tools == ("web_fetch",)
    assert [p["path"] for p in spec.data["pages"]] == ["/", *(f"/{w}" for w in words)]
    assert spec.data["pages"][1]["text"] == str(instance.parameters["limit"])
    assert spec.data["faults"][0]["path"] == f"/{words[0]}"


def test_what_a_service_shows_counts_as_given_away(tmp_path: Path) -> None:
    hidden = SERVED.replace('{{ words | length }}"}', '{{ limit }}"}').replace(
        "{{ word }} {{ limit }}", "{{ word }}"
    )
    assert not list(unrecoverable(load(tmp_path, hidden)))
    unseen = hidden.replace("<p>{{ limit }}", "<p>").replace('text: "{{ limit }}"', 'text: "x"')
    assert any("limit" in line for line in unrecoverable(load(tmp_path, unseen)))


@pytest.mark.parametrize(
    "old, new, words",
    [
        ("  web:\n", "  wob:\n", "Did you mean 'web'"),
        ("      title: Words\n", "      titel: Words\n", "Did you mean 'title'"),
        ("tools: [web_fetch]", "tools: [web_fetsch]", "Did you mean 'web_fetch'"),
        ("tools: [web_fetch]", "tools: [exec]", "is offered in any case"),
        ('- exec: {command: "ls {{ root }}"}', "- web_search: {query: x}", "under `tools` first"),
    ],
)
def test_mistakes_in_the_file_are_named(tmp_path: Path, old: str, new: str, words: str) -> None:
    assert old in SERVED
    with pytest.raises(UserError, match=words):
        load(tmp_path, SERVED.replace(old, new, 1))


@pytest.mark.parametrize(
    "old, new, words",
    [
        ("www.{{ root }}.example", "www.other.example", "must end in"),
        ("status: 503", "status: 99", "faults.0.status"),
        ('each: {w: "{{ words }}"}', 'each: {w: "{{ limit }}"}', "needs a list"),
    ],
)
def test_mistakes_in_what_is_rendered_are_named(tmp_path: Path, old: str, new: str, words: str) -> None:
    task = load(tmp_path, SERVED.replace(old, new, 1))
    with pytest.raises(UserError, match=words):
        instantiate(task, 1)


def test_sounds_have_the_length_that_was_asked_for() -> None:
    data = MEDIA["wav"](
        {"rate": 16000, "channels": 2, "tones": [{"hz": 440, "ms": 150}, {"hz": 0, "ms": 100}]}
    )
    with wave.open(BytesIO(data)) as sound:
        assert (sound.getnchannels(), sound.getframerate(), sound.getnframes()) == (2, 16000, 4000)
        frames = sound.readframes(4000)
    assert any(frames[: 4 * 2400]) and not any(frames[4 * 2400 :])
    assert data == MEDIA["wav"](
        {"rate": 16000, "channels": 2, "tones": [{"hz": 440, "ms": 150}, {"hz": 0, "ms": 100}]}
    )


def test_pictures_hold_their_patches_in_every_format() -> None:
    spec = {
        "width": 5,
        "height": 3,
        "background": "#010203",
        "patches": [{"at": [3, 1, 9, 9], "colour": "#aabbcc"}],
    }
    pixels = MEDIA["image"]({**spec, "format": "ppm"}).removeprefix(b"P6\n5 3\n255\n")
    rows = [pixels[15 * y : 15 * y + 15].hex(" ", 3).split() for y in range(3)]
    assert rows[0] == ["010203"] * 5 and rows[2] == ["010203"] * 3 + ["aabbcc"] * 2
    bmp = MEDIA["image"]({**spec, "format": "bmp"})
    assert struct.unpack("<I", bmp[2:6])[0] == len(bmp) and struct.unpack("<ii", bmp[18:26]) == (5, 3)
    assert bmp[54:57].hex() == "030201" and bmp[54 + 9 : 54 + 12].hex() == "ccbbaa"
    png = MEDIA["image"]({**spec, "format": "png"})
    assert png[:8] == b"\x89PNG\r\n\x1a\n" and struct.unpack(">II", png[16:24]) == (5, 3)
    assert MEDIA["base64"]("aGk=") == b"hi"


@pytest.mark.parametrize(
    "kind, value", [("wav", {"rate": 1, "tones": []}), ("image", {"width": 0}), ("base64", "a")]
)
def test_figures_that_make_no_file_are_refused(kind: str, value: object) -> None:
    with pytest.raises(ValueError):
        MEDIA[kind](value)
