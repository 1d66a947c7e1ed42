"""One episode by hand: look, act, report. Whoever ends the turn without a call hears from the user."""

import gymnasium as gym

from ise_gym import assistant, tool_call

env = gym.make(
    "ISE-OS-v0", source={"name": "catalog", "split": "train", "tier": "easy", "tasks_per_intent": 1}
)
observation, info = env.reset(seed=3)
print(observation[-1]["role"], "says:", observation[-1]["content"])

look = assistant("Let me look around first.", [tool_call("exec", {"command": "find . -type f | head"})])
observation, reward, terminated, truncated, info = env.step(look)
print("exit code", observation[0]["exit_code"], "\n" + observation[0]["content"])

observation, reward, terminated, truncated, info = env.step(assistant("That is what is there so far."))
print("reward", reward, "terminated", terminated)
print("the user:", observation[-1]["content"] if observation else "(left)")
env.close()
