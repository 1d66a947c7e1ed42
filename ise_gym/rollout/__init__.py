"""Agents × env over many scenarios: workers, resume."""
