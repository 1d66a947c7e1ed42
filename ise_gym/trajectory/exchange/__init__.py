"""Records in and out: formats of others, the hub, dataset cards."""
