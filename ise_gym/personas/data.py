"""The persona catalog's files, validated: every mistake in them is named by file and key."""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path
from typing import Annotated, Any, Literal, TypeVar

import yaml
from pydantic import BaseModel, ConfigDict, Field, RootModel, StringConstraints, ValidationError

from ise_gym.errors import UserError
from ise_gym.resources import os_world
from ise_gym.scenario import Register

_Model = TypeVar("_Model", bound=BaseModel)
Text = Annotated[str, StringConstraints(min_length=1, strip_whitespace=True)]
Form = Annotated[str, StringConstraints(min_length=1)]
Introduction = Annotated[str, StringConstraints(pattern=r"^([^{}]|\{(about|situation|Situation|role)\})+$")]
Chance = Annotated[float, Field(ge=0, le=1)]


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Catalog(_Strict):
    """``catalog.yaml``: the levels and how many personas to make."""

    levels: tuple[Text, ...] = Field(min_length=2)
    personas_per_role: int = Field(ge=1, le=50)
    moved_one_in: int = Field(ge=1)
    level_registers: dict[Text, dict[Register, int]]


class People(_Strict):
    """Names that go together; without ``family`` the given name is the whole name."""

    given: tuple[Text, ...] = Field(min_length=1)
    family: tuple[Text, ...] = ()


class Locale(_Strict):
    """Names and places of one part of the world."""

    key: Text
    order: Literal["given-first", "family-first"] = "given-first"
    people: tuple[People, ...] = Field(min_length=1)
    cities: tuple[Text, ...] = Field(min_length=1)
    ports: tuple[Text, ...] = ()


class Names(_Strict):
    """``names.yaml``."""

    locales: tuple[Locale, ...] = Field(min_length=1)


class Role(_Strict):
    """One role: the range of levels it has, what it does (base form), what it knows.

    ``at`` and ``amid`` replace the industry's settings and situations where those would not fit; ``lands`` are the
    locales where such work exists (everywhere without it).
    """

    levels: Annotated[str, StringConstraints(pattern=r"^[a-z]+-[a-z]+$")]
    does: Text
    knows: tuple[Text, ...] = Field(min_length=2)
    at: tuple[Text, ...] = ()
    amid: tuple[Text, ...] = ()
    lands: tuple[Text, ...] = ()


class Industry(_Strict):
    """Where its people work (``<city>``, ``<port>``), what is going on there, and its roles."""

    settings: tuple[Text, ...] = Field(min_length=1)
    situations: tuple[Text, ...] = Field(min_length=1)
    roles: dict[Text, Role] = Field(min_length=1)


class Family(_Strict):
    """One file of ``industries/``: related industries and how their people tend to write."""

    registers: dict[Register, int]
    industries: dict[Text, Industry] = Field(min_length=1)


class Style(_Strict):
    """A communication style: names of habits, traits, and who may have it."""

    levels: Annotated[str, StringConstraints(pattern=r"^[a-z]+-[a-z]+$")] = ""
    families: tuple[Text, ...] = ()
    greet: str = ""
    sign: str = ""
    hedge: str = ""
    fill: str = ""
    emoji: str = ""
    length: Literal["short", "medium", "long"] | None = None
    polite: Literal["blunt", "plain", "polite", "courtly"] | None = None
    jargon: Literal["low", "mid", "high"] | None = None
    case: Literal["lower", "sentence", "keep"] | None = None
    stop: Literal["keep", "drop", "exclaim"] | None = None
    contract: Literal["keep", "always", "never"] | None = None


class Styles(_Strict):
    """``styles.yaml``: each register's default traits, and its styles by name."""

    defaults: dict[Register, Style]
    styles: dict[Register, dict[Text, Style]]


_Whole = Annotated[str, StringConstraints(pattern=r"^[^{}]+ \{all\}[.?]$")]
_Step = Annotated[str, StringConstraints(pattern=r"^[^{}]+ \{ask\}[.?]$")]
_After = Annotated[str, StringConstraints(pattern=r"^([^{}]|\{(about|situation|Situation)\})+\.$")]


class BriefForms(_Strict):
    """How one register says what is wanted: one sentence, several, a list; and a story that comes last."""

    whole: tuple[_Whole, ...] = Field(min_length=2)
    first: tuple[_Step, ...] = Field(min_length=2)
    next: tuple[_Step, ...] = Field(min_length=2)
    last: tuple[_Step, ...] = Field(min_length=2)
    leads: tuple[Text, ...] = Field(min_length=2)
    after: tuple[_After, ...] = Field(min_length=2)


class _Briefs(RootModel[dict[Register, BriefForms]]):
    """``briefs.yaml``."""


class Habit(_Strict):
    """Forms of one habit, and how often somebody with the habit shows it."""

    chance: Chance
    forms: tuple[Form, ...] = Field(min_length=2)


class Hedge(_Strict):
    """A hedge may run on into the request, end it, or stand alone."""

    chance: Chance
    before: tuple[Form, ...] = Field(min_length=1)
    after: tuple[Form, ...] = Field(min_length=1)
    alone: tuple[Form, ...] = Field(min_length=1)


class Habits(_Strict):
    """``habits.yaml``."""

    greetings: dict[Text, Habit]
    signoffs: dict[Text, Habit]
    hedges: dict[Text, Hedge]
    fillers: dict[Text, Habit]
    emoji: dict[Text, Habit]
    introductions: dict[Register, tuple[Introduction, ...]]
    jargon: dict[Text, Text]
    naming: Text
    contractions: dict[Text, Text]


class WordLists(_Strict):
    """``words.yaml``."""

    verbs: Text
    starts: Text
    commands: Text


def read_yaml(path: Path) -> Any:
    """Parse a YAML file with the fast loader where it exists.

    Raises:
        UserError: the file is missing or is not YAML.
    """
    loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
    try:
        with path.open(encoding="utf-8") as file:
            return yaml.load(file, Loader=loader)
    except OSError as error:
        raise UserError(f"cannot read {path}: {error.strerror or error}") from None
    except yaml.YAMLError as error:
        raise UserError(f"{path} is not valid YAML: {' '.join(str(error).split())}") from None


def validated(path: Path, model: type[_Model]) -> _Model:
    """Read a YAML file into a model.

    Raises:
        UserError: naming the file, the key of the first mistake, and what is wrong with it.
    """
    try:
        return model.model_validate(read_yaml(path))
    except ValidationError as error:
        first = error.errors()[0]
        key = ".".join(str(part) for part in first["loc"]) or "(top level)"
        more = f" (and {error.error_count() - 1} more)" if error.error_count() > 1 else ""
        raise UserError(f"{path}: {key}: {first['msg']}{more}") from None


def personas_dir() -> Path:
    """Return ``envs/os/personas``."""
    return os_world() / "personas"


@lru_cache(maxsize=1)
def load_habits() -> Habits:
    """Return the habits of all styles."""
    return validated(personas_dir() / "habits.yaml", Habits)


@lru_cache(maxsize=1)
def load_words() -> WordLists:
    """Return the words that voices may re-case."""
    return validated(personas_dir() / "words.yaml", WordLists)


@lru_cache(maxsize=1)
def load_brief_forms() -> dict[Register, BriefForms]:
    """Return how each register words a brief."""
    return validated(personas_dir() / "briefs.yaml", _Briefs).root
