"""One episode: its state machine, turns, budget and goals."""
