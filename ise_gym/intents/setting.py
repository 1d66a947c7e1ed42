"""The setting of an episode: which tools are offered, and what the system prompt says.

Offering just the tools that a scenario needs would tell an agent which to use, and one prompt everywhere teaches a
model that prompt. So both are drawn, apart from everything else: another setting changes no request, file or check.
``plain`` is the five default tools with what the tasks need, and the short prompt: for demonstrations and for lessons
of small models, to whom twenty tools cost about 1,700 tokens an episode more.
"""

from __future__ import annotations

import random
import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Literal

from ise_gym.builtin import KINDS as BUILT_IN
from ise_gym.errors import UserError
from ise_gym.foreign.values import Json
from ise_gym.messages import sha256_of
from ise_gym.resources import os_world, read_text
from ise_gym.scenario import DEFAULT_TOOLS
from ise_gym.seeds import derive_seed
from ise_gym.tasks.expressions import TextRender, compile_text
from ise_gym.tools import TOOLS
from ise_gym.workspace.base import SeedFile

Kind = Literal["plain", "varied"]
KINDS: tuple[Kind, ...] = ("plain", "varied")

PROMPTS = {"system_prompt": 3, "terse": 2, "rules": 2, "colleague": 2, "operator": 3}
"""Prompt → how often it is drawn, in twelfths. ``operator`` has the sections of assistants that run on their owner's
machine, with a list of skills that lie in the workspace."""

OWN_TOOLS = tuple(BUILT_IN["tool"])
"""What can be offered besides what a task names: not what happens to be installed, or draws would differ."""

OFFERS = {"all": 5, "more": 3, "needed": 2}
"""Whole tool set, what is needed among some others, only what is needed → how often, in tenths."""


@dataclass(frozen=True)
class Setting:
    """What an episode is played with.

    Attributes:
        tools: that are offered, in the order in which they are.
        prompt: the name of the system prompt, ``text``: itself.
        offer: how the tools were chosen (`OFFERS`).
        files: that the prompt speaks of.
    """

    tools: tuple[str, ...]
    prompt: str
    text: str
    offer: str
    files: tuple[SeedFile, ...] = ()

    def described(self) -> dict[str, str]:
        """Return what a scenario's metadata keeps of it."""
        return {"prompt": self.prompt, "prompt_sha256": sha256_of(self.text), "offer": self.offer}


def draw_setting(kind: Kind, needed: Sequence[str], *key: Json) -> Setting:
    """Draw a setting.

    Args:
        kind: ``plain`` or ``varied``.
        needed: tools of the tasks, besides the default ones.
        key: of the scenario; equal keys give equal settings.
    """
    least = tuple(dict.fromkeys([*DEFAULT_TOOLS, *needed]))
    if kind == "plain":
        return Setting(least, "system_prompt", prompt_text("system_prompt", least), "needed")
    rng = random.Random(derive_seed("setting", *key))
    offer = rng.choices(list(OFFERS), list(OFFERS.values()))[0]
    prompt = rng.choices(list(PROMPTS), list(PROMPTS.values()))[0]
    others = [name for name in OWN_TOOLS if name not in least]
    if offer == "more":
        others = rng.sample(others, rng.randint(min(1, len(others)), len(others)))
    chosen = {*least, *(() if offer == "needed" else others)}
    tools = (
        *(name for name in OWN_TOOLS if name in chosen),
        *(name for name in least if name not in OWN_TOOLS),
    )
    files = tuple(SeedFile(place, text.encode()) for place, text in skills()) if prompt == "operator" else ()
    return Setting(tools, prompt, prompt_text(prompt, tools), offer, files)


def prompt_text(name: str, tools: Sequence[str]) -> str:
    """Return a system prompt for the tools that are offered."""
    scope = {
        "tools": [{"name": tool, "summary": summary_of(tool)} for tool in tools],
        "names": list(tools),
        "skills": [_head(place, text) for place, text in skills()],
    }
    return _compiled(name)(scope).strip()


@lru_cache(maxsize=16)
def _compiled(name: str) -> TextRender:
    place = "os/system_prompt.txt" if name == "system_prompt" else f"os/prompts/{name}.txt"
    return compile_text(read_text(place), place)


@lru_cache(maxsize=64)
def summary_of(tool: str) -> str:
    """Return the first sentence of a tool's description, short enough for a list."""
    text = " ".join(TOOLS[tool].schema["function"]["description"].split())
    first = re.split(r"(?<=[.!?])\s", text, maxsplit=1)[0]
    return first if len(first) <= 120 else first[:117].rsplit(" ", 1)[0] + " …"


@lru_cache(maxsize=1)
def skills() -> tuple[tuple[str, str], ...]:
    """Return (path in the workspace, text) of each skill."""
    folder = os_world() / "prompts" / "skills"
    return tuple(
        (f"skills/{path.stem}/SKILL.md", path.read_text(encoding="utf-8"))
        for path in sorted(folder.glob("*.md"))
    )


def _head(place: str, text: str) -> dict[str, str]:
    found = dict(re.findall(r"^(name|description): (.+)$", text, re.MULTILINE))
    if len(found) != 2:
        raise UserError(f"{place}: a skill begins with its name and description")
    return {**found, "location": f"/workspace/{place}"}
