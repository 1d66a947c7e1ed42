"""Best of four from one live state: files, user and conversation are forked, played on, and compared."""

import random

import gymnasium as gym

from ise_gym import assistant, tool_call

env = gym.make("ISE-OS-v0")
observation, info = env.reset(seed=11)
env.step(assistant("", [tool_call("exec", {"command": "mkdir -p notes && date > notes/begun"})]))

scores = []
for number, branch in enumerate(env.unwrapped.fork(4)):
    command = random.Random(number).choice(["ls", "touch notes/a", "rm -r notes", "cat notes/begun"])
    branch.step(assistant("", [tool_call("exec", {"command": command})]))
    observation, reward, terminated, truncated, info = branch.step(assistant("I have done what I could."))
    scores.append((reward, command))
    branch.close()
print("best:", max(scores))
observation, *_ = env.step(assistant("", [tool_call("exec", {"command": "ls notes"})]))
print("the original is untouched:", observation[0]["content"])
env.close()
