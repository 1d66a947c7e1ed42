"""The catalog holds what it promises, fits together, and says where it is wrong."""

import json
import os
import random
import shutil
import subprocess
import sys
import time
from collections import Counter
from dataclasses import fields
from pathlib import Path

import pytest

from ise_gym.errors import UserError
from ise_gym.personas.catalog import PersonaCatalog, load_personas
from ise_gym.personas.data import personas_dir
from ise_gym.personas.voice import introduce, voice_problems

PERSONAS = load_personas()
CATALOG = PersonaCatalog(personas_dir())


def test_the_catalog_is_at_least_as_large_as_the_papers() -> None:
    assert len(PERSONAS) >= 1000
    assert len({p.industry for p in PERSONAS}) >= 47
    assert len({p.role for p in PERSONAS}) >= 542
    assert len({p.experience_level for p in PERSONAS}) == 6
    assert len({p.communication_style for p in PERSONAS}) >= 120
    assert len({p.name for p in PERSONAS}) == len(PERSONAS)


def test_every_register_and_every_style_is_used_evenly_enough() -> None:
    registers = Counter(p.register for p in PERSONAS)
    assert set(registers) == {"casual", "collaborative", "analytical", "formal"}
    assert min(registers.values()) > 0.12 * len(PERSONAS)
    styles = Counter(p.communication_style for p in PERSONAS)
    assert max(styles.values()) <= 0.03 * len(PERSONAS)


def test_role_belongs_to_its_industry_and_level_fits_the_role() -> None:
    roles = {
        (industry, role): entry
        for family in CATALOG.families.values()
        for industry, content in family.industries.items()
        for role, entry in content.roles.items()
    }
    for p in PERSONAS:
        entry = roles[p.industry, p.role]
        low, high = (CATALOG.levels.index(level) for level in entry.levels.split("-"))
        assert low <= CATALOG.levels.index(p.experience_level) <= high, p
        assert p.expertise == entry.knows


def test_nobody_who_leads_is_an_intern_and_no_intern_leads() -> None:
    for p in PERSONAS:
        if any(
            word in p.role for word in ("Chief Officer", "Director of", "Owner", "Vice President", "Founder")
        ):
            assert p.experience_level not in ("intern", "junior") or p.role == "Food Truck Owner", p
        if "Intern" in p.role.split() or "Trainee" in p.role.split():
            assert p.experience_level in ("intern", "junior"), p


def test_style_fits_register_level_and_kind_of_work() -> None:
    family_of = {i: name for name, family in CATALOG.families.items() for i in family.industries}
    styles = {name: (register, style) for register, name, style in CATALOG.styles}
    for p in PERSONAS:
        register, style = styles[p.communication_style]
        assert register == p.register
        assert not style.families or family_of[p.industry] in style.families
        if style.levels:
            low, high = (CATALOG.levels.index(level) for level in style.levels.split("-"))
            assert low <= CATALOG.levels.index(p.experience_level) <= high


def test_no_two_styles_have_the_same_voice() -> None:
    voices = [(register, repr(CATALOG.voice(register, style))) for register, _, style in CATALOG.styles]
    assert len(set(voices)) == len(voices)


def test_names_and_places_come_from_the_whole_world() -> None:
    used = {place for p in PERSONAS if (place := p.voice["place"])}
    known = [set(loc.cities + loc.ports) for loc in CATALOG.locales]
    assert len(CATALOG.locales) >= 60
    assert all(used & places for places in known)
    family_first = [p for p in PERSONAS if p.name.startswith(p.voice["family"] + " ") and p.voice["family"]]
    assert any(p.voice["family"] in ("Zhang", "Nguyễn", "Kim", "Szabó", "Tanaka") for p in family_first)
    mononyms = [p for p in PERSONAS if not p.voice["family"]]
    assert all(p.name == p.voice["given"] for p in mononyms) and mononyms
    assert sum(not p.name.isascii() for p in PERSONAS) > 200


def test_place_bound_work_lies_at_the_water() -> None:
    ports = {port for loc in CATALOG.locales for port in loc.ports}
    docks = [p for p in PERSONAS if p.industry in ("Shipping & Ports", "Fisheries & Aquaculture")]
    assert len(docks) > 40
    assert all(p.voice["place"] in ports for p in docks)


def test_work_exists_where_it_is_done() -> None:
    places = {loc.key: set(loc.cities + loc.ports) for loc in CATALOG.locales}
    bound = {
        role: set().union(*(places[land] for land in entry.lands))
        for family in CATALOG.families.values()
        for content in family.industries.values()
        for role, entry in content.roles.items()
        if entry.lands
    }
    assert len(bound) >= 15
    assert all(p.voice["place"] in bound[p.role] for p in PERSONAS if p.role in bound)


