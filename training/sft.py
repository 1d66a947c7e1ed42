"""``python -m training.sft`` in a checkout: fine-tune on recorded episodes."""

import sys

from ise_gym.cli import main

if __name__ == "__main__":
    main(["train", "sft", *sys.argv[1:]])
