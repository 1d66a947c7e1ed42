"""Where pytest finds the fixtures of `evaluation_fixtures`, which mypy reads: two files can't both be `conftest` to it."""

from evaluation_fixtures import collect_ignore_glob, router

__all__ = ["collect_ignore_glob", "router"]
