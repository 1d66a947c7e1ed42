"""Where no check decides: a model reads a recorded episode against its rubric, and the record says that it did.

It runs over a store, after the episodes, never inside ``step``: no reward ever holds a judgement.
"""
