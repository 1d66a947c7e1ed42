"""A page to read a selection on: its figures, some of what was kept, and some of what fell to each rule.

Rules are only as good as what they drop, so whoever trusts one should read a few of its victims: they stand here
beside the words for which they fell.
"""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from importlib import resources
from pathlib import Path
from typing import Any

import jinja2
from markupsafe import Markup

from ise_gym.storage.atomic import replacing
from ise_gym.trajectory.record import Trajectory
from ise_gym.trajectory.select.rules import FOLDER, RULES
from ise_gym.trajectory.store import read_trajectories
from ise_gym.trajectory.tables import figure, percent
from ise_gym.trajectory.text.variety import variety_rows
from ise_gym.view.write import style_sheet

LONGEST_SHOWN = 1_500
"""Characters of one message on the page."""
MESSAGES_SHOWN = 120


def write_selection(
    path: str | Path, source: str | Path, out: str | Path, card: Mapping[str, Any], *, most: int = 40
) -> Path:
    """Write the preview of a selection as one page that needs nothing else.

    Args:
        path: the file; replaced whole or not at all.
        source: what was chosen from. ``out``: what `ise_gym.trajectory.select.run.select_store` wrote.
        card: of the selection.
        most: most episodes that are shown, half of them kept ones.

    Returns:
        The path.

    Raises:
        UserError: a bad store or an unwritable file.
    """
    half = max(most // 2, 1)
    fallen = _fallen(Path(out) / FOLDER / "fell.jsonl", half)
    kept = [_shown(t, "") for t, _ in zip(read_trajectories(out), range(half), strict=False)]
    victims = [
        _shown(t, fallen[t.episode_id]) for t in _only(read_trajectories(source), set(fallen)) if fallen
    ]
    style = style_sheet()
    template = (resources.files("ise_gym.view") / "page" / "selection.html.j2").read_text(encoding="utf-8")
    environment = jinja2.Environment(
        autoescape=True, undefined=jinja2.StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    environment.filters.update(percent=percent, figure=figure)
    html = environment.from_string(template).render(
        card=card,
        asks=RULES,
        variety=variety_rows(card["figures"]["variety"]),
        parts=[
            ("kept", "Some that were kept", kept),
            ("fell", "Some that fell", sorted(victims, key=lambda v: v["why"])),
        ],
        style=Markup(style),
        csp="default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'",
    )
    with replacing(path) as file:
        file.write(html.encode("utf-8", "backslashreplace"))
    return Path(path)


def _fallen(path: Path, most: int) -> dict[str, str]:
    """Choose whom to show, in turn from each rule: id → rule and why."""
    by_rule: dict[str, list[tuple[str, str]]] = defaultdict(list)
    with path.open(encoding="utf-8") as file:
        for line in file:
            entry = json.loads(line)
            if len(own := by_rule[entry["rule"]]) < most:
                own.append((entry["episode_id"], f"{entry['rule']}: {entry['why']}"))
    found: dict[str, str] = {}
    for place in range(most):
        for own in by_rule.values():
            if place < len(own) and len(found) < most:
                found[own[place][0]] = own[place][1]
    return found


def _only(trajectories: Iterable[Trajectory], wanted: set[str]) -> Iterator[Trajectory]:
    for trajectory in trajectories:
        if not wanted:
            return
        if trajectory.episode_id in wanted:
            wanted.discard(trajectory.episode_id)
            yield trajectory


def _shown(trajectory: Trajectory, why: str) -> dict[str, Any]:
    return {
        "id": trajectory.episode_id,
        "tasks": ", ".join(trajectory.tasks) or trajectory.complexity,
        "why": why,
        "messages": [
            _message(index, message)
            for index, message in enumerate(trajectory.messages[:MESSAGES_SHOWN])
            if message["role"] != "system"
        ],
    }


def _message(index: int, message: Mapping[str, Any]) -> dict[str, Any]:
    failed = message.get("success") is False
    parts = [str(message.get("reasoning_content") or ""), str(message.get("content") or "")]
    parts += [
        f"→ {call['function']['name']} {call['function']['arguments']}"
        for call in message.get("tool_calls") or ()
    ]
    text = "\n".join(part for part in parts if part)
    return {
        "index": index,
        "kind": "failed" if failed else message["role"],
        "label": " ".join(
            str(w) for w in (message["role"], message.get("name") or "", "failed" if failed else "") if w
        ),
        "text": text if len(text) <= LONGEST_SHOWN else text[: LONGEST_SHOWN - 1] + "…",
    }
