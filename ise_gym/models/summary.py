"""A conversation that outgrew the model's context, told shorter: its older part as a summary of the model's own.

What is left is a conversation that every server takes: the system message, the summary in a user message, and the last
messages as they are, beginning at an assistant message so that no tool result stands without its call.
"""

from __future__ import annotations

from collections.abc import Sequence

from ise_gym.messages import Message, sha256_of, system, tool_calls_of, user

KEPT = 6
"""Messages at the end that stay whole, at least."""

TELLING = (1500, 400, 100)
"""Characters of each older message that the model is shown for its summary; fewer where even that does not fit."""

MAX_TOKENS = 600
"""Of a summary."""

_ASK = (
    "You work for a user in a shell session that has become too long to keep in mind. Below is what happened so far. "
    "Write a summary for yourself, to go on from: what the user wants, what is done, what was found (names of files, "
    "values, errors), and what is still to do. Only what stands there; no greeting."
)
_HEAD = "[Summary of the conversation so far, since it became too long:]\n"


def border(messages: Sequence[Message], kept: int = KEPT) -> int:
    """Return the index of the first message that stays whole; 0 where nothing older is left to summarise."""
    first = 1 if messages and messages[0]["role"] == "system" else 0
    for at in range(max(len(messages) - kept, 0), first, -1):
        if messages[at]["role"] in ("assistant", "user"):
            return at if at > first + 1 else 0
    return 0


def question(older: Sequence[Message], longest: int) -> list[Message]:
    """Return what the model is asked; each message is told in ``longest`` characters at most."""
    told = [_told(message, longest) for message in older if message["role"] != "system"]
    return [system(_ASK), user("\n\n".join(told))]


def shortened(messages: Sequence[Message], at: int, summary: str) -> list[Message]:
    """Return the conversation with what stands before ``at`` told by a summary."""
    first = [messages[0]] if messages and messages[0]["role"] == "system" else []
    rest = list(messages[at:])
    told = _HEAD + summary.strip()
    if rest and rest[0]["role"] == "user":  # templates want the roles to take turns
        return [*first, user(f"{told}\n\n{rest[0]['content']}"), *rest[1:]]
    return [*first, user(told), *rest]


class Summaries:
    """The summaries of one episode: what was told shorter once stays so, in every later turn."""

    def __init__(self) -> None:
        self._known: list[tuple[int, str, str]] = []

    def clear(self) -> None:
        """Begin anew."""
        self._known.clear()

    def add(self, messages: Sequence[Message], at: int, summary: str) -> None:
        """Keep a summary of what stands before ``at``."""
        self._known.insert(0, (at, sha256_of(list(messages[:at])), summary))

    def apply(self, messages: Sequence[Message]) -> tuple[Sequence[Message], int]:
        """Return the conversation with its latest summary, and how many of its messages that tells; 0 for none."""
        for at, digest, summary in self._known:
            if at < len(messages) and sha256_of(list(messages[:at])) == digest:
                return shortened(messages, at, summary), at
        return messages, 0


def _told(message: Message, longest: int) -> str:
    calls = "".join(
        f"\n[calls {call['function']['name']} {call['function']['arguments']}]"
        for call in tool_calls_of(message)
    )
    words = message["content"] + calls
    return f"{message['role'].upper()}: {words[:longest]}{' …' if len(words) > longest else ''}"
