"""The models around a benchmark's task: judge, simulated user, provider."""
