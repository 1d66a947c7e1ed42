"""An index of recorded episodes beside their store: SQLite with full-text search, filled as the store grows."""
