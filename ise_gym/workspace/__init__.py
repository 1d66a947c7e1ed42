"""E: the live OS workspace and its backends."""
