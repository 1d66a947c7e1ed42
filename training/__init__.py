"""SFT on recorded trajectories (TRL + PEFT)."""
