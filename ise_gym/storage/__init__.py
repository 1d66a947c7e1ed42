"""What is kept on disk whole: atomic replacement, append-only logs, locks between processes."""
