"""``python -m training.grpo`` in a checkout: reinforcement learning on the env."""

import sys

from ise_gym.cli import main

if __name__ == "__main__":
    main(["train", "grpo", *sys.argv[1:]])
