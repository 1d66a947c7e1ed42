"""Who acts: the scripted expert, an OpenAI-compatible endpoint, a local transformers model."""
