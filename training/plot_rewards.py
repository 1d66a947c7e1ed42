"""``python -m training.plot_rewards`` in a checkout: draw the mean reward of runs."""

import sys

from ise_gym.training.plot_rewards import main

if __name__ == "__main__":
    sys.exit(main())
