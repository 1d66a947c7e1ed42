"""Words from a model instead of templates: prompt, check of the answer, endpoint, cache, and the run over a pool."""
