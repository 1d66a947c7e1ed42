"""Expands the persona catalog: who the users are (the P of an intent).

The catalog is factored (names × places, industries → roles → levels, registers → styles), so that a thousand people
come from files that a person can read. What does not go together is excluded by constraint: a role belongs to one
industry and has a range of levels, a style belongs to a register and may ask for a level or a kind of work.
"""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Iterator
from functools import lru_cache
from pathlib import Path
from typing import Any

from ise_gym.errors import UserError, nearest
from ise_gym.foreign.values import Json
from ise_gym.personas.data import (
    Catalog,
    Family,
    Habits,
    Industry,
    Locale,
    Names,
    Role,
    Style,
    Styles,
    personas_dir,
    validated,
)
from ise_gym.scenario import Persona, Register

_BANKS = {"greet": "greetings", "sign": "signoffs", "hedge": "hedges", "fill": "fillers", "emoji": "emoji"}
_TRAITS = ("length", "polite", "jargon", "case", "stop", "contract")


@lru_cache(maxsize=4)
def load_personas(folder: Path | None = None) -> tuple[Persona, ...]:
    """Return every persona of the catalog, always the same ones in the same order.

    Args:
        folder: the catalog; ``envs/os/personas`` by default.

    Raises:
        UserError: a file of the catalog is missing or wrong (names the file and the key).
    """
    return tuple(PersonaCatalog(folder or personas_dir()).expand())


