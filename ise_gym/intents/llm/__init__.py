"""Words from a model: prompt, check of the answer, endpoint, cache, and the run over a pool."""
