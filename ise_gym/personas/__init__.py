"""Who asks: the persona catalog, its habits, and how a persona makes a request sound."""
