"""One episode as a conversation in the terminal."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.padding import Padding
from rich.panel import Panel
from rich.rule import Rule
from rich.text import Text

from ise_gym.errors import UserError
from ise_gym.trajectory import explain
from ise_gym.trajectory.conversations import Conversation, conversations
from ise_gym.trajectory.record import Trajectory
from ise_gym.trajectory.stats import read_all

LINES_SHOWN = 30
"""Lines of one tool result, argument or system prompt that are shown unless all is asked for."""

_COLOURS = {"system": "bright_black", "user": "cyan", "assistant": "green", "tool": "yellow"}


def find_episode(store: str | Path, which: str) -> Trajectory:
    """Return the episode whose id is, or begins with, ``which``; or the n-th when it is a small number.

    Raises:
        UserError: none or several match.
    """
    number = int(which) if which.isdigit() and len(which) < 8 else 0
    found = []
    for position, trajectory in enumerate(read_all(store), start=1):
        if position == number or trajectory.episode_id == which:
            return trajectory
        if trajectory.episode_id.startswith(which):
            found.append(trajectory)
        if len(found) > 1:
            ids = ", ".join(t.episode_id for t in found)
            raise UserError(
                f"{store}: several episode ids begin with '{which}': {ids}, … Give more of the id."
            )
    if not found:
        raise UserError(f"{store}: no episode '{which}'. `ise show DIR 1` shows the first one.")
    return found[0]


def print_conversation(trajectory: Trajectory, console: Console, *, full: bool = False) -> None:
    """Print every turn, call and result; nothing in a message is read as markup or passed to the terminal raw."""
    console.print(_header(trajectory))
    main, *parts = conversations(trajectory)
    opened: dict[str, list[Conversation]] = {}
    for part in parts:
        for call in (part.session.get("opened_by") or ())[-1:]:  # whole, where its last answer was given
            opened.setdefault(call, []).append(part)
    refused = explain.guarded(trajectory)
    for position, message in enumerate(main.messages):
        for line in refused.pop(position, ()):
            console.print(line)
        for part in opened.pop(str(message.get("tool_call_id")), ()):
            _print_session(part, console, full)
        _print_turn(main, position, console, full)
    for lines in refused.values():  # of a turn that ended the episode without a word
        for line in lines:
            console.print(line)
    console.print(_verdict(trajectory))


def _print_session(part: Conversation, console: Console, full: bool) -> None:
    """Print what was delegated before the result that it gave, without its copy of what stands above."""
    name = f"sub-session {part.session.get('key', '')}, {part.session.get('status', '')}"
    console.print(Rule(Text(name), style="blue"))
    for position in range(part.inherited, len(part.messages)):
        _print_turn(part, position, console, full)
    console.print(Rule(Text(f"end of {name}"), style="blue"))


def _print_turn(part: Conversation, position: int, console: Console, full: bool) -> None:
    console.print(_message(part.messages[position], full))
    for step in part.steps:
        if step.message != position:
            continue
        if step.reward:
            console.print(Text(f"  reward {step.reward:+.3f}, score {step.score:.3f}", style="magenta"))
        for line in explain.of_step(step, full):
            console.print(line)


def _header(trajectory: Trajectory) -> Panel:
    persona = trajectory.persona
    text = Text()
    text.append(f"{trajectory.episode_id}\n", style="bold")
    text.append(f"{persona.get('name', '')}, {persona.get('role', '')}, {persona.get('industry', '')}\n")
    text.append(
        f"{', '.join(trajectory.domains)} · {trajectory.complexity} · {', '.join(trajectory.tasks)}\n"
    )
    text.append(f"agent {trajectory.agent.get('name', '?')} · user {trajectory.user.get('name', '?')}")
    return Panel(text, title="episode", title_align="left")


def _message(message: Mapping[str, Any], full: bool) -> Padding:
    role = message["role"]
    text = Text()
    label = role
    if role == "tool":
        code = message.get("exit_code")
        label += f" {message.get('name', '')}" + (f" · exit {code}" if code is not None else "")
        label += " · FAILED" if message.get("success") is False else ""
    text.append(label + "\n", style=f"bold {'red' if message.get('success') is False else _COLOURS[role]}")
    if reasoning := message.get("reasoning_content"):
        text.append(_shown(reasoning, full) + "\n", style="italic bright_black")
    if message["content"]:
        text.append(_shown(message["content"], full or role in ("user", "assistant")) + "\n")
    for call in message.get("tool_calls") or ():
        text.append(f"→ {call['function']['name']} ", style="bold yellow")
        text.append(_shown(_arguments(call["function"]["arguments"]), full) + "\n")
    return Padding(text, (0, 0, 0, 4 if role == "tool" else 0))


def _arguments(text: str) -> str:
    try:
        value = json.loads(text)
    except ValueError:
        return text
    if not isinstance(value, dict):
        return text
    lines = [
        f"{k}: {v if isinstance(v, str) else json.dumps(v, ensure_ascii=False)}" for k, v in value.items()
    ]
    return lines[0] if len(lines) == 1 else "\n" + "\n".join(f"    {line}" for line in lines)


def _shown(text: str, full: bool) -> str:
    clean = "".join(c if c in "\n\t" or c.isprintable() else f"\\x{ord(c):02x}" for c in text)
    lines = clean.split("\n")
    if full or len(lines) <= LINES_SHOWN:
        return clean
    half = LINES_SHOWN // 2
    return "\n".join(
        [*lines[:half], f"… {len(lines) - 2 * half} lines left out (--full shows them) …", *lines[-half:]]
    )


def _verdict(trajectory: Trajectory) -> Panel:
    text = Text()
    why = {finding.subgoal: finding for finding in trajectory.findings}
    for name, held in trajectory.subgoals.items():
        text.append("✔ " if held else "✘ ", style="green" if held else "red")
        text.append(name + "\n")
        if name in why:
            text.append(explain.of_goal(why[name]))
    text.append("nothing was verified" if trajectory.score is None else f"score {trajectory.score:.3f}")
    if trajectory.reason:
        text.append(f" · {trajectory.reason}")
    return Panel(text, title=trajectory.outcome, title_align="left")
