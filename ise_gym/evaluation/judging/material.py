"""What a judge sees of a recorded episode: the intent, the conversation, and the evidence of the workspace.

The verdicts that checks gave, the user's outcome and the agent's name stay out: a judge that is told the result has
nothing to say. All of it is bounded, the beginning and the end of what is long, so that a verdict costs the same
whatever an agent did.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ise_gym.trajectory.record import Trajectory

LIMIT = 24_000
"""Most characters of the material, about 6,000 tokens."""
_SHOWN = {"user": 1_600, "assistant": 1_600, "tool": 900, "call": 600, "diff": 900}
_LEAST = 120
_CHANGES = 60
"""Most paths that are listed under each kind of change."""


@dataclass(frozen=True)
class Material:
    """One episode for a judge: ``points`` of the rubric by id, and two texts that can change places."""

    intent: str
    points: Mapping[str, str]
    conversation: str
    evidence: str

    def holds(self, quote: str) -> bool:
        """Tell whether a quotation stands in the conversation or the evidence, spacing and dots of a cut aside.

        >>> Material("", {}, "user: Sort  it", "").holds("sort it…")
        True
        """
        words = _plain(quote)
        return len(words) >= 2 and words in _plain(f"{self.conversation}\n{self.evidence}")


def _plain(text: str) -> str:
    return " ".join(text.lower().strip("…. \"'`“”").split())


def rubric_of(trajectory: Trajectory) -> dict[str, str]:
    """Return the points that an episode is judged by: its rubric, else its sub-goals by name, else its requests.

    A rubric is ``metadata["rubric"]``, a list of texts, as `ise_gym.intents.author` writes it.
    """
    given = trajectory.metadata.get("rubric")
    if isinstance(given, list) and given:
        texts = [str(point) for point in given]
    elif trajectory.subgoals:
        texts = [name.replace("/", ", ") for name in trajectory.subgoals]
    else:
        texts = [
            "Everything that the intent asks for was done, and nothing that was not asked for was damaged."
        ]
    return {f"p{number}": text for number, text in enumerate(texts, 1)}


def material_of(trajectory: Trajectory, limit: int = LIMIT) -> Material:
    """Return what a judge sees of an episode, in at most ``limit`` characters of conversation and evidence together."""
    evidence = "\n".join(_evidence(trajectory))
    evidence = shortened(evidence, limit // 3)
    conversation = "\n\n".join(_conversation(trajectory.messages, 1.0))
    room, scale = limit - len(evidence), 1.0
    while len(conversation) > room and scale > 0.1:
        scale *= 0.6
        conversation = "\n\n".join(_conversation(trajectory.messages, scale))
    return Material(
        shortened(trajectory.intent, 4_000), rubric_of(trajectory), shortened(conversation, room), evidence
    )


def shortened(text: str, length: int) -> str:
    """Return a text's beginning and end, with a note of what is left out between.

    >>> shortened("a" * 50 + "b" * 50, 40)
    'aaaa [… 92 characters left out …] bbbb'
    """
    if len(text) <= length:
        return text
    half = max((length - len(f" [… {len(text)} characters left out …] ")) // 2, 1)
    return f"{text[:half]} [… {len(text) - 2 * half} characters left out …] {text[-half:]}"


def _conversation(messages: Sequence[Mapping[str, Any]], scale: float) -> Iterator[str]:
    def shown(text: str, kind: str) -> str:
        return shortened(text, max(int(_SHOWN[kind] * scale), _LEAST))

    for number, message in enumerate(messages):
        role, content = message["role"], str(message.get("content") or "")
        if role == "system":
            continue
        if role == "tool":
            code = message.get("exit_code")
            state = "failed" if message.get("success") is False else "succeeded"
            yield (
                f"[{number}] RESULT of {message.get('name', 'a call')}, {state}"
                + (f", exit code {code}" if code is not None else "")
                + f":\n{shown(content, 'tool')}"
            )
            continue
        if content:
            yield f"[{number}] {'USER' if role == 'user' else 'AGENT'}: {shown(content, role)}"
        for call in message.get("tool_calls") or ():
            function = call["function"]
            yield f"[{number}] AGENT CALLS {function['name']} {shown(str(function['arguments']), 'call')}"


def _evidence(trajectory: Trajectory) -> Iterator[str]:
    """What the workspace itself showed: files that the steps changed, with diffs, failures, programs left running."""
    changes: dict[str, list[str]] = {"created": [], "changed": [], "deleted": []}
    diffs: dict[str, str] = {}
    for step in trajectory.steps:
        if step.files is None:
            continue
        for kind, paths in changes.items():
            paths.extend(path for path in getattr(step.files, kind) if path not in paths)
        diffs.update(step.files.diffs)
    for kind, paths in changes.items():
        if paths:
            more = f" and {len(paths) - _CHANGES} more" if len(paths) > _CHANGES else ""
            yield f"files {kind}: {', '.join(paths[:_CHANGES])}{more}"
    for path, diff in diffs.items():
        yield f"last change of {path}:\n{shortened(diff, _SHOWN['diff'])}"
    failed = [m for m in trajectory.messages if m["role"] == "tool" and m.get("success") is False]
    yield f"calls that failed: {len(failed)} of {sum(m['role'] == 'tool' for m in trajectory.messages)}"
    for session in trajectory.sessions:
        yield f"the agent delegated {session.get('task') or 'a task'!r}: {session.get('status', 'unknown')}"
