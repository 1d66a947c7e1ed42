"""Commands that stay up: the viewer, and an env that other programs talk to."""
