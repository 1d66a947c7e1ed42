"""Templates are compiled once on a machine: what comes from the cache does what was compiled does, and nobody else puts code there."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import jinja2
import pytest

from ise_gym.storage.kept import Kept, cache_folder
from ise_gym.tasks import expressions
from ise_gym.tasks.caching import CachingEnvironment

SCOPE = {"n": 3, "names": ["Ana", "Bo"], "when": {"day": "Monday"}}
TEXTS = (
    "{{ n }} for {{ names | join(', ') }}",
    "{% for name in names %}{{ loop.index }}. {{ name }}\n{% endfor %}",
    "{{ 'Größe' | upper }} ${#x} {=# gone #=}",
    "{{ when.day }}",
)
VALUES = ("n + 1", "names[::-1]", "'abc' | length", "missing", "{'a': n}", "n if n > 5")
FIRST = "import sys; from ise_gym.tasks.expressions import compile_text; print(compile_text('{{ n }}!', '')({'n': 1}))"


def environment(folder: Path) -> CachingEnvironment:
    """Return one like the catalog's, with a cache of its own."""
    made = expressions.environment()
    made.__dict__["kept"] = Kept(folder, "templates-test")
    return made


def told(made: CachingEnvironment, text: str) -> object:
    """Return what a text gives, or why it gives nothing."""
    try:
        return made.text_of(text).render(SCOPE)
    except jinja2.TemplateError as error:
        return type(error), error.message


def worth(made: CachingEnvironment, source: str) -> object:
    """Return what an expression gives, or why it gives nothing."""
    try:
        value = made.value_of(source)(SCOPE)
        return type(value).__name__ if isinstance(value, jinja2.Undefined) else value
    except jinja2.TemplateError as error:
        return type(error), error.message


