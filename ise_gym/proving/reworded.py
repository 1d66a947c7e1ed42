"""Plays reworded intents with the scripted expert: words that even the expert can't work from are given up.

The expert finds out what is asked from the conversation alone, so a wording that lost what it needs fails here.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

from ise_gym.intents.lines import IntentFileSource, IntentLine, carried
from ise_gym.messages import canonical_json
from ise_gym.storage.atomic import replacing


def give_up_unplayable(
    path: Path, on_progress: Callable[[int, int], None] | None = None, agent: str = "expert"
) -> tuple[int, list[str]]:
    """Play every line that a model worded; where the agent does not pass, put the catalog's own words back.

    Args:
        path: what ``ise intents realise`` wrote; rewritten whole, or not at all.
        on_progress: called with (played, all).
        agent: who plays.

    Returns:
        How many were played, and the ids of those given up.
    """
    import gymnasium as gym

    import ise_gym  # noqa: F401
    from ise_gym.agents import make_agent
    from ise_gym.rollout.play import play_episode

    source = IntentFileSource(path)
    env, player = gym.make("ISE-OS-v0"), make_agent(agent)
    failed: list[str] = []
    played = 0
    try:
        for place in range(len(source)):
            line, _ = source.entry(place)
            if line.utterances and line.realiser.get("origin") == "model":
                played += 1
                if play_episode(env, player, source.scenario(place), place).outcome != "passed":
                    failed.append(line.id)
            if on_progress is not None:
                on_progress(place + 1, len(source))
    finally:
        env.close()
        player.close()
    if failed:
        _put_back(path, source, set(failed))
    return played, failed


def _put_back(path: Path, source: IntentFileSource, failed: set[str]) -> None:
    lines: list[dict[str, Any]] = [
        json.loads(text) for text in path.read_text(encoding="utf-8").splitlines() if text
    ]
    with replacing(path) as file:
        for place, line in enumerate(lines):
            if line["id"] in failed:
                own, intent = source.entry(place)
                line = {
                    **line,
                    "whole": intent.text,
                    "utterances": list(intent.utterances),
                    "realiser": {**line["realiser"], "origin": "template", "given_up": "the expert failed"},
                }
                if own.scenario:  # it has to say what the line says now
                    line["scenario"] = carried(source.drawn(IntentLine.model_validate(line), intent))
            file.write((canonical_json(line) + "\n").encode())
