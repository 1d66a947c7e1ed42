"""A user simulator of your own: it sees the agent's words and the evidence of what really changed."""

import gymnasium as gym

from ise_gym import Scenario, UserTurn, UserView, assistant, tool_call


class Curt:
    """Makes the first request, asks once more while nothing has changed on disk, and leaves."""

    name = "curt"

    def reset(self, scenario: Scenario, seed: int) -> UserTurn:
        self.asked = 0
        first = scenario.requests[0]
        return UserTurn(first.text, request=first.name)

    def respond(self, view: UserView, feedback: str = "") -> UserTurn:
        changed = view.evidence.diff.created or view.evidence.diff.changed
        if changed or self.asked:
            return UserTurn("", done=bool(changed), gave_up=not changed)
        self.asked += 1
        return UserTurn("I see no change at all. Have another go.", request=view.request)

    def state(self) -> int:
        return self.asked

    def set_state(self, state: int) -> None:
        self.asked = state

    def describe(self) -> dict[str, str]:
        return {"name": self.name}


env = gym.make("ISE-OS-v0", user=Curt, guard=False)
env.reset(seed=2)
observation, *_ = env.step(assistant("Done!"))
print(observation[-1]["content"])
env.step(assistant("", [tool_call("write", {"path": "answer.txt", "content": "here\n"})]))
print("terminated:", env.step(assistant("Now there is a file."))[2])
