"""Where pytest finds the fixtures of `training_fixtures`, which mypy reads: two files can't both be `conftest` to it."""

from training_fixtures import make_store, settings, tiny_model_dir, tiny_tokenizer

__all__ = ["make_store", "settings", "tiny_model_dir", "tiny_tokenizer"]
