"""Many intents at once: generated, deduplicated, reported."""
