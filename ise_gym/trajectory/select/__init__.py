"""From a store of many samples to a training set: which episodes are kept, by which rule others fall, and a card."""
