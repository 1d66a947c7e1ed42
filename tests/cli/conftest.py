"""Where pytest finds the fixtures of `cli_fixtures`, which mypy reads: two files can't both be `conftest` to it."""

from cli_fixtures import ise, one_intent

__all__ = ["ise", "one_intent"]
