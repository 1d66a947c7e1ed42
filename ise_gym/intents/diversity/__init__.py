"""How varied a pool of intents is: embeddings, Vendi scores, wording, coverage, near-duplicates, plots."""
