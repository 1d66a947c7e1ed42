"""`inspect eval` over tasks of a suite, with the scripted agents as the model; prints ours beside theirs."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from endpoint import serve
from inspect_ai.log import read_eval_log
from scripted import NUMBERS, SOURCE, STEP, Many, ours

from ise_gym.adapters.seat import Tasks
from ise_gym.episode.goals import GoalBoard
from ise_gym.messages import Message, ToolSchema, assistant, tool_call
from ise_gym.scenario import Scenario
from ise_gym.services import start_services
from ise_gym.trajectory.store import read_trajectories
from ise_gym.workspace import open_workspace


class InBox:
    """Runs a scenario's commands by inspect's own tools, every second scenario without its last one."""

    def __init__(self, tasks: Tasks) -> None:
        self.commands: dict[str, list[str]] = {}
        for number in NUMBERS:
            scenario = tasks.scenario(number)
            plan = [step for request in scenario.requests for step in request.plan if step.tool]
            commands = [as_command(step.tool, step.arguments) for step in plan]
            self.commands[scenario.requests[0].text] = commands[: len(commands) - number // STEP % 2]

    def act(self, messages: Sequence[Message], tools: Sequence[ToolSchema]) -> Any:
        asked = next(m["content"] for m in messages if m["role"] == "user")
        commands = next(found for text, found in self.commands.items() if text in asked)
        spoken = sum(m["role"] == "assistant" for m in messages)
        if spoken < len(commands):
            return assistant("", [tool_call("bash", {"command": commands[spoken]})])
        return assistant("", [tool_call("submit", {"answer": "done"})])


def as_command(tool: str, arguments: Any) -> str:
    if tool == "exec":
        return str(arguments["command"])
    if tool == "write":
        return f"mkdir -p \"$(dirname '{arguments['path']}')\"; cat > '{arguments['path']}' <<'END'\n{arguments['content']}\nEND"
    return "true"


def checked(scenario: Scenario, commands: Sequence[str]) -> dict[str, bool]:
    """Run the same commands in a box of our own, and verify."""
    box = open_workspace()
    box.seed(scenario.files)
    start_services(box, scenario.services)
    for command in commands:
        box.exec(["bash", "--login", "-c", command])
    board = GoalBoard(scenario)
    board.reach(scenario.requests[-1].name)
    board.verify(box, box.manifest(), True)
    box.close()
    return dict(board.verdicts)


def evaluated(task: str, url: str, where: Path, count: int, *more: str, model: str = "scripted") -> Any:
    """Run `inspect eval`; return its log."""
    command = ["inspect", "eval", f"ise_gym/{task}", "-T", f"source={SOURCE}", "-T", f"step={STEP}"]
    command += ["-T", f"limit={count}", *more, "--model", f"openai-api/stub/{model}"]
    command += ["--display", "plain", "--max-samples", "2", "--log-dir", str(where / task)]
    env = {**os.environ, "STUB_BASE_URL": url, "STUB_API_KEY": "none"}
    done = subprocess.run(command, cwd=where, env=env, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
    log = read_eval_log(str(next((where / task).glob("*.eval"))))
    assert log.status == "success", log.error.message
    return log


def main(where: Path) -> None:
    tasks = Tasks(SOURCE)
    url, server = serve(Many(tasks))
    live = evaluated("ise_episodes", url, where, len(NUMBERS), "-T", f"store={where / 'store'}")
    server.shutdown()
    mine = ours(tasks)
    kept = {record.scenario_id: record for record in read_trajectories(where / "store")}
    for sample in live.samples:
        own = mine[sample.id]
        value = sample.scores["subgoals"].value
        goals = {name: bool(held) for name, held in value.items() if name not in ("score", "passed")}
        words = [m.text for m in sample.messages] == [m["content"] for m in own.messages]
        same = [
            value["score"] == own.score,
            value["passed"] == (own.outcome == "passed"),
            goals == own.subgoals,
            words,
            kept[sample.id].outcome == own.outcome,
        ]
        print(json.dumps(["ise_episodes", sample.id, value["score"], *same]))
    agents = InBox(tasks)
    url, server = serve(agents)
    box = evaluated("ise_box", url, where, len(NUMBERS))
    server.shutdown()
    for sample in box.samples:
        scenario = tasks.scenario(sample.metadata["number"])
        value = sample.scores["box_checks"].value
        goals = {name: bool(held) for name, held in value.items() if name not in ("score", "passed")}
        same_goals = goals == checked(scenario, agents.commands[scenario.requests[0].text])
        print(json.dumps(["ise_box", sample.id, value["score"], same_goals]))


if __name__ == "__main__":
    main(Path(sys.argv[1]))
