"""``python -m training.plot_rewards`` in a checkout: draw the mean reward of runs."""

import sys

from ise_gym.cli import main

if __name__ == "__main__":
    main(["train", "plot-rewards", *sys.argv[1:]])