class PersonaCatalog:
    """The catalog's files, checked against each other.

    Attributes:
        levels: experience levels, least first.
        families: families of industries by name.
        styles: (register, name, style) of each style; ``habits``: what styles refer to.
    """

    def __init__(self, folder: Path) -> None:
        """Read the catalog in ``folder``."""
        self.folder = folder
        self.catalog = validated(folder / "catalog.yaml", Catalog)
        self.locales = validated(folder / "names.yaml", Names).locales
        self.habits = validated(folder / "habits.yaml", Habits)
        files = sorted((folder / "industries").glob("*.yaml"))
        if not files:
            raise UserError(f"{folder / 'industries'} has no YAML file: a catalog needs industries")
        self.families = {file.stem: validated(file, Family) for file in files}
        styles = validated(folder / "styles.yaml", Styles)
        self.defaults = styles.defaults
        self.styles = [
            (r, name, style) for r, named in styles.styles.items() for name, style in named.items()
        ]
        self.levels = self.catalog.levels
        self._fits: dict[tuple[str, int, str], list[str]] = {}
        self._check()

    def _check(self) -> None:
        seen: dict[str, str] = {}
        keys = {locale.key for locale in self.locales}
        for family, data in self.families.items():
            file = self.folder / "industries" / f"{family}.yaml"
            for industry, content in data.industries.items():
                for role, entry in content.roles.items():
                    key = f"industries.{industry}.roles.{role}"
                    self._range(entry.levels, f"{file}: {key}.levels")
                    for land in entry.lands:
                        if land not in keys:
                            raise UserError(
                                f"{file}: {key}.lands: names.yaml has no {land!r}.{nearest(land, keys)}"
                            )
                    if role in seen:
                        raise UserError(
                            f"{file}: {key}: the role is already in {seen[role]}; role names are unique"
                        )
                    seen[role] = industry
        for register, name, style in self.styles:
            where = f"{self.folder / 'styles.yaml'}: styles.{register}.{name}"
            if style.levels:
                self._range(style.levels, f"{where}.levels")
            for family in style.families:
                if family not in self.families:
                    raise UserError(
                        f"{where}.families: no family {family!r}.{nearest(family, self.families)}"
                    )
            for trait, bank in _BANKS.items():
                habit, known = getattr(style, trait), getattr(self.habits, bank)
                if habit and habit not in known:
                    raise UserError(
                        f"{where}.{trait}: habits.yaml has no {bank} {habit!r}.{nearest(habit, known)}"
                    )

    def _range(self, text: str, where: str) -> tuple[int, int]:
        low, high = text.split("-")
        for level in (low, high):
            if level not in self.levels:
                raise UserError(f"{where}: no level {level!r}.{nearest(level, self.levels)}")
        first, last = self.levels.index(low), self.levels.index(high)
        if first > last:
            raise UserError(f"{where}: {text!r} runs backwards; write the lower level first")
        return first, last

    def voice(self, register: Register, style: Style) -> dict[str, Any]:
        """Return a style's traits as plain data: habits spelled out, defaults of the register filled in."""
        default = self.defaults[register]
        traits: dict[str, Any] = {t: getattr(style, t) or getattr(default, t) for t in _TRAITS}
        for trait, bank in _BANKS.items():
            name = getattr(style, trait)
            traits[trait] = getattr(self.habits, bank)[name].model_dump() if name else None
        return traits

    def expand(self) -> Iterator[Persona]:
        """Yield the personas: ``personas_per_role`` for each role, styles and places used evenly."""
        voices = {name: self.voice(register, style) for register, name, style in self.styles}
        used: Counter[str] = Counter()
        taken: set[str] = set()
        roles = [
            (family, industry, role)
            for family, data in self.families.items()
            for industry, content in data.industries.items()
            for role in content.roles
        ]
        for turn in range(self.catalog.personas_per_role):
            for family, industry, role in roles:
                rng = random.Random(f"{industry}/{role}/{turn}")
                place = self.families[family].industries[industry]
                entry = place.roles[role]
                low, high = self._range(entry.levels, role)
                level = self.levels[low + (turn + rng.randrange(2)) % (high - low + 1)]
                register = self._register(family, level, turn, rng)
                style = self._style(family, level, register, used, rng)
                used[style] += 1
                person = self._person(rng, place, entry, taken)
                yield self._persona(
                    person, place, industry, role, entry, level, register, style, voices[style], rng
                )

    def _register(self, family: str, level: str, turn: int, rng: random.Random) -> Register:
        weights = Counter(self.families[family].registers)
        weights.update(self.catalog.level_registers.get(level, {}))
        names = sorted(weights)
        chosen: Register = rng.choices(names, [weights[n] for n in names])[0]
        return chosen

    def _style(self, family: str, level: str, register: str, used: Counter[str], rng: random.Random) -> str:
        rank = self.levels.index(level)
        fitting = self._fitting(family, rank, register)
        if not fitting:
            raise UserError(
                f"{self.folder / 'styles.yaml'}: styles.{register} has no style for level {level!r} "
                f"in {family!r}: add one without `levels` and `families`"
            )
        least = min(used[n] for n in fitting)
        return rng.choice([n for n in fitting if used[n] <= least + 1])

    def _fitting(self, family: str, rank: int, register: str) -> list[str]:
        key = (family, rank, register)
        if key not in self._fits:
            self._fits[key] = []
            for owner, name, style in self.styles:
                low, high = self._range(style.levels, name) if style.levels else (0, len(self.levels) - 1)
                if (
                    owner == register
                    and low <= rank <= high
                    and (not style.families or family in style.families)
                ):
                    self._fits[key].append(name)
        return self._fits[key]

    def _person(
        self, rng: random.Random, place: Industry, entry: Role, taken: set[str]
    ) -> tuple[str, str, str, Locale]:
        """Draw a person not yet taken: full name, given name, family name, locale."""
        coastal = all("<port>" in s for s in entry.at or place.settings)
        locales = self._lands(entry, coastal)
        for _ in range(500):
            locale = rng.choice(locales)
            people = rng.choice(locale.people)
            given, family = rng.choice(people.given), rng.choice(people.family) if people.family else ""
            parts = (family, given) if locale.order == "family-first" else (given, family)
            name = " ".join(p for p in parts if p)
            if name not in taken:
                taken.add(name)
                return name, given, family, locale
        raise UserError(f"{self.folder / 'names.yaml'}: too few names for this many personas; add names")

    def _lands(self, entry: Role, coastal: bool) -> list[Locale]:
        lands = [loc for loc in self.locales if not entry.lands or loc.key in entry.lands]
        return [loc for loc in lands if loc.ports or not coastal]

    def _persona(
        self,
        person: tuple[str, str, str, Locale],
        place: Industry,
        industry: str,
        role: str,
        entry: Role,
        level: str,
        register: Register,
        style: str,
        voice: dict[str, Json],
        rng: random.Random,
    ) -> Persona:
        name, given, family, home = person
        settings = entry.at or place.settings
        setting = rng.choice([s for s in settings if "<port>" not in s or home.ports] or settings)
        lives = home
        if rng.randrange(self.catalog.moved_one_in) == 0 or ("<port>" in setting and not home.ports):
            lives = rng.choice(self._lands(entry, coastal="<port>" in setting))
        city = rng.choice(lives.ports if "<port>" in setting else lives.cities + lives.ports)
        where = setting.replace("<city>", city).replace("<port>", city)
        situation = rng.choice(entry.amid or place.situations)
        return Persona(
            name=name,
            role=role,
            industry=industry,
            expertise=entry.knows,
            experience_level=level,
            communication_style=style,
            work_context=f"The job is to {entry.does} at {where}; {situation}.",
            register=register,
            voice={
                **voice,
                "given": given,
                "family": family,
                "place": city,
                "about": f"I {entry.does} at {where}",
                "situation": situation,
            },
        )
