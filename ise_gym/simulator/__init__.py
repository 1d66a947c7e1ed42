"""S: who asks. User simulators and the guard that keeps them users."""
