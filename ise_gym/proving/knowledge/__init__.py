"""The proof of what a plan knows: all that its calls and words hold was shown to it before, or is its own making."""
