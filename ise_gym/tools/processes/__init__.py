"""Tools that run commands, in the foreground and behind."""
