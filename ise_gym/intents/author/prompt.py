"""What the author is told, by version: a change of a word here is another version, and no kept answer is of it."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from ise_gym.intents.author.drawing import LANGUAGES, Wanted
from ise_gym.messages import Message, system, user

PROMPT_VERSION = 1
CHECKS = ("exists", "absent", "unchanged", "text", "json", "csv")
"""Checks of the catalog's language that an author may propose."""
WORDS: Mapping[str, tuple[int, int]] = {"simple": (20, 160), "medium": (45, 260), "complex": (70, 400)}
"""Complexity → words of the request, fewest and most (signs count half in Chinese)."""

_SYSTEM = (
    "You invent realistic work for an assistant that has a Linux computer with a shell, Python and files. You get a "
    "person, fields of work and some kinds of tasks as inspiration. Write one new request as this very person would "
    "type it to the assistant: in the first person, with the person's own situation, real names of files, concrete "
    "figures and inline data where they help, and everything that the assistant must know to do it. Do not copy the "
    "descriptions. All that the request needs must be in `files` (small, complete, plain text, relative paths below "
    "one folder) or in the request itself; there is no other file, no account and no internet. `deliverables` are the "
    "paths that shall exist afterwards and do not exist yet; the request names each. `rubric` is 4 to 8 points by "
    "which a careful reader accepts the result: what must hold, with the expected figures where they can be worked "
    "out from the files, and what must not happen. `checks` are machine checks of the result, as many as are certain, "
    "else none: "
    'objects such as {"exists": "out/a.csv"}, {"absent": "tmp.txt"}, {"unchanged": "in.csv"}, '
    '{"text": {"path": "out/a.md", "contains": ["total: 42"]}}, {"json": {"path": "out/a.json", "at": "total", '
    '"equals": 42}}, {"csv": {"path": "out/a.csv", "rows": [["id", "sum"], ["1", "9"]]}}. '
    "Answer with one JSON object and nothing else."
)

SCHEMA: Mapping[str, Any] = {
    "type": "object",
    "properties": {
        "request": {"type": "string"},
        "files": {
            "type": "array",
            "maxItems": 12,
            "items": {
                "type": "object",
                "properties": {"path": {"type": "string"}, "content": {"type": "string"}},
                "required": ["path", "content"],
                "additionalProperties": False,
            },
        },
        "deliverables": {"type": "array", "items": {"type": "string"}, "maxItems": 8},
        "rubric": {"type": "array", "items": {"type": "string"}, "minItems": 4, "maxItems": 8},
        "checks": {"type": "array", "items": {"type": "object"}, "maxItems": 12},
    },
    "required": ["request", "files", "deliverables", "rubric", "checks"],
    "additionalProperties": False,
}


def messages_for(item: Wanted) -> list[Message]:
    """Return the conversation that asks for one intent."""
    persona, (fewest, most) = item.persona, WORDS[item.complexity]
    material = {
        "person": {
            "name": persona.name,
            "role": persona.role,
            "industry": persona.industry,
            "expertise": list(persona.expertise),
            "experience": persona.experience_level,
            "style": persona.communication_style,
            "context": persona.work_context,
        },
        "fields": list(item.domains.values()),
        "inspiration": [f"{title}: {description}" for title, description in item.tasks.values()],
        "complexity": f"{item.complexity}: {len(item.tasks)} pieces of work that belong together"
        if len(item.tasks) > 1
        else f"{item.complexity}: one piece of work",
        "language of the request": LANGUAGES[item.language],
        "length of the request": f"{fewest} to {most} words, about {(fewest + most) // 2}",
        "number": item.seed,
    }
    return [system(_SYSTEM), user(json.dumps(material, ensure_ascii=False, indent=1))]
