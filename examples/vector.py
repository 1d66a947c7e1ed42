"""Several live workspaces at once through Gymnasium's own vector API; a broken box costs one episode."""

import gymnasium as gym

from ise_gym import assistant, tool_call

if __name__ == "__main__":  # workers import this file again
    envs = gym.make_vec("ISE-OS-v0", num_envs=4, vectorization_mode="async")
    observations, infos = envs.reset(seed=list(range(4)))
    for line in observations:
        print(line[-1]["content"][:90])
    actions = [assistant("", [tool_call("exec", {"command": "ls | wc -l"})])] * 4
    observations, rewards, terminated, truncated, infos = envs.step(actions)
    print([line[0]["content"] for line in observations], rewards)
    envs.close()
