"""Saved trees, templates, and the store that holds them."""
