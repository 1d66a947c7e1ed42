"""What keeps a run right while it goes on: several processes, checkpoints, faults, progress, memory."""
