"""One shard, line by line: how lines are read, indexed and checked."""
