"""What an agent said and did in one episode, as text that can be compared: masked, in sentences, as plan skeletons.

Two episodes about different files are the same lesson when nothing but names and figures differ, so both are masked
before anything is compared or counted.
"""

from __future__ import annotations

import json
import re
import shlex
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from ise_gym.trajectory.record import Trajectory

Messages = Sequence[Mapping[str, Any]]

_MASKS: tuple[tuple[re.Pattern[str], str], ...] = (
    (re.compile(r"https?://[^\s\"'<>)\]]+"), " ADDRESS "),
    (re.compile(r"[\w.+-]{1,64}@[\w-]{1,63}(?:\.[\w-]{1,63}){1,5}"), " ADDRESS "),
    (re.compile(r"(?:[~.]{0,2}/)?(?:[\w@+.-]{1,80}/){1,20}[\w@+.-]{0,80}"), " PATH "),
    (re.compile(r"\b[\w@+-]{1,80}\.[A-Za-z][A-Za-z0-9]{0,5}\b"), " PATH "),
    (re.compile(r"\d[\d.,:_]*"), " N "),
)
_CJK = re.compile(r"([\u3040-\u30ff\u3400-\u9fff\uac00-\ud7af])")
_SENTENCE_END = re.compile(r"(?<=[.!?])\s+|(?<=[。！？])|\n+")
_SCRIPTS: tuple[tuple[str, re.Pattern[str]], ...] = (
    ("ja", re.compile(r"[\u3040-\u30ff]")),
    ("ko", re.compile(r"[\uac00-\ud7af]")),
    ("zh", re.compile(r"[\u3400-\u9fff]")),
    ("ru", re.compile(r"[\u0400-\u04ff]")),
    ("ar", re.compile(r"[\u0600-\u06ff]")),
    ("en", re.compile(r"[A-Za-z]{3}")),
)
"""Language → what counts for it. Scripts are told apart, not languages of one script: all of Latin counts as ``en``.
Three Latin letters weigh as much as one sign of the others, about the part of a word that either is."""
_WRAPPERS = frozenset({"sudo", "env", "nohup", "time", "timeout", "nice", "bash", "sh", "-c", "xargs"})
LONGEST_COMPARED = 200_000
"""Characters of an assistant side that are compared; what follows could only make two episodes more alike."""


def own_conversations(trajectory: Trajectory) -> Iterator[Messages]:
    """Yield the messages of the user's conversation, then those of each sub-session without what it inherited."""
    yield trajectory.messages
    for session in trajectory.sessions:
        yield session["messages"][int(session.get("inherited") or 0) :]


def masked(text: str) -> str:
    """Return a text with its addresses, paths and figures masked, signs of Chinese and its kin set apart as words.

    >>> " ".join(masked("Wrote 14 rows to out/a.csv.").split())
    'Wrote N rows to PATH'
    """
    for pattern, name in _MASKS:
        text = pattern.sub(name, text)
    return _CJK.sub(r" \1 ", text)


def assistant_side(trajectory: Trajectory) -> str:
    """Return all that the agent thought, said and called, masked, in order: what a model would be taught of it."""
    parts: list[str] = []
    for messages in own_conversations(trajectory):
        for message in messages:
            if message["role"] == "assistant":
                parts.extend(_said(message))
    return masked("\n".join(parts)[:LONGEST_COMPARED])


def _said(message: Mapping[str, Any]) -> Iterator[str]:
    for key in ("reasoning_content", "content"):
        if text := message.get(key):
            yield str(text)
    for call in message.get("tool_calls") or ():
        yield f"{call['function']['name']} {call['function']['arguments']}"


def sentences(text: str) -> list[str]:
    """Return the masked sentences of a text that have at least three words, in one case.

    >>> sentences("Done. I wrote 14 rows to out/a.csv.")
    ['i wrote n rows to path']
    """
    found = []
    for part in _SENTENCE_END.split(text):
        words = re.findall(r"\w+", masked(part).lower())
        if len(words) >= 3:
            found.append(" ".join(words))
    return found


def spoken_sentences(trajectory: Trajectory) -> Iterator[str]:
    """Yield the sentences of the agent's words and thoughts, see `sentences`."""
    for messages in own_conversations(trajectory):
        for message in messages:
            if message["role"] == "assistant":
                yield from sentences(str(message.get("content") or ""))
                yield from sentences(str(message.get("reasoning_content") or ""))


