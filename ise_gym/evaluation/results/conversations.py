"""What was said and done in a trial, read back from what its run folder keeps, whichever protocol played it."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

from ise_gym.evaluation.ledger import Trial
from ise_gym.evaluation.run import TRAJECTORIES, Run
from ise_gym.messages import Message, tool_calls_of
from ise_gym.trajectory.record import Trajectory
from ise_gym.trajectory.store import read_trajectories

TRACES = "traces"
"""Folder of the traces in the benchmark's own format."""


@dataclass(frozen=True)
class Line:
    """One thing that was said or done.

    Attributes:
        who: system, user, agent, thought (the agent's reasoning), call or result.
        text: the words, the arguments or the output.
        tool: its name, for calls and results.
        failed: a result that is an error.
    """

    who: str
    text: str
    tool: str = ""
    failed: bool = False


class Conversations:
    """The conversations of a run, by trial.

    Args:
        run: a run read back; its folder may have lost them, then there are none.
    """

    def __init__(self, run: Run) -> None:
        self._folder = run.path
        self._trajectories: dict[str, Trajectory] | None = None

    def of(self, trial: Trial) -> list[Line]:
        """Return a trial's conversation; empty when none was kept."""
        if not trial.episode:
            return []
        if trial.episode.endswith((".jsonl", ".json")):
            return _from_trace(self._folder / TRACES / trial.episode)
        found = self.record(trial)
        return _from_messages(cast("list[Message]", found.messages)) if found else []

    def record(self, trial: Trial) -> Trajectory | None:
        """Return a trial's record, where it was played by this project's own loop and is still there."""
        if not trial.episode or trial.episode.endswith((".jsonl", ".json")):
            return None
        return self._stored().get(trial.episode)

    def _stored(self) -> dict[str, Trajectory]:
        if self._trajectories is None:
            folder = self._folder / TRAJECTORIES
            kinds = (False, True) if folder.is_dir() else ()
            self._trajectories = {
                trajectory.episode_id: trajectory
                for failures in kinds
                for trajectory in read_trajectories(folder, failures=failures, deleted_ok=True)
            }
        return self._trajectories


def _from_messages(messages: Sequence[Message]) -> list[Line]:
    lines = []
    for message in messages:
        match message["role"]:
            case "tool":
                failed = message.get("success") is False
                lines.append(Line("result", message["content"], message.get("name", ""), failed))
            case "assistant":
                if thought := message.get("reasoning_content"):
                    lines.append(Line("thought", thought))
                if message["content"]:
                    lines.append(Line("agent", message["content"]))
                lines += [
                    Line("call", call["function"]["arguments"], call["function"]["name"])
                    for call in tool_calls_of(message)
                ]
            case role:
                lines.append(Line(role, message["content"]))
    return lines


def _from_trace(path: Path) -> list[Line]:
    """Read a trace of the benchmark: messages of blocks, one JSON event a line."""
    if not path.is_file():
        return []
    lines: list[Line] = []
    names: dict[str, str] = {}
    for text in path.read_text(encoding="utf-8").splitlines():
        event = json.loads(text)
        if event.get("type") != "message":
            continue
        message = event["message"]
        if thought := message.get("reasoning_content"):
            lines.append(Line("thought", thought))
        for block in message["content"]:
            line = _from_block(block, message["role"], names)
            if line is not None:
                lines.append(line)
    return lines


def _from_block(block: Mapping[str, Any], role: str, names: dict[str, str]) -> Line | None:
    match block["type"]:
        case "text":
            who = "agent" if role == "assistant" else role
            return Line(who, block["text"]) if block["text"] else None
        case "tool_use":
            names[block["id"]] = block["name"]
            return Line("call", json.dumps(block["input"], ensure_ascii=False), block["name"])
        case "tool_result":
            text = "\n".join(part.get("text", "") for part in block["content"])
            return Line("result", text, names.get(block["tool_use_id"], ""), bool(block.get("is_error")))
        case kind:
            return Line(role, f"[{kind}]")
