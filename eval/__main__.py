"""``python -m eval``."""

from ise_gym.evaluation.cli import main

if __name__ == "__main__":
    main()
