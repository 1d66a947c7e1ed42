"""Where pytest finds the fixtures of `common_fixtures`, which mypy reads: two files can't both be `conftest` to it."""

from common_fixtures import box, env, scenario

__all__ = ["box", "env", "scenario"]
