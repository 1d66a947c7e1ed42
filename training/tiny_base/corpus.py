"""The synthetic corpus of the base model: conversations that call tools and copy names, and bare repetition.

Every conversation is drawn from a seed, rendered with the project's chat template and the real tool schemas, and
learned only where the assistant speaks. Prompts vary (all tools, some tools, made-up tools, other system texts), so
that the model looks for the request and not at a fixed position.
"""

from __future__ import annotations

import itertools
import random
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from ise_gym.messages import Message, ToolSchema, assistant, system, tool_call, tool_result, user
from training.tiny_base.kinds import KINDS
from training.tiny_base.words import Words

_READ_SAYINGS = (
    "read {a}",
    "show me {a}",
    "open {a}",
    "what does {a} say",
    "print the text of {a}",
    "let me see {a}",
)
_TOOL_SAYINGS = (
    "use {tool} with {pairs}",
    "{tool}: {pairs}",
    "call {tool}, {pairs}",
    "I need {tool} for {pairs}",
    "do a {tool} where {pairs}",
)
_PAIR_SAYINGS = ("{key} {value}", "{key} is {value}", "{key}={value}", "{value} as {key}")


@dataclass(frozen=True)
class Conversation:
    """One document of the corpus; without messages it is bare repetition of ``text``."""

    messages: tuple[Message, ...] = ()
    tools: tuple[ToolSchema, ...] = ()
    text: str = ""


def conversations(
    seed: int,
    pieces: Sequence[str],
    system_prompt: str,
    tools: Sequence[ToolSchema],
    easy: int = 0,
) -> Iterator[Conversation]:
    """Yield conversations without end; equal arguments give equal conversations.

    Args:
        seed: of everything drawn.
        pieces: what names are glued from.
        system_prompt, tools: the prompt that the env's episodes start with.
        easy: over so many conversations short ones without prompt and small talk give way to whole ones, since
            they teach the same for a fifth of the tokens.
    """
    rng = random.Random(f"tiny-base:{seed}")
    words = Words(rng, pieces)
    for count in itertools.count():
        if rng.random() > (count / easy if easy else 1.0):
            yield _easy(words)
            continue
        shape = rng.random()
        if shape < 0.03:
            yield Conversation(text=_repetition(words))
        elif shape < 0.2:
            yield _made_up_tools(words, tools)
        else:
            yield _jobs(words, system_prompt, tools)


def _easy(words: Words) -> Conversation:
    """Repeat what was said, or one job: nothing but the request and the answer."""
    messages: list[Message] = []
    if words.rng.random() < 0.25:
        said = [*words.paths(1), *words.words(1, 4)]
        words.rng.shuffle(said)
        messages += [user(" ".join(said)), assistant(" ".join(said))]
    else:
        _job(words, messages, plain=True)
    return Conversation(tuple(messages))


def _jobs(words: Words, system_prompt: str, tools: Sequence[ToolSchema]) -> Conversation:
    """One or two jobs, seldom under the env's whole prompt: a short one teaches the same in half the tokens."""
    rng = words.rng
    shape = rng.random()
    if shape < 0.15:
        offered, prompt = list(tools), system_prompt
    elif shape < 0.3:
        offered = [t for t in tools if t["function"]["name"] in ("exec", "read") or rng.random() < 0.3]
        prompt = rng.choice(("", system_prompt, f"You work for {words.word()} on {words.word()}."))
    else:
        offered, prompt = [], f"You have exec and read. {words.word().capitalize()} {words.word()}."
    messages: list[Message] = [system(prompt)]
    for _ in range(1 if rng.random() < 0.75 else 2):
        _job(words, messages)
    if rng.random() < 0.5:
        messages.append(user(words.closer()))
    return Conversation(tuple(messages), tuple(offered))


