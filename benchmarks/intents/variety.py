"""How varied the scripted expert's episodes are: sentences, replies, plans; and how well people and work fit.

python benchmarks/intents/variety.py [--count 3000] [--setting plain|varied]

Sentences and replies are counted with all that was drawn masked (parameters, paths, figures, quotations), so that the
same phrase about another file is one. A plan's skeleton is its tools in order, shell commands by their program; it is
counted whole, and without calls that only look. ``plain`` gives the plans as the task files have them.
"""

from __future__ import annotations

import argparse
import json
import re
import shlex
from collections import Counter
from collections.abc import Iterator, Mapping
from typing import Any

from ise_gym.intents.executable import executable
from ise_gym.intents.source import IntentSource
from ise_gym.personas.affinity import load_affinity
from ise_gym.proving.knowledge.seen import flat
from ise_gym.scenario import PlanStep

_DETAIL = re.compile(
    r"\"[^\"]*\"|`[^`]*`|'[^'\s][^']*'|https?://\S+|[\w.+-]+@[\w.-]+|[\w.@-]*[/_][\w./@-]*|[\w-]+\.\w+|\d[\d.,:]*"
)
_SENTENCE = re.compile(r"(?<=[.!?:])\s+|\n+")
_LOOKS = frozenset(
    ["ls", "cat", "head", "tail", "grep", "find", "wc", "diff", "cmp", "sort", "cut", "awk", "file", "stat", "od",
     "curl", "sed", "jq", "echo", "test", "du"]
)  # fmt: skip
_LOOKING_TOOLS = frozenset(
    ["read", "memory_search", "memory_get", "web_search", "web_fetch", "session_status", "update_plan", "sessions_list",
     "sessions_history", "subagents"]
)  # fmt: skip


def masked(text: str, drawn: list[str]) -> str:
    """Return a text without what was drawn for it."""
    for value in drawn:
        if value in text:
            text = text.replace(value, "#")
    text = _DETAIL.sub("#", text)
    return re.sub(r"#(?:[\s,]*(?:and |or )?#)+", "#", text).strip().lower()


def drawn_values(parameters: Mapping[str, Any]) -> list[str]:
    """Return the drawn words of a task, the longest first."""
    values = {
        text for value in parameters.values() for text in flat(value) if len(text) > 2 and "\n" not in text
    }
    return sorted(values, key=len, reverse=True)


def shape(step: PlanStep) -> str:
    """Return a call's tool, of a shell command with its program."""
    if step.tool != "exec":
        return step.tool
    first = str(step.arguments.get("command", "")).strip()
    try:
        words = shlex.split(first.split("\n")[0].split("|")[0].split("&&")[-1], posix=False)
    except ValueError:
        words = first.split()
    return f"exec:{words[0].rsplit('/', 1)[-1] if words else ''}"


def only_looks(step: PlanStep) -> bool:
    """Return whether a call changes nothing."""
    if step.tool in _LOOKING_TOOLS:
        return True
    if step.tool == "process":
        return step.arguments.get("action") in ("list", "log", "poll")
    command = str(step.arguments.get("command", ""))
    return step.tool == "exec" and not step.key and ">" not in command and shape(step)[5:] in _LOOKS


def sentences(text: str) -> Iterator[str]:
    """Yield the sentences of a text."""
    return (part for part in _SENTENCE.split(text) if part.strip(" -|"))


def measure(count: int, setting: str) -> dict[str, Any]:
    """Draw intents and count."""
    source = IntentSource("train", setting=setting)
    _, fitting = load_affinity()
    spoken, replies = Counter[str](), Counter[str]()
    whole, acting = Counter[tuple[str, ...]](), Counter[tuple[str, ...]]()
    prompts, offers, tools, words = Counter[str](), Counter[str](), [], 0
    fits = picks = linked = 0
    for seed in range(count):
        intent = source.intent(seed)
        scenario = executable(intent, source.catalog, source.described())
        drawn = {drafted.label: drawn_values(drafted.parameters) for drafted in intent.drafts}
        for request in scenario.requests:
            values = drawn[request.name.rsplit("/", 1)[0]]
            for step in request.plan:
                spoken.update(masked(part, values) for part in sentences(step.say))
            spoken.update(masked(part, values) for part in sentences(request.reply))
            replies[masked(request.reply, values)] += 1
            whole[tuple(shape(step) for step in request.plan if step.tool)] += 1
            acting[tuple(shape(step) for step in request.plan if step.tool and not only_looks(step))] += 1
            words += len(request.reply.split()) + sum(len(step.say.split()) for step in request.plan)
        said = scenario.metadata.get("setting", {"prompt": "system_prompt", "offer": "needed"})
        prompts[said["prompt"]] += 1
        offers[said["offer"]] += 1
        tools.append(len(scenario.tools))
        wanted = fitting.get(scenario.persona.industry, frozenset())
        fits += sum(name.split("/")[0] in wanted for name in scenario.tasks)
        picks += len(scenario.tasks)
        linked += bool(scenario.metadata.get("chained"))
    requests = sum(whole.values())
    return {
        "intents": count,
        "setting": setting,
        "requests": requests,
        "distinct_sentences": len(spoken),
        "distinct_replies": len(replies),
        "distinct_skeletons": len(whole),
        "distinct_skeletons_of_acting_calls": len(acting),
        "share_of_requests_that_repeat_a_skeleton": round(1 - len(whole) / requests, 3),
        "words_of_the_expert_per_intent": round(words / count, 1),
        "prompts": dict(prompts),
        "offers": dict(offers),
        "tools_offered_mean": round(sum(tools) / count, 1),
        "tasks_from_the_persons_domains": round(fits / picks, 3),
        "intents_that_chain": round(linked / count, 3),
    }


if __name__ == "__main__":
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--count", type=int, default=3000)
    parser.add_argument("--setting", choices=["plain", "varied"], default="varied")
    options = parser.parse_args()
    print(json.dumps(measure(options.count, options.setting), indent=2))
