"""Trajectories for reports: harmless ones, long ones, and ones that try to break out of the page."""

from __future__ import annotations

import json
import zlib
from base64 import b64encode
from hashlib import sha256
from pathlib import Path
from typing import Any

from ise_gym.messages import assistant, system, tool_call, tool_result, user
from ise_gym.trajectory.record import FileChanges, Finding, GuardEvent, Outcome, Step, Trajectory
from ise_gym.trajectory.store import TrajectoryStore

EVIL = """</script><script>document.title='pwned'</script><img src=x onerror="document.title='pwned'">
<!--<script> ]]> {{ 7*7 }} \u2028 ' " & <b>bold</b> javascript:alert(1) \u202e \x1b[31m"""


def sample(
    number: int, outcome: Outcome = "passed", words: str = "plain words", turns: int = 2
) -> Trajectory:
    messages: list[Any] = [system(f"system {words}")]
    steps = []
    for turn in range(turns):
        messages.append(user(f"request {turn}: {words}"))
        ok = turn % 2 == 1
        steps.append(Step(message=len(messages), reward=0.0, digest="ab" * 32))
        call_id = f"call_{turn}"
        messages.append(
            assistant(words, [tool_call("exec", {"command": f"echo {words}"}, call_id)], f"why {words}")
        )
        output = "\n".join(f"line {n} {words}" for n in range(60)) if ok else words
        messages.append(tool_result(call_id, "exec", output, success=ok, exit_code=0 if ok else 2))
        steps.append(Step(message=len(messages), reward=0.5, score=0.5 * (turn + 1)))
        messages.append(assistant(f"done {words}"))
    return Trajectory(
        episode_id=f"episode-{number:04d}",
        scenario_id=f"intent-{number}",
        seed=number,
        intent=f"Intent {number}: {words}",
        persona={"name": f"Person {number}", "role": words[:20], "industry": words},
        domains=["file-io" if number % 2 else "code-runtime"],
        tasks=[f"file-io/task-{number % 7}"],
        complexity="medium",
        outcome=outcome,
        reason=words,
        score=1.0 if outcome == "passed" else 0.5,
        subgoals={f"goal {words}": True, "second": outcome == "passed"},
        counts={"user_turns": turns},
        messages=messages,
        tools=[{"type": "function", "function": {"name": "exec", "description": words, "parameters": {}}}],
        steps=steps,
        agent={"name": "expert"},
        user={"name": "scripted", "guard": {"turns": turns, "drifted": number % 3 == 0}},
        metadata={"note": words},
    )


def told(number: int, **more: Any) -> Trajectory:
    """An episode with all that a record can explain."""
    made = sample(number, "failed", turns=3)
    made.messages[3]["content"] = "unforgettable needle\n" + "\n".join(f"row {n}" for n in range(200))
    made.messages[-1]["content"] = "A needle at the end"
    made.steps[0].files = FileChanges(
        created=["out", "out/report.md"], diffs={"out/report.md": "@@ -0,0 +1 @@\n+first"}
    )
    made.steps[2].files = FileChanges(changed=["out/report.md"], deleted=["in.csv"])
    made.steps[0].flipped = {"task/one: it is there": True}
    made.steps[2].flipped = {"task/one: it is there": False}
    made.subgoals = {"task/one: it is there": False, "task/two: it is right": True}
    made.findings = [
        Finding(subgoal="task/one: it is there", expected="a report", found="nothing", message=6)
    ]
    made.guard_events = [
        GuardEvent(
            message=5, detector="assistant_voice", words="As an AI", said="As an AI I", action="resample"
        )
    ]
    plain = {
        "requests": [
            {
                "name": "task/one",
                "text": "Write the report",
                "subgoals": [{"name": "it is there", "checks": []}],
            },
            {"name": "task/two", "text": "Check it", "subgoals": [{"name": "it is right", "checks": []}]},
        ],
        "files": [{"path": "in.csv", "text": "a,b\n1,2\n"}],
    }
    text = json.dumps(plain, separators=(",", ":")).encode()
    made.scenario = {"sha256": sha256(text).hexdigest(), "z": b64encode(zlib.compress(text, 9)).decode()}
    return made.model_copy(update=more)


def fill(folder: Path, trajectories: list[Trajectory]) -> Path:
    with TrajectoryStore(folder) as store:
        for trajectory in trajectories:
            store.append(trajectory)
    return folder