def test_stories_read_well() -> None:
    for p in PERSONAS:
        assert voice_problems(p.work_context) == [], p.work_context
        assert p.voice["place"] in p.work_context and "<" not in p.work_context
        said = introduce(p, random.Random(p.name))
        assert said and voice_problems(said) == [], said
    assert len({p.work_context for p in PERSONAS}) > 0.99 * len(PERSONAS)


def test_loading_is_cached_deterministic_and_fast() -> None:
    assert load_personas() is load_personas()
    best = 9.0
    for _ in range(4):
        start = time.process_time()
        again = tuple(PersonaCatalog(personas_dir()).expand())
        best = min(best, time.process_time() - start)
    assert again == PERSONAS
    assert best < 0.3, f"{best:.2f} s"


def test_the_same_in_another_process() -> None:
    code = (
        "import hashlib; from ise_gym.personas.catalog import load_personas as l;"
        "print(hashlib.sha256(repr(l()).encode()).hexdigest())"
    )
    digests = {
        subprocess.run(
            [sys.executable, "-c", code],
            env={**os.environ, "PYTHONHASHSEED": seed, "PYTHONPATH": os.pathsep.join(sys.path)},
            capture_output=True,
            text=True,
            check=True,
        ).stdout
        for seed in ("1", "2")
    }
    assert len(digests) == 1


MISTAKES = [
    (
        "industries/finance.yaml",
        "levels: senior-principal",
        "levels: senior-boss",
        ["roles.Branch Manager.levels", "'boss'"],
    ),
    ("industries/finance.yaml", "levels: senior-principal", "levels: principal-senior", ["runs backwards"]),
    ("industries/finance.yaml", "does: run the branch", "doez: run the branch", ["Branch Manager", "doe"]),
    (
        "industries/finance.yaml",
        "Bank Trainee:",
        "Claims Adjuster:",
        ["Claims Adjuster", "already in Retail Banking"],
    ),
    ("industries/finance.yaml", "registers: {", "registers: {rude: 3, ", ["registers.rude"]),
    (
        "styles.yaml",
        "greet: hey,",
        "greet: hej,",
        ["styles.casual.breezy teammate.greet", "'hej'", "Did you mean 'hey'?"],
    ),
    (
        "styles.yaml",
        "families: [technology, creative]",
        "families: [technologie]",
        ["Did you mean 'technology'?"],
    ),
    (
        "styles.yaml",
        "length: short, stop: drop, polite: blunt",
        "length: tiny",
        ["thumb typist.length", "'short'"],
    ),
    ("habits.yaml", "chance: 0.7", "chance: 7", ["greetings.hey.chance", "less than or equal to 1"]),
    ("catalog.yaml", "personas_per_role: 2", "personas_per_role: 50", ["names.yaml", "too few names"]),
    ("catalog.yaml", "personas_per_role: 2", "personas_per_role: 0", ["personas_per_role"]),
    ("industries/land.yaml", "lands: [br,", "lands: [bra,", ["Coffee Quality Grader.lands", "no 'bra'"]),
    ("names.yaml", "locales:", "locales: [", ["names.yaml", "not valid YAML"]),
]


@pytest.mark.parametrize(("file", "old", "new", "expected"), MISTAKES)
def test_a_mistake_is_named_by_file_and_key(
    tmp_path: Path, file: str, old: str, new: str, expected: list[str]
) -> None:
    folder = tmp_path / "personas"
    shutil.copytree(personas_dir(), folder)
    text = (folder / file).read_text(encoding="utf-8")
    assert old in text
    (folder / file).write_text(text.replace(old, new, 1), encoding="utf-8")
    with pytest.raises(UserError) as caught:
        load_personas(folder)
    message = str(caught.value)
    assert ".yaml" in message and "\n" not in message
    for part in expected:
        assert part in message


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"catalog\.yaml"):
        load_personas(tmp_path)


def test_a_persona_as_json_holds_every_field_in_order() -> None:
    persona = load_personas()[0]
    data = persona.to_json()
    assert list(data) == [field.name for field in fields(persona)]
    assert json.loads(json.dumps(data)) == data and data["expertise"] == list(persona.expertise)
    assert data["voice"]["about"] == persona.voice["about"]
    assert {**persona.to_json(voice=False), "voice": data["voice"]} == data
