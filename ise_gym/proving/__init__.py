"""Proves of every task that its expert passes and that nothing less does."""
