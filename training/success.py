"""``python -m training.success`` in a checkout: how often a model solves the scenarios of a recipe."""

import sys

from ise_gym.training.success import main

if __name__ == "__main__":
    sys.exit(main())
