"""The card of a selection: what was chosen out of what, by which rules, and how varied it is; and its datasheet.

Figures are computed from the store that was written, so the card can't disagree with it. The datasheet answers what
whoever trains on the set must know: where it comes from, what was left out, who acted, its licence.
"""

from __future__ import annotations

import json
import random
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from ise_gym.messages import sha256_of
from ise_gym.storage.atomic import replacing
from ise_gym.trajectory.exchange.card import Actors
from ise_gym.trajectory.select.choosing import Chosen
from ise_gym.trajectory.select.facts import Facts
from ise_gym.trajectory.select.rules import FOLDER, RULES, Selection
from ise_gym.trajectory.stats import ISETRACE, SHAPE, Stats
from ise_gym.trajectory.store import read_trajectories
from ise_gym.trajectory.tables import LABELS, figure, percent
from ise_gym.trajectory.text.variety import variety_rows
from ise_gym.trajectory.text.wording import assistant_side

Measure = Callable[[Sequence[str]], Mapping[str, Any]]
"""Texts → their Vendi score as JSON (``score``, ``n``, ``embedder``)."""

MEASURED = 1_000
"""Most texts that a Vendi score is taken of; more are drawn by the seed, and the card says of how many it is."""
LONGEST_MEASURED = 8_000


def make_card(
    source: str | Path,
    out: str | Path,
    rules: Selection,
    chosen: Chosen,
    facts: Sequence[Facts],
    *,
    license: str = "",
    measure: Measure | None = None,
) -> dict[str, Any]:
    """Compute the card of a selection that was written and put ``card.json`` and ``README.md`` beside it.

    Args:
        source: what was chosen from. ``out``: the store that `ise_gym.trajectory.select.run.select_store` wrote.
        rules, chosen, facts: of the same selection.
        license: identifier such as ``cc-by-4.0``; "" says on the datasheet that none was given.
        measure: takes a Vendi score of intents and of agent sides; None leaves both out.

    Returns:
        The card as JSON.
    """
    stats, actors = Stats(), Actors()
    intents: dict[str, str] = {}
    draw = random.Random(rules.seed)
    sides: list[str] = []
    for count, trajectory in enumerate(read_trajectories(out), 1):
        stats.add(trajectory)
        actors.add(trajectory)
        if measure is None:
            continue
        if len(sides) < MEASURED:
            sides.append(assistant_side(trajectory)[:LONGEST_MEASURED])
            intents[trajectory.scenario_id] = trajectory.intent
        elif (place := draw.randrange(count)) < MEASURED:  # a fair sample of a stream (reservoir)
            sides[place] = assistant_side(trajectory)[:LONGEST_MEASURED]
            intents[trajectory.scenario_id] = trajectory.intent
    card = {
        "source": Path(source).name,
        "license": license,
        "rules": json.loads(json.dumps(asdict(rules))),
        "episodes": {"seen": chosen.seen, "kept": len(chosen.kept)},
        "intents": {
            "seen": len({entry.intent for entry in facts}),
            "kept": len({entry.intent for entry in facts} & _kept_intents(facts, chosen)),
        },
        "fell": _fell(rules, chosen),
        "classes": _classes(facts, chosen),
        "figures": stats.summary(),
        "vendi": _vendi(list(intents.values())[:MEASURED], sides, measure),
        "facts_sha256": sha256_of(sorted(entry.line for entry in facts)),
    }
    folder = Path(out) / FOLDER
    with replacing(folder / "card.json") as file:
        file.write(json.dumps(card, indent=2, ensure_ascii=False).encode("utf-8", "backslashreplace") + b"\n")
    with replacing(folder / "README.md") as file:
        file.write(datasheet(card, actors).encode("utf-8", "backslashreplace"))
    return card


def _kept_intents(facts: Sequence[Facts], chosen: Chosen) -> set[str]:
    kept = set(chosen.kept)
    return {entry.intent for entry in facts if entry.id in kept}


def _fell(rules: Selection, chosen: Chosen) -> dict[str, dict[str, Any]]:
    first = chosen.by_rule()
    return {
        rule: {
            "on": rules.on(rule),
            "first": first[rule],
            "breaking": chosen.broken[rule],
            "alone": chosen.alone[rule],
        }
        for rule in RULES
    }


