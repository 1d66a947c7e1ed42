"""What can be asked: task files, compiled, and drawn as instances."""