def replies(trajectory: Trajectory) -> Iterator[tuple[int, str]]:
    """Yield (index, text) of each message with which the agent handed over to the user."""
    for index, message in enumerate(trajectory.messages):
        if message["role"] == "assistant" and not message.get("tool_calls"):
            yield index, str(message.get("content") or "")


def skeletons(trajectory: Trajectory) -> list[str]:
    """Return the plan skeleton of each request (what follows one user message): its calls without names and figures.

    A call is its tool, for ``exec`` with the programs that the command line runs, and whether it failed. Requests
    without a call have none.

    >>> from ise_gym.messages import assistant, tool_call, tool_result, user
    >>> calls = [tool_call("exec", {"command": "cd a && wc -l b.csv | sort"}, "c")]
    >>> said = [user("Go."), assistant("", calls), tool_result("c", "exec", "1", success=True)]
    >>> skeletons(Trajectory(episode_id="e", scenario_id="s", seed=0, intent="", outcome="passed", score=1.0,
    ...     messages=said, tools=[]))
    ['exec:cd+wc+sort']
    """
    failed = {m.get("tool_call_id") for m in trajectory.messages if m.get("success") is False}
    plans: list[list[str]] = [[]]
    for message in trajectory.messages:
        if message["role"] == "user":
            plans.append([])
        for call in message.get("tool_calls") or ():
            mark = "!" if call["id"] in failed else ""
            plans[-1].append(_step(call["function"]) + mark)
    return [" ".join(plan) for plan in plans if plan]


def _step(function: Mapping[str, Any]) -> str:
    name = str(function["name"])
    if name != "exec":
        return name
    try:
        arguments = json.loads(function["arguments"])
        command = arguments["command"]
    except (ValueError, KeyError, TypeError, RecursionError):
        return name
    programs = programs_of(command) if isinstance(command, str) else []
    return f"{name}:{'+'.join(programs)}" if programs else name


def programs_of(command: str) -> list[str]:
    """Return the programs that a command line runs, in order, at most eight; what a heredoc holds is no command.

    >>> programs_of("PAGER=cat sudo /usr/bin/git log; python3 - <<'E'\\nimport os\\nE")
    ['git', 'python3']
    """
    line = re.split(r"<<-?\s*['\"]?\w", command[:4000], maxsplit=1)[0]
    found = []
    for part in re.split(r"&&|\|\||[;|&\n]", _unquoted(line)):
        words = [w for w in part.split() if w not in _WRAPPERS and not re.match(r"\w+=|[<>({!]|\d+$", w)]
        if words:
            found.append(words[0].rsplit("/", 1)[-1][:40])
    return found[:8]


def _unquoted(line: str) -> str:
    """Put a placeholder where quoted text stands: an operator inside quotes separates nothing."""
    try:
        return " ".join(
            token if re.fullmatch(r"[;|&<>]+", token) else re.sub(r"[\s;|&]+", "_", token) or "_"
            for token in shlex.shlex(line, posix=True, punctuation_chars=";|&<>")
        )
    except ValueError:  # a quote that is never closed
        return line


def language_of(text: str) -> str:
    """Return the language that most of a text is in, told by its script; "" where it has no words.

    >>> language_of("把 out/a.csv 按日期排序"), language_of("Sort out/a.csv by date"), language_of("12")
    ('zh', 'en', '')
    """
    sample = text[:20_000]
    counts = {name: float(len(pattern.findall(sample))) for name, pattern in _SCRIPTS}
    if counts["ja"]:  # Japanese is written with Chinese signs too
        counts["ja"] += counts.pop("zh")
    best = max(counts, key=lambda name: (counts[name], name))
    return best if counts[best] else ""


def asked_language(trajectory: Trajectory) -> str:
    """Return the language in which the user of an episode writes; names of files and quoted data do not count."""
    said = "\n".join(str(m["content"]) for m in trajectory.messages if m["role"] == "user")
    without = said
    for pattern, _ in _MASKS:
        without = pattern.sub(" ", without)
    return language_of(without) or language_of(said)


def volume(trajectory: Trajectory) -> int:
    """Return the characters of an episode's messages (words, thoughts, calls, tool results), without the system's."""
    total = 0
    for messages in own_conversations(trajectory):
        for message in messages:
            if message["role"] == "system":
                continue
            total += len(str(message.get("content") or "")) + len(str(message.get("reasoning_content") or ""))
            total += sum(len(call["function"]["arguments"]) for call in message.get("tool_calls") or ())
    return total
