"""A policy that emits raw text, as a trainer has it: the wrapper parses calls, and shows the whole conversation."""

import gymnasium as gym

import ise_gym  # noqa: F401  (registers ISE-OS-v0)
from ise_gym import ChatHistory, TextAction


def policy(messages: list[dict]) -> str:
    """Stand in for `model.generate` after `tokenizer.apply_chat_template(messages, tools=…)`."""
    if messages[-1]["role"] == "user":
        return '<tool_call>\n{"name": "exec", "arguments": {"command": "ls"}}\n</tool_call>'
    return "Done looking."


env = ChatHistory(TextAction(gym.make("ISE-OS-v0")))
observation, info = env.reset(seed=7)
total, over = 0.0, False
while not over:
    observation, reward, terminated, truncated, info = env.step(policy(list(observation["messages"])))
    total, over = total + reward, terminated or truncated
print("return", total, "outcome", info["outcome"], "valid", info["valid"])
env.close()
