"""``python -m ise_gym.cli``: the ``ise`` command where it isn't installed as a script."""

from ise_gym.cli import main

if __name__ == "__main__":
    main()
