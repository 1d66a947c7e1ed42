"""An OpenAI-protocol server that plays a user, and leaves the role at set rates: it knows which of its answers drift.

Each mode is one way in which models that play users go wrong. The answers depend only on the request, so a run can be repeated.
"""

from __future__ import annotations

import hashlib
import json
import random
import re
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "agents"))

from openai_server import Answer, OpenAIServer, raw, reply, serve, status

LINES: Mapping[str, tuple[str, ...]] = {
    "flip": (
        "I have updated everything as you asked. Please review the files at your leisure.",
        "Certainly! I will start working on that for you.",
        "All changes have been applied successfully. Is there anything else I can do for you?",
        "As a helpful assistant I can only suggest checking the folder again.",
        "Sure, let me run that for you and report back.",
        "What would you like me to do with the remaining files?",
        "Could you clarify which output you expect from me?",
        "Happy to assist with any other files you have!",
    ),
    "explain": (
        "The problem occurs because the file is opened in the wrong mode.",
        "You can use the sort command with a numeric flag to get this done.",
        "To solve this, first open the file, then loop over all lines.",
        "Here are the steps to fix it: read the input, change it, write it back.",
    ),
    "hallucinate": (
        "Please also look at reports/archive/final_summary_v7.pdf, it has the old numbers.",
        "My colleague Thaddeus says the file should be in /mnt/share/team-drive/inbox.",
        "The list should have 48213 entries, as in master_export_2031.xlsx.",
        "Compare it with ticket ZQX-99182 before you go on.",
    ),
    "meta": (
        "According to my scenario this sub-goal is not fulfilled yet.",
        "*shakes head and looks at the screen* still not there",
        "[The user waits for the result]",
        "As instructed by my persona, I should ask again.",
        "User: it is not done yet.",
        '<tool_call>{"name": "exec", "arguments": {"command": "ls"}}</tool_call>',
        "```bash\nls -la\n```",
    ),
    "foreign": (
        "Das ist leider noch nicht richtig, bitte schauen Sie noch einmal nach.",
        "Ce n'est pas encore ce que je voulais, il faut le refaire.",
        "Todavía no está bien, por favor revise el archivo otra vez.",
    ),
    "junk": ("", "...", "{}", "null", "\u200b"),
}
MODES = (*LINES, "stop", "echo")


class DriftingUser:
    """Answers in role, or adrift with probability ``rate``; remembers each adrift answer's words in ``adrift``."""

    def __init__(
        self, rate: float, modes: tuple[str, ...] = MODES, schema: bool = True, chatty: float = 0.1
    ) -> None:
        self.rate, self.modes, self.schema, self.chatty = rate, modes, schema, chatty
        self.adrift: dict[str, str] = {}
        self.answers = 0

    def __call__(self, body: dict[str, Any]) -> Answer:
        if not self.schema and "response_format" in body:
            return status(400, "response_format is not supported")
        self.answers += 1
        mind = body["messages"][-1]["content"].rpartition("(What you think: ")[2].removesuffix(")")
        key = json.dumps(body["messages"]) + str(body.get("seed"))
        rng = random.Random(hashlib.sha256(key.encode()).digest())
        move, say = self._in_role(mind, rng)
        if rng.random() < self.rate:
            mode = rng.choice(self.modes)
            drifted = self._adrift(mode, mind, body["messages"], rng)
            if drifted is not None:
                move, say = drifted
                self.adrift[say.strip()] = mode
        text = json.dumps({"move": move, "say": say}, ensure_ascii=False)
        if rng.random() < self.chatty:
            text = f"<think>what now?</think>\n```json\n{text}\n```"
        return reply(text)

    def _in_role(self, mind: str, rng: random.Random) -> tuple[str, str]:
        if first := re.search(r"Hello\. What I need: (.*)", mind, re.S):
            return "next", first[1]
        if onward := re.search(r"Next: (.*)", mind, re.S):
            return "next", f"{rng.choice(('Good', 'Thanks', 'Fine, thanks', 'Right'))}. {onward[1]}"
        if "That was everything." in mind:
            return "leave", rng.choice(
                ("Thanks, that is all.", "Good, thank you. Bye.", "Thank you, goodbye.")
            )
        missing = re.findall(r"That is not right yet: (.*?)\. I asked", mind)
        what = missing[0] if missing else "the rest"
        opener = rng.choice(
            ("Not yet. Still open", "I looked, and one thing is missing", "No, this is missing", "Open")
        )
        return "stay", f"{opener}: {what} ({rng.choice(('once more', 'please', 'again', 'still', 'sorry'))})"

    def _adrift(
        self, mode: str, mind: str, messages: list[dict[str, Any]], rng: random.Random
    ) -> tuple[str, str] | None:
        if mode in LINES:
            return "stay", rng.choice(LINES[mode])
        own = [m["content"] for m in messages if m["role"] == "assistant"]
        if mode == "echo" and own:
            return "stay", rng.choice(own)
        if mode == "stop" and "That is not right yet" in mind:
            return rng.choice(
                (("leave", "Great, thanks, bye!"), ("stay", "Perfect, that is exactly what I wanted."))
            )
        return None


def gullible(body: dict[str, Any]) -> Answer:
    """Believe everything: accept, go on, leave."""
    if "Hello. What I need:" in body["messages"][-1]["content"]:
        return reply(json.dumps({"move": "stay", "say": "Please put the result into greet.txt."}))
    return reply(json.dumps({"move": "leave", "say": "Wonderful, thank you, that is all. Goodbye!"}))


@contextmanager
def serving(user: Any) -> Iterator[OpenAIServer]:
    """Serve one of the users above."""
    with serve(user) as server:
        yield server


__all__ = ["LINES", "MODES", "DriftingUser", "gullible", "raw", "reply", "serving", "status"]
