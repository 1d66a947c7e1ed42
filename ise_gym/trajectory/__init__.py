"""Records of episodes: schema, store, statistics."""
