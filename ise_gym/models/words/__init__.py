"""What a model's words hold besides words: thoughts, and calls in the forms that models write by habit."""
