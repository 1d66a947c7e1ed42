"""What was said and done in episodes, as text that can be compared, counted and measured."""
