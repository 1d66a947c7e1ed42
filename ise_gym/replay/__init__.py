"""A record executed again and compared, result by result."""
