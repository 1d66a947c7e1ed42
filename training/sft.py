"""``python -m training.sft`` in a checkout: fine-tune on recorded episodes."""

import sys

from ise_gym.training.sft import main

if __name__ == "__main__":
    sys.exit(main())
