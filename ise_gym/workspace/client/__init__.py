"""The harness side of a box: the channel to its PID 1, its shell session, its trees."""
