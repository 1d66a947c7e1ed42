"""A tool of your own beside the built-in ones; packages register theirs by entry point instead."""

import gymnasium as gym

from ise_gym import Tool, ToolContext, ToolOutcome, assistant, tool_call


def count(context: ToolContext, arguments: dict) -> ToolOutcome:
    done = context.workspace.exec(["wc", "-w", str(arguments["path"])])
    return ToolOutcome(done.output.decode(errors="replace"), success=done.exit_code == 0)


WORDS = Tool(
    {
        "type": "function",
        "function": {
            "name": "count_words",
            "description": "Count the words of a file.",
            "parameters": {
                "type": "object",
                "properties": {"path": {"type": "string"}},
                "required": ["path"],
                "additionalProperties": False,
            },
        },
    },
    count,
)

if __name__ == "__main__":
    env = gym.make("ISE-OS-v0", tools=["exec", f"{__spec__.name if __spec__ else 'own_tool'}:WORDS"])
    env.reset(seed=1)
    write = tool_call("exec", {"command": "echo one two three > w.txt"}, "call_1")
    observation, *_ = env.step(assistant("", [write, tool_call("count_words", {"path": "w.txt"}, "call_2")]))
    print(observation[-1]["content"], observation[-1]["success"])
    env.close()
