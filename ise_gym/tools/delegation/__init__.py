"""Tools that move the floor to a sub-session."""
