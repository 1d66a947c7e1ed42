"""What a training run needs around its trainer: whole checkpoints, guarded weights, ranks, plainly told faults."""
