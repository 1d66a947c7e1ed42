"""E: what an agent may call, on top of a workspace."""