def _classes(facts: Sequence[Facts], chosen: Chosen) -> dict[str, dict[str, dict[str, int]]]:
    """Count classes of language, length and recovery before and after."""
    kept = set(chosen.kept)
    counted: dict[str, dict[str, dict[str, int]]] = {}
    readers: dict[str, Callable[[Facts], str]] = {
        "language": lambda e: e.language or "none",
        "length": lambda e: e.length,
        "recovered failure": lambda e: "yes" if e.recovered else "no",
    }
    for kind, of in readers.items():
        before = Counter(of(entry) for entry in facts)
        after = Counter(of(entry) for entry in facts if entry.id in kept)
        counted[kind] = {name: {"seen": before[name], "kept": after[name]} for name in sorted(before)}
    return counted


def _vendi(intents: Sequence[str], sides: Sequence[str], measure: Measure | None) -> dict[str, Any]:
    if measure is None or len(sides) < 2:
        return {}
    found = {"agent sides": dict(measure(sides))}
    return {"intents": dict(measure(intents)), **found} if len(intents) > 1 else found


def datasheet(card: Mapping[str, Any], actors: Actors) -> str:
    """Return the datasheet as Markdown.

    Source: its questions are a short form of Gebru et al., Datasheets for Datasets, arXiv 1803.09010.
    """
    episodes, figures = card["episodes"], card["figures"]
    license = card["license"]
    parts = [
        f"---\nlicense: {json.dumps(license)}\n---" if license else "",
        f"# Selection from {card['source']}",
        f"{episodes['kept']:,} of {episodes['seen']:,} episodes, {card['intents']['kept']:,} of "
        f"{card['intents']['seen']:,} intents. "
        + (
            f"Licence: {license}."
            if license
            else "No licence was given: whoever publishes it must choose one."
        ),
        "## What it is for\n\nSupervised training of agents that work in an operating system by tools, over several "
        "turns with a user. Every call was really executed; users are simulated and personas made up.",
        "## What was left out",
        _fell_table(card["fell"]),
        "*First*: episodes that fell to the rule, each counted once, at the first rule that it breaks. *Breaking*: all "
        "that break it. *Only*: those that no other rule would have left out. An episode that a checker can't fault "
        "may still be poor.",
        "## Shape",
        _shape(figures),
        "## Text and its variety",
        _variety(figures["variety"], card["vendi"]),
        "## Classes",
        _classes_table(card["classes"]),
        "## Who acted",
        _actors(actors),
    ]
    return "\n\n".join(part for part in parts if part) + "\n"


def _fell_table(fell: Mapping[str, Mapping[str, object]]) -> str:
    lines = ["| rule | asks that | first | breaking | only |", "|---|---|---|---|---|"]
    for rule, counts in fell.items():
        first = f"{counts['first']:,}" if counts["on"] else "off"
        lines.append(f"| {rule} | {RULES[rule]} | {first} | {counts['breaking']:,} | {counts['alone']:,} |")
    return "\n".join(lines)


def _shape(figures: Mapping[str, Any]) -> str:
    lines = ["| per episode | mean | median | most | ISETrace mean |", "|---|---|---|---|---|"]
    for name in SHAPE:
        d = figures["shape"][name]
        cells = (figure(d["mean"], 2), figure(d["median"]), figure(d["max"]), figure(ISETRACE[name], 2))
        lines.append(f"| {LABELS[name]} | {' | '.join(cells)} |")
    return "\n".join(lines)


def _variety(variety: Mapping[str, object], vendi: Mapping[str, Any]) -> str:
    lines = ["| | here | distinct |", "|---|---|---|"]
    lines += [f"| {label} | {shown[0]} | {shown[1]} |" for label, shown in variety_rows(variety)]
    for kind, score in vendi.items():
        lines.append(f"| Vendi of {kind} | {score['score']:.2f} | n = {score['n']:,}, {score['embedder']} |")
    return "\n".join(lines)


def _classes_table(classes: Mapping[str, Mapping[str, Mapping[str, int]]]) -> str:
    lines = ["| | seen | kept | share |", "|---|---|---|---|"]
    for kind, names in classes.items():
        total = sum(counts["kept"] for counts in names.values())
        for name, counts in names.items():
            share = percent(counts["kept"] / total if total else None)
            lines.append(f"| {kind}: {name} | {counts['seen']:,} | {counts['kept']:,} | {share} |")
    return "\n".join(lines)


def _actors(actors: Actors) -> str:
    lines = ["| part | episodes |", "|---|---|"]
    for part, counter in (("agent", actors.agents), ("user", actors.users), ("workspace", actors.backends)):
        lines += [f"| {part} `{name}` | {count:,} |" for name, count in counter.most_common()]
    return "\n".join(lines)
