"""``python -m training.success`` in a checkout: how often a model solves the scenarios of a recipe."""

import sys

from ise_gym.cli import main

if __name__ == "__main__":
    main(["train", "success", *sys.argv[1:]])
