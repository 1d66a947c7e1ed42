"""Draws the parameters of a task: each generator of the task file compiled once into a function of a random source.

Everything drawn comes from the one ``random.Random`` that is passed in, in the order of the file, so an
instance is a function of its seed.
"""

from __future__ import annotations

import datetime
import random
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from ise_gym.errors import UserError
from ise_gym.foreign.values import Json
from ise_gym.messages import canonical_json
from ise_gym.resources import os_world
from ise_gym.tasks.expressions import ExpressionError, compile_text, compile_value, mentions
from ise_gym.tasks.filters import slug, to_ascii
from ise_gym.tasks.generator_model import Generator
from ise_gym.tasks.yamlfile import read_yaml

_TRIES = 2000
_LETTERS = "ABCDEFGHJKLMNPQRSTUVWXYZ"
_HEX = "0123456789abcdef"


class _Culture(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)
    given: list[str] = Field(min_length=8)
    family: list[str] = Field(min_length=8)


class Words(BaseModel):
    """The word lists of ``envs/os/words.yaml``."""

    model_config = ConfigDict(extra="forbid", frozen=True)
    people: dict[str, _Culture]
    noun: list[str]
    adjective: list[str]
    verb: list[str]
    city: list[str]
    company: list[str]
    product: list[str]
    folders: list[str] = Field(min_length=200)


@lru_cache(maxsize=1)
def load_words() -> Words:
    """Load the word lists once."""
    path = os_world() / "words.yaml"
    try:
        return Words.model_validate(read_yaml(path))
    except ValidationError as error:
        raise UserError(f"{path}: {error.errors()[0]['loc']}: {error.errors()[0]['msg']}") from None


@dataclass
class DrawState:
    """What one instance has drawn so far: its random source, its scope, and what mustn't come twice."""

    rng: random.Random
    scope: dict[str, Any]
    used: set[str] = field(default_factory=set)


Draw = Callable[[DrawState], Any]


def compile_generator(generator: Generator, where: str) -> Draw:
    """Compile one generator; ``where`` (file and key path) names it in errors."""
    return _COMPILERS[generator.kind](generator, where)


def _bad(where: str, problem: str) -> ExpressionError:
    return ExpressionError(f"{where}: {problem}; fix the parameter (see docs/tasks.md)")


def _choice(generator: Generator, where: str) -> Draw:
    raw, weights = generator.choice, generator.weights
    if isinstance(raw, list):
        if not raw:
            raise _bad(where, "choice has nothing to choose from")
        items = [compile_value(item, f"{where}.choice.{i}") for i, item in enumerate(raw)]
        if weights is not None:
            return lambda state: state.rng.choices(items, weights)[0](state.scope)
        return lambda state: state.rng.choice(items)(state.scope)
    pool = compile_value(raw, f"{where}.choice")
    return lambda state: state.rng.choice(_nonempty(pool(state.scope), where))


def _nonempty(value: Json, where: str) -> list[Any]:
    if not isinstance(value, list) or not value:
        raise _bad(where, f"needs a list with at least one item, not {value!r}")
    return value


def _sample(generator: Generator, where: str) -> Draw:
    pool = compile_value(generator.sample, f"{where}.sample")
    size = _count(generator.size, f"{where}.size") if generator.size is not None else None

    def draw(state: DrawState) -> list[Any]:
        items = _nonempty(pool(state.scope), where)
        wanted = len(items) if size is None else size(state)
        if not 0 <= wanted <= len(items):
            raise _bad(where, f"can't draw {wanted} of {len(items)} items")
        if generator.shuffled:
            return state.rng.sample(items, wanted)
        return [items[i] for i in sorted(state.rng.sample(range(len(items)), wanted))]

    return draw


def _count(raw: Json, where: str) -> Callable[[DrawState], int]:
    """Compile a number of items: a number, an expression, or a [least, most] pair."""
    if isinstance(raw, list):
        least, most = raw
        return lambda state: state.rng.randint(least, most)
    render = compile_value(raw, where)
    return lambda state: _whole(render(state.scope), where)


def _whole(value: Json, where: str) -> int:
    if isinstance(value, bool) or not isinstance(value, (int, float)) or value != int(value):
        raise _bad(where, f"needs a whole number, not {value!r}")
    return int(value)


def _integer(generator: Generator, where: str) -> Draw:
    low, high = (compile_value(bound, where) for bound in generator.integer or ())
    step = generator.step

    def draw(state: DrawState) -> int:
        least, most = _whole(low(state.scope), where), _whole(high(state.scope), where)
        if least > most:
            raise _bad(where, f"the range [{least}, {most}] is empty")
        return state.rng.randrange(least, most + 1, step)

    return draw


def _decimal(generator: Generator, where: str) -> Draw:
    low, high = (compile_value(bound, where) for bound in generator.decimal or ())
    scale = 10**generator.places

    def draw(state: DrawState) -> float:
        try:
            least, most = round(float(low(state.scope)) * scale), round(float(high(state.scope)) * scale)
        except (TypeError, ValueError):
            raise _bad(where, "the bounds must be numbers") from None
        if least > most:
            raise _bad(where, f"the range [{least / scale}, {most / scale}] is empty")
        value: float = state.rng.randint(least, most) / scale
        return value

    return draw


