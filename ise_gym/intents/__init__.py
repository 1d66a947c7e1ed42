"""I: the 4D catalog, its sampler and the realiser that turns a draw into a scenario."""
