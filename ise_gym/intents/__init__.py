"""I: the 4D catalog, from a seed's blueprint to words, and on to a scenario or a line of a file."""
