"""Commands that make and judge data with models, and choose what is kept of it."""
