"""Claw-Eval from the user's own checkout: its services, its graders, our agents, typed outcomes."""
