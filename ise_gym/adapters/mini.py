"""mini-swe-agent in an episode with our user, by its own class hooks: one of its messages is one env step.

``--environment-class ise_gym.adapters.mini.ISEEnvironment --agent-class ise_gym.adapters.mini.ISEAgent``. Its commands
run through our ``exec``; one that prints the mark by which it submits ends its turn instead: its words go to the user,
whose answer is its next message. The run ends when the user leaves.
"""

from __future__ import annotations

from typing import Any

from pydantic import BaseModel

from ise_gym.adapters.peers import interface_of
from ise_gym.adapters.seat import Seat, Tasks
from ise_gym.messages import Message, assistant, tool_call

with interface_of("mini"):
    from minisweagent.agents.default import DefaultAgent
    from minisweagent.exceptions import Submitted

MARK = "COMPLETE_TASK_AND_SUBMIT_FINAL_OUTPUT"


class ISEEnvironmentConfig(BaseModel):
    """Which task is played, how, and where its record goes; `ise_gym.adapters.seat` says what each means."""

    source: str = "catalog"
    source_options: dict[str, Any] = {}
    number: int = 0
    run_seed: int = 0
    user: str = "scripted"
    user_options: dict[str, Any] = {}
    backend: str = "auto"
    agent_name: str = "mini-swe-agent"
    store: str = ""
    cwd: str = "/workspace"


class ISEEnvironment:
    """One episode. ``system`` and ``task`` are what the agent is told, and the user's first request."""

    def __init__(self, **options: Any) -> None:
        self.config = c = ISEEnvironmentConfig(**options)
        tasks = Tasks(c.source, c.source_options, c.run_seed)
        scenario = tasks.scenario(c.number)
        self.seat = Seat(
            scenario,
            tasks.seed(scenario),
            {"name": c.agent_name},
            store=c.store or None,
            options={"user": c.user, "user_options": c.user_options, "backend": c.backend, "tools": ["exec"]},
        )
        self.system, self.task = (message["content"] for message in self.seat.start())

    def say(self, text: str, commands: list[str]) -> tuple[Message, ...]:
        """Play one message: with commands they run, without its words go to the user."""
        return self.seat.say(assistant(text, [tool_call("exec", {"command": c}) for c in commands]))

    def execute(self, action: dict[str, Any], cwd: str = "") -> dict[str, Any]:
        """Run one command, for agents of other classes: what they say beside it is lost.

        Raises:
            Submitted: the user left.
        """
        command = action.get("command", "")
        if MARK not in command:
            return _output(self.say("", [command])[0])
        heard = self.say(command.partition(MARK)[2].strip(" '\"\n") or "Done.", [])
        if self.seat.over:
            raise self.left(heard)
        return {"output": f"The user says:\n{_words(heard)}", "returncode": 0, "exception_info": ""}

    def left(self, heard: tuple[Message, ...]) -> Any:
        """Return what ends the agent's run, once the episode is over."""
        self.seat.record()
        words, ended = _words(heard), self.seat.info["outcome"]
        extra = {"exit_status": ended, "submission": words}
        return Submitted({"role": "exit", "content": words, "extra": extra})

    def get_template_vars(self, **more: Any) -> dict[str, Any]:
        """Return what the agent's templates may name; ``instructions`` is what our agents are told first."""
        machine = {"system": "Linux", "release": "", "version": "", "machine": "x86_64"}
        return {**self.config.model_dump(), **machine, "instructions": self.system, **more}

    def serialize(self) -> dict[str, Any]:
        """Return what the agent's own trajectory keeps of the episode."""
        names = ("outcome", "reason", "score", "counts")
        told = {
            "environment": self.config.model_dump(mode="json"),
            "environment_type": f"{__name__}.ISEEnvironment",
        }
        return {"info": {"config": told, "ise_gym": {name: self.seat.info[name] for name in names}}}

    def close(self) -> None:
        """End the sandbox; an episode that is not over is recorded as left."""
        self.seat.close()


class ISEAgent(DefaultAgent):  # type: ignore[misc]
    """mini-swe-agent's own loop; only how a message's actions are carried out is ours."""

    def execute_actions(self, message: dict[str, Any]) -> Any:
        """Run a message's commands as one step; at the mark its words go to the user.

        Raises:
            Submitted: the user left, or a budget ran out.
        """
        actions = message.get("extra", {}).get("actions", [])
        work = [action["command"] for action in actions if MARK not in action["command"]]
        done, text = len(work) < len(actions), message.get("content") or ""
        outputs, heard = [], tuple[Message, ...]()
        if work:
            heard = self.env.say("" if done else text, work)
            outputs = [_output(m) for m in heard if m["role"] == "tool"]
        if done and not self.env.seat.over:
            heard = self.env.say(text, [])
            outputs.append({"output": "(the user answers)", "returncode": 0, "exception_info": ""})
        shown = self.model.format_observation_messages(message, outputs, self.get_template_vars())
        added = self.add_messages(*shown)
        if self.env.seat.over:
            raise self.env.left(heard)
        if done:
            added += self.add_messages(self.model.format_message(role="user", content=_words(heard)))
        return added


def _words(heard: tuple[Message, ...]) -> str:
    return "\n".join(m["content"] for m in heard if m["role"] == "user")


def _output(result: Message) -> dict[str, Any]:
    code = result.get("exit_code")
    return {"output": result["content"], "returncode": -1 if code is None else code, "exception_info": ""}
