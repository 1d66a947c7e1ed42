"""``python -m training.merge`` in a checkout: merge an adapter into its base."""

import sys

from ise_gym.cli import main

if __name__ == "__main__":
    main(["train", "merge", *sys.argv[1:]])