def _job(words: Words, messages: list[Message], plain: bool = False) -> None:
    """Request, calls and closing words; ``plain`` leaves out the small talk."""
    rng = words.rng
    dress: Callable[[str], str] = str if plain else words.dressed
    if rng.random() < (0.2 if plain else 0.06):
        (path,) = words.paths(1)
        messages.append(user(dress(rng.choice(_READ_SAYINGS).format(a=path))))
        _call(messages, "read", {"path": path}, " ".join(words.words(1, 5)) + "\n")
        messages.append(assistant(f"That is {path}."))
        return
    kind = rng.choice(KINDS)
    slots = _slots(words)
    messages.append(user(dress(rng.choice(kind.say).format(**slots))))
    for index, command in enumerate(kind.commands):
        text = command.format(**slots)
        printed = kind.output.format(**slots) if kind.output and index == 0 else _output(words, text)
        _call(messages, "exec", {"command": text}, printed)
    messages.append(assistant(rng.choice(kind.reply).format(**slots)))


def _slots(words: Words) -> dict[str, str]:
    first, second, third = words.paths(3)
    word, other, command = words.words(3, 3)
    return {
        "a": first, "b": second, "c": third, "w": word, "v": other, "x": command,
        "n": words.number(), "m": words.number(),
    }  # fmt: skip


def _output(words: Words, command: str) -> str:
    """What such a command might print; commands that write somewhere print nothing."""
    if ">" in command or command.startswith(("ln", "tar -c", "tar -x", "gzip", "split", "truncate", "touch")):
        return "(no output)"
    shape = words.rng.random()
    if shape < 0.3:
        return "(no output)"
    if shape < 0.35:
        return f"{words.number()} {command.split()[-1]}"
    return "\n".join(" ".join(words.words(1, 3)) for _ in range(words.rng.randint(1, 3)))


def _made_up_tools(words: Words, tools: Sequence[ToolSchema]) -> Conversation:
    """Tools that exist nowhere, so that calls are read off the schemas and the request."""
    rng = words.rng
    schemas: list[ToolSchema] = []
    for name in words.words(1, 2):
        keys = words.words(1, 3)
        schemas.append(
            {
                "type": "function",
                "function": {
                    "name": name,
                    "description": " ".join(words.words(1, 4)),
                    "parameters": {
                        "type": "object",
                        "properties": {key: {"type": "string"} for key in keys},
                        "required": keys,
                        "additionalProperties": False,
                    },
                },
            }
        )
    offered = [*schemas, *(t for t in tools if rng.random() < 0.1)]
    rng.shuffle(offered)
    messages: list[Message] = [system(rng.choice(("", f"You help with {words.word()}.")))]
    for _ in range(rng.randint(1, 2)):
        function = rng.choice(schemas)["function"]
        keys = list(function["parameters"]["properties"])
        said = {key: rng.choice(_VALUES)(words) for key in keys}
        # Texts end with a newline that nobody says.
        values = {key: f"{text}\n" if " " in text else text for key, text in said.items()}
        mentioned = rng.sample(keys, len(keys)) if rng.random() < 0.4 else keys
        saying = rng.choice(_PAIR_SAYINGS)
        pairs = rng.choice((" and ", ", ")).join(saying.format(key=k, value=said[k]) for k in mentioned)
        request = rng.choice(_TOOL_SAYINGS).format(tool=function["name"], pairs=pairs)
        messages.append(user(words.dressed(request)))
        _call(messages, function["name"], values, " ".join(words.words(1, 4)))
        messages.append(assistant(f"{function['name']} took {said[keys[0]]}."))
    return Conversation(tuple(messages), tuple(offered))


_VALUES: tuple[Callable[[Words], str], ...] = (
    lambda words: words.paths(1)[0],
    lambda words: " ".join(words.words(1, 3)),
    lambda words: f"{words.word()}={words.number()}",
    lambda words: words.number(),
)


def _call(messages: list[Message], name: str, arguments: dict[str, Any], output: str) -> None:
    call_id = f"call_{sum(m['role'] == 'tool' for m in messages) + 1}"
    messages.append(assistant("", [tool_call(name, arguments, call_id)]))
    messages.append(tool_result(call_id, name, output, success=True, exit_code=0))


def _repetition(words: Words) -> str:
    """A few names, again and again: the plainest form of copying. Sometimes their order changes."""
    items = [*words.paths(2), *words.words(2, 4), words.number()]
    shuffled = words.rng.random() < 0.2
    text = []
    for _ in range(3):
        if shuffled:
            words.rng.shuffle(items)
        text += items
    return " ".join(text)
