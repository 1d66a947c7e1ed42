"""ISE (Intent, Simulate, Execute) as one Gymnasium environment."""
