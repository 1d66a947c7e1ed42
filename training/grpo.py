"""``python -m training.grpo`` in a checkout: reinforcement learning on the env."""

import sys

from ise_gym.training.grpo import main

if __name__ == "__main__":
    sys.exit(main())
