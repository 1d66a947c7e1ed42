"""Tools that search and fetch."""
