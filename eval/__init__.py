"""Benchmarks played through the env, with honest statistics."""
