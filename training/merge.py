"""``python -m training.merge`` in a checkout: merge an adapter into its base."""

import sys

from ise_gym.training.merge import main

if __name__ == "__main__":
    sys.exit(main())
