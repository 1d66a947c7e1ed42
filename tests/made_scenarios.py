"""Scenarios small enough to read, shared by the tests of env, simulator and rollout."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from ise_gym.messages import Message, assistant, tool_call
from ise_gym.scenario import CheckResult, Persona, PlanStep, Request, Scenario, SubGoal
from ise_gym.workspace.base import SeedFile, Workspace


@dataclass(frozen=True)
class FileHolds:
    """Passes when the file's text is exactly this."""

    path: str
    text: str

    def run(self, workspace: Workspace, start: Mapping[str, SeedFile]) -> CheckResult:
        try:
            found = workspace.read(self.path).decode()
        except FileNotFoundError:
            return CheckResult(False, f"{self.path} is not there")
        return CheckResult(found.strip() == self.text, f"{self.path} holds {found!r}")


PERSONA = Persona(name="Ada Ng", role="archivist", industry="museums", register="collaborative")


def make_scenario(**changes: object) -> Scenario:
    """Two requests: greet.txt must hold 'héllo', then count.txt the figure 3."""
    fields: dict[str, Any] = {
        "id": "two-files",
        "seed": 3,
        "intent": "Please put héllo into greet.txt, and the number of lines of data.txt into count.txt.",
        "persona": PERSONA,
        "files": (SeedFile("data.txt", b"a\nb\nc\n"),),
        "system_prompt": "You work in /workspace.",
        "requests": (
            Request(
                name="files/greet",
                text="Please put héllo into greet.txt.",
                task="test/files",
                subgoals=(SubGoal("greet.txt holds the greeting", (FileHolds("greet.txt", "héllo"),)),),
                plan=(
                    PlanStep(tool="exec", arguments={"command": "cat greet.txt"}, fails=True, mistake=True),
                    PlanStep(tool="write", arguments={"path": "greet.txt", "content": "héllo\n"}, key=True),
                ),
                reply="greet.txt now holds héllo.",
                facts=("greet.txt", "héllo"),
            ),
            Request(
                name="files/count",
                text="Could you put the number of lines of data.txt into count.txt?",
                task="test/files",
                subgoals=(SubGoal("count.txt holds the number of lines", (FileHolds("count.txt", "3"),)),),
                plan=(
                    PlanStep(tool="exec", arguments={"command": "wc -l < data.txt > count.txt"}, key=True),
                ),
                reply="I counted the lines; count.txt holds the figure.",
                facts=("count.txt",),
            ),
        ),
    }
    return Scenario(**{**fields, **changes})


def write(path: str, content: str) -> Message:
    return assistant("", [tool_call("write", {"path": path, "content": content})])
