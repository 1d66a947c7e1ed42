"""The harness side of a box: the channel to its PID 1, its files, processes, shells and trees."""