def test_what_was_kept_gives_what_was_compiled(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    first = environment(tmp_path / "cache")
    wanted = [told(first, text) for text in TEXTS], [worth(first, source) for source in VALUES]
    lone = [first.is_lone(text) for text in ("{{ n }}", "{{ n }}x", "{{ 'x' }}", "{{ n }}{{ n }}")]
    plain = expressions.environment()
    assert wanted[0] == [plain.from_string(text).render(SCOPE) for text in TEXTS]
    assert wanted[1][3] == "StrictUndefined" and lone == [True, False, True, False]
    first.kept.write()
    again = environment(tmp_path / "cache")
    monkeypatch.setattr(again, "compile", None)
    monkeypatch.setattr(again, "parse", None)
    assert wanted == ([told(again, text) for text in TEXTS], [worth(again, source) for source in VALUES])
    assert lone == [again.is_lone(text) for text in ("{{ n }}", "{{ n }}x", "{{ 'x' }}", "{{ n }}{{ n }}")]


@pytest.mark.parametrize("broken", ["{{ n", "{% if %}", "{{ n | nothing }}"])
def test_what_does_not_compile_is_never_kept(tmp_path: Path, broken: str) -> None:
    for _ in range(2):
        made = environment(tmp_path / "cache")
        with pytest.raises(jinja2.TemplateError):
            made.text_of(broken)
        made.kept.write()
    assert not (tmp_path / "cache").exists()


def test_what_an_error_says_is_the_same_from_the_cache(tmp_path: Path) -> None:
    said = []
    for _ in range(2):
        made = environment(tmp_path / "cache")
        said += [told(made, "a\n{{ gone }}"), worth(made, "gone.further")]
        made.kept.write()
    assert said[:2] == said[2:] and "gone" in str(said[0])


def test_many_processes_may_write_at_once(tmp_path: Path) -> None:
    writers = [Kept(tmp_path / "cache", "x") for _ in range(4)]
    for number, writer in enumerate(writers):
        assert writer.get("absent") is None
        for key in range(50):
            writer.put(f"{number}-{key}", b"%d" % number * 1000)
    for writer in writers:
        writer.write()
    reader = Kept(tmp_path / "cache", "x")
    assert all(reader.get(f"{n}-{key}") == b"%d" % n * 1000 for n in range(4) for key in range(50))


@pytest.mark.parametrize("cut", [1, 30])
def test_a_torn_record_costs_itself_and_is_cleared_away(tmp_path: Path, cut: int) -> None:
    kept = filled(tmp_path)
    kept.path.write_bytes(kept.path.read_bytes()[:-cut])
    reader = Kept(tmp_path / "cache", "x")
    assert reader.get("one") == b"1" * 20 and reader.get("two") is None
    reader.put("two", b"2" * 20)
    reader.write()
    assert Kept(tmp_path / "cache", "x").get("two") == b"2" * 20


def test_a_changed_byte_is_noticed(tmp_path: Path) -> None:
    kept = filled(tmp_path)
    data = bytearray(kept.path.read_bytes())
    data[-3] ^= 1
    kept.path.write_bytes(data)
    assert Kept(tmp_path / "cache", "x").get("two") is None


@pytest.mark.parametrize("open_to_others", ["", "x"])
def test_what_others_could_have_written_is_not_read(tmp_path: Path, open_to_others: str) -> None:
    kept = filled(tmp_path)
    (kept.path.parent / open_to_others).chmod(0o722 if open_to_others else 0o777)
    assert Kept(tmp_path / "cache", "x").get("one") is None


def test_a_link_in_its_place_is_not_followed(tmp_path: Path) -> None:
    kept = filled(tmp_path)
    kept.path.rename(tmp_path / "elsewhere")
    kept.path.symlink_to(tmp_path / "elsewhere")
    before = (tmp_path / "elsewhere").read_bytes()
    reader = Kept(tmp_path / "cache", "x")
    assert reader.get("one") is None
    reader.put("three", b"3")
    reader.write()
    assert (tmp_path / "elsewhere").read_bytes() == before


def test_without_a_folder_to_write_to_all_works(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    made = environment(tmp_path / "file" / "below")
    assert told(made, TEXTS[0]) == "3 for Ana, Bo"
    made.kept.write()


def test_the_next_process_finds_what_this_one_compiled(tmp_path: Path) -> None:
    env = {**os.environ, "XDG_CACHE_HOME": str(tmp_path)}
    for _ in range(2):
        done = subprocess.run(
            [sys.executable, "-c", FIRST], env=env, capture_output=True, text=True, check=True
        )
        assert done.stdout == "1!\n"
    (file,) = (tmp_path / "ise_gym").iterdir()
    assert file.stat().st_mode & 0o777 == 0o600 and file.parent.stat().st_mode & 0o777 == 0o700
    size = file.stat().st_size
    subprocess.run([sys.executable, "-c", FIRST], env=env, check=True, capture_output=True)
    assert file.stat().st_size == size > 100


def test_the_folder_is_the_one_that_caches_are_in(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", "/there")
    assert cache_folder() == Path("/there/ise_gym")
    monkeypatch.setenv("XDG_CACHE_HOME", "relative")
    assert cache_folder() == Path.home() / ".cache" / "ise_gym"


def test_a_user_without_a_home_keeps_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("XDG_CACHE_HOME", raising=False)
    monkeypatch.delenv("HOME", raising=False)
    monkeypatch.setattr("pwd.getpwuid", lambda uid: {}[uid])
    made = environment(cache_folder())
    assert told(made, TEXTS[0]) == "3 for Ana, Bo"
    made.kept.write()
    assert Kept(cache_folder(), "templates-test").get("anything") is None


def filled(folder: Path) -> Kept:
    """Return a cache that two records were written to."""
    kept = Kept(folder / "cache", "x")
    assert kept.get("one") is None
    kept.put("one", b"1" * 20)
    kept.put("two", b"2" * 20)
    kept.write()
    return kept
