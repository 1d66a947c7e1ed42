"""Parameter generators: ranges, uniqueness, and the same draws everywhere."""

from __future__ import annotations

import random
import re
import subprocess
import sys
from typing import Any

import pytest

from ise_gym.seeds import derive_seed
from ise_gym.tasks.expressions import ExpressionError
from ise_gym.tasks.generator_model import Generator
from ise_gym.tasks.generators import DrawState, compile_generator, draw_person, load_words


def draws(spec: dict[str, Any], times: int = 200, **scope: Any) -> list[Any]:
    draw = compile_generator(Generator.model_validate(spec), "here")
    return [draw(DrawState(random.Random(seed), dict(scope))) for seed in range(times)]


def test_choice_sample_and_weights() -> None:
    assert set(draws({"choice": ["a", 2, "{{ x }}"]}, x=[1]).__repr__()) >= set("a2[1]")
    assert set(draws({"choice": "{{ pool }}"}, pool=[1, 2])) == {1, 2}
    heavy = draws({"choice": ["a", "b"], "weights": [9, 1]}, 500)
    assert 0.82 < heavy.count("a") / 500 < 0.97
    for items in draws({"sample": ["a", "b", "c", "d"], "size": 2}):
        assert len(set(items)) == 2 and items == sorted(items)
    assert any(items != sorted(items) for items in draws({"sample": ["a", "b", "c"], "shuffled": True}))
    assert {len(items) for items in draws({"sample": "{{ p }}", "size": [1, 3]}, p=[1, 2, 3])} == {1, 2, 3}


def test_numbers_dates_times_codes() -> None:
    assert set(draws({"integer": [3, 5]})) == {3, 4, 5}
    assert set(draws({"integer": [10, "{{ top }}"], "step": 5}, top=20)) == {10, 15, 20}
    values = draws({"decimal": [0.5, 1], "places": 1})
    assert set(values) == {0.5, 0.6, 0.7, 0.8, 0.9, 1.0}
    assert set(draws({"date": ["2024-02-28", "2024-03-01"]})) == {"2024-02-28", "2024-02-29", "2024-03-01"}
    assert set(draws({"time": ["9:58", "10:01"]})) == {"09:58", "09:59", "10:00", "10:01"}
    assert all(re.fullmatch(r"X-\d{3}[A-Z][0-9a-f]", code) for code in draws({"code": "X-###@%"}))
    assert 20 < sum(draws({"boolean": 0.3})) < 100


def test_people_and_words_never_come_twice_in_one_instance() -> None:
    person = compile_generator(Generator(person=True), "here")
    word = compile_generator(Generator(word="noun"), "here")
    state = DrawState(random.Random(1), {})
    people = [person(state) for _ in range(60)]
    for key in ("first", "last", "login"):
        assert len({p[key] for p in people}) == 60
    assert len({word(state) for _ in range(60)}) == 60


def test_mail_addresses_and_logins_are_ascii_and_reserved() -> None:
    rng = random.Random(0)
    for _ in range(500):
        person = draw_person(rng)
        assert re.fullmatch(r"[a-z0-9-]+\.[a-z0-9-]+@[a-z0-9]+\.example", person["email"]), person
        assert re.fullmatch(r"[a-z0-9]+", person["login"]), person
        assert person["name"] == f"{person['first']} {person['last']}"


def test_tables_use_earlier_columns_and_keep_unique_ones_apart() -> None:
    spec = {
        "table": {
            "rows": "{{ n }}",
            "columns": {
                "id": {"code": "#", "unique": True},
                "line": {"value": "{{ index + 1 }}: {{ id }}"},
            },
        }
    }
    for rows in draws(spec, 50, n=10):
        assert sorted(row["id"] for row in rows) == list("0123456789")
        assert [row["line"] for row in rows] == [f"{i}: {row['id']}" for i, row in enumerate(rows, 1)]
    with pytest.raises(ExpressionError, match="unique"):
        draws(spec, 1, n=11)


@pytest.mark.parametrize(
    ("spec", "words"),
    [
        ({"choice": []}, "nothing to choose"),
        ({"sample": ["a"], "size": 2}, "can't draw 2 of 1"),
        ({"integer": [5, 3]}, "is empty"),
        ({"integer": [1, "{{ 2.5 }}"]}, "whole number"),
        ({"date": ["2025-02-30", "2025-03-01"]}, "here"),
        ({"time": ["25:00", "26:00"]}, "not a time of day"),
        ({"code": "ABC"}, "needs at least one"),
        ({"choice": "{{ 3 }}"}, "needs a list"),
    ],
)
def test_impossible_draws_are_explained(spec: dict[str, Any], words: str) -> None:
    with pytest.raises(ExpressionError, match=words):
        draws(spec, 1)


def test_seeds_do_not_depend_on_the_process() -> None:
    code = "from ise_gym.seeds import derive_seed; print(derive_seed('task', 'a/b', 3, True))"
    outputs = {
        subprocess.run(
            [sys.executable, "-c", code], env={"PYTHONHASHSEED": salt, "PYTHONPATH": ":".join(sys.path)},
            capture_output=True, text=True, check=True,
        ).stdout
        for salt in ("1", "2")
    }  # fmt: skip
    assert outputs == {f"{derive_seed('task', 'a/b', 3, True)}\n"}


def test_word_lists_are_large_clean_and_worldwide() -> None:
    words = load_words()
    assert len(words.folders) >= 200 and len(set(words.folders)) == len(words.folders)
    assert all(re.fullmatch(r"[a-z0-9]+(-[a-z0-9]+)*", name) for name in words.folders)
    assert len(words.people) >= 20
    for kind in ("noun", "adjective", "verb", "city", "company", "product"):
        pool = getattr(words, kind)
        assert len(pool) >= 100 and len(set(pool)) == len(pool), kind