def _date(generator: Generator, where: str) -> Draw:
    low, high = (compile_text(str(bound), where) for bound in generator.date or ())

    def draw(state: DrawState) -> str:
        try:
            first = datetime.date.fromisoformat(low(state.scope))
            last = datetime.date.fromisoformat(high(state.scope))
        except ValueError as error:
            raise _bad(where, str(error)) from None
        if first > last:
            raise _bad(where, f"the range [{first}, {last}] is empty")
        return (first + datetime.timedelta(days=state.rng.randint(0, (last - first).days))).isoformat()

    return draw


def _time(generator: Generator, where: str) -> Draw:
    low, high = (compile_text(str(bound), where) for bound in generator.time or ())

    def minutes(text: str) -> int:
        match = re.fullmatch(r"([01]?\d|2[0-3]):([0-5]\d)", text)
        if match is None:
            raise _bad(where, f"{text!r} is not a time of day (HH:MM)")
        return int(match[1]) * 60 + int(match[2])

    def draw(state: DrawState) -> str:
        least, most = minutes(low(state.scope)), minutes(high(state.scope))
        if least > most:
            raise _bad(where, "the range is empty")
        at = state.rng.randint(least, most)
        return f"{at // 60:02d}:{at % 60:02d}"

    return draw


def _code(generator: Generator, where: str) -> Draw:
    pattern = compile_text(generator.code or "", where)
    if not generator.code or (
        not any(mark in generator.code for mark in "#@%") and not mentions(generator.code)
    ):
        raise _bad(where, "code needs at least one of # (digit), @ (capital), % (hex digit)")

    def draw(state: DrawState) -> str:
        rng = state.rng
        return "".join(
            str(rng.randrange(10))
            if mark == "#"
            else rng.choice(_LETTERS)
            if mark == "@"
            else rng.choice(_HEX)
            if mark == "%"
            else mark
            for mark in pattern(state.scope)
        )

    return draw


def _boolean(generator: Generator, where: str) -> Draw:
    share = float(generator.boolean or 0)
    return lambda state: state.rng.random() < share


def _fresh(state: DrawState, kind: str, draw: Callable[[random.Random], str]) -> str:
    """Draw a word that the instance hasn't used yet, so that two people or companies never share a name."""
    word = draw(state.rng)
    for _ in range(50):
        if f"{kind}:{word}" not in state.used:
            break
        word = draw(state.rng)
    state.used.add(f"{kind}:{word}")
    return word


def _word(generator: Generator, where: str) -> Draw:
    kind = generator.word or "noun"
    pool: list[str] = getattr(load_words(), kind)
    return lambda state: _fresh(state, kind, lambda rng: rng.choice(pool))


def draw_person(rng: random.Random) -> dict[str, str]:
    """Draw one person whose given and family name belong together; mail addresses end in ``.example``."""
    words = load_words()
    culture = words.people[rng.choice(list(words.people))]
    first, last = rng.choice(culture.given), rng.choice(culture.family)
    login = slug(to_ascii(first)[:1] + to_ascii(last)).replace("-", "")
    host = slug(rng.choice(words.company).split()[0]).replace("-", "")
    email = f"{slug(first)}.{slug(last)}@{host}.example"
    return {"name": f"{first} {last}", "first": first, "last": last, "email": email, "login": login}


def _person(generator: Generator, where: str) -> Draw:
    def draw(state: DrawState) -> dict[str, str]:
        for _ in range(_TRIES):
            person = draw_person(state.rng)
            marks = {f"{key}:{person[key]}" for key in ("first", "last", "login")}
            if not marks & state.used:
                state.used |= marks
                return person
        raise _bad(where, "needs more people than the name lists hold")

    return draw


def _table(generator: Generator, where: str) -> Draw:
    table = generator.table
    assert table is not None
    count = _count(table.rows, f"{where}.rows")
    columns = [
        (name, compile_generator(column, f"{where}.columns.{name}"), column.unique)
        for name, column in table.columns.items()
    ]

    def draw(state: DrawState) -> list[dict[str, Any]]:
        seen: dict[str, set[str]] = {name: set() for name, _, unique in columns if unique}
        rows = []
        for index in range(count(state)):
            row: dict[str, Any] = {}
            inner = DrawState(state.rng, {**state.scope, "index": index}, state.used)
            for name, column, unique in columns:
                row[name] = _unseen(inner, column, seen[name], f"{where}.{name}") if unique else column(inner)
                inner.scope[name] = row[name]
            rows.append(row)
        return rows

    return draw


def _unseen(state: DrawState, column: Draw, seen: set[str], where: str) -> Any:
    for _ in range(_TRIES):
        value = column(state)
        key = canonical_json(value)
        if key not in seen:
            seen.add(key)
            return value
    raise _bad(where, f"has no more than {len(seen)} different values, but must be unique in each row")


def _value(generator: Generator, where: str) -> Draw:
    render = compile_value(generator.value, where)
    return lambda state: render(state.scope)


_COMPILERS: Mapping[str, Callable[[Generator, str], Draw]] = {
    "choice": _choice,
    "sample": _sample,
    "integer": _integer,
    "decimal": _decimal,
    "person": _person,
    "date": _date,
    "time": _time,
    "code": _code,
    "boolean": _boolean,
    "word": _word,
    "table": _table,
    "value": _value,
}
