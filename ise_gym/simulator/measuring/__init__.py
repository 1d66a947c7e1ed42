"""What the guard is worth: labelled turns, figures with intervals, and what they say of drift that nobody counted."""
