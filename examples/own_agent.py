"""An agent of your own: two methods. Its episode becomes a record that every exporter reads."""

import gymnasium as gym

from ise_gym import IntentSource, Message, Scenario, ToolSchema, assistant, play_episode, tool_call


class Lister:
    """Lists the folder once for each request, and says what it saw."""

    name = "lister"

    def reset(self, scenario: Scenario, seed: int) -> None:
        """Nothing is remembered between episodes."""

    def act(self, messages: list[Message], tools: list[ToolSchema]) -> Message:
        if messages[-1]["role"] == "user":
            return assistant("Looking.", [tool_call("exec", {"command": "ls -R | head -20"})])
        return assistant(f"There is:\n{messages[-1]['content']}")

    def describe(self) -> dict[str, str]:
        return {"agent": self.name}

    def close(self) -> None:
        """Holds nothing open."""


env = gym.make("ISE-OS-v0")
scenario = IntentSource("train", tier="easy", tasks_per_intent=1).scenario(5)
record = play_episode(env, Lister(), scenario, seed=0)
print(record.outcome, record.score, [message["role"] for message in record.messages])
for finding in record.findings:
    print("failed:", finding.subgoal, "| expected:", finding.expected, "| found:", finding.found)
env.close()
